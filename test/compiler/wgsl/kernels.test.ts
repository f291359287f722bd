/** Statements, memory and parameters of printed kernels on a GPU: what they compute, against what the kernel IR says that they do. */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import {
  KernelBuilder,
  LANE,
  WORKGROUP,
  below,
  binary,
  cast,
  index,
  literal,
  modulo,
  over,
  plus,
  shuffle,
  subgroup,
  subgroupSum,
  times,
  unary,
} from "../../../src/compiler/kernel/builder.ts";
import type { Expr, Scalar } from "../../../src/compiler/kernel/ir.ts";
import { f16ToNumber, numberToF16 } from "../../../src/dsl/numerics/float16.ts";
import { threefry2x32 } from "../../../src/dsl/random/threefry.ts";
import type { DType } from "../../../src/dsl/types/dtype.ts";
import type { Gpu } from "../../../src/runtime/webgpu/gpu.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { runOnGpu } from "./run.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openTestGpu();
});

const load = (type: Scalar, buffer: number, at: Expr): Expr => ({ kind: "load", type, buffer, at });
const blank = (dtype: DType, size: number): HostTensor => hostTensor(dtype, [size], new Float64Array(size));
const random = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => threefry2x32(5, 7, i, seed)[0]);
const numbers = (tensor: HostTensor | undefined): number[] => toNumbers(tensor ?? blank("f32", 0));

describe("lanes of a subgroup", () => {
  it("add values up and hand them around", async (test) => {
    if (gpu.subgroups === undefined) test.skip("this adapter has no subgroups");
    const lanes = 64;
    const k = new KernelBuilder();
    const outs = ["size", "lane", "number", "sum", "shuffled"].map(() =>
      k.buffer({ dtype: "u32", access: "write" }),
    );
    const own = k.let(times(LANE, LANE));
    const next = k.let(modulo(plus(subgroup("lane"), index(1)), subgroup("size")));
    [
      subgroup("size"),
      subgroup("lane"),
      subgroup("number"),
      k.let(subgroupSum(own)),
      k.let(shuffle(own, next)),
    ].forEach((value, i) => k.emit({ kind: "store", buffer: outs[i] as number, at: LANE, value }));
    const results = await runOnGpu(gpu, k.finish("subgroups", lanes), {
      buffers: outs.map(() => blank("u32", lanes)),
      workgroups: [1],
    });
    const [sizes, positions, which, sums, shuffled] = results.map(numbers) as [number[], number[], number[], number[], number[]]; // prettier-ignore
    const size = sizes[0] as number;
    const each = (value: (lane: number) => number): number[] =>
      Array.from({ length: lanes }, (_, i) => value(i));
    expect(sizes).toEqual(each(() => size));
    // Neighbours are in one subgroup: no kernel counts on it, but on the host it is so.
    expect(positions).toEqual(each((lane) => lane % size));
    expect(which).toEqual(each((lane) => Math.floor(lane / size)));
    const first = (lane: number): number => lane - (lane % size);
    const square = (lane: number): number => lane ** 2;
    expect(sums).toEqual(each((lane) => each(square).slice(first(lane), first(lane) + size).reduce((a, b) => a + b))); // prettier-ignore
    expect(shuffled).toEqual(each((lane) => square(first(lane) + (((lane % size) + 1) % size))));
  });
});

