/** The printed text: how it reads, what it depends on, and numbers written in decimal. */
import { describe, expect, it } from "vitest";
import * as make from "../../../src/compiler/kernel/builder.ts";
import { KernelBuilder, LANE, WORKGROUP, index, literal } from "../../../src/compiler/kernel/builder.ts";
import type { Expr, Kernel, Scalar } from "../../../src/compiler/kernel/ir.ts";
import { literalCode } from "../../../src/compiler/wgsl/literal.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { storageBytes } from "../../../src/compiler/wgsl/storage.ts";
import { threefry2x32 } from "../../../src/dsl/random/threefry.ts";
import { DTYPES } from "../../../src/dsl/types/dtype.ts";

const load = (type: Scalar, buffer: number, at: Expr): Expr => ({ kind: "load", type, buffer, at });
const name = (type: Scalar, text: string): Expr => ({ kind: "name", type, name: text });

/** Transposes an f16 matrix, scales it, and marks what is positive. */
function scaledTranspose(called = "scaledTranspose"): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f16", access: "read" });
  const y = k.buffer({ dtype: "f16", access: "write" });
  const mask = k.buffer({ dtype: "bool", access: "readWrite" });
  const rows = k.param();
  const at = k.let(make.plus(make.times(WORKGROUP, index(64)), LANE));
  k.if(make.both(make.below(at, make.times(rows, index(12))), load("bool", mask, at)), () => {
    const from = make.plus(make.times(make.modulo(at, index(12)), rows), make.over(at, index(12)));
    const value = k.let(make.binary("mul", load("f32", x, from), literal("f32", 0.1)));
    k.emit({ kind: "store", buffer: y, at, value });
    k.emit({ kind: "store", buffer: mask, at, value: make.below(literal("f32", -0), value) });
  });
  return k.finish(called, 64);
}

/** The largest entry of each row, or NaN. */
function rowMaximum(): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f32", access: "read" });
  const y = k.buffer({ dtype: "f32", access: "write" });
  const partial = k.shared({ type: "f32", length: 2 });
  const columns = make.plus(k.param(), index(1));
  const largest = k.variable(literal("f32", -Infinity));
  k.for(LANE, columns, index(2), (i) =>
    k.assign(
      largest,
      make.binary("max", largest, load("f32", x, make.plus(make.times(WORKGROUP, columns), i))),
    ),
  );
  k.emit({ kind: "storeShared", array: partial, at: LANE, value: largest });
  k.barrier();
  const at = (i: number): Expr => ({ kind: "shared", type: "f32", array: partial, at: index(i) });
  k.if(
    make.binary("equal", LANE, index(0)),
    () => k.emit({ kind: "store", buffer: y, at: WORKGROUP, value: make.binary("max", at(0), at(1)) }),
    () => k.let(make.select(make.unary("not", make.below(LANE, index(1))), at(0), at(1))),
  );
  return k.finish("rowMaximum", 2);
}

