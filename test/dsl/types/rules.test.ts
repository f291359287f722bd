// What each shape rule gives for good input, and that unknown shapes and dims pass every rule.
// The compiler does the checking; the last test runs it over this file, so that a wrong type fails here too.

import { describe, expect, expectTypeOf, it } from "vitest";
import type {
  BinaryDType,
  Broadcast,
  BroadcastTo,
  CommonDType,
  Concat,
  Dim,
  DType,
  Einsum,
  ExpandDims,
  Gather,
  MatMul,
  Rearrange,
  Reduce,
  RequireDType,
  Reshape,
  Result,
  Shape,
  ShapeError,
  ShapeOf,
  ShowShape,
  Slice,
  Squeeze,
  Stack,
  Tensor,
  Transpose,
  Valid,
} from "../../../src/dsl/types/index.ts";
import { compile, errorsIn } from "./compile.ts";

describe("shapes", () => {
  it("stay known through a tensor, which is still a Tensor", () => {
    expectTypeOf<ShapeOf<Tensor<["batch", 64], "f16">>>().toEqualTypeOf<["batch", 64]>();
    expectTypeOf<Tensor<["batch", 64], "f16">>().toExtend<Tensor>();
    expectTypeOf<Tensor<["batch", 64], "f16">>().toExtend<Tensor<[string, number]>>();
    expectTypeOf<Tensor>().not.toExtend<Tensor<["batch", 64]>>();
    expectTypeOf<Tensor<[64]>>().not.toExtend<Tensor<[63]>>();
  });

  it("print as JSON, with ? for unknown sizes", () => {
    expectTypeOf<ShowShape<["batch", 64]>>().toEqualTypeOf<'["batch", 64]'>();
    expectTypeOf<ShowShape<readonly [number, string, 1]>>().toEqualTypeOf<"[?, ?, 1]">();
    expectTypeOf<ShowShape<[]>>().toEqualTypeOf<"[]">();
    expectTypeOf<ShowShape<Shape>>().toEqualTypeOf<"[...]">();
  });
});

describe("broadcast", () => {
  it("lines up at the right and stretches 1", () => {
    expectTypeOf<Broadcast<["batch", 64], ["batch", 64]>>().toEqualTypeOf<["batch", 64]>();
    expectTypeOf<Broadcast<["batch", 64], [64]>>().toEqualTypeOf<["batch", 64]>();
    expectTypeOf<Broadcast<[], ["batch", 64]>>().toEqualTypeOf<["batch", 64]>();
    expectTypeOf<Broadcast<[], []>>().toEqualTypeOf<[]>();
    expectTypeOf<Broadcast<["batch", 1, 3], [5, 1]>>().toEqualTypeOf<["batch", 5, 3]>();
    expectTypeOf<Broadcast<readonly [1], readonly ["batch"]>>().toEqualTypeOf<["batch"]>();
    expectTypeOf<Broadcast<["batch", 1], [1]>>().toEqualTypeOf<["batch", 1]>();
  });

  it("refuses a name against another name or number, in either order", () => {
    expectTypeOf<Broadcast<["n"], ["m"]>>().toEqualTypeOf<
      ShapeError<'broadcast: ["n"] and ["m"] do not line up: "n" vs "m"'>
    >();
    expectTypeOf<Broadcast<[64], ["m"]>>().toExtend<ShapeError>();
    expectTypeOf<Broadcast<["m"], [64]>>().toExtend<ShapeError>();
  });

  it("takes unknowns, and keeps what the other side knows", () => {
    expectTypeOf<Broadcast<Shape, [64]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Broadcast<[64], Shape>>().toEqualTypeOf<Shape>();
    expectTypeOf<Broadcast<[number, 3], [64, 3]>>().toEqualTypeOf<[64, 3]>();
    expectTypeOf<Broadcast<[number], [1]>>().toEqualTypeOf<[number]>();
    expectTypeOf<Broadcast<[1], [number]>>().toEqualTypeOf<[number]>();
    expectTypeOf<Broadcast<[string], [64]>>().toEqualTypeOf<[64]>();
    expectTypeOf<Broadcast<["batch"], [Dim]>>().toEqualTypeOf<["batch"]>();
    expectTypeOf<Broadcast<[...Dim[], 3], [4]>>().toEqualTypeOf<Shape>();
  });

  it("fails if one member of a union of shapes fails", () => {
    expectTypeOf<Extract<Broadcast<[2] | [3], [2]>, ShapeError>>().toEqualTypeOf<
      ShapeError<"broadcast: [3] and [2] do not line up: 3 vs 2">
    >();
  });

  it("stretches to a target, one way only", () => {
    expectTypeOf<BroadcastTo<[1, 3], readonly ["batch", 4, 3]>>().toEqualTypeOf<["batch", 4, 3]>();
    expectTypeOf<BroadcastTo<[], [2]>>().toEqualTypeOf<[2]>();
    expectTypeOf<BroadcastTo<[4], [1]>>().toExtend<ShapeError>();
    expectTypeOf<BroadcastTo<Shape, [4]>>().toEqualTypeOf<[4]>();
    expectTypeOf<BroadcastTo<[3], Shape>>().toEqualTypeOf<Shape>();
    expectTypeOf<BroadcastTo<[number], [4]>>().toEqualTypeOf<[4]>();
  });
});

