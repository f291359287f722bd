/**
 * What `fluxion explain` explains, with what the terminal and the page say about it.
 *
 * Made by the command; consumed by the renderers beside this file.
 */
import type { ExplainedDispatch, ExplainedType, Explanation } from "../../compiler/explain/explanation.ts";
import type { TargetLimits } from "../../compiler/kernel/plan.ts";

export interface Explained {
  /** Name of the step, or of the file with the program. */
  readonly name: string;
  readonly limits: TargetLimits;
  /** Whose limits these are. */
  readonly limitsOf: string;
  /** The GPU that was asked for its limits or ran it. */
  readonly gpu: string | null;
  /** How often it ran for its times; null where it did not. */
  readonly timedRuns: number | null;
  readonly explanation: Explanation;
}

/** In which order dispatches are listed: that of the plan, or the most expensive first. */
export const ORDERS = ["plan", "bytes", "flops", "time"] as const;
export type Order = (typeof ORDERS)[number];

const COSTS: Readonly<Record<Exclude<Order, "plan">, (dispatch: ExplainedDispatch) => number>> = {
  bytes: ({ bytesRead, bytesWritten }) => bytesRead + bytesWritten,
  flops: ({ flops }) => flops,
  time: ({ nanoseconds }) => nanoseconds ?? 0,
};

export function inOrder({ dispatches }: Explanation, order: Order): readonly ExplainedDispatch[] {
  if (order === "plan") return dispatches;
  const cost = COSTS[order];
  return dispatches.toSorted((a, b) => cost(b) - cost(a) || a.index - b.index);
}

export const typeText = ({ shape, dtype }: ExplainedType): string => `${dtype}[${shape.join(",")}]`;

/** Texts that repeat as one with a count, in the order of their first: "a ×2, b". */
function counted(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} ×${count}`)).join(", ");
}

/** "f32[2,3], f32[3] → f32[2,3]" */
export function buffersText({ buffers }: ExplainedDispatch): string {
  const of = (except: string): string =>
    counted(buffers.filter(({ access }) => access !== except).map(typeText));
  return `${of("write")} → ${of("read")}`.trim();
}

/** The file and line of a site, from the current folder where it is in it, or else the last parts of the path. */
export function siteText(site: string, folder: string): string {
  const line = site.replace(/(:\d+):\d+$/, "$1").replace(/\?[^:/]*(?=:\d+$)/, "");
  const inside = folder.endsWith("/") ? folder : `${folder}/`;
  return line.startsWith(inside) ? line.slice(inside.length) : line.split("/").slice(-3).join("/");
}

/** Repeated ops with a count, those that come first first: "mul ×3, add". */
export const opsText = ({ ops }: ExplainedDispatch): string => counted(ops);
