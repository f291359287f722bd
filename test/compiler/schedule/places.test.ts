/** Values are used where they lie, and written where they belong: views as parts of buffers, concats in place. */
import { describe, expect, it } from "vitest";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Dispatch, Plan } from "../../../src/compiler/kernel/plan.ts";
import { MOST_COPIED } from "../../../src/compiler/schedule/assembly.ts";
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

type T = TracedTensor;
const flat = (x: T): T => prim.reshape(x, [x.shape.reduce((a, b) => a * b, 1)]);
/** A part of a vector as a tensor of a shape. */
const part = (x: T, start: number, shape: readonly number[]): T =>
  prim.reshape(prim.sliceAxis(x, 0, start, start + shape.reduce((a, b) => a * b, 1)), shape);

/** The plan, after it was checked against the interpreter. */
function planOf(program: Program, alignment = MINIMUM_LIMITS.alignment): Plan {
  const options = { limits: { ...MINIMUM_LIMITS, alignment } };
  expect(problem(program, countingInputs(program), options, 1e-4)).toBeUndefined();
  return schedule(program, options);
}

describe("views of a stored value", () => {
  const sorted = (start: number): Program =>
    directed((x) => emit("sort", [part(x as T, start, [4, 8])], { axis: 1 }), [f32(400)]); // prettier-ignore

  it("are given to a routine as part of the buffer where a binding may begin", () => {
    expect(copiesOf(planOf(sorted(128)))).toEqual([]);
    expect(copiesOf(planOf(sorted(129)))).toHaveLength(1);
    expect(copiesOf(planOf(sorted(0)))).toEqual([]);
    const [sort] = dispatchesOf(planOf(sorted(128))) as readonly [Dispatch];
    expect(sort.parts?.[0]).toEqual({ offset: 128, size: 32 });
  });

  it("are copied for a routine where they do not lie side by side", () => {
    const every = (params: Parameters<typeof prim.slice>[1]): Program =>
      directed((x) => emit("sort", [prim.slice(x as T, params)], { axis: 1 }), [f32(4, 6)]);
    const copies = (start: number[], stop: number[], step: number[]): number =>
      dispatchesOf(planOf(every({ start, stop, step }), 1)).filter(({ kernel }) => kernel.name.startsWith("map")).length; // prettier-ignore
    expect(copies([0, 0], [4, 6], [2, 1])).toBe(1);
    expect(copies([0, 1], [4, 3], [1, 1])).toBe(1);
    expect(copies([1, 1], [2, 5], [3, 1])).toBe(0);
    expect(copies([2, 0], [3, 6], [1, 2])).toBe(1);
    expect(copies([2, 3], [3, 4], [5, 7])).toBe(0);
  });

  it("are what a loop takes, wherever they begin", () => {
    const body = directed((w, c, x) => [prim.add(prim.mul(c as T, w as T), x as T), c as T], vectors(3, [2, 3])); // prettier-ignore
    const program = directed(
      (all) =>
        emit("scan", [part(all as T, 1, [2, 3]), part(all as T, 7, [2, 3]), part(all as T, 13, [5, 2, 3])], {
          body,
          length: 5,
          consts: 1,
          carry: 1,
          reverse: true,
        }),
      [f32(50)],
    );
    // What is copied is the start of the carry.
    expect(copiesOf(planOf(program)).filter((step) => step.kind === "dispatch" && step.ops.includes("copy"))).toHaveLength(2); // prettier-ignore
  });

  it("are read by kernels from where they begin, without a copy", () => {
    const program = directed(
      (all, x) => [prim.add(product(x as T, part(all as T, 128, [6, 4])), part(all as T, 256, [3, 4]))],
      [f32(300), f32(3, 6)],
    );
    const [dot] = dispatchesOf(planOf(program)) as readonly [Dispatch];
    expect(dot.parts).toContainEqual({ offset: 128, size: 24 });
    const [whole] = dispatchesOf(planOf(program, 100)) as readonly [Dispatch];
    // 24 and 12 elements of the 300, 18 of the input, 12 results.
    expect([planOf(program, 100).steps.length, whole.parts, whole.bytes]).toEqual([1, undefined, 4 * 66]);
  });

  it("are bound as one whole buffer when there are too many", () => {
    const program = directed(
      (all, ...rest) => [
        [2, 4, 6, 8].map((start) => part(all as T, start, [2])).reduce((a, b) => prim.mul(a, b), [...rest].reduce((a, b) => prim.mul(a, b)) as T),
      ], // prettier-ignore
      [f32(20), ...vectors(5, [2])],
    );
    const [map] = dispatchesOf(planOf(program, 2)) as readonly [Dispatch];
    expect([map.buffers.length, map.parts]).toEqual([7, undefined]);
  });
});

