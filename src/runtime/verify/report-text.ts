/**
 * Numbers and counterexamples of a report in words. Pure; consumed by `fluxion verify` and by the studio's playground.
 */
import type { Counterexample } from "./report.ts";

/** A residual or a tolerance, in two digits: "2.2", "0.05", and "1.3e-7" where zeros would have to be counted. */
export function numberText(value: number | null): string {
  if (value === null) return "none";
  const size = Math.abs(value);
  const plain = value === 0 || !Number.isFinite(value) || (size >= 1e-3 && size < 1e4);
  return plain ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}

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
