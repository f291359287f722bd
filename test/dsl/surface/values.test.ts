// What every surface function computes, against plain JavaScript written out here: scalar functions through broadcasting,
// reductions over every choice of axes, reshaping, and the two little languages against brute force.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as dsl from "../../../src/dsl/index.ts";
import type { DType, Shape, Tensor } from "../../../src/dsl/index.ts";
import { exactTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import { tensor } from "../../support/programs.ts";
import { gap, randomLike, run, runs, traced } from "../transforms/harness.ts";
import type { Values } from "../transforms/harness.ts";

type T = Tensor<Shape, "f32">;
type Any = Tensor;

/** Runs a function of tensors on values; it may return one tensor or several. */
function evaluate(inputs: Values, f: (...xs: never[]) => unknown): Values {
  const types = inputs.map(({ shape, dtype }) => ({ shape, dtype }));
  const p = traced(types, (...xs) => {
    const result = f(...(xs as never[]));
    return (Array.isArray(result) ? result : [result]) as Tensor[];
  });
  return run(p, inputs);
}

const one = (inputs: Values, f: (...xs: never[]) => unknown): ExactTensor =>
  evaluate(inputs, f)[0] as ExactTensor;

/** All indices of a shape, in row-major order. */
function indices(shape: readonly number[]): (readonly number[])[] {
  return shape.reduce<(readonly number[])[]>(
    (list, dim) => list.flatMap((index) => Array.from({ length: dim }, (_, i) => [...index, i])),
    [[]],
  );
}

const offset = (shape: readonly number[], index: readonly number[]): number =>
  shape.reduce((at, dim, i) => at * dim + (index[i] as number), 0);

/** Entry of a tensor, whose axes of size 1 stretch and whose leading ones may be missing. */
function at(x: ExactTensor, index: readonly number[]): number {
  const own = index.slice(index.length - x.shape.length).map((i, axis) => (x.shape[axis] === 1 ? 0 : i));
  return x.data[offset(x.shape, own)] as number;
}

const build = (
  dtype: DType,
  shape: readonly number[],
  entry: (index: readonly number[]) => number,
): ExactTensor => exactTensor(dtype, shape, indices(shape).map(entry));

function stretched(...shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, i) => {
    const dims = shapes.map((shape) => shape[shape.length - rank + i] ?? 1);
    return dims.find((dim) => dim !== 1) ?? 1;
  });
}

const close = (actual: ExactTensor, expected: ExactTensor): void =>
  expect(gap([actual], [expected])).toBeLessThan(1e-12);

const erf = (x: number): number => {
  // Simpson's rule; good to 1e-13 on [-3, 3].
  const n = 2000;
  let sum = 0;
  for (let i = 0; i <= n; i++)
    sum += (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-(((x * i) / n) ** 2));
  return ((2 / Math.sqrt(Math.PI)) * x * sum) / (3 * n);
};

const unary: {
  readonly [name: string]: readonly [f: (x: T) => Any, g: (x: number) => number, positive?: boolean];
} = {
  neg: [dsl.neg, (x) => -x],
  abs: [dsl.abs, Math.abs],
  sign: [dsl.sign, Math.sign],
  floor: [dsl.floor, Math.floor],
  exp: [dsl.exp, Math.exp],
  log: [dsl.log, Math.log, true],
  sin: [dsl.sin, Math.sin],
  cos: [dsl.cos, Math.cos],
  tanh: [dsl.tanh, Math.tanh],
  sqrt: [dsl.sqrt, Math.sqrt, true],
  rsqrt: [dsl.rsqrt, (x) => 1 / Math.sqrt(x), true],
  erf: [dsl.erf, erf],
  sigmoid: [dsl.sigmoid, (x) => 1 / (1 + Math.exp(-x))],
  square: [dsl.square, (x) => x * x],
  relu: [dsl.relu, (x) => Math.max(x, 0)],
  silu: [dsl.silu, (x) => x / (1 + Math.exp(-x))],
  gelu: [dsl.gelu, (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))],
  softplus: [dsl.softplus, (x) => Math.log1p(Math.exp(x))],
  stopGradient: [dsl.stopGradient, (x) => x],
  zerosLike: [dsl.zerosLike, () => 0],
  onesLike: [dsl.onesLike, () => 1],
  softcap: [(x) => dsl.softcap(x, 1.5), (x) => 1.5 * Math.tanh(x / 1.5)],
  clip: [(x) => dsl.clip(x, -0.5, 1), (x) => Math.min(Math.max(x, -0.5), 1)],
};