describe("matmul", () => {
  it("multiplies the last two axes and broadcasts the others", () => {
    expectTypeOf<MatMul<["batch", 64], [64, 10]>>().toEqualTypeOf<["batch", 10]>();
    expectTypeOf<MatMul<["batch", 8, 5, 64], [64, 10]>>().toEqualTypeOf<["batch", 8, 5, 10]>();
    expectTypeOf<MatMul<["batch", 1, 5, "k"], [8, "k", 7]>>().toEqualTypeOf<["batch", 8, 5, 7]>();
    expectTypeOf<MatMul<readonly [2, 3], readonly [3, 4]>>().toEqualTypeOf<[2, 4]>();
  });

  it("does not stretch the inner size", () => {
    expectTypeOf<MatMul<[2, 1], [3, 4]>>().toExtend<ShapeError>();
    expectTypeOf<MatMul<[2, "k"], [3, 4]>>().toExtend<ShapeError>();
  });

  it("takes unknowns", () => {
    expectTypeOf<MatMul<Shape, [3, 4]>>().toEqualTypeOf<Shape>();
    expectTypeOf<MatMul<[3, 4], Shape>>().toEqualTypeOf<Shape>();
    expectTypeOf<MatMul<[2, number], [3, 4]>>().toEqualTypeOf<[2, 4]>();
    expectTypeOf<MatMul<[number, string], [3, number]>>().toEqualTypeOf<[number, number]>();
  });
});

describe("einsum", () => {
  it("reads words where there are inner spaces, else letters", () => {
    expectTypeOf<Einsum<"b i d, b j d -> b i j", [["n", 4, 64], ["n", 5, 64]]>>().toEqualTypeOf<
      ["n", 4, 5]
    >();
    expectTypeOf<Einsum<"bid,bjd->bij", [["n", 4, 64], ["n", 5, 64]]>>().toEqualTypeOf<["n", 4, 5]>();
    expectTypeOf<Einsum<" bid, bjd -> bij ", [["n", 4, 64], ["n", 5, 64]]>>().toEqualTypeOf<["n", 4, 5]>();
    expectTypeOf<Einsum<"row  col,col->row", [[2, 3], [3]]>>().toEqualTypeOf<[2]>();
  });

  it("takes one operand, three, scalars, and outer products", () => {
    expectTypeOf<Einsum<"i j -> j i", [[2, 3]]>>().toEqualTypeOf<[3, 2]>();
    expectTypeOf<Einsum<"ij->", [[2, 3]]>>().toEqualTypeOf<[]>();
    expectTypeOf<Einsum<"i,j->ij", [[2], ["m"]]>>().toEqualTypeOf<[2, "m"]>();
    expectTypeOf<Einsum<",i->i", [[], [3]]>>().toEqualTypeOf<[3]>();
    expectTypeOf<Einsum<"ij,jk,kl->il", [[2, 3], [3, 4], [4, 5]]>>().toEqualTypeOf<[2, 5]>();
  });

  it("takes unknowns, and keeps what is known", () => {
    expectTypeOf<Einsum<string, [[2]]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Einsum<"ij->ji", Shape[]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Einsum<"ij,jk->ik", [Shape, [3, 4]]>>().toEqualTypeOf<[number, 4]>();
    expectTypeOf<Einsum<"ij,jk->ijk", [[number, number], [3, 4]]>>().toEqualTypeOf<[number, 3, 4]>();
    expectTypeOf<Einsum<"ij,jk->ijk", [[2, 3], [string, 4]]>>().toEqualTypeOf<[2, 3, 4]>();
    expectTypeOf<Einsum<"i,i->i", [[Dim], [3]]>>().toEqualTypeOf<[3]>();
    expectTypeOf<Einsum<"i,i->i", [[3], [Dim]]>>().toEqualTypeOf<[3]>();
    expectTypeOf<Einsum<"i,i,i->i", [[number], [3], [4]]>>().toEqualTypeOf<
      ShapeError<"einsum: axis 'i' is both 3 and 4">
    >();
  });
});

