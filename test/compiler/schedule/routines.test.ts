/** Prefix sums, sorting and scattering against the interpreter, at sizes around those of their blocks. */
import { describe, expect, it, vi } from "vitest";
import { exactTensor, toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { cumsum } from "../../../src/compiler/schedule/routines/cumsum.ts";
import { scatterAdd } from "../../../src/compiler/schedule/routines/scatter-add.ts";
import { sort } from "../../../src/compiler/schedule/routines/sort.ts";
import type { RoutineRule } from "../../../src/compiler/schedule/routines/routine.ts";
import type { OpKind, OpParams } from "../../../src/dsl/program/program.ts";
import { outputTypes, sizeOf } from "../../../src/dsl/program/program.ts";
import type { DType } from "../../../src/dsl/types/dtype.ts";
import { difference, program } from "../../support/programs.ts";
import { PLAN_RUNNERS, planOf } from "../../support/stage-plan.ts";
import type { RunPlan } from "../../support/stage-plan.ts";

// Software adapters take seconds to compile a kernel.
vi.setConfig({ testTimeout: 120_000 });

/** Numbers that look random, below 2³². */
const words = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
    return (x ^ (x >>> 13)) >>> 0;
  });

/** Floats are multiples of 1/4 below 8, whose sums f32 holds exactly; integers are whole words. */
function values(dtype: DType, shape: readonly number[], seed: number): ExactTensor {
  const size = sizeOf(shape);
  const numbers = words(size, seed).map((x) =>
    dtype === "f32" || dtype === "f16" ? ((x % 63) - 31) / 4 : x,
  );
  return exactTensor(dtype, shape, numbers);
}

/** What a routine computes, and what the interpreter does. */
async function compare<K extends OpKind>(
  run: RunPlan,
  op: K,
  rule: RoutineRule<K>,
  inputs: readonly HostTensor[],
  params: OpParams[K],
  surplus = 0,
): Promise<void> {
  const types = inputs.map(({ shape, dtype }) => ({ shape, dtype }));
  const one = program(types, (w, ...ids) => w.all(op, ids, params));
  const outputs = outputTypes(one);
  const routine = rule(types, params, outputs, MINIMUM_LIMITS);
  const stages = routine.stages.map((stage) => ({ ...stage, workgroups: stage.workgroups + surplus }));
  const actual = await run(planOf({ ...routine, stages }, types, outputs), inputs);
  const expected = interpret(one, inputs).map((tensor) => toExact(toStorage(tensor)));
  expect(difference(actual, expected, 1e-6)).toBeUndefined();
}

