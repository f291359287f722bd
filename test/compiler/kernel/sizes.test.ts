/** Sizes in kernels become parameters: what a kernel computes stays the same, and kernels of different sizes are one. */
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  KernelBuilder,
  LANE,
  WORKGROUP,
  binary,
  cast,
  extent,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  times,
} from "../../../src/compiler/kernel/builder.ts";
import type { Expr, Kernel } from "../../../src/compiler/kernel/ir.ts";
import type { Dispatch } from "../../../src/compiler/kernel/plan.ts";
import { sizesAsParams } from "../../../src/compiler/kernel/sizes.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import type { Program, TensorType } from "../../../src/dsl/program/program.ts";
import { traceFlat } from "../../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { runKernel } from "../../support/run-kernel.ts";

const wgsl = (kernel: Kernel): string => printWgsl(kernel, { f16: false });

/** Stores at each element of `count` what `value` says. */
function kernelOf(count: Expr, value: (builder: KernelBuilder, element: Expr) => Expr): Kernel {
  const builder = new KernelBuilder();
  const out = builder.buffer({ dtype: "u32", access: "write" });
  const element = builder.let(plus(times(WORKGROUP, index(4)), LANE));
  builder.if(binary("less", element, count), () =>
    builder.emit({ kind: "store", buffer: out, at: element, value: value(builder, element) }),
  );
  return builder.finish("test", 4);
}

function results(kernel: Kernel, params: readonly number[]): readonly number[] {
  const data: ExactTensor["data"] = new Float64Array(10);
  runKernel(kernel, { buffers: [data], params, workgroups: 3 });
  return [...data];
}

describe("a size", () => {
  const rounds = (n: number): Kernel =>
    kernelOf(index(10), (builder, element) => {
      const sum = builder.variable(element, "sum");
      builder.for(index(0), index(n), index(1), (i) => builder.assign(sum, plus(sum, i)));
      return sum;
    });

  it("is a parameter where it is added, multiplied or compared with, and the result is the same", () => {
    const kernel = kernelOf(extent(10), (_, element) => plus(times(element, extent(7)), extent(5)));
    const { kernel: shared, sizes } = sizesAsParams(kernel);
    expect(sizes).toEqual([10, 7, 5]);
    expect(results(shared, sizes)).toEqual(results(kernel, []));
    expect(results(shared, [9, 2, 1])).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 0]);
  });

  it("has one parameter where places share its expression", () => {
    const stride = extent(7);
    const kernel = kernelOf(extent(10), (_, element) =>
      plus(times(element, stride), times(stride, extent(7))),
    );
    const { kernel: shared, sizes } = sizesAsParams(kernel);
    expect(sizes).toEqual([10, 7, 49]); // what is computed from sizes is another
    const twice = kernelOf(extent(10), (_, element) => times(plus(times(element, stride), element), stride));
    expect(sizesAsParams(twice).sizes).toEqual([10, 7]);
    expect(results(shared, sizes)).toEqual(results(kernel, []));
  });

  it("has a parameter of its own at each place, after those that the kernel had", () => {
    const builder = new KernelBuilder();
    const out = builder.buffer({ dtype: "u32", access: "write" });
    const own = builder.param();
    const value = plus(times(own, extent(3)), extent(3));
    builder.emit({ kind: "store", buffer: out, at: index(0), value });
    const { kernel, sizes } = sizesAsParams(builder.finish("test", 1));
    expect([kernel.params, sizes]).toEqual([3, [3, 3]]);
    const data = new Float64Array(1);
    runKernel(kernel, { buffers: [data], params: [2, ...sizes], workgroups: 1 });
    expect(data[0]).toBe(9);
  });

  it("is one in the place of a fragment too", () => {
    const builder = new KernelBuilder();
    const out = builder.buffer({ dtype: "f32", access: "write" });
    const fragment = builder.zeroFragment({ rows: 8, columns: 8, element: "f32" });
    const memory = { kind: "buffer", position: out } as const;
    builder.emit({
      kind: "storeFragment",
      fragment,
      to: { memory, at: extent(5), stride: extent(9), order: "row-major" },
    });
    const { kernel, sizes } = sizesAsParams(builder.finish("test", 8));
    expect([kernel.params, sizes]).toEqual([2, [5, 9]]);
  });

  it("wraps below zero, as index arithmetic does where nothing uses it", () => {
    const kernel = kernelOf(index(10), (_, element) =>
      plus(plus(element, minus(index(1), extent(3))), index(9)),
    );
    const { kernel: shared, sizes } = sizesAsParams(kernel);
    expect(sizes).toEqual([2 ** 32 - 2]);
    expect(results(shared, sizes)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  });

  it("stays in the text where lanes divide by it, and is a parameter where a workgroup does", () => {
    const kernel = kernelOf(index(10), (builder, element) => {
      const half = builder.let(over(WORKGROUP, extent(2)));
      return plus(plus(over(element, extent(3)), modulo(element, extent(3))), modulo(half, extent(5)));
    });
    const { kernel: shared, sizes } = sizesAsParams(kernel);
    expect(sizes).toEqual([2, 5]);
    expect(wgsl(shared)).toMatch(/\/ 3u/);
    expect(wgsl(shared)).toMatch(/% 3u/);
    expect(results(shared, sizes)).toEqual(results(kernel, []));
  });

  it("stays one when it is computed with", () => {
    const sum = plus(times(extent(3), index(2)), index(1));
    expect(sum).toEqual(extent(7));
    expect(times(index(3), index(2))).toEqual(index(6));
    expect(over(plus(extent(65), index(31)), index(32))).toEqual(extent(3));
  });

  it("is the length of a loop of more than three rounds, whatever it was", () => {
    for (const n of [1, 3]) expect(sizesAsParams(rounds(n)).sizes).toEqual([]);
    const { kernel, sizes } = sizesAsParams(rounds(4));
    expect(sizes).toEqual([4]);
    expect(results(kernel, sizes)).toEqual(results(rounds(4), []));
    expect(wgsl(kernel)).not.toMatch(/< 4u/);
  });

  it("is found in every kind of expression and statement", () => {
    const builder = new KernelBuilder();
    const out = builder.buffer({ dtype: "f32", access: "readWrite" });
    const array = builder.shared({ type: "f32", length: 8 });
    const number = cast("f32", plus(LANE, extent(1)));
    builder.emit({ kind: "storeShared", array, at: modulo(plus(LANE, extent(4)), index(8)), value: number });
    builder.barrier();
    const names = [builder.fresh("r"), builder.fresh("r")] as const;
    builder.emit({ kind: "threefry", names, key: [extent(1), index(2)], counter: [index(3), extent(4)] });
    const word: Expr = { kind: "name", type: "u32", name: names[0] };
    const shared = builder.let({ kind: "shared", type: "f32", array, at: plus(index(0), extent(4)) });
    const bits = cast("f32", binary("and", word, literal("u32", 255)));
    const condition: Expr = { kind: "isNan", type: "bool", x: cast("f32", extent(2)) };
    builder.if(
      binary("equal", LANE, index(0)),
      () => builder.emit({ kind: "store", buffer: out, at: extent(1), value: binary("add", shared, bits) }),
      () => {
        const value: Expr = { kind: "select", type: "f32", condition, x: cast("f32", extent(8)), y: number };
        builder.emit({ kind: "store", buffer: out, at: plus(LANE, extent(1)), value });
      },
    );
    const kernel = builder.finish("test", 4);
    const { kernel: rewritten, sizes } = sizesAsParams(kernel);
    expect(JSON.stringify(rewritten)).not.toContain('"size"');
    const run = (of: Kernel, params: readonly number[]): Float64Array => {
      const data = new Float64Array(8);
      runKernel(of, { buffers: [data], params, workgroups: 1 });
      return data;
    };
    expect(run(rewritten, sizes)).toEqual(run(kernel, []));
  });
});

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
const traced = (
  f: (...inputs: TracedTensor[]) => readonly TracedTensor[],
  types: readonly TensorType[],
): Program => traceFlat(types, (inputs) => f(...inputs)).program;
const dispatchesOf = (program: Program): readonly Dispatch[] =>
  schedule(program).steps.filter((step): step is Dispatch => step.kind === "dispatch");

