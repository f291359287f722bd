/**
 * The matmul ladder: which rung computes a dot (`chooseDot`), and the kernels (`writeDot`, or `writeDotSlices` and `writeDotSum`).
 *
 * A dot whose sums are long and whose result is small is cut along k: one kernel leaves a partial sum for each slice, a second adds
 * them up in order and stores. That way the GPU is full, and the result does not depend on who finishes first.
 *
 * Consumed by the scheduler, and by `candidates.ts`, from which a tuner chooses otherwise. To add a rung: a member of `DotRung`, its
 * writer, a case below and in `chooseDot`. What `chooseDot` chooses takes at most 16 KiB of workgroup memory and within 256 lanes, which
 * every adapter has.
 */
import type { TensorType } from "../../../dsl/program/program.ts";
import { binary, index, literal, minus, modulo, over, plus, times } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { eachElement, workgroupsFor } from "../elements.ts";
import { writeDirect } from "./direct.ts";
import { writeGemv } from "./gemv.ts";
import { matrixBytes, matrixRungs, matrixTile, writeMatrix } from "./matrix.ts";
import { CHUNK } from "./problem.ts";
import type { DotJob, DotLayout, DotOperands, DotResults, DotRung, DotShape, DotStore } from "./problem.ts";
import { quadLanes, writeQuads } from "./quads.ts";
import { REGISTER_LANES, registerTile, writeRegisters } from "./registers.ts";
import { SUBGROUP_LANES, fillsSubgroups, subgroupsWide, writeSubgroups } from "./subgroups.ts";
import { tileLanes, writeTile } from "./tile.ts";

/** How a dot is launched. */
export interface DotConfig {
  readonly rung: DotRung;
  readonly lanes: number;
  readonly workgroups: number;
  /** Cut along k into so many slices of `chunk`; undefined: not cut. */
  readonly split: { readonly slices: number; readonly chunk: number } | undefined;
  /** Whether sizes are parameters of the kernel, which is for others too then, or in its text. */
  readonly sizes: "parameters" | "text";
}

const DIRECT_LANES = 64;
/** Lanes of the kernel that adds up slices. */
export const DOT_SUM_LANES = 64;
/** Products below which no lane is busy for long, however they are divided. */
const FEW_PRODUCTS = 2 ** 18;
/** So many lanes keep a GPU busy: on an NVIDIA H200, 500 for each of its multiprocessors. */
const ENOUGH_LANES = 2 ** 16;
/** So many workgroups keep a GPU busy, or the cores of a CPU. */
export const enoughWorkgroups = ({ software = false }: TargetLimits, lanes: number): number =>
  software ? 16 : Math.ceil(ENOUGH_LANES / lanes);
/** Slices of k are not shorter than this, so that summing them stays cheap. */
const SHORTEST_SLICE = 256;

/** The way to compute a dot of these extents. */
export function chooseDot(shape: DotShape, layout: DotLayout, limits: TargetLimits): DotConfig {
  const rung = chooseRung(shape, layout, limits);
  // A multiprocessor has registers for two tiles of matrix units.
  const enough = rung.kind === "matrix" ? 2 * FEW_PARTS.matrix : enoughWorkgroups(limits, lanesOf(rung));
  const wanted = rung.kind === "direct" ? 1 : Math.floor(enough / partsOf(shape, rung));
  return launchDot(shape, rung, Math.min(wanted, mostSlices(shape)));
}

/**
 * Dots of so many products have their sizes in the text. With them as parameters, the same kernels of f16 took 11 % (NN), 12 % (NT) and 20 %
 * (TN) longer on an NVIDIA H200: a driver that knows strides makes constants of the distances of loads. The price is a pipeline for each
 * size, some tenths of a second. From here on a run takes that card 0.15 ms at best, and 0.8 ms in f32, so a pipeline pays in a training of
 * minutes; and a model has few dots of this size.
 */
const MANY_PRODUCTS = 2 ** 34;

/** Where sizes are. Rungs that hide the length of loops from drivers, which would write them out, keep parameters. */
const sizesOf = ({ batch, rows, columns, inner }: DotShape, { kind }: DotRung): DotConfig["sizes"] =>
  (kind === "matrix" || kind === "quads") && batch * rows * columns * inner >= MANY_PRODUCTS
    ? "text"
    : "parameters";

/** A dot on this rung, cut along k into about so many slices. */
export function launchDot(shape: DotShape, rung: DotRung, wanted: number): DotConfig {
  const [lanes, parts] = [lanesOf(rung), partsOf(shape, rung)];
  const sizes = sizesOf(shape, rung);
  if (wanted < 2) return { rung, lanes, workgroups: parts, split: undefined, sizes };
  const chunk = Math.ceil(shape.inner / wanted / CHUNK) * CHUNK;
  const slices = Math.ceil(shape.inner / chunk);
  return { rung, lanes, workgroups: parts * slices, split: { slices, chunk }, sizes };
}

/** Slices of k that are not too short. */
export const mostSlices = ({ inner }: DotShape): number => Math.max(1, Math.floor(inner / SHORTEST_SLICE));

