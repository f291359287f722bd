/**
 * NaN on the cpu device: maxima, argmax and sort do with it what the interpreter does, wherever it stands and whatever stands
 * beside it; and the maxima that need not are those of which nothing is lost.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { toStorage } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { Emitter } from "../../../src/compiler/onnx/emitter.ts";
import { absorbedMaxima } from "../../../src/compiler/onnx/lower/absorbed.ts";
import { lowerProgram } from "../../../src/compiler/onnx/lower/index.ts";
import { elementOf } from "../../../src/compiler/onnx/value.ts";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { optimize } from "../../../src/compiler/passes/pipeline.ts";
import {
  add,
  attention,
  f32,
  fn,
  grad,
  hessianVectorProduct,
  logSoftmax,
  logSumExp,
  max,
  min,
  mul,
  softmax,
  square,
  sum,
  trace,
} from "../../../src/dsl/index.ts";
import type { Fn, Tensor } from "../../../src/dsl/index.ts";
import { inputTypes, sizeOf, typeOf } from "../../../src/dsl/program/program.ts";
import type { OpKind, Program, VarId } from "../../../src/dsl/program/program.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { deviation, runOn } from "../../support/on-device.ts";
import { difference, program, tensor, Writer } from "../../support/programs.ts";
import { ATTENTION_OPS, unseenCases } from "../../support/unseen.ts";

const device = await openCpu({ threads: 1 });
afterAll(() => device.dispose());
const none = {};
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** A tensor of moderate values, some of them replaced. */
function specked(text: string, specks: Readonly<Record<number, number>>): HostTensor {
  const size = sizeOf(tensor(text, 0).shape);
  return tensor(
    text,
    Array.from({ length: size }, (_, i) => specks[i] ?? Math.sin(7 * i + 1)),
  );
}

const SIZES = [1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127];

/** What stands in a row of n: a NaN at each of some places, also two of them, with and without infinities, and infinities alone. */
function rowsOf(n: number): readonly Readonly<Record<number, number>>[] {
  const places = [...new Set([0, 1, 2, Math.floor(n / 2), n - 2, n - 1])].filter((i) => i >= 0 && i < n);
  return [
    ...places.flatMap((i) => [
      { [i]: nan },
      { [(i + 1) % n]: inf, [(i + 2) % n]: -inf, [i]: nan },
      { [(i + 1) % n]: nan, [i]: nan, [n - 1 - i]: inf },
    ]),
    { 0: inf, [n - 1]: -inf },
    { 0: 3e38, [n >> 1]: 3e38, [n - 1]: -3e38 }, // sums overflow
  ];
}

const REDUCTIONS: readonly (readonly [string, (w: Writer, x: VarId, axis: number) => readonly VarId[]])[] = [
  ["reduceMax", (w, x, axis) => [w.one("reduceMax", [x], { axes: [axis] })]],
  ["argmax", (w, x, axis) => [w.one("argmax", [x], { axis })]],
  ["sort", (w, x, axis) => w.all("sort", [x], { axis })],
];