describe("reduce", () => {
  it("drops one axis, several or all", () => {
    expectTypeOf<Reduce<["n", 3, 4], 1>>().toEqualTypeOf<["n", 4]>();
    expectTypeOf<Reduce<["n", 3, 4], -1>>().toEqualTypeOf<["n", 3]>();
    expectTypeOf<Reduce<["n", 3, 4], -3>>().toEqualTypeOf<[3, 4]>();
    expectTypeOf<Reduce<["n", 3, 4], readonly [0, -1]>>().toEqualTypeOf<[3]>();
    expectTypeOf<Reduce<["n", 3, 4], []>>().toEqualTypeOf<["n", 3, 4]>();
    expectTypeOf<Reduce<["n", 3, 4]>>().toEqualTypeOf<[]>();
  });

  it("keeps reduced axes as 1 on request", () => {
    expectTypeOf<Reduce<readonly ["n", 3], -1, true>>().toEqualTypeOf<["n", 1]>();
    expectTypeOf<Reduce<["n", 3], [0, 1], true>>().toEqualTypeOf<[1, 1]>();
    expectTypeOf<Reduce<["n", 3], undefined, true>>().toEqualTypeOf<[1, 1]>();
  });

  it("takes unknowns", () => {
    expectTypeOf<Reduce<Shape, 5>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<Shape>>().toEqualTypeOf<[]>();
    expectTypeOf<Reduce<Shape, undefined, true>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<["n", 3], number>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<["n", 3], number[]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<["n", 3], [0, number]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<["n", 3], 0, boolean>>().toEqualTypeOf<Shape>();
    expectTypeOf<Reduce<["n", number], 0>>().toEqualTypeOf<[number]>();
  });
});

describe("concat and stack", () => {
  it("add literal sizes along the axis", () => {
    expectTypeOf<Concat<[["n", 64], ["n", 100], ["n", 1]], -1>>().toEqualTypeOf<["n", 165]>();
    expectTypeOf<Concat<readonly [readonly [2, 3]]>>().toEqualTypeOf<[2, 3]>();
    expectTypeOf<Concat<[["n", 3], [2, 3]], 0>>().toEqualTypeOf<[number, 3]>();
  });

  it("put the count at the new axis", () => {
    expectTypeOf<Stack<[["n", 3], ["n", 3]]>>().toEqualTypeOf<[2, "n", 3]>();
    expectTypeOf<Stack<[["n", 3], ["n", 3], ["n", 3]], -1>>().toEqualTypeOf<["n", 3, 3]>();
    expectTypeOf<Stack<[[]], 0>>().toEqualTypeOf<[1]>();
  });

  it("take unknowns", () => {
    expectTypeOf<Concat<Shape[], 0>>().toEqualTypeOf<Shape>();
    expectTypeOf<Concat<[[2, 3], Shape], 0>>().toEqualTypeOf<Shape>();
    expectTypeOf<Concat<[Shape, [2, 3]], 0>>().toEqualTypeOf<Shape>();
    expectTypeOf<Concat<[[2, 3], [2, 3]], number>>().toEqualTypeOf<Shape>();
    expectTypeOf<Concat<[[number, 3], [2, number]], 0>>().toEqualTypeOf<[number, 3]>();
    expectTypeOf<Stack<Shape[]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Stack<[[2], Shape]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Stack<[[2], [2]], number>>().toEqualTypeOf<Shape>();
    expectTypeOf<Stack<[[number], [2]]>>().toEqualTypeOf<[2, 2]>();
  });
});

