/** Columns of the table of kernels, and their order. Pure; consumed by explain-view.tsx and by tests. */
import {
  bytesText,
  countText,
  engineering,
  percentText,
  timeText,
} from "../../../src/runtime/explain/units.ts";
import type { ExplainedKernel, StepExplanation } from "../engine/protocol.ts";

export interface Column {
  readonly head: string;
  readonly of: (kernel: ExplainedKernel) => number;
  readonly text: (value: number) => string;
}

/** A column and its direction; kernels stand in the plan's order without one. */
export interface Order {
  readonly column: string;
  readonly descending: boolean;
}

const nanoseconds = ({ milliseconds = 0 }: ExplainedKernel): number => 1e6 * milliseconds;

/** Whether there are times. */
export const isTimed = ({ kernels }: StepExplanation): boolean =>
  kernels.some(({ milliseconds }) => milliseconds !== undefined);

/** Columns of numbers, after the name. */
export function columnsOf(step: StepExplanation): readonly Column[] {
  const total = step.kernels.reduce((sum, kernel) => sum + nanoseconds(kernel), 0);
  return [
    { head: "Dispatches", of: ({ dispatches }) => dispatches, text: countText },
    { head: "FLOP", of: ({ flops }) => flops, text: (value) => engineering(value).trimEnd() },
    { head: "Read", of: ({ bytesRead }) => bytesRead, text: bytesText },
    { head: "Written", of: ({ bytesWritten }) => bytesWritten, text: bytesText },
    ...(isTimed(step)
      ? [
          { head: "GPU time", of: nanoseconds, text: timeText },
          { head: "Share", of: nanoseconds, text: (value: number) => percentText(value / total) },
        ]
      : []),
  ];
}

/** The order that says most at first: by time, or by bytes where there is none. */
export const usualOrder = (step: StepExplanation): Order => ({
  column: isTimed(step) ? "GPU time" : "Read",
  descending: true,
});

/** The kernels in an order; those that are equal stay as they are. */
export function inOrder(step: StepExplanation, { column, descending }: Order): readonly ExplainedKernel[] {
  const sign = descending ? -1 : 1;
  if (column === "Kernel")
    return step.kernels.toSorted((a, b) => sign * (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const of = columnsOf(step).find(({ head }) => head === column)?.of;
  return of === undefined ? step.kernels : step.kernels.toSorted((a, b) => sign * (of(a) - of(b)));
}
