// The decoding-error function of a vocabulary, as a function of the signal-to-noise ratio m = t / (1 - t):
// how much more often than chance the arg-max of a noisy one-hot row is the true token. Exact to rounding for
// vocabularies V from 2 to 1e6. Consumed by clock.ts, which turns it into a clock.
//
// The true token wins with probability E[Phi(z + m)^(V-1)] over standard normal z, and chance is 1/V, so
//   tau = V/(V-1) (E[Phi(z + m)^(V-1)] - 1/V)      (FLM, arXiv:2602.16813).
// Integrating by parts, with w(y) = V phi(y) Phi(y)^(V-2), gives three integrals of one sign:
//   tau      = ∫ w(y) [Phi(y) - Phi(y - m)] dy
//   1 - tau  = ∫ w(y) Phi(y - m) dy
//   dtau/dm  = ∫ w(y) phi(y - m) dy
// so neither end cancels, and the weights depend on the vocabulary alone. The trapezoid rule converges
// geometrically on them. Knots in m with local Taylor series then make a call as cheap as a short polynomial.

import { erfcx } from "../../dsl/numerics/erf.ts";
import { logNormalCdf, normalCdf, normalPdf } from "./numerics.ts";

/** The decoding-error function and its relatives at one signal-to-noise ratio. */
export interface DecodingError {
  /** tau, in [0, 1]. */
  readonly tau: number;
  /** 1 - tau, with its own relative accuracy. */
  readonly rest: number;
  /** dtau/dm, per unit of signal-to-noise ratio. */
  readonly slope: number;
}

/** The function of m for one vocabulary, and a bracket search over its knots. */
export interface DecodingErrorFunction {
  /** Values at a signal-to-noise ratio m >= 0. */
  at(m: number): DecodingError;
  /** Two neighbouring knots between which tau takes the value, and the linear guess between them. */
  bracket(tau: number, rest: number): { readonly low: number; readonly high: number; readonly guess: number };
}

// With this step the trapezoid rule is exact to rounding: its error decays like exp(-pi^2 / (step * sqrt(2
// log V))).
const STEP = 1 / 20;
const FIRST_NODE = -10;
const LAST_NODE = 35;
// The density of the largest noise has died out here for every V <= 1e6.
const WEIGHT_END = 10.5;
// The product of two Gaussians, w(y) and Phi(y - m), peaks at m/2 with this many significant units to either
// side.
const PRODUCT_REACH = 6.5;
// Beyond this ratio 1 - tau is below the smallest double.
const LARGEST_RATIO = 55;
const KNOT_SPACING = 1 / 16;
// Knots end where 1 - tau has fallen below 2^-54 for every V <= 1e6, so that they bracket every double tau <
// 1.
const KNOTS = 16 / KNOT_SPACING + 1;
// Terms of a local series: |distance| <= 1/32 and |y - m| <= 8 leave a relative remainder below 1e-15.
const TERMS = 12;

interface Nodes {
  readonly y: Float64Array;
  readonly weight: Float64Array;
}

function nodesOf(vocab: number): Nodes {
  const y: number[] = [];
  const weight: number[] = [];
  for (let i = Math.round(FIRST_NODE / STEP); i <= LAST_NODE / STEP; i++) {
    const node = i * STEP;
    // In log space: Phi(y)^(V-2) underflows for most y long before its product with anything matters.
    const logPower = vocab === 2 ? 0 : (vocab - 2) * logNormalCdf(node);
    if (logPower < -100) continue;
    y.push(node);
    weight.push(STEP * vocab * normalPdf(node) * Math.exp(logPower));
  }
  return { y: Float64Array.from(y), weight: Float64Array.from(weight) };
}

/** Number of leading nodes that matter at ratio m. */
function reach(nodes: Nodes, m: number): number {
  const last = Math.max(WEIGHT_END, m / 2 + PRODUCT_REACH);
  return Math.min(nodes.y.length, Math.ceil((last - (nodes.y[0] ?? 0)) / STEP) + 1);
}