describe("functions of one tensor", () => {
  it.each(Object.entries(unary))("%s", (_, [f, g, positive]) => {
    const x = randomLike(
      [{ shape: [2, 3, 2], dtype: "f32" }],
      1,
      positive === true ? 0.1 : -2.5,
      2.5,
    )[0] as ExactTensor;
    close(
      one([x], f as never),
      build("f32", x.shape, (i) => g(at(x, i))),
    );
    const empty = tensor("f32[0,2]", []);
    expect(one([empty], f as never).shape).toEqual([0, 2]);
  });

  it("softplus, sigmoid, silu, gelu and softcap do not overflow", () => {
    const x = tensor("f32[4]", [-1e4, -800, 800, 1e4]);
    const values = (f: (x: T) => Any): number[] => toNumbers(one([x], f as never));
    expect(values(dsl.softplus)).toEqual([0, 0, 800, 1e4]);
    expect(values(dsl.sigmoid)).toEqual([0, 0, 1, 1]);
    expect(values(dsl.silu).map((v) => v + 0)).toEqual([0, 0, 800, 1e4]);
    expect(values(dsl.gelu).map((v) => v + 0)).toEqual([0, 0, 800, 1e4]);
    expect(values((t) => dsl.softcap(t, 2))).toEqual([-2, -2, 2, 2]);
  });
});

/** Rounded down, so that equal values occur; also for a number in place of a tensor. */
const whole = (x: T): T => (typeof x === "number" ? (Math.floor(x) as never) : dsl.floor(x));

const binary: {
  readonly [name: string]: readonly [
    f: (x: T, y: T) => Any,
    g: (x: number, y: number) => number,
    dtype?: DType,
  ];
} = {
  add: [dsl.add, (x, y) => x + y],
  sub: [dsl.sub, (x, y) => x - y],
  mul: [dsl.mul, (x, y) => x * y],
  div: [dsl.div, (x, y) => x / y],
  rem: [dsl.rem, (x, y) => x % y],
  pow: [(x, y) => dsl.pow(dsl.abs(x), y), (x, y) => Math.abs(x) ** y],
  maximum: [dsl.maximum, Math.max],
  minimum: [dsl.minimum, Math.min],
  equal: [(x, y) => dsl.equal(whole(x), whole(y)), (x, y) => Number(Math.floor(x) === Math.floor(y)), "bool"],
  less: [dsl.less, (x, y) => Number(x < y), "bool"],
  lessEqual: [
    (x, y) => dsl.lessEqual(whole(x), whole(y)),
    (x, y) => Number(Math.floor(x) <= Math.floor(y)),
    "bool",
  ],
  greater: [dsl.greater, (x, y) => Number(x > y), "bool"],
  greaterEqual: [
    (x, y) => dsl.greaterEqual(whole(x), whole(y)),
    (x, y) => Number(Math.floor(x) >= Math.floor(y)),
    "bool",
  ],
};

const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []], [[], [3]], [[2, 3], [3]], [[2, 1], [1, 3]], [[2, 1, 2], [3, 1]], [[1], [0]], [[0, 3], [1, 1]], [[1, 1, 1], [2]], [[0], [0]],
]; // prettier-ignore

