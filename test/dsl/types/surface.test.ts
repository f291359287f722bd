// The types of the real surface: the sentences that the compiler prints at wrong calls of src/dsl, the exact shapes that right
// programs infer, and the cost of checking. All cases are lines of one generated file, compiled once.

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile, errorsIn } from "./compile.ts";

const INDEX = "src/dsl/index.ts";
const SURFACE = fileURLToPath(new URL(`../../../${INDEX}`, import.meta.url));

const prologue = `
import { add, argmax, attention, broadcastTo, cast, concat, cond, cumsum, customJvp, customVjp, einsum, equal, exp, expandDims, fn, full, gather, grad, iota, jvp, less, linearize, matmul, mean, mul, oneHot, ones, pow, rearrange, remat, reshape, scan, scatterAdd, slice, softmax, split, square, squeeze, stack, sub, sum, takeAlong, trace, transpose, valueAndGrad, vjp, vmap, where, whileLoop, zeros, f32 as f32Spec, i32 as i32Spec } from ${JSON.stringify(SURFACE)};
import type { Dim, Fn, Shape, Tensor } from ${JSON.stringify(SURFACE)};
declare function f32<const S extends Dim[]>(...shape: S): Tensor<S, "f32">;
declare function i32<const S extends Dim[]>(...shape: S): Tensor<S, "i32">;
declare function bool<const S extends Dim[]>(...shape: S): Tensor<S, "bool">;
declare const dynamic: Tensor<Shape, "f32">;
declare const untyped: Tensor;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function same<A, B>(yes: Same<A, B>): void;
`;

