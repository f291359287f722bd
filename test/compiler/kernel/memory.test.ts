import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { liveness } from "../../../src/compiler/kernel/liveness.ts";
import { planMemory } from "../../../src/compiler/kernel/memory.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type {
  BufferId,
  Dispatch,
  Plan,
  PlanBuffer,
  Step,
  Swap,
  TargetLimits,
} from "../../../src/compiler/kernel/plan.ts";
import { PlanError, verifyPlan } from "../../../src/compiler/kernel/verify-plan.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import { dispatchOf, randomPlan, simulate } from "./random-plan.ts";

const bytesOf = ({ shape }: TensorType): number => Math.max(16, 4 * sizeOf(shape));

const temporary = (size: number): PlanBuffer => ({
  type: { shape: [size], dtype: "f32" },
  role: { kind: "temporary" },
});
const input: PlanBuffer = { type: { shape: [4], dtype: "f32" }, role: { kind: "input", position: 0 } };
const output: PlanBuffer = { type: { shape: [4], dtype: "f32" }, role: { kind: "output" } };

/** Buffer 0 is the input, 1 the output, 2 and up temporaries of the given sizes. */
const planOf = (sizes: readonly number[], ...steps: readonly Step[]): Plan => ({
  buffers: [input, output, ...sizes.map(temporary)],
  steps,
  inputs: [0],
  outputs: [1],
});

/** A kernel that reads some buffers and writes one. */
const op = (to: BufferId, ...from: readonly BufferId[]): Dispatch =>
  dispatchOf(`to${to}`, ...from.map((id) => ["read", id] as const), ["write", to]);

describe("memory plan", () => {
  it("gives a chain two slots, whatever its length", () => {
    const chain = planOf([4, 4, 4, 4, 4], op(2, 0), op(3, 2), op(4, 3), op(5, 4), op(6, 5), op(1, 6));
    const { slots, slotOf, peakBytes, lowerBoundBytes } = planMemory(chain, bytesOf);
    expect(slotOf.slice(2)).toEqual([0, 1, 0, 1, 0]);
    expect([slots, peakBytes, lowerBoundBytes]).toEqual([[16, 16], 32, 32]);
  });

  it("puts a small temporary into the smallest slot that is free", () => {
    const plan = planOf([100, 20, 10], op(2, 0), op(3, 2), op(1, 3), op(4, 0), op(1, 4));
    const { slots, slotOf } = planMemory(plan, bytesOf);
    expect([slots, slotOf.slice(2)]).toEqual([
      [400, 80],
      [0, 1, 1],
    ]);
  });

  it("leaves out what no step touches, and loops that never run", () => {
    const plan = planOf([4, 4], { kind: "loop", length: 0, steps: [op(2, 0), op(1, 2)] });
    expect(planMemory(plan, bytesOf)).toEqual({
      slots: [],
      slotOf: [undefined, undefined, undefined, undefined],
      peakBytes: 0,
      lowerBoundBytes: 0,
    });
  });

  it("keeps what enters, leaves or is carried through a loop alive through it, and nothing else", () => {
    // 2 enters, 3 is carried, 4 leaves, 5 is of one iteration.
    const plan = planOf(
      [4, 4, 4, 4],
      op(2, 0),
      op(3, 0),
      { kind: "loop", length: 3, steps: [op(5, 2), op(4, 5, 3), op(3, 4)] },
      op(1, 4),
    );
    const intervals = liveness(plan);
    expect([2, 3, 4, 5].map((id) => intervals.get(id))).toEqual([
      { first: 0, last: 4 },
      { first: 1, last: 4 },
      { first: 2, last: 5 },
      { first: 2, last: 3 },
    ]);
  });

  it("takes what a kernel changes in place in a loop as carried over", () => {
    const count = dispatchOf("count", ["read", 0], ["readWrite", 2]);
    const plan = planOf([4, 4], { kind: "loop", length: 3, steps: [op(3, 0), op(1, 3), count] });
    expect(liveness(plan).get(2)).toEqual({ first: 0, last: 2 });
  });

  it("never lets a layout change what a plan computes", () => {
    fc.assert(
      fc.property(randomPlan, fc.array(fc.boolean(), { maxLength: 12 }), (plan, decisions) => {
        const { slotOf } = planMemory(plan, bytesOf);
        const place = (id: BufferId): string => (slotOf[id] === undefined ? `b${id}` : `s${slotOf[id]}`);
        expect(simulate(plan, place, decisions)).toEqual(simulate(plan, (id) => `b${id}`, decisions));
      }),
      { numRuns: 2000 },
    );
  });

  it("never gives two temporaries that are alive together one slot, nor less than the lower bound", () => {
    let shared = 0;
    fc.assert(
      fc.property(randomPlan, (plan) => {
        const { slots, slotOf, peakBytes, lowerBoundBytes } = planMemory(plan, bytesOf);
        const intervals = [...liveness(plan)];
        for (const [a, one] of intervals) {
          const slot = slotOf[a] as number;
          expect(slots[slot]).toBeGreaterThanOrEqual(bytesOf(plan.buffers[a]?.type as TensorType));
          for (const [b, other] of intervals) {
            if (a >= b || slotOf[b] !== slot) continue;
            shared++;
            expect(one.last < other.first || other.last < one.first).toBe(true);
          }
        }
        const ends = Math.max(-1, ...intervals.map(([, { last }]) => last));
        for (let at = 0; at <= ends; at++) {
          const alive = intervals.filter(([, { first, last }]) => first <= at && at <= last);
          const bytes = alive.reduce((sum, [id]) => sum + bytesOf(plan.buffers[id]?.type as TensorType), 0);
          expect(lowerBoundBytes).toBeGreaterThanOrEqual(bytes);
        }
        expect(peakBytes).toBeGreaterThanOrEqual(lowerBoundBytes);
      }),
      { numRuns: 500 },
    );
    expect(shared).toBeGreaterThan(100);
  });

  it("never binds one slot twice in a dispatch", () => {
    const check = (steps: readonly Step[], slotOf: readonly (number | undefined)[]): void => {
      for (const step of steps) {
        if (step.kind === "dispatch") {
          const slots = step.buffers.map((id) => slotOf[id]).filter((slot) => slot !== undefined);
          expect(new Set(slots).size).toBe(slots.length);
        } else if (step.kind === "loop" && step.length > 0) check(step.steps, slotOf);
        else if (step.kind === "while") check([...step.condition, ...step.body], slotOf);
        else if (step.kind === "branch") check([...step.onTrue, ...step.onFalse], slotOf);
      }
    };
    fc.assert(
      fc.property(randomPlan, (plan) => check(plan.steps, planMemory(plan, bytesOf).slotOf)),
      { numRuns: 500 },
    );
  });

  it("is the same each time", () => {
    fc.assert(
      fc.property(randomPlan, (plan) => {
        expect(planMemory(structuredClone(plan), bytesOf)).toEqual(planMemory(plan, bytesOf));
      }),
      { numRuns: 100 },
    );
  });
});