describe("views", () => {
  it("transpose", () => {
    expectTypeOf<Transpose<["n", 3, 4], [2, 0, 1]>>().toEqualTypeOf<[4, "n", 3]>();
    expectTypeOf<Transpose<["n", 3, 4], readonly [0, -1, -2]>>().toEqualTypeOf<["n", 4, 3]>();
    expectTypeOf<Transpose<readonly ["n", 3, 4]>>().toEqualTypeOf<[4, 3, "n"]>();
    expectTypeOf<Transpose<Shape, [0, 1]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Transpose<[2, 3], number[]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Transpose<[2, 3], [number, number]>>().toEqualTypeOf<Shape>();
  });

  it("expandDims", () => {
    expectTypeOf<ExpandDims<["n", 3], 0>>().toEqualTypeOf<[1, "n", 3]>();
    expectTypeOf<ExpandDims<["n", 3], -1>>().toEqualTypeOf<["n", 3, 1]>();
    expectTypeOf<ExpandDims<["n", 3], 2>>().toEqualTypeOf<["n", 3, 1]>();
    expectTypeOf<ExpandDims<[], 0>>().toEqualTypeOf<[1]>();
    expectTypeOf<ExpandDims<["n"], number>>().toEqualTypeOf<Shape>();
    expectTypeOf<ExpandDims<Shape, 0>>().toEqualTypeOf<Shape>();
  });

  it("squeeze", () => {
    expectTypeOf<Squeeze<["n", 1, 3, 1], 1>>().toEqualTypeOf<["n", 3, 1]>();
    expectTypeOf<Squeeze<["n", 1, 3, 1], [1, -1]>>().toEqualTypeOf<["n", 3]>();
    expectTypeOf<Squeeze<["n", 1, 3, 1]>>().toEqualTypeOf<["n", 3]>();
    expectTypeOf<Squeeze<[number, 1]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Squeeze<[number, 1], 0>>().toEqualTypeOf<[1]>();
    expectTypeOf<Squeeze<[1, 1], number>>().toEqualTypeOf<Shape>();
    expectTypeOf<Squeeze<Shape, 0>>().toEqualTypeOf<Shape>();
  });

  it("slice", () => {
    expectTypeOf<Slice<["n", 64], 1, 10, 64>>().toEqualTypeOf<["n", 54]>();
    expectTypeOf<Slice<["n", 64], 0, 0, 4>>().toEqualTypeOf<[4, 64]>();
    expectTypeOf<Slice<["n", 64], -1>>().toEqualTypeOf<["n", number]>();
    expectTypeOf<Slice<["n", 64], 1, 0, -1>>().toEqualTypeOf<["n", number]>();
    expectTypeOf<Slice<["n", 64], number, 0, 1>>().toEqualTypeOf<Shape>();
    expectTypeOf<Slice<Shape, 0, 0, 1>>().toEqualTypeOf<Shape>();
    expectTypeOf<Slice<[number], 0, 2, 5>>().toEqualTypeOf<[3]>();
  });

  it("reshape", () => {
    expectTypeOf<Reshape<["n", 64], ["n", 8, 8]>>().toEqualTypeOf<["n", 8, 8]>();
    expectTypeOf<Reshape<[6, 4], readonly [3, 8]>>().toEqualTypeOf<[3, 8]>();
    expectTypeOf<Reshape<[1], []>>().toEqualTypeOf<[]>();
    expectTypeOf<Reshape<[number, 4], [3, 8]>>().toEqualTypeOf<[3, 8]>();
    expectTypeOf<Reshape<Shape, [3, 8]>>().toEqualTypeOf<[3, 8]>();
    expectTypeOf<Reshape<[3, 8], Shape>>().toEqualTypeOf<Shape>();
  });

  it("gather", () => {
    expectTypeOf<Gather<[1000, 64], ["n", "length"]>>().toEqualTypeOf<["n", "length", 64]>();
    expectTypeOf<Gather<["n", 1000], [], -1>>().toEqualTypeOf<["n"]>();
    expectTypeOf<Gather<["n", 1000, 3], [5], 1>>().toEqualTypeOf<["n", 5, 3]>();
    expectTypeOf<Gather<Shape, [5]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Gather<[5], Shape>>().toEqualTypeOf<Shape>();
    expectTypeOf<Gather<[5], [2], number>>().toEqualTypeOf<Shape>();
  });
});