describe("programs of different sizes have the same kernels", () => {
  const matmul = { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] };
  it.each([
    [
      "a dot",
      ([n, m, k]: readonly number[]) =>
        traced(
          (a, b) => [prim.dot(a as TracedTensor, b as TracedTensor, matmul)],
          [f32(n as number, k as number), f32(k as number, m as number)],
        ),
      [64, 96, 128],
      [96, 160, 192],
    ],
    [
      "a dot in slices",
      ([n, m, k]: readonly number[]) =>
        traced(
          (a, b) => [prim.dot(a as TracedTensor, b as TracedTensor, matmul)],
          [f32(n as number, k as number), f32(k as number, m as number)],
        ),
      [64, 64, 1024],
      [64, 64, 2048],
    ],
    [
      "an elementwise op",
      ([n]: readonly number[]) =>
        traced(
          (a, b) => [prim.mul(a as TracedTensor, b as TracedTensor)],
          [f32(n as number), f32(n as number)],
        ),
      [100],
      [7000],
    ],
    [
      "a sum of rows",
      ([n, m]: readonly number[]) =>
        traced((a) => [prim.reduceSum(a as TracedTensor, [1])], [f32(n as number, m as number)]),
      [64, 17408],
      [64, 18432],
    ],
  ] as const)("%s", (_name, make, small, large) => {
    const [a, b] = [dispatchesOf(make(small)), dispatchesOf(make(large))];
    expect(a.map(({ kernel }) => wgsl(kernel))).toEqual(b.map(({ kernel }) => wgsl(kernel)));
    expect(a.map(({ params }) => params)).not.toEqual(b.map(({ params }) => params));
  });

  it("wherever in a larger tensor their operands are", () => {
    const halves = (start: number): Program =>
      traced(
        (x, y) => {
          const part = prim.slice(x as TracedTensor, { start: [start], stop: [start + 64], step: [1] });
          return [prim.concat([prim.mul(part, y as TracedTensor), part], 0)];
        },
        [f32(1000), f32(64)],
      );
    const [a, b] = [100, 700].map((start) => dispatchesOf(halves(start)));
    expect(a?.map(({ kernel }) => wgsl(kernel))).toEqual(b?.map(({ kernel }) => wgsl(kernel)));
  });

  it("and sum along axes that come apart and together without dividing", () => {
    const over = { lhsBatch: [], rhsBatch: [], lhsContract: [0, 1], rhsContract: [0, 1] };
    const program = traced(
      (a, b) => [prim.dot(a as TracedTensor, b as TracedTensor, over)],
      [f32(12, 40, 48), f32(12, 40, 56)],
    );
    for (const { kernel } of dispatchesOf(program)) expect(wgsl(kernel)).not.toMatch(/[/%] (12|40)u/);
  });
});
