/**
 * Which tile a kernel of attention gets, and when attention has kernels of its own at all. Consumed by attention.ts and the scheduler.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { OpKind, TensorType } from "../../../dsl/program/program.ts";
import type { TargetLimits } from "../../kernel/plan.ts";
import { columnsOfLane, memoryOf, wordsOf } from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";

export type AttentionOp = Extract<OpKind, "attention" | "attentionTangent" | "attentionTranspose">;
export const OVERRIDE: { off?: boolean; tile?: Partial<FlashTile>; noBlock?: boolean } = {};

/** Whether attention on operands of these types has kernels; otherwise it is written out. */
export const usesFlash = (_op: AttentionOp, types: readonly TensorType[], _limits: TargetLimits): boolean =>
  !OVERRIDE.off && types.every(({ shape }) => sizeOf(shape) > 0);

/** Registers for accumulators of a lane: more take long to compile, and may not fit. */
const MOST_SUMS = 32;
/** Lanes that every device runs in step. */
const FEWEST_LANES = 32;
const MOST_BYTES = 16384;
/** Columns of an accumulator that one workgroup has. */
const MOST_COLUMNS = 128;

/** The least power of two that is at least x, between bounds that are powers of two. */
const power = (x: number, least: number, most: number): number => {
  let result = least;
  while (result < x && result < most) result *= 2;
  return result;
};

/**
 * As many held rows and columns for each lane as registers allow, since a word that a lane loads from workgroup memory serves that many
 * products; fewer where there are not so many rows, or where workgroup memory would not do.
 */
export function chooseTile(demand: FlashDemand, limits: TargetLimits): FlashTile {
  const words = Math.min(limits.sharedBytes, MOST_BYTES) / 4;
  for (const tile of candidates(demand)) {
    const chosen = { ...tile, ...OVERRIDE.tile };
    if (wordsOf(memoryOf(chosen, demand)) <= words) return chosen;
  }
  throw new Error(`no tile of attention fits ${limits.sharedBytes} bytes of workgroup memory`);
}

/** Tiles, the best first. */
function* candidates(demand: FlashDemand): Generator<FlashTile> {
  const { accumulators } = demand;
  const total = accumulators.reduce((sum, columns) => sum + columns, 0);
  const widest = Math.min(MOST_COLUMNS, Math.max(...accumulators));
  for (let down = power(demand.held, 1, 8); down <= 8; down *= 2)
    for (let held = power(demand.held / down, 1, 4); held >= 1; held /= 2) {
      const fewest = FEWEST_LANES / down;
      for (let across = power(total / 8, fewest, Math.max(fewest, 16)); across >= fewest; across /= 2)
        for (const chunk of [32, 16, 8])
          for (let passing = power(demand.passing / across, 1, 4); passing >= 1; passing /= 2) {
            const tile = { across, down, held, passing, columns: Math.ceil(widest / across), chunk };
            const sums = accumulators.reduce((sum, columns) => sum + columnsOfLane(tile, columns), 0);
            if (held === 1 || held * sums <= MOST_SUMS) yield tile;
          }
    }
}

/** The tile of a block that has all rows, or undefined where it does not fit. */
export function chooseBlock(
  demand: FlashDemand,
  limits: TargetLimits,
  mostRows: number,
): FlashTile | undefined {
  const { held, passing, restaged = 0 } = demand;
  if (OVERRIDE.noBlock || Math.max(held, passing) > mostRows) return undefined;
  const down = 8;
  const across = power(passing / 4, 4, 8);
  const tile: FlashTile = {
    across,
    down,
    held: power(held / down, 1, mostRows / down),
    passing: power(passing, down, mostRows) / across,
    columns: Math.min(32 / across, Math.ceil(restaged / across)),
    chunk: 16,
  };
  return wordsOf(memoryOf(tile, demand)) * 4 <= limits.sharedBytes ? tile : undefined;
}
