/**
 * Cases for every op: edge sizes, every dtype that the op takes, and the values where a target's kernels would do something else than
 * the language. An op without cases fails to compile.
 *
 * Consumed by the tests of the targets that are compared op by op, ONNX and TensorFlow.js.
 */
import { encodeScalar, sizeOf } from "../../src/dsl/program/program.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import type { OpKind, OpParams, Program } from "../../src/dsl/program/program.ts";
import { threefry2x32 } from "../../src/dsl/random/threefry.ts";
import { program, tensor, type, Writer } from "./programs.ts";

export interface Case {
  readonly run: Program;
  readonly inputs: readonly HostTensor[];
  readonly tolerance: number;
}

const SIZES = [0, 1, 3, 7, 8, 9, 31, 33];
const none = {};
const { PI } = Math;

/** Repeatable values in [low, high). */
function values(count: number, low: number, high: number, seed = 0): number[] {
  return Array.from(
    { length: count },
    (_, i) => low + ((high - low) * threefry2x32(7, 11, i, seed)[0]) / 2 ** 32,
  );
}

/** Values that try a dtype: any bits for integers, either truth, floats within the bounds. */
export function trying(text: string, seed = 0, [low, high]: readonly [number, number] = [-2, 2]): HostTensor {
  const { dtype, shape } = type(text);
  const size = sizeOf(shape);
  if (dtype === "f32" || dtype === "f16")
    return tensor(
      text,
      values(size, low, high, seed).map((x) => Math.round(x * 256) / 256),
    );
  if (dtype === "bool") return tensor(text, values(size, 0, 2, seed).map(Math.floor));
  return tensor(
    text,
    values(size, 0, 2 ** 32, seed).map((x) => (dtype === "i32" ? Math.floor(x) | 0 : Math.floor(x))),
  );
}

function example<K extends OpKind>(
  op: K,
  params: OpParams[K],
  inputs: readonly (HostTensor | string)[],
  tolerance = 1e-5,
): Case {
  const given = inputs.map((input, i) => (typeof input === "string" ? trying(input, i) : input));
  return { run: program(given, (w, ...ids) => w.all(op, ids, params)), inputs: given, tolerance };
}

type Elementwise = { [K in OpKind]: OpParams[K] extends Record<string, never> ? K : never }[OpKind];

/** An elementwise op over all edge sizes, in f32 and with f16 once; `bounds` of each operand. */
function floats(
  op: Elementwise,
  bounds: readonly (readonly [number, number])[],
  tolerance = 2e-5,
): readonly Case[] {
  const make = (text: string, within: number): Case =>
    example(
      op,
      none,
      bounds.map((bound, i) => trying(text, i, bound)),
      within,
    );
  return [
    ...SIZES.map((size) => make(`f32[${size}]`, tolerance)),
    make("f32[]", tolerance),
    make("f32[3,0,2]", tolerance),
    make("f32[3,5]", tolerance),
    make("f16[33]", 4e-3),
  ];
}

const WHOLE = [0, 1, -1, 2, 7, 31, 32, 33, -(2 ** 31), 2 ** 31 - 1];

/** Every pair of the numbers that integers go wrong at, and any bits in the edge sizes. */
function integers(op: Elementwise, dtypes: readonly string[], operands = 2): readonly Case[] {
  return dtypes.flatMap((dtype) => {
    const pairs = WHOLE.flatMap((x) => WHOLE.map((y) => [x, y] as const));
    const columns = [0, 1].slice(0, operands).map((i) =>
      tensor(
        `${dtype}[${pairs.length}]`,
        pairs.map((p) => (dtype === "bool" ? p[i as 0 | 1] & 1 : p[i as 0 | 1])),
      ),
    );
    return [
      example(op, none, columns, 0),
      ...SIZES.map((size) =>
        example(
          op,
          none,
          columns.map(() => `${dtype}[${size}]`),
          0,
        ),
      ),
    ];
  });
}

const special = (op: Elementwise, xs: readonly number[], tolerance = 1e-6): Case =>
  example(op, none, [tensor(`f32[${xs.length}]`, xs)], tolerance);
const [inf, nan] = [Infinity, NaN];

