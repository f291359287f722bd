// What every clock must do (exact ends, exact inverse, a rate that is the derivative), the decoding-error clock against references
// and for other interpolants and scales, and parity with the published time tables.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mul, sin, square, sub } from "../../../src/dsl/index.ts";
import { clock as declaredClock, cosineClock } from "../../../src/models/flow/clock-declared.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { accumulatedLossClock, entropicClock, learnedClock } from "../../../src/models/flow/clock-learned.ts";
import { logSnrClock } from "../../../src/models/flow/clock-log-snr.ts";
import { mixtureClock, uniformClock } from "../../../src/models/flow/clock.ts";
import type { Clock } from "../../../src/models/flow/clock.ts";
import { fold, key, normals } from "../../../src/models/flow/host-random.ts";
import { linear, trigonometric, variancePreservingLinear } from "../../../src/models/flow/interpolant.ts";
import { normalCdf } from "../../../src/models/flow/numerics.ts";
import { goldenCase, numbers, scalar } from "../../golden/golden.ts";

const VOCABS = [2, 3, 11, 27, 30_522, 50_258, 1_000_000];
const clocks = new Map(VOCABS.map((vocab) => [vocab, decodingError({ vocab })]));
const clockOf = (vocab: number) => clocks.get(vocab) ?? decodingError({ vocab });
const relative = (got: number, want: number): number => (got === want ? 0 : Math.abs(got / want - 1));