describe("functions of two tensors broadcast", () => {
  it.each(Object.entries(binary))("%s", (_, [f, g, dtype]) => {
    for (const [a, b] of pairs) {
      const [x, y] = randomLike(
        [
          { shape: a, dtype: "f32" },
          { shape: b, dtype: "f32" },
        ],
        2,
        -2,
        2,
      ) as [ExactTensor, ExactTensor];
      close(
        one([x, y], f as never),
        build(dtype ?? "f32", stretched(a, b), (i) => g(at(x, i), at(y, i))),
      );
      close(
        one([x], ((t: T) => f(t, 0.7 as never)) as never),
        build(dtype ?? "f32", a, (i) => g(at(x, i), 0.7)),
      );
      close(
        one([y], ((t: T) => dsl.sub(1.5, t)) as never),
        build("f32", b, (i) => 1.5 - at(y, i)),
      );
    }
  });

  it("integers and bools: bits, shifts, wrapping, numbers as operands", () => {
    const [x, y] = [tensor("u32[4]", [0, 1, 2 ** 31, 2 ** 32 - 1]), tensor("u32[4]", [31, 32, 1, 3])];
    const values = (f: (a: never, b: never) => Any): number[] => toNumbers(one([x, y], f as never));
    expect(values(dsl.and)).toEqual([0, 0, 0, 3]);
    expect(values(dsl.or)).toEqual([31, 33, 2 ** 31 + 1, 2 ** 32 - 1]);
    expect(values(dsl.xor)).toEqual([31, 33, 2 ** 31 + 1, 2 ** 32 - 4]);
    expect(values(dsl.shiftLeft)).toEqual([0, 0, 0, 2 ** 32 - 8]);
    expect(values(dsl.shiftRight)).toEqual([0, 0, 2 ** 30, 2 ** 29 - 1]);
    expect(values(dsl.add)).toEqual([31, 33, 2 ** 31 + 1, 2]);
    expect(toNumbers(one([x], ((t: Tensor<Shape, "u32">) => dsl.not(dsl.add(t, 1))) as never))).toEqual([
      2 ** 32 - 2,
      2 ** 32 - 3,
      2 ** 31 - 2,
      2 ** 32 - 1,
    ]);
    const [p, q] = [tensor("bool[4]", [0, 0, 1, 1]), tensor("bool[4]", [0, 1, 0, 1])];
    expect([dsl.and, dsl.or, dsl.xor].map((f) => toNumbers(one([p, q], f as never)))).toEqual([
      [0, 0, 0, 1],
      [0, 1, 1, 1],
      [0, 1, 1, 0],
    ]);
  });

  it("where broadcasts all three, and takes numbers", () => {
    for (const [a, b] of pairs) {
      const [x, y] = randomLike(
        [
          { shape: a, dtype: "f32" },
          { shape: b, dtype: "f32" },
        ],
        3,
      ) as [ExactTensor, ExactTensor];
      const c = exactTensor("bool", [3, 1, 1, 1], [1, 0, 1]);
      close(
        one([c, x, y], dsl.where as never),
        build("f32", stretched([3, 1, 1, 1], a, b), (i) => (at(c, i) === 1 ? at(x, i) : at(y, i))),
      );
      close(
        one([c, x], ((p: never, t: T) => dsl.where(p, t, -1)) as never),
        build("f32", stretched([3, 1, 1, 1], a), (i) => (at(c, i) === 1 ? at(x, i) : -1)),
      );
      close(
        one([c, x], ((p: never, t: T) => dsl.where(p, 2, t)) as never),
        build("f32", stretched([3, 1, 1, 1], a), (i) => (at(c, i) === 1 ? 2 : at(x, i))),
      );
    }
  });

  it("cast", () => {
    const x = tensor("f32[5]", [-1.7, 0, 0.2, 2.9, 4e9]);
    const values = (dtype: DType): number[] => toNumbers(one([x], ((t: T) => dsl.cast(t, dtype)) as never));
    expect(values("i32")).toEqual([-1, 0, 0, 2, 2 ** 31 - 1]);
    expect(values("u32")).toEqual([0, 0, 0, 2, 4e9]);
    expect(values("bool")).toEqual([1, 0, 1, 1, 1]);
  });
});

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
const reductions: {
  readonly [name: string]: readonly [
    f: (x: T, axes?: never, options?: never) => Any,
    g: (xs: readonly number[]) => number,
  ];
} = {
  sum: [dsl.sum, (xs) => xs.reduce((a, b) => a + b, 0)],
  mean: [dsl.mean, mean],
  max: [dsl.max, (xs) => Math.max(...xs)],
  min: [dsl.min, (xs) => Math.min(...xs)],
  variance: [dsl.variance, (xs) => mean(xs.map((x) => (x - mean(xs)) ** 2))],
  logSumExp: [dsl.logSumExp, (xs) => Math.log(xs.reduce((a, b) => a + Math.exp(b), 0))],
};