const FLOAT_PAIRS = [0, 1, -1, 0.5, inf, -inf, nan];
/** Every pair of special floats. */
const specialPairs = (op: Elementwise): Case => {
  const pairs = FLOAT_PAIRS.flatMap((x) => FLOAT_PAIRS.map((y) => [x, y] as const));
  return example(
    op,
    none,
    [0, 1].map((i) =>
      tensor(
        `f32[${pairs.length}]`,
        pairs.map((p) => p[i as 0 | 1]),
      ),
    ),
  );
};

/** INT_MIN by −1 traps in C++ when it is divided alone, not in a vector. */
const trap = (op: "div" | "rem"): Case =>
  example(op, none, [tensor("i32[1]", [-(2 ** 31)]), tensor("i32[1]", [-1])], 0);

const smooth = [[-2, 2]] as const;
const positive = [[0.1, 4]] as const;
const both = [[-2, 2], [-2, 2]] as const; // prettier-ignore
const ALL_INTEGERS = ["i32", "u32"];
const BITS = ["i32", "u32", "bool"];

/** A constant operand, which lowers differently from an unknown one. */
function withConstant(
  op: "div" | "rem" | "pow" | "shiftLeft" | "shiftRight",
  dtype: string,
  value: number,
): Case {
  const x = dtype === "f32" ? tensor("f32[9]", values(9, 0.1, 3)) : trying(`${dtype}[9]`);
  const run = program([x], (w, id) => {
    const c = w.one("constant", [], { shape: [9], dtype: x.dtype, values: encodeScalar(value) });
    return [w.one(op, [id, c], none)];
  });
  return { run, inputs: [x], tolerance: dtype === "f32" ? 1e-5 : 0 };
}

/** One op applied to a broadcast operand, which stays small until an op needs it whole. */
function broadcasted<K extends OpKind>(
  op: K,
  params: OpParams[K],
  from: string,
  to: string,
  dims: readonly number[],
  others: readonly string[] = [],
): Case {
  const inputs = [from, ...others].map((text, i) => trying(text, i));
  const run = program(inputs, (w, id, ...rest) =>
    w.all(op, [w.one("broadcast", [id], { shape: type(to).shape, dims }), ...rest], params),
  );
  return { run, inputs, tolerance: 1e-5 };
}

const dot = (
  lhsBatch: number[],
  rhsBatch: number[],
  lhsContract: number[],
  rhsContract: number[],
  lhs: string,
  rhs: string,
): Case =>
  example(
    "dot",
    { lhsBatch, rhsBatch, lhsContract, rhsContract },
    [lhs, rhs],
    lhs.startsWith("f16") ? 2e-2 : 1e-5,
  );

const attentionParams = [
  { scale: 0.5, softcap: 0, causal: false },
  { scale: 0.3, softcap: 2, causal: false },
  { scale: 1, softcap: 0, causal: true },
  { scale: 0.7, softcap: 1.5, causal: true },
] as const;
const attentionShapes = [
  ["f32[2,3,5,4]", "f32[2,3,7,4]", "f32[2,3,7,6]"],
  ["f32[1,4]", "f32[9,4]", "f32[9,1]"],
  ["f32[3,0,4]", "f32[3,2,4]", "f32[3,2,4]"],
  ["f16[2,3,4]", "f16[2,3,4]", "f16[2,3,4]"],
] as const;

/** Attention, or an op that takes its results, at every modifier and shape. */
function attentionCases(op: "attention" | "attentionTangent" | "attentionTranspose"): readonly Case[] {
  return attentionParams.flatMap((params) =>
    attentionShapes.map(([q, k, v]) => {
      const primals = [trying(q, 0), trying(k, 1), trying(v, 2)];
      const build = (w: Writer, ids: readonly number[]): readonly number[] => {
        const primal = ids.slice(0, 3);
        const results = w.all("attention", primal, params);
        return op === "attention" ? results : w.all(op, [...primal, ...results, ...ids.slice(3)], params);
      };
      const o = `f32[${[...type(q).shape.slice(0, -1), type(v).shape.at(-1)].join()}]`.replace(
        "f32",
        type(q).dtype,
      );
      const lse = `${type(q).dtype}[${type(q).shape.slice(0, -1).join()}]`;
      const rest = op === "attention" ? [] : op === "attentionTangent" ? [q, k, v] : [o, lse];
      const inputs = [...primals, ...rest.map((text, i) => trying(text, 3 + i))];
      return {
        run: program(inputs, (w, ...ids) => build(w, ids)),
        inputs,
        tolerance: q.startsWith("f16") ? 3e-2 : 1e-5,
      };
    }),
  );
}