describe("group 1: the decoding-error clock, reference values", () => {
  const times = [0.1, 0.25, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9];
  const taus = [0.01, 0.25, 0.5, 0.75, 0.99];
  it.each([
    [
      2,
      [0.062623298, 0.186336284, 0.520499878, 0.901039846, 0.966105147, 0.995322265, 0.999938489, 1],
      [0.0174163, 0.3106415, 0.4881959, 0.6193144, 0.7846115],
    ],
    [
      27,
      [
        0.009341704, 0.033396173, 0.159359491, 0.611600871, 0.811973936, 0.961295422, 0.999271569,
        0.999999997,
      ],
      [0.1057539, 0.5684338, 0.669444, 0.7343849, 0.8230163],
    ],
    [
      30_522,
      [0.000018716, 0.000090098, 0.001244161, 0.042593524, 0.14109455, 0.45609693, 0.931309525, 0.999997783],
      [0.6311407, 0.7734898, 0.8044806, 0.8280947, 0.8676207],
    ],
    [
      50_258,
      [
        0.000011764, 0.000057588, 0.000847303, 0.033276673, 0.117488999, 0.412735615, 0.916156829,
        0.999996594,
      ],
      [0.646408, 0.7792507, 0.8087472, 0.8313654, 0.8694999],
    ],
  ])("V = %d, both directions", (vocab, wantTaus, wantTimes) => {
    const clock = clockOf(vocab);
    times.forEach((t, i) => expect(Math.abs(clock.tau(t) - (wantTaus[i] ?? NaN))).toBeLessThan(1.1e-9));
    taus.forEach((tau, i) => expect(Math.abs(clock.time(tau) - (wantTimes[i] ?? NaN))).toBeLessThan(6e-8));
  });

  // t, tau, 1 - tau, dtau/dt: forty-digit quadrature.
  it.each([
    [2, 0.95, 1, 3.7692144856555195e-41, 1.4401511091082358e-37],
    [3, 0.001, 0.00042363477218795354, 0.999576365227812, 0.42412788345807506],
    [3, 0.9, 0.999999999705102, 2.948979435308366e-10, 1.358317380159943e-7],
    [27, 0.5, 0.15935949101185973, 0.8406405089881402, 1.0221991451237185],
    [30_522, 0.001, 1.3531178319915398e-7, 0.9999998646882168, 0.0001357113961526984],
    [30_522, 0.9, 0.9999977829013185, 2.2170986815624473e-6, 0.0009595495362374734],
    [1_000_000, 0.001, 4.8791644684575185e-9, 0.9999999951208355, 4.895471262292189e-6],
    [1_000_000, 0.8, 0.20122441456485307, 0.7987755854351469, 6.843681302388667],
    [1_000_000, 0.95, 1, 1.884607236727215e-35, 7.200755514403952e-32],
  ])("V = %d at t = %d to relative 1e-13, tails included", (vocab, t, tau, rest, rate) => {
    const clock = clockOf(vocab);
    expect(relative(clock.tau(t), tau)).toBeLessThan(1e-13);
    expect(relative(clock.remaining(t), rest)).toBeLessThan(1e-13);
    expect(relative(clock.dTau(t), rate)).toBeLessThan(1e-13);
  });

  it("V = 2 equals 2 Phi(m / sqrt 2) - 1", () => {
    const clock = clockOf(2);
    for (let i = 1; i < 200; i++) {
      const t = i / 200;
      const upper = 2 * normalCdf(-t / (1 - t) / Math.SQRT2);
      expect(Math.abs(clock.tau(t) - (1 - upper))).toBeLessThan(1e-15);
      expect(relative(clock.remaining(t), upper)).toBeLessThan(t < 0.9 ? 1e-13 : 1e-11);
    }
  });

  it.each([11, 27, 30_522])(
    "equals Duo's diffusion transformation operator at equal signal-to-noise ratio, V = %d",
    (vocab) => {
      // Duo: alpha = sqrt(sigmoid(-g)), sigma = sqrt(sigmoid(g)); T(g) = V/(V-1) (E[Phi(z +
      // alpha/sigma)^(V-1)] - 1/V). The normal distribution function comes from summing the density on the
      // grid, not from numerics.ts.
      const h = 1 / 512;
      const size = Math.round(24 / h) + 1;
      const density = (i: number): number => Math.exp(-0.5 * (i * h - 12) ** 2) / Math.sqrt(2 * Math.PI);
      const cumulative = new Float64Array(size);
      for (let i = 1; i < size; i++) {
        const middle = Math.exp(-0.5 * ((i - 0.5) * h - 12) ** 2) / Math.sqrt(2 * Math.PI);
        cumulative[i] = (cumulative[i - 1] ?? 0) + (h / 6) * (density(i - 1) + 4 * middle + density(i));
      }
      for (const shift of [0.25, 0.5, 1, 2, 3, 4, 5]) {
        const logSnr = -2 * Math.log(shift);
        const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
        const ratio = Math.sqrt(sigmoid(-logSnr)) / Math.sqrt(sigmoid(logSnr));
        const steps = Math.round(ratio / h);
        let wins = 0;
        for (let i = 0; i < size; i++) {
          wins += h * density(i) * (cumulative[Math.min(size - 1, i + steps)] ?? 1) ** (vocab - 1);
        }
        const duo = (vocab / (vocab - 1)) * (wins - 1 / vocab);
        expect(Math.abs(clockOf(vocab).tau(ratio / (1 + ratio)) - duo)).toBeLessThan(1e-10);
      }
    },
  );

  it.each([
    [5, 0.55, 1],
    [11, 0.45, 7],
  ])(
    "is the decoding error of simulated rows, whichever token is true: V = %d, t = %d",
    (vocab, t, other) => {
      const draws = 30_000;
      const errorRate = (token: number, stream: number): number => {
        const noise = normals(fold(key(2602), stream), draws * vocab);
        let errors = 0;
        for (let row = 0; row < draws; row++) {
          let best = 0;
          let largest = -Infinity;
          for (let v = 0; v < vocab; v++) {
            const value = (1 - t) * (noise[row * vocab + v] ?? 0) + (v === token ? t : 0);
            if (value > largest) {
              largest = value;
              best = v;
            }
          }
          if (best !== token) errors++;
        }
        return errors / draws;
      };
      const expected = ((vocab - 1) / vocab) * clockOf(vocab).remaining(t);
      const deviation = Math.sqrt((expected * (1 - expected)) / draws);
      expect(Math.abs(errorRate(0, 0) - expected)).toBeLessThan(4 * deviation);
      expect(Math.abs(errorRate(other, 1) - expected)).toBeLessThan(4 * deviation);
    },
  );
});