describe("a concat of many parts", () => {
  const types = [f32(5, 3), f32(5, 7), f32(5, 2), f32(4)];
  /** Results of dots, of sums, and of what follows them. */
  const gradients = (x: T, y: T, z: T): readonly T[] => {
    const transposed = prim.transpose(x, [1, 0]);
    return [
      flat(product(transposed, y)),
      prim.reduceSum(y, [0]),
      flat(prim.tanh(product(transposed, z))),
      prim.reduceSum(x, [0]),
      flat(prim.cast(prim.cast(product(transposed, x), "f16"), "f32")),
    ];
  };

  it.each([1, 2, 128])("is written in place by the kernels of its parts (alignment %i)", (alignment) => {
    const program = directed((x, y, z) => [prim.scale(prim.concat(gradients(x as T, y as T, z as T), 0), 2)], types); // prettier-ignore
    const plan = planOf(program, alignment);
    expect(copiesOf(plan)).toEqual([]);
    expect(dispatchesOf(plan)).toHaveLength(6);
  });

  it("is written in place where it is a result itself", () => {
    const program = directed((x, y, z) => [prim.concat(gradients(x as T, y as T, z as T), 0)], types);
    expect(copiesOf(planOf(program))).toEqual([]);
    expect(dispatchesOf(planOf(program))).toHaveLength(5);
  });

  it("takes what others hold by as few kernels as the limits allow", () => {
    const program = directed(
      (...inputs) => [prim.concat(inputs as readonly T[] as T[], 0)],
      vectors(16, [3]),
    );
    expect(copiesOf(planOf(program))).toHaveLength(Math.ceil(16 / 7));
  });

  it("takes many parts of one buffer by kernels of bounded length", () => {
    const program = directed((x) => {
      const pairs = Array.from({ length: 100 }, (_, i) => prim.sliceAxis(x as T, 0, 198 - 2 * i, 200 - 2 * i));
      return [prim.concat(pairs, 0)];
    }, [f32(200)]); // prettier-ignore
    expect(dispatchesOf(planOf(program))).toHaveLength(Math.ceil(100 / MOST_COPIED));
  });

  it("has a part twice, a part that is returned, a part that is a part, and a part of nothing", () => {
    const program = directed((x, y, z, w) => {
      const parts = gradients(x as T, y as T, z as T);
      const inner = prim.concat(parts, 0);
      const twice = parts[1] as T;
      return [prim.concat([w as T, inner, twice, prim.sliceAxis(twice, 0, 1, 4), prim.sliceAxis(w as T, 0, 2, 2), prim.scale(w as T, 3)], 0), parts[2] as T]; // prettier-ignore
    }, types);
    // The result that is returned on its own is copied, and what is no node.
    expect(copiesOf(planOf(program)).length).toBeLessThanOrEqual(2);
  });

  it("may have parts that depend on other parts", () => {
    const program = directed((x) => {
      const parts = [prim.reduceSum(x as T, [0])];
      for (let i = 0; i < 4; i++) parts.push(prim.cumsum(i === 2 ? prim.tanh(parts.at(-1) as T) : (parts.at(-1) as T), 0, false)); // prettier-ignore
      return [prim.scale(prim.concat(parts, 0), 2)];
    }, [f32(3, 4)]); // prettier-ignore
    planOf(program, 1);
    planOf(program, 4);
    planOf(program, 128);
  });

  it.each([1, 64, 128])("may have several results of a routine (alignment %i)", (alignment) => {
    const sorted = directed((x) => {
      const [values, positions] = emit("sort", [x as T], { axis: 1 }) as readonly [T, T];
      return [prim.concat([flat(x as T), flat(values), flat(positions), flat(x as T)], 0)];
    }, vectors(1, [16, 8], "i32")); // prettier-ignore
    const gradients = directed((q, k, v, ct) => {
      const params = { scale: 0.1, softcap: 0, causal: false };
      const operands = [q as T, k as T, v as T];
      const [o, lse] = emit("attention", operands, params) as readonly [T, T];
      const cotangents = emit("attentionTranspose", [...operands, o, lse, ct as T, lse], params);
      return [prim.concat([...cotangents, q as T, o, lse].map(flat), 0)];
    }, vectors(4, [1, 16, 8])); // prettier-ignore
    for (const program of [sorted, gradients]) planOf(program, alignment);
  });

  it("may be what a loop stacks, and what it carries", () => {
    const body = directed(
      (c, x) => {
        const halves = [0, 1, 2, 3].map((i) => prim.sliceAxis(prim.cumsum(prim.scale(prim.mul(c as T, x as T), i), 0, false), 0, 2, 4)); // prettier-ignore
        return [prim.concat([...halves, ...halves], 0), prim.concat(halves, 0)];
      },
      [f32(16), f32(16)],
    );
    const scan = { body, length: 3, consts: 0, carry: 1, reverse: false };
    planOf(directed((c, xs) => emit("scan", [c as T, xs as T], scan), [f32(16), f32(3, 16)]));
  });
});
