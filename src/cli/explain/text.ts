/**
 * An explanation for the terminal: a summary, the dispatches as a table whose rows add up to its last, and the memory plan.
 * At most 110 columns wide. Consumed by `fluxion explain`.
 */
import type { Cost, ExplainedDispatch, Explanation } from "../../compiler/explain/explanation.ts";
import { summary } from "../../runtime/explain/summary.ts";
import type { Explained } from "../../runtime/explain/summary.ts";
import {
  bytesText,
  countText,
  engineering,
  percentText,
  plural,
  timeText,
} from "../../runtime/explain/units.ts";
import { opsText, typeText } from "../../runtime/explain/words.ts";
import { buffersText, inOrder, siteText } from "./subject.ts";
import type { Order } from "./subject.ts";

const WIDTH = 110;
const NAME_WIDTH = 28;
/** Temporaries named per slot. */
const NAMED = 6;

export interface TextOptions {
  readonly order: Order;
  /** Dispatches, and slots, that are listed. */
  readonly rows: number;
  /** Sites in it are written without it. */
  readonly folder: string;
}

/** The whole text, with a final newline. */
export function renderText(explained: Explained, options: TextOptions): string {
  const { explanation } = explained;
  const blocks = [
    summary(explained).flatMap((line) => wrap(line, "")),
    explanation.dispatches.length === 0 ? [] : table(explanation, options),
    memoryText(explanation, options.rows),
  ];
  const text = blocks.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
  // Control characters in a name could steer the terminal.
  return `${text.join("\n\n").replace(/(?!\n)\p{Cc}/gu, " ")}\n`;
}

/** A row of the table. */
interface Row extends Cost {
  readonly place: string;
  readonly name: string;
  readonly size: string;
  readonly runs: string;
  readonly same: string;
  readonly nanoseconds: number | null;
  /** Lines below it. */
  readonly more: readonly string[];
}

function table(explanation: Explanation, { order, rows: most, folder }: TextOptions): readonly string[] {
  const { totals, dispatches, copies, pipelines } = explanation;
  const listed = inOrder(explanation, order);
  const shown = listed.slice(0, most);
  const rest = listed.slice(most);
  const looped = dispatches.some(({ runs }) => runs !== 1);
  const rows: Row[] = shown.map((dispatch) => rowOf(dispatch, explanation, folder));
  const empty = { place: "", size: "", runs: "", same: "", more: [], nanoseconds: null };
  if (rest.length > 0)
    rows.push({
      ...empty,
      ...sum(rest),
      name: `${countText(rest.length)} more`,
      nanoseconds: totals.nanoseconds === null ? null : rest.reduce((t, d) => t + (d.nanoseconds ?? 0), 0),
    });
  if (copies.length > 0)
    rows.push({ ...empty, ...sum(copies), name: plural(copies.length, "copy", "copies") });
  const total: Row = { ...empty, ...totals, name: "all", same: String(pipelines.length) };

  const timed = totals.nanoseconds;
  const columns: readonly (readonly [head: string, of: (row: Row) => string])[] = [
    ["#", ({ place }) => place],
    ["kernel", ({ name }) => cut(name, NAME_WIDTH)],
    ["groups × lanes", ({ size }) => size],
    ...(looped ? [["runs", ({ runs }: Row) => runs] as const] : []),
    ["FLOP", ({ flops }) => engineering(flops).trimEnd()],
    ["read", ({ bytesRead }) => bytesText(bytesRead)],
    ["written", ({ bytesWritten }) => bytesText(bytesWritten)],
    ["same", ({ same }) => same],
    ...(timed === null
      ? []
      : [
          [
            "GPU time",
            ({ nanoseconds }: Row) => (nanoseconds === null ? "" : timeText(nanoseconds)),
          ] as const,
          [
            "share",
            ({ nanoseconds }: Row) => (nanoseconds === null ? "" : percentText(nanoseconds / timed)),
          ] as const,
        ]),
  ];
  const widths = columns.map(([head, of]) =>
    Math.max(head.length, ...[...rows, total].map((row) => of(row).length)),
  );
  const align = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 1 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  const line = (row: Row): string => align(columns.map(([, of]) => of(row)));
  const rule = "─".repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  const indent = " ".repeat((widths[0] ?? 0) + 2);
  return [
    align(columns.map(([head]) => head)),
    rule,
    ...rows.flatMap((row) => [line(row), ...row.more.flatMap((text) => wrap(text, indent))]),
    rule,
    line(total),
    "same: dispatches with the same code, and in the last line the number of different codes" +
      (order === "plan" ? "" : `; ordered by ${order}`),
  ];
}

