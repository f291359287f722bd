// Hand-written cases of every op: values and derivatives in every transform, at chosen points (ties, kinks, repeated and
// clamped indices, size 0 and 1). Each case is a program of one or a few equations; `derivative` gives the tangent where
// finite differences do not apply. An op without a case fails the first test.
import { describe, expect, it, vi } from "vitest";
import { OPS } from "../../../src/dsl/ops/index.ts";
import type { OpKind, OpParams, Program } from "../../../src/dsl/program/program.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import { remat } from "../../../src/dsl/index.ts";
import { isFloat } from "../../../src/dsl/types/dtype.ts";
import { program, tensor, type } from "../../support/programs.ts";
import {
  cotangentsFor,
  differences,
  floatValues,
  functionOf,
  gap,
  inner,
  jvpOf,
  linearizedOf,
  row,
  run,
  stacked,
  tangentsFor,
  traced,
  vjpOf,
  vmapOf,
  weighted,
} from "./harness.ts";
import type { Values } from "./harness.ts";

// Seconds by themselves; many times that on a busy machine or with FLUXION_RUNS.
vi.setConfig({ testTimeout: 600_000 });

type Given = readonly [type: string, values: readonly number[] | number];

interface Case {
  readonly name: string;
  readonly p: Program;
  readonly inputs: Values;
  /** Tangents of the float inputs and of the float outputs, in place of random ones and of finite differences. */
  readonly tangents?: { readonly inputs: Values; readonly outputs: Values };
  /** Whether there is a reverse-mode derivative. */
  readonly reverse: boolean;
}

const cases: Case[] = [];
const covered = new Set<string>();

interface Extra {
  readonly along?: readonly Given[];
  readonly gives?: readonly Given[];
  readonly reverse?: boolean;
}

function example<K extends OpKind>(
  op: K,
  params: OpParams[K],
  inputs: readonly Given[],
  extra: Extra = {},
): void {
  covered.add(op);
  const p = program(
    inputs.map(([t]) => type(t)),
    (w, ...ids) => w.all(op, ids, params),
  );
  const values = (list: readonly Given[]): Values => list.map(([t, v]) => tensor(t, v));
  cases.push({
    name: `${op} ${JSON.stringify(params).slice(0, 70)} ${inputs.map(([t]) => t).join(" ")} #${cases.length}`,
    p,
    inputs: values(inputs),
    reverse: extra.reverse ?? true,
    ...(extra.along && extra.gives
      ? { tangents: { inputs: values(extra.along), outputs: values(extra.gives) } }
      : {}),
  });
}

/** A case of more than one equation. */
function other(name: string, p: Program, inputs: readonly Given[]): void {
  cases.push({ name, p, inputs: inputs.map(([t, v]) => tensor(t, v)), reverse: true });
}

const none = {};

// Unary, away from kinks.
for (const op of ["neg", "abs", "sign", "floor", "exp", "sin", "cos", "tanh", "erf", "logistic"] as const) {
  example(op, none, [["f32[4]", [-1.7, -0.3, 0.4, 2.6]]]);
  example(op, none, [["f16[0]", []]]);
}
for (const op of ["log", "sqrt", "rsqrt"] as const) example(op, none, [["f32[3]", [0.3, 1, 7]]]);
for (const op of ["neg", "abs", "sign"] as const) example(op, none, [["i32[3]", [-2, 0, 5]]]);
example("not", none, [["bool[2]", [0, 1]]]);
example("not", none, [["u32[1]", [7]]]);
// |x| at 0 has the derivative 0; logistic and tanh are flat far out, without NaN.
example("abs", none, [["f32[1]", [0]]], { along: [["f32[1]", [3]]], gives: [["f32[1]", [0]]] });
example("logistic", none, [["f32[2]", [-800, 800]]], { along: [["f32[2]", 1]], gives: [["f32[2]", [0, 0]]] });
example("tanh", none, [["f32[2]", [-800, 800]]], { along: [["f32[2]", 1]], gives: [["f32[2]", [0, 0]]] });