const wrong: Record<string, string> = {
  'add(f32("batch", 64), f32(63))': 'add: ["batch", 64] and [63] do not line up: 64 vs 63',
  'mul(f32("n"), f32("m"))': 'mul: ["n"] and ["m"] do not line up: "n" vs "m"',
  "sub(f32(2), i32(2))": "sub: dtypes differ: f32 vs i32; use cast",
  "less(f32(2), i32(2))": "less: dtypes differ: f32 vs i32; use cast",
  "where(bool(2), f32(2), f32(3))": "where: [2] and [3] do not line up: 2 vs 3",
  "where(bool(2), f32(2), i32(2))": "where: dtypes differ: f32 vs i32; use cast",
  "where(f32(2), f32(2), 0)": "where: the condition must be bool, got f32",
  "where(dynamic, 1, f32(2))": "where: the condition must be bool, got f32",
  "where(bool(3), f32(2), 0)": "where: [3] and [2] do not line up: 3 vs 2",
  'matmul(f32("batch", 64), f32(63, 10))': "matmul: inner dimensions differ: 64 vs 63",
  'matmul(f32("batch", "in"), f32("out", 10))': 'matmul: inner dimensions differ: "in" vs "out"',
  "matmul(f32(64), f32(64, 10))": "matmul: both operands need rank 2 or more; got [64] and [64, 10]",
  "matmul(f32(2, 3, 4), f32(5, 4, 3))": "matmul: batch axes: [2] and [5] do not line up: 2 vs 5",
  'einsum("b i d, b j d -> b i j", f32("b", 3, 64), f32("b", 4, 32))': "einsum: axis 'd' is both 64 and 32",
  'einsum("ij,jk->iz", f32(2, 3), f32(3, 4))': "einsum: output axis 'z' is in no operand",
  'einsum("ij,jk->ik", f32(2, 3))': "einsum: operands in the spec: 2, but given: 1",
  'einsum("a b c, c -> a", f32(2, 3), f32(3))': "einsum: operand 1 is [2, 3], but has 3 labels: a b c",
  'einsum("i,i->", f32(2), i32(2))': "einsum: dtypes differ: f32 vs i32; use cast",
  'sum(f32("n", 4), 3)': "sum: axis 3 is out of range for rank 2",
  'mean(f32("n", 4), [0, -3])': "mean: axis -3 is out of range for rank 2",
  'sum(f32("n", 4), [1, -1])': "sum: axis -1 is given twice",
  "argmax(f32(2, 3), 2)": "argmax: axis 2 is out of range for rank 2",
  "concat([f32(2, 3), f32(2, 4)], 0)": "concat: [2, 3] and [2, 4] differ off axis 0: 3 vs 4",
  "concat([f32(2, 3), f32(2, 4)])": "concat: [2, 3] and [2, 4] differ off axis 0: 3 vs 4",
  "concat([f32(2), f32(2)], 1)": "concat: axis 1 is out of range for rank 1",
  "concat([f32(2), i32(2)], 0)": "concat: dtypes differ: f32 vs i32; use cast",
  "stack([f32(2), f32(3)])": "stack: [2] and [3] differ: 2 vs 3",
  "transpose(f32(2, 3), [0, 2])": "transpose: axis 2 is out of range for rank 2",
  "expandDims(f32(2, 3), 3)": "expandDims: axis 3 is out of range for rank 3",
  "squeeze(f32(2, 1), 0)": "squeeze: axis 0 of [2, 1] has size 2, not 1",
  "slice(f32(8), 0, 5, 9)": "slice: the range 5 to 9 leaves [8]: the size is 8",
  "slice(f32(8), 1, 0, 1)": "slice: axis 1 is out of range for rank 1",
  "gather(f32(8, 3), i32(2), 2)": "gather: axis 2 is out of range for rank 2",
  "gather(f32(8, 3), f32(2))": "gather: indices must be i32, got f32",
  "takeAlong(f32(8, 3), f32(8, 1))": "takeAlong: indices must be i32, got f32",
  "scatterAdd(f32(8, 3), f32(2), f32(2, 3))": "scatterAdd: indices must be i32, got f32",
  "oneHot(f32(8), 3)": "oneHot: indices must be integers, got f32",
  "reshape(f32(2, 3), [4, 2])": "reshape: [2, 3] has 6 elements, [4, 2] has 8",
  "reshape(f32(6), [])": "reshape: [6] has 6 elements, [] has 1",
  "broadcastTo(f32(3), [4, 5])": "broadcastTo: [3] does not stretch to [4, 5]: 3 vs 5",
  'rearrange(f32("n", 512), "b (h d) -> b h d", { h: 7 })':
    "rearrange: 512 of [\"n\", 512] does not divide by 7 to give 'd'",
  'rearrange(f32(3, 2), "a b -> a")': "rearrange: axis 'b' is only on the left",
  // attention
  'attention(f32("h", "l", 64), f32("h", "l", 32), f32("h", "l", 64))':
    "attention: q and k have depths 64 vs 32",
  'attention(f32("h", "l", 64), f32("h", "m", 64), f32("h", "n", 64))':
    'attention: keys vs values: "m" vs "n"',
  'attention(f32("h", "l", 64), f32("g", "l", 64), f32("g", "l", 64))':
    'attention: leading axes of q and k differ: ["h", "l", 64] and ["g", "l", 64]',
  "attention(f32(64), f32(64), f32(64))":
    "attention: q, k and v need rank 2 or more; got [64] and [64] and [64]",
  // inside loops and transforms
  'scan((c, x) => [matmul(c, x), null], f32("b", 4), f32(10, 5, 4))':
    "matmul: inner dimensions differ: 4 vs 5",
  'grad((w: Tensor<[3, 2], "f32">) => sum(matmul(f32("b", 4), w)))(f32(3, 2))':
    "matmul: inner dimensions differ: 4 vs 3",
  'vmap((x: Tensor<[3], "f32">) => add(x, f32(4)))(f32(2, 3))': "add: [3] and [4] do not line up: 3 vs 4",
  'fn({ x: f32Spec("n", 3) }, ({ x }) => matmul(x, f32(4, 2)))': "matmul: inner dimensions differ: 3 vs 4",
  // a failed result is used no further
  'add(matmul(f32("n", 64), f32(63, 10)), f32(10))': "matmul: inner dimensions differ: 64 vs 63",
  "exp(where(i32(2), f32(2), 0))": "where: the condition must be bool, got i32",
};

