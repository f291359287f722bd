/**
 * The simplest shape of a kernel: one lane for each of so many elements. Consumed by kernels in this folder that combine nothing
 * across lanes.
 */
import { LANE, WORKGROUP, below, index, plus, times } from "../kernel/builder.ts";
import type { KernelBuilder } from "../kernel/builder.ts";
import type { Expr } from "../kernel/ir.ts";

/** Writes what each lane does for its element, for the elements below `count`. */
export function eachElement(
  builder: KernelBuilder,
  lanes: number,
  count: Expr,
  write: (element: Expr) => void,
): void {
  const element = builder.let(plus(times(WORKGROUP, index(lanes)), LANE));
  builder.if(below(element, count), () => write(element));
}

/** Workgroups of `lanes` lanes for so many elements. */
export const workgroupsFor = (count: number, lanes: number): number => Math.ceil(count / lanes);