describe("decoding-error clock: other interpolants and scales", () => {
  const ratios = [
    ["linear", linear, (t: number) => t / (1 - t)],
    ["trigonometric", trigonometric, (t: number) => Math.tan((Math.PI / 2) * t)],
    ["variance-preserving", variancePreservingLinear, (t: number) => t / Math.sqrt((1 - t) * (1 + t))],
  ] as const;

  it.each(ratios)("%s: what the linear clock shows at the same ratio", (_name, interpolant, ratioAt) => {
    for (const scale of [0.5, 1, 2]) {
      const clock = decodingError({ vocab: 27, interpolant, scale });
      for (let i = 1; i < 50; i++) {
        const ratio = ratioAt(i / 50) / scale;
        const straight = ratio / (1 + ratio);
        expect(relative(clock.tau(i / 50), clockOf(27).tau(straight))).toBeLessThan(1e-12);
        // Where the ratio is large, rounding it moves 1 − τ by ratio² times as much.
        const rounding = 4e-15 * (1 + ratio ** 2);
        expect(relative(clock.remaining(i / 50), clockOf(27).remaining(straight))).toBeLessThan(rounding);
      }
    }
  });

  it("the linear one with scale 1 is the same to the last bit, however it is asked for", () => {
    const clock = decodingError({ vocab: 27, interpolant: linear, scale: 1 });
    for (let i = 0; i <= 50; i++) {
      expect(clock.tau(i / 50)).toBe(clockOf(27).tau(i / 50));
      expect(clock.time(i / 50)).toBe(clockOf(27).time(i / 50));
    }
  });

  it.each([
    ["trigonometric", trigonometric, 1, 0.4],
    ["trigonometric", trigonometric, 0.5, 0.2],
    ["variance-preserving", variancePreservingLinear, 1, 0.6],
    ["variance-preserving", variancePreservingLinear, 2, 0.8],
  ])("%s: is the decoding error of simulated rows, scale %d", (_name, interpolant, scale, t) => {
    const [draws, vocab] = [20_000, 7];
    // Not from the declaration: the test knows the two curves.
    const [alpha, beta] =
      interpolant === trigonometric
        ? [Math.cos((Math.PI / 2) * t), Math.sin((Math.PI / 2) * t)]
        : [Math.sqrt(1 - t * t), t];
    const noise = normals(key(4), draws * vocab);
    let errors = 0;
    for (let row = 0; row < draws; row++) {
      const rest = noise.subarray(row * vocab + 1, (row + 1) * vocab);
      if (alpha * scale * Math.max(...rest) > alpha * scale * (noise[row * vocab] ?? 0) + beta) errors++;
    }
    const expected = ((vocab - 1) / vocab) * decodingError({ vocab, interpolant, scale }).remaining(t);
    const deviation = Math.sqrt((expected * (1 - expected)) / draws);
    expect(Math.abs(errors / draws - expected)).toBeLessThan(4 * deviation);
  });
});

// Knots between the hundredths at which rates are compared with differences: curvature jumps at a knot.
const KNOTS = [0, 0.0531, 0.2173, 0.4517, 0.7031, 0.9047, 1];

