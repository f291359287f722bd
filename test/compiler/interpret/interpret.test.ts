import { describe, expect, it } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { OPS } from "../../../src/dsl/ops/index.ts";
import type { OpKind, OpParams, Program } from "../../../src/dsl/program/program.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { difference, program, tensor, type } from "../../support/programs.ts";

type Tensor = readonly [type: string, values: readonly number[] | number];

interface Case {
  readonly run: Program;
  readonly inputs: readonly Tensor[];
  readonly expected: readonly Tensor[];
  readonly tolerance: number;
}

const cases: Partial<Record<string, Case[]>> = {};

/** One equation with known answers: exact unless a tolerance is given. */
function known<K extends OpKind>(
  op: K,
  params: OpParams[K],
  inputs: readonly Tensor[],
  expected: readonly Tensor[],
  tolerance = 0,
): void {
  const run = program(
    inputs.map(([t]) => type(t)),
    (w, ...ids) => w.all(op, ids, params),
  );
  (cases[op] ??= []).push({ run, inputs, expected, tolerance });
}

const [inf, nan] = [Infinity, NaN];
const none = {};

// Elementwise, one argument.
known("neg", none, [["f32[3]", [1, -2, 0]]], [["f32[3]", [-1, 2, -0]]]);
known("neg", none, [["i32[2]", [5, -(2 ** 31)]]], [["i32[2]", [-5, -(2 ** 31)]]]);
known("neg", none, [["u32[2]", [1, 0]]], [["u32[2]", [2 ** 32 - 1, 0]]]);
known("abs", none, [["f32[3]", [-1.5, 2, -inf]]], [["f32[3]", [1.5, 2, inf]]]);
known("abs", none, [["i32[2]", [-3, -(2 ** 31)]]], [["i32[2]", [3, -(2 ** 31)]]]);
known("sign", none, [["f32[5]", [-2, -0, 0, 3, nan]]], [["f32[5]", [-1, 0, 0, 1, nan]]]);
known("sign", none, [["i32[3]", [-7, 0, 7]]], [["i32[3]", [-1, 0, 1]]]);
known("floor", none, [["f32[4]", [1.5, -1.5, -0.5, 2]]], [["f32[4]", [1, -2, -1, 2]]]);
known("exp", none, [["f32[4]", [0, 1, -inf, inf]]], [["f32[4]", [1, Math.E, 0, inf]]]);
known("log", none, [["f32[4]", [1, Math.E, 0, -1]]], [["f32[4]", [0, 1, -inf, nan]]]);
known("sin", none, [["f32[2]", [0, Math.PI / 6]]], [["f32[2]", [0, 0.5]]], 1e-15);
known("cos", none, [["f32[2]", [0, Math.PI / 3]]], [["f32[2]", [1, 0.5]]], 1e-15);
known("tanh", none, [["f32[3]", [0, 1000, Math.log(3) / 2]]], [["f32[3]", [0, 1, 0.5]]], 1e-15);
known("sqrt", none, [["f32[3]", [9, 2, -1]]], [["f32[3]", [3, Math.SQRT2, nan]]]);
known("rsqrt", none, [["f32[3]", [4, 0, inf]]], [["f32[3]", [0.5, inf, 0]]]);
known(
  "erf",
  none,
  [["f32[4]", [0, 0.5, -3, inf]]],
  [["f32[4]", [0, 0.5204998778130465, -0.9999779095030014, 1]]],
  1e-15,
);
known("logistic", none, [["f32[4]", [0, Math.log(3), -1000, 1000]]], [["f32[4]", [0.5, 0.75, 0, 1]]], 1e-15);
known("not", none, [["bool[2]", [1, 0]]], [["bool[2]", [0, 1]]]);
known("not", none, [["u32[1]", [1]]], [["u32[1]", [2 ** 32 - 2]]]);

