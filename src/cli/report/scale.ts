/**
 * Scales from data to drawing units, their ticks, and the placing of labels that must not overlap.
 *
 * Consumed by the charts of the page and of the terminal. All functions are pure; a scale of no data, of one value or
 * of equal values is still a usable scale.
 */

/** A map from data to drawing units. */
export interface Scale {
  /** Position of a value; values outside the domain lie outside the range. */
  readonly at: (value: number) => number;
  /** Values to mark, ascending, all inside the domain. */
  readonly ticks: readonly number[];
}

// Numbers up to this, and down to its inverse on a logarithmic axis, keep finite ends when the axis adds its margins.
const largest = 1e200;
const isDrawable = (value: number): boolean => Math.abs(value) < largest;

/** Where the ends of the domain lie in drawing units. */
export type Range = readonly [from: number, to: number];

/** Round steps for ticks: 1, 2 or 5 times a power of ten, about `count` of them between the ends. */
export function niceStep(low: number, high: number, count: number): number {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const ratio = rough / power;
  return power * (ratio > 5 ? 10 : ratio > 2 ? 5 : ratio > 1 ? 2 : 1);
}

/** A linear scale whose domain covers the values, widened to whole ticks. */
export function linearScale(values: readonly number[], range: Range, count = 5): Scale {
  const finite = values.filter(isDrawable);
  // Around a single value a tenth of it, so that the axis does not reach below 0.
  const [low, high] = extent(finite, Math.abs(finite[0] ?? 0) / 10 || 0.5);
  const step = niceStep(low, high, count);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => tidy((first + i) * step));
  return { at: between(first * step, last * step, range), ticks };
}

/** A linear scale of whole numbers that ends exactly where they end: for optimizer steps. */
export function tightScale(values: readonly number[], range: Range, count = 5): Scale {
  const [low, high] = extent(values.filter(isDrawable), 0.5);
  const step = Math.max(1, niceStep(low, high, count));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const ticks = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => tidy((first + i) * step));
  return { at: between(low, high, range), ticks };
}

// Mantissas for logarithmic ticks, from coarse to fine: the first set that gives at least four ticks is taken.
const mantissas = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 5, 7], [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]];

/** A logarithmic scale whose domain covers the positive values with a small margin. */
export function logScale(values: readonly number[], range: Range): Scale {
  const logs = values.filter((value) => value > 1 / largest && value < largest).map(Math.log);
  const [low, high] = extent(logs, 0.5);
  const margin = (high - low) * 0.06;
  const [from, to] = [low - margin, high + margin];
  const at = between(from, to, range);
  return { at: (value) => at(Math.log(value)), ticks: logTicks(Math.exp(from), Math.exp(to)) };
}

/** A scale in log2, as for numbers of sampling steps, whose ticks are the values. */
export function stepScale(steps: readonly number[], range: Range): Scale {
  const at = between(...extent(steps.map(Math.log2), 0.5), range);
  return { at: (value) => at(Math.log2(value)), ticks: steps };
}

/**
 * Moves labels apart: centres as near as possible to the wanted ones, in the given order, none overlapping, all between
 * `low` and `high` if they fit there.
 */
export function spread(
  labels: readonly { readonly wanted: number; readonly height: number }[],
  low: number,
  high: number,
): readonly number[] {
  const order = labels.map((_, i) => i).sort((a, b) => (labels[a]?.wanted ?? 0) - (labels[b]?.wanted ?? 0));
  const centres = labels.map((label) => label.wanted);
  const half = (i: number): number => (labels[i]?.height ?? 0) / 2;
  let edge = low;
  for (const i of order) {
    centres[i] = Math.max(centres[i] ?? 0, edge + half(i));
    edge = (centres[i] ?? 0) + half(i);
  }
  edge = high;
  for (const i of order.reverse()) {
    centres[i] = Math.min(centres[i] ?? 0, edge - half(i));
    edge = (centres[i] ?? 0) - half(i);
  }
  return centres;
}

function logTicks(low: number, high: number): readonly number[] {
  for (const set of mantissas) {
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      ticks.push(...set.map((mantissa) => tidy(mantissa * 10 ** power)).filter((x) => x >= low && x <= high));
    }
    if (ticks.length >= 4) return ticks.length <= 9 ? ticks : every(ticks, Math.ceil(ticks.length / 7));
  }
  const step = niceStep(low, high, 4);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => tidy((first + i) * step));
}

function every(values: readonly number[], stride: number): readonly number[] {
  return values.filter((_, i) => i % stride === 0);
}

/** Removes the last digits, which are rounding errors of multiplying by a power of ten. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

/** The ends of the values; around a single value, and for none around 0, a margin so that the scale has a width. */
function extent(values: readonly number[], margin: number): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  // The second bound keeps a step between subnormal numbers from becoming 0.
  const least = Math.max(Math.abs(low) * 1e-9, 1e-290);
  return high - low > least ? [low, high] : [low - Math.max(margin, least), high + Math.max(margin, least)];
}

function between(low: number, high: number, [from, to]: Range): (value: number) => number {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}
