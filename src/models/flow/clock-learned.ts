/**
 * Clocks from data: a smooth increasing curve through knots (t, τ), and where knots come from. Between knots it is a cubic of Fritsch and
 * Butland's slopes (PCHIP), which rises wherever the knots do; its inverse is exact, not another interpolation.
 *
 * Consumed by flow() and by users who have measured a network. To add a kind of measurement, turn it into knots.
 */
import { partsOf } from "./declared-parts.ts";
import { clockOf } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { solveIncreasing, TO_ROUNDING } from "./numerics.ts";

/** A cubic between every two neighbouring knots. */
interface Curve {
  readonly times: readonly number[];
  /** By how much τ rises from each knot to the next. */
  readonly rises: readonly number[];
  /** τ at knots, summed from the left: exact where τ is small. */
  readonly passed: readonly number[];
  /** 1 − τ at knots, summed from the right: exact where it is small. */
  readonly left: readonly number[];
  readonly slopes: readonly number[];
}

/**
 * The clock through knots: whatever grows from noise to data, scaled so that it runs from 0 to 1.
 *
 * @param options.times of the knots, increasing, from 0 to 1
 * @param options.values at the knots, increasing; only their differences matter
 * @throws RangeError unless there is one value for every time, and both increase; names the knot
 */
export function learnedClock(options: {
  readonly name?: string;
  readonly times: readonly number[];
  readonly values: readonly number[];
}): Clock {
  const {
    name = "learned",
    times,
    values,
  } = partsOf("A learned clock", options, ["name", "times", "values"]);
  checkTimes(name, times, values, "values");
  values.forEach((value, i) => {
    const last = values[i - 1] ?? -Infinity;
    if (!(value > last && Number.isFinite(value)))
      throw new RangeError(
        `The clock "${name}" needs values that increase: at t = ${times[i]} it is ${value}, after ${last}.`,
      );
  });
  return curveClock(
    name,
    times,
    pairs(values).map(([a, b]) => b - a),
  );
}

/**
 * The clock on which a loss accumulates evenly: dτ/dt is proportional to the loss, by the trapezoid rule between measurements.
 *
 * @param options.times of the measurements, increasing, from 0 to 1
 * @param options.losses at those times, positive, but for the ends, which may be 0
 * @throws RangeError for times that do not increase from 0 to 1, or a loss that is not positive; names the time
 */
export function accumulatedLossClock(options: {
  readonly name?: string;
  readonly times: readonly number[];
  readonly losses: readonly number[];
}): Clock {
  const {
    name = "accumulated loss",
    times,
    losses,
  } = partsOf("An accumulated-loss clock", options, ["name", "times", "losses"]);
  checkTimes(name, times, losses, "losses");
  losses.forEach((loss, i) => {
    const end = i === 0 || i === losses.length - 1;
    if (!((loss > 0 || (end && loss === 0 && losses.length > 2)) && Number.isFinite(loss)))
      throw new RangeError(
        `The clock "${name}" needs positive losses: the one at t = ${times[i]} is ${loss}.`,
      );
  });
  const spans = pairs(times).map(([a, b]) => b - a);
  return curveClock(
    name,
    times,
    pairs(losses).map(([a, b], i) => ((a + b) / 2) * (spans[i] as number)),
  );
}

/**
 * The entropic clock: equal steps of τ take equal shares of what the noise hides. The hidden entropy H(x₁ | I_t) at a time is the
 * denoiser's cross-entropy there, so τ = (H(0) − H(t))/(H(0) − H(1)) (Stancevic, Handke and Ambrogioni 2025).
 *
 * Measured entropies are noisy, so where one rises it is pooled with its neighbours (isotonic regression), and a small share of
 * uniform time keeps the clock increasing where they stand still.
 *
 * @param options.times of the measurements, increasing, from 0 to 1
 * @param options.entropies at those times, of any unit, lower at t = 1 than at t = 0
 * @param options.uniform share of uniform time, in (0, 1]; 0.01 by default
 * @throws RangeError for times that do not increase from 0 to 1, or entropies that do not fall
 */
export function entropicClock(options: {
  readonly name?: string;
  readonly times: readonly number[];
  readonly entropies: readonly number[];
  readonly uniform?: number;
}): Clock {
  const {
    name = "entropic",
    times,
    entropies,
    uniform = 0.01,
  } = partsOf("An entropic clock", options, ["name", "times", "entropies", "uniform"]);
  checkTimes(name, times, entropies, "entropies");
  entropies.forEach((entropy, i) => {
    if (!Number.isFinite(entropy))
      throw new RangeError(`The clock "${name}" has the entropy ${entropy} at t = ${times[i]}.`);
  });
  if (!(uniform > 0 && uniform <= 1))
    throw new RangeError(`The clock "${name}" takes a share of uniform time in (0, 1], got ${uniform}.`);
  const known = increasing(entropies.map((entropy) => -entropy));
  const total = (known.at(-1) as number) - (known[0] as number);
  if (!(total > 0))
    throw new RangeError(
      `The clock "${name}" needs entropies that fall from noise to data, and these do not.`,
    );
  const spans = pairs(times).map(([a, b]) => b - a);
  return curveClock(
    name,
    times,
    pairs(known).map(([a, b], i) => ((1 - uniform) * (b - a)) / total + uniform * (spans[i] as number)),
  );
}