/** (consts c, carry s, x) -> (carry s·c + x, s). */
const accumulate = program(["f32[3]", "f32[3]", "f32[3]"], (w, c, s, x) => {
  const next = w.one("add", [w.one("mul", [s, c], none), x], none);
  return [next, s];
});
const scan = (length: number, reverse: boolean): Case =>
  example("scan", { body: accumulate, length, consts: 1, carry: 1, reverse }, [
    "f32[3]",
    "f32[3]",
    `f32[${length},3]`,
  ]);

const square = program(["f32[3]", "f32[3]"], (w, x, y) => [w.one("mul", [x, y], none)]);
/** A scan over a scan, the inner reading a const of the outer. */
const nested: Program = program(["f32[3]", "f32[3]", "f32[2,3]"], (w, c, s, xs) =>
  w.all("scan", [c, s, xs], { body: accumulate, length: 2, consts: 1, carry: 1, reverse: true }),
);

const double = program(["f32[4]"], (w, x) => [w.one("add", [x, x], none), x]);
const constantPair = program(["f32[4]"], (w, x) => {
  const c = w.one("constant", [], { shape: [4], dtype: "f32", values: 3 });
  return [c, w.one("neg", [x], none)];
});
/** While sum(x) < limit: x := x + step. */
const belowLimit = program(["f32[]", "f32[3]"], (w, limit, x) => [
  w.one("less", [w.one("reduceSum", [x], { axes: [0] }), limit], none),
]);
const increase = program(["f32[3]", "f32[3]"], (w, step, x) => [w.one("add", [x, step], none)]);
const until = (limit: number): Case =>
  example("while", { condition: belowLimit, body: increase, conditionConsts: 1, bodyConsts: 1 }, [
    tensor("f32[]", [limit]),
    tensor("f32[3]", [1, 2, 0.5]),
    tensor("f32[3]", 0),
  ]);

const squareRule = program(["f32[3]", "f32[3]", "f32[3]", "f32[3]"], (w, x, y, dx, dy) => {
  const out = w.one("mul", [x, y], none);
  return [out, w.one("add", [w.one("mul", [dx, y], none), w.one("mul", [x, dy], none)], none)];
});
const squareForward = program(["f32[3]", "f32[3]"], (w, x, y) => [w.one("mul", [x, y], none), x, y]);
const squareBackward = program(["f32[3]", "f32[3]", "f32[3]"], (w, x, y, g) => [
  w.one("mul", [y, g], none),
  w.one("mul", [x, g], none),
]);
const squareTangent = program(["f32[3]", "f32[3]", "f32[3]", "f32[3]"], (w, x, y, dx, dy) => [
  w.one("add", [w.one("mul", [dx, y], none), w.one("mul", [x, dy], none)], none),
]);

const gather = (operand: string, indices: string, at: readonly number[], axis: number, batchDims = 0): Case =>
  example("gather", { axis, batchDims }, [operand, tensor(indices, at)], 0);
const scatterAdd = (
  operand: string,
  indices: string,
  at: readonly number[],
  updates: string,
  axis: number,
  batchDims = 0,
): Case =>
  example(
    "scatterAdd",
    { axis, batchDims },
    [operand, tensor(indices, at), updates],
    operand.startsWith("f16") ? 2e-2 : 1e-5,
  );