describe("reductions", () => {
  const x = randomLike([{ shape: [2, 3, 2], dtype: "f32" }], 4, -2, 2)[0] as ExactTensor;
  it.each(Object.entries(reductions))("%s over any axes, kept or not", (_, [f, g]) => {
    for (const axes of [undefined, 0, 1, -1, [0, 2], [2, 0], [-2], [0, 1, 2], []] as const) {
      const list = (axes === undefined ? [0, 1, 2] : typeof axes === "number" ? [axes] : [...axes]).map(
        (axis) => (axis < 0 ? axis + 3 : axis),
      );
      const reduced = (index: readonly number[]): number =>
        g(
          indices(x.shape)
            .filter((i) => i.every((n, axis) => list.includes(axis) || n === index[axis]))
            .map((i) => at(x, i)),
        );
      const kept = build(
        "f32",
        x.shape.map((dim, axis) => (list.includes(axis) ? 1 : dim)),
        reduced,
      );
      close(one([x], ((t: T) => f(t, axes as never, { keepDims: true } as never)) as never), kept);
      close(one([x], ((t: T) => f(t, axes as never)) as never), {
        ...kept,
        shape: x.shape.filter((_dim, axis) => !list.includes(axis)),
      });
    }
  });

  it("of nothing: a sum is 0, a mean is NaN", () => {
    expect(toNumbers(one([tensor("f32[0,2]", [])], ((t: T) => dsl.sum(t, 0)) as never))).toEqual([0, 0]);
    expect(toNumbers(one([tensor("f32[0]", [])], ((t: T) => dsl.mean(t)) as never))).toEqual([NaN]);
  });

  it("of integers: minimum and maximum at the ends of the range", () => {
    const values = (x_: ExactTensor): number[] =>
      [dsl.min, dsl.max, dsl.sum].flatMap((f) => toNumbers(one([x_], ((t: Any) => f(t)) as never)));
    expect(values(tensor("u32[3]", [0, 5, 2 ** 32 - 1]))).toEqual([0, 2 ** 32 - 1, 4]);
    expect(values(tensor("i32[3]", [-(2 ** 31), 5, 7]))).toEqual([-(2 ** 31), 7, -(2 ** 31) + 12]);
  });

  it("logSumExp, softmax and logSoftmax of large numbers, and their shift invariance", () => {
    const big = tensor("f32[2,3]", [1000, 1001, 1002, -1000, -1001, -1002]);
    const small = tensor("f32[2,3]", [0, 1, 2, 2, 1, 0]);
    const total = Math.log(1 + Math.E + Math.E ** 2);
    expect(toNumbers(one([big], ((t: T) => dsl.logSumExp(t, 1)) as never))).toEqual(
      [1000 + total, -1002 + total].map((v) => expect.closeTo(v, 10) as number),
    );
    close(one([big], dsl.softmax as never), one([small], dsl.softmax as never));
    close(one([big], dsl.logSoftmax as never), one([small], dsl.logSoftmax as never));
    for (const axis of [0, 1, -1, -2]) {
      const y = one([x], ((t: T) => dsl.softmax(t, axis)) as never);
      close(
        one([y], ((t: T) => dsl.sum(t, axis)) as never),
        one([y], ((t: T) => dsl.add(dsl.mul(dsl.sum(t, axis), 0), 1)) as never),
      );
      close(one([x], ((t: T) => dsl.logSoftmax(t, axis)) as never), one([y], dsl.log as never));
      close(one([x], ((t: T) => dsl.softmax(dsl.add(t, 500), axis)) as never), y);
    }
  });

  it("argmax, cumsum and sort along any axis", () => {
    const y = tensor("f32[2,3]", [3, 1, 3, 0, 5, -1]);
    const values = (f: (t: T) => unknown): number[][] => evaluate([y], f as never).map(toNumbers);
    expect(values((t) => dsl.argmax(t, 1))).toEqual([[0, 1]]);
    expect(values((t) => dsl.argmax(t, -2))).toEqual([[0, 1, 0]]);
    expect(values((t) => dsl.cumsum(t))).toEqual([[3, 4, 7, 0, 5, 4]]);
    expect(values((t) => dsl.cumsum(t, 0, { reverse: true }))).toEqual([[3, 6, 2, 0, 5, -1]]);
    expect(values((t) => Object.values(dsl.sort(t)).map((s) => s as Any))).toEqual([
      [1, 3, 3, -1, 0, 5],
      [1, 0, 2, 2, 0, 1],
    ]);
    expect(values((t) => [dsl.sort(t, 0).values, dsl.sort(t, 0).indices])).toEqual([
      [0, 1, -1, 3, 5, 3],
      [1, 0, 1, 0, 1, 0],
    ]);
  });
});