// Elementwise, two arguments.
known(
  "add",
  none,
  [
    ["f32[2]", [1, 2]],
    ["f32[2]", [0.5, -2]],
  ],
  [["f32[2]", [1.5, 0]]],
);
known(
  "add",
  none,
  [
    ["i32[1]", [2 ** 31 - 1]],
    ["i32[1]", [1]],
  ],
  [["i32[1]", [-(2 ** 31)]]],
);
known(
  "add",
  none,
  [
    ["f32[0]", []],
    ["f32[0]", []],
  ],
  [["f32[0]", []]],
);
known(
  "sub",
  none,
  [
    ["u32[1]", [1]],
    ["u32[1]", [2]],
  ],
  [["u32[1]", [2 ** 32 - 1]]],
);
known(
  "mul",
  none,
  [
    ["u32[1]", [2654435761]],
    ["u32[1]", [2654435761]],
  ],
  [["u32[1]", [Number((2654435761n * 2654435761n) % 4294967296n)]]],
);
known(
  "mul",
  none,
  [
    ["f16[1]", [300]],
    ["f16[1]", [300]],
  ],
  [["f16[1]", [90000]]],
);
known(
  "div",
  none,
  [
    ["f32[3]", [1, -1, 0]],
    ["f32[3]", [4, 0, 0]],
  ],
  [["f32[3]", [0.25, -inf, nan]]],
);
known(
  "div",
  none,
  [
    ["i32[4]", [-7, 7, 5, -(2 ** 31)]],
    ["i32[4]", [2, -2, 0, -1]],
  ],
  [["i32[4]", [-3, -3, 5, -(2 ** 31)]]],
);
known(
  "div",
  none,
  [
    ["u32[1]", [2 ** 32 - 1]],
    ["u32[1]", [2]],
  ],
  [["u32[1]", [2 ** 31 - 1]]],
);
known(
  "rem",
  none,
  [
    ["f32[2]", [5.5, -5.5]],
    ["f32[2]", [2, 2]],
  ],
  [["f32[2]", [1.5, -1.5]]],
);
known(
  "rem",
  none,
  [
    ["i32[3]", [-7, 7, 5]],
    ["i32[3]", [3, -3, 0]],
  ],
  [["i32[3]", [-1, 1, 0]]],
);
known(
  "pow",
  none,
  [
    ["f32[4]", [2, 4, 0, -8]],
    ["f32[4]", [10, 0.5, 0, 1 / 3]],
  ],
  [["f32[4]", [1024, 2, 1, nan]]],
);
known(
  "max",
  none,
  [
    ["f32[3]", [1, -2, nan]],
    ["f32[3]", [0, -1, 0]],
  ],
  [["f32[3]", [1, -1, nan]]],
);
known(
  "min",
  none,
  [
    ["u32[2]", [1, 2 ** 32 - 1]],
    ["u32[2]", [2, 0]],
  ],
  [["u32[2]", [1, 0]]],
);
known(
  "and",
  none,
  [
    ["bool[4]", [0, 0, 1, 1]],
    ["bool[4]", [0, 1, 0, 1]],
  ],
  [["bool[4]", [0, 0, 0, 1]]],
);
known(
  "and",
  none,
  [
    ["u32[1]", [0xf0f0f0f0]],
    ["u32[1]", [0xff00ff00]],
  ],
  [["u32[1]", [0xf000f000]]],
);
known(
  "or",
  none,
  [
    ["i32[1]", [-256]],
    ["i32[1]", [3]],
  ],
  [["i32[1]", [-253]]],
);
known(
  "xor",
  none,
  [
    ["u32[1]", [0xffffffff]],
    ["u32[1]", [0x0f0f0f0f]],
  ],
  [["u32[1]", [0xf0f0f0f0]]],
);
known(
  "shiftLeft",
  none,
  [
    ["u32[3]", [1, 1, 3]],
    ["u32[3]", [31, 32, 31]],
  ],
  [["u32[3]", [2 ** 31, 0, 2 ** 31]]],
);
known(
  "shiftRight",
  none,
  [
    ["i32[3]", [-8, -8, 8]],
    ["i32[3]", [1, 40, 40]],
  ],
  [["i32[3]", [-4, -1, 0]]],
);
known(
  "shiftRight",
  none,
  [
    ["u32[2]", [2 ** 31, 2 ** 31]],
    ["u32[2]", [31, 32]],
  ],
  [["u32[2]", [1, 0]]],
);
known(
  "equal",
  none,
  [
    ["f32[3]", [1, nan, 0]],
    ["f32[3]", [1, nan, -0]],
  ],
  [["bool[3]", [1, 0, 1]]],
);
known(
  "less",
  none,
  [
    ["u32[2]", [2 ** 32 - 1, 0]],
    ["u32[2]", [0, 2 ** 32 - 1]],
  ],
  [["bool[2]", [0, 1]]],
);
known(
  "lessEqual",
  none,
  [
    ["i32[3]", [-1, 2, 2]],
    ["i32[3]", [1, 2, 1]],
  ],
  [["bool[3]", [1, 1, 0]]],
);

