/** Results take the place of donated inputs and of what loops carry, where nothing needs the old value any more. */
import { describe, expect, it } from "vitest";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Plan } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { emit } from "../../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import {
  copiesOf,
  countingInputs,
  directed,
  dispatchesOf,
  f32,
  problem,
  product,
  vectors,
} from "../../support/scheduled.ts";
import { flatUpdate, SIZES } from "../../support/flat-update.ts";

type T = TracedTensor;

/** The plan with all inputs donated that are named, after it was checked against the interpreter. */
function planOf(program: Program, ...donated: readonly number[]): Plan {
  expect(problem(program, countingInputs(program), { donated }, 1e-4)).toBeUndefined();
  return schedule(program, { donated });
}
/** For each output the position of the input that it replaces. */
const replacedBy = ({ buffers, outputs }: Plan): readonly (number | undefined)[] =>
  outputs.map((id) => {
    const role = buffers[id]?.role;
    return role?.kind === "input" && role.written === true ? role.position : undefined;
  });
const bindingsOf = (plan: Plan): readonly number[] => dispatchesOf(plan).map(({ buffers }) => buffers.length);

describe("a donated input", () => {
  const sum = directed((x, y) => [prim.add(x as T, y as T)], vectors(2, [5]));

  it("is replaced by a result that is computed from it element by element, and bound once", () => {
    const plan = planOf(sum, 0);
    expect([replacedBy(plan), bindingsOf(plan)]).toEqual([[0], [2]]);
    expect(plan.buffers).toHaveLength(2);
    expect(replacedBy(planOf(sum, 1))).toEqual([1]);
    expect(replacedBy(planOf(sum))).toEqual([undefined]);
  });

  it("is one of several that one kernel replaces", () => {
    const both = directed((x, y) => [prim.sub(x as T, y as T), prim.add(x as T, y as T)], vectors(2, [5]));
    const plan = planOf(both, 1, 0);
    expect([new Set(replacedBy(plan)), bindingsOf(plan)]).toEqual([new Set([0, 1]), [2]]);
  });

  it("is replaced by a result of the same type only", () => {
    const wide = directed(
      (x) => [prim.reshape(prim.tanh(x as T), [5, 1]), prim.cast(x as T, "i32")],
      [f32(5)],
    );
    expect(replacedBy(planOf(wide, 0))).toEqual([undefined, undefined]);
  });

  it("stays where it is returned as well, or read at other elements", () => {
    const kept = directed((x) => [prim.tanh(x as T), x as T], [f32(5)]);
    expect(replacedBy(planOf(kept, 0))).toEqual([undefined, undefined]);
    const turned = directed((x) => [prim.add(x as T, prim.transpose(x as T, [1, 0]))], [f32(3, 3)]);
    expect(replacedBy(planOf(turned, 0))).toEqual([undefined]);
    const spread = directed((x) => [prim.add(x as T, prim.broadcast(prim.reduceSum(x as T, [0]), [5], []))], [f32(5)]); // prettier-ignore
    expect(replacedBy(planOf(spread, 0)).length).toBe(1);
  });

  it("is replaced after all that reads it, also where that comes later in the program", () => {
    const late = directed((x, w) => [prim.tanh(x as T), product(x as T, w as T)], [f32(3, 3), f32(3, 3)]);
    const plan = planOf(late, 0);
    expect(replacedBy(plan)).toEqual([0, undefined]);
    expect(dispatchesOf(plan).map(({ ops }) => ops[0])).toEqual(["dot", "tanh"]);
  });

  it("stays where what reads it needs the result", () => {
    const cycle = directed((x) => {
      const y = prim.tanh(x as T);
      return [y, product(y, x as T)];
    }, [f32(3, 3)]); // prettier-ignore
    // The product takes its place instead of y: it reads it, so neither may.
    expect(replacedBy(planOf(cycle, 0))).toEqual([undefined, undefined]);
  });

  it("is replaced by what follows a dot, but not where the dot reads it", () => {
    const step = (x: T, y: T, w: T): T => prim.add(x, product(y, w));
    const types = vectors(3, [4, 4]);
    const residual = directed((x, y, w) => [step(x as T, y as T, w as T)], types);
    expect([replacedBy(planOf(residual, 0)), bindingsOf(planOf(residual, 0))]).toEqual([[0], [3]]);
    expect(replacedBy(planOf(residual, 1, 2))).toEqual([undefined]);
    const own = directed((x, w) => [step(x as T, x as T, w as T)], types.slice(0, 2));
    expect(replacedBy(planOf(own, 0))).toEqual([undefined]);
  });

  it("is replaced by any kernel that does not read it, when all others have", () => {
    const program = directed((x, y) => [prim.reduceMax(y as T, [1]), prim.cumsum(y as T, 1, false), prim.reduceSum(x as T, [0])], [f32(6), f32(6, 9)]); // prettier-ignore
    expect(replacedBy(planOf(program, 0, 1))).toEqual([0, undefined, undefined]);
  });

  it("is loaded before a result that does not need it is stored over it", () => {
    const program = directed((x, y) => [prim.tanh(y as T), prim.cast(prim.add(y as T, x as T), "i32")], vectors(2, [5])); // prettier-ignore
    const plan = planOf(program, 0);
    expect([replacedBy(plan), bindingsOf(plan)]).toEqual([[0, undefined], [3]]);
  });

  it("stays where a result is assembled, the first part of which comes early", () => {
    const program = directed((x, ...weights) => {
      const row = prim.reshape(x as T, [1, 4]);
      return [prim.concat(weights.map((w) => prim.reshape(product(row, w as T), [1])), 0)];
    }, [f32(4), ...vectors(4, [4, 1])]); // prettier-ignore
    expect(replacedBy(planOf(program, 0))).toEqual([undefined]);
  });

  it("makes room in a kernel, and none that is not there", () => {
    // Nine buffers, of which two results take the place of inputs.
    const seven = (...xs: readonly T[]): T => xs.reduce((a, b) => prim.add(a, b));
    const program = directed(
      (...xs) => {
        const all = xs as readonly T[] as T[];
        const y = seven(...all);
        return [y, prim.mul(y, all[0] as T), prim.mul(y, all[1] as T)];
      },
      vectors(7, [5]),
    );
    expect(bindingsOf(planOf(program, 0, 1))).toEqual([8]);
    expect(bindingsOf(planOf(program, 0)).length).toBeGreaterThan(1);
    const late = directed(
      (...xs) => {
        const all = xs as readonly T[] as T[];
        const y = seven(...all);
        const z = prim.mul(y, all[0] as T);
        return [y, z, prim.mul(y, all[1] as T), prim.cumsum(prim.mul(z, all[0] as T), 0, true)];
      },
      vectors(7, [5]),
    );
    planOf(late, 0, 1);
  });
});

