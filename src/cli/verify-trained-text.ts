/**
 * The residuals of a trained flow map for the terminal: a row for each, the student beside its teacher held over the jump, in ranges of the
 * clock. Consumed by verify-run.ts.
 */
import type { MapResiduals, TrainedReport, TrainedResult } from "../runtime/verify/trained-report.ts";

const number = (value: number): string => {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return String(value);
  return value >= 1e-3 && value < 1e3 ? value.toPrecision(3) : value.toExponential(1);
};

const pair = (student: number, held: number): string => `${number(student)} (${number(held)})`;

const columnsOf = (text: string): number => Array.from(text.replace(/\p{M}/gu, "")).length;

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((cells) => columnsOf(cells[i] ?? ""))));
  return rows.map((cells) =>
    cells
      .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - columnsOf(cell)))
      .join("  ")
      .trimEnd(),
  );
}

const mark = ({ passed }: TrainedResult): string => (passed === undefined ? "" : passed ? "ok" : "FAILED");

/** The report with the folders that it is about. */
export type RunReport = TrainedReport & { readonly run: string; readonly teacher: string };

export function trainedText(report: RunReport): string {
  const { run, teacher, device, cases, ranges, results, leftOut, passed } = report;
  const places = ranges.map(({ from, to }) => `τ ${from} to ${to}`);
  const rows = results.map((result) => {
    const { name, norm, student, held, tolerance } = result;
    const inRanges = (of: MapResiduals): readonly number[] => of.ranges.map(({ mean }) => mean);
    const heldRanges = inRanges(held);
    return [
      mark(result),
      name,
      norm,
      pair(student.mean, held.mean),
      pair(student.worst, held.worst),
      tolerance === undefined ? "" : number(tolerance),
      ...inRanges(student).map((mean, i) => pair(mean, heldRanges[i] ?? NaN)),
    ];
  });
  const judged = results.filter((result) => result.passed !== undefined);
  const failed = judged.filter((result) => result.passed === false);
  const verdict =
    judged.length === 0
      ? passed
        ? "Nothing is judged: give --tolerance NAME=X to make a check of a residual."
        : "A residual that a tolerance was given for could not be computed."
      : failed.length === 0 && passed
        ? `Within ${judged.length === 1 ? "the tolerance" : `all ${judged.length} tolerances`}.`
        : `Beyond its tolerance: ${failed.map(({ name }) => name).join(", ") || "what could not be computed"}.`;
  return [
    `${run}: fmlm against the flm of ${teacher === run ? "the same run" : teacher}, on ${device}`,
    `${cases} rows of held-out text with noise in each range of the clock, by the time τ of the state. In parentheses: the teacher held over the jump.`,
    "",
    ...table([
      ["", "residual", "counted in", "mean", "worst", "at most", ...places.map((place) => `mean, ${place}`)],
      ...rows,
    ]),
    "",
    ...results.map(({ name, formula }) => `  ${name}: ${formula}`),
    "",
    ...(leftOut.length === 0
      ? []
      : ["Left out:", ...leftOut.map(({ name, reason }) => `  ${name}: ${reason}`), ""]),
    verdict,
    "",
  ].join("\n");
}
