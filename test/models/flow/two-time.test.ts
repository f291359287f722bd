/** The derivatives of two-time denoisers against differences; the drift and the map against those of the oracle. */
import { describe, expect, it } from "vitest";
import { add, exp, mul, onesLike, sin, square, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { linear, perState, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { alongPath, arrive, byTime, diagonalOf, drift } from "../../../src/models/flow/two-time.ts";
import type { Time } from "../../../src/models/flow/two-time.ts";
import { distance, evaluate, floats } from "../../support/evaluate.ts";

/** A clock τ = t², of rate 2t. */
const squared = (t: Tensor): Time => ({ t, tau: square(t), rate: mul(t, 2) });
const x = floats([2, 1, 3], [0.3, -0.2, 0.6, 1, 0.1, -0.8]);
const v = floats([2, 1, 3], [1, 0.5, -0.3, 0.2, -1, 0.4]);
const s = floats([2], [0.2, 0.45]);
const t = floats([2], [0.7, 0.8]);

/** Something that uses the state, the time, and what the clock shows. */
const f = (state: Tensor, { t: time, tau }: Time): Tensor =>
  add(mul(sin(mul(state, 2)), perState(exp(time))), mul(state, perState(sin(mul(tau, 3)))));

/** The central difference of a function of a small step, to fourth order. */
function difference(at: (h: number) => ArrayLike<number>): number[] {
  const h = 1e-3;
  const [a, b, c, d] = [at(2 * h), at(h), at(-h), at(-2 * h)];
  return Array.from(
    a,
    (_, i) => (8 * ((b[i] as number) - (c[i] as number)) - ((a[i] as number) - (d[i] as number))) / (12 * h),
  );
}

describe("derivatives of a function of a time", () => {
  it("byTime: what the clock shows moves with the time", () => {
    const { value, tangent } = evaluate({ x, t }, ({ x: state, t: at }) =>
      byTime((time) => f(state, time), squared(at)),
    );
    const shifted = (h: number) =>
      evaluate({ x, t }, ({ x: state, t: at }) => f(state, squared(add(at, h)))).data;
    expect(distance(value.data, shifted(0))).toBe(0);
    expect(distance(tangent.data, difference(shifted))).toBeLessThan(1e-9);
  });

  it("alongPath: the state moves with its velocity meanwhile", () => {
    const { value, tangent } = evaluate({ x, v, t }, ({ x: state, v: velocity, t: at }) =>
      alongPath(f, state, squared(at), velocity),
    );
    const shifted = (h: number) =>
      evaluate({ x, v, t }, ({ x: state, v: velocity, t: at }) =>
        f(add(state, mul(velocity, h)), squared(add(at, h))),
      ).data;
    expect(distance(value.data, shifted(0))).toBe(0);
    expect(distance(tangent.data, difference(shifted))).toBeLessThan(1e-9);
  });
});

describe("the exact map of a corpus", () => {
  const oracle = corpusOracle({ vocab: 3, sequences: [[0], [1], [2]], weights: [0.5, 0.3, 0.2] });
  const time = (at: Tensor): Time => ({ t: at, tau: at, rate: onesLike(at) });
  const steps = { steps: 64 };

  it("on the straight line: its drift is the oracle's velocity, and it arrives where the oracle's flow map does", () => {
    const map = oracleMap(oracle, linear, steps);
    const gaps = evaluate({ x, s, t }, ({ x: state, s: from, t: to }) => ({
      drift: sub(
        drift(linear, state, oracle.denoiser(state, from), time(from)),
        oracle.velocity(state, from),
      ),
      arrive: sub(arrive(map, state, time(from), time(to)), oracle.flowMap(state, from, to, steps)),
      diagonal: sub(diagonalOf(map).denoiser(state, time(from)), oracle.denoiser(state, from)),
    }));
    for (const gap of [gaps.drift, gaps.arrive, gaps.diagonal])
      expect(distance(gap.data, new Float64Array(6))).toBeLessThan(1e-12);
  });

  it("on the circle: it moves with its drift, ∂_t X = b_t(X), by differences", () => {
    const map = oracleMap(oracle, trigonometric, steps);
    const there = (h: number) =>
      evaluate({ x, s, t }, ({ x: state, s: from, t: to }) =>
        arrive(map, state, time(from), time(add(to, h))),
      ).data;
    const { velocity } = evaluate({ x, s, t }, ({ x: state, s: from, t: to }) => {
      const moved = arrive(map, state, time(from), time(to));
      const denoised = diagonalOf(map).denoiser(moved, time(to));
      return { velocity: drift(trigonometric, moved, denoised, time(to)) };
    });
    expect(distance(velocity.data, difference(there))).toBeLessThan(1e-6);
  });

  it("logits are those of the denoiser, also of its diagonal; a denoiser of points has none", () => {
    const map = oracleMap(oracle, linear, steps);
    const gaps = evaluate({ x, s, t }, ({ x: state, s: from, t: to }) => ({
      two: sub(
        exp(map.logits?.(state, time(from), time(to)) as Tensor),
        map.denoiser(state, time(from), time(to)),
      ),
      one: sub(exp(diagonalOf(map).logits?.(state, time(from)) as Tensor), oracle.denoiser(state, from)),
    }));
    expect(distance(gaps.two.data, new Float64Array(6))).toBeLessThan(1e-12);
    expect(distance(gaps.one.data, new Float64Array(6))).toBeLessThan(1e-12);
    const { logits: _logits, ...points } = map;
    expect(diagonalOf(points)).not.toHaveProperty("logits");
  });
});