const right: Record<string, string> = {
  'add(f32("batch", 64), f32(64))': 'Tensor<["batch", 64], "f32">',
  "add(f32(3), 1)": 'Tensor<[3], "f32">',
  "sub(1, i32(3))": 'Tensor<[3], "i32">',
  'less(f32("n", 1), f32(4))': 'Tensor<["n", 4], "bool">',
  'where(bool("n", 1), f32(4), 0)': 'Tensor<["n", 4], "f32">',
  'where(less(f32("n"), 0), f32("n"), f32())': 'Tensor<["n"], "f32">',
  'where(untyped, f32("n"), 0)': 'Tensor<Shape, "f32">',
  'where(bool("n"), 1, 0)': 'Tensor<["n"], DType>',
  'cast(f32("n"), "i32")': 'Tensor<["n"], "i32">',
  'matmul(f32("batch", "length", 64), f32(64, "out"))': 'Tensor<["batch", "length", "out"], "f32">',
  'einsum("b i d, b j d -> b i j", f32("n", 3, 64), f32("n", 4, 64))': 'Tensor<["n", 3, 4], "f32">',
  'einsum("bi,i->b", f32("n", 3), f32(3))': 'Tensor<["n"], "f32">',
  'sum(f32("n", 4))': 'Tensor<[], "f32">',
  'mean(f32("n", 4, "m"), [0, -1])': 'Tensor<[4], "f32">',
  'sum(f32("n", 4), -1, { keepDims: true })': 'Tensor<["n", 1], "f32">',
  'softmax(f32("n", "vocab"))': 'Tensor<["n", "vocab"], "f32">',
  'argmax(f32("n", "vocab"), -1)': 'Tensor<["n"], "i32">',
  'concat([f32("n", 3), f32("n", 4)], 1)': 'Tensor<["n", 7], "f32">',
  'concat([f32(3, "n"), f32(4, "n")])': 'Tensor<[7, "n"], "f32">',
  'stack([f32("n", 3), f32("n", 3)], 1)': 'Tensor<["n", 2, 3], "f32">',
  'transpose(f32("n", 3, 4), [0, 2, 1])': 'Tensor<["n", 4, 3], "f32">',
  'expandDims(f32("n"), -1)': 'Tensor<["n", 1], "f32">',
  'slice(f32("n", 64), 1, 8, 40)': 'Tensor<["n", 32], "f32">',
  'slice(f32("n", 64), 1, 8)': 'Tensor<["n", number], "f32">',
  'gather(f32(1000, 64), i32("n", 12))': 'Tensor<["n", 12, 64], "f32">',
  'takeAlong(f32("n", 64), i32("n", 1))': 'Tensor<["n", 1], "f32">',
  'scatterAdd(f32(9, "n"), untyped, f32(2, "n"))': 'Tensor<[9, "n"], "f32">',
  'oneHot(i32("n"), "vocab")': 'Tensor<["n", "vocab"], "f32">',
  'reshape(f32("n", 64), ["n", 8, 8])': 'Tensor<["n", 8, 8], "f32">',
  "reshape(f32(4, 6), [3, -1])": 'Tensor<[3, number], "f32">',
  'reshape(f32("n", 6), ["n", -1, 2])': 'Tensor<["n", number, 2], "f32">',
  'broadcastTo(f32(3, 1), ["n", 3, 5])': 'Tensor<["n", 3, 5], "f32">',
  'rearrange(f32("n", 16, 512), "b l (h d) -> b h l d", { h: 8 })': 'Tensor<["n", 8, 16, 64], "f32">',
  'zeros(["n", 3], "i32")': 'Tensor<["n", 3], "i32">',
  "full([], 2)": 'Tensor<[], "f32">',
  'attention(f32("b", "h", "q", 64), f32("b", "h", "k", 64), f32("b", "h", "k", 32))':
    'Tensor<["b", "h", "q", 32], "f32">',
  // loops
  'scan((c, x) => [add(c, x), mul(c, 2)], f32("d"), f32("length", "d"))':
    'readonly [Tensor<["d"], "f32">, Tensor<["length", "d"], "f32">]',
  'scan((c, x) => [add(c, x.a), { y: c, z: [x.b] as const }], f32("d"), { a: f32(7, "d"), b: i32(7) })':
    'readonly [Tensor<["d"], "f32">, { y: Tensor<[7, "d"], "f32">; z: readonly [Tensor<[7], "i32">]; }]',
  'scan((c, x) => [mul(c, 2), x], f32("d"), null, { length: 3 })': 'readonly [Tensor<["d"], "f32">, null]',
  'cond(bool(), (x) => exp(x), (x) => mul(x, 2), f32("d"))': 'Tensor<["d"], "f32">',
  'whileLoop(({ n }) => less(n, 3), ({ n, x }) => ({ n: add(n, 1), x: exp(x) }), { n: i32(), x: f32("d") })':
    '{ n: Tensor<[], "i32">; x: Tensor<["d"], "f32">; }',
  // transforms
  'grad((x: Tensor<["n", 3], "f32">) => sum(square(x)))(f32("n", 3))': 'Tensor<["n", 3], "f32">',
  'grad((p: { w: Tensor<["n"], "f32">; b: Tensor<[], "f32"> }) => sum(add(p.w, p.b)), "b")({ w: f32("n"), b: f32() })':
    'Tensor<[], "f32">',
  'valueAndGrad((x: Tensor<["n"], "f32">, s: Tensor<[], "f32">) => [sum(mul(x, s)), { x }] as const, 1)(f32("n"), f32())':
    '{ readonly value: readonly [Tensor<[], "f32">, { readonly x: Tensor<["n"], "f32">; }]; readonly grad: Tensor<[], "f32">; }',
  'jvp((x: Tensor<["n"], "f32">, y: Tensor<["n"], "f32">) => mul(x, y), [f32("n"), f32("n")], [f32("n"), null]).tangent':
    'Tensor<["n"], "f32">',
  'vjp((x: Tensor<["n", "k"], "f32">) => sum(x, 0), f32("n", "k")).pullback(f32("k"))':
    '[Tensor<["n", "k"], "f32">]',
  'linearize((x: Tensor<["n"], "f32">) => sum(x), f32("n")).pushforward(f32("n"))': 'Tensor<[], "f32">',
  'remat((x: Tensor<["n"], "f32">) => exp(x))(f32("n"))': 'Tensor<["n"], "f32">',
  'vmap((x: Tensor<["d"], "f32">, w: Tensor<["d", 2], "f32">) => einsum("d,dk->k", x, w), { inAxes: [0, null] })(f32("batch", "d"), f32("d", 2))':
    'Tensor<[number, 2], "f32">',
  'customVjp((x: Tensor<["n"], "f32">) => exp(x), (x) => [exp(x), x] as const, (r, ct) => [mul(r, ct)])(f32("n"))':
    'Tensor<["n"], "f32">',
  // declared functions
  'fn({ x: f32Spec("batch", 3), n: [i32Spec()] as const }, ({ x, n }) => ({ y: matmul(x, f32(3, "out")), n: n[0] }))({ x: f32("batch", 3), n: [i32()] })':
    '{ y: Tensor<["batch", "out"], "f32">; n: Tensor<[], "i32">; }',
  'grad(fn({ w: f32Spec("in"), x: f32Spec("in") }, ({ w, x }) => sum(mul(w, x))), "w")({ w: f32("in"), x: f32("in") })':
    'Tensor<["in"], "f32">',
  'grad(fn({ w: f32Spec("in") }, ({ w }) => sum(w))).spec': "unknown",
  // the unknown passes
  "add(dynamic, f32(64))": 'Tensor<Shape, "f32">',
  "matmul(dynamic, f32(64, 10))": 'Tensor<Shape, "f32">',
  "mul(untyped, 0.5)": "Tensor<Shape, DType>",
  "mul(untyped, dynamic)": 'Tensor<Shape, "f32">',
  'attention(dynamic, f32("k", 4), f32("k", 3))': 'Tensor<Shape, "f32">',
};

