/**
 * A square product as bare WGSL, tiled in registers, or on matrix units where the adapter has them: what it reaches when somebody writes the
 * kernel for this one size. Several are tried, and the quickest is taken, so a library that reaches its rate leaves little behind.
 *
 * Consumed by cases/matmul.ts and the timings on a GPU. To try another tile: a line in `TILES`.
 */
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";
import { loadBareKernel } from "./bare-kernel.ts";
import type { BareKernel } from "./bare-kernel.ts";
import { fitsMatrix, matrixCode, matrixGroups } from "./bare-matrix.ts";

export type Float = "f32" | "f16";

/** The name of this contender. */
export const BARE = "bare WGSL kernel";

/** A workgroup has `lanes` by `lanes` of them; each computes `rows` by `columns` entries in registers. */
interface Tile {
  readonly lanes: number;
  readonly rows: number;
  /** A multiple of 4. */
  readonly columns: number;
  /** How much of the inner axis lies in workgroup memory at a time, a multiple of 4; 0: operands come from storage. */
  readonly depth: number;
}

const TILES: readonly Tile[] = [
  { lanes: 8, rows: 4, columns: 8, depth: 0 },
  { lanes: 8, rows: 8, columns: 8, depth: 0 },
  { lanes: 8, rows: 8, columns: 8, depth: 16 },
  { lanes: 16, rows: 4, columns: 4, depth: 16 },
  { lanes: 16, rows: 8, columns: 8, depth: 8 },
  { lanes: 16, rows: 8, columns: 8, depth: 16 },
];

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
const lines = (n: number, line: (i: number) => string): string => range(n).map(line).join("\n");

/** Multiplies what lies at `a(row)` (four of the inner axis) and `b(inner, quad)` into the registers. */
const multiply = (
  { rows, columns }: Tile,
  a: (row: number) => string,
  b: (inner: number, quad: number) => string,
): string => `
${lines(rows, (r) => `let a${r} = vec4f(${a(r)});`)}
${lines(4, (k) => `{
${lines(columns / 4, (q) => `let b${q} = vec4f(${b(k, q)});`)}
${lines(rows, (r) => lines(columns / 4, (q) => `c${r}_${q} = fma(vec4f(a${r}[${k}]), b${q}, c${r}_${q});`))}
}`)}`; // prettier-ignore

/** Sums are in f32, whatever the operands are. */
function codeOf(tile: Tile, size: number, dtype: Float): string {
  const { lanes, rows, columns, depth } = tile;
  const quads = columns / 4;
  const [tileRows, tileQuads] = [lanes * rows, lanes * quads];
  const width = size / 4; // of a row, in vectors
  // Lanes beside each other take vectors beside each other.
  const quad = (q: number): string => `quad + ${q * lanes}u`;
  const loop =
    depth === 0
      ? `
  if (row >= ${size}u || quad >= ${width}u) { return; }
  for (var k = 0u; k < ${width}u; k++) {
    ${multiply(
      tile,
      (r) => `a[(row + ${r}u) * ${width}u + k]`,
      (k, q) => `b[(4u * k + ${k}u) * ${width}u + ${quad(q)}]`,
    )}
  }`
      : `
  for (var k = 0u; k < ${size}u; k += ${depth}u) {
    for (var i = lane; i < ${(tileRows * depth) / 4}u; i += ${lanes * lanes}u) {
      left[i] = a[(group.y * ${tileRows}u + i / ${depth / 4}u) * ${width}u + k / 4u + i % ${depth / 4}u];
    }
    for (var i = lane; i < ${depth * tileQuads}u; i += ${lanes * lanes}u) {
      right[i] = b[(k + i / ${tileQuads}u) * ${width}u + group.x * ${tileQuads}u + i % ${tileQuads}u];
    }
    workgroupBarrier();
    for (var j = 0u; j < ${depth / 4}u; j++) {
      ${multiply(
        tile,
        (r) => `left[(at.y * ${rows}u + ${r}u) * ${depth / 4}u + j]`,
        (k, q) => `right[(4u * j + ${k}u) * ${tileQuads}u + at.x + ${q * lanes}u]`,
      )}
    }
    workgroupBarrier();
  }`;
  return `${dtype === "f16" ? "enable f16;" : ""}
@group(0) @binding(0) var<storage, read> a: array<vec4<${dtype}>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<${dtype}>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<${dtype}>>;
${
  depth === 0
    ? ""
    : `var<workgroup> left: array<vec4<${dtype}>, ${(tileRows * depth) / 4}>;
var<workgroup> right: array<vec4<${dtype}>, ${depth * tileQuads}>;`
}
@compute @workgroup_size(${lanes}, ${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * ${tileRows}u + at.y * ${rows}u;
  let quad = group.x * ${tileQuads}u + at.x;
  ${lines(rows, (r) => lines(quads, (q) => `var c${r}_${q} = vec4f();`))}
  ${loop}
  ${lines(rows, (r) => lines(quads, (q) => `c[(row + ${r}u) * ${width}u + ${quad(q)}] = vec4<${dtype}>(c${r}_${q});`))}
}`;
}