describe("rearrange", () => {
  it("permutes, splits and merges", () => {
    expectTypeOf<Rearrange<"b l d -> b d l", ["n", 16, 64]>>().toEqualTypeOf<["n", 64, 16]>();
    expectTypeOf<Rearrange<"b l (h d) -> b h l d", ["n", 16, 512], { h: 8 }>>().toEqualTypeOf<
      ["n", 8, 16, 64]
    >();
    expectTypeOf<Rearrange<"b h l d->b l (h d)", ["n", 8, 16, 64]>>().toEqualTypeOf<["n", 16, 512]>();
    expectTypeOf<Rearrange<"(a b c) -> a c b", [24], { a: 2; b: 3 }>>().toEqualTypeOf<[2, 4, 3]>();
    expectTypeOf<Rearrange<"(h d) -> h d", [64], { h: 8; d: 8 }>>().toEqualTypeOf<[8, 8]>();
    expectTypeOf<Rearrange<"b 1 -> 1 b ()", ["n", 1]>>().toEqualTypeOf<[1, "n", 1]>();
    expectTypeOf<Rearrange<"(a b) -> (b a)", [6], { a: 2 }>>().toEqualTypeOf<[6]>();
  });

  it("gives number where names hide a size", () => {
    expectTypeOf<Rearrange<"l (h d) -> h l d", [16, "width"], { h: 8 }>>().toEqualTypeOf<[8, 16, number]>();
    expectTypeOf<Rearrange<"l d -> (l d)", ["length", 8]>>().toEqualTypeOf<[number]>();
    expectTypeOf<Rearrange<"(h d) -> h d", ["width"], { h: 8; d: 8 }>>().toEqualTypeOf<[8, 8]>();
  });

  it("takes unknowns", () => {
    expectTypeOf<Rearrange<string, [2]>>().toEqualTypeOf<Shape>();
    expectTypeOf<Rearrange<"l (h d) -> h l d", Shape, { h: 8 }>>().toEqualTypeOf<[8, number, number]>();
    expectTypeOf<Rearrange<"l (h d) -> h l d", [number, number], { h: 8 }>>().toEqualTypeOf<
      [8, number, number]
    >();
    expectTypeOf<Rearrange<"l (h d) -> h l d", [16, 64], { h: number }>>().toEqualTypeOf<
      [number, 16, number]
    >();
    expectTypeOf<Rearrange<"(h d) -> h d", [64], Record<string, number>>>().toEqualTypeOf<[number, number]>();
  });
});

describe("dtypes", () => {
  it("agree or fail, the wide DType agreeing with all", () => {
    expectTypeOf<BinaryDType<"add", "f32", "f32">>().toEqualTypeOf<"f32">();
    expectTypeOf<BinaryDType<"add", DType, "f32">>().toEqualTypeOf<"f32">();
    expectTypeOf<BinaryDType<"add", "f32", "i32">>().toExtend<ShapeError>();
    expectTypeOf<CommonDType<"concat", ["f16", DType, "f16"]>>().toEqualTypeOf<"f16">();
    expectTypeOf<CommonDType<"concat", DType[]>>().toEqualTypeOf<DType>();
    expectTypeOf<CommonDType<"concat", ["f16", "f16", "f32"]>>().toExtend<ShapeError>();
    expectTypeOf<RequireDType<"exp", "f16", "f32" | "f16">>().toEqualTypeOf<"f16">();
    expectTypeOf<RequireDType<"exp", DType, "f32">>().toEqualTypeOf<DType>();
    expectTypeOf<RequireDType<"exp", "i32", "f32">>().toExtend<ShapeError>();
  });
});

describe("Valid and Result", () => {
  it("pass what passed", () => {
    expectTypeOf<Valid<"argument", [2] | "f32">>().toEqualTypeOf<"argument">();
    expectTypeOf<Result<[2], "f32">>().toEqualTypeOf<Tensor<[2], "f32">>();
    expectTypeOf<Result<Shape, DType>>().toEqualTypeOf<Tensor>();
  });

  it("give the sentence where a rule failed, in one member of a union too", () => {
    expectTypeOf<Valid<"argument", [2] | ShapeError<"no">>>().toEqualTypeOf<ShapeError<"no">>();
    expectTypeOf<Result<[2] | ShapeError<"no">, "f32">>().toEqualTypeOf<ShapeError<"no">>();
    expectTypeOf<Result<[2], ShapeError<"no">>>().toEqualTypeOf<ShapeError<"no">>();
  });
});

it("this file type-checks", () => {
  expect(errorsIn(compile("export {};", ["test/dsl/types/rules.test.ts"]).output)).toBe("");
}, 60_000);