// Binary.
for (const op of ["add", "sub", "mul", "div", "rem", "max", "min"] as const) {
  example(op, none, [
    ["f32[2,2]", [1.3, -0.4, 2.2, 5.1]],
    ["f32[2,2]", [0.7, 1.9, -1.6, 2.3]],
  ]);
  example(op, none, [
    ["i32[2]", [7, -3]],
    ["i32[2]", [2, 2]],
  ]);
}
example("pow", none, [
  ["f32[3]", [0.5, 2, 3]],
  ["f32[3]", [2.5, -1, 0.3]],
]);
example("pow", none, [
  ["f32[2]", [0.5, 2]],
  ["f32[2]", 0],
]);
example(
  "pow",
  none,
  [
    ["f32[3]", [0, 0, 5]],
    ["f32[3]", [2, 1, 0]],
  ],
  {
    along: [
      ["f32[3]", 1],
      ["f32[3]", 1],
    ],
    gives: [["f32[3]", [0, 1, Math.log(5)]]],
  },
);
// A negative base is fine as long as the exponent is not differentiated.
other(
  "pow with a constant exponent",
  program(["f32[2]"], (w, x) => [
    w.one("pow", [x, w.one("constant", [], { shape: [2], dtype: "f32", values: [3, 2] })], none),
  ]),
  [["f32[2]", [-2, -0.5]]],
);
for (const op of ["max", "min"] as const) {
  // A tie shares the tangent.
  example(
    op,
    none,
    [
      ["f32[1]", [2]],
      ["f32[1]", [2]],
    ],
    {
      along: [
        ["f32[1]", [4]],
        ["f32[1]", [8]],
      ],
      gives: [["f32[1]", [6]]],
    },
  );
}
for (const op of ["and", "or", "xor"] as const)
  example(op, none, [
    ["u32[2]", [6, 9]],
    ["u32[2]", [3, 12]],
  ]);
for (const op of ["shiftLeft", "shiftRight"] as const)
  example(op, none, [
    ["i32[2]", [6, -9]],
    ["i32[2]", [3, 1]],
  ]);
for (const op of ["equal", "less", "lessEqual"] as const)
  example(op, none, [
    ["f32[2]", [1, 2]],
    ["f32[2]", [1.5, 1]],
  ]);
example("select", none, [
  ["bool[3]", [1, 0, 1]],
  ["f32[3]", [1, 2, 3]],
  ["f32[3]", [4, 5, 6]],
]);

