/**
 * When attention has kernels of its own, and which tile each of them gets. Consumed by the scheduler and by attention.ts.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import { MINIMUM_LIMITS } from "../../kernel/plan.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { attentionShape } from "./attention-problem.ts";
import type { AttentionShape } from "./attention-problem.ts";
import { quadBytes, quadLanes, sharesColumns } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";
import {
  blocksOf,
  columnsOfLane,
  heldRows,
  lanesOf,
  memoryOf,
  passingRows,
  wordsOf,
} from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";

/**
 * Below these numbers attention is written out. Of fewer queries the scores are small next to k, and kernels for products and rows
 * spread long rows of keys over the device. Of fewer pairs most lanes of a block have no row: on software adapters, 256 problems of
 * 8 × 8 pairs take 0.7 to 1.5 times as long written out, of 12 × 12 more than twice, of 4 × 4 a quarter.
 */
const FEWEST_QUERIES = 4;
const FEWEST_PAIRS = 128;

/**
 * On a CPU what is staged in workgroup memory was as near before. So from this many rows on attention is written out there, as products that
 * the ladder has tiles for, while its scores are few enough to store. On Mesa's adapter forward and backward then take 0.38 of the time at
 * 64 rows and 0.32 at 128 and at 256, the tangent 0.80 and 0.66; at 32 rows a fifth more.
 */
const MOST_ROWS_ON_CPU = 32;
const MOST_SCORES_ON_CPU = 2 ** 24;

/** Whether attention, its tangent and its transpose on operands of these types have kernels that store no scores. */
export function usesFlash(types: readonly TensorType[], limits: TargetLimits): boolean {
  const { batch, queries, keys } = attentionShape(types);
  const storesOnCpu =
    limits.software === true &&
    Math.max(queries, keys) > MOST_ROWS_ON_CPU &&
    batch * queries * keys <= MOST_SCORES_ON_CPU;
  return (
    !storesOnCpu &&
    types.every(({ shape }) => sizeOf(shape) > 0) &&
    queries >= FEWEST_QUERIES &&
    queries * keys >= FEWEST_PAIRS &&
    limits.buffers >= MINIMUM_LIMITS.buffers &&
    limits.lanes >= MOST_LANES &&
    limits.sharedBytes >= MOST_BYTES
  );
}

/** What tiles keep to. More workgroup memory, where there is more, would leave room for fewer workgroups at a time. */
const MOST_BYTES = MINIMUM_LIMITS.sharedBytes;
const MOST_LANES = 128;
/** Lanes that a device runs in step. */
const FEWEST_LANES = 32;
/** Registers of a lane for its accumulators. More take compilers seconds. */
const MOST_SUMS = 64;
/** Columns of an accumulator that one workgroup has. */
const MOST_COLUMNS = 128;
/** What a barrier takes, in loads of a lane. */
const BARRIER = 8;

/** The tile that fits and loads the fewest words: that is where the time goes, since a word that is loaded serves few products. */
export function chooseTile(demand: FlashDemand): FlashTile {
  let [best, fewest]: [FlashTile | undefined, number] = [undefined, Infinity];
  for (const tile of candidates(demand)) {
    const loads = loadsOf(tile, demand);
    if (loads < fewest && wordsOf(memoryOf(tile, demand)) * 4 <= MOST_BYTES) [best, fewest] = [tile, loads];
  }
  if (best === undefined) throw new Error("no tile of attention fits"); // those of one row per lane do, whatever the columns
  return best;
}

function* candidates({ accumulators }: FlashDemand): Generator<FlashTile> {
  const widest = Math.min(MOST_COLUMNS, Math.max(...accumulators));
  for (const down of [1, 2, 4, 8])
    for (let across = FEWEST_LANES / down; across <= Math.max(FEWEST_LANES / down, 16); across *= 2)
      for (const held of [1, 2, 4])
        for (const passing of [1, 2, 4])
          for (const chunk of [32, 16, 8]) {
            const tile = { across, down, held, passing, columns: Math.ceil(widest / across), chunk };
            const sums = accumulators.reduce((sum, columns) => sum + columnsOfLane(tile, columns), 0);
            if (held * sums <= MOST_SUMS) yield tile;
          }
}

/** Words that all lanes together load in the kernel, from buffers or from workgroup memory; for comparison only. */
function loadsOf(tile: FlashTile, demand: FlashDemand): number {
  const { sides, weights, combines } = demand;
  const [held, passing] = [heldRows(tile), passingRows(tile)];
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
  const depth = sides * sum(demand.depths);
  const values = sum(demand.values.map((columns) => columnsOfLane(tile, columns)));
  const staged = depth * (held + passing) + passing * values * tile.across;
  const ofLane =
    depth * (tile.held + tile.passing) +
    passing * (weights * tile.held + values) +
    (combines ? tile.held * tile.across : 0) +
    BARRIER * sum(demand.depths.map((columns) => Math.ceil(columns / tile.chunk)));
  const steps = blocksOf(tile, demand, 1) * Math.ceil(demand.passing / passing);
  // What is staged is also stored.
  return steps * (2 * staged + lanesOf(tile) * ofLane);
}

/** The most rows, of each kind, in a block that has all of them. */
const MOST_IN_BLOCK = 32;

/** The tile of a block that has all rows of both kinds; undefined where there are too many. */
export function chooseBlock(demand: FlashDemand): FlashTile | undefined {
  const { held, passing, restaged = 0 } = demand;
  if (Math.max(held, passing) > MOST_IN_BLOCK) return undefined;
  const down = 8;
  const across = passing <= 16 ? 4 : 8;
  return {
    across,
    down,
    held: powerAbove(held / down),
    // Rows of the results for passing rows are shared like held rows, by `down` lanes.
    passing: powerAbove(Math.max(passing, down)) / across,
    columns: Math.min(32 / across, Math.ceil(restaged / across)),
    chunk: 16,
  };
}

/** The least power of two that is at least x, and at least 1. */
const powerAbove = (x: number): number => 2 ** Math.max(0, Math.ceil(Math.log2(x)));

/** Rows of each kind from which on there are tiles of quads: fewer fill half of one, and a block has them all. */
const FEWEST_FOR_QUADS = MOST_IN_BLOCK + 1;

/**
 * Measured with kernels written by hand, at 48 problems of 1024 rows and 384 of 128, of 64 columns, on an NVIDIA H200: of twelve tiles of
 * 32 to 128 rows by 32 to 128, this one is within 8 % of the fastest in each pass but the tangent, which was not measured. Lanes of 8 × 8
 * load half the words for each product, but so few are at work at a time that they take 27 % to 61 % longer.
 */
const QUAD_TILE: QuadTile = { across: 8, down: 16, held: 4, passing: 4, part: 16 };

/** The tile of quads, for each pass; undefined where tiles of {@link chooseTile} have to do. */
export function chooseQuads(shape: AttentionShape, limits: TargetLimits): QuadTile | undefined {
  const { queries, keys, depth, width } = shape;
  const serves =
    limits.software !== true &&
    Math.min(queries, keys) >= FEWEST_FOR_QUADS &&
    Math.max(depth, width) <= MOST_COLUMNS &&
    sharesColumns(QUAD_TILE, shape) &&
    quadLanes(QUAD_TILE) <= limits.lanes &&
    quadBytes(QUAD_TILE, Math.max(depth, width)) <= limits.sharedBytes;
  return serves ? QUAD_TILE : undefined;
}
