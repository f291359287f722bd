/**
 * A report of `fluxion verify` for the terminal: a row per identity, and for each that fails its counterexample and usual cause.
 * Consumed by the command.
 */
import { counterexampleLines, numberText } from "../runtime/verify/report-text.ts";
import type { IdentityResult, VerifyReport } from "../runtime/verify/report.ts";
import { plural } from "../runtime/explain/units.ts";

/** Columns a text takes: marks that combine with the letter before them take none. */
const columnsOf = (text: string): number => Array.from(text.replace(/\p{M}/gu, "")).length;

const padded = (text: string, columns: number): string =>
  text + " ".repeat(Math.max(0, columns - columnsOf(text)));

const HEADER = ["", "identity", "cases", "worst", "at most", "formula"];

function row({ passed, name, cases, worst, tolerance, formula, error }: IdentityResult): readonly string[] {
  const mark = passed ? "ok" : "FAILED";
  return [
    mark,
    name,
    String(cases),
    error === undefined ? numberText(worst) : "error",
    numberText(tolerance),
    formula,
  ];
}

function failure({ name, formula, counterexample, cause, error }: IdentityResult): string {
  return [
    `${name}: ${formula}`,
    ...(error === undefined ? [] : [`  could not be computed: ${error}`]),
    ...(counterexample === undefined ? [] : counterexampleLines(counterexample).map((line) => `  ${line}`)),
    ...(cause === undefined ? [] : [`  usual cause: ${cause}`]),
  ].join("\n");
}

export function verifyText(report: VerifyReport): string {
  const { variant, kind, device, results, leftOut } = report;
  const rows = [HEADER, ...results.map(row)];
  const widths = HEADER.map((_, i) => Math.max(...rows.map((cells) => columnsOf(cells[i] ?? ""))));
  const failed = results.filter(({ passed }) => !passed);
  const verdict =
    failed.length === 0
      ? `All ${plural(results.length, "identity holds", "identities hold")}.`
      : `${plural(failed.length, "identity", "identities")} of ${results.length} ${failed.length === 1 ? "fails" : "fail"}.`;
  return [
    `${variant} (${kind}), on ${device}`,
    ...rows.map((cells) =>
      cells
        .map((cell, i) => padded(cell, widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    ),
    "",
    ...(leftOut.length === 0
      ? []
      : ["Left out:", ...leftOut.map(({ name, reason }) => `  ${name}: ${reason}`), ""]),
    ...failed.flatMap((result) => [failure(result), ""]),
    verdict,
    "",
    "",
  ].join("\n");
}
