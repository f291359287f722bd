// The flow-map algebra on numbers: conversions, the semigroup identity for arbitrary denoisers, limits,
// samplers.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  denoiserFromFlowMap,
  denoiserFromVelocity,
  eulerWeight,
  flowMapCoefficients,
  flowMapFromVelocity,
  gammaSamplerCoefficients,
  interpolantDrift,
  interpolantJump,
  noiseFromDenoiser,
  scoreFromDenoiser,
  semigroupComplement,
  semigroupWeight,
  velocityFromDenoiser,
} from "../../../src/models/flow/algebra.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { goldenCase, numbers, scalar } from "../../golden/golden.ts";

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const field = fc.double({ min: -3, max: 3, noNaN: true });
const ordered = (count: number) =>
  fc.array(unit, { minLength: count, maxLength: count }).map((times) => times.sort((a, b) => a - b));
// Times at least 1/1000 apart, for identities that divide by their differences.
const spaced = (count: number) =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: count, maxLength: count })
    .map((times) => times.sort((a, b) => a - b).map((time) => time / 1000));
const get = (times: readonly number[], i: number): number => times[i] ?? NaN;

const jump = (s: number, t: number, x: number, delta: number): number => {
  const c = flowMapCoefficients(s, t);
  return c.state * x + c.denoiser * delta;
};
const target = (s: number, u: number, t: number, first: number, second: number): number =>
  semigroupWeight(s, u, t) * first + semigroupComplement(s, u, t) * second;

describe("flow map, denoiser and velocity", () => {
  it("a worked example: s = 1/4, t = 3/4", () => {
    const x = [-0.2, 0.6, 1.1];
    const delta = [0.1, 0.7, 0.2];
    const got = x.map((value, i) => jump(0.25, 0.75, value, get(delta, i)));
    [0, 2 / 3, 0.5].forEach((want, i) => expect(get(got, i)).toBeCloseTo(want, 14));
  });

  it("the identity at s = t (also at 1), the denoiser at t = 1", () => {
    for (const s of [0, 0.3, 1]) expect(flowMapCoefficients(s, s)).toEqual({ state: 1, denoiser: 0 });
    expect(flowMapCoefficients(0.3, 1)).toEqual({ state: 0, denoiser: 1 });
  });

  it("round-trips between the three, and coefficients of the jump sum to 1", () => {
    fc.assert(
      fc.property(spaced(2), field, field, (times, x, delta) => {
        const [s, t] = [get(times, 0), get(times, 1)];
        const c = flowMapCoefficients(s, t);
        expect(c.state + c.denoiser).toBeCloseTo(1, 12);
        const X = jump(s, t, x, delta);
        const back = denoiserFromFlowMap(s, t);
        expect(back.state * x + back.flowMap * X).toBeCloseTo(delta, 9);
        const v = velocityFromDenoiser(s);
        const velocity = v.state * x + v.denoiser * delta;
        const toMap = flowMapFromVelocity(s, t);
        expect(toMap.state * x + toMap.velocity * velocity).toBeCloseTo(X, 10);
        const toDelta = denoiserFromVelocity(s);
        expect(toDelta.state * x + toDelta.velocity * velocity).toBeCloseTo(delta, 10);
      }),
    );
  });

  it("velocity, score and noise agree with each other: b = D - E[x0], score = -E[x0]/(1-t)", () => {
    for (const t of [0, 0.2, 0.7, 0.99]) {
      const [x, D] = [0.4, 0.9];
      const apply = (c: { state: number; denoiser: number }): number => c.state * x + c.denoiser * D;
      const noise = apply(noiseFromDenoiser(t));
      expect((1 - t) * noise + t * D).toBeCloseTo(x, 12);
      expect(apply(velocityFromDenoiser(t))).toBeCloseTo(D - noise, 9);
      expect(apply(scoreFromDenoiser(t)) * (1 - t)).toBeCloseTo(-noise, 9);
    }
  });

  it("refuses times out of order or at the singular end, naming them", () => {
    expect(() => flowMapCoefficients(0.5, 0.4)).toThrow("0.5, 0.4");
    expect(() => flowMapCoefficients(-0.1, 0.4)).toThrow(RangeError);
    expect(() => flowMapCoefficients(0.1, Number.NaN)).toThrow(RangeError);
    expect(() => semigroupWeight(0.1, 0.5, 0.4)).toThrow(RangeError);
    expect(() => denoiserFromFlowMap(0.5, 0.5)).toThrow(/identity/);
    for (const f of [velocityFromDenoiser, scoreFromDenoiser, noiseFromDenoiser])
      expect(() => f(1)).toThrow(RangeError);
  });
});