describe("broken plans", () => {
  const refused = (plan: Plan): string => {
    try {
      planMemory(plan, bytesOf);
    } catch (error) {
      expect(error).toBeInstanceOf(PlanError);
      return (error as Error).message.replace("Internal error, broken plan: ", "");
    }
    return "it was accepted";
  };
  const dispatch = op(1, 0);

  it("are refused in a sentence that names the kernel", () => {
    expect(refused(planOf([4], op(2, 0), op(1, 2, 1)))).toBe(
      "kernel to1 binds buffer 1 twice, as its buffers 1 and 2, and writes it.",
    );
    expect(refused(planOf([], op(0)))).toBe("kernel to0 writes buffer 0, whose role is input.");
    expect(refused(planOf([], op(7)))).toBe("there is no buffer 7 among 2.");
    expect(refused(planOf([], { ...dispatch, buffers: [0] }))).toBe(
      "kernel to1 binds 2 buffers, the dispatch names 1.",
    );
    expect(refused(planOf([], { ...dispatch, params: [1] }))).toBe(
      "kernel to1 takes 0 parameters, the dispatch gives 1.",
    );
    const looped = { ...dispatch, kernel: { ...dispatch.kernel, params: 1 }, params: [{ loop: 1 }] };
    expect(refused(planOf([], { kind: "loop", length: 2, steps: [looped] }))).toBe(
      "kernel to1 takes the iteration of loop 1, 1 loops enclose it.",
    );
    expect(refused(planOf([], { ...dispatch, workgroups: 0.5 }))).toBe(
      "kernel to1 is dispatched with 0.5 workgroups.",
    );
    const swapping = (...swaps: readonly Swap[]): Step => ({ kind: "loop", length: 2, steps: [], swaps });
    expect(refused(planOf([4, 4], swapping([2, 3], [3, 2])))).toBe(
      "a loop swaps a buffer twice, of 2, 3, 3, 2.",
    );
    expect(refused(planOf([4, 5], swapping([2, 3])))).toBe("a loop swaps f32[4] and f32[5].");
    expect(refused(planOf([4], swapping([2, 1])))).toBe(
      "a loop swaps buffer 2 with buffer 1, which is no temporary.",
    );
    expect(refused(planOf([4], swapping([0, 2])))).toBe("a loop writes buffer 0, whose role is input.");
    expect(refused(planOf([5], { kind: "copy", from: 0, to: 2 }))).toBe("a copy of f32[4] to f32[5].");
    expect(refused(planOf([4], { kind: "branch", flag: 0, onTrue: [], onFalse: [] }))).toBe(
      "the flag of a branch is f32[4], expected one bool.",
    );
    expect(refused({ ...planOf([4]), outputs: [2] })).toBe("output 0 is buffer 2, a temporary.");
  });

  it("are refused where a part is not in its buffer, or a kernel beyond the limits of the target", () => {
    const part = (offset: number, size: number): Plan => planOf([], { ...dispatch, parts: [{ offset, size }, undefined] }); // prettier-ignore
    expect(refused(part(0, 4))).toBe("it was accepted");
    expect(refused(part(3, 2))).toBe(
      "kernel to1 takes 2 elements from 3 on as its buffer 0, buffer 0 is f32[4].",
    );
    expect(refused(planOf([], { ...dispatch, parts: [] }))).toBe(
      "kernel to1 binds 2 buffers, the dispatch has 0 parts.",
    );
    const beyond = (plan: Plan, limits: Partial<TargetLimits>): (() => Plan) => () => verifyPlan(plan, { ...MINIMUM_LIMITS, ...limits }); // prettier-ignore
    const shared = {
      ...dispatch,
      kernel: { ...dispatch.kernel, shared: [{ type: "f32", length: 9 }] as const },
    };
    expect(beyond(planOf([], shared), { buffers: 2, lanes: 1, sharedBytes: 36, alignment: 3 })).not.toThrow();
    expect(beyond(planOf([], shared), { buffers: 1 })).toThrow(
      "kernel to1 has buffers 2, the target allows 1.",
    );
    expect(beyond(planOf([], shared), { lanes: 0 })).toThrow("kernel to1 has lanes 1, the target allows 0.");
    expect(beyond(planOf([], shared), { sharedBytes: 35 })).toThrow(
      "kernel to1 has sharedBytes 36, the target allows 35.",
    );
    expect(beyond(part(1, 2), { alignment: 2 })).toThrow(
      "kernel to1 binds a buffer from element 1 on, no multiple of 2.",
    );
  });

  it("are refused where they overwrite an input, unless an output takes its place", () => {
    const written: PlanBuffer = { ...input, role: { kind: "input", position: 0, written: true } };
    const plan = { ...planOf([], op(0)), buffers: [written, output] };
    expect(refused(plan)).toBe("input 0 is overwritten, and no output takes its place.");
    expect(refused({ ...plan, outputs: [0] })).toBe("it was accepted");
  });

  it("are refused where a temporary may be read before anything wrote it", () => {
    const flag: PlanBuffer = { type: { shape: [], dtype: "bool" }, role: { kind: "temporary" } };
    const conditional = (onFalse: readonly Step[]): Plan => ({
      buffers: [input, output, temporary(4), flag],
      steps: [
        dispatchOf("test", ["read", 0], ["write", 3, "bool"]),
        { kind: "branch", flag: 3, onTrue: [op(2, 0)], onFalse },
        op(1, 2),
      ],
      inputs: [0],
      outputs: [1],
    });
    const message = "buffer 2, a temporary, may be read before anything wrote it.";
    expect(refused(planOf([4], op(1, 2), op(2, 0)))).toBe(message);
    expect(refused(conditional([]))).toBe(message);
    const test = dispatchOf("test", ["read", 0], ["write", 3, "bool"]);
    const repeated: Step = { kind: "while", condition: [test], flag: 3, body: [op(1, 2)] };
    expect(refused({ ...conditional([]), steps: [repeated] })).toBe(message);
    expect(refused({ ...conditional([]), steps: [{ ...repeated, body: [op(2, 0)] }, op(1, 2)] })).toBe(
      message,
    );
    expect(refused(conditional([op(2, 0)]))).toBe("it was accepted");
    // What enters a loop that swaps 2 and 3 is in 3 if it is odd, also where each iteration writes 3.
    const swapping = (length: number, ...before: readonly Step[]): string =>
      refused(
        planOf([4, 4], ...before, { kind: "loop", length, steps: [op(3, 2)], swaps: [[2, 3]] }, op(1, 2)),
      );
    expect([swapping(1), swapping(2), swapping(3)]).toEqual([
      message.replace("2", "3"),
      message,
      message.replace("2", "3"),
    ]);
    expect([swapping(1, op(3, 0)), swapping(2, op(2, 0)), swapping(3, op(3, 0))]).toEqual(
      Array(3).fill("it was accepted"),
    );
    expect(verifyPlan(conditional([])).outputs).toEqual([1]);
  });
});
