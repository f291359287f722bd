// The sentences that the compiler prints at a user's wrong call, and that right calls print none.
// All cases are lines of one generated file, compiled once.

import { describe, expect, it } from "vitest";
import { compile, SURFACE } from "./compile.ts";

const wrong: Record<string, string> = {
  // broadcast and dtypes
  'add(f32("batch", 64), f32(63))': 'add: ["batch", 64] and [63] do not line up: 64 vs 63',
  'add(f32("n"), f32("m"))': 'add: ["n"] and ["m"] do not line up: "n" vs "m"',
  'add(f32(2, "n"), f32(2, 7))': 'add: [2, "n"] and [2, 7] do not line up: "n" vs 7',
  "add(f32(2), i32(2))": "add: dtypes differ: f32 vs i32; use cast",
  "exp(i32(2))": "exp: dtype i32 is not supported; use cast",
  "broadcastTo(f32(3), 4, 5)": "broadcastTo: [3] does not stretch to [4, 5]: 3 vs 5",
  "broadcastTo(f32(3, 4, 5), 4, 5)": "broadcastTo: [3, 4, 5] does not stretch to [4, 5]: rank 3 vs 2",
  // matmul
  'matmul(f32("batch", 64), f32(63, 10))': "matmul: inner dimensions differ: 64 vs 63",
  'matmul(f32("batch", "in"), f32("out", 10))': 'matmul: inner dimensions differ: "in" vs "out"',
  "matmul(f32(64), f32(64, 10))": "matmul: both operands need rank 2 or more; got [64] and [64, 10]",
  "matmul(f32(2, 3, 4), f32(5, 4, 3))": "matmul: batch axes: [2] and [5] do not line up: 2 vs 5",
  "matmul(f32(2, 3), i32(3, 4))": "matmul: dtypes differ: f32 vs i32; use cast",
  // einsum
  'einsum("b i d, b j d -> b i j", f32("b", 3, 64), f32("b", 4, 32))': "einsum: axis 'd' is both 64 and 32",
  'einsum("bid,bjd->bij", f32("b", 3, 64), f32("c", 4, 64))': 'einsum: axis \'b\' is both "b" and "c"',
  'einsum("i, i -> i", f32(1), f32(3))': "einsum: axis 'i' is both 1 and 3",
  'einsum("ij,jk->iz", f32(2, 3), f32(3, 4))': "einsum: output axis 'z' is in no operand",
  'einsum("ij,jk->ik", f32(2, 3))': "einsum: operands in the spec: 2, but given: 1",
  'einsum("ij->ji", f32(2, 3), f32(2, 3))': "einsum: operands in the spec: 1, but given: 2",
  'einsum("a b c, c -> a", f32(2, 3), f32(3))': "einsum: operand 1 is [2, 3], but has 3 labels: a b c",
  'einsum("ij,jk->i", f32(2, 3), f32())': "einsum: operand 2 is [], but has 2 labels: j k",
  'einsum("ii->i", f32(2, 2))': "einsum: axis 'i' is twice in one operand",
  'einsum("i->ii", f32(2))': "einsum: axis 'i' is twice in the output",
  'einsum("ij,jk", f32(2, 3), f32(3, 4))': 'einsum: the spec "ij,jk" has no "->"',
  'einsum("...i->...", f32(2, 3))': 'einsum: "..." is not supported in "...i->..."; name every axis',
  'einsum("i,i->", f32(2), i32(2))': "einsum: dtypes differ: f32 vs i32; use cast",
  // reduce
  'sum(f32("n", 4), 3)': "sum: axis 3 is out of range for rank 2",
  'sum(f32("n", 4), -3)': "sum: axis -3 is out of range for rank 2",
  'sum(f32("n", 4), [0, 2])': "sum: axis 2 is out of range for rank 2",
  'sum(f32("n", 4), [1, -1])': "sum: axis -1 is given twice",
  "sum(f32(), 0)": "sum: axis 0 is out of range for rank 0",
  // concat and stack
  "concat([f32(2, 3), f32(2, 4)], 0)": "concat: [2, 3] and [2, 4] differ off axis 0: 3 vs 4",
  "concat([f32(2, 3), f32(2, 3), f32(5, 3)], -1)": "concat: [2, 6] and [5, 3] differ off axis 1: 2 vs 5",
  "concat([f32(2, 3), f32(3)], 0)": "concat: ranks differ: [2, 3] and [3]",
  "concat([f32(3), f32(2, 3)], 0)": "concat: ranks differ: [3] and [2, 3]",
  "concat([f32(2), f32(2)], 1)": "concat: axis 1 is out of range for rank 1",
  "concat([f32(2), i32(2)], 0)": "concat: dtypes differ: f32 vs i32; use cast",
  "concat([])": "concat: needs at least one tensor",
  "stack([f32(2), f32(3)])": "stack: [2] and [3] differ: 2 vs 3",
  "stack([f32(2), f32(2, 2)])": "stack: ranks differ: [2] and [2, 2]",
  "stack([f32(2, 2), f32(2)])": "stack: ranks differ: [2, 2] and [2]",
  "stack([f32(2)], 2)": "stack: axis 2 is out of range for rank 2",
  "stack([])": "stack: needs at least one tensor",
  // views
  "transpose(f32(2, 3), [0])": "transpose: permutation [0] does not fit rank 2",
  "transpose(f32(2, 3), [0, 0])": "transpose: axis 0 is given twice",
  "transpose(f32(2, 3), [0, 2])": "transpose: axis 2 is out of range for rank 2",
  "expandDims(f32(2, 3), 3)": "expandDims: axis 3 is out of range for rank 3",
  "squeeze(f32(2, 1), 0)": "squeeze: axis 0 of [2, 1] has size 2, not 1",
  'squeeze(f32("n", 1), [1, 0])': 'squeeze: axis 0 of ["n", 1] has size "n", not 1',
  "squeeze(f32(2, 1), 2)": "squeeze: axis 2 is out of range for rank 2",
  "slice(f32(8), 0, 5, 4)": "slice: the range 5 to 4 is backwards",
  "slice(f32(8), 0, 5, 9)": "slice: the range 5 to 9 leaves [8]: the size is 8",
  "slice(f32(8), 1, 0, 1)": "slice: axis 1 is out of range for rank 1",
  "gather(f32(8, 3), i32(2), 2)": "gather: axis 2 is out of range for rank 2",
  "reshape(f32(2, 3), 4, 2)": "reshape: [2, 3] has 6 elements, [4, 2] has 8",
  // rearrange
  'rearrange(f32("n", 512), "b (h d) -> b h d", { h: 7 })':
    "rearrange: 512 of [\"n\", 512] does not divide by 7 to give 'd'",
  'rearrange(f32(512), "(h d) -> h d")': "rearrange: the sizes of 'h' and 'd' are both open; give one",
  'rearrange(f32(512), "(h d) -> h d", { h: 2, d: 2 })':
    "rearrange: 'h d' is 4, but the axis of [512] has size 512",
  'rearrange(f32(512), "a -> a", { a: 2 })': "rearrange: 'a' is 2, but the axis of [512] has size 512",
  'rearrange(f32("n"), "a -> a", { a: 2 })': 'rearrange: \'a\' is 2, but the axis of ["n"] has size "n"',
  'rearrange(f32(3, 2), "a 1 -> a")': "rearrange: an axis of [3, 2] is 1 in the pattern, but has size 2",
  'rearrange(f32(3, 2), "a -> a")': "rearrange: axes on the left of the pattern: 1, but the tensor is [3, 2]",
  'rearrange(f32(3, 2), "a b -> a")': "rearrange: axis 'b' is only on the left",
  'rearrange(f32(3), "a -> a b")': "rearrange: axis 'b' is only on the right",
  'rearrange(f32(3, 3), "a a -> a")': "rearrange: axis 'a' is twice on one side",
  'rearrange(f32(3), "a -> a", { b: 2 })': "rearrange: a size is given for 'b', which is not in the pattern",
  'rearrange(f32(6), "(a b -> a b", { a: 2 })': 'rearrange: brackets do not match in "(a b "',
  'rearrange(f32(6), "a b) -> a b", { a: 2 })': 'rearrange: brackets do not match in "a b) "',
  'rearrange(f32(6), "((a) b) -> a b", { a: 2 })': 'rearrange: brackets do not match in "((a) b) "',
  'rearrange(f32(6), "a")': 'rearrange: the pattern "a" has no "->"',
  'rearrange(f32(6), "... a -> a ...")':
    'rearrange: "..." is not supported in "... a -> a ..."; name every axis',
  // a failed result is used no further, and says why; so does a union with one bad member
  'add(matmul(f32("n", 64), f32(63, 10)), f32(10))': "matmul: inner dimensions differ: 64 vs 63",
  "add(f32(3), either)": "add: [3] and [4] do not line up: 3 vs 4",
};

