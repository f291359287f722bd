import { describe, expect, it } from "vitest";
import { eliminateDead } from "../../../src/compiler/passes/dce.ts";
import { simplify } from "../../../src/compiler/passes/simplify.ts";
import { parse } from "../../../src/dsl/program/parse.ts";
import { print } from "../../../src/dsl/program/print.ts";
import { verify } from "../../../src/dsl/program/verify.ts";

const canonical = (text: string): string => print(parse(`program ${text}`));

/** [what it shows, before, after]; dead equations are removed from the result. Equal texts: nothing may happen. */
type Case = readonly [name: string, before: string, after?: string];

const x = "(%0: f32[2])";
const scalar = (value: string, dtype = "f32", shape = "[2]"): string =>
  `${dtype}${shape} = constant shape=${shape} dtype=${dtype} values=${value}`;

const cases: readonly Case[] = [
  ["−−x = x", `${x} { %1: f32[2] = neg %0 %2: f32[2] = neg %1 return %2 }`, `${x} { return %0 }`],
  [
    "¬¬x = x",
    `(%0: bool[2]) { %1: bool[2] = not %0 %2: bool[2] = not %1 return %2 }`,
    `(%0: bool[2]) { return %0 }`,
  ],
  [
    "||x|| = |x|",
    `${x} { %1: f32[2] = abs %0 %2: f32[2] = abs %1 return %2 }`,
    `${x} { %1: f32[2] = abs %0 return %1 }`,
  ],
  [
    "|−x| = |x|",
    `${x} { %1: f32[2] = neg %0 %2: f32[2] = abs %1 return %2 }`,
    `${x} { %1: f32[2] = abs %0 return %1 }`,
  ],
  ["|−x| of u32 stays", `(%0: u32[2]) { %1: u32[2] = neg %0 %2: u32[2] = abs %1 return %2 }`],
  [
    "⌊⌊x⌋⌋ = ⌊x⌋",
    `${x} { %1: f32[2] = floor %0 %2: f32[2] = floor %1 return %2 }`,
    `${x} { %1: f32[2] = floor %0 return %1 }`,
  ],
  [
    "sign twice",
    `${x} { %1: f32[2] = sign %0 %2: f32[2] = sign %1 return %2 }`,
    `${x} { %1: f32[2] = sign %0 return %1 }`,
  ],
  [
    "stopGradient twice",
    `${x} { %1: f32[2] = stopGradient %0 %2: f32[2] = stopGradient %1 return %2 }`,
    `${x} { %1: f32[2] = stopGradient %0 return %1 }`,
  ],
  ["x + 0 stays: x may be −0", `${x} { %1: ${scalar("0")} %2: f32[2] = add %0 %1 return %2 }`],
  ["x + (−0) = x", `${x} { %1: ${scalar("-0")} %2: f32[2] = add %0 %1 return %2 }`, `${x} { return %0 }`],
  [
    "0 + eˣ = eˣ",
    `${x} { %1: ${scalar("0")} %2: f32[2] = exp %0 %3: f32[2] = add %1 %2 return %3 }`,
    `${x} { %1: f32[2] = exp %0 return %1 }`,
  ],
  [
    "i + 0 = i",
    `(%0: i32[2]) { %1: ${scalar("0", "i32")} %2: i32[2] = add %1 %0 return %2 }`,
    `(%0: i32[2]) { return %0 }`,
  ],
  [
    "x + (−y) = x − y",
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = neg %1 %3: f32[2] = add %0 %2 return %3 }`,
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = sub %0 %1 return %2 }`,
  ],
  [
    "(−x) + y = y − x",
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = neg %0 %3: f32[2] = add %2 %1 return %3 }`,
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = sub %1 %0 return %2 }`,
  ],
  [
    "x − (−y) = x + y",
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = neg %1 %3: f32[2] = sub %0 %2 return %3 }`,
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = add %0 %1 return %2 }`,
  ],
  ["x − 0 = x", `${x} { %1: ${scalar("0")} %2: f32[2] = sub %0 %1 return %2 }`, `${x} { return %0 }`],
  ["x − (−0) stays", `${x} { %1: ${scalar("-0")} %2: f32[2] = sub %0 %1 return %2 }`],
  ["x − x stays: x may be infinite", `${x} { %1: f32[2] = sub %0 %0 return %1 }`],
  [
    "i − i = 0",
    `(%0: i32[2]) { %1: i32[2] = sub %0 %0 return %1 }`,
    `(%0: i32[2]) { %1: ${scalar("0", "i32")} return %1 }`,
  ],
  ["1·x = x", `${x} { %1: ${scalar("1")} %2: f32[2] = mul %1 %0 return %2 }`, `${x} { return %0 }`],
  [
    "−1·x = −x",
    `${x} { %1: ${scalar("-1")} %2: f32[2] = mul %0 %1 return %2 }`,
    `${x} { %1: f32[2] = neg %0 return %1 }`,
  ],
  ["0·x stays", `${x} { %1: ${scalar("0")} %2: f32[2] = mul %0 %1 return %2 }`],
  [
    "0·i = 0",
    `(%0: u32[2]) { %1: ${scalar("0", "u32")} %2: u32[2] = mul %0 %1 return %2 }`,
    `(%0: u32[2]) { %1: ${scalar("0", "u32")} return %1 }`,
  ],
  [
    "(−x)(−y) = xy",
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = neg %0 %3: f32[2] = neg %1 %4: f32[2] = mul %2 %3 return %4 }`,
    `(%0: f32[2], %1: f32[2]) { %2: f32[2] = mul %0 %1 return %2 }`,
  ],
  ["x/1 = x", `${x} { %1: ${scalar("1")} %2: f32[2] = div %0 %1 return %2 }`, `${x} { return %0 }`],
  [
    "x/(−1) = −x",
    `${x} { %1: ${scalar("-1")} %2: f32[2] = div %0 %1 return %2 }`,
    `${x} { %1: f32[2] = neg %0 return %1 }`,
  ],
  ["x¹ = x", `${x} { %1: ${scalar("1")} %2: f32[2] = pow %0 %1 return %2 }`, `${x} { return %0 }`],
  [
    "x⁰ = 1",
    `${x} { %1: ${scalar("0")} %2: f32[2] = pow %0 %1 return %2 }`,
    `${x} { %1: ${scalar("1")} return %1 }`,
  ],
  ["max(x, x) = x", `${x} { %1: f32[2] = max %0 %0 return %1 }`, `${x} { return %0 }`],
  ["min(x, x) = x", `${x} { %1: f32[2] = min %0 %0 return %1 }`, `${x} { return %0 }`],
  [
    "b ∧ true = b",
    `(%0: bool[2]) { %1: ${scalar("1", "bool")} %2: bool[2] = and %0 %1 return %2 }`,
    `(%0: bool[2]) { return %0 }`,
  ],
  [
    "b ∧ false = false",
    `(%0: bool[2]) { %1: ${scalar("0", "bool")} %2: bool[2] = and %0 %1 return %2 }`,
    `(%0: bool[2]) { %1: ${scalar("0", "bool")} return %1 }`,
  ],
  ["b ∨ b = b", `(%0: bool[2]) { %1: bool[2] = or %0 %0 return %1 }`, `(%0: bool[2]) { return %0 }`],
  [
    "u ∨ ones = ones",
    `(%0: u32[2]) { %1: ${scalar("4294967295", "u32")} %2: u32[2] = or %0 %1 return %2 }`,
    `(%0: u32[2]) { %1: ${scalar("4294967295", "u32")} return %1 }`,
  ],
  [
    "b ⊕ true = ¬b",
    `(%0: bool[2]) { %1: ${scalar("1", "bool")} %2: bool[2] = xor %0 %1 return %2 }`,
    `(%0: bool[2]) { %1: bool[2] = not %0 return %1 }`,
  ],
  [
    "i ⊕ 0 = i",
    `(%0: i32[2]) { %1: ${scalar("0", "i32")} %2: i32[2] = xor %0 %1 return %2 }`,
    `(%0: i32[2]) { return %0 }`,
  ],
  ["i ∧ 1 stays", `(%0: i32[2]) { %1: ${scalar("1", "i32")} %2: i32[2] = and %0 %1 return %2 }`],
  [
    "shift by 0",
    `(%0: u32[2]) { %1: ${scalar("0", "u32")} %2: u32[2] = shiftRight %0 %1 return %2 }`,
    `(%0: u32[2]) { return %0 }`,
  ],
  [
    "i = i",
    `(%0: i32[2]) { %1: bool[2] = equal %0 %0 return %1 }`,
    `(%0: i32[2]) { %1: ${scalar("1", "bool")} return %1 }`,
  ],
  ["x = x stays: x may be NaN", `${x} { %1: bool[2] = equal %0 %0 return %1 }`],
  [
    "x < x is false",
    `${x} { %1: bool[2] = less %0 %0 return %1 }`,
    `${x} { %1: ${scalar("0", "bool")} return %1 }`,
  ],
  [
    "select by true",
    `(%0: f32[2], %1: f32[2]) { %2: ${scalar("1", "bool")} %3: f32[2] = select %2 %0 %1 return %3 }`,
    `(%0: f32[2], %1: f32[2]) { return %0 }`,
  ],
  [
    "select of equals",
    `(%0: bool[2], %1: f32[2]) { %2: f32[2] = select %0 %1 %1 return %2 }`,
    `(%0: bool[2], %1: f32[2]) { return %1 }`,
  ],
  [
    "select by ¬b",
    `(%0: bool[2], %1: f32[2], %2: f32[2]) { %3: bool[2] = not %0 %4: f32[2] = select %3 %1 %2 return %4 }`,
    `(%0: bool[2], %1: f32[2], %2: f32[2]) { %3: f32[2] = select %0 %2 %1 return %3 }`,
  ],
  ["cast to its own dtype", `${x} { %1: f32[2] = cast dtype=f32 %0 return %1 }`, `${x} { return %0 }`],
  [
    "f16 through f32",
    `(%0: f16[2]) { %1: f32[2] = cast dtype=f32 %0 %2: f16[2] = cast dtype=f16 %1 return %2 }`,
    `(%0: f16[2]) { return %0 }`,
  ],
  [
    "f32 through f16 stays",
    `${x} { %1: f16[2] = cast dtype=f16 %0 %2: f32[2] = cast dtype=f32 %1 return %2 }`,
  ],
  [
    "bool through i32",
    `(%0: bool[2]) { %1: i32[2] = cast dtype=i32 %0 %2: f32[2] = cast dtype=f32 %1 return %2 }`,
    `(%0: bool[2]) { %1: f32[2] = cast dtype=f32 %0 return %1 }`,
  ],
  [
    "i32 through u32",
    `(%0: i32[2]) { %1: u32[2] = cast dtype=u32 %0 %2: i32[2] = cast dtype=i32 %1 return %2 }`,
    `(%0: i32[2]) { return %0 }`,
  ],
  [
    "i32 through u32 to f32 stays",
    `(%0: i32[2]) { %1: u32[2] = cast dtype=u32 %0 %2: f32[2] = cast dtype=f32 %1 return %2 }`,
  ],

  [
    "broadcast to the same shape",
    `${x} { %1: f32[2] = broadcast shape=[2] dims=[0] %0 return %1 }`,
    `${x} { return %0 }`,
  ],
  [
    "broadcast twice",
    `${x} { %1: f32[1,2] = broadcast shape=[1,2] dims=[1] %0 %2: f32[3,4,2] = broadcast shape=[3,4,2] dims=[0,2] %1 return %2 }`,
    `${x} { %1: f32[3,4,2] = broadcast shape=[3,4,2] dims=[2] %0 return %1 }`,
  ],
  [
    "broadcast of a uniform",
    `() { %0: ${scalar("3", "f32", "[]")} %1: f32[4] = broadcast shape=[4] dims=[] %0 return %1 }`,
    `() { %0: ${scalar("3", "f32", "[4]")} return %0 }`,
  ],
  ["reshape to the same shape", `${x} { %1: f32[2] = reshape shape=[2] %0 return %1 }`, `${x} { return %0 }`],
  [
    "reshape twice",
    `(%0: f32[4]) { %1: f32[2,2] = reshape shape=[2,2] %0 %2: f32[1,4] = reshape shape=[1,4] %1 return %2 }`,
    `(%0: f32[4]) { %1: f32[1,4] = reshape shape=[1,4] %0 return %1 }`,
  ],
  [
    "transpose by the identity",
    `(%0: f32[2,3]) { %1: f32[2,3] = transpose perm=[0,1] %0 return %1 }`,
    `(%0: f32[2,3]) { return %0 }`,
  ],
  [
    "transpose twice",
    `(%0: f32[2,3,4]) { %1: f32[3,4,2] = transpose perm=[1,2,0] %0 %2: f32[2,4,3] = transpose perm=[2,1,0] %1 return %2 }`,
    `(%0: f32[2,3,4]) { %1: f32[2,4,3] = transpose perm=[0,2,1] %0 return %1 }`,
  ],
  [
    "transpose of a broadcast",
    `${x} { %1: f32[2,3] = broadcast shape=[2,3] dims=[0] %0 %2: f32[3,2] = transpose perm=[1,0] %1 return %2 }`,
    `${x} { %1: f32[3,2] = broadcast shape=[3,2] dims=[1] %0 return %1 }`,
  ],
  [
    "whole slice",
    `${x} { %1: f32[2] = slice start=[0] stop=[2] step=[1] %0 return %1 }`,
    `${x} { return %0 }`,
  ],
  [
    "slice twice",
    `(%0: f32[20]) { %1: f32[6] = slice start=[2] stop=[20] step=[3] %0 %2: f32[2] = slice start=[1] stop=[5] step=[2] %1 return %2 }`,
    `(%0: f32[20]) { %1: f32[2] = slice start=[5] stop=[12] step=[6] %0 return %1 }`,
  ],
  [
    "slice of one part",
    `(%0: f32[2], %1: f32[3]) { %2: f32[5] = concat axis=0 %0 %1 %3: f32[2] = slice start=[3] stop=[5] step=[1] %2 return %3 }`,
    `(%0: f32[2], %1: f32[3]) { %2: f32[2] = slice start=[1] stop=[3] step=[1] %1 return %2 }`,
  ],
  [
    "slice of both parts stays",
    `(%0: f32[2], %1: f32[3]) { %2: f32[5] = concat axis=0 %0 %1 %3: f32[2] = slice start=[1] stop=[3] step=[1] %2 return %3 }`,
  ],
  [
    "slice within a pad",
    `(%0: f32[3]) { %1: f32[6] = pad low=[1] high=[2] interior=[0] %0 %2: f32[2] = slice start=[2] stop=[4] step=[1] %1 return %2 }`,
    `(%0: f32[3]) { %1: f32[2] = slice start=[1] stop=[3] step=[1] %0 return %1 }`,
  ],
  [
    "slice with padding stays",
    `(%0: f32[3]) { %1: f32[6] = pad low=[1] high=[2] interior=[0] %0 %2: f32[2] = slice start=[0] stop=[2] step=[1] %1 return %2 }`,
  ],
  [
    "pad by nothing",
    `${x} { %1: f32[2] = pad low=[0] high=[0] interior=[0] %0 return %1 }`,
    `${x} { return %0 }`,
  ],
  [
    "pad twice",
    `${x} { %1: f32[5] = pad low=[1] high=[1] interior=[1] %0 %2: f32[7] = pad low=[0] high=[2] interior=[0] %1 return %2 }`,
    `${x} { %1: f32[7] = pad low=[1] high=[3] interior=[1] %0 return %1 }`,
  ],
  ["concat of one", `${x} { %1: f32[2] = concat axis=0 %0 return %1 }`, `${x} { return %0 }`],
  [
    "concat with empty parts",
    `(%0: f32[2], %1: f32[0]) { %2: f32[2] = concat axis=0 %1 %0 %1 return %2 }`,
    `(%0: f32[2], %1: f32[0]) { return %0 }`,
  ],
  [
    "concat of concats",
    `${x} { %1: f32[4] = concat axis=0 %0 %0 %2: f32[6] = concat axis=0 %1 %0 return %2 }`,
    `${x} { %1: f32[6] = concat axis=0 %0 %0 %0 return %1 }`,
  ],
  ["sum over no axes", `${x} { %1: f32[2] = reduceSum axes=[] %0 return %1 }`, `${x} { return %0 }`],
  [
    "sum over an axis of one, of integers",
    `(%0: i32[1,2]) { %1: i32[2] = reduceSum axes=[0] %0 return %1 }`,
    `(%0: i32[1,2]) { %1: i32[2] = reshape shape=[2] %0 return %1 }`,
  ],
  [
    "max over an axis of one",
    `(%0: f32[1,2]) { %1: f32[2] = reduceMax axes=[0] %0 return %1 }`,
    `(%0: f32[1,2]) { %1: f32[2] = reshape shape=[2] %0 return %1 }`,
  ],
  [
    "max of max",
    `(%0: f32[2,3,4]) { %1: f32[2,4] = reduceMax axes=[1] %0 %2: f32[2] = reduceMax axes=[1] %1 return %2 }`,
    `(%0: f32[2,3,4]) { %1: f32[2] = reduceMax axes=[1,2] %0 return %1 }`,
  ],
  [
    "sum of sums stays: another order",
    `(%0: f32[2,3]) { %1: f32[2] = reduceSum axes=[1] %0 %2: f32[] = reduceSum axes=[0] %1 return %2 }`,
  ],
  [
    "prefix sums of one integer",
    `(%0: i32[2,1]) { %1: i32[2,1] = cumsum axis=1 reverse=false %0 return %1 }`,
    `(%0: i32[2,1]) { return %0 }`,
  ],
  [
    "gather from a uniform",
    `(%0: i32[3]) { %1: ${scalar("2")} %2: f32[3] = gather axis=0 batchDims=0 %1 %0 return %2 }`,
    `(%0: i32[3]) { %1: ${scalar("2", "f32", "[3]")} return %1 }`,
  ],
  [
    "scatter of nothing",
    `(%0: f32[2], %1: i32[0], %2: f32[0]) { %3: f32[2] = scatterAdd axis=0 batchDims=0 %0 %1 %2 return %3 }`,
    `(%0: f32[2], %1: i32[0], %2: f32[0]) { return %0 }`,
  ],

  [
    "cond by a known predicate",
    `${x} { %1: ${scalar("0", "bool", "[]")} %2: f32[2] = cond onTrue=(%0: f32[2]) { return %0 } onFalse=(%0: f32[2]) { %1: f32[2] = neg %0 return %1 } %1 %0 return %2 }`,
    `${x} { %1: f32[2] = neg %0 return %1 }`,
  ],
  [
    "a remat that keeps everything",
    `${x} { %1: f32[2] = remat policy=everything body=(%0: f32[2]) { %1: f32[2] = neg %0 return %1 } %0 return %1 }`,
    `${x} { %1: f32[2] = neg %0 return %1 }`,
  ],
  [
    "a remat that keeps nothing stays",
    `${x} { %1: f32[2] = remat policy=nothing body=(%0: f32[2]) { %1: f32[2] = neg %0 return %1 } %0 return %1 }`,
  ],
  [
    "a scan that does not run",
    `(%0: f32[2], %1: f32[0]) { %2: f32[2], %3: f32[0,2] = scan length=0 consts=0 carry=1 reverse=false body=(%0: f32[2], %1: f32[]) { %2: f32[2] = neg %0 return %2 %2 } %0 %1 return %2 %3 }`,
    `(%0: f32[2], %1: f32[0]) { %2: f32[0,2] = constant shape=[0,2] dtype=f32 values=0 return %0 %2 }`,
  ],
  [
    "an unchanging carry and a slice that is returned as it is",
    `(%0: f32[], %1: f32[], %2: f32[3]) { %3: f32[], %4: f32[], %5: f32[3] = scan length=3 consts=0 carry=2 reverse=false body=(%0: f32[], %1: f32[], %2: f32[]) { %3: f32[] = add %0 %1 return %3 %1 %2 } %0 %1 %2 return %3 %4 %5 }`,
    `(%0: f32[], %1: f32[], %2: f32[3]) { %3: f32[] = scan length=3 consts=1 carry=1 reverse=false body=(%0: f32[], %1: f32[]) { %2: f32[] = add %1 %0 return %2 } %1 %0 return %3 %1 %2 }`,
  ],
  [
    "inside nested programs",
    `${x} { %1: f32[2] = remat policy=dots body=(%0: f32[2]) { %1: f32[2] = neg %0 %2: f32[2] = neg %1 %3: f32[2] = exp %2 return %3 } %0 return %1 }`,
    `${x} { %1: f32[2] = remat policy=dots body=(%0: f32[2]) { %1: f32[2] = exp %0 return %1 } %0 return %1 }`,
  ],
];

describe("simplify", () => {
  for (const [name, before, after] of cases) {
    it(name, () => {
      const result = eliminateDead(verify(simplify(parse(`program ${before}`))));
      expect(print(result)).toBe(canonical(after ?? before));
    });
  }
});