const pairs = (values: readonly number[]): readonly (readonly [number, number])[] =>
  values.slice(1).map((value, i) => [values[i] as number, value] as const);

function checkTimes(name: string, times: readonly number[], values: readonly number[], what: string): void {
  if (times.length !== values.length || times.length < 2)
    throw new RangeError(
      `The clock "${name}" needs two or more times and as many ${what}, got ${times.length} and ${values.length}.`,
    );
  times.forEach((t, i) => {
    if (i > 0 && !(t > (times[i - 1] as number)))
      throw new RangeError(
        `The clock "${name}" needs times that increase: ${t} comes after ${times[i - 1]}.`,
      );
  });
  if (times[0] !== 0 || times.at(-1) !== 1)
    throw new RangeError(
      `The clock "${name}" needs times from 0 to 1, got ${times[0]} to ${times.at(-1)}: add the ends.`,
    );
}

/** The increasing numbers nearest to these in the sum of squares: neighbours that fall are pooled (isotonic regression). */
function increasing(values: readonly number[]): readonly number[] {
  const pools: { sum: number; size: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, size: 1 };
    for (
      let last = pools.at(-1);
      last !== undefined && last.sum / last.size > pool.sum / pool.size;
      last = pools.at(-1)
    ) {
      pools.pop();
      pool = { sum: pool.sum + last.sum, size: pool.size + last.size };
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, size }) => Array.from({ length: size }, () => sum / size));
}

function curveClock(name: string, times: readonly number[], increments: readonly number[]): Clock {
  const total = increments.reduce((sum, x) => sum + x, 0);
  const rises = increments.map((x) => x / total);
  const passed = [0];
  for (const rise of rises) passed.push((passed.at(-1) as number) + rise);
  const left = [0];
  for (const rise of rises.toReversed()) left.push((left.at(-1) as number) + rise);
  const curve = { times, rises, passed, left: left.toReversed(), slopes: slopesOf(times, rises) };
  return clockOf({
    name,
    tau: (t) => at(curve, segmentOf(times, t), t).tau,
    remaining: (t) => at(curve, segmentOf(times, t), t).rest,
    dTau: (t) => at(curve, segmentOf(times, t), t).slope,
    time: (tau) => {
      const rest = 1 - tau;
      const i =
        tau < 0.5
          ? segmentOf(passed, tau)
          : segmentOf(
              curve.left.map((x) => -x),
              -rest,
            );
      const [start, end] = [times[i] as number, times[i + 1] as number];
      return solveIncreasing(
        (t) => {
          const here = at(curve, i, t);
          return { residual: tau < 0.5 ? here.tau - tau : rest - here.rest, slope: here.slope };
        },
        [start, end],
        (start + end) / 2,
        TO_ROUNDING,
      );
    },
  });
}

/** The last knot that is not above a value, and not the last of all. */
function segmentOf(knots: readonly number[], value: number): number {
  let [below, above] = [0, knots.length - 1];
  while (above - below > 1) {
    const middle = (below + above) >> 1;
    if ((knots[middle] as number) <= value) below = middle;
    else above = middle;
  }
  return below;
}

/** τ, 1 − τ and the rate at a time of a segment; from whichever end τ or 1 − τ is exact. */
function at({ times, rises, passed, left, slopes }: Curve, i: number, t: number) {
  const [start, end] = [times[i] as number, times[i + 1] as number];
  const span = end - start;
  const secant = (rises[i] as number) / span;
  /** The cubic seen from an end: what it gains over a distance, and its rate there. */
  const from = (distance: number, own: number, other: number) => {
    const u = distance / span;
    const [bend, twist] = [3 * secant - 2 * own - other, own + other - 2 * secant];
    return {
      gained: distance * (own + u * (bend + u * twist)),
      rate: Math.max(0, own + u * (2 * bend + 3 * u * twist)),
    };
  };
  const behind = from(t - start, slopes[i] as number, slopes[i + 1] as number);
  const ahead = from(end - t, slopes[i + 1] as number, slopes[i] as number);
  return {
    tau: Math.min(1, (passed[i] as number) + behind.gained),
    rest: Math.min(1, (left[i + 1] as number) + ahead.gained),
    slope: t - start < end - t ? behind.rate : ahead.rate,
  };
}

/**
 * Slopes at knots by Fritsch and Butland (1984), with which the cubic is monotone: weighted harmonic means of the neighbouring secants,
 * and at the ends three-point differences that are kept within [0, 3 secants].
 */
function slopesOf(times: readonly number[], rises: readonly number[]): readonly number[] {
  const spans = pairs(times).map(([a, b]) => b - a);
  const secants = rises.map((rise, i) => rise / (spans[i] as number));
  const last = secants.length - 1;
  if (last === 0) return [secants[0] as number, secants[0] as number];
  const edge = (i: number, next: number): number => {
    const [h, g] = [spans[i] as number, spans[next] as number];
    const [near, far] = [secants[i] as number, secants[next] as number];
    return Math.min(3 * near, Math.max(0, ((2 * h + g) * near - h * far) / (h + g)));
  };
  const inner = secants.slice(1).map((far, i) => {
    const [h, g] = [spans[i] as number, spans[i + 1] as number];
    const near = secants[i] as number;
    const [a, b] = [h + 2 * g, 2 * h + g];
    return (a + b) / (a / near + b / far);
  });
  return [edge(0, 1), ...inner, edge(last, last - 1)];
}