const right: Record<string, string> = {
  'add(f32("batch", 64), f32(64))': '["batch", 64]',
  'add(f32("batch", 64), f32("batch", 1))': '["batch", 64]',
  "add(f32(2), f32())": "[2]",
  "exp(f32(2))": "[2]",
  "broadcastTo(f32(3, 1), 2, 3, 5)": "[2, 3, 5]",
  'matmul(f32("batch", 64), f32(64, 10))': '["batch", 10]',
  'einsum("b i d, b j d -> b i j", f32("n", 3, 64), f32("n", 4, 64))': '["n", 3, 4]',
  'einsum("bid,bjd->bij", f32("n", 3, 64), f32("n", 4, 64))': '["n", 3, 4]',
  'sum(f32("n", 4))': "[]",
  'sum(f32("n", 4), -1)': '["n"]',
  'sum(f32("n", 4), [0, 1])': "[]",
  'sum(f32("n", 4), -1, true)': '["n", 1]',
  'concat([f32("n", 3), f32("n", 4)], 1)': '["n", 7]',
  'stack([f32("n", 3), f32("n", 3)], 1)': '["n", 2, 3]',
  'transpose(f32("n", 3))': '[3, "n"]',
  'transpose(f32("n", 3, 4), [0, 2, 1])': '["n", 4, 3]',
  'expandDims(f32("n"), -1)': '["n", 1]',
  'squeeze(f32("n", 1))': '["n"]',
  "squeeze(f32(1, 3), 0)": "[3]",
  'slice(f32("n", 64), 1, 8, 40)': '["n", 32]',
  'gather(f32(1000, 64), u32("n", 12))': '["n", 12, 64]',
  'reshape(f32("n", 64), "n", 8, 8)': '["n", 8, 8]',
  'rearrange(f32("n", 16, 512), "b l (h d) -> b h l d", { h: 8 })': '["n", 8, 16, 64]',
  // the unknown passes
  "add(dynamic, f32(64))": "Shape",
  "add(wide, f32(64))": "[number, 64]",
  "matmul(dynamic, f32(64, 10))": "Shape",
  "matmul(f32(64, 10), dynamic)": "Shape",
  'matmul(wide, f32("k", 10))': "[number, 10]",
  'einsum("ij,jk->ik", dynamic, wide)': "[number, number]",
  "concat([dynamic, f32(2, 3)], 1)": "Shape",
  "sum(dynamic, 5)": "Shape",
  "squeeze(wide, 0)": "[number]",
};

const calls = [...Object.keys(wrong), ...Object.keys(right)];
const prologue = SURFACE.split("\n").length;
// Assigning the result to a literal makes the compiler print its type just as an editor shows it on hover.
const source = [
  ...calls.map((call) => `{ ${call}; }`),
  ...Object.keys(right).map((call) => `{ const shown: 0 = ${call}; }`),
].join("\n");

const { byLine } = compile(`${SURFACE}${source}`);
const printed = (index: number): string => byLine.get(prologue + index) ?? "";

describe("a wrong call", () => {
  it.each(Object.entries(wrong).map(([call, sentence], index) => ({ call, sentence, index })))(
    "$call",
    ({ sentence, index }) => expect(printed(index)).toContain(`ShapeError<${JSON.stringify(sentence)}>`),
  );
});

describe("a right call", () => {
  const first = Object.keys(wrong).length;
  it.each(Object.entries(right).map(([call, shape], index) => ({ call, shape, index })))(
    "$call: $shape",
    ({ shape, index }) => {
      expect(printed(first + index)).toBe("");
      expect(printed(calls.length + index)).toContain(`Type 'Tensor<${shape}, "f32">' is not assignable`);
    },
  );
});