/** Whether a tile divides the matrices and the adapter can hold it. */
function fits({ lanes, rows, columns, depth }: Tile, size: number, dtype: Float, { limits }: Gpu): boolean {
  const bytes = lanes * (rows + columns) * depth * (dtype === "f16" ? 2 : 4);
  return (
    lanes * lanes <= limits.maxComputeInvocationsPerWorkgroup &&
    bytes <= limits.maxComputeWorkgroupStorageSize &&
    size % (lanes * rows) === 0 &&
    size % (lanes * columns) === 0 &&
    (depth === 0 || size % depth === 0)
  );
}

export interface BareProduct extends BareKernel {
  /** Which kernel was the quickest. */
  readonly note: string;
  /** The product as it is stored: f16 as bits. */
  product(): Promise<{ readonly dtype: Float; readonly data: Float32Array | Uint16Array }>;
}

/** A kernel that may be the quickest. */
interface Attempt {
  readonly code: string;
  readonly groups: readonly [x: number, y?: number];
  /** Of what it stores. */
  readonly result: Float;
  readonly note: string;
}

/** The kernels whose tiles divide the matrices and that the adapter can hold. */
function attemptsAt(gpu: Gpu, size: number, dtype: Float): readonly Attempt[] {
  const tiled = TILES.filter((tile) => fits(tile, size, dtype, gpu)).map((tile): Attempt => {
    const { lanes, rows, columns, depth } = tile;
    const place = depth === 0 ? "operands from storage" : `${depth} deep in workgroup memory`;
    return {
      code: codeOf(tile, size, dtype),
      groups: [size / (lanes * columns), size / (lanes * rows)],
      result: dtype,
      note: `${rows}×${columns} entries a lane, ${lanes}×${lanes} lanes a workgroup, ${place}`,
    };
  });
  if (dtype !== "f16" || !fitsMatrix(size, gpu)) return tiled;
  const note = "matrix units, 128×128 a workgroup, 32 deep in workgroup memory, stored in f32";
  return [...tiled, { code: matrixCode(size), groups: [matrixGroups(size)], result: "f32", note }];
}

/**
 * The quickest of the kernels for a product.
 * @param a,b [size, size], as they are stored: f16 as bits
 * @throws Error when no tile divides the size, or the adapter refuses all that do
 */
export async function bareProduct(
  gpu: Gpu,
  size: number,
  dtype: Float,
  [a, b]:
    | readonly [a: Float32Array<ArrayBuffer>, b: Float32Array<ArrayBuffer>]
    | readonly [a: Uint16Array<ArrayBuffer>, b: Uint16Array<ArrayBuffer>],
): Promise<BareProduct> {
  let best: { readonly kernel: BareKernel; readonly attempt: Attempt; readonly ms: number } | undefined;
  let refused: unknown;
  const attempts = attemptsAt(gpu, size, dtype);
  const bytesOf = ({ result }: Attempt): number => size ** 2 * (result === "f16" ? 2 : 4);
  for (const attempt of attempts) {
    let kernel: BareKernel;
    try {
      kernel = await loadBareKernel(gpu, attempt.code, [a, b], bytesOf(attempt), attempt.groups);
    } catch (error) {
      refused ??= error;
      continue;
    }
    const ms = await leastMs(kernel);
    if (best === undefined || ms < best.ms) {
      best?.kernel.dispose();
      best = { kernel, attempt, ms };
    } else kernel.dispose();
  }
  if (best === undefined) throw refused ?? new Error(`No tile divides ${size} rows.`);
  const { kernel, attempt } = best;
  return {
    ...kernel,
    product: async () => {
      const bytes = await kernel.read(bytesOf(attempt));
      const data = attempt.result === "f16" ? new Uint16Array(bytes) : new Float32Array(bytes);
      return { dtype: attempt.result, data };
    },
    note: `${attempt.note}: the quickest of ${attempts.length}`,
  };
}

/** The least time of a few runs, after one to warm up. */
async function leastMs(kernel: BareKernel): Promise<number> {
  await kernel.run();
  let least = Infinity;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    await kernel.run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}
