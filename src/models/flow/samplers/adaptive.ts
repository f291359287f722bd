/**
 * Jumps whose lengths are chosen on the way, by the semigroup residual: where one jump and two half jumps arrive at different states, the
 * step is halved; where they agree well, the next is twice as long. No randomness is in it, and every sample chooses for itself, so a
 * sample is the same whatever else is in the batch.
 *
 * Steps are cells of dyadic grids that are even on the clock, so that their times are tables of the host. Consumed by sampling; with a
 * denoiser of one time, held over the jumps, this is the exponential integrator with its step chosen by doubling.
 */
import { add, and, cast, constant, div, equal, expandDims, full, gather, less, lessEqual, maximum, mean, min, minimum, mul, not, or, rem, sqrt, square, sub, sum, where, whileLoop } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import { pointAt } from "../interpolant.ts";
import { jump, moved } from "../jump.ts";
import { arrive } from "../two-time.ts";
import type { Time } from "../two-time.ts";
import { given } from "./given.ts";
import type { SampleInputs, Samples } from "./sample.ts";
import { tokensOf } from "./sampled-denoiser.ts";
import type { SampledDenoiser } from "./sampled-denoiser.ts";
import { evenTimes, requireNoise } from "./schedule.ts";
import type { Course, HostTime } from "./schedule.ts";
import { foldedKeys } from "./world.ts";

export interface AdaptiveOptions {
  /** Largest distance of the two states that is let pass: the root of the mean over tokens of their squared distance. */
  readonly tolerance: number;
  /** The shortest steps, in powers of two: no step is shorter than 2^−shortest of the clock. 6 by default. */
  readonly shortest?: number;
  /** The longest, likewise; 0, the whole way, by default. */
  readonly longest?: number;
}

/** What adaptive sampling also tells, each [batch] i32. */
export interface AdaptiveSamples extends Omit<Samples, "trajectory" | "watched"> {
  /** Steps that were taken. */
  readonly steps: Tensor;
  /** Steps that were tried, each by three calls of the denoiser. */
  readonly tried: Tensor;
}

/** Below this share of the tolerance the next step is twice as long: the residual of a step grows at least fourfold with it. */
const GOOD = 1 / 4;

interface Carry {
  readonly x: Tensor;
  readonly tokens: Tensor;
  /** Cell of the grid that a sample has reached, and cells of its next step. */
  readonly at: Tensor;
  readonly length: Tensor;
  readonly steps: Tensor;
  readonly tried: Tensor;
}

function check({ tolerance, shortest = 6, longest = 0 }: AdaptiveOptions) {
  if (!(tolerance > 0)) throw new RangeError(`Adaptive steps need a positive tolerance, got ${tolerance}.`);
  const whole = Number.isSafeInteger(shortest) && Number.isSafeInteger(longest);
  if (!(whole && longest >= 0 && longest <= shortest && shortest <= 16))
    throw new RangeError(
      `Adaptive steps are from 2^−shortest to 2^−longest of the way, whole numbers with 0 <= longest <= shortest <= 16; ` +
        `got longest ${longest} and shortest ${shortest}.`,
    );
  // A cell is half of the shortest step.
  return { tolerance, cells: 2 ** (shortest + 1), least: 2, most: 2 ** (shortest + 1 - longest) };
}

/**
 * Samples by jumps of chosen lengths; of every pair of half jumps that is let pass, or cannot be shorter, the end is kept.
 * Nothing is watched: how many steps there are is known at the end alone.
 * @throws RangeError for a tolerance that is not positive, bounds that are none, or a course that begins at a point mass
 */
export function sampleAdaptively(
  denoiser: SampledDenoiser,
  course: Course,
  options: AdaptiveOptions,
  { keys, world, priorScale = 1, given: tokens }: SampleInputs,
): AdaptiveSamples {
  const { tolerance, cells, least, most } = check(options);
  requireNoise(course, "Adaptive sampling");
  const { interpolant } = denoiser;
  const batch = keys.shape[0] ?? 0;
  const timeAt = timesOn(evenTimes(course, cells));
  const source = world.noise(foldedKeys(keys, 0));
  const prior = priorScale === 1 ? source : (mul(source, priorScale) as Tensor);
  const known = given(tokens, prior, world, interpolant);
  const go = (x: Tensor, s: Time, t: Time): Tensor => known.state(arrive(denoiser, x, s, t), t.t);

  const body = (carry: Carry): Carry => {
    const { at, length } = carry;
    const runs: Tensor = less(at, cells);
    // A sample that has arrived stays; for it the last step of its length is computed, and thrown away.
    const from: Tensor = minimum(at, sub(cells, length));
    const to: Tensor = add(from, length);
    const [s, u, t] = [timeAt(from), timeAt(add(from, div(length, 2))), timeAt(to)];
    const x = known.state(carry.x, s.t);
    const whole = go(x, s, t);
    const half = go(x, s, u);
    const second = denoiser.denoiser(half, u, t);
    const way = jump(pointAt(interpolant, u.t), pointAt(interpolant, t.t));
    const arrived = known.state(moved(half, denoiser.point(second), way), t.t);
    const apart: Tensor = sqrt(mean(sum(square(sub(whole, arrived)), 2), 1));
    const passes: Tensor = and(runs, or(lessEqual(apart, tolerance), lessEqual(length, least)));
    const twice: Tensor = minimum(mul(length, 2), most);
    // A longer step must be a cell of its own grid.
    const longer: Tensor = and(lessEqual(apart, tolerance * GOOD), equal(rem(to, twice), 0));
    const found = known.tokens(tokensOf(denoiser, second, half, u, t));
    const one = (condition: Tensor): Tensor => cast(condition, "i32");
    return {
      x: where(expandDims(expandDims(passes, 1), 2), arrived, carry.x),
      tokens: where(expandDims(passes, 1), found, carry.tokens),
      at: where(passes, to, at),
      length: where(
        passes,
        where(longer, twice, length) as Tensor,
        where(runs, maximum(div(length, 2), least) as Tensor, length),
      ),
      steps: add(carry.steps, one(passes)),
      tried: add(carry.tried, one(runs)),
    };
  };

  const column = (value: number): Tensor => full([batch], value, "i32");
  const {
    x,
    tokens: found,
    steps,
    tried,
  } = whileLoop(({ at }) => not(equal(min(at), cells)) as Tensor<[], "bool">, body, {
    x: prior,
    tokens: full([batch, prior.shape[1] ?? 0], 0, "i32") as Tensor,
    at: column(0),
    length: column(most),
    steps: column(0),
    tried: column(0),
  });
  return { state: x, tokens: found, steps, tried };
}

/** Times of cells [batch] i32 of a grid. */
function timesOn(grid: readonly HostTime[]): (cells: Tensor) => Time {
  const column = (pick: (time: HostTime) => number): Tensor => constant(grid.map(pick), [grid.length]);
  const [t, tau, rate] = [column((time) => time.t), column((time) => time.tau), column((time) => time.rate)];
  return (cells) => {
    const at = (table: Tensor): Tensor => gather(table, cells as Tensor<[], "i32">);
    return { t: at(t), tau: at(tau), rate: at(rate) };
  };
}