// Structure.
example("constant", { shape: [2], dtype: "f32", values: [1, 2] }, []);
example("iota", { shape: [2, 3], dtype: "f32", axis: 1 }, []);
example("cast", { dtype: "f16" }, [["f32[2]", [1.5, -2]]]);
example("cast", { dtype: "f32" }, [["i32[2]", [1, -2]]]);
example("cast", { dtype: "i32" }, [["f32[2]", [1.4, -2.6]]]);
example("broadcast", { shape: [2, 3, 2], dims: [1, 2] }, [["f32[3,1]", [1, 2, 3]]]);
example("broadcast", { shape: [1, 1], dims: [1] }, [["f32[1]", [1]]]);
example("broadcast", { shape: [0, 2], dims: [0, 1] }, [["f32[1,2]", [1, 2]]]);
example("reshape", { shape: [3, 2] }, [["f32[2,3]", [1, 2, 3, 4, 5, 6]]]);
example("transpose", { perm: [2, 0, 1] }, [["f32[2,1,3]", [1, 2, 3, 4, 5, 6]]]);
example("slice", { start: [1, 0], stop: [6, 2], step: [2, 1] }, [
  ["f32[7,3]", Array.from({ length: 21 }, (_, i) => i)],
]);
example("slice", { start: [2], stop: [2], step: [3] }, [["f32[4]", 1]]);
example("pad", { low: [1, 0], high: [0, 2], interior: [2, 1] }, [["f32[3,2]", [1, 2, 3, 4, 5, 6]]]);
example("pad", { low: [1], high: [2], interior: [3] }, [["f32[0]", []]]);
example("concat", { axis: 1 }, [
  ["f32[2,1]", [1, 2]],
  ["f32[2,0]", []],
  ["f32[2,3]", 5],
]);
example("concat", { axis: 0 }, [["f32[2]", [1, 2]]]);
example("gather", { axis: 0, batchDims: 0 }, [
  ["f32[3,2]", [1, 2, 3, 4, 5, 6]],
  ["i32[4]", [2, 0, 2, 9]],
]);
example("gather", { axis: 1, batchDims: 1 }, [
  ["f32[2,3]", [1, 2, 3, 4, 5, 6]],
  ["i32[2]", [1, -4]],
]);
const distinct = (n: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(3 * i + 1));
example("gather", { axis: 2, batchDims: 1 }, [
  ["f32[2,4,3]", distinct(24)],
  ["i32[2,5]", [0, 2, 1, 1, 0, 2, 2, 0, 1, 1]],
]);
example("gather", { axis: 1, batchDims: 0 }, [
  ["f32[4,3,2]", distinct(24)],
  ["i32[5]", [0, 2, 1, 1, 0]],
]);
example("gather", { axis: 2, batchDims: 0 }, [
  ["f32[4,3,2]", distinct(24)],
  ["i32[2,3]", [0, 1, 1, 1, 0, 0]],
]);
example("scatterAdd", { axis: 1, batchDims: 0 }, [
  ["f32[4,3,2]", distinct(24)],
  ["i32[5]", [0, 2, 1, 1, 0]],
  ["f32[4,5,2]", distinct(40)],
]);
example("scatterAdd", { axis: 0, batchDims: 0 }, [
  ["f32[3]", [10, 20, 30]],
  ["i32[4]", [0, 0, 2, 7]],
  ["f32[4]", [1, 2, 3, 4]],
]);
example("scatterAdd", { axis: 1, batchDims: 1 }, [
  ["f32[2,2]", 0],
  ["i32[2]", [1, 0]],
  ["f32[2]", [5, 6]],
]);
example("scatterAdd", { axis: 0, batchDims: 0 }, [
  ["i32[2]", 0],
  ["i32[2]", [1, 1]],
  ["i32[2]", [5, 6]],
]);

// Reductions.
const grid: Given = ["f32[2,3]", [1, -2, 3.5, 4, 0.5, 6]];
example("reduceSum", { axes: [1] }, [grid]);
example("reduceSum", { axes: [1, 0] }, [grid]);
example("reduceSum", { axes: [] }, [grid]);
example("reduceSum", { axes: [0] }, [["f32[0,2]", []]]);
example("reduceMax", { axes: [0] }, [grid]);
example("reduceMax", { axes: [1, 0] }, [grid]);
example("reduceMax", { axes: [] }, [grid]);
example("reduceMax", { axes: [0] }, [["i32[3]", [3, 1, 3]]]);
// Maxima in a tie share equally.
example("reduceMax", { axes: [0] }, [["f32[4]", [1, 3, 3, 3]]], {
  along: [["f32[4]", [9, 1, 2, 6]]],
  gives: [["f32[]", [3]]],
});
example("cumsum", { axis: 0, reverse: false }, [grid]);
example("cumsum", { axis: 1, reverse: true }, [grid]);
example("argmax", { axis: 1 }, [grid]);
example("sort", { axis: 1 }, [grid]);
example("sort", { axis: 0 }, [grid]);
example("sort", { axis: 0 }, [["f32[3]", [2, 1, 2]]], {
  along: [["f32[3]", [1, 2, 3]]],
  gives: [["f32[3]", [2, 1, 3]]],
});
example("dot", { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] }, [
  grid,
  ["f32[3,2]", [1, 0, 0, 1, 1, 1]],
]);
example("dot", { lhsBatch: [2, 0], rhsBatch: [0, 2], lhsContract: [3, 1], rhsContract: [4, 3] }, [
  ["f32[2,2,3,1,2]", Array.from({ length: 24 }, (_, i) => Math.sin(i))],
  ["f32[3,2,2,2,1]", Array.from({ length: 24 }, (_, i) => Math.cos(i))],
]);
example("dot", { lhsBatch: [], rhsBatch: [], lhsContract: [0, 1], rhsContract: [1, 0] }, [
  grid,
  ["f32[3,2,2]", Array.from({ length: 12 }, (_, i) => Math.cos(i))],
]);
example("dot", { lhsBatch: [], rhsBatch: [], lhsContract: [], rhsContract: [] }, [
  ["f32[2]", [1, 2]],
  ["f32[3]", [3, 4, 5]],
]);
example("dot", { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] }, [
  ["f32[2,0]", []],
  ["f32[0,3]", []],
]);
example("threefry", none, [
  ["u32[2]", [1, 2]],
  ["u32[2]", [3, 4]],
  ["u32[2]", [5, 6]],
  ["u32[2]", [7, 8]],
]);
example("stopGradient", none, [["f32[2]", [1, 2]]], {
  along: [["f32[2]", [1, 1]]],
  gives: [["f32[2]", [0, 0]]],
});

