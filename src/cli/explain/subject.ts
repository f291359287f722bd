/** What the terminal and the page of `fluxion explain` say about dispatches. Consumed by the renderers beside this file. */
import type { ExplainedDispatch, Explanation } from "../../compiler/explain/explanation.ts";
import { counted, typeText } from "../../runtime/explain/words.ts";

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