describe("printWgsl", () => {
  it("asks for subgroups and for f16 where a kernel uses them", () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "f32", access: "write" });
    const array = k.shared({ type: "f32", length: 32, half: true });
    k.emit({ kind: "storeShared", array, at: LANE, value: make.cast("f32", LANE) });
    const own: Expr = { kind: "shared", type: "f32", array, at: LANE };
    const last = make.minus(make.subgroup("size"), index(1));
    const value = make.binary("add", make.subgroupSum(own), make.shuffle(own, last));
    k.emit({ kind: "store", buffer: out, at: LANE, value });
    expect(printWgsl(k.finish("exchange", 32), { f16: true })).toMatchInlineSnapshot(`
      "enable f16;
      enable subgroups;
      @group(0) @binding(0) var<storage, read_write> buffer_0: array<f32>;
      var<workgroup> shared_0: array<f16, 32>;
      @compute @workgroup_size(32)
      fn main(
        @builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32,
      ) {
        let workgroup = group.x + group.y * groups.x;
        shared_0[lane] = f16(f32(lane));
        buffer_0[lane] = subgroupAdd(f32(shared_0[lane])) + subgroupShuffle(f32(shared_0[lane]), subgroup_size - 1u);
      }
      "
    `);
    expect(printWgsl(rowMaximum(), { f16: true })).not.toMatch(/subgroup|f16/);
  });

  it("prints index arithmetic as operators, and storage as its type", () => {
    expect(printWgsl(scaledTranspose(), { f16: true })).toMatchInlineSnapshot(`
      "enable f16;
      @group(0) @binding(0) var<storage, read> buffer_0: array<f16>;
      @group(0) @binding(1) var<storage, read_write> buffer_1: array<f16>;
      @group(0) @binding(2) var<storage, read_write> buffer_2: array<u32>;
      @group(0) @binding(3) var<uniform> params: array<vec4<u32>, 1>;
      fn from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }
      fn to_f16(x: f32) -> f16 {
        let bits = bitcast<u32>(x);
        let size = bits & 0x7fffffffu;
        if (size < 0x38800000u) {
          let small = round(bitcast<f32>(size) * 16777216.0f) * 0.000000059604645f;
          return f16(bitcast<f32>(bitcast<u32>(small) | (bits & 0x80000000u)));
        }
        let nearest = (bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u;
        let overflows = size >= 0x477ff000u && size < 0x7f800000u;
        return f16(bitcast<f32>(select(select(nearest, (bits & 0x80000000u) | 0x7f800000u, overflows), bits, size > 0x7f800000u)));
      }
      @compute @workgroup_size(64)
      fn main(
        @builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
      ) {
        let workgroup = group.x + group.y * groups.x;
        let params_0 = params[0];
        let t0 = workgroup * 64u + lane;
        if ((t0 < (params_0.x * 12u)) && (buffer_2[t0] != 0u)) {
          let t1 = f32(buffer_0[t0 % 12u * params_0.x + t0 / 12u]) * 0.1f;
          buffer_1[t0] = to_f16(t1);
          buffer_2[t0] = u32((from_bits(0x80000000u) < t1));
        }
      }
      "
    `);
  });

  it("keeps f16 in f32 without shader-f16", () => {
    const text = printWgsl(scaledTranspose(), { f16: false });
    expect(text).not.toContain("f16");
    expect(text).toContain("buffer_0: array<f32>");
  });

  it("prints loops, barriers and workgroup memory, and the functions that are called", () => {
    expect(printWgsl(rowMaximum(), { f16: false })).toMatchInlineSnapshot(`
      "@group(0) @binding(0) var<storage, read> buffer_0: array<f32>;
      @group(0) @binding(1) var<storage, read_write> buffer_1: array<f32>;
      @group(0) @binding(2) var<uniform> params: array<vec4<u32>, 1>;
      var<workgroup> shared_0: array<f32, 2>;
      fn from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }
      fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
      fn max_f32(x: f32, y: f32) -> f32 { return select(max(x, y), x + y, is_nan(x) || is_nan(y)); }
      @compute @workgroup_size(2)
      fn main(
        @builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
      ) {
        let workgroup = group.x + group.y * groups.x;
        let always = groups.x > 0u;
        let params_0 = params[0];
        var v0 = from_bits(0xff800000u);
        let i1_end = params_0.x + 1u;
        for (var i1 = lane; i1 < i1_end; i1 += 2u) {
          v0 = max_f32(v0, buffer_0[workgroup * (params_0.x + 1u) + i1]);
        }
        shared_0[lane] = v0;
        workgroupBarrier();
        if (lane == 0u) {
          buffer_1[workgroup] = max_f32(shared_0[0u], shared_0[1u]);
        } else {
          let t2 = select(shared_0[1u], shared_0[0u], ((lane < 1u) != always));
        }
      }
      "
    `);
  });

  it("prints each function once, with those that it calls itself, and no others", () => {
    const k = new KernelBuilder();
    const out = k.buffer({ dtype: "f32", access: "write" });
    const x = make.cast("f32", LANE);
    for (const op of ["erf", "tanh", "erf"] as const)
      k.emit({ kind: "store", buffer: out, at: LANE, value: make.unary(op, x) });
    const text = printWgsl(k.finish("two", 1), { f16: false });
    const functions = Array.from(text.matchAll(/^fn (\w+)/gm), ([, found]) => found);
    expect(functions).toEqual(["is_nan", "exp_f32", "tanh_f32", "erf_f32", "main"]);
  });

  it("does not depend on the kernel's name", () => {
    expect(printWgsl(scaledTranspose("other"), { f16: true })).toBe(
      printWgsl(scaledTranspose(), { f16: true }),
    );
  });

  it("writes parentheses where the tree or WGSL needs them", () => {
    const [a, b, c] = [name("u32", "a0"), name("u32", "b0"), name("u32", "c0")];
    const print = (value: Expr): string => {
      const k = new KernelBuilder();
      k.emit({ kind: "let", name: "t0", value });
      return /let t0 = (.*);/.exec(printWgsl(k.finish("one", 1), { f16: false }))?.[1] ?? "";
    };
    const { binary, unary } = make;
    expect(print(binary("sub", a, binary("sub", b, c)))).toBe("a0 - (b0 - c0)");
    expect(print(binary("sub", binary("sub", a, b), c))).toBe("a0 - b0 - c0");
    expect(print(binary("add", binary("mul", a, b), c))).toBe("a0 * b0 + c0");
    expect(print(binary("mul", binary("add", a, b), c))).toBe("(a0 + b0) * c0");
    expect(print(binary("mul", a, binary("div", b, index(3))))).toBe("a0 * (b0 / 3u)");
    expect(print(binary("rem", binary("mul", a, b), index(3)))).toBe("a0 * b0 % 3u");
    expect(print(binary("and", binary("add", a, b), binary("xor", b, c)))).toBe("(a0 + b0) & (b0 ^ c0)");
    expect(print(binary("div", a, b))).toBe("div_u32(a0, b0)");
    const x = name("f32", "x0");
    expect(print(binary("sub", x, unary("neg", x)))).toBe("x0 - (-x0)");
    expect(print(binary("sub", x, literal("f32", -1)))).toBe("x0 - (-1.0f)");
    expect(print(unary("neg", unary("neg", x)))).toBe("-(-x0)");
    // `a0 < b0, c0 >` would begin a template's arguments.
    const less = make.below(a, b);
    expect(print(make.select(less, make.cast("bool", c), less))).toBe(
      "select((a0 < b0), (c0 != 0u), (a0 < b0))",
    );
  });
});