// f16 throughout: constants and zeros that rules make take the operands' dtype.
example("logistic", none, [["f16[2]", [0.5, -1]]]);
example("pow", none, [
  ["f16[2]", [0.5, 2]],
  ["f16[2]", [2, -1]],
]);
example("max", none, [
  ["f16[2]", [0.5, 2]],
  ["f16[2]", [2, -1]],
]);
example("reduceMax", { axes: [0] }, [["f16[3]", [1, 4, 2]]]);
example("gather", { axis: 0, batchDims: 0 }, [
  ["f16[3]", [1, 4, 2]],
  ["i32[2]", [2, 2]],
]);
example("dot", { lhsBatch: [], rhsBatch: [], lhsContract: [0], rhsContract: [0] }, [
  ["f16[2]", [1, 2]],
  ["f16[2]", [3, 4]],
]);
example("attention", { scale: 0.5, softcap: 2, causal: true }, [
  ["f16[2,2]", [1, 2, 3, 4]],
  ["f16[2,2]", [1, 0, 2, 1]],
  ["f16[2,1]", [1, 3]],
]);

// Attention and its companions; the companions' o and lse are those of their q, k, v, as programs of two equations.
const wave = (n: number, phase: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.sin(1.3 * i + phase));
for (const [softcap, causal] of [
  [0, false],
  [2, false],
  [0, true],
  [1.5, true],
] as const) {
  const params = { scale: 0.7, softcap, causal };
  const qkv: Given[] = [
    ["f32[2,2,3]", wave(12, 0)],
    ["f32[2,4,3]", wave(24, 1)],
    ["f32[2,4,2]", wave(16, 2)],
  ];
  example("attention", params, qkv);
  covered.add("attentionTangent").add("attentionTranspose");
  const types = qkv.map(([t]) => type(t));
  const more = {
    q: ["f32[2,2,3]", wave(12, 3)],
    k: ["f32[2,4,3]", wave(24, 4)],
    v: ["f32[2,4,2]", wave(16, 5)],
    o: ["f32[2,2,2]", wave(8, 6)],
    lse: ["f32[2,2]", wave(4, 7)],
  } as const;
  const given = (names: readonly (keyof typeof more)[]) => names.map((name) => more[name]);
  for (const [op, names] of [
    ["attentionTangent", ["q", "k", "v"]],
    ["attentionTranspose", ["o", "lse"]],
  ] as const) {
    const extra = given(names);
    const p = program([...types, ...extra.map(([t]) => type(t))], (w, q, k, v, ...rest) => {
      const outputs = w.all("attention", [q as number, k as number, v as number], params);
      return w.all(op, [q as number, k as number, v as number, ...outputs, ...rest], params);
    });
    other(`${op} softcap ${softcap} causal ${causal}`, p, [...qkv, ...extra]);
  }
}

