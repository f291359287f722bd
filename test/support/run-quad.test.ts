/** Quads on the host, and what is refused of them; and as WGSL. */
import { describe, expect, it } from "vitest";
import {
  KernelBuilder,
  LANE,
  component,
  index,
  literal,
  loadedQuad,
  times,
} from "../../src/compiler/kernel/builder.ts";
import type { Expr, Kernel } from "../../src/compiler/kernel/ir.ts";
import { sizesAsParams } from "../../src/compiler/kernel/sizes.ts";
import { withoutUnused } from "../../src/compiler/kernel/unused.ts";
import { printWgsl } from "../../src/compiler/wgsl/print.ts";
import { runKernel } from "./run-kernel.ts";

const LANES = 2;

/** result[i] = 2 · x[i] + 3 · x[i] for the four of each lane, by way of workgroup memory. @param at where a lane's four begin */
function kernel(
  at: Expr = times(LANE, index(4)),
  quads: { readonly quads?: true } = { quads: true },
): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f16", access: "read", ...quads });
  const result = k.buffer({ dtype: "f32", access: "write" });
  const shared = k.shared({ type: "f32", length: 4 * LANES, quads: true });
  const place = k.let(at);
  const quad = k.quad(loadedQuad("buffer", x, place));
  k.quad(loadedQuad("buffer", x, place)); // nothing uses it
  const sums = k.quadVariable({ kind: "scaled", quad, x: literal("f32", 2) });
  k.emit({ kind: "addScaled", sums, quad, x: literal("f32", 3) });
  k.emit({ kind: "storeQuad", quad: sums, to: { memory: { kind: "shared", position: shared }, at: place } });
  k.barrier();
  const again = k.quadVariable({ kind: "zeros" });
  k.emit({ kind: "assignQuad", name: again, value: loadedQuad("shared", shared, place) });
  for (const i of [0, 1, 2, 3] as const)
    k.emit({ kind: "store", buffer: result, at: k.let(binaryAdd(place, i)), value: component(again, i) });
  return k.finish("quads", LANES);
}

const binaryAdd = (x: Expr, i: number): Expr => ({ kind: "binary", type: "u32", op: "add", x, y: index(i) });

const X = Float64Array.from([1, -2, 3, 0.5, 5, 6, 7, -8]);
const run = (given: Kernel, params: readonly number[] = []): Float64Array => {
  const result = new Float64Array(8);
  runKernel(given, { buffers: [X, result], params, workgroups: 1 });
  return result;
};

describe("quads", () => {
  it("are loaded, scaled, summed and stored number by number, whatever passes leave", () => {
    const want = X.map((x) => 5 * x);
    expect(run(kernel())).toEqual(want);
    const lean = withoutUnused(kernel());
    expect(lean.body.length).toBe(kernel().body.length - 1);
    expect(run(lean)).toEqual(want);
    const extent: Expr = { kind: "literal", type: "u32", value: 4, size: true };
    const { kernel: sized, sizes } = sizesAsParams(kernel(times(LANE, extent)));
    expect(sizes).toEqual([4]);
    expect(run(sized, sizes)).toEqual(want);
  });

  it("begin at a multiple of four, in memory that is declared to have them", () => {
    expect(() => run(kernel(times(LANE, index(2))))).toThrow(
      "kernel quads: moves a quad of buffer 0 at element 2",
    );
    expect(() => run(kernel(undefined, {}))).toThrow("moves quads of buffer 0, which has none");
    expect(() => printWgsl(kernel(undefined, {}), { f16: true })).toThrow("buffer_0 has no quads");
  });

  it("are vectors in WGSL, and memory that has them is of vectors for single elements too", () => {
    const text = printWgsl(withoutUnused(kernel()), { f16: true });
    expect(text).toContain("var<storage, read> buffer_0: array<vec4<f16>>;");
    expect(text).toContain("var<workgroup> shared_0: array<vec4<f32>, 2>;");
    expect(text).toContain("vec4<f32>(buffer_0[");
    const k = new KernelBuilder();
    const x = k.buffer({ dtype: "f32", access: "read", quads: true });
    const result = k.buffer({ dtype: "f32", access: "write" });
    k.emit({
      kind: "store",
      buffer: result,
      at: LANE,
      value: { kind: "load", type: "f32", buffer: x, at: LANE },
    });
    expect(printWgsl(k.finish("single", 1), { f16: false })).toContain(
      "buffer_1[lane] = buffer_0[lane >> 2u][lane & 3u];",
    );
  });

  it("of f16 go from a buffer of f16 to workgroup memory of f16 as they are, and are f32 elsewhere", () => {
    const moved = (half: boolean, dtype: "f16" | "f32" = "f16"): Kernel => {
      const kept = half ? ({ half } as const) : {};
      const k = new KernelBuilder();
      const x = k.buffer({ dtype, access: "read", quads: true });
      const result = k.buffer({ dtype: "f32", access: "write" });
      const shared = k.shared({ type: "f32", length: 4, half: true });
      const piece = k.quadVariable({ kind: "zeros", ...kept });
      k.emit({ kind: "assignQuad", name: piece, value: { ...loadedQuad("buffer", x, index(4)), ...kept } });
      for (const i of [0, 1, 2, 3] as const)
        k.emit({ kind: "storeShared", array: shared, at: index(i), value: component(piece, i, half) });
      for (const i of [0, 1, 2, 3] as const) {
        const value = k.let({ kind: "shared", type: "f32", array: shared, at: index(i) });
        k.emit({ kind: "store", buffer: result, at: index(i), value });
        k.emit({ kind: "store", buffer: result, at: index(4 + i), value: component(piece, i, half) });
      }
      return k.finish("quads", 1);
    };
    for (const half of [true, false]) expect([...run(moved(half))]).toEqual([5, 6, 7, -8, 5, 6, 7, -8]);
    const text = printWgsl(moved(true), { f16: true });
    for (const line of [
      "var q0 = vec4<f16>();",
      "q0 = buffer_0[4u >> 2u];",
      "shared_0[1u] = q0.y;",
      "buffer_1[5u] = f32(q0.y);",
    ])
      expect(text).toContain(line);
    expect(() => printWgsl(moved(true), { f16: false })).toThrow(
      "a quad of f16 is loaded from memory of f32",
    );
    expect(() => run(moved(true, "f32"))).toThrow("loads a quad of f16 from memory that is not of it");
    const mistaken = new KernelBuilder();
    const quad = mistaken.quadVariable({ kind: "zeros", half: true });
    mistaken.emit({ kind: "assignQuad", name: quad, value: { kind: "zeros" } });
    expect(() => runKernel(mistaken.finish("quads", 1), { buffers: [], workgroups: 1 })).toThrow(
      "assigns a quad of another type",
    );
  });

  it("leave no single elements to be stored beside them: others of the four might be stored with one", () => {
    const value = literal("f32", 1);
    const inBuffer = new KernelBuilder();
    const buffer = inBuffer.buffer({ dtype: "f32", access: "write", quads: true });
    inBuffer.emit({ kind: "store", buffer, at: LANE, value });
    const inArray = new KernelBuilder();
    const array = inArray.shared({ type: "f32", length: 4, quads: true });
    inArray.emit({ kind: "storeShared", array, at: LANE, value });
    for (const k of [inBuffer, inArray].map((builder) => builder.finish("single", 1))) {
      const buffers = k.buffers.map(() => new Float64Array(4));
      expect(() => runKernel(k, { buffers, workgroups: 1 })).toThrow("stores a single element");
      expect(() => printWgsl(k, { f16: false })).toThrow("stores a single element");
    }
  });
});