describe("making and rearranging", () => {
  const x = randomLike([{ shape: [2, 3, 4], dtype: "f32" }], 5)[0] as ExactTensor;
  const values = (f: (t: T) => unknown): number[][] => evaluate([x], f as never).map(toNumbers);
  const shapes = (f: (t: T) => unknown): (readonly number[])[] =>
    evaluate([x], f as never).map(({ shape }) => shape);

  it("create", () => {
    expect(
      values(() => [
        dsl.zeros([2]),
        dsl.ones([1, 2]),
        dsl.full([], 3),
        dsl.scalar(4),
        dsl.iota([2, 2]),
        dsl.iota([2, 2], "f32", 0),
        dsl.constant([1, 0], [2, 1], "bool"),
      ]),
    ).toEqual([[0, 0], [1, 1], [3], [4], [0, 1, 0, 1], [0, 0, 1, 1], [1, 0]]);
  });

  it("reshape with a computed size, expandDims, squeeze, broadcastTo", () => {
    expect(values((t) => dsl.reshape(t, [4, 6]))).toEqual([Array.from(x.data)]);
    expect(
      shapes((t) => [
        dsl.reshape(t, [-1]),
        dsl.reshape(t, [3, -1]),
        dsl.reshape(t, [2, -1, 12]),
        dsl.reshape(dsl.slice(t, 0, 0, 0), [0, 7]),
      ]),
    ).toEqual([[24], [3, 8], [2, 1, 12], [0, 7]]);
    expect(
      shapes((t) => [
        dsl.expandDims(t, 0),
        dsl.expandDims(t, -1),
        dsl.expandDims(t, 3),
        dsl.expandDims(t, -4),
      ]),
    ).toEqual([
      [1, 2, 3, 4],
      [2, 3, 4, 1],
      [2, 3, 4, 1],
      [1, 2, 3, 4],
    ]);
    expect(
      shapes((t) => [
        dsl.squeeze(dsl.reshape(t, [1, 24, 1])),
        dsl.squeeze(dsl.reshape(t, [1, 24, 1]), -1),
        dsl.squeeze(dsl.reshape(t, [1, 24, 1]), [0, 2]),
      ]),
    ).toEqual([[24], [1, 24], [24]]);
    close(
      one([x], ((t: T) => dsl.broadcastTo(dsl.sum(t, 1, { keepDims: true }), [5, 2, 3, 4])) as never),
      build("f32", [5, 2, 3, 4], ([, i, , k]) =>
        [0, 1, 2].reduce((sum, j) => sum + at(x, [i as number, j, k as number]), 0),
      ),
    );
    expect(shapes((t) => dsl.broadcastTo(dsl.slice(t, 1, 0, 1), [2, 0, 4]))).toEqual([[2, 0, 4]]);
  });

  it("transpose, slice, pad, split, concat, stack", () => {
    close(
      one([x], ((t: T) => dsl.transpose(t)) as never),
      build("f32", [4, 3, 2], ([k, j, i]) => at(x, [i as number, j as number, k as number])),
    );
    close(
      one([x], ((t: T) => dsl.transpose(t, [-1, 0, 1])) as never),
      build("f32", [4, 2, 3], ([k, i, j]) => at(x, [i as number, j as number, k as number])),
    );
    for (const [from, to] of [
      [1, 3],
      [0, undefined],
      [-2, undefined],
      [1, -1],
      [2, 2],
    ] as const) {
      const range = [0, 1, 2, 3].slice(from, to);
      close(
        one([x], ((t: T) => dsl.slice(t, -1, from, to)) as never),
        build("f32", [2, 3, range.length], ([i, j, k]) =>
          at(x, [i as number, j as number, range[k as number] as number]),
        ),
      );
    }
    close(
      one([x], ((t: T) =>
        dsl.pad(t, [
          [1, 0],
          [0, 0],
          [2, 1],
        ])) as never),
      build("f32", [3, 3, 7], ([i, j, k]) =>
        (i as number) < 1 || (k as number) < 2 || (k as number) > 5
          ? 0
          : at(x, [(i as number) - 1, j as number, (k as number) - 2]),
      ),
    );
    for (const axis of [0, 1, 2, -1]) {
      const parts = x.shape[axis < 0 ? axis + 3 : axis] as number;
      close(one([x], ((t: T) => dsl.concat(dsl.split(t, parts, axis), axis)) as never), x);
      close(
        one([x], ((t: T) => dsl.concat([t, dsl.mul(t, 2), dsl.slice(t, axis, 0, 1)], axis)) as never),
        one([x], ((t: T) =>
          dsl.concat(
            [dsl.concat([t, dsl.add(t, t)], axis), dsl.split(t, parts, axis)[0] as T],
            axis,
          )) as never),
      );
    }
    close(
      one([x], ((t: T) => dsl.stack([t, dsl.neg(t)], -2)) as never),
      build(
        "f32",
        [2, 3, 2, 4],
        ([i, j, n, k]) => (n === 0 ? 1 : -1) * at(x, [i as number, j as number, k as number]),
      ),
    );
  });

  it("gather, takeAlong, scatterAdd, oneHot: indices clamp, repeats add", () => {
    const n = tensor("i32[2,2]", [2, 0, -7, 99]);
    close(
      one([x, n], ((t: T, i: never) => dsl.gather(t, i, 1)) as never),
      build("f32", [2, 2, 2, 4], ([i, a, b, k]) =>
        at(x, [i as number, Math.min(Math.max(at(n, [a as number, b as number]), 0), 2), k as number]),
      ),
    );
    const places = tensor("i32[2,3,2]", [0, 3, 1, 1, 2, 9, 3, 0, -1, 2, 2, 2]);
    close(
      one([x, places], ((t: T, i: never) => dsl.takeAlong(t, i)) as never),
      build("f32", [2, 3, 2], (i) => at(x, [...i.slice(0, 2), Math.min(Math.max(at(places, i), 0), 3)])),
    );
    const rows = tensor("i32[3]", [1, 1, 5]);
    const updates = tensor("f32[3,2]", [1, 2, 3, 4, 5, 6]);
    expect(
      toNumbers(
        one([tensor("f32[2,2]", 10), rows, updates], ((t: T, i: never, u: T) =>
          dsl.scatterAdd(t, i, u)) as never),
      ),
    ).toEqual([10, 10, 19, 22]);
    expect(
      toNumbers(
        one([tensor("f32[2,2]", 0), tensor("i32[1]", [0]), tensor("f32[2,1]", [7, 8])], ((
          t: T,
          i: never,
          u: T,
        ) => dsl.scatterAdd(t, i, u, -1)) as never),
      ),
    ).toEqual([7, 0, 8, 0]);
    expect(
      toNumbers(one([tensor("i32[4]", [0, 2, -1, 3])], ((i: never) => dsl.oneHot(i, 3)) as never)),
    ).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  it("rearrange: random patterns against brute force", () => {
    const names = ["a", "b", "c", "d"];
    const arbitrary = fc.record({
      sizes: fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 4 }),
      order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4, maxLength: 4 }),
      cuts: fc.tuple(
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      ),
      ones: fc.tuple(fc.boolean(), fc.boolean()),
    });
    const property = fc.property(arbitrary, ({ sizes, order, cuts, ones }) => {
      const left = names.slice(0, sizes.length);
      const right = order.filter((i) => i < sizes.length).map((i) => names[i] as string);
      const size = (name: string): number => sizes[names.indexOf(name)] as number;
      const grouped = (list: readonly string[], joined: readonly boolean[]): string[][] =>
        list.reduce<string[][]>(
          (groups, name, i) =>
            i > 0 && joined[i] === true
              ? [...groups.slice(0, -1), [...(groups.at(-1) as string[]), name]]
              : [...groups, [name]],
          [],
        );
      const [from, to] = [grouped(left, cuts[0]), grouped(right, cuts[1])];
      const text = (groups: string[][], one_: boolean): string =>
        [
          ...groups.map((g) => (g.length === 1 ? g.join("") : `(${g.join(" ")})`)),
          ...(one_ ? ["1"] : []),
        ].join(" ");
      const dims = (groups: string[][], one_: boolean): number[] => [
        ...groups.map((g) => g.reduce((product, name) => product * size(name), 1)),
        ...(one_ ? [1] : []),
      ];
      const input = randomLike([{ shape: dims(from, ones[0]), dtype: "f32" }], 6)[0] as ExactTensor;
      const given = Object.fromEntries(
        from.filter((g) => g.length > 1).flatMap((g) => g.slice(1).map((name) => [name, size(name)])),
      );
      const result = one([input], ((t: T) =>
        dsl.rearrange(t, `${text(from, ones[0])} -> ${text(to, ones[1])}` as string, given)) as never);
      const expected = exactTensor(
        "f32",
        dims(to, ones[1]),
        indices(right.map(size)).map(
          (index) =>
            input.data[
              offset(
                left.map(size),
                left.map((name) => index[right.indexOf(name)] as number),
              )
            ] as number,
        ),
      );
      expect(gap([result], [expected])).toBe(0);
    });
    fc.assert(property, { numRuns: runs(150) });
  });
});

