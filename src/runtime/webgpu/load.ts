/**
 * A plan made ready on a device: its pipelines and the buffers that last from run to run. Consumed by executables.
 */
import { planMemory } from "../../compiler/kernel/memory.ts";
import type { BufferId, Plan } from "../../compiler/kernel/plan.ts";
import { bufferOf } from "../../compiler/kernel/verify-plan.ts";
import { storageBytes } from "../../compiler/wgsl/storage.ts";
import { formatType, sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { Bindings } from "./bindings.ts";
import { flatten } from "./code.ts";
import type { Code } from "./code.ts";
import { BufferUsage } from "./constants.ts";
import { boundBytes } from "./context.ts";
import type { Context } from "./context.ts";
import { gridOf } from "./grid.ts";
import type { Grid } from "./grid.ts";
import { TENSOR_USAGE } from "./memory.ts";
import type { Block, Storage } from "./memory.ts";
import { Params } from "./params.ts";
import { describeDispatch, paramBytes } from "./pipelines.ts";
import type { Pipeline } from "./pipelines.ts";
import { Profiler } from "./profiler.ts";
import { toWords } from "./words.ts";

/** A dispatch of the plan, ready to be recorded but for what changes from run to run. */
export interface LoadedDispatch {
  readonly index: number;
  readonly pipeline: GPUComputePipeline;
  readonly bindings: Bindings;
  readonly grid: Grid;
  readonly flops: number;
  readonly bytes: number;
}

export interface Loaded {
  readonly plan: Plan;
  readonly code: Code;
  readonly dispatches: readonly LoadedDispatch[];
  /** The block of each buffer of the plan that has the same at every run. */
  readonly fixed: readonly (Block | undefined)[];
  readonly constants: ReadonlyMap<BufferId, Storage>;
  readonly params: Params;
  readonly stream: Block | undefined;
  readonly profiler: Profiler | undefined;
  /** Bytes of all that it holds. */
  readonly bytes: number;
  /** Those of them that are in the pool: constants, which values may share. */
  readonly pooledBytes: number;
  destroy(): void;
}

/**
 * @param name of the program, for messages
 * @throws PlanError for a broken plan; Error when a tensor is too large, the GPU has no memory, or it refuses a kernel
 */
export async function loadPlan(context: Context, plan: Plan, name: string): Promise<Loaded> {
  const { failures, memory, gpu, pool } = context;
  for (const { type } of plan.buffers) checkSize(context, type, name);
  const memoryPlan = planMemory(plan, (type) => boundBytes(context, type), context.limits);
  const code = flatten(plan);
  const pipelines = await context.pipelines.of(
    code.dispatches.map(({ dispatch }) => dispatch),
    name,
  );

  const owned: Block[] = [];
  const own = (bytes: number, usage: number, label: string): Block => {
    const block = memory.allocate(bytes, usage, label);
    owned.push(block);
    return block;
  };
  const constants = new Map<BufferId, Storage>();
  let profiler: Profiler | undefined;
  const destroy = (): void => {
    profiler?.destroy();
    for (const block of owned.splice(0)) memory.destroy(block);
    for (const storage of constants.values()) storage.release();
    constants.clear();
  };

  const scope = failures.open(`${name}: making its buffers`);
  try {
    const slots = memoryPlan.slots.map((bytes, i) => own(bytes, TENSOR_USAGE, `slot ${i}`));
    plan.buffers.forEach(({ role, type }, id) => {
      if (role.kind !== "constant") return;
      const storage = pool.take(boundBytes(context, type));
      constants.set(id, storage);
      gpu.device.queue.writeBuffer(storage.block.buffer, 0, toWords(role.value, context.f16));
    });
    const fixed = plan.buffers.map((_, id): Block | undefined => {
      const slot = memoryPlan.slotOf[id];
      return slot === undefined ? constants.get(id)?.block : slots[slot];
    });

    const params = new Params(code.dispatches, gpu.limits.minUniformBufferOffsetAlignment);
    const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
    const tables = params.tableBytes === 0 ? undefined : own(params.tableBytes, usage, "parameters");
    const stream = params.streamBytes === 0 ? undefined : own(params.streamBytes, usage, "loop parameters");
    if (tables !== undefined) gpu.device.queue.writeBuffer(tables.buffer, 0, params.tables());
    const swapped = new Set(code.instructions.flatMap((step) => (step.kind === "swap" ? step.pair : [])));
    const dispatches = code.dispatches.map(({ dispatch }, index): LoadedDispatch => {
      const { kernel, buffers, parts, workgroups, flops, bytes } = dispatch;
      const { pipeline, bindings: layout } = pipelines.get(kernel) as Pipeline; // made for these dispatches
      const bound = buffers.map((id, i) => {
        const { type, role } = bufferOf(plan, id);
        const { offset, size } = parts?.[i] ?? { offset: 0, size: sizeOf(type.shape) };
        const { dtype } = type;
        return {
          id,
          offset: offset * storageBytes(dtype, context),
          bytes: boundBytes(context, { shape: [size], dtype }),
          varies: role.kind === "input" || role.kind === "output" || swapped.has(id),
        };
      });
      return {
        index,
        pipeline,
        bindings: new Bindings(gpu.device, layout, bound, {
          bytes: paramBytes(kernel),
          tables: tables?.buffer,
          stream: stream?.buffer,
        }),
        grid: within(
          () => `${name}: ${describeDispatch(dispatch)}`,
          () => gridOf(workgroups, gpu.limits.maxComputeWorkgroupsPerDimension),
        ),
        flops,
        bytes,
      };
    });
    if (context.profile)
      profiler = new Profiler(
        gpu.device,
        memory,
        context.readback,
        code.dispatches.map(({ dispatch }) => dispatch),
      );

    const error = await failures.until(scope.close("expected"));
    if (error !== undefined) throw error;
    const pooledBytes = [...constants.values()].reduce((sum, { block }) => sum + block.bytes, 0);
    return {
      plan,
      code,
      dispatches,
      fixed,
      constants,
      params,
      stream,
      profiler,
      bytes: owned.reduce((sum, { bytes }) => sum + bytes, pooledBytes + (profiler?.bytes ?? 0)),
      pooledBytes,
      destroy,
    };
  } catch (error) {
    void scope.close("expected");
    destroy();
    throw error;
  }
}

/** @throws Error when the GPU cannot bind a tensor of that type */
export function checkSize(context: Context, type: TensorType, what: string): void {
  const { maxStorageBufferBindingSize, maxBufferSize } = context.gpu.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  if (boundBytes(context, type) <= most) return;
  const size = boundBytes(context, type).toLocaleString("en");
  throw new Error(
    `webgpu: ${what}: ${formatType(type)} takes ${size} bytes, and this GPU binds ${most.toLocaleString("en")} at most.`,
  );
}

/** Says what an error is about. */
function within<T>(what: () => string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`webgpu: ${what()}: ${(error as Error).message}`, { cause: error });
  }
}