describe.each(REDUCTIONS)("%s", { timeout: 60_000 }, (_op, build) => {
  /** Puts the values of a row into the second row along the axis. */
  const layouts = [
    { shape: (n: number) => [3, n], axis: 1, at: (n: number, i: number) => n + i },
    { shape: (n: number) => [n, 3], axis: 0, at: (_n: number, i: number) => 3 * i + 1 },
    { shape: (n: number) => [2, n, 2], axis: 1, at: (n: number, i: number) => 2 * n + 2 * i + 1 },
  ];
  it.each(layouts)("takes NaN as the interpreter does, layout %#", async ({ shape, axis, at }) => {
    for (const n of SIZES) {
      for (const row of rowsOf(n)) {
        const specks = Object.fromEntries(Object.entries(row).map(([i, x]) => [at(n, Number(i)), x]));
        const x = specked(`f32[${shape(n).join()}]`, specks);
        const run = program([x], (w, id) => build(w, id, axis));
        expect(
          await deviation(device, run, [x], 0),
          `${n} values with ${JSON.stringify(row)}`,
        ).toBeUndefined();
      }
    }
  });

  it("also in f16, of broadcasts, of constants and in loops", async () => {
    const half = specked("f16[2,9]", { 3: nan, 12: inf });
    const small = specked("f32[5,1]", { 2: nan });
    const rows = specked("f32[3,7]", { 5: nan, 15: nan, 16: inf });
    const body = program(["f32[7]"], (w, x) => build(w, x, 0));
    const cases: readonly (readonly [Program, HostTensor])[] = [
      [program([half], (w, x) => build(w, x, 1)), half],
      ...[0, 1, 2].map((axis): readonly [Program, HostTensor] => [
        program([small], (w, x) =>
          build(w, w.one("broadcast", [x], { shape: [2, 5, 4], dims: [1, 2] }), axis),
        ),
        small,
      ]),
      [
        program([rows], (w) => {
          const known = w.one("constant", [], { shape: [3], dtype: "f32", values: [1, "nan", 3] });
          return build(w, known, 0);
        }),
        rows,
      ],
      [
        program([rows], (w, x) =>
          w.all("scan", [x], { body, length: 3, consts: 0, carry: 0, reverse: false }),
        ),
        rows,
      ],
    ];
    for (const [i, [run, x]] of cases.entries())
      expect(await deviation(device, run, [x], 0), `case ${i}`).toBeUndefined();
  });
});

describe.each(ATTENTION_OPS)("%s, causal,", (op) => {
  it.each([0, 2])("leaves out what it does not see, softcap %i", { timeout: 60_000 }, async (softcap) => {
    for (const [queries, keys] of [
      [5, 5],
      [2, 6],
      [1, 4],
      [9, 12],
    ] as const)
      // prettier-ignore
      for (const { name, program, inputs } of unseenCases(op, { queries, keys, depth: 3, width: 4, softcap }))
        expect(await deviation(device, program, inputs.map(toStorage), 1e-4), name).toBeUndefined();
  });
});

it.each([-1e31, -inf])(
  "a query whose scores are all %d gets nothing of keys that it does not see",
  async (score) => {
    const column = (...values: readonly number[]): HostTensor => tensor("f32[1,3,1]", values);
    const inputs = [column(1, 1, 1), column(score, 0, 1), column(1, 10, 100)];
    for (const outputs of [1, 2]) {
      const run = program(inputs, (w, ...ids) =>
        w.all("attention", ids, { scale: 1, softcap: 0, causal: true }).slice(0, outputs),
      );
      expect(await deviation(device, run, inputs, 1e-5), `${outputs} outputs`).toBeUndefined();
    }
  },
);

it("several axes are reduced at once with a NaN anywhere", async () => {
  for (const axes of [
    [0, 1],
    [1, 2],
    [0, 2],
    [0, 1, 2],
  ]) {
    for (let at = 0; at < 24; at++) {
      const x = specked("f32[2,3,4]", { [at]: nan });
      const run = program([x], (w, id) => [w.one("reduceMax", [id], { axes })]);
      expect(await deviation(device, run, [x], 0), `axes ${axes.join()}, NaN at ${at}`).toBeUndefined();
    }
  }
});

/** The program of a function of [3, 5] tensors, after the passes. */
function optimized(f: Fn<never, unknown>): Program {
  return optimize(inlineCalls(trace(f, {}).program));
}

/** How often a lowered program looks for NaN. */
function guards(of: Program): number {
  const inputs = inputTypes(of).map(({ shape, dtype }, i) => ({
    name: `input${i}`,
    element: elementOf(dtype),
    shape,
    held: shape,
  }));
  const emit = Emitter.forModel(inputs.map(({ name }) => name));
  lowerProgram(emit, of, inputs);
  return emit.nodes.filter(({ op }) => op === "If").length;
}

type T = Tensor<[3, 5]>;
const x = f32(3, 5);
const weighted =
  (f: (y: T) => Tensor) =>
  ({ x: y }: { readonly x: T }) =>
    sum(mul(f(y), 0.3));
const of = (f: (input: { readonly x: T }) => unknown): Fn<never, unknown> =>
  fn({ x }, f as never) as unknown as Fn<never, unknown>; // bodies of one type stand in a table
