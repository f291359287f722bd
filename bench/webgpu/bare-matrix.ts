/**
 * A square product of f16 on matrix units, as bare WGSL for this one size: the kernel that had 244 TFLOP/s for 4096 on an NVIDIA H200, timed
 * by the card's own clock over dispatches without anything between them. Workgroups of four subgroups have 128 × 128 of the result, 32 of
 * the inner axis in workgroup memory at a time; sums are stored as they are, in f32.
 *
 * Consumed by bare-matmul.ts.
 */
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";

const LANES = 128;
/** Sides of a workgroup's part of the result, of a subgroup's, and of a fragment. */
const [TILE, BLOCK, SIDE] = [128, 64, 16];
/** Of the inner axis. */
const DEPTH = 32;
/** Lines of workgroup memory are apart by so much more than they are long. */
const GAP = 8;
/** Rows of workgroups that are neighbours in the order of the dispatch. */
const BAND = 8;

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
const lines = (n: number, line: (i: number) => string): string => range(n).map(line).join("\n");

/** Whether the adapter has the fragments, and the size is a whole number of tiles. */
export const fitsMatrix = (size: number, { matrices, subgroups, limits }: Gpu): boolean =>
  size % (TILE * BAND) === 0 &&
  subgroups?.min === 32 &&
  subgroups.max === 32 &&
  2 * (TILE * (DEPTH + GAP) + DEPTH * (TILE + GAP)) <= limits.maxComputeWorkgroupStorageSize &&
  matrices.some(
    ({ rows, columns, inner, element, accumulator }) =>
      [rows, columns, inner].every((side) => side === SIDE) && element === "f16" && accumulator === "f32",
  );

export const matrixGroups = (size: number): number => (size / TILE) ** 2;

/** Quads of an operand that a lane brings at a time. */
const PIECES = (TILE * DEPTH) / 4 / LANES;

/** An operand's way to workgroup memory. @param length of its lines. @param from where element x of a line is in the operand */
function staged(name: "a" | "b", length: number, from: string): readonly [load: string, store: string] {
  const each = (text: (i: number) => string): string =>
    lines(PIECES, (i) => {
      const quad = `(lane + ${i * LANES}u)`;
      return `{ let line = ${quad} / ${length / 4}u; let x = ${quad} % ${length / 4}u * 4u; ${text(i)} }`;
    });
  const number = (i: number, c: number): string => `${name}_lines[at + ${c}u] = ${name}${i}[${c}];`;
  return [
    each((i) => `${name}${i} = ${name}[(${from}) / 4u];`),
    each((i) => `let at = line * ${length + GAP}u + x; ${[0, 1, 2, 3].map((c) => number(i, c)).join(" ")}`),
  ];
}

/** @param size a multiple of 1024 */
export function matrixCode(size: number): string {
  const fragments = BLOCK / SIDE;
  const [loadA, storeA] = staged("a", DEPTH, `(row0 + line) * ${size}u + k + x`);
  const [loadB, storeB] = staged("b", TILE, `(k + line) * ${size}u + column0 + x`);
  const [strideA, strideB] = [DEPTH + GAP, TILE + GAP];
  const left = (i: number, k: number): string =>
    `let l${i} = subgroupMatrixLoad<subgroup_matrix_left<f16, ${SIDE}, ${SIDE}>, row_major>(&a_lines, (row + ${i * SIDE}u) * ${strideA}u + ${k}u, ${strideA}u);`;
  const right = (j: number, k: number): string =>
    `let r${j} = subgroupMatrixLoad<subgroup_matrix_right<f16, ${SIDE}, ${SIDE}>, row_major>(&b_lines, column + ${k * strideB + j * SIDE}u, ${strideB}u);`;
  const multiply = (i: number, j: number): string =>
    `c${i}_${j} = subgroupMatrixMultiplyAccumulate(l${i}, r${j}, c${i}_${j});`;
  const step = (k: number): string => `{
    ${lines(fragments, (i) => left(i, k))}
    ${lines(fragments, (j) => `${right(j, k)}\n${lines(fragments, (i) => multiply(i, j))}`)}
  }`;
  const each = (text: (i: number, j: number) => string): string =>
    lines(fragments, (i) => lines(fragments, (j) => text(i, j)));
  return `enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
@group(0) @binding(0) var<storage, read> a: array<vec4<f16>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
var<workgroup> a_lines: array<f16, ${TILE * strideA}>;
var<workgroup> b_lines: array<f16, ${DEPTH * strideB}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32) {
  let within = group.x % ${(size / TILE) * BAND}u;
  let row0 = (group.x / ${(size / TILE) * BAND}u * ${BAND}u + within % ${BAND}u) * ${TILE}u;
  let column0 = within / ${BAND}u * ${TILE}u;
  let row = subgroup / 2u * ${BLOCK}u;
  let column = subgroup % 2u * ${BLOCK}u;
  ${lines(PIECES, (i) => `var a${i}: vec4<f16>; var b${i}: vec4<f16>;`)}
  ${each((i, j) => `var c${i}_${j} = subgroup_matrix_result<f32, ${SIDE}, ${SIDE}>();`)}
  for (var k = 0u; k < ${size}u; k += ${DEPTH}u) {
    ${loadA}
    ${loadB}
    ${storeA}
    ${storeB}
    workgroupBarrier();
    ${lines(DEPTH / SIDE, (n) => step(n * SIDE))}
    workgroupBarrier();
  }
  ${each((i, j) => `subgroupMatrixStore<row_major>(&c, (row0 + row + ${i * SIDE}u) * ${size}u + column0 + column + ${j * SIDE}u, c${i}_${j}, ${size}u);`)}
}`;
}
