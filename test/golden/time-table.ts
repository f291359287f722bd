/**
 * The time table of the published code, recomputed from its description, so that golden cases that record tau
 * but not the time t read from that table can be met to rounding: a 100-node Gauss–Hermite value of tau at
 * 10,000 times, a cubic spline through it, and a second spline back. Consumed by tests only: the library's clock
 * is exact and needs no table. Change it only when the golden numbers come from a code with another table.
 */
import { logNormalCdf } from "../../src/models/flow/numerics.ts";

interface Node {
  readonly x: number;
  readonly weight: number;
}

/** The orthonormal Hermite polynomials of the degrees n and n − 1 (weight exp(−x²)) at a point. */
function hermite(n: number, x: number): { readonly last: number; readonly previous: number } {
  let previous = 0;
  let last = Math.PI ** -0.25;
  for (let k = 1; k <= n; k++) {
    const next = x * Math.sqrt(2 / k) * last - Math.sqrt((k - 1) / k) * previous;
    previous = last;
    last = next;
  }
  return { last, previous };
}

/** Nodes and weights of the Gauss–Hermite rule of an even order, for ∫ exp(−x²) f(x) dx. */
export function gaussHermite(order: number): readonly Node[] {
  const nodes: Node[] = [];
  const end = Math.sqrt(2 * order + 1); // no root lies further out
  const step = 0.5 / end; // roots are at least π / end apart
  for (let low = 0; low < end; low += step) {
    if (hermite(order, low).last > 0 === hermite(order, low + step).last > 0) continue;
    let x = low + step / 2;
    // Newton's method squares its error each time; the derivative is √(2n) times the polynomial before.
    for (let i = 0; i < 8; i++) {
      const { last, previous } = hermite(order, x);
      x -= last / (Math.sqrt(2 * order) * previous);
    }
    const weight = 1 / (order * hermite(order, x).previous ** 2);
    nodes.push({ x, weight }, { x: -x, weight });
  }
  return nodes;
}

const NODES = gaussHermite(100);

/** Tau at a time, as the published code computes it before it makes a table: not clipped to [0, 1]. */
export function publishedTau(vocab: number, t: number): number {
  const sigma = Math.max(1 - t, 1e-12);
  const hit = NODES.reduce(
    (sum, { x, weight }) => sum + weight * Math.exp((vocab - 1) * logNormalCdf(Math.SQRT2 * x + t / sigma)),
    0,
  );
  const tau = (hit / Math.sqrt(Math.PI) - 1 / vocab) / (1 - 1 / vocab);
  return tau + (t - 1) * 1e-10; // keeps the table strictly increasing where tau has reached 1
}

/**
 * The cubic spline through points with increasing x whose third derivative is continuous at the second point
 * and at the last but one ("not-a-knot").
 */
export function cubicSpline(x: Float64Array, y: Float64Array): (at: number) => number {
  const count = x.length;
  const X = (i: number): number => x[i] as number; // every index below is inside
  const Y = (i: number): number => y[i] as number;
  const width = (i: number): number => X(i + 1) - X(i);
  const chord = (i: number): number => (Y(i + 1) - Y(i)) / width(i);
  // The slopes at the points solve a tridiagonal system: continuous second derivatives inside, and at either
  // end the condition on the third derivative with the unknown two points away eliminated.
  const row = (i: number): readonly [below: number, diagonal: number, above: number, right: number] => {
    if (i > 0 && i < count - 1) {
      const [left, right] = [width(i - 1), width(i)];
      return [right, 2 * (left + right), left, 3 * (right * chord(i - 1) + left * chord(i))];
    }
    const [outer, inner] = i === 0 ? [0, 1] : [count - 2, count - 3];
    const [a, b] = [width(outer), width(inner)];
    const right = ((3 * a + 2 * b) * b * chord(outer) + a * a * chord(inner)) / (a + b);
    return i === 0 ? [0, b, a + b, right] : [a + b, b, 0, right];
  };
  const slope = new Float64Array(count);
  const ratio = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const [below, diagonal, above, right] = row(i);
    const pivot = diagonal - (i === 0 ? 0 : below * (ratio[i - 1] as number));
    ratio[i] = above / pivot;
    slope[i] = (right - (i === 0 ? 0 : below * (slope[i - 1] as number))) / pivot;
  }
  for (let i = count - 2; i >= 0; i--)
    slope[i] = (slope[i] as number) - (ratio[i] as number) * (slope[i + 1] as number);

  return (at) => {
    let [low, high] = [0, count - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (X(middle) <= at) low = middle;
      else high = middle;
    }
    const [h, mean, s, e] = [width(low), chord(low), slope[low] as number, slope[high] as number];
    const [d, bend] = [at - X(low), s + e - 2 * mean];
    return Y(low) + d * (s + (d / h) * (mean - s - bend + (d / h) * bend));
  };
}

/** The table of a vocabulary: tau at a time, the time of a tau, and how many knots the inverse kept. */
export interface TimeTable {
  tau(t: number): number;
  time(tau: number): number;
  readonly knots: number;
}

const clip = (x: number): number => Math.min(1, Math.max(0, x));

/** Builds the table of a vocabulary. */
export function timeTable(vocab: number, points = 10_000): TimeTable {
  const times = Float64Array.from({ length: points }, (_, i) => i / (points - 1));
  const taus = times.map((t) => clip(publishedTau(vocab, t)));
  // Of equal taus the inverse keeps the first time; taus are sorted, should rounding have swapped neighbours.
  const order = Array.from(taus.keys()).sort((a, b) => (taus[a] as number) - (taus[b] as number));
  const kept = order.filter((index, i) => i === 0 || taus[index] !== taus[order[i - 1] as number]);
  const forward = cubicSpline(times, taus);
  const back = cubicSpline(
    Float64Array.from(kept, (i) => taus[i] as number),
    Float64Array.from(kept, (i) => times[i] as number),
  );
  return { tau: (t) => clip(forward(t)), time: (tau) => clip(back(tau)), knots: kept.length };
}
