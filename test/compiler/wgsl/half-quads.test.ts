/** Quads and f16 on a GPU: quads of f32 are rounded as they are stored, and quads of f16 reach workgroup memory as they are. */
import { beforeAll, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import {
  KernelBuilder,
  COMPONENTS,
  LANE,
  WORKGROUP,
  component,
  index,
  loadedQuad,
  modulo,
  plus,
  times,
} from "../../../src/compiler/kernel/builder.ts";
import type { Kernel } from "../../../src/compiler/kernel/ir.ts";
import { f16ToNumber, numberToF16 } from "../../../src/dsl/numerics/float16.ts";
import type { Gpu } from "../../../src/runtime/webgpu/gpu.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { runOnGpu } from "./run.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openTestGpu();
});

const LANES = 64;
const SIZE = 4 * LANES * 4;
const noF16 = (): boolean => {
  const missing = !gpu.features.has("shader-f16");
  if (missing) console.log("Not tested: this GPU has no f16.");
  return missing;
};

/** Each lane's four numbers of x, by way of a variable. */
function rounding(): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f32", access: "read", quads: true });
  const out = k.buffer({ dtype: "f16", access: "write", quads: true });
  const at = k.let(times(plus(times(WORKGROUP, index(LANES)), LANE), index(4)));
  const quad = k.quad(loadedQuad("buffer", x, at));
  k.emit({ kind: "storeQuad", quad, to: { memory: { kind: "buffer", position: out }, at } });
  return k.finish("rounding", LANES);
}

/** The four numbers of the next lane. */
function handing(): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f16", access: "read", quads: true });
  const out = k.buffer({ dtype: "f32", access: "write" });
  const shared = k.shared({ type: "f32", length: 4 * LANES, half: true });
  const first = k.let(times(WORKGROUP, index(4 * LANES)));
  const own = k.let(times(LANE, index(4)));
  const piece = k.quadVariable({ kind: "zeros", half: true });
  const from = loadedQuad("buffer", x, plus(first, own));
  k.emit({ kind: "assignQuad", name: piece, value: { ...from, half: true } });
  for (const c of COMPONENTS)
    k.emit({ kind: "storeShared", array: shared, at: plus(own, index(c)), value: component(piece, c, true) });
  k.barrier();
  const next = k.let(times(modulo(plus(LANE, index(1)), index(LANES)), index(4)));
  for (const c of COMPONENTS) {
    const value = k.let({ kind: "shared", type: "f32", array: shared, at: plus(next, index(c)) });
    k.emit({ kind: "store", buffer: out, at: plus(plus(first, own), index(c)), value });
  }
  return k.finish("handing", LANES);
}

const blank = (dtype: "f16" | "f32"): HostTensor => hostTensor(dtype, [SIZE], new Float64Array(SIZE));

it("quads are rounded to the nearest as they are stored", async ({ skip }) => {
  if (noF16()) return skip("no f16");
  const values = Array.from({ length: SIZE }, (_, i) => Math.fround((i - SIZE / 2) * 1.00037 + i / 4096));
  const run = { buffers: [hostTensor("f32", [SIZE], values), blank("f16")], workgroups: [SIZE / 4 / LANES] as const }; // prettier-ignore
  const [, out] = await runOnGpu(gpu, rounding(), run);
  expect(toNumbers(out as HostTensor)).toEqual(values.map((x) => f16ToNumber(numberToF16(x)))); // there are two
});

it("quads of f16 go to workgroup memory and come from it as numbers", async ({ skip }) => {
  if (noF16()) return skip("no f16");
  const values = Array.from({ length: SIZE }, (_, i) => (i % 2000) / 8 - 100);
  const run = { buffers: [hostTensor("f16", [SIZE], values), blank("f32")], workgroups: [SIZE / 4 / LANES] as const }; // prettier-ignore
  const [, out] = await runOnGpu(gpu, handing(), run);
  const want = values.map((_, i) => {
    const group = Math.floor(i / (4 * LANES)) * 4 * LANES;
    return values[group + ((i - group + 4) % (4 * LANES))];
  });
  expect(toNumbers(out as HostTensor)).toEqual(want); // there are two
});