const variety: readonly { readonly name: string; readonly clock: Clock }[] = [
  ...VOCABS.map((vocab) => ({ name: `decoding error, V = ${vocab}`, clock: clockOf(vocab) })),
  { name: "uniform", clock: uniformClock() },
  { name: "Discrete Flow Maps mixture", clock: mixtureClock({ base: clockOf(30_522), weight: 0.9 }) },
  { name: "mixture without base", clock: mixtureClock({ base: clockOf(27), weight: 0 }) },
  { name: "mixture of base alone", clock: mixtureClock({ base: clockOf(27), weight: 1 }) },
  {
    name: "decoding error, trigonometric",
    clock: decodingError({ vocab: 27, interpolant: trigonometric }),
  },
  {
    name: "decoding error, variance-preserving, scale 2",
    clock: decodingError({ vocab: 1000, interpolant: variancePreservingLinear, scale: 2 }),
  },
  { name: "cosine", clock: cosineClock() },
  {
    name: "declared, a sine",
    clock: declaredClock({ name: "sine", tau: (t) => sin(mul(t, Math.PI / 2)) }),
  },
  {
    name: "declared, 3t² − 2t³",
    clock: declaredClock({ name: "smooth step", tau: (t) => mul(square(t), sub(3, mul(t, 2))) }),
  },
  { name: "log SNR", clock: logSnrClock() },
  {
    name: "log SNR, trigonometric, other ends, scale 2",
    clock: logSnrClock({ interpolant: trigonometric, from: -4, to: 1, scale: 2 }),
  },
  { name: "log SNR, variance-preserving", clock: logSnrClock({ interpolant: variancePreservingLinear }) },
  { name: "learned", clock: learnedClock({ times: KNOTS, values: [3, 3.01, 3.3, 5, 9, 9.9, 10] }) },
  {
    name: "accumulated loss",
    clock: accumulatedLossClock({ times: KNOTS, losses: [3, 2.9, 2.5, 1.4, 0.3, 0.02, 0] }),
  },
  {
    name: "entropic",
    clock: entropicClock({ times: KNOTS, entropies: [3, 3.02, 2.5, 1.4, 0.3, 0.31, 0] }),
  },
];

describe.each(variety)("every clock: $name", ({ clock }) => {
  it("runs from exactly 0 to exactly 1 and back", () => {
    expect([clock.tau(0), clock.tau(1), clock.time(0), clock.time(1)]).toEqual([0, 1, 0, 1]);
    expect([clock.remaining(0), clock.remaining(1)]).toEqual([1, 0]);
  });

  it("increases strictly until 1 - tau leaves the doubles, with 1 - tau consistent", () => {
    let tau = 0;
    let remaining = 1;
    for (let i = 1; i <= 2000; i++) {
      const t = i / 2000;
      expect(clock.tau(t)).toBeGreaterThanOrEqual(tau);
      if (t < 0.85) expect(clock.tau(t)).toBeGreaterThan(tau);
      if (t < 0.98) expect(clock.remaining(t)).toBeLessThan(remaining);
      expect(clock.tau(t) + clock.remaining(t)).toBeCloseTo(1, 14);
      tau = clock.tau(t);
      remaining = clock.remaining(t);
    }
  });

  it("inverts exactly: tau(time(x)) = x, relative at both ends", () => {
    let previous = 0;
    for (let i = 1; i < 2000; i++) {
      const t = clock.time(i / 2000);
      expect(t).toBeGreaterThan(previous);
      expect(Math.abs(clock.tau(t) - i / 2000)).toBeLessThan(1e-14);
      previous = t;
    }
    for (let k = 1; k <= 53; k++) {
      expect(relative(clock.tau(clock.time(2 ** -k)), 2 ** -k)).toBeLessThan(1e-13);
      // Near t = 1 a rounding of t itself moves 1 - tau by its rate.
      const t = clock.time(1 - 2 ** -k);
      const rounding = 2 ** -53 * clock.dTau(t);
      expect(Math.abs(clock.remaining(t) - 2 ** -k)).toBeLessThan(1e-13 * 2 ** -k + 2 * rounding);
    }
    expect(relative(clock.tau(clock.time(1e-200)), 1e-200)).toBeLessThan(1e-13);
  });

  it("time(tau(t)) = t where tau has not saturated (fast-check)", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.85, noNaN: true }), (t) => {
        expect(Math.abs(clock.time(clock.tau(t)) - t)).toBeLessThan(1e-12);
      }),
    );
  });

  it("dTau is the derivative of tau (fourth-order differences)", () => {
    const h = 3e-5; // truncation and rounding are then both near 1e-11, also at the steepest place
    for (let i = 1; i < 98; i++) {
      const t = i / 100;
      const difference =
        (-clock.tau(t + 2 * h) + 8 * clock.tau(t + h) - 8 * clock.tau(t - h) + clock.tau(t - 2 * h)) /
        (12 * h);
      expect(Math.abs(clock.dTau(t) - difference)).toBeLessThan(1e-10 * Math.max(1, clock.dTau(t)) + 2e-11);
    }
    expect(clock.dTau(0)).toBeGreaterThanOrEqual(0);
    expect(clock.dTau(2 ** -20)).toBeGreaterThan(0);
    expect(Number.isFinite(clock.dTau(1))).toBe(true);
    expect(Number.isFinite(clock.dTau(1 - 2 ** -53))).toBe(true);
  });

  it("refuses times outside [0, 1]", () => {
    for (const bad of [-1e-9, 1 + 1e-9, Number.NaN, Infinity]) {
      expect(() => clock.tau(bad)).toThrow(RangeError);
      expect(() => clock.remaining(bad)).toThrow(RangeError);
      expect(() => clock.time(bad)).toThrow(/\[0, 1\]/);
      expect(() => clock.dTau(bad)).toThrow(RangeError);
    }
  });
});