// Structure.
known(
  "constant",
  { shape: [2, 2], dtype: "f32", values: [1, "inf", "nan", "-0"] },
  [],
  [["f32[2,2]", [1, inf, nan, -0]]],
);
known("constant", { shape: [3], dtype: "u32", values: 7 }, [], [["u32[3]", [7, 7, 7]]]);
known("constant", { shape: [0, 2], dtype: "bool", values: [] }, [], [["bool[0,2]", []]]);
known("iota", { shape: [2, 3], dtype: "i32", axis: 1 }, [], [["i32[2,3]", [0, 1, 2, 0, 1, 2]]]);
known("iota", { shape: [2, 3], dtype: "f32", axis: 0 }, [], [["f32[2,3]", [0, 0, 0, 1, 1, 1]]]);
known("iota", { shape: [2, 0], dtype: "f32", axis: 0 }, [], [["f32[2,0]", []]]);
known(
  "select",
  none,
  [
    ["bool[2]", [1, 0]],
    ["f32[2]", [1, 2]],
    ["f32[2]", [3, 4]],
  ],
  [["f32[2]", [1, 4]]],
);
known(
  "cast",
  { dtype: "i32" },
  [["f32[6]", [1.9, -1.9, 3e9, -3e9, nan, -0.5]]],
  [["i32[6]", [1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 0]]],
);
known("cast", { dtype: "u32" }, [["f32[3]", [-1, 2.7, 1e10]]], [["u32[3]", [0, 2, 2 ** 32 - 1]]]);
known("cast", { dtype: "u32" }, [["i32[1]", [-1]]], [["u32[1]", [2 ** 32 - 1]]]);
known("cast", { dtype: "bool" }, [["f32[4]", [0, -0, 0.1, nan]]], [["bool[4]", [0, 0, 1, 1]]]);
known("cast", { dtype: "f16" }, [["f32[1]", [0.1]]], [["f16[1]", [0.1]]]);
known("cast", { dtype: "f32" }, [["u32[1]", [2 ** 32 - 1]]], [["f32[1]", [2 ** 32 - 1]]]);
known("broadcast", { shape: [2, 3], dims: [0] }, [["f32[2]", [1, 2]]], [["f32[2,3]", [1, 1, 1, 2, 2, 2]]]);
known(
  "broadcast",
  { shape: [2, 3], dims: [0, 1] },
  [["f32[1,3]", [1, 2, 3]]],
  [["f32[2,3]", [1, 2, 3, 1, 2, 3]]],
);
known("broadcast", { shape: [2], dims: [] }, [["bool[]", [1]]], [["bool[2]", [1, 1]]]);
known("broadcast", { shape: [0, 3], dims: [0, 1] }, [["f32[1,3]", [1, 2, 3]]], [["f32[0,3]", []]]);
known("reshape", { shape: [3, 2] }, [["f32[2,3]", [1, 2, 3, 4, 5, 6]]], [["f32[3,2]", [1, 2, 3, 4, 5, 6]]]);
known("transpose", { perm: [1, 0] }, [["f32[2,3]", [1, 2, 3, 4, 5, 6]]], [["f32[3,2]", [1, 4, 2, 5, 3, 6]]]);
known(
  "transpose",
  { perm: [2, 0, 1] },
  [["i32[1,2,3]", [1, 2, 3, 4, 5, 6]]],
  [["i32[3,1,2]", [1, 4, 2, 5, 3, 6]]],
);
known("transpose", { perm: [] }, [["f32[]", [4]]], [["f32[]", [4]]]);
known(
  "slice",
  { start: [0, 1], stop: [2, 4], step: [1, 2] },
  [["f32[2,4]", [1, 2, 3, 4, 5, 6, 7, 8]]],
  [["f32[2,2]", [2, 4, 6, 8]]],
);
known("slice", { start: [1], stop: [1], step: [1] }, [["f32[2]", [1, 2]]], [["f32[0]", []]]);
known(
  "pad",
  { low: [1], high: [2], interior: [1] },
  [["f32[3]", [1, 2, 3]]],
  [["f32[8]", [0, 1, 0, 2, 0, 3, 0, 0]]],
);
known(
  "pad",
  { low: [0, 1], high: [1, 0], interior: [0, 0] },
  [["i32[1,2]", [1, 2]]],
  [["i32[2,3]", [0, 1, 2, 0, 0, 0]]],
);
known("pad", { low: [1], high: [1], interior: [3] }, [["f32[0]", []]], [["f32[2]", [0, 0]]]);
known(
  "concat",
  { axis: 1 },
  [
    ["f32[2,1]", [1, 2]],
    ["f32[2,0]", []],
    ["f32[2,2]", [3, 4, 5, 6]],
  ],
  [["f32[2,3]", [1, 3, 4, 2, 5, 6]]],
);
known(
  "gather",
  { axis: 0, batchDims: 0 },
  [
    ["f32[3,2]", [1, 2, 3, 4, 5, 6]],
    ["i32[4]", [2, 0, -5, 9]],
  ],
  [["f32[4,2]", [5, 6, 1, 2, 1, 2, 5, 6]]],
);
known(
  "gather",
  { axis: 1, batchDims: 1 },
  [
    ["f32[2,3]", [1, 2, 3, 4, 5, 6]],
    ["i32[2]", [2, 0]],
  ],
  [["f32[2]", [3, 4]]],
);
known(
  "gather",
  { axis: 2, batchDims: 1 },
  [
    ["i32[2,2,2]", [1, 2, 3, 4, 5, 6, 7, 8]],
    ["i32[2,1]", [1, 0]],
  ],
  [["i32[2,2,1]", [2, 4, 5, 7]]],
);
known(
  "gather",
  { axis: 0, batchDims: 0 },
  [
    ["f32[0]", []],
    ["i32[0]", []],
  ],
  [["f32[0]", []]],
);
known(
  "scatterAdd",
  { axis: 0, batchDims: 0 },
  [
    ["f32[3]", [10, 20, 30]],
    ["i32[4]", [0, 0, 2, 7]],
    ["f32[4]", [1, 2, 3, 4]],
  ],
  [["f32[3]", [13, 20, 37]]],
);
known(
  "scatterAdd",
  { axis: 1, batchDims: 1 },
  [
    ["f32[2,2]", 0],
    ["i32[2]", [1, 0]],
    ["f32[2]", [5, 6]],
  ],
  [["f32[2,2]", [0, 5, 6, 0]]],
);