describe("literals", () => {
  const text = (type: Scalar, value: number): string => literalCode(type, value).text;

  it("are written with their type", () => {
    expect([0, 1, -1, 0.1, 1e10, 1e-7, 1e21, 16777216, -0.5].map((x) => text("f32", x))).toEqual(
      ["0.0f", "1.0f", "(-1.0f)", "0.1f", "10000000000.0f", "1e-7f", "1e+21f", "16777216.0f", "(-0.5f)"], // prettier-ignore
    );
    expect([-0, Infinity, -Infinity, NaN, 1e-45, 3.4028234663852886e38].map((x) => text("f32", x))).toEqual(
      ["0x80000000", "0x7f800000", "0xff800000", "0x7fc00000", "0x1", "0x7f7fffff"].map((bits) => `from_bits(${bits}u)`), // prettier-ignore
    );
    expect([5, -5, -(2 ** 31), 2 ** 31].map((x) => text("i32", x))).toEqual(["5i", "(-5i)", "i32(-2147483648)", "i32(-2147483648)"]); // prettier-ignore
    expect([5, -1, 2 ** 32 + 2].map((x) => text("u32", x))).toEqual(["5u", "4294967295u", "2u"]);
    expect([0, 1].map((x) => text("bool", x))).toEqual(["false", "true"]);
  });

  it("of f32 are read back as the same number", () => {
    const words = Uint32Array.from({ length: 20000 }, (_, i) => threefry2x32(1, 2, i, 0)[0]);
    for (const x of new Float32Array(words.buffer)) {
      const written = text("f32", x);
      if (written.startsWith("from_bits")) continue;
      expect(Math.fround(Number(written.replaceAll(/[()f]/g, "")))).toBe(x);
    }
  });
});

describe("storageBytes", () => {
  it("knows every dtype, and f16 without the feature", () => {
    expect(DTYPES.map((dtype) => [dtype, storageBytes(dtype, { f16: true })])).toEqual([
      ["f32", 4],
      ["f16", 2],
      ["i32", 4],
      ["u32", 4],
      ["bool", 4],
    ]);
    expect(storageBytes("f16", { f16: false })).toBe(4);
  });
});