// Control and custom rules.
const step = program(["f32[]", "f32[2]", "f32[2]"], (w, c, carry, x) => {
  const spread = w.one("broadcast", [c], { shape: [2], dims: [] });
  const next = w.one("sin", [w.one("add", [w.one("mul", [spread, carry], none), x], none)], none);
  return [next, w.one("mul", [next, x], none)];
});
for (const reverse of [false, true]) {
  for (const length of [0, 1, 3]) {
    example("scan", { body: step, length, consts: 1, carry: 1, reverse }, [
      ["f32[]", [0.8]],
      ["f32[2]", [0.3, -0.4]],
      [`f32[${length},2]`, wave(2 * length, 1)],
    ]);
  }
}
const onTrue = program(["f32[2]", "f32[2]"], (w, x, y) => [
  w.one("mul", [x, y], none),
  w.one("exp", [x], none),
]);
const onFalse = program(["f32[2]", "f32[2]"], (w, x) => [
  w.one("sin", [x], none),
  w.one("constant", [], { shape: [2], dtype: "f32", values: 3 }),
]);
for (const which of [0, 1])
  example("cond", { onTrue, onFalse }, [
    ["bool[]", [which]],
    ["f32[2]", [0.3, 1.2]],
    ["f32[2]", [2, -1]],
  ]);
const below = program(["f32[]", "f32[]", "f32[]"], (w, limit, x) => [w.one("less", [x, limit], none)]);
const grow = program(["f32[]", "f32[]", "f32[]"], (w, factor, x, y) => [
  w.one("mul", [factor, x], none),
  w.one("add", [w.one("sin", [x], none), y], none),
]);
example(
  "while",
  { condition: below, body: grow, conditionConsts: 1, bodyConsts: 1 },
  [
    ["f32[]", [20]],
    ["f32[]", [1.7]],
    ["f32[]", [1]],
    ["f32[]", [0]],
  ],
  { reverse: false },
);
for (const policy of ["nothing", "dots", "everything"] as const)
  example("remat", { body: onTrue, policy }, [
    ["f32[2]", [0.3, 1.2]],
    ["f32[2]", [2, -1]],
  ]);
const cubed = program(["f32[2]"], (w, x) => [w.one("mul", [w.one("mul", [x, x], none), x], none)]);
const cubedRule = program(["f32[2]", "f32[2]"], (w, x, dx) => {
  const square = w.one("mul", [x, x], none);
  const three = w.one("constant", [], { shape: [2], dtype: "f32", values: 3 });
  return [w.one("mul", [square, x], none), w.one("mul", [w.one("mul", [three, square], none), dx], none)];
});
example("customJvp", { body: cubed, rule: cubedRule, consts: 0 }, [["f32[2]", [0.5, -1.5]]]);
const ahead = program(["f32[2]"], (w, x) => [w.one("mul", [w.one("mul", [x, x], none), x], none), x]);
const back = program(["f32[2]", "f32[2]"], (w, x, ct) => {
  const three = w.one("constant", [], { shape: [2], dtype: "f32", values: 3 });
  return [w.one("mul", [w.one("mul", [three, w.one("mul", [x, x], none)], none), ct], none)];
});
example("customVjp", { body: cubed, forward: ahead, backward: back, consts: 0 }, [["f32[2]", [0.5, -1.5]]]);
const tangentOfCube = program(["f32[2]", "f32[2]"], (w, x, dx) => {
  const three = w.one("constant", [], { shape: [2], dtype: "f32", values: 3 });
  return [w.one("mul", [w.one("mul", [three, w.one("mul", [x, x], none)], none), dx], none)];
});
covered.add("customTangent");
other(
  "customTangent with the residual x",
  program(["f32[2]", "f32[2]"], (w, x, dx) =>
    w.all("customTangent", [x, x, dx], { tangent: tangentOfCube, backward: back, residuals: 1, primals: 1 }),
  ),
  [
    ["f32[2]", [0.5, -1.5]],
    ["f32[2]", [2, 1]],
  ],
);

it("every op has a case", () => {
  expect(Object.keys(OPS).filter((op) => !covered.has(op))).toEqual([]);
});

/** The float outputs of the gradient of the weighted outputs, as a program of (inputs, weights). */
function gradOf(p: Program): Program {
  const g = vjpOf(weighted(p));
  const types = inputTypes(g);
  const floats = inputTypes(p).filter(({ dtype }) => isFloat(dtype)).length;
  return traced(types.slice(0, -1), (...xs) => {
    const one = functionOf(
      program([], (w) => [w.one("constant", [], { shape: [], dtype: "f32", values: 1 })]),
    )();
    return functionOf(g)(...xs, ...one).slice(1, 1 + floats);
  });
}