// Reductions.
const square: Tensor = ["f32[2,3]", [1, 2, 3, 4, 5, 6]];
known("reduceSum", { axes: [0] }, [square], [["f32[3]", [5, 7, 9]]]);
known("reduceSum", { axes: [1, 0] }, [square], [["f32[]", [21]]]);
known("reduceSum", { axes: [] }, [square], [square]);
known("reduceSum", { axes: [0] }, [["f32[0,2]", []]], [["f32[2]", [0, 0]]]);
known("reduceSum", { axes: [0] }, [["u32[2]", [2 ** 32 - 1, 3]]], [["u32[]", [2]]]);
known("reduceMax", { axes: [1] }, [["f32[2,2]", [-inf, -3, 1, nan]]], [["f32[2]", [-3, nan]]]);
known("reduceMax", { axes: [0] }, [["i32[2]", [-5, -9]]], [["i32[]", [-5]]]);
known("reduceMax", { axes: [1] }, [["f32[0,2]", []]], [["f32[0]", []]]);
known("cumsum", { axis: 1, reverse: false }, [square], [["f32[2,3]", [1, 3, 6, 4, 9, 15]]]);
known("cumsum", { axis: 0, reverse: true }, [square], [["f32[2,3]", [5, 7, 9, 4, 5, 6]]]);
known("argmax", { axis: 1 }, [["f32[2,3]", [1, 7, 7, 3, 2, 1]]], [["i32[2]", [1, 0]]]);
known("argmax", { axis: 0 }, [["u32[2]", [1, 2 ** 32 - 1]]], [["i32[]", [1]]]);
known(
  "sort",
  { axis: 0 },
  [["f32[4]", [3, 1, 3, 2]]],
  [
    ["f32[4]", [1, 2, 3, 3]],
    ["i32[4]", [1, 3, 0, 2]],
  ],
);
known(
  "sort",
  { axis: 0 },
  [["i32[2,2]", [4, 1, 2, 3]]],
  [
    ["i32[2,2]", [2, 1, 4, 3]],
    ["i32[2,2]", [1, 0, 0, 1]],
  ],
);
const matmul = { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] };
known("dot", matmul, [square, ["f32[3,2]", [1, 0, 0, 1, 1, 1]]], [["f32[2,2]", [4, 5, 10, 11]]]);
known(
  "dot",
  matmul,
  [
    ["f32[2,0]", []],
    ["f32[0,1]", []],
  ],
  [["f32[2,1]", [0, 0]]],
);
known(
  "dot",
  { lhsBatch: [0], rhsBatch: [1], lhsContract: [1], rhsContract: [0] },
  [square, ["f32[3,2]", [1, 0, 0, 1, 1, 1]]],
  [["f32[2]", [4, 11]]],
);
known(
  "dot",
  { lhsBatch: [], rhsBatch: [], lhsContract: [], rhsContract: [] },
  [
    ["f32[2]", [1, 2]],
    ["f32[2]", [3, 4]],
  ],
  [["f32[2,2]", [3, 4, 6, 8]]],
);