describe("statements", () => {
  it("sum rows in workgroup memory, with loops, branches, variables and barriers", async () => {
    const [rows, columns, lanes] = [5, 131, 32];
    const k = new KernelBuilder();
    const x = k.buffer({ dtype: "f32", access: "read" });
    const sums = k.buffer({ dtype: "f32", access: "write" });
    const partial = k.shared({ type: "f32", length: lanes });
    const at = (i: Expr): Expr => ({ kind: "shared", type: "f32", array: partial, at: i });
    const sum = k.variable(literal("f32", 0));
    k.for(LANE, index(columns), index(lanes), (i) =>
      k.assign(sum, binary("add", sum, load("f32", x, plus(times(WORKGROUP, index(columns)), i)))),
    );
    k.emit({ kind: "storeShared", array: partial, at: LANE, value: sum });
    k.barrier();
    const half = k.variable(index(lanes / 2));
    // Log₂ 32 times: the number of lanes that add is halved.
    k.for(index(0), index(5), index(1), () => {
      k.if(below(LANE, half), () =>
        k.emit({
          kind: "storeShared",
          array: partial,
          at: LANE,
          value: binary("add", at(LANE), at(plus(LANE, half))),
        }),
      );
      k.barrier();
      k.assign(half, over(half, index(2)));
    });
    k.if(binary("equal", LANE, index(0)), () =>
      k.emit({ kind: "store", buffer: sums, at: WORKGROUP, value: at(index(0)) }),
    );
    const data = Array.from({ length: rows * columns }, (_, i) => (i % 17) - 5);
    const results = await runOnGpu(gpu, k.finish("rowSums", lanes), {
      buffers: [hostTensor("f32", [rows, columns], data), blank("f32", rows)],
      workgroups: [rows],
    });
    const row = (i: number): number =>
      data.slice(i * columns, (i + 1) * columns).reduce((sum, value) => sum + value, 0);
    expect(numbers(results[1])).toEqual(Array.from({ length: rows }, (_, i) => row(i)));
  });

  it("evaluate a loop's bounds and step once, whatever the body does to their variables", async () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "u32", access: "write" });
    const end = k.variable(index(10));
    const step = k.variable(index(3));
    const count = k.variable(index(0));
    k.for(index(1), end, step, (i) => {
      k.assign(end, binary("sub", end, index(4)));
      k.assign(step, binary("add", step, index(1)));
      k.assign(count, binary("add", times(count, index(10)), i));
    });
    k.emit({ kind: "store", buffer: out, at: index(0), value: count });
    const [result] = await runOnGpu(gpu, k.finish("bounds", 1), {
      buffers: [blank("u32", 1)],
      workgroups: [1],
    });
    expect(numbers(result)).toEqual([147]); // i = 1, 4, 7
  });

  it("take either branch, with scopes of their own", async () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "i32", access: "write" });
    const result = k.variable(literal("i32", 0));
    const lane = cast("i32", LANE);
    k.if(
      below(LANE, index(3)),
      () => k.assign(result, k.let(binary("sub", lane, literal("i32", 5)))),
      () =>
        k.if(below(LANE, index(5)), () => k.assign(result, k.let(binary("mul", lane, literal("i32", -7))))),
    );
    k.emit({ kind: "store", buffer: out, at: LANE, value: result });
    const results = await runOnGpu(gpu, k.finish("branches", 8), {
      buffers: [blank("i32", 8)],
      workgroups: [1],
    });
    expect(numbers(results[0])).toEqual([-5, -4, -3, -21, -28, 0, 0, 0]);
  });

  it("may use any names: those of types, of keywords, and of what the module declares itself", async () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "f32", access: "write" });
    const names = ["f32", "i32", "u32", "f16", "lane", "workgroup", "group", "var", "loop", "select", "params", "buffer", "exp_f32"]; // prettier-ignore
    names.forEach((name, i) => k.emit({ kind: "let", name, value: literal("u32", i + 1) }));
    const sum = names
      .map((name): Expr => cast("f32", { kind: "name", type: "u32", name }))
      .reduce((sum, x) => binary("add", sum, x));
    k.for(LANE, index(1), index(1), () =>
      k.emit({
        kind: "store",
        buffer: out,
        at: LANE,
        value: binary("add", sum, unary("exp", literal("f32", 0))),
      }),
    );
    const results = await runOnGpu(gpu, k.finish("names", 1), {
      buffers: [blank("f32", 1)],
      workgroups: [1],
    });
    expect(numbers(results[0])).toEqual([(names.length * (names.length + 1)) / 2 + 1]);
  });

  it("draw the bits of threefry", async () => {
    const size = 1000;
    const words = [0, 1, 2, 3].map((i) => [0, 2 ** 32 - 1, ...random(size - 2, i)]);
    const k = new KernelBuilder();
    const inputs = words.map(() => k.buffer({ dtype: "u32", access: "read" }));
    const outputs = [0, 1].map(() => k.buffer({ dtype: "u32", access: "write" }));
    const at = k.let(plus(times(WORKGROUP, index(64)), LANE));
    k.if(below(at, index(size)), () => {
      const [k0, k1, x0, x1] = inputs.map((buffer) => load("u32", buffer, at)) as [Expr, Expr, Expr, Expr];
      const names = [k.fresh("r"), k.fresh("r")] as const;
      k.emit({ kind: "threefry", names, key: [k0, k1], counter: [x0, x1] });
      names.forEach((name, i) =>
        k.emit({
          kind: "store",
          buffer: outputs[i] as number, // there are two
          at,
          value: { kind: "name", type: "u32", name },
        }),
      );
    });
    const results = await runOnGpu(gpu, k.finish("threefry", 64), {
      buffers: [...words.map((w) => hostTensor("u32", [size], w)), blank("u32", size), blank("u32", size)],
      workgroups: [Math.ceil(size / 64)],
    });
    const expected = Array.from({ length: size }, (_, i) =>
      threefry2x32(...(words.map((w) => w[i]) as [number, number, number, number])),
    );
    expect(numbers(results[4])).toEqual(expected.map(([a]) => a));
    expect(numbers(results[5])).toEqual(expected.map(([, b]) => b));
  });
});