describe("what a loop carries", () => {
  const loop = (step: (c: T, w: T) => T, length = 3): Plan => {
    const body = directed((w, c) => [step(c as T, w as T)], vectors(2, [4, 4]));
    const params = { body, length, consts: 1, carry: 1, reverse: false };
    return planOf(directed((w, c) => emit("scan", [w as T, c as T], params), vectors(2, [4, 4])));
  };
  // The start of the carry is copied to its place.
  it("is replaced in place where each element needs its own only", () => {
    expect(copiesOf(loop((c, w) => prim.tanh(prim.add(c, w))))).toHaveLength(1);
    expect(copiesOf(loop((c, w) => prim.add(c, product(w, w))))).toHaveLength(1);
  });
  it("exchanges its place with the next where others are needed, and copies nothing", () => {
    for (const plan of [
      loop((c, w) => prim.add(c, product(c, w))),
      loop((c, w) => prim.add(w, prim.transpose(c, [1, 0]))),
      loop((c, w) => prim.add(w, prim.transpose(c, [1, 0])), 4),
    ]) {
      expect(copiesOf(plan)).toHaveLength(1);
      expect(plan.steps.flatMap((step) => (step.kind === "loop" ? (step.swaps ?? []) : []))).toHaveLength(1);
    }
  });
  it("may change places", () => {
    const body = directed((a, b) => [b as T, prim.add(a as T, b as T)], vectors(2, [4]));
    const params = { body, length: 5, consts: 0, carry: 2, reverse: false };
    planOf(
      directed((a, b) => emit("scan", [a as T, b as T], params), vectors(2, [4])),
      0,
      1,
    );
  });
  it("may be stacked as well, before and after", () => {
    const body = directed((a) => {
      const next = prim.tanh(a as T);
      return [next, a as T, next];
    }, vectors(1, [4])); // prettier-ignore
    const params = { body, length: 5, consts: 0, carry: 1, reverse: false };
    planOf(
      directed((a) => emit("scan", [a as T], params), vectors(1, [4])),
      0,
    );
  });
});

describe("an update of 40 parameters in flat vectors", () => {
  it("takes few kernels after the gradients, copies nothing and holds the state once", () => {
    const { program, donated, inputNames } = flatUpdate();
    const plan = schedule(program, { donated });
    expect(SIZES).toHaveLength(40);
    expect(copiesOf(plan)).toEqual([]);
    const total = SIZES.reduce((sum, size) => sum + size, 0);
    // What comes after the last gradient reads or writes a vector of all parameters as a whole, or sums a norm.
    const gradients = plan.buffers.findIndex(
      ({ type, role }) => role.kind === "temporary" && type.shape.join() === `${total}`,
    );
    const dispatches = dispatchesOf(plan);
    const last = dispatches.findLastIndex(({ buffers, kernel }) =>
      buffers.some((id, i) => id === gradients && kernel.buffers[i]?.access !== "read"),
    );
    const after = dispatches.slice(last + 1);
    const norm = after.filter(({ ops }) => ops.includes("reduceSum"));
    const rest = after.filter(({ ops }) => !ops.includes("reduceSum"));
    expect(norm.length).toBeLessThanOrEqual(2);
    expect(rest.length).toBeLessThanOrEqual(4);
    // Parameters, both averages, the moving average and the count of updates.
    const vectorsOut = plan.outputs.filter((id) => plan.buffers[id]?.type.shape.join() === `${total}`);
    expect(vectorsOut.map((id) => plan.buffers[id]?.role)).toEqual(
      vectorsOut.map(() => expect.objectContaining({ kind: "input", written: true }) as unknown),
    );
    expect(inputNames.length).toBe(plan.inputs.length);
    const full = (plan: Plan): number =>
      plan.buffers.filter(({ type }) => type.shape.join() === `${total}`).length;
    expect([full(plan), full(schedule(program))]).toEqual([5, 9]);
  });

  it("is one kernel where ten buffers can be bound", () => {
    const { program, donated } = flatUpdate();
    const plan = schedule(program, { donated, limits: { ...MINIMUM_LIMITS, buffers: 10 } });
    const updates = dispatchesOf(plan).filter(({ kernel }) => kernel.buffers.filter(({ access }) => access === "readWrite").length > 1); // prettier-ignore
    expect(updates).toHaveLength(1);
  });

  it("computes what the interpreter does", () => {
    const { program, donated, inputs } = flatUpdate();
    expect(problem(program, inputs, { donated }, 1e-3)).toBeUndefined();
    expect(problem(program, inputs, {}, 1e-3)).toBeUndefined();
  });
});