const slope = (f: (y: T) => Tensor): Fn<never, unknown> =>
  grad(fn({ x }, weighted(f) as never) as never, "x" as never) as unknown as Fn<never, unknown>;

const FUNCTIONS: readonly (readonly [string, number, Fn<never, unknown>])[] = [
  ["softmax", 0, of(({ x: y }) => softmax(y))],
  ["softmax along the first axis", 0, of(({ x: y }) => softmax(y, 0))],
  ["logSoftmax", 0, of(({ x: y }) => logSoftmax(y))],
  ["logSumExp", 0, of(({ x: y }) => logSumExp(y, 1))],
  ["logSumExp of all", 0, of(({ x: y }) => logSumExp(y, undefined, { keepDims: true }))],
  ["gradient of softmax", 0, slope((y) => softmax(y))],
  ["gradient of logSoftmax", 0, slope((y) => logSoftmax(y))],
  ["gradient of logSumExp", 0, slope((y) => logSumExp(y, 1))],
  [
    "Hessian of softmax by a vector",
    0,
    of(({ x: y }) => hessianVectorProduct((z: T) => sum(square(softmax(z))) as Tensor<[]>, y, y)),
  ],
  ["attention", 0, of(({ x: y }) => attention(y, y, y))],
  ["gradient of attention", 0, slope((y) => attention(y, y, y))],
  ["max", 1, of(({ x: y }) => max(y, 1))],
  ["min", 1, of(({ x: y }) => min(y, 0))],
  ["gradient of max", 1, slope((y) => max(y, 1))],
  ["the greatest weight of a softmax", 1, of(({ x: y }) => max(softmax(y), 1))],
  ["softmax and its maximum", 1, of(({ x: y }) => [softmax(y), max(y, 1)])],
  ["softmax and its maximum, added", 0, of(({ x: y }) => add(softmax(y), max(y, 1, { keepDims: true })))],
];