describe.each(PLAN_RUNNERS)("%s", (where, run) => {
  const host = where === "on the host";
  const only = <T>(cases: readonly T[], fewer: readonly T[]): readonly T[] => (host ? cases : fewer);

  describe("cumsum", () => {
    const sizes = only([1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 1023, 1024, 1025, 4097], [7, 65, 1025]);
    it.each(sizes)("along a line of %i", async (n) => {
      for (const reverse of [false, true])
        await compare(run, "cumsum", cumsum, [values("f32", [2, n], n)], { axis: 1, reverse });
    });
    it.each(["f16", "i32", "u32"] as const)("of %s", async (dtype) => {
      await compare(run, "cumsum", cumsum, [values(dtype, [3, 5, 2], 1)], { axis: 1, reverse: false });
      const x =
        dtype === "f16"
          ? exactTensor(
              dtype,
              [1100],
              words(1100, 2).map((x) => x % 2),
            )
          : values(dtype, [1100], 2);
      await compare(run, "cumsum", cumsum, [x], { axis: 0, reverse: true });
    });
    it("along axes before others", async () => {
      await compare(run, "cumsum", cumsum, [values("f32", [2, 70, 3], 3)], { axis: 1, reverse: true });
      await compare(run, "cumsum", cumsum, [values("f32", [3, 1030, 2], 4)], { axis: 1, reverse: false });
      await compare(run, "cumsum", cumsum, [values("i32", [70, 4100], 5)], { axis: 0, reverse: false });
    });
    it("of blocks of blocks", async () => {
      await compare(run, "cumsum", cumsum, [values("u32", [2 ** 17 + 3], 6)], { axis: 0, reverse: true });
    });
  });

  describe("sort", () => {
    const sizes = only(
      [1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1025, 4097],
      [3, 64, 129, 1300],
    );
    it.each(sizes)("along a line of %i", async (n) => {
      await compare(run, "sort", sort, [values("f32", [3, n], n)], { axis: 1 });
    });
    it.each(["f16", "i32", "u32"] as const)("of %s, along an axis before another", async (dtype) => {
      await compare(run, "sort", sort, [values(dtype, [2, 33, 5], 1)], { axis: 1 });
      await compare(run, "sort", sort, [values(dtype, [600, 2], 2)], { axis: 0 });
    });
    it("puts NaN last and keeps the order of equals", async () => {
      for (const n of [40, 600]) {
        const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 3.4e38, -3.4e38];
        const x = exactTensor(
          "f32",
          [n],
          words(n, 3).map((word) => Math.fround(special[word % special.length] as number)),
        );
        await compare(run, "sort", sort, [x], { axis: 0 });
      }
    });
  });

  describe("scatterAdd", () => {
    interface Case {
      readonly operand: readonly number[];
      readonly indices: readonly number[];
      readonly axis: number;
      readonly batchDims: number;
      readonly dtype?: DType;
      /** The indices are taken modulo this. */
      readonly spread?: number;
    }
    async function scatter({
      operand,
      indices,
      axis,
      batchDims,
      dtype = "f32",
      spread = 2 ** 31,
    }: Case): Promise<void> {
      const size = operand[axis] as number;
      // Some are out of range, on both sides.
      const where = words(sizeOf(indices), 7).map((x) => (x % Math.min(spread, size + 4)) - 2);
      const updates = [...operand.slice(0, axis), ...indices.slice(batchDims), ...operand.slice(axis + 1)];
      const inputs = [
        values(dtype, operand, 8),
        exactTensor("i32", indices, where),
        values(dtype, updates, 9),
      ];
      await compare(run, "scatterAdd", scatterAdd, inputs, { axis, batchDims });
    }
    const FEW: readonly (readonly [name: string, Case])[] = [
      ["no updates", { operand: [3, 4], indices: [0], axis: 0, batchDims: 0 }],
      ["one index", { operand: [3, 4], indices: [], axis: 0, batchDims: 0 }],
      ["few updates", { operand: [7, 3], indices: [9], axis: 0, batchDims: 0 }],
      ["an axis within", { operand: [2, 5, 3], indices: [2, 2], axis: 1, batchDims: 0 }],
      ["a batch", { operand: [3, 2, 5, 3], indices: [3, 4], axis: 2, batchDims: 1 }],
      ["i32", { operand: [7, 3], indices: [9], axis: 0, batchDims: 0, dtype: "i32" }],
    ];
    const MANY: readonly (readonly [name: string, Case])[] = [
      ["sorted", { operand: [130, 80], indices: [127], axis: 0, batchDims: 0 }],
      ["in blocks", { operand: [90, 40], indices: [300], axis: 0, batchDims: 0 }],
      ["mostly to one row", { operand: [90, 40], indices: [300], axis: 0, batchDims: 0, spread: 4 }],
      ["in several runs", { operand: [70, 9], indices: [2100], axis: 0, batchDims: 0 }],
      ["in batches", { operand: [2, 3, 50, 20], indices: [2, 10, 30], axis: 2, batchDims: 1, spread: 9 }],
      ["f16", { operand: [90, 40], indices: [300], axis: 0, batchDims: 0, dtype: "f16" }],
      ["u32", { operand: [90, 40], indices: [300], axis: 0, batchDims: 0, dtype: "u32" }],
    ];
    it.each([...FEW, ...MANY])("%s", (_name, one) => scatter(one));
  });
});

describe("workgroups beyond the last stay idle in", () => {
  const [, host] = PLAN_RUNNERS[0] as (typeof PLAN_RUNNERS)[number];
  const indices = exactTensor("i32", [300], words(300, 1).map((x) => x % 50)); // prettier-ignore

  it("cumsum", async () => {
    for (const n of [9, 70, 1100])
      await compare(host, "cumsum", cumsum, [values("f32", [2, n], n)], { axis: 1, reverse: false }, 3);
  });
  it("sort", async () => {
    for (const n of [9, 600]) await compare(host, "sort", sort, [values("f32", [3, n], n)], { axis: 1 }, 3);
  });
  it("scatterAdd", async () => {
    for (const inner of [3, 90]) {
      const inputs = [values("f32", [50, inner], 1), indices, values("f32", [300, inner], 2)];
      await compare(host, "scatterAdd", scatterAdd, inputs, { axis: 0, batchDims: 0 }, 3);
    }
  });
});