function chooseRung(shape: DotShape, layout: DotLayout, limits: TargetLimits): DotRung {
  const { batch, rows, columns, inner } = shape;
  const products = batch * rows * columns * inner;
  if (inner <= 8 || (products <= FEW_PRODUCTS && inner <= 256)) return { kind: "direct" };
  const short = Math.min(rows, columns);
  if (short <= 8) {
    const of = rows <= columns ? "rows" : "columns";
    const along = of === "rows" ? layout.right : layout.left;
    const few = 2 ** Math.ceil(Math.log2(short));
    if (handsAround(limits) && Math.max(rows, columns) >= SUBGROUP_LANES)
      return { kind: "subgroups", few, of, along: "wide" };
    // Lanes that share a sum are the more, the fewer sums each has.
    const shared = few <= 2 ? 4 : 1;
    const wide = Math.max(rows, columns);
    if (wide <= 2) return { kind: "gemv", few, of, kLanes: 256 / few, wideLanes: 1, fast: "k" };
    return along === "k"
      ? { kind: "gemv", few, of, kLanes: 16 * shared, wideLanes: 4, fast: "k" }
      : { kind: "gemv", few, of, kLanes: 8 * shared, wideLanes: 8, fast: "wide" };
  }
  const matrix = matrixFor(shape, layout, limits);
  if (matrix !== undefined) return matrix;
  // Large tiles do half the loads, if there are enough of them and most of each is used.
  const enough = limits.software === true ? FEW_PARTS.software : FEW_PARTS.hardware;
  const large = suits(shape, LARGE, { rows: LARGE.tile, columns: LARGE.tile }, enough);
  // Without workgroup memory lanes compute the same element again and again, if it is not there yet.
  if (limits.software === true && layout.computed !== true) return large ? LARGE_REGISTERS : SMALL_REGISTERS;
  if (limits.software === true) return large ? LARGE : SMALL;
  if (!large) return SMALL_QUADS;
  // Tiles of 128 do half the loads once more, where each multiprocessor has many of them.
  return partsOf(shape, HUGE_QUADS) >= MANY_PARTS ? HUGE_QUADS : LARGE_QUADS;
}

/** So many large tiles, cut along k, are better than more small ones. */
const FEW_PARTS = { software: 8, hardware: 256, matrix: 128 };
/** So many tiles of 128 are better than more of 64. */
const MANY_PARTS = 512;

/** Whether there are enough tiles, cut along k, and most of each is used. */
function suits(
  shape: DotShape,
  rung: DotRung,
  tile: { readonly rows: number; readonly columns: number },
  enough: number,
): boolean {
  const parts = partsOf(shape, rung);
  const used = (shape.batch * shape.rows * shape.columns) / (parts * tile.rows * tile.columns);
  return parts * mostSlices(shape) >= enough && used > 0.6;
}

/**
 * The rung of matrix units for this dot, if the target has the ones that were measured, an NVIDIA H200's: there they are several times as
 * fast as lanes. Others are left to the tuner.
 */
function matrixFor(shape: DotShape, layout: DotLayout, limits: TargetLimits): DotRung | undefined {
  if (limits.software === true || limits.f16 !== true) return undefined;
  if (layout.dtype !== "f16" || layout.computed === true) return undefined;
  return matrixRungs(limits, shape.inner).find((rung) => {
    const { rows, columns, inner, element, accumulator } = rung.shape;
    const measured =
      [rows, columns, inner].every((side) => side === 16) &&
      element === "f16" &&
      accumulator === "f32" &&
      rung.lanes === 32 * rung.subgroups &&
      rung.ahead !== true &&
      rung.spare !== true;
    return (
      measured &&
      matrixBytes(rung) <= limits.sharedBytes &&
      suits(shape, rung, matrixTile(rung), FEW_PARTS.matrix)
    );
  });
}

/** On an NVIDIA H200 it does not matter to it how lines lie in memory; with 16 deep, it is faster for some and half as fast for others. */
export const LARGE_QUADS = { kind: "quads", tile: 64, depth: 8, each: [8, 8] } as const satisfies DotRung;
export const HUGE_QUADS = { kind: "quads", tile: 128, depth: 8, each: [8, 16] } as const satisfies DotRung;
export const SMALL_QUADS = { kind: "quads", tile: 32, depth: 16, each: [4, 4] } as const satisfies DotRung;

export const LARGE = { kind: "tile", tile: 64, depth: 16, each: 8, unroll: 2 } as const satisfies DotRung;
export const SMALL = { kind: "tile", tile: 32, depth: 16, each: 4, unroll: 4 } as const satisfies DotRung;

/**
 * Whether lanes had better hand values around than load them each: measured on software adapters, 1.3 to 4 times as fast. Not known
 * of others, where the tuner tries it.
 */
const handsAround = (limits: TargetLimits): boolean => limits.software === true && fillsSubgroups(limits);

