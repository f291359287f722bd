/**
 * What is particular to declared, log-SNR and learned clocks: closed forms, what they mean, and what is refused. What every clock must
 * do is in clock.test.ts.
 */
import { describe, expect, it } from "vitest";
import { less, mul, sin, sqrt, square, sub, where } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { clock, cosineClock } from "../../../src/models/flow/clock-declared.ts";
import { accumulatedLossClock, entropicClock, learnedClock } from "../../../src/models/flow/clock-learned.ts";
import { logSnrClock } from "../../../src/models/flow/clock-log-snr.ts";
import {
  interpolant,
  linear,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";

const TIMES = Array.from({ length: 21 }, (_, i) => i / 20);

describe("declared clocks", () => {
  const tau = (f: (t: Tensor) => Tensor) => () => clock({ name: "mine", tau: f });

  it.each<readonly [string, () => unknown, string]>([
    ["does not start at 0", tau((t) => sub(1, mul(sub(1, t), 0.9))), 'The clock "mine" must show τ(0) = 0'],
    [
      "does not end at 1",
      tau((t) => mul(t, 0.99)),
      'The clock "mine" must show τ(1) = 1, and shows 0.99 there.',
    ],
    [
      "turns back",
      tau((t) => sub(t, mul(sin(mul(t, 2 * Math.PI)), 0.5))),
      "must increase: at t = 0 it runs backwards",
    ],
    [
      "stands still in the middle",
      tau(
        (t) => where(less(t, 0.5), mul(square(t), 2), where(less(t, 0.75), 0.5, sub(mul(t, 2), 1))) as Tensor,
      ),
      "must increase: τ(0.5) = 0.5 and τ(0.50390625) = 0.5.",
    ],
    [
      "has an infinite rate",
      tau((t) => sqrt(t)),
      "has the rate dτ/dt = Infinity at t = 0: it must be a finite number.",
    ],
    [
      "declares another remaining time",
      () => clock({ name: "mine", tau: (t) => t, remaining: (t) => square(sub(1, t)) }),
      "declares a remaining time that is not 1 − τ: at t = 0.00390625 the two sum to 0.996",
    ],
  ])("refuse what %s", (_what, declare, message) => {
    expect(declare).toThrow(RangeError);
    expect(declare).toThrow(message);
  });

  it("know 1 − τ near 1 without being told, where the rate is smooth", () => {
    const told = cosineClock();
    const untold = clock({ name: "cosine", tau: (t) => square(sin(mul(t, Math.PI / 2))) });
    for (let k = 1; k <= 40; k++) {
      const t = 1 - 2 ** -k;
      // As good as the rate, whose cos(πt/2) is rounded before it is small; the difference would lose twice as many digits.
      expect(Math.abs(untold.remaining(t) / told.remaining(t) - 1)).toBeLessThan(1e-15 * 2 ** k + 1e-13);
    }
  });

  it("the cosine clock is (1 − cos πt)/2, and its rate (π/2) sin πt", () => {
    const cosine = cosineClock();
    for (const t of TIMES) {
      expect(cosine.tau(t)).toBeCloseTo((1 - Math.cos(Math.PI * t)) / 2, 15);
      expect(cosine.dTau(t)).toBeCloseTo((Math.PI / 2) * Math.sin(Math.PI * t), 14);
    }
  });
});

describe("the log-SNR clock", () => {
  it("is t² for the variance-preserving interpolant, sin² for the trigonometric one", () => {
    const [preserving, circle] = [
      logSnrClock({ interpolant: variancePreservingLinear }),
      logSnrClock({ interpolant: trigonometric }),
    ];
    for (const t of TIMES) {
      expect(preserving.tau(t)).toBeCloseTo(t * t, 14);
      expect(preserving.dTau(t)).toBeCloseTo(2 * t, 7);
      expect(circle.tau(t)).toBeCloseTo(Math.sin((Math.PI / 2) * t) ** 2, 14);
    }
  });

  it("is the logistic function of the logarithm, with its ends where they are asked for", () => {
    const logSnr = (t: number): number => 2 * Math.log(t / ((1 - t) * 0.8));
    const shown = logSnrClock({ interpolant: linear, scale: 0.8, from: -3, to: 0.5 });
    const [centre, width] = [-1.25, 0.875];
    for (const t of TIMES.slice(1, -1))
      expect(shown.tau(t)).toBeCloseTo(1 / (1 + Math.exp(-(logSnr(t) - centre) / width)), 14);
    expect(logSnr(shown.time(1 / (1 + Math.exp(2))))).toBeCloseTo(-3, 12);
    expect(logSnr(shown.time(1 / (1 + Math.exp(-2))))).toBeCloseTo(0.5, 12);
  });

  it.each([
    [{ from: 1, to: 1 }, "runs from a lower ratio to a higher one, got 1 to 1"],
    [{ scale: -1 }, "positive scale of the source, got -1"],
    [{ from: -5, to: 5 }, "of the linear interpolant has an infinite rate dτ/dt at t = 0"],
    [
      { interpolant: variancePreservingLinear, from: -4, to: 3 },
      "of the variance-preserving interpolant has an infinite rate dτ/dt at t = 1: bring -4 and 3 closer",
    ],
    [
      // β is rounded to 1 before t = 1, and α to 0 with it, whatever the ends.
      {
        interpolant: interpolant({
          name: "settled",
          alpha: (t) => sqrt(sub(1, square(sin(mul(t, Math.PI / 2))))),
          beta: (t) => sin(mul(t, Math.PI / 2)),
        }),
        from: -1,
        to: 0,
      },
      "of the settled interpolant has no rate dτ/dt at t = 1, for its α is 0 before, and no ends mend that.",
    ],
  ])("refuses %o", (options, message) => {
    expect(() => logSnrClock(options)).toThrow(message);
  });
});

describe("learned clocks", () => {
  const times = [0, 0.2, 0.5, 0.8, 1];

  it("pass through their knots, and are straight where the knots are", () => {
    const learned = learnedClock({ times, values: [-1, -0.9, 0.4, 0.9, 1] });
    [0, 0.05, 0.7, 0.95, 1].forEach((tau, i) => expect(learned.tau(times[i] as number)).toBeCloseTo(tau, 15));
    const straight = learnedClock({ times, values: times });
    for (const t of TIMES) expect(straight.tau(t)).toBeCloseTo(t, 15);
    const two = learnedClock({ times: [0, 1], values: [5, 9] });
    for (const t of TIMES) expect([two.tau(t), two.dTau(t)]).toEqual([expect.closeTo(t, 15), 1]);
  });

  it("never turn back, however the knots jump", () => {
    const jumping = learnedClock({ times, values: [0, 1e-9, 1e3, 1e3 + 1e-6, 2e3] });
    let last = 0;
    for (let i = 1; i <= 5000; i++) {
      const tau = jumping.tau(i / 5000);
      expect(tau).toBeGreaterThanOrEqual(last);
      expect(jumping.dTau(i / 5000)).toBeGreaterThanOrEqual(0);
      last = tau;
    }
  });

  it("equal steps of the accumulated-loss clock hold equal losses", () => {
    // A loss that is linear in t: its integral is known, and the trapezoid rule is exact.
    const measured = Array.from({ length: 101 }, (_, i) => i / 100);
    const shown = accumulatedLossClock({ times: measured, losses: measured.map((t) => 3 - 2 * t) });
    const accumulated = (t: number): number => 3 * t - t * t;
    for (let i = 0; i < 10; i++)
      expect(accumulated(shown.time((i + 1) / 10)) - accumulated(shown.time(i / 10))).toBeCloseTo(0.2, 5);
  });

  it("equal steps of the entropic clock take equal entropies", () => {
    const entropy = (t: number): number => 5 / (1 + Math.exp(12 * (t - 0.6)));
    const measured = Array.from({ length: 201 }, (_, i) => i / 200);
    const shown = entropicClock({ times: measured, entropies: measured.map(entropy), uniform: 1e-9 });
    const share = (entropy(0) - entropy(1)) / 8;
    for (let i = 0; i < 8; i++)
      expect(entropy(shown.time(i / 8)) - entropy(shown.time((i + 1) / 8))).toBeCloseTo(share, 5);
  });

  it("pool entropies that rise, and keep going where they stand still", () => {
    const noisy = entropicClock({ times, entropies: [4, 4.2, 1, 1.2, 0], uniform: 0.1 });
    const pooled = entropicClock({ times, entropies: [4.1, 4.1, 1.1, 1.1, 0], uniform: 0.1 });
    for (const t of TIMES) expect(noisy.tau(t)).toBeCloseTo(pooled.tau(t), 15);
    expect(noisy.tau(0.2)).toBeCloseTo(0.1 * 0.2, 15);
    expect(noisy.tau(0.5)).toBeCloseTo((0.9 * 3) / 4.1 + 0.1 * 0.5, 15);
  });

  it.each<readonly [() => unknown, string]>([
    [() => learnedClock({ times: [0, 1], values: [1] }), "two or more times and as many values, got 2 and 1"],
    [() => learnedClock({ times: [0, 0.5, 0.5, 1], values: [0, 1, 2, 3] }), "increase: 0.5 comes after 0.5"],
    [
      () => learnedClock({ times: [0.1, 1], values: [0, 1] }),
      "times from 0 to 1, got 0.1 to 1: add the ends",
    ],
    [() => learnedClock({ times: [0, 0.5, 1], values: [0, 2, 2] }), "at t = 1 it is 2, after 2"],
    [() => learnedClock({ times: [0, Number.NaN, 1], values: [0, 1, 2] }), "NaN comes after 0"],
    [() => accumulatedLossClock({ times, losses: [1, 1, 0, 1, 1] }), "the one at t = 0.5 is 0"],
    [() => accumulatedLossClock({ times: [0, 1], losses: [0, 0] }), "the one at t = 0 is 0"],
    [() => entropicClock({ times, entropies: [1, 1, 1, 1, 2] }), "fall from noise to data, and these do not"],
    [() => entropicClock({ times, entropies: [3, 2, Infinity, 1, 0] }), "the entropy Infinity at t = 0.5"],
    [() => entropicClock({ times, entropies: [4, 3, 2, 1, 0], uniform: 0 }), "in (0, 1], got 0"],
  ])("refuse bad data %#", (declare, message) => {
    expect(declare).toThrow(RangeError);
    expect(declare).toThrow(message);
  });
});
