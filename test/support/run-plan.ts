/**
 * Runs a plan on the host, kernel by kernel, as its definition says: the check of the scheduler that needs no GPU and finds what one
 * keeps quiet about (see run-kernel.ts). Temporaries start as garbage, so that nothing relies on zeros, and lie where the memory plan
 * puts them, so that one which is overwritten too early is seen.
 *
 * Consumed by tests of the scheduler.
 */
import { exactData, toExact } from "../../src/compiler/host-tensor.ts";
import type { ExactData, ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { planMemory } from "../../src/compiler/kernel/memory.ts";
import type { BufferId, Param, Plan, PlanBuffer, Step } from "../../src/compiler/kernel/plan.ts";
import { sizeOf } from "../../src/dsl/program/program.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { runKernel } from "./run-kernel.ts";

/** Data of a dtype in memory that others may have used. */
const ARRAYS: { readonly [D in DType]: (memory: ArrayBuffer, length: number) => ExactData } = {
  f32: (memory, length) => new Float64Array(memory, 0, length),
  f16: (memory, length) => new Float64Array(memory, 0, length),
  i32: (memory, length) => new Int32Array(memory, 0, length),
  u32: (memory, length) => new Uint32Array(memory, 0, length),
  bool: (memory, length) => new Uint8Array(memory, 0, length),
};

/**
 * @param plan made for these inputs
 * @param most workgroups in one dimension: more are laid out in two, and then a few more run than a dispatch has
 * @param subgroup lanes of a subgroup
 */
export function runPlan(
  plan: Plan,
  inputs: readonly HostTensor[],
  most = Infinity,
  subgroup = 8,
): readonly ExactTensor[] {
  const { slots, slotOf } = planMemory(plan, ({ shape }) => 8 * sizeOf(shape));
  const places = slots.map((bytes) => new Uint8Array(bytes).fill(77).buffer);
  const memory = plan.buffers.map(({ type: { shape, dtype }, role }, id): ExactData => {
    if (role.kind === "input") return toExact(inputs[role.position] as HostTensor).data.slice();
    if (role.kind === "constant") return toExact(role.value).data;
    const place = places[slotOf[id] ?? -1];
    return place === undefined
      ? exactData(dtype, sizeOf(shape)).fill(7)
      : ARRAYS[dtype](place, sizeOf(shape));
  });
  const at = (id: BufferId): ExactData => memory[id] as ExactData;
  const iterations: number[] = [];
  const valueOf = (param: Param): number => {
    if (typeof param === "number") return param;
    const iteration = iterations[param.loop];
    if (iteration === undefined) throw new Error(`no loop of depth ${param.loop} is running`);
    return iteration;
  };
  const run = (steps: readonly Step[]): void => {
    for (const step of steps) {
      switch (step.kind) {
        case "dispatch":
          runKernel(step.kernel, {
            buffers: step.buffers.map((id, i) => {
              const part = step.parts?.[i];
              return part === undefined ? at(id) : at(id).subarray(part.offset, part.offset + part.size);
            }),
            params: step.params.map(valueOf),
            workgroups: laidOut(step.workgroups, most),
            subgroup,
          });
          break;
        case "copy":
          at(step.to).set(at(step.from));
          break;
        case "loop": {
          const swap = (): void => {
            for (const [a, b] of step.swaps ?? []) [memory[a], memory[b]] = [at(b), at(a)];
          };
          if (step.length % 2 === 1) swap();
          for (let i = 0; i < step.length; i++) {
            iterations.push(i);
            run(step.steps);
            iterations.pop();
            swap();
          }
          break;
        }
        case "while":
          for (run(step.condition); at(step.flag)[0] === 1; run(step.condition)) run(step.body);
          break;
        case "branch":
          run(at(step.flag)[0] === 1 ? step.onTrue : step.onFalse);
          break;
        default:
          step satisfies never;
      }
    }
  };
  run(plan.steps);
  return plan.outputs.map((id): ExactTensor => {
    const { type } = plan.buffers[id] as PlanBuffer; // outputs are buffers of the plan
    return { ...type, data: at(id) };
  });
}

const laidOut = (workgroups: number, most: number): number => {
  const rows = Math.max(1, Math.ceil(workgroups / most));
  return rows * Math.ceil(workgroups / rows);
};