/** Tiles of the same sizes without workgroup memory. */
export const LARGE_REGISTERS = { kind: "registers", each: 8 } as const satisfies DotRung;
export const SMALL_REGISTERS = { kind: "registers", each: 4 } as const satisfies DotRung;

export function lanesOf(rung: DotRung): number {
  switch (rung.kind) {
    case "direct":
      return DIRECT_LANES;
    case "gemv":
      return rung.kLanes * rung.wideLanes;
    case "subgroups":
      return SUBGROUP_LANES;
    case "registers":
      return REGISTER_LANES;
    case "tile":
      return tileLanes(rung);
    case "quads":
      return quadLanes(rung);
    case "matrix":
      return rung.lanes;
  }
}

/** Workgroups of a dot that is not cut along k. */
export function partsOf({ batch, rows, columns }: DotShape, rung: DotRung): number {
  switch (rung.kind) {
    case "direct":
      return workgroupsFor(batch * rows * columns, DIRECT_LANES);
    case "gemv": {
      const [short, wide] = rung.of === "rows" ? [rows, columns] : [columns, rows];
      return batch * Math.ceil(short / rung.few) * Math.ceil(wide / rung.wideLanes);
    }
    case "subgroups": {
      const [short, wide] = rung.of === "rows" ? [rows, columns] : [columns, rows];
      return batch * Math.ceil(short / rung.few) * Math.ceil(wide / subgroupsWide(rung));
    }
    case "registers":
    case "quads":
    case "tile": {
      const side = rung.kind === "registers" ? registerTile(rung) : rung.tile;
      return batch * Math.ceil(rows / side) * Math.ceil(columns / side);
    }
    case "matrix": {
      const tile = matrixTile(rung);
      return batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
    }
  }
}

function writeRung(builder: KernelBuilder, job: DotJob, rung: DotRung): void {
  switch (rung.kind) {
    case "direct":
      return writeDirect(builder, job, DIRECT_LANES);
    case "gemv":
      return writeGemv(builder, job, rung);
    case "subgroups":
      return writeSubgroups(builder, job, rung);
    case "registers":
      return writeRegisters(builder, job, rung);
    case "tile":
      return writeTile(builder, job, rung);
    case "quads":
      return writeQuads(builder, job, rung);
    case "matrix":
      return writeMatrix(builder, job, rung);
  }
}

/** Writes the kernel of a dot that is not cut along k. */
export function writeDot(
  builder: KernelBuilder,
  extents: DotShape<Expr>,
  layout: DotLayout,
  operands: DotOperands,
  { store, storeQuad }: DotResults,
  { rung }: DotConfig,
): void {
  const job: DotJob = {
    extents,
    layout,
    operands,
    slices: undefined,
    store: (_slice, batch, row, column, value) => store(batch, row, column, value),
    storeQuad,
  };
  writeRung(builder, job, rung);
}

/** Where the slices of a dot leave their sums: a buffer of the kernel. */
export interface DotSlices {
  readonly buffer: number;
  /** Length of a slice along k. */
  readonly chunk: Expr;
}

/** Type of the buffer between the two kernels. */
export const slicesType = ({ batch, rows, columns }: DotShape, slices: number): TensorType => ({
  shape: [slices, batch, rows, columns],
  dtype: "f32",
});

const countOf = (inner: Expr, chunk: Expr): Expr => over(plus(inner, minus(chunk, index(1))), chunk);

/** Writes the first kernel of a dot that is cut along k. */
export function writeDotSlices(
  builder: KernelBuilder,
  extents: DotShape<Expr>,
  layout: DotLayout,
  operands: DotOperands,
  { buffer, chunk }: DotSlices,
  { rung }: DotConfig,
): void {
  const { batch, rows, columns, inner } = extents;
  const count = builder.let(countOf(inner, chunk));
  const store: DotJob["store"] = (slice, b, row, column, value) => {
    const line = plus(times(plus(times(slice, batch), b), rows), row);
    builder.emit({ kind: "store", buffer, at: plus(times(line, columns), column), value });
  };
  writeRung(builder, { extents, layout, operands, slices: { count, chunk }, store }, rung);
}

/** Writes the second kernel: `workgroupsFor(elements, DOT_SUM_LANES)` workgroups of `DOT_SUM_LANES` lanes. */
export function writeDotSum(
  builder: KernelBuilder,
  { batch, rows, columns, inner }: DotShape<Expr>,
  { buffer, chunk }: DotSlices,
  store: DotStore,
): void {
  const total = builder.let(times(times(batch, rows), columns));
  const count = builder.let(countOf(inner, chunk));
  eachElement(builder, DOT_SUM_LANES, total, (element) => {
    const sum = builder.variable(literal("f32", 0), "sum");
    builder.for(index(0), count, index(1), (slice) => {
      const at = plus(times(slice, total), element);
      builder.assign(sum, binary("add", sum, { kind: "load", type: "f32", buffer, at }));
    });
    const rest = builder.let(over(element, columns));
    const column = builder.let(modulo(element, columns));
    store(builder.let(over(rest, rows)), builder.let(modulo(rest, rows)), column, sum);
  });
}
