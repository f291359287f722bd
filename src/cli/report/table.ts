/**
 * The numbers of a run for the terminal: a table with aligned columns, and below it a small chart of quality against
 * sampling steps.
 *
 * Consumed by the demo command. Colour is used on an interactive terminal only (the same rule as the progress bar);
 * without it the text is plain.
 */
import { isInteractive } from "../progress.ts";
import { cellsOf, labelIn, modelNames, roleIn, stepCounts } from "./data.ts";
import type { ModelName, ReportData } from "./data.ts";
import { numberColumns, numberRows } from "./number-table.ts";
import { significant, tickText } from "./numbers.ts";
import { logScale, spread } from "./scale.ts";

/** How the table is written. */
export interface TableOptions {
  /** Whether to use ANSI colours. Default: standard output is an interactive terminal that wants them. */
  readonly color?: boolean;
}

const colors: Readonly<Record<string, number>> = { FLM: 34, FMLM: 33, heading: 1, quiet: 2 };
const marks: Readonly<Record<ModelName, string>> = { FLM: "●", FMLM: "◆" };

const rowCount = 13;
const columnWidth = 6;

/** Table, chart and verdicts, with a final newline. Empty data give a sentence. */
export function renderTable(data: ReportData, options: TableOptions = {}): string {
  const { color = isInteractive(process.stdout, process.env) } = options;
  const paint = (text: string, kind: string): string =>
    color && text !== "" && colors[kind] !== undefined ? `\u{1b}[${colors[kind]}m${text}\u{1b}[0m` : text;
  const rows = numberRows(data).map((row) => row.map(plain));
  if (rows.length === 0) return "Nothing has been sampled yet.\n";
  const blocks = [table(data, rows, paint), chart(data, paint), data.verdicts.map(plain).join("\n")];
  return `${blocks.filter((block) => block !== "").join("\n\n")}\n`;
}

type Paint = (text: string, kind: string) => string;

function table(data: ReportData, rows: readonly (readonly string[])[], paint: Paint): string {
  const widths = numberColumns.map((name, i) =>
    Math.max(...[name, ...rows.map((row) => row[i] ?? "")].map(size)),
  );
  const align = (cells: readonly string[]): string =>
    cells.map((cell, i) => pad(cell, widths[i] ?? 0, i === 1 ? "end" : "start")).join("  ");
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  const lines = rows.map((row, i) => {
    const text = paint(align(row), roleIn(data, row[1] ?? ""));
    return i > 0 && row[0] === "–" && rows[i - 1]?.[0] !== "–" ? `${paint(rule, "quiet")}\n${text}` : text;
  });
  return [paint(align(numberColumns), "heading"), paint(rule, "quiet"), ...lines].join("\n");
}

/** Perplexity on a logarithmic axis, a column per number of steps, the references as dotted lines named at the right. */
function chart(data: ReportData, paint: Paint): string {
  const steps = stepCounts(data);
  const usable = (value: number): boolean => value > 0 && Number.isFinite(value);
  const cells = modelNames.flatMap((model) => cellsOf(data, model)).filter((cell) => usable(cell.perplexity));
  if (cells.length === 0) return "";
  const references = data.references.filter((reference) => usable(reference.perplexity));
  const y = logScale(
    [...cells, ...references].map((one) => one.perplexity),
    [rowCount - 1, 0],
  );
  const rowOf = (value: number): number => Math.min(rowCount - 1, Math.max(0, Math.round(y.at(value))));
  const width = steps.length * columnWidth;
  const grid = Array.from({ length: rowCount }, () => Array.from({ length: width }, () => " "));
  const put = (row: number, column: number, text: string): void => {
    const line = grid[row];
    if (line !== undefined) line[column] = text;
  };
  for (const { perplexity } of references)
    for (let column = 0; column < width; column++) put(rowOf(perplexity), column, paint("┄", "quiet"));
  // The two marks stand side by side, so that equal values do not hide each other.
  for (const { model, steps: step, perplexity } of cells)
    put(
      rowOf(perplexity),
      steps.indexOf(step) * columnWidth + columnWidth / 2 + (model === "FLM" ? -1 : 0),
      paint(marks[model], model),
    );

  const ticks = new Map(y.ticks.map((tick) => [rowOf(tick), tickText(tick)]));
  const margin = Math.max(...[...ticks.values()].map(size));
  const wanted = references.map(({ perplexity }) => ({ wanted: rowOf(perplexity) + 0.5, height: 1 }));
  const places = spread(wanted, 0, rowCount).map((centre) => Math.round(centre - 0.5));
  const names = grid.map((_, row) =>
    references
      .filter((_, i) => places[i] === row)
      .map(({ name, perplexity }) => `${plain(name)} ${significant(perplexity, 3)}`)
      .join(", "),
  );
  const legend = modelNames
    .filter((model) => cells.some((cell) => cell.model === model))
    .map((model) => paint(`${marks[model]} ${plain(labelIn(data, model))}`, model))
    .join("   ");
  const lines = grid.map((line, row) =>
    `${pad(ticks.get(row) ?? "", margin, "start")} ${ticks.has(row) ? "┤" : "│"}${line.join("")} ${paint(names[row] ?? "", "quiet")}`.trimEnd(),
  );
  const foot = steps.map((step) => centred(tickText(step), columnWidth)).join("");
  return [
    `${paint("Perplexity against sampling steps", "heading")} (lower is better, log scale)   ${legend}`,
    ...lines,
    `${" ".repeat(margin)} └${"─".repeat(width)}`,
    `${" ".repeat(margin)}  ${foot.trimEnd()}`,
  ].join("\n");
}

/** Text without control characters, which could steer the terminal. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, " ");
}

function size(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number, where: "start" | "end"): string {
  const space = " ".repeat(Math.max(0, width - size(text)));
  return where === "start" ? space + text : text + space;
}

function centred(text: string, width: number): string {
  const before = Math.max(0, Math.floor((width - size(text)) / 2));
  return pad(" ".repeat(before) + text, width, "end");
}
