/** A kernel as a step of a plan, with what is said of it. Consumed by `schedule.ts`. */
import { sizeOf } from "../../dsl/program/program.ts";
import type { AnyEquation } from "../../dsl/program/program.ts";
import { formatSite, rawSite } from "../../dsl/trace/callsite.ts";
import { byteSize } from "../../dsl/types/dtype.ts";
import type { Dispatch, PlanBuffer } from "../kernel/plan.ts";
import { sizesAsParams } from "../kernel/sizes.ts";
import { withoutUnused } from "../kernel/unused.ts";
import type { LaidOut } from "./map-kernel.ts";

/** What a kernel does. */
export interface Work {
  readonly ops: readonly string[];
  readonly flops: number;
  /** The equation whose line is named. */
  readonly from: AnyEquation | undefined;
}

/** @param buffers of the plan */
export function dispatchOf(
  buffers: readonly PlanBuffer[],
  { kernel, buffers: bound, parts, touched: reached, params, workgroups, sizes = "parameters" }: LaidOut,
  { ops, flops, from }: Work,
): Dispatch {
  const types = bound.map((id) => (buffers[id] as PlanBuffer).type); // kernels bind the plan's buffers
  const all = types.map(({ shape }, i) => parts[i]?.size ?? sizeOf(shape));
  const touched = all.map((size, i) => {
    const count = reached[i];
    return count === undefined || count >= size ? undefined : count;
  });
  const bytes = types.reduce(
    (sum, { dtype }, i) => sum + (touched[i] ?? (all[i] as number)) * byteSize(dtype),
    0,
  );
  const lean = withoutUnused(kernel);
  const shared = sizes === "text" ? { kernel: lean, sizes: [] } : sizesAsParams(lean);
  const raw = from === undefined ? undefined : rawSite(from);
  return {
    kind: "dispatch",
    kernel: shared.kernel,
    buffers: bound,
    parts: parts.some((part) => part !== undefined) ? parts : undefined,
    touched: touched.some((count) => count !== undefined) ? touched : undefined,
    params: [...params, ...shared.sizes],
    workgroups,
    flops,
    bytes,
    ops,
    // Formatting a stack takes long; few are ever read.
    get site() {
      return raw === undefined ? undefined : formatSite(raw);
    },
  };
}