describe("construction", () => {
  it("refuses impossible vocabularies and weights with the number in the message", () => {
    for (const vocab of [1, 0, -3, 2.5, Number.NaN, Infinity, 1_000_001]) {
      expect(() => decodingError({ vocab })).toThrow(String(vocab));
    }
    expect(() => mixtureClock({ base: uniformClock(), weight: 1.5 })).toThrow("1.5");
    expect(decodingError({ vocab: 5 })).toMatchObject({ name: "decoding error", vocab: 5 });
    expect(() => decodingError({ vocab: 5, scale: 0 })).toThrow("positive scale of the source, got 0");
  });

  it("the mixture is the weighted sum of its parts", () => {
    const base = clockOf(30_522);
    const mixture = mixtureClock({ base, weight: 0.9 });
    expect(mixture.tau(0.8)).toBeCloseTo(0.9 * base.tau(0.8) + 0.08, 15);
    expect(mixture.dTau(0.8)).toBeCloseTo(0.9 * base.dTau(0.8) + 0.1, 13);
  });
});

describe("published time tables", () => {
  // The official inverse table leaves the exact inverse by up to 4.7e-5 for V = 30,522; its forward table is
  // a 100-node Gauss-Hermite value, off by up to 7.3e-5 there.
  it.each([
    ["f_time_table_V11", 1e-9, 1e-9],
    ["f_time_table_V29", 1e-9, 1e-9],
    ["f_time_table_V30522", 1e-4, 5e-5],
  ])("%s", (name, tauTolerance, timeTolerance) => {
    const golden = goldenCase("common", name);
    const clock = decodingError({ vocab: scalar(golden.inputs, "vocab") });
    const compare = (got: readonly number[], path: string, tolerance: number): void => {
      const want = numbers(golden.outputs, path);
      expect(got).toHaveLength(want.length);
      want.forEach((value, i) =>
        expect(Math.abs((got[i] ?? NaN) - value), `${path}[${i}]`).toBeLessThan(tolerance),
      );
    };
    const taus = numbers(golden.inputs, "t").map((t) => clock.tau(t));
    const times = numbers(golden.inputs, "tau").map((tau) => clock.time(tau));
    compare(taus, "exact_tau", 1e-9);
    compare(times, "exact_t", 1e-9);
    compare(
      numbers(golden.inputs, "tau_small").map((tau) => clock.time(tau)),
      "exact_t_small_tau",
      1e-9,
    );
    compare(taus, "lut_tau", tauTolerance);
    compare(times, "lut_t", timeTolerance);
    compare([clock.tau(0), clock.tau(1)], "lut_tau_at_ends", 1e-15);
    compare([clock.time(0), clock.time(1)], "lut_t_at_ends", 1e-15);
  });

  it("sampler and loss times of the V = 11 cases", () => {
    const clock = clockOf(11);
    for (const name of ["e_flm_euler", "e_fmlm_gamma08"]) {
      const { outputs } = goldenCase("tiny", name);
      const times = numbers(outputs, "t");
      numbers(outputs, "tau").forEach((tau, i) => expect(clock.time(tau)).toBeCloseTo(times[i] ?? NaN, 9));
    }
    const { inputs, outputs } = goldenCase("tiny", "c_flm_loss");
    const times = numbers(outputs, "t");
    numbers(inputs, "tau").forEach((tau, i) => expect(clock.time(tau)).toBeCloseTo(times[i] ?? NaN, 9));
  });
});