// Random123's known answers for threefry2x32 with 20 rounds.
known(
  "threefry",
  none,
  [
    ["u32[]", [0]],
    ["u32[]", [0]],
    ["u32[]", [0]],
    ["u32[]", [0]],
  ],
  [
    ["u32[]", [0x6b200159]],
    ["u32[]", [0x99ba4efe]],
  ],
);
known(
  "threefry",
  none,
  [
    ["u32[1]", [0x13198a2e]],
    ["u32[1]", [0x03707344]],
    ["u32[1]", [0x243f6a88]],
    ["u32[1]", [0x85a308d3]],
  ],
  [
    ["u32[1]", [0xc4923a9c]],
    ["u32[1]", [0x483df7a0]],
  ],
);
known("stopGradient", none, [["f32[2]", [1, 2]]], [["f32[2]", [1, 2]]]);

// Attention. With scores s = (0, log 3) the weights are (1/4, 3/4) and lse is log 4.
const plain = { scale: 1, softcap: 0, causal: false };
const log3 = Math.log(3);
const q: Tensor = ["f32[1,1]", [log3]];
const k: Tensor = ["f32[2,1]", [0, 1]];
const v: Tensor = ["f32[2,2]", [0, 4, 8, 4]];
const o: Tensor = ["f32[1,2]", [6, 4]];
const lse: Tensor = ["f32[1]", [Math.log(4)]];
known("attention", plain, [q, k, v], [o, lse], 1e-15);
known(
  "attention",
  { ...plain, scale: 0.5, softcap: log3 * 2 },
  [["f32[1,1]", [1e9]], k, v],
  [
    ["f32[1,2]", [7.2, 4]],
    ["f32[1]", [Math.log(10)]],
  ],
  1e-12,
);
known(
  "attention",
  { ...plain, causal: true },
  [["f32[2,1]", [5, log3]], k, v],
  [
    ["f32[2,2]", [0, 4, 6, 4]],
    ["f32[2]", [0, Math.log(4)]],
  ],
  1e-15,
);
// One query that stands at the last of two keys sees both.
known("attention", { ...plain, causal: true }, [q, k, v], [o, lse], 1e-15);
// ds = dq·k = (0, 1): mean 3/4, so do = 1/4·(−3/4)·v0 + 3/4·(1/4)·v1 + p·dv.
known(
  "attentionTangent",
  plain,
  [q, k, v, o, lse, ["f32[1,1]", [1]], ["f32[2,1]", 0], ["f32[2,2]", [4, 0, 0, 0]]],
  [
    ["f32[1,2]", [(3 / 16) * 8 + 1, 0]],
    ["f32[1]", [0.75]],
  ],
  1e-15,
);
// With the cotangent (1, 0) of o: ds = p·(v − o) = (1/4·(−6), 3/4·2); dq = Σ ds·k, dk = ds·q, dv = p.
known(
  "attentionTranspose",
  plain,
  [q, k, v, o, lse, ["f32[1,2]", [1, 0]], ["f32[1]", 0]],
  [
    ["f32[1,1]", [1.5]],
    ["f32[2,1]", [-1.5 * log3, 1.5 * log3]],
    ["f32[2,2]", [0.25, 0, 0.75, 0]],
  ],
  1e-15,
);
known(
  "attentionTranspose",
  plain,
  [q, k, v, o, lse, ["f32[1,2]", 0], ["f32[1]", [1]]],
  [
    ["f32[1,1]", [0.75]],
    ["f32[2,1]", [0.25 * log3, 0.75 * log3]],
    ["f32[2,2]", 0],
  ],
  1e-15,
);

