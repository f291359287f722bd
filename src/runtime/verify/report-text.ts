/**
 * Numbers and counterexamples of a report in words. Pure; consumed by `fluxion verify` and by the studio's playground.
 */
import type { Counterexample } from "./report.ts";

/** A residual or a tolerance. */
export const numberText = (value: number | null): string =>
  value === null
    ? "none"
    : value === 0
      ? "0"
      : Number.isFinite(value)
        ? value.toExponential(1)
        : String(value);

/** Numbers as they stand where they are short, else with four digits. */
const shortText = (value: number): string =>
  String(value).length <= 6 ? String(value) : String(Number(value.toPrecision(4)));

/** The numbers of a case in a line, and its rows of numbers in a line each. */
export function counterexampleLines(counterexample: Counterexample): readonly string[] {
  const entries = Object.entries(counterexample);
  const short = entries.filter(([, value]) => !Array.isArray(value));
  const rows = entries.filter(([, value]) => Array.isArray(value));
  return [
    short
      .map(([name, value]) => `${name} ${typeof value === "number" ? shortText(value) : String(value)}`)
      .join(", "),
    ...rows.map(([name, value]) => {
      const list = value as readonly (readonly number[])[]; // an array, as asked above
      return `${name} = ${list.map((numbers) => `[${numbers.map(shortText).join(", ")}]`).join(" ")}`;
    }),
  ];
}