const calls = [...Object.keys(wrong), ...Object.keys(right)];
const start = prologue.split("\n").length;
// Assigning the result to a literal makes the compiler print its type just as an editor shows it on hover.
const source = [
  ...calls.map((call) => `{ ${call}; }`),
  ...Object.keys(right).map((call) => `{ const shown: 0 = ${call}; }`),
].join("\n");
const { byLine } = compile(`${prologue}${source}`, [INDEX]);
const printed = (index: number): string => byLine.get(start + index) ?? "";

describe("a wrong call", () => {
  it.each(Object.entries(wrong).map(([call, sentence], index) => ({ call, sentence, index })))(
    "$call",
    ({ sentence, index }) => {
      expect(printed(index)).toContain(`ShapeError<${JSON.stringify(sentence)}>`);
    },
  );
});

describe("a right call", () => {
  const first = Object.keys(wrong).length;
  it.each(Object.entries(right).map(([call, shown], index) => ({ call, shown, index })))(
    "$call: $shown",
    ({ shown, index }) => {
      expect(printed(first + index)).toBe("");
      expect(printed(calls.length + index)).toContain(`Type '${shown}' is not assignable`);
    },
  );
});

const block = (i: number): string => {
  const [length, heads, depth] = [`"length${i}"`, 2 + (i % 7), 16 + (i % 50)];
  const x = `Tensor<["batch${i}", ${length}, ${heads}, ${depth}], "f32">`;
  return `
    const block${i} = (x: ${x}, wq: Tensor<[${heads}, ${depth}, ${depth}], "f32">, wo: Tensor<[${depth}, ${depth}], "f32">, scale: Tensor<[${depth}], "f32">) => {
      const query = einsum("b l h d, h d e -> b l h e", mul(x, add(scale, 1)), wq);
      const score = einsum("b l h d, b m h d -> b h l m", query, x);
      const mixed = einsum("b h l m, b m h d -> b l h d", softmax(score), x);
      const heads = transpose(mixed, [0, 2, 1, 3]);
      const fused = attention(heads, heads, heads);
      return add(matmul(transpose(fused, [0, 2, 1, 3]), wo), x);
    };
    same<ReturnType<typeof block${i}>, ${x}>(true);`;
};

it("checks 400 attention blocks (1,200 einsums, 800 transposes, 1,200 elementwise ops, …) in a bounded number of instantiations", () => {
  const blocks = Array.from({ length: 400 }, (_, i) => block(i));
  const { output, instantiations, seconds } = compile(`${prologue}${blocks.join("\n")}`, [INDEX]);
  console.log(`400 attention blocks of the real surface: ${instantiations} instantiations, ${seconds} s`);
  expect(
    errorsIn(output)
      .split("\n")
      .filter((line) => line.startsWith("case.ts")),
  ).toEqual([]);
  expect(instantiations).toBeLessThan(3_000_000);
}, 60_000);
