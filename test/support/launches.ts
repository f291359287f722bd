/**
 * Runs lists of dispatches on tensors: on the host, where every access is checked, and (launches-gpu) on a GPU.
 * Consumed by tests of kernel makers.
 */
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { empty } from "../../src/compiler/interpret/arrays.ts";
import type { Kernel } from "../../src/compiler/kernel/ir.ts";
import type { RoutineBuffer, Routine } from "../../src/compiler/schedule/routines/routine.ts";
import type { TensorType } from "../../src/dsl/program/program.ts";
import { runKernel } from "./run-kernel.ts";

/** One dispatch: `buffers` are positions in the memory that it runs on. */
export interface Launch {
  readonly kernel: Kernel;
  readonly buffers: readonly number[];
  readonly params: readonly number[];
  readonly workgroups: number;
}

/** Dispatches with their memory: given tensors first, then what they fill. */
export interface Launches {
  readonly given: readonly HostTensor[];
  readonly filled: readonly TensorType[];
  readonly launches: readonly Launch[];
}

/** What `filled` holds after running on the host. @throws Error on out-of-bounds accesses, races and more (see `runKernel`). */
export function runOnHost({ given, filled, launches }: Launches): readonly ExactTensor[] {
  const inputs = given.map((tensor) => toExact(toStorage(tensor)));
  // NaN where nothing is stored, so that a gap shows.
  const results = filled.map((type) => {
    const tensor = empty(type);
    if (tensor.data instanceof Float64Array) tensor.data.fill(NaN);
    else tensor.data.fill(77);
    return tensor;
  });
  const memory = [...inputs, ...results].map(({ data }) => data);
  for (const { kernel, buffers, params, workgroups } of launches)
    runKernel(kernel, { buffers: buffers.map((i) => memory[i] as ExactTensor["data"]), params, workgroups });
  return results;
}

/** A routine on the given operands; its results come first in `filled`. */
export function launchesOf(
  { temporaries, stages }: Routine,
  given: readonly HostTensor[],
  outputs: readonly TensorType[],
): Launches {
  const place = (buffer: RoutineBuffer): number =>
    "input" in buffer
      ? buffer.input
      : given.length + ("output" in buffer ? buffer.output : outputs.length + buffer.temporary);
  const launches = stages.map(({ kernel, buffers, params, workgroups }) => ({
    kernel,
    buffers: buffers.map(place),
    params,
    workgroups,
  }));
  return { given, filled: [...outputs, ...temporaries], launches };
}
