/**
 * What the adapter can do at most: fused multiply-adds and nothing else, to hold the rates of the matrix products against. One kernel
 * keeps everything in registers, as nothing that computes can; another loads its operands from workgroup memory as the inner loop of a
 * tiled product must, 16 numbers for 64 multiply-adds.
 *
 * Consumed by benchmarks.ts and the script for GPUs. WGSL only: this measures the adapter, not Fluxion.
 */
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import { agree } from "../case.ts";
import type { Comparison } from "../case.ts";
import { loadBareKernel } from "../webgpu/bare-kernel.ts";
import type { BareKernel } from "../webgpu/bare-kernel.ts";

const LANES = 64;
/** Multiply-adds of a lane in one iteration. */
const STEP = 64;

/** Eight vectors of accumulators; with a = 1 and b = 0 they stay what they are, and the compiler cannot know. */
const REGISTERS = /* wgsl */ `
@group(0) @binding(0) var<storage, read> given: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let rounds = u32(given[0]);
  let a = vec4f(given[1]);
  let b = vec4f(given[2]);
  ${range(8)
    .map((i) => `var x${i} = vec4f(${i});`)
    .join("\n  ")}
  for (var i = 0u; i < rounds; i++) {
    ${range(2)
      .flatMap(() => range(8).map((i) => `x${i} = fma(x${i}, a, b);`))
      .join("\n    ")}
  }
  let sum = ${range(8)
    .map((i) => `x${i}`)
    .join(" + ")};
  result[id.x] = sum.x + sum.y + sum.z + sum.w;
}`;

const WORKGROUP_MEMORY = /* wgsl */ `
@group(0) @binding(0) var<storage, read> given: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
var<workgroup> rows: array<f32, 1024>;
var<workgroup> columns: array<f32, 1024>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rounds = u32(given[0]);
  for (var i = lane; i < 1024u; i += ${LANES}u) {
    rows[i] = given[1];
    columns[i] = given[2];
  }
  workgroupBarrier();
  let row = (lane / 8u) * 8u;
  let column = (lane % 8u) * 8u;
  ${range(64)
    .map((i) => `var x${i} = f32(${i});`)
    .join("\n  ")}
  for (var i = 0u; i < rounds; i++) {
    let k = (i % 16u) * 64u;
    ${range(8)
      .map((i) => `let a${i} = rows[k + row + ${i}u]; let b${i} = columns[k + column + ${i}u];`)
      .join("\n    ")}
    ${range(64)
      .map((i) => `x${i} = fma(a${i >> 3}, b${i % 8}, x${i});`)
      .join("\n    ")}
  }
  result[id.x] = ${range(64)
    .map((i) => `x${i}`)
    .join(" + ")};
}`;

function range(n: number): readonly number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** The two kernels on an adapter. */
export async function limitOf(gpu: Gpu, scale: Scale): Promise<Comparison> {
  // A GPU needs some more to be busy.
  const [rounds, workgroups] = scale === "tiny" ? [2, 1] : [1024, gpu.software ? 64 : 16_384];
  const load = (code: string, given: readonly number[]) =>
    loadBareKernel(gpu, code, [Float32Array.from(given)], 4 * LANES * workgroups, [workgroups]);
  const registers = await load(REGISTERS, [rounds, 1, 0]);
  const shared = await load(WORKGROUP_MEMORY, [rounds, 0.5, 0.25]);
  await registers.run();
  await shared.run();
  const ofFirstLane = async (kernel: BareKernel): Promise<Float32Array> =>
    new Float32Array(await kernel.read(4));
  const sum = (n: number): number => (n * (n - 1)) / 2;
  return {
    name: "limit",
    what: `${rounds * STEP} multiply-adds in each of ${workgroups * LANES} lanes: the most that this adapter can do`,
    flops: 2 * rounds * STEP * workgroups * LANES,
    contenders: [
      { name: "in registers", run: () => registers.run() },
      { name: "from workgroup memory", run: () => shared.run() },
    ],
    ratios: [],
    agreements: [
      agree("the sum in registers", await ofFirstLane(registers), [4 * sum(8)], 1e-6),
      agree(
        "the sum from workgroup memory",
        await ofFirstLane(shared),
        [sum(64) + 64 * rounds * 0.125],
        1e-4,
      ),
    ],
    dispose: async () => {
      registers.dispose();
      shared.dispose();
    },
  };
}

export const limitBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "limit",
  comparisons: (scale, { gpu }) => [
    async () => {
      if (gpu === undefined) throw new Error("The limit is an adapter's.");
      return limitOf(gpu.gpu, scale);
    },
  ],
};