// Control.
const addMul = program(["f32[]", "f32[]", "f32[]"], (w, c, carry, x) => {
  const next = w.one("add", [w.one("mul", [c, carry], none), x], none);
  return [next, w.one("neg", [next], none)];
});
known(
  "scan",
  { body: addMul, length: 3, consts: 1, carry: 1, reverse: false },
  [
    ["f32[]", [10]],
    ["f32[]", [1]],
    ["f32[3]", [1, 2, 3]],
  ],
  [
    ["f32[]", [1123]],
    ["f32[3]", [-11, -112, -1123]],
  ],
);
known(
  "scan",
  { body: addMul, length: 3, consts: 1, carry: 1, reverse: true },
  [
    ["f32[]", [10]],
    ["f32[]", [1]],
    ["f32[3]", [1, 2, 3]],
  ],
  [
    ["f32[]", [1321]],
    ["f32[3]", [-1321, -132, -13]],
  ],
);
known(
  "scan",
  { body: addMul, length: 0, consts: 1, carry: 1, reverse: false },
  [
    ["f32[]", [10]],
    ["f32[]", [1]],
    ["f32[0]", []],
  ],
  [
    ["f32[]", [1]],
    ["f32[0]", []],
  ],
);
const negate = program(["f32[2]"], (w, x) => [w.one("neg", [x], none)]);
const double = program(["f32[2]"], (w, x) => [w.one("add", [x, x], none)]);
const pair: Tensor = ["f32[2]", [1, 2]];
known("cond", { onTrue: negate, onFalse: double }, [["bool[]", [1]], pair], [["f32[2]", [-1, -2]]]);
known("cond", { onTrue: negate, onFalse: double }, [["bool[]", [0]], pair], [["f32[2]", [2, 4]]]);
const below = program(["f32[]", "f32[]"], (w, limit, x) => [w.one("less", [x, limit], none)]);
const times = program(["f32[]", "f32[]"], (w, factor, x) => [w.one("mul", [factor, x], none)]);
known(
  "while",
  { condition: below, body: times, conditionConsts: 1, bodyConsts: 1 },
  [
    ["f32[]", [100]],
    ["f32[]", [3]],
    ["f32[]", [1]],
  ],
  [["f32[]", [243]]],
);
known(
  "while",
  { condition: below, body: times, conditionConsts: 1, bodyConsts: 1 },
  [
    ["f32[]", [0]],
    ["f32[]", [3]],
    ["f32[]", [1]],
  ],
  [["f32[]", [1]]],
);
known("remat", { body: negate, policy: "nothing" }, [pair], [["f32[2]", [-1, -2]]]);
const rule = program(["f32[2]", "f32[2]"], (w, x, dx) => [w.one("neg", [x], none), w.one("neg", [dx], none)]);
known("customJvp", { body: negate, rule, consts: 0 }, [pair], [["f32[2]", [-1, -2]]]);
known(
  "customVjp",
  { body: negate, forward: negate, backward: negate, consts: 0 },
  [pair],
  [["f32[2]", [-1, -2]]],
);
const tangent = program(["f32[2]", "f32[2]"], (w, x, dx) => [w.one("mul", [x, dx], none)]);
const backward = program(["f32[2]", "f32[2]"], (w, r, ct) => [w.one("mul", [r, ct], none)]);
known(
  "customTangent",
  { tangent, backward, residuals: 1, primals: 1 },
  [["f32[2]", [9, 9]], pair, ["f32[2]", [3, 4]]],
  [["f32[2]", [3, 8]]],
);