describe("a maximum that only shifts", { timeout: 60_000 }, () => {
  it.each(FUNCTIONS)(
    "%s looks for NaN in %d places, and gives what the interpreter gives",
    async (_n, n, f) => {
      const run = optimized(f);
      expect(guards(run)).toBe(n);
      for (let at = 0; at < 15; at++) {
        for (const specks of [{ [at]: nan }, { [at]: nan, [(at + 1) % 15]: inf, [(at + 5) % 15]: -inf }]) {
          const given = specked("f32[3,5]", specks);
          expect(await deviation(device, run, [given], 1e-4), JSON.stringify(specks)).toBeUndefined();
        }
      }
    },
  );

  it("is looked for where a product sums over other rows than the maximum's", async () => {
    const x = specked("f32[2,3]", { 1: nan });
    const y = specked("f32[2,2]", {});
    const run = program([x, y], (w, given, other) => {
      const maximum = w.one("reduceMax", [given], { axes: [1] });
      const spread = w.one("broadcast", [maximum], { shape: [2, 3], dims: [0] });
      const exponentials = w.one("exp", [w.one("sub", [given, spread], none)], none);
      return [w.one("dot", [exponentials, other], { lhsBatch: [], rhsBatch: [], lhsContract: [0], rhsContract: [0] })]; // prettier-ignore
    });
    expect(await deviation(device, run, [x, y], 1e-4)).toBeUndefined();
  });

  /**
   * A random program around the maximum of x: each step takes an op and earlier variables. Only with the maximum among its outputs
   * it must look for NaN.
   */
  interface Around {
    readonly program: Program;
    readonly maximum: VarId;
  }
  const UNARY = ["neg", "exp", "tanh", "abs", "stopGradient", "cast", "sum other", "select"] as const;
  const BINARY = ["add", "sub", "mul", "div", "less"] as const;
  type Step = readonly [
    (typeof UNARY)[number] | (typeof BINARY)[number] | "move" | "sum" | "dot",
    number,
    number,
  ];
  function around(steps: readonly Step[], outputs: readonly number[]): Around {
    const w = new Writer();
    const [given, other] = [w.input("f32[3,4]"), w.input("f32[3,4]")];
    const maximum = w.one("reduceMax", [given], { axes: [1] });
    const start = w.one("broadcast", [maximum], { shape: [3, 4], dims: [0] });
    const made: VarId[] = [given, other, maximum, start];
    const pick = (n: number, like?: VarId): VarId => {
      const legal = made.filter(
        (id) =>
          like === undefined || JSON.stringify(w.typeOf(id).shape) === JSON.stringify(w.typeOf(like).shape),
      );
      return legal[legal.length - 1 - (n % legal.length)] as VarId; // the latest first
    };
    for (const [op, a, b] of steps) {
      const first = pick(a);
      const { shape } = w.typeOf(first);
      const binary = BINARY.find((name) => name === op);
      if (binary !== undefined) {
        const result = w.one(binary as OpKind & "add", [first, pick(b, first)], none); // each takes two and no parameters
        made.push(binary === "less" ? w.one("cast", [result], { dtype: "f32" }) : result);
      } else if (op === "sum" || op === "sum other") {
        const axis = shape.length - (op === "sum" ? 1 : 2);
        if (axis < 0) continue;
        const total = w.one("reduceSum", [first], { axes: [axis] });
        // Sums along the other axis are spread again: their shape is none of the rows.
        made.push(op === "sum" ? total : w.one("broadcast", [total], { shape, dims: shape.flatMap((_, i) => (i === axis ? [] : [i])) })); // prettier-ignore
      } else if (op === "dot") {
        // Of rows with rows, or of rows with columns of something square.
        const second = pick(b, first);
        if (shape.length !== 2) continue;
        const rhsContract = [shape[0] === shape[1] ? b % 2 : 1];
        made.push(
          w.one("dot", [first, second], { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract }),
        );
      } else if (op === "move") {
        if (shape.length !== 1) continue;
        const column = w.one("reshape", [first], { shape: [3, 1] });
        made.push(w.one("broadcast", [column], { shape: [3, 4], dims: [0, 1] }));
      } else if (op === "select") {
        const rows = w.one("less", [first, pick(b, first)], none);
        made.push(w.one("select", [rows, first, pick(b, first)], none));
      } else if (op === "cast") {
        made.push(w.one("cast", [w.one("cast", [first], { dtype: "bool" })], { dtype: "f32" }));
      } else {
        const plain = UNARY.find((name) => name === op);
        made.push(w.one(plain as OpKind & "neg", [first], none)); // the ones left take one and no parameters
      }
    }
    return { program: w.program(outputs.map((n) => pick(n))), maximum };
  }
  const step = fc.tuple(
    fc.constantFrom(...BINARY, "dot" as const, "move" as const, "sum" as const, "sum" as const, ...UNARY),
    fc.nat(5),
    fc.nat(5),
  );
  // Half of the programs go the way of a softmax first.
  const softmaxSteps: readonly Step[] = [["sub", 3, 0], ["exp", 0, 0], ["sum", 0, 0], ["move", 0, 0], ["div", 2, 0]]; // prettier-ignore
  const arbitrary = fc
    .tuple(
      fc.boolean(),
      fc.array(step, { maxLength: 7 }),
      fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }),
    )
    .map(([shift, steps, outputs]) => around([...(shift ? softmaxSteps : []), ...steps], outputs));

  it("is told from one that something is lost of: random programs give the same bits as with the maximum kept", async () => {
    let absorbed = 0;
    const given = [specked("f32[3,4]", { 1: nan, 6: nan, 10: inf }), specked("f32[3,4]", { 5: inf, 8: 0 })];
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ program: run, maximum }) => {
        if (!absorbedMaxima(run).has(maximum)) return;
        absorbed++;
        const kept = { ...run, outputs: [...run.outputs, maximum] };
        expect(absorbedMaxima(kept).has(maximum)).toBe(false);
        const [free, careful] = [await runOn(device, run, given), await runOn(device, kept, given)];
        expect(difference(free, careful.slice(0, -1))).toBeUndefined();
        expect(typeOf(kept, maximum).shape).toEqual([3]);
      }),
      { numRuns: 400 },
    );
    expect(absorbed).toBeGreaterThan(40); // else the property would say nothing
  });
});