describe("products", () => {
  it("matmul against sums, with batches that broadcast and sizes 0 and 1", () => {
    for (const [a, b] of [
      [
        [2, 3],
        [3, 4],
      ],
      [
        [1, 1],
        [1, 1],
      ],
      [
        [0, 3],
        [3, 2],
      ],
      [
        [2, 0],
        [0, 2],
      ],
      [
        [5, 2, 3],
        [3, 2],
      ],
      [
        [5, 2, 3],
        [5, 3, 2],
      ],
      [
        [2, 1, 2, 3],
        [4, 3, 1],
      ],
      [
        [2, 3],
        [4, 3, 2],
      ],
      [
        [1, 2, 3],
        [0, 3, 1],
      ],
    ] as const) {
      const [x, y] = randomLike(
        [
          { shape: a, dtype: "f32" },
          { shape: b, dtype: "f32" },
        ],
        7,
      ) as [ExactTensor, ExactTensor];
      const inner = a.at(-1) as number;
      const shape = [...stretched(a.slice(0, -2), b.slice(0, -2)), a.at(-2) as number, b.at(-1) as number];
      const lift = (t: ExactTensor, rank: number): ExactTensor => ({
        ...t,
        shape: [...Array.from({ length: rank - t.shape.length }, () => 1), ...t.shape],
      });
      const [p, q] = [lift(x, shape.length), lift(y, shape.length)];
      const pick = (t: ExactTensor, index: readonly number[]): number =>
        t.data[
          offset(
            t.shape,
            index.map((i, axis) => (t.shape[axis] === 1 ? 0 : i)),
          )
        ] as number;
      close(
        one([x, y], dsl.matmul as never),
        build("f32", shape, (index) => {
          const [batch, i, j] = [index.slice(0, -2), index.at(-2) as number, index.at(-1) as number];
          return Array.from(
            { length: inner },
            (_, k) => pick(p, [...batch, i, k]) * pick(q, [...batch, k, j]),
          ).reduce((sum, v) => sum + v, 0);
        }),
      );
    }
  });

  it("einsum: random specs of one to three operands against brute force", () => {
    const labels = ["i", "j", "k", "l"];
    const operand = fc.shuffledSubarray(labels, { maxLength: 3 });
    const arbitrary = fc.record({
      operands: fc.array(operand, { minLength: 1, maxLength: 3 }),
      sizes: fc.array(fc.constantFrom(1, 2, 3, 2, 0), { minLength: 4, maxLength: 4 }),
      output: fc.shuffledSubarray(labels),
      spaced: fc.boolean(),
    });
    const property = fc.property(arbitrary, ({ operands, sizes, output, spaced }) => {
      const used = new Set(operands.flat());
      const out = output.filter((label) => used.has(label));
      // Words where there are spaces between labels, letters otherwise; one label alone looks the same in both.
      const long = spaced && [...operands, out].some((list) => list.length > 1);
      const written = (list: readonly string[]): string =>
        list.map((label) => (long ? `axis_${label}` : label)).join(long ? " " : "");
      const size = (label: string): number => sizes[labels.indexOf(label)] as number;
      const inputs = randomLike(
        operands.map((list) => ({ shape: list.map(size), dtype: "f32" as const })),
        8,
      );
      const result = one(inputs, ((...ts: T[]) =>
        dsl.einsum(`${operands.map(written).join(",")}->${written(out)}` as string, ...ts)) as never);
      const summed = [...used].filter((label) => !out.includes(label));
      close(
        result,
        build("f32", out.map(size), (index) =>
          indices(summed.map(size)).reduce((sum, rest) => {
            const place = (label: string): number =>
              (out.includes(label) ? index[out.indexOf(label)] : rest[summed.indexOf(label)]) as number;
            return (
              sum +
              operands.reduce(
                (product, list, n) =>
                  product *
                  ((inputs[n] as ExactTensor).data[offset(list.map(size), list.map(place))] as number),
                1,
              )
            );
          }, 0),
        ),
      );
    });
    fc.assert(property, { numRuns: runs(250) });
  });

  it("attention by hand: two keys with scores 0 and log 3", () => {
    const log3 = Math.log(3);
    const inputs = [tensor("f32[1,1]", [log3]), tensor("f32[2,1]", [0, 1]), tensor("f32[2,2]", [0, 4, 8, 4])];
    expect(toNumbers(one(inputs, dsl.attention as never)).map((v) => Math.round(v * 1e9) / 1e9)).toEqual([
      6, 4,
    ]);
    const scaled = one(
      [
        tensor("f32[1,4]", [log3, 0, 0, 0]),
        tensor("f32[2,4]", [0, 0, 0, 0, 2, 0, 0, 0]),
        inputs[2] as ExactTensor,
      ],
      dsl.attention as never,
    );
    expect(scaled.data[0]).toBeCloseTo(6, 9); // the scale is 1/√4
  });
});

it("every function of the surface is named in this folder's tests or in those of the transforms", async () => {
  const { readFileSync, readdirSync } = await import("node:fs");
  const folders = [new URL("./", import.meta.url), new URL("../transforms/", import.meta.url)];
  const text = folders
    .flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8")))
    .join("\n");
  const elsewhere = [
    "random",
    "nn",
    "optim",
    "byteSize",
    "DTYPES",
    "isFloat",
    "isInteger",
    "bool",
    "f16",
    "u32",
    "outputSpec",
    "scalarFunction",
    "specLike",
    "TensorSpec",
    "flatten",
    "leafPaths",
    "unflatten",
    "mapTree",
    "mapTreeWithPath",
    "treeLeaves",
  ];
  const missing = Object.keys(dsl).filter(
    (name) => !elsewhere.includes(name) && !new RegExp(`\\b${name}\\b`).test(text),
  );
  expect(missing).toEqual([]);
  expect(sizeOf([2, 3])).toBe(6);
});