describe("semigroup weight", () => {
  it("a worked example: s = 0, u = 1/2, t = 3/4 gives 1/3", () => {
    expect(semigroupWeight(0, 0.5, 0.75)).toBeCloseTo(1 / 3, 15);
    expect(target(0, 0.5, 0.75, 0.8, 0.2)).toBeCloseTo(0.4, 15);
  });

  it("lies in [0, 1] and sums to 1 with its complement, for any times", () => {
    fc.assert(
      fc.property(ordered(3), (times) => {
        const [s, u, t] = [get(times, 0), get(times, 1), get(times, 2)];
        const gamma = semigroupWeight(s, u, t);
        const complement = semigroupComplement(s, u, t);
        for (const weight of [gamma, complement]) {
          expect(weight).toBeGreaterThanOrEqual(0);
          expect(weight).toBeLessThanOrEqual(1);
        }
        expect(gamma + complement).toBeCloseTo(1, 12);
      }),
    );
  });

  it("has its limits exactly: t = 1, u = s, u = t, and all three equal", () => {
    expect(semigroupWeight(0.2, 0.6, 1)).toBe(0);
    expect(semigroupComplement(0.2, 0.6, 1)).toBeCloseTo(1, 15);
    expect(semigroupWeight(0.2, 0.2, 0.7)).toBe(0);
    expect(semigroupWeight(0.2, 0.7, 0.7)).toBe(1);
    expect(semigroupComplement(0.2, 0.7, 0.7)).toBe(0);
    expect(semigroupWeight(0, 1, 1)).toBe(1);
    expect(semigroupWeight(0.4, 0.4, 0.4)).toBe(1);
    expect(semigroupWeight(1, 1, 1)).toBe(1);
    expect(semigroupWeight(0.2, 0.2 + 1e-9, 0.7)).toBeLessThan(1e-8);
    expect(semigroupWeight(0.2, 0.7 - 1e-9, 0.7)).toBeGreaterThan(1 - 1e-8);
  });

  it("at the arithmetic midpoint is (1 - t) / (2 - s - t)", () => {
    fc.assert(
      fc.property(spaced(2), (times) => {
        const [s, t] = [get(times, 0), get(times, 1)];
        expect(semigroupWeight(s, (s + t) / 2, t)).toBeCloseTo((1 - t) / (2 - s - t), 8);
      }),
    );
  });

  it("composes jumps for arbitrary denoisers, and three pieces associatively", () => {
    fc.assert(
      fc.property(spaced(4), field, field, field, field, (times, x, first, second, third) => {
        const [s, a, b, t] = [get(times, 0), get(times, 1), get(times, 2), get(times, 3)];
        const viaA = jump(a, b, jump(s, a, x, first), second);
        expect(jump(s, b, x, target(s, a, b, first, second))).toBeCloseTo(viaA, 9);
        const left = target(s, b, t, target(s, a, b, first, second), third);
        const right = target(s, a, t, first, target(a, b, t, second, third));
        expect(left).toBeCloseTo(right, 9);
      }),
    );
  });
});

describe("Euler step", () => {
  it("is the convex form of z + (next - t) b(z), ends at the posterior, and stands still for no step", () => {
    const [z, D] = [0.3, 0.8];
    const a = eulerWeight(0.25, 0.5);
    const b = velocityFromDenoiser(0.25);
    expect((1 - a) * z + a * D).toBeCloseTo(z + 0.25 * (b.state * z + b.denoiser * D), 14);
    expect(eulerWeight(0.6, 1)).toBe(1);
    expect(eulerWeight(1, 1)).toBe(0);
    expect(eulerWeight(0.25, 0.5, 1e-5)).toBe(0.25 / (0.75 + 1e-5));
    expect(() => eulerWeight(0.5, 0.25)).toThrow(RangeError);
  });

  it("obeys the row-sum law: 1 - sum(t) = (1 - sum(0)) (1 - t), whatever the posterior", () => {
    let sum = -1.7;
    const times = [0, 0.13, 0.4, 0.77, 0.9, 1];
    for (let i = 1; i < times.length; i++) {
      const a = eulerWeight(get(times, i - 1), get(times, i));
      sum = (1 - a) * sum + a;
      expect(1 - sum).toBeCloseTo(2.7 * (1 - get(times, i)), 13);
    }
  });
});