// The three integrals at one ratio by the trapezoid rule. tau loses relative accuracy for m below a knot's
// spacing; the series around the knot m = 0 serves those.
function integrate(nodes: Nodes, m: number): DecodingError {
  let tau = 0;
  let rest = 0;
  let slope = 0;
  const end = reach(nodes, m);
  for (let i = 0; i < end; i++) {
    const y = nodes.y[i] ?? 0;
    const weight = nodes.weight[i] ?? 0;
    const z = y - m;
    const density = normalPdf(z);
    // Same as normalCdf(-|z|), reusing the density's exponential.
    const tail = density * Math.sqrt(Math.PI / 2) * erfcx(Math.abs(z) * Math.SQRT1_2);
    rest += weight * (z < 0 ? tail : 1 - tail);
    // Phi(y) - Phi(z), subtracting the smaller tails.
    tau += weight * (z < 0 ? normalCdf(y) - tail : tail - normalCdf(-y));
    slope += weight * density;
  }
  return { tau, rest, slope };
}

// Taylor coefficients of dtau/dm around m: phi(x - d) = phi(x) sum_j He_j(x) d^j / j!, integrated against w.
function series(nodes: Nodes, m: number, into: Float64Array): void {
  into.fill(0);
  const end = reach(nodes, m);
  for (let i = 0; i < end; i++) {
    const x = (nodes.y[i] ?? 0) - m;
    let previous = 0;
    let hermite = (nodes.weight[i] ?? 0) * normalPdf(x);
    for (let j = 0; j < TERMS; j++) {
      into[j] = (into[j] ?? 0) + hermite;
      const next = (x * hermite - previous) / (j + 1);
      previous = hermite;
      hermite = next;
    }
  }
}

/**
 * Builds the decoding-error function of a vocabulary (10 to 40 ms; evaluations are then
 * sub-microsecond up to m = 16, which is t = 0.94, and a direct quadrature beyond).
 *
 * @param vocab vocabulary size, a whole number from 2 to 1e6 (validated by clock.ts)
 */
export function decodingErrorFunction(vocab: number): DecodingErrorFunction {
  const nodes = nodesOf(vocab);
  const taus = new Float64Array(KNOTS);
  const rests = new Float64Array(KNOTS);
  const coefficients = new Float64Array(KNOTS * TERMS);
  for (let k = 0; k < KNOTS; k++) {
    const { tau, rest } = integrate(nodes, k * KNOT_SPACING);
    // At m = 0 both are known; elsewhere the smaller one is the accurate one.
    taus[k] = k === 0 ? 0 : rest < 0.5 ? 1 - rest : tau;
    rests[k] = k === 0 ? 1 : rest < 0.5 ? rest : 1 - tau;
    series(nodes, k * KNOT_SPACING, coefficients.subarray(k * TERMS, (k + 1) * TERMS));
  }

  const at = (m: number): DecodingError => {
    if (m >= LARGEST_RATIO) return { tau: 1, rest: 0, slope: 0 };
    const k = Math.round(m / KNOT_SPACING);
    if (k >= KNOTS) {
      const { rest, slope } = integrate(nodes, m);
      return { tau: 1 - rest, rest, slope };
    }
    const distance = m - k * KNOT_SPACING;
    let slope = 0;
    let increment = 0;
    for (let j = TERMS - 1; j >= 0; j--) {
      const coefficient = coefficients[k * TERMS + j] ?? 0;
      slope = slope * distance + coefficient;
      increment = increment * distance + coefficient / (j + 1);
    }
    increment *= distance;
    return { tau: (taus[k] ?? 0) + increment, rest: (rests[k] ?? 0) - increment, slope };
  };

  const bracket = (tau: number, rest: number): { low: number; high: number; guess: number } => {
    // Whichever of tau and 1 - tau is small carries the information.
    const value = (k: number): number => (tau < 0.5 ? (taus[k] ?? 0) - tau : rest - (rests[k] ?? 0));
    let below = 0;
    let above = KNOTS - 1;
    while (above - below > 1) {
      const middle = (below + above) >> 1;
      if (value(middle) <= 0) below = middle;
      else above = middle;
    }
    const fraction = -value(below) / (value(above) - value(below));
    return {
      low: below * KNOT_SPACING,
      high: above * KNOT_SPACING,
      guess: (below + fraction) * KNOT_SPACING,
    };
  };

  return { at, bracket };
}