describe("a dispatch", () => {
  it("gives parameters, each word at its place", async () => {
    const params = [7, 0, 2 ** 32 - 1, 123456789, 2 ** 31, 5];
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "u32", access: "write" });
    for (const i of params.keys())
      k.emit({ kind: "store", buffer: out, at: index(i), value: binary("add", k.param(), index(1)) });
    const results = await runOnGpu(gpu, k.finish("params", 1), {
      buffers: [blank("u32", params.length)],
      params,
      workgroups: [1],
    });
    expect(numbers(results[0])).toEqual(params.map((x) => (x + 1) >>> 0));
  });

  it("numbers its workgroups along x, then along y", async () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "u32", access: "write" });
    const at = k.let(plus(times(WORKGROUP, index(4)), LANE));
    k.emit({ kind: "store", buffer: out, at, value: times(at, at) });
    const results = await runOnGpu(gpu, k.finish("grid", 4), {
      buffers: [blank("u32", 60)],
      workgroups: [5, 3],
    });
    expect(numbers(results[0])).toEqual(Array.from({ length: 60 }, (_, i) => i * i));
  });
});

describe("storage", () => {
  it("is loaded and stored in place", async () => {
    const k = new KernelBuilder();
    const x = k.buffer({ dtype: "i32", access: "readWrite" });
    k.emit({ kind: "store", buffer: x, at: LANE, value: unary("neg", load("i32", x, LANE)) });
    const results = await runOnGpu(gpu, k.finish("negate", 3), {
      buffers: [hostTensor("i32", [3], [1, -2, -(2 ** 31)])],
      workgroups: [1],
    });
    expect(numbers(results[0])).toEqual([-1, 2, -(2 ** 31)]);
  });

  it("of bool is words of 0 and 1, and workgroup memory may be of bool", async () => {
    const k = new KernelBuilder();
    const [x, out] = [
      k.buffer({ dtype: "bool", access: "read" }),
      k.buffer({ dtype: "bool", access: "write" }),
    ];
    const swapped = k.shared({ type: "bool", length: 2 });
    k.emit({
      kind: "storeShared",
      array: swapped,
      at: binary("sub", index(1), LANE),
      value: load("bool", x, LANE),
    });
    k.barrier();
    k.emit({
      kind: "store",
      buffer: out,
      at: LANE,
      value: { kind: "shared", type: "bool", array: swapped, at: LANE },
    });
    k.emit({
      kind: "store",
      buffer: out,
      at: plus(LANE, index(2)),
      value: unary("not", load("bool", x, LANE)),
    });
    const results = await runOnGpu(gpu, k.finish("swap", 2), {
      buffers: [hostTensor("bool", [2], [1, 0]), blank("bool", 4)],
      workgroups: [1],
    });
    expect(numbers(results[1])).toEqual([0, 1, 0, 1]);
  });

  // Sizes are odd, so that the last word is half used.
  describe.each([true, false])("of f16, where the device's f16 is used: %s", (f16) => {
    it("is widened by loads and rounded by stores", async (test) => {
      if (f16 && !gpu.features.has("shader-f16")) test.skip("this adapter has no shader-f16");
      const values = [0, -1, 0.1, 1 / 3, 2048, 65504, 6e-5, 1e-4, Infinity, -Infinity, NaN].map(numberToF16);
      const k = new KernelBuilder();
      const [x, out] = [
        k.buffer({ dtype: "f16", access: "read" }),
        k.buffer({ dtype: "f16", access: "write" }),
      ];
      k.emit({
        kind: "store",
        buffer: out,
        at: LANE,
        value: binary("div", binary("mul", load("f32", x, LANE), literal("f32", 3)), literal("f32", 7)),
      });
      const results = await runOnGpu(gpu, k.finish("half", values.length), {
        buffers: [
          { dtype: "f16", shape: [values.length], data: Uint16Array.from(values) },
          blank("f16", values.length),
        ],
        workgroups: [1],
        f16,
      });
      for (const [i, got] of numbers(results[1]).entries()) {
        const want = (f16ToNumber(values[i] as number) * 3) / 7;
        if (Number.isNaN(want)) expect(got).toBeNaN();
        else if (Math.abs(want) === Infinity) expect(got).toBe(want);
        else expect(Math.abs(got - want)).toBeLessThanOrEqual(Math.abs(want) * 2 ** -11 + 2 ** -25);
      }
    });

    it("rounds to the nearest, and to the even one in between", async (test) => {
      if (f16 && !gpu.features.has("shader-f16")) test.skip("this adapter has no shader-f16");
      // Between all neighbours, infinity for one: halfway, and the f32 numbers on both sides of that.
      const halves = Array.from({ length: 0x7c00 }, (_, bits) => {
        const [low, high] = [f16ToNumber(bits), bits === 0x7bff ? 65536 : f16ToNumber(bits + 1)];
        return (low + high) / 2;
      });
      const values = halves.flatMap((x) => [x, -x, x * (1 - 2 ** -23), -x * (1 + 2 ** -23)]);
      const k = new KernelBuilder();
      const [x, out] = [
        k.buffer({ dtype: "f32", access: "read" }),
        k.buffer({ dtype: "f16", access: "write" }),
      ];
      const at = k.let(plus(times(WORKGROUP, index(64)), LANE));
      k.emit({ kind: "store", buffer: out, at, value: load("f32", x, at) });
      const results = await runOnGpu(gpu, k.finish("round", 64), {
        buffers: [hostTensor("f32", [values.length], values), blank("f16", values.length)],
        workgroups: [values.length / 64],
        f16,
      });
      const wrong = numbers(results[1]).flatMap((got, i) => {
        const x = values[i] as number;
        const want = f16ToNumber(numberToF16(x));
        return Object.is(got, want) || (got === 0 && Math.abs(want) < 2 ** -14)
          ? []
          : [`${x} gives ${got}, not ${want}`];
      });
      expect(wrong).toEqual([]);
    });

    it("rounds literals likewise", async (test) => {
      if (f16 && !gpu.features.has("shader-f16")) test.skip("this adapter has no shader-f16");
      const values = [0.001, -0.001, 0.1, 1 / 3, 1e-6, -1e-9, 0, -0, 65519, 65520];
      const k = new KernelBuilder();
      const out = k.buffer({ dtype: "f16", access: "write" });
      values.forEach((x, i) =>
        k.emit({ kind: "store", buffer: out, at: index(i), value: literal("f32", x) }),
      );
      const results = await runOnGpu(gpu, k.finish("literals", 1), {
        buffers: [blank("f16", values.length)],
        workgroups: [1],
        f16,
      });
      expect(numbers(results[0])).toEqual(values.map((x) => f16ToNumber(numberToF16(x))));
    });
  });
});