export const OP_CASES: { readonly [K in OpKind]: readonly Case[] } = {
  neg: [...floats("neg", smooth, 0), ...integers("neg", ALL_INTEGERS, 1)],
  abs: [...floats("abs", smooth, 0), ...integers("abs", ALL_INTEGERS, 1)],
  sign: [
    ...floats("sign", smooth, 0),
    ...integers("sign", ALL_INTEGERS, 1),
    special("sign", [0, -0, inf, -inf, nan]),
  ],
  floor: [...floats("floor", [[-5, 5]], 0), special("floor", [-0.5, 2, -3, 1e9])],
  exp: [...floats("exp", [[-4, 4]]), special("exp", [-200, 200, 0, inf, -inf, nan], 1e-5)],
  log: [...floats("log", positive), special("log", [0, 1, 1e-30, 1e30, -1, inf])],
  sin: [...floats("sin", [[-9, 9]]), special("sin", [PI, -PI / 2, 100])],
  cos: [...floats("cos", [[-9, 9]]), special("cos", [PI, -PI / 2, 100])],
  tanh: [...floats("tanh", smooth), special("tanh", [-100, 100, 1e-6, inf, -inf])],
  sqrt: [...floats("sqrt", positive), special("sqrt", [0, -1, inf, 1e-30])],
  rsqrt: [...floats("rsqrt", positive), special("rsqrt", [0, inf, 1e-20])],
  erf: [...floats("erf", smooth), special("erf", [-8, 8, 1e-6, inf, -inf])],
  logistic: [...floats("logistic", smooth), special("logistic", [-50, 50, inf, -inf])],
  not: integers("not", BITS, 1),
  add: [...floats("add", both), ...integers("add", ALL_INTEGERS), specialPairs("add")],
  sub: [...floats("sub", both), ...integers("sub", ALL_INTEGERS), specialPairs("sub")],
  mul: [...floats("mul", both), ...integers("mul", ALL_INTEGERS), specialPairs("mul")],
  div: [
    ...floats("div", [[-2, 2], [0.5, 2]]), // prettier-ignore
    ...integers("div", ALL_INTEGERS),
    trap("div"),
    specialPairs("div"),
    ...[1, -1, 0, 7].map((c) => withConstant("div", "i32", c)),
    ...[1, 0, 7].map((c) => withConstant("div", "u32", c)),
  ],
  rem: [
    ...floats("rem", [[-9, 9], [0.5, 2]], 1e-4), // prettier-ignore
    ...integers("rem", ALL_INTEGERS),
    trap("rem"),
    ...[1, -1, 0, 7].map((c) => withConstant("rem", "i32", c)),
  ],
  pow: [
    ...floats("pow", [[0.1, 3], [-2, 2]], 1e-4), // prettier-ignore
    ...[0, 1, 2, 3, -1, 0.5, -0.5].map((c) => withConstant("pow", "f32", c)),
  ],
  max: [...floats("max", both, 0), ...integers("max", ALL_INTEGERS), specialPairs("max")],
  min: [...floats("min", both, 0), ...integers("min", ALL_INTEGERS), specialPairs("min")],
  and: integers("and", BITS),
  or: integers("or", BITS),
  xor: integers("xor", BITS),
  shiftLeft: [
    ...integers("shiftLeft", ALL_INTEGERS),
    ...ALL_INTEGERS.flatMap((d) => [0, 5, 31, 32].map((c) => withConstant("shiftLeft", d, c))),
  ],
  shiftRight: [
    ...integers("shiftRight", ALL_INTEGERS),
    ...ALL_INTEGERS.flatMap((d) => [0, 5, 31, 32].map((c) => withConstant("shiftRight", d, c))),
  ],
  equal: [...floats("equal", both, 0), ...integers("equal", BITS), specialPairs("equal")],
  less: [...floats("less", both, 0), ...integers("less", ALL_INTEGERS), specialPairs("less")],
  lessEqual: [
    ...floats("lessEqual", both, 0),
    ...integers("lessEqual", ALL_INTEGERS),
    specialPairs("lessEqual"),
  ],
  constant: [
    example("constant", { shape: [2, 3], dtype: "f32", values: [1, "-0", "inf", "-inf", "nan", 0.1] }, []),
    example("constant", { shape: [4], dtype: "f32", values: "nan" }, []),
    example("constant", { shape: [2, 0], dtype: "i32", values: [] }, []),
    example("constant", { shape: [3], dtype: "u32", values: [0, 2 ** 31, 2 ** 32 - 1] }, [], 0),
    example("constant", { shape: [3], dtype: "bool", values: [0, 1, 1] }, [], 0),
    example("constant", { shape: [], dtype: "i32", values: -(2 ** 31) }, [], 0),
    example("constant", { shape: [2], dtype: "f16", values: [1 / 3, 65504] }, [], 1e-3),
    example("constant", { shape: [40], dtype: "f32", values: values(40, -1, 1) }, []),
  ],
  iota: [
    ...(["f32", "f16", "i32", "u32"] as const).map((dtype) =>
      example("iota", { shape: [2, 5, 3], dtype, axis: 1 }, [], 0),
    ),
    example("iota", { shape: [1000], dtype: "u32", axis: 0 }, [], 0),
    example("iota", { shape: [1000], dtype: "f32", axis: 0 }, [], 0),
    example("iota", { shape: [0, 3], dtype: "i32", axis: 1 }, [], 0),
  ],
  select: ["f32", "f16", "i32", "u32", "bool"].flatMap((d) =>
    SIZES.map((n) => example("select", none, [`bool[${n}]`, `${d}[${n}]`, `${d}[${n}]`], 0)),
  ),
  cast: [
    ...(["f32", "f16", "i32", "u32", "bool"] as const).flatMap((dtype) => [
      example(
        "cast",
        { dtype },
        [tensor("f32[9]", [0, 1, -1.5, 2.7, -2.7, 0.3, 100.5, 7, 65504])],
        dtype === "f16" ? 1e-3 : 0,
      ),
      ...["i32[33]", "u32[33]", "bool[33]"].map((from) =>
        example("cast", { dtype }, [from], dtype === "f16" || dtype === "f32" ? 1e-3 : 0),
      ),
      example("cast", { dtype }, [tensor("f16[4]", [1.5, -2.25, 0, 300])], 0),
    ]),
    ...(["i32", "u32"] as const).map((dtype) =>
      example(
        "cast",
        { dtype },
        [tensor("f32[9]", [3e9, -3e9, 5e9, inf, -inf, nan, 2147483520, -2147483648, 4294967040])],
        0,
      ),
    ),
    example("cast", { dtype: "bool" }, [tensor("f32[4]", [nan, 0, -0, 1e-30])], 0),
  ],
  broadcast: [
    example("broadcast", { shape: [2, 3, 4], dims: [1] }, ["f32[3]"], 0),
    example("broadcast", { shape: [2, 3, 4], dims: [0, 2] }, ["i32[2,1]"], 0),
    example("broadcast", { shape: [5], dims: [] }, ["f32[]"], 0),
    example("broadcast", { shape: [0, 3], dims: [1] }, ["f32[3]"], 0),
    example("broadcast", { shape: [2, 3], dims: [0, 1] }, ["bool[2,3]"], 0),
    example("broadcast", { shape: [3, 2, 3], dims: [1, 2] }, ["u32[1,3]"], 0),
  ],
  reshape: [
    example("reshape", { shape: [6, 2] }, ["f32[3,4]"], 0),
    example("reshape", { shape: [] }, ["f32[1,1]"], 0),
    example("reshape", { shape: [1, 1] }, ["f32[]"], 0),
    example("reshape", { shape: [0, 7] }, ["f32[2,0]"], 0),
    broadcasted("reshape", { shape: [2, 1, 3, 4, 1] }, "f32[3]", "f32[2,3,4]", [1]),
    broadcasted("reshape", { shape: [6, 4] }, "f32[3]", "f32[2,3,4]", [1]),
  ],
  transpose: [
    example("transpose", { perm: [2, 0, 1] }, ["f32[2,3,4]"], 0),
    example("transpose", { perm: [1, 0] }, ["bool[1,5]"], 0),
    example("transpose", { perm: [] }, ["f32[]"], 0),
    broadcasted("transpose", { perm: [1, 2, 0] }, "f32[2,4]", "f32[2,3,4]", [0, 2]),
  ],
  slice: [
    example("slice", { start: [1, 0, 2], stop: [3, 4, 9], step: [1, 1, 3] }, ["f32[3,4,9]"], 0),
    example("slice", { start: [2], stop: [2], step: [1] }, ["i32[5]"], 0),
    example("slice", { start: [], stop: [], step: [] }, ["f32[]"], 0),
    broadcasted(
      "slice",
      { start: [0, 1, 1], stop: [2, 3, 4], step: [1, 2, 1] },
      "u32[2,1,4]",
      "u32[2,3,4]",
      [0, 1, 2],
    ),
  ],
  pad: [
    example("pad", { low: [1, 0], high: [0, 2], interior: [0, 0] }, ["f32[2,3]"], 0),
    example("pad", { low: [1, 2], high: [3, 0], interior: [2, 1] }, ["i32[3,4]"], 0),
    example("pad", { low: [0], high: [0], interior: [3] }, ["bool[5]"], 0),
    example("pad", { low: [2], high: [1], interior: [1] }, ["f32[0]"], 0),
    example("pad", { low: [], high: [], interior: [] }, ["f32[]"], 0),
    example("pad", { low: [1, 0], high: [1, 0], interior: [0, 2] }, ["f16[1,2]"], 0),
    broadcasted("pad", { low: [1, 0, 1], high: [0, 0, 0], interior: [0, 0, 1] }, "u32[3]", "u32[2,3,4]", [1]),
  ],
  concat: [
    example("concat", { axis: 1 }, ["f32[2,1]", "f32[2,3]", "f32[2,0]"], 0),
    example("concat", { axis: 0 }, ["bool[3]"], 0),
    example("concat", { axis: 0 }, ["u32[0]", "u32[0]", "u32[4]"], 0),
    broadcasted("concat", { axis: 0 }, "f32[3]", "f32[2,3]", [1], ["f32[1,3]"]),
  ],
  gather: [
    gather("f32[5,3]", "i32[4]", [0, 4, -7, 99], 0),
    gather("i32[2,5,3]", "i32[2,2]", [1, 1, 0, 4], 1),
    gather("u32[5]", "i32[]", [3], 0),
    gather("f32[2,3,5,4]", "i32[2,2]", [0, 4, 2, 9], 2, 1),
    gather("f32[2,3,5]", "i32[2,3]", [0, 1, 2, 3, 4, 5], 2, 2),
    gather("bool[2,5]", "i32[2,0]", [], 1, 1),
    gather("f32[0,3]", "i32[0]", [], 0),
  ],
  scatterAdd: [
    scatterAdd("f32[5,3]", "i32[4]", [0, 4, -7, 99], "f32[4,3]", 0),
    scatterAdd("i32[2,5,3]", "i32[2,2]", [1, 1, 0, 4], "i32[2,2,2,3]", 1),
    scatterAdd("u32[5]", "i32[]", [3], "u32[]", 0),
    scatterAdd("f32[2,3,5,4]", "i32[2,2]", [0, 4, 2, 9], "f32[2,3,2,4]", 2, 1),
    scatterAdd("f32[2,3,5]", "i32[2,3]", [0, 1, 2, 3, 4, 5], "f32[2,3]", 2, 2),
    scatterAdd("f16[2,5]", "i32[2,7]", [0, 1, 2, 3, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0], "f16[2,7]", 1, 1),
    scatterAdd("f32[4,2]", "i32[0]", [], "f32[0,2]", 0),
  ],
  reduceSum: [
    ...SIZES.map((n) => example("reduceSum", { axes: [0] }, [`f32[${n},2]`])),
    example("reduceSum", { axes: [0, 2] }, ["f32[3,4,5]"]),
    example("reduceSum", { axes: [1, 0] }, ["i32[3,4]"], 0),
    example("reduceSum", { axes: [1] }, ["u32[3,4]"], 0),
    example("reduceSum", { axes: [] }, ["f32[3]"]),
    example("reduceSum", { axes: [0] }, ["f16[9]"], 2e-2),
    broadcasted("reduceSum", { axes: [0, 1] }, "f32[3]", "f32[2,3,4]", [1]),
    broadcasted("reduceSum", { axes: [2] }, "u32[3]", "u32[2,3,4]", [1]),
  ],
  reduceMax: [
    example("reduceMax", { axes: [0, 2] }, ["f32[3,4,5]"], 0),
    example("reduceMax", { axes: [1] }, ["i32[3,4]"], 0),
    example("reduceMax", { axes: [0] }, ["u32[33]"], 0),
    example("reduceMax", { axes: [] }, ["f32[3]"], 0),
    example("reduceMax", { axes: [0] }, [tensor("f32[3]", [-inf, -5, -7])], 0),
    broadcasted("reduceMax", { axes: [0, 1] }, "f32[3]", "f32[2,3,4]", [1]),
  ],
  cumsum: [
    ...[true, false].flatMap((reverse) => [
      ...SIZES.map((n) => example("cumsum", { axis: 0, reverse }, [`f32[${n}]`])),
      example("cumsum", { axis: 1, reverse }, ["i32[2,3,2]"], 0),
      example("cumsum", { axis: 0, reverse }, ["u32[9]"], 0),
    ]),
    broadcasted("cumsum", { axis: 0, reverse: false }, "f32[3]", "f32[4,3]", [1]),
  ],
  argmax: [
    example("argmax", { axis: 1 }, ["f32[3,33]"], 0),
    example("argmax", { axis: 0 }, [tensor("f32[5]", [1, 3, 3, -1, 3])], 0),
    example("argmax", { axis: 0 }, ["i32[9,2]"], 0),
    example("argmax", { axis: 0 }, ["u32[9]"], 0),
    example("argmax", { axis: 0 }, [tensor("f32[4]", -inf)], 0),
    broadcasted("argmax", { axis: 0 }, "f32[3]", "f32[2,3]", [1]),
  ],
  sort: [
    ...SIZES.map((n) => example("sort", { axis: 0 }, [`f32[${n}]`], 0)),
    example("sort", { axis: 0 }, [tensor("f32[7]", [2, 1, 2, 1, 0, 2, 1])], 0),
    example("sort", { axis: 1 }, ["i32[2,9,2]"], 0),
    example("sort", { axis: 0 }, ["u32[33]"], 0),
    broadcasted("sort", { axis: 0 }, "f32[3]", "f32[4,3]", [1]),
  ],
  dot: [
    dot([], [], [1], [0], "f32[3,4]", "f32[4,5]"),
    dot([], [], [0], [0], "f32[4,3]", "f32[4,5]"),
    dot([], [], [1], [1], "f32[3,4]", "f32[5,4]"),
    dot([], [], [0], [1], "f32[4,3]", "f32[5,4]"),
    dot([], [], [2], [0], "f32[2,3,4]", "f32[4,5]"),
    dot([], [], [0, 1], [0, 1], "f32[2,3,4]", "f32[2,3,5]"),
    dot([], [], [1, 0], [0, 2], "f32[2,3,4]", "f32[3,5,2]"),
    dot([], [], [1], [1], "f32[2,3,4]", "f32[5,3,2]"),
    dot([], [], [0], [0], "f32[33]", "f32[33]"),
    dot([], [], [0], [0], "f32[4]", "f32[4,3]"),
    dot([], [], [], [], "f32[2,3]", "f32[4]"),
    dot([0], [0], [], [], "f32[2,3]", "f32[2,4]"),
    dot([], [], [1], [0], "f32[3,0]", "f32[0,2]"),
    dot([], [], [1], [0], "f32[3,1]", "f32[1,2]"),
    dot([0], [0], [2], [1], "f32[2,3,4]", "f32[2,4,5]"),
    dot([0], [0], [1], [1], "f32[2,4,3]", "f32[2,4,5]"),
    dot([0], [0], [2], [2], "f32[2,3,4]", "f32[2,5,4]"),
    dot([0, 2], [0, 2], [3], [3], "f32[2,5,3,4]", "f32[2,6,3,4]"),
    dot([1], [0], [0, 3], [2, 1], "f32[2,3,5,4]", "f32[3,4,2,6]"),
    dot([0], [0], [1], [1], "f32[3,9]", "f32[3,9]"),
    dot([0], [0], [1], [2], "f32[3,9]", "f32[3,4,9]"),
    dot([0], [0], [2], [1], "f32[0,3,4]", "f32[0,4,5]"),
    dot([], [], [1], [0], "f16[3,9]", "f16[9,5]"),
    broadcasted(
      "dot",
      { lhsBatch: [0], rhsBatch: [0], lhsContract: [2], rhsContract: [1] },
      "f32[3,4]",
      "f32[2,3,4]",
      [1, 2],
      ["f32[2,4,5]"],
    ),
    broadcasted(
      "dot",
      { lhsBatch: [], rhsBatch: [], lhsContract: [2], rhsContract: [0] },
      "f32[4]",
      "f32[2,3,4]",
      [2],
      ["f32[4,5]"],
    ),
    broadcasted(
      "dot",
      { lhsBatch: [], rhsBatch: [], lhsContract: [0, 1], rhsContract: [1, 0] },
      "f32[3]",
      "f32[2,3,4]",
      [1],
      ["f32[3,2]"],
    ),
  ],
  threefry: SIZES.map((n) =>
    example("threefry", none, [`u32[${n}]`, `u32[${n}]`, `u32[${n}]`, `u32[${n}]`], 0),
  ),
  stopGradient: [example("stopGradient", none, ["f32[3]"], 0), example("stopGradient", none, ["bool[0]"], 0)],
  attention: attentionCases("attention"),
  attentionTangent: attentionCases("attentionTangent"),
  attentionTranspose: attentionCases("attentionTranspose"),
  scan: [
    ...[0, 1, 2, 7].flatMap((length) => [scan(length, false), scan(length, true)]),
    example("scan", { body: nested, length: 3, consts: 1, carry: 1, reverse: false }, [
      "f32[3]",
      "f32[3]",
      "f32[3,2,3]",
    ]),
    example("scan", { body: square, length: 4, consts: 1, carry: 1, reverse: true }, ["f32[3]", "f32[3]"]),
    example("scan", { body: double, length: 2, consts: 0, carry: 0, reverse: true }, ["f32[2,4]"]),
    example("scan", { body: constantPair, length: 3, consts: 1, carry: 0, reverse: false }, ["f32[4]"]),
    example(
      "scan",
      {
        body: program(["bool[]", "i32[0,2]", "u32[2]"], (_w, b, e, x) => [b, e, x, b]),
        length: 2,
        consts: 0,
        carry: 2,
        reverse: false,
      },
      ["bool[]", "i32[0,2]", "u32[2,2]"],
    ),
  ],
  cond: [true, false].flatMap((flag) => [
    example("cond", { onTrue: double, onFalse: constantPair }, [tensor("bool[]", [Number(flag)]), "f32[4]"]),
    example("cond", { onTrue: program(["f32[4]"], (_w, x) => [x, x]), onFalse: double }, [
      tensor("bool[]", [Number(flag)]),
      "f32[4]",
    ]),
  ]),
  while: [until(-1), until(3), until(40)],
  remat: [example("remat", { body: square, policy: "nothing" }, ["f32[3]", "f32[3]"])],
  customJvp: [example("customJvp", { body: square, rule: squareRule, consts: 0 }, ["f32[3]", "f32[3]"])],
  customVjp: [
    example("customVjp", { body: square, forward: squareForward, backward: squareBackward, consts: 0 }, [
      "f32[3]",
      "f32[3]",
    ]),
  ],
  customTangent: [
    example("customTangent", { tangent: squareTangent, backward: squareBackward, residuals: 2, primals: 2 }, [
      "f32[3]",
      "f32[3]",
      "f32[3]",
      "f32[3]",
      "f32[3]",
      "f32[3]",
    ]),
  ],
};

/** Ops that compute no floats, so that special values and any bits of integers come out as they went in. */
export const EXACT_OPS: readonly OpKind[] = [
  ...([
    "constant",
    "iota",
    "and",
    "or",
    "xor",
    "not",
    "shiftLeft",
    "shiftRight",
    "select",
    "threefry",
  ] as const),
  ...(["broadcast", "reshape", "transpose", "slice", "pad", "concat", "gather"] as const),
  ...(["reduceMax", "argmax", "sort", "max", "min", "abs", "neg"] as const),
  ...(["scan", "cond", "while", "remat"] as const),
];