describe.each(cases.map((c) => [c.name, c] as const))("%s", (_, { p, inputs, tangents, reverse }) => {
  const us = tangents?.inputs ?? tangentsFor(p, 21);
  const ws = cotangentsFor(p, 22);
  const values = run(p, inputs);
  const count = values.length;
  const smooth = tangents === undefined;

  it("jvp", () => {
    const dual = run(jvpOf(p), [...inputs, ...us]);
    expect(gap(dual.slice(0, count), values)).toBe(0);
    expect(gap(dual.slice(count), tangents?.outputs ?? differences(p, inputs, us))).toBeLessThan(1e-7);
  });

  if (inputs.length > 0)
    it("vmap is a stack of singles", () => {
      const second = inputs.map((x, i) =>
        isFloat(x.dtype) ? { ...x, data: x.data.map((v) => v + 0.01 * (i + 1)) } : x,
      );
      const batched = run(vmapOf(p, 2), stackedOrNone([inputs, second]));
      [inputs, second].forEach((single, i) =>
        expect(gap(row(batched, i), run(p, single))).toBeLessThan(1e-12),
      );
      for (const fixed of inputs.length > 1 ? inputs.keys() : []) {
        const mixed = stackedOrNone([inputs, second]).map((x, i) =>
          i === fixed ? (inputs[i] as typeof x) : x,
        );
        const some = run(vmapOf(p, 2, [fixed]), mixed);
        [inputs, second].forEach((single, n) =>
          expect(
            gap(
              row(some, n),
              run(
                p,
                single.map((x, i) => (i === fixed ? (inputs[i] as typeof x) : x)),
              ),
            ),
          ).toBeLessThan(1e-12),
        );
      }
    });

  if (reverse)
    it("linearize is jvp, vjp its transpose", () => {
      const tangent = run(jvpOf(p), [...inputs, ...us]).slice(count);
      expect(gap(run(linearizedOf(p), [...inputs, ...us]).slice(count), tangent)).toBeLessThan(1e-12);
      const back_ = run(vjpOf(p), [...inputs, ...ws]);
      expect(gap(back_.slice(0, count), values)).toBe(0);
      expect(inner(tangent, ws)).toBeCloseTo(inner(us, back_.slice(count)), 9);
    });

  if (reverse && smooth && floatValues(values).length > 0 && us.length > 0)
    it("second order: three ways and differences", () => {
      const g = gradOf(p);
      const zero = ws.map((w) => ({ ...w, data: w.data.map(() => 0) }));
      const hvp = run(jvpOf(g), [...inputs, ...ws, ...us, ...zero]).slice(us.length);
      expect(gap(hvp, differences(g, [...inputs, ...ws], [...us, ...zero]))).toBeLessThan(1e-6);
      expect(gap(run(vjpOf(g), [...inputs, ...ws, ...us]).slice(us.length, 2 * us.length), hvp)).toBeLessThan(
        1e-10,
      );
      expect(
        gap(run(linearizedOf(g), [...inputs, ...ws, ...us, ...zero]).slice(us.length), hvp),
      ).toBeLessThan(1e-10);
      expect(
        gap(
          run(jvpOf(vmapOf(g, 1)), [...stackedOrNone([[...inputs, ...ws, ...us, ...zero]])]).slice(us.length),
          stackedOrNone([hvp]),
        ),
      ).toBeLessThan(1e-10);
    });

  if (reverse)
    it("remat changes nothing", () => {
      for (const policy of ["nothing", "dots", "everything"] as const) {
        const q = traced(inputTypes(p), (...xs) => remat(functionOf(p), policy)(...xs));
        expect(gap(run(jvpOf(q), [...inputs, ...us]), run(jvpOf(p), [...inputs, ...us]))).toBeLessThan(1e-12);
        expect(gap(run(vjpOf(q), [...inputs, ...ws]), run(vjpOf(p), [...inputs, ...ws]))).toBeLessThan(1e-12);
      }
    });
});

function stackedOrNone(lists: readonly Values[]): Values {
  return (lists[0] as Values).length === 0 ? [] : stacked(lists);
}