describe("gamma-sampler", () => {
  it("keeps the signal coefficient at next and the noise variance at (1 - next)^2", () => {
    fc.assert(
      fc.property(ordered(2), unit, (times, gamma) => {
        const [time, next] = [get(times, 0), get(times, 1)];
        fc.pre(time < 0.999);
        const step = gammaSamplerCoefficients({ time, next, gamma });
        // On the interpolant z = (1 - time) e + time x1 with an exact denoiser delta = x1.
        expect(step.state * time + step.denoiser).toBeCloseTo(next, 12);
        expect((step.state * (1 - time)) ** 2 + step.noise ** 2).toBeCloseTo((1 - next) ** 2, 12);
        expect(step.target).toBeGreaterThanOrEqual(next - 1e-15);
        expect(step.sigmaTarget ** 2 + step.noise ** 2).toBeCloseTo(step.sigma ** 2, 12);
      }),
    );
  });

  it("gamma = 0 is the flow map; gamma = 1 restarts from next * delta plus fresh noise", () => {
    const still = gammaSamplerCoefficients({ time: 0.2, next: 0.7, gamma: 0 });
    expect({ state: still.state, denoiser: still.denoiser }).toEqual(flowMapCoefficients(0.2, 0.7));
    expect([still.noise, still.target]).toEqual([0, 0.7]);
    expect(gammaSamplerCoefficients({ time: 0.1, next: 0.1, gamma: 0 }).target).toBe(0.1);
    expect(gammaSamplerCoefficients({ time: 5e-324, next: 5e-324, gamma: 1e-200 }).state).toBe(1);
    const restart = gammaSamplerCoefficients({ time: 0.2, next: 0.7, gamma: 1 });
    expect([restart.target, restart.state]).toEqual([1, 0]);
    expect(restart.denoiser).toBeCloseTo(0.7, 15);
    expect(restart.noise).toBeCloseTo(0.3, 15);
    for (const gamma of [0, 0.8, 1]) {
      const last = gammaSamplerCoefficients({ time: 0.7, next: 1, gamma });
      expect([last.state, last.denoiser, last.noise, last.target]).toEqual([0, 1, 0, 1]);
    }
    expect(() => gammaSamplerCoefficients({ time: 0, next: 1, gamma: 1.1 })).toThrow("1.1");
    expect(() => gammaSamplerCoefficients({ time: 0.5, next: 0.4, gamma: 0 })).toThrow(RangeError);
  });

  it("gamma = 0 over many steps is one jump when the denoiser is exact for a point mass", () => {
    let z = 1.3;
    const times = [0, 0.2, 0.55, 0.8];
    for (let i = 1; i < times.length; i++) {
      const step = gammaSamplerCoefficients({ time: get(times, i - 1), next: get(times, i), gamma: 0 });
      z = step.state * z + step.denoiser * 0.5;
    }
    expect(z).toBeCloseTo(jump(0, 0.8, 1.3, 0.5), 14);
  });

  it.each(["e_fmlm_gamma0", "e_fmlm_gamma08", "e_fmlm_gamma1"])(
    "target times of the published sampler: %s",
    (name) => {
      const { inputs, outputs } = goldenCase("tiny", name);
      const clock = decodingError({ vocab: 11 });
      const steps = scalar(inputs, "steps");
      for (let i = 0; i < steps; i++) {
        const { target } = gammaSamplerCoefficients({
          time: clock.time(i / steps),
          next: clock.time((i + 1) / steps),
          gamma: scalar(inputs, "gamma"),
        });
        // The published clock is a spline table: within 1e-9 of exact for this vocabulary.
        expect(clock.tau(target)).toBeCloseTo(numbers(outputs, "tau_tilde")[i] ?? NaN, 8);
      }
    },
  );
});

describe("general interpolant", () => {
  const linear = (t: number) => ({ alpha: 1 - t, beta: t, alphaRate: -1, betaRate: 1 });
  const trigonometric = (t: number) => ({
    alpha: Math.cos((t * Math.PI) / 2),
    beta: Math.sin((t * Math.PI) / 2),
    alphaRate: (-Math.PI / 2) * Math.sin((t * Math.PI) / 2),
    betaRate: (Math.PI / 2) * Math.cos((t * Math.PI) / 2),
  });

  it("contains the linear one", () => {
    const drift = interpolantDrift(linear(0.3));
    expect(drift.state).toBeCloseTo(velocityFromDenoiser(0.3).state, 14);
    expect(drift.denoiser).toBeCloseTo(velocityFromDenoiser(0.3).denoiser, 14);
    const c = interpolantJump(linear(0.3), linear(0.8));
    expect(c.state).toBeCloseTo(flowMapCoefficients(0.3, 0.8).state, 14);
    expect(c.denoiser).toBeCloseTo(flowMapCoefficients(0.3, 0.8).denoiser, 14);
  });

  it.each([
    ["linear", linear],
    ["trigonometric", trigonometric],
  ] as const)(
    "%s: a jump carries the interpolant of its own end points, and the drift is its tangent",
    (_, schedule) => {
      const [x0, x1] = [-0.7, 1.1];
      const I = (t: number): number => schedule(t).alpha * x0 + schedule(t).beta * x1;
      for (const [s, t] of [
        [0, 0.4],
        [0.2, 0.9],
        [0.5, 0.5],
      ] as const) {
        const c = interpolantJump(schedule(s), schedule(t));
        expect(c.state * I(s) + c.denoiser * x1).toBeCloseTo(I(t), 13);
        const b = interpolantDrift(schedule(s));
        const { alphaRate, betaRate } = schedule(s);
        expect(b.state * I(s) + b.denoiser * x1).toBeCloseTo(alphaRate * x0 + betaRate * x1, 13);
        const h = 1e-6;
        const ahead = interpolantJump(schedule(s), schedule(s + h));
        expect((ahead.state - 1) / h).toBeCloseTo(b.state, 4);
        expect(ahead.denoiser / h).toBeCloseTo(b.denoiser, 4);
      }
    },
  );

  it("refuses a vanished noise coefficient", () => {
    expect(() => interpolantDrift({ alpha: 0, beta: 1, alphaRate: -1, betaRate: 1 })).toThrow(RangeError);
    expect(() => interpolantJump({ alpha: 0, beta: 1 }, { alpha: 0, beta: 1 })).toThrow(RangeError);
  });
});
