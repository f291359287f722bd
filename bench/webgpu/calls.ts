/**
 * Counts calls to WebGPU, whoever in this process makes them from JavaScript, and times submits: the methods are replaced while
 * something runs, and put back. Consumed by the peers on webgpu.
 */
import { globals } from "webgpu";
import type { Calls } from "../peers.ts";

/** A class whose methods can be replaced. */
interface Patched {
  readonly prototype: Record<string, (...args: unknown[]) => unknown>;
}

/** Calls `before` and `after` around each call of a method. @returns what undoes it */
function watch(className: string, method: string, before: () => void, after?: () => void): () => void {
  const { prototype } = (globals as Readonly<Record<string, unknown>>)[className] as Patched; // Dawn has all classes of the standard
  const original = prototype[method];
  if (original === undefined) throw new Error(`${className} has no ${method}.`);
  prototype[method] = function (this: unknown, ...args: unknown[]): unknown {
    before();
    const result = original.apply(this, args);
    after?.();
    return result;
  };
  return () => {
    prototype[method] = original;
  };
}

export async function countCalls(work: () => Promise<void>): Promise<Calls> {
  let [dispatches, submits, submitsWithKernels, since] = [0, 0, 0, 0];
  const dispatched = (): void => {
    dispatches++;
    since++;
  };
  const undo = [
    watch("GPUComputePassEncoder", "dispatchWorkgroups", dispatched),
    watch("GPUComputePassEncoder", "dispatchWorkgroupsIndirect", dispatched),
    // Nobody here records one command buffer while another is waiting to be submitted.
    watch("GPUQueue", "submit", () => {
      submits++;
      if (since > 0) submitsWithKernels++;
      since = 0;
    }),
  ];
  try {
    await work();
  } finally {
    for (const restore of undo) restore();
  }
  return { dispatches, submits, submitsWithKernels };
}

/** Milliseconds that `work` spends in submits. */
export async function submitMs(work: () => Promise<void>): Promise<number> {
  let [total, began] = [0, 0];
  const undo = watch(
    "GPUQueue",
    "submit",
    () => {
      began = performance.now();
    },
    () => {
      total += performance.now() - began;
    },
  );
  try {
    await work();
  } finally {
    undo();
  }
  return total;
}