function rowOf(dispatch: ExplainedDispatch, { pipelines }: Explanation, folder: string): Row {
  const { index, name, workgroups, lanes, runs, pipeline, site } = dispatch;
  return {
    ...dispatch,
    place: String(index),
    name,
    size: `${countText(workgroups)} × ${lanes}`,
    runs: countText(runs),
    same: String(pipelines[pipeline]?.dispatches.length ?? 0),
    more: [
      [opsText(dispatch), buffersText(dispatch), ...(site === null ? [] : [siteText(site, folder)])]
        .filter((part) => part !== "")
        .join(" · "),
    ],
  };
}

function sum(costs: readonly Cost[]): Cost {
  return costs.reduce(
    (all, { flops, bytesRead, bytesWritten }) => ({
      flops: all.flops + flops,
      bytesRead: all.bytesRead + bytesRead,
      bytesWritten: all.bytesWritten + bytesWritten,
    }),
    { flops: 0, bytesRead: 0, bytesWritten: 0 },
  );
}

function memoryText({ memory, temporaries }: Explanation, most: number): readonly string[] {
  const { slots, peakBytes, lowerBoundBytes, unsharedBytes, inputBytes, outputBytes, constantBytes } = memory;
  const replaced = memory.inPlace.reduce((sum, { bytes }) => sum + bytes, 0);
  const held =
    `Inputs ${bytesText(inputBytes)}, outputs ${bytesText(outputBytes)}, constants ${bytesText(constantBytes)}` +
    (replaced === 0
      ? ""
      : `; ${plural(memory.inPlace.length, "more output")} (${bytesText(replaced)}) in the place of inputs`);
  const used = temporaries.filter(({ slot }) => slot !== null);
  if (used.length === 0) return [`Memory: no temporaries. ${held}`];
  const types = new Map(temporaries.map((temporary) => [temporary.buffer, typeText(temporary)]));
  const rows = slots.slice(0, most).map(({ bytes, temporaries: ids }, i) => {
    const distinct = [...new Set(ids.map((id) => types.get(id) ?? ""))];
    const named = distinct.slice(0, NAMED).join(", ");
    return {
      size: bytesText(bytes),
      text: `slot ${i}: ${plural(ids.length, "temporary", "temporaries")}, ${named}${distinct.length > NAMED ? ", …" : ""}`,
    };
  });
  const width = Math.max(...rows.map(({ size }) => size.length));
  const rest = slots.slice(most);
  const sentences = [
    `Memory: ${plural(used.length, "temporary", "temporaries")} in ${plural(slots.length, "slot")}, ${bytesText(peakBytes)}; ` +
      `at least ${bytesText(lowerBoundBytes)} in this order, ${bytesText(unsharedBytes)} without sharing`,
    held,
  ];
  return [
    ...sentences.flatMap((line) => wrap(line, "")),
    ...rows.flatMap(({ size, text }) => {
      const [first = "", ...more] = wrap(text, " ".repeat(width + 4));
      return [`  ${size.padStart(width)}  ${first.trimStart()}`, ...more];
    }),
    ...(rest.length === 0
      ? []
      : [
          `  ${bytesText(rest.reduce((sum, { bytes }) => sum + bytes, 0)).padStart(width)}  ${plural(rest.length, "more slot")}`,
        ]),
  ];
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

/** Lines of at most the width, broken at blanks where there are any. */
function wrap(text: string, indent: string): readonly string[] {
  const room = WIDTH - indent.length;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((part) => `${indent}${part}`);
}
