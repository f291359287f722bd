/**
 * Schedules: times of their own for every token. A schedule says where each position of a text stands when the flow as a whole is at
 * time t, so that blocks follow each other (block-causal), or tokens appear in any order; `positioned` makes an interpolant of it.
 *
 * Consumed by flow() declarations. To add a schedule: a function of the language from times [batch] to [batch, length] that runs from 0
 * at t = 0 to 1 at t = 1 at every position and never falls. Rates come from differentiation.
 */
import { partsOf } from "./declared-parts.ts";
import {
  and,
  broadcastTo,
  cast,
  constant,
  div,
  expandDims,
  greater,
  greaterEqual,
  less,
  mul,
  sub,
  where,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Interpolant } from "./interpolant.ts";

/** Times of every token, [batch, length], when the flow is at t, [batch]. */
export type Schedule = (t: Tensor, length: number) => Tensor;

/**
 * The interpolant of texts of one length whose tokens have times of their own: I_t = α(r) x₀ + β(r) x₁ with r = schedule(t), [batch,
 * length]. Its coefficients, rates included, are [batch, length] for times [batch]; everything that is made of them (states, jumps,
 * conversions) is per token. At a token that stands still, before its start or after its end, the rates are 0.
 *
 * @throws RangeError when a schedule does not give [batch, length], or times are not [batch], as the interpolant is used
 */
export function positioned(
  base: Interpolant,
  schedule: Schedule,
  { length }: { readonly length: number },
): Interpolant {
  if (!(Number.isSafeInteger(length) && length > 0))
    throw new RangeError(
      `A positioned interpolant is for texts of one length, a whole number, got ${length}.`,
    );
  const name = `${base.name}, by position`;
  const at = (t: Tensor): Tensor => {
    if (t.shape.length !== 1)
      throw new RangeError(
        `The interpolant "${name}" takes a time for every row, [batch], got [${t.shape.join(",")}].`,
      );
    const times = schedule(t, length);
    const [rows, tokens] = times.shape;
    if (times.shape.length !== 2 || rows !== t.shape[0] || tokens !== length)
      throw new RangeError(
        `The schedule of "${name}" must give times [batch, length] = [${String(t.shape[0])},${length}], and gives [${times.shape.join(",")}].`,
      );
    return times;
  };
  /** A coefficient of base at a token's own time. A token that is finished before t = 1 stands still, also where base's rate is infinite. */
  const own =
    (of: (t: Tensor) => Tensor, last: number) =>
    (t: Tensor): Tensor => {
      const times = at(t);
      const finished = and(greaterEqual(times, 1), expandDims(less(t, 1) as Tensor, 1) as never);
      return where(finished, last, of(where(finished, INSIDE, times) as Tensor)) as Tensor;
    };
  return { name, length, alpha: own(base.alpha, 0), beta: own(base.beta, 1) };
}

/** A time at which every interpolant has finite rates. */
const INSIDE = 0.5;

/** How ramps of several groups are laid out on [0, 1]. */
export interface Ramps {
  /** Share of its own time that a group has in common with the next: 0 one after the other, 1 all at once. 0 by default. */
  readonly overlap?: number;
}

/**
 * Blocks from left to right: block b of B runs from b d (1 − o) over a duration d = 1/(1 + (B − 1)(1 − o)) with the overlap o. Blocks
 * are as even as the length allows.
 * @throws RangeError for a number of blocks that is not whole, or larger than the length, or an overlap outside [0, 1]
 */
export function blockCausal(options: Ramps & { readonly blocks: number }): Schedule {
  const { blocks, overlap = 0 } = partsOf("A block-causal schedule", options, ["blocks", "overlap"]);
  checkBlocks("block-causal", blocks, overlap);
  return (t, length) => {
    checkLength("block-causal", blocks, length);
    const block = Array.from({ length }, (_, position) => Math.floor((position * blocks) / length));
    return ramps(t, constant(block, [1, length]), blocks, overlap);
  };
}

/**
 * Tokens in any order, which is data: `rank` is the place of each position in the order, from 0, an integer tensor [length], or
 * [batch, length] for an order of its own in each row. Tokens appear one by one, or where there are fewer `blocks`, that many at a time.
 * @throws RangeError as blockCausal does, and for ranks of another length
 */
export function anyOrder(options: Ramps & { readonly rank: Tensor; readonly blocks?: number }): Schedule {
  const {
    rank,
    blocks,
    overlap = 0,
  } = partsOf("An any-order schedule", options, ["rank", "blocks", "overlap"]);
  if (blocks !== undefined) checkBlocks("any-order", blocks, overlap);
  return (t, length) => {
    const groups = blocks ?? length;
    checkBlocks("any-order", groups, overlap);
    checkLength("any-order", groups, length);
    if (rank.shape.at(-1) !== length)
      throw new RangeError(
        `The any-order schedule has ranks [${rank.shape.join(",")}] for a text of ${length} tokens.`,
      );
    const place = rank.shape.length === 1 ? expandDims(rank, 0) : rank;
    // In integers, so that no place rounds into its neighbour's group.
    const group = div(mul(cast(place, "i32"), groups), length);
    return ramps(t, cast(group, "f32"), groups, overlap);
  };
}

/** How near to its end a token is finished: more than the rounding of times. */
const NEARLY = 1e-4;

/**
 * A schedule by which tokens change at once, when the other has finished them: until then they are noise and nothing else, as in masked
 * diffusion. From a point mass there is no other way to have tokens of which nothing is known.
 */
export const atOnce =
  (schedule: Schedule): Schedule =>
  (t, length) =>
    cast(greater(schedule(t, length), 1 - NEARLY), "f32") as Tensor;

function checkBlocks(name: string, blocks: number, overlap: number): void {
  if (!(Number.isSafeInteger(blocks) && blocks > 0))
    throw new RangeError(`The ${name} schedule has a whole number of blocks, got ${blocks}.`);
  if (!(overlap >= 0 && overlap <= 1))
    throw new RangeError(`The overlap of the ${name} schedule is a share in [0, 1], got ${overlap}.`);
}

function checkLength(name: string, blocks: number, length: number): void {
  if (blocks > length)
    throw new RangeError(
      `The ${name} schedule has ${blocks} blocks, more than the ${length} tokens of a text.`,
    );
}

/** Times [batch, length] of groups [1 or batch, length] that rise one after another. */
function ramps(t: Tensor, group: Tensor, groups: number, overlap: number): Tensor {
  const duration = 1 / (1 + (groups - 1) * (1 - overlap));
  const stride = duration * (1 - overlap);
  const now: Tensor = expandDims(t, 1);
  const run: Tensor = div(sub(now, mul(group, stride)), duration);
  // The end from 1, which the last group reaches exactly.
  const after: Tensor = mul(sub(groups - 1, group), stride);
  const left: Tensor = div(sub(sub(1, after), now), duration);
  // From whichever end is near: there a time is exact.
  const ramp: Tensor = where(less(run, 0.5), run, sub(1, left)) as Tensor;
  const size = [t.shape[0] ?? 1, group.shape[1] ?? 1];
  // Not by minimum and maximum, whose derivative at the very ends is half of the ramp's: the first group moves at t = 0.
  const begun: Tensor = where(less(ramp, 0), 0, ramp) as Tensor;
  return broadcastTo(where(greater(begun, 1), 1, begun) as Tensor, size);
}