describe("the interpreter", () => {
  it("has a case with known answers for every op", () => {
    expect(Object.keys(OPS).filter((op) => !Object.hasOwn(cases, op))).toEqual([]);
  });

  for (const [op, list] of Object.entries(cases)) {
    it(`computes ${op}`, () => {
      for (const { run, inputs, expected, tolerance } of list ?? []) {
        const results = interpret(
          verify(run),
          inputs.map(([t, values]) => tensor(t, values)),
        );
        expect(
          difference(
            results,
            expected.map(([t, values]) => tensor(t, values)),
            tolerance,
          ),
        ).toBeUndefined();
      }
    });
  }

  it("takes floats in storage form and returns doubles", () => {
    const run = program(["f32[2]", "f16[2]"], (w, x, h) => [
      w.one("add", [x, w.one("cast", [h], { dtype: "f32" })], none),
    ]);
    const results = interpret(run, [hostTensor("f32", [2], [0.1, 1]), hostTensor("f16", [2], [0.5, 65504])]);
    expect(results[0]?.data).toEqual(Float64Array.of(Math.fround(0.1) + 0.5, 65505));
  });

  it("does not change its inputs", () => {
    const x = tensor("f32[2]", [1, 2]);
    const run = program(["f32[2]", "i32[1]", "f32[1]"], (w, a, i, u) => [
      w.one("scatterAdd", [a, i, u], { axis: 0, batchDims: 0 }),
    ]);
    interpret(run, [x, tensor("i32[1]", [0]), tensor("f32[1]", [5])]);
    expect(toNumbers(x)).toEqual([1, 2]);
  });

  it("gives what no other run shares, though constants are made once and small values lie together", () => {
    const run = program(["f32[2]"], (w, x) => {
      const c = w.one("constant", [], { dtype: "f32", shape: [2], values: [3, 4] });
      return [c, w.one("add", [x, c], {}), w.one("mul", [x, c], {})];
    });
    const inputs = [tensor("f32[2]", [1, 2])];
    for (const { data } of interpret(run, inputs)) data.fill(99);
    const found = interpret(run, inputs);
    expect(found.map(({ data }) => Array.from(data))).toEqual([[3, 4], [4, 6], [3, 8]]); // prettier-ignore
    expect(new Set(found.map(({ data }) => data.buffer)).size).toBe(3);
  });

  it("refuses inputs of other types", () => {
    const run = program(["f32[2]"], (_w, x) => [x]);
    expect(() => interpret(run, [])).toThrow("the program takes 1 tensors, got 0");
    expect(() => interpret(run, [tensor("f32[3]", 0)])).toThrow(
      "input 0 is f32[3], the program takes f32[2]",
    );
    expect(() => interpret(run, [{ shape: [2], dtype: "f32", data: new Int32Array(2) }])).toThrow(
      "not stored in a Int32Array",
    );
  });
});
