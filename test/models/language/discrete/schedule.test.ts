/** Noise schedules: values, rates by differentiation, and what is refused; and the refusals of processes, oracle and sampler. */
import { describe, expect, it } from "vitest";
import { mul, sub } from "../../../../src/dsl/index.ts";
import { absorbing } from "../../../../src/models/language/discrete/absorbing.ts";
import { tokenOracle } from "../../../../src/models/language/discrete/oracle.ts";
import { ancestralSamples } from "../../../../src/models/language/discrete/sampler.ts";
import { cosine, geometric, levelAt, logLinear, noiseRate, noiseSchedule, totalNoise } from "../../../../src/models/language/discrete/schedule.ts"; // prettier-ignore
import type { NoiseSchedule } from "../../../../src/models/language/discrete/schedule.ts";
import { uniform } from "../../../../src/models/language/discrete/uniform.ts";
import { distance, evaluate, floats, words } from "../../../support/evaluate.ts";

const TIMES = [0.01, 0.2, 0.5, 0.83, 0.99];

describe.each<readonly [NoiseSchedule, (t: number) => number, (t: number) => number]>([
  [logLinear(), (t) => 1 - 0.999 * t, () => -0.999],
  [logLinear({ least: 0.2 }), (t) => 1 - 0.8 * t, () => -0.8],
  [
    cosine({ least: 0 }),
    (t) => Math.cos((Math.PI / 2) * t),
    (t) => -(Math.PI / 2) * Math.sin((Math.PI / 2) * t),
  ],
  [
    geometric({ least: 0.01, most: 4 }),
    (t) => Math.exp(-(0.01 ** (1 - t)) * 4 ** t),
    (t) => -Math.exp(-(0.01 ** (1 - t)) * 4 ** t) * 0.01 ** (1 - t) * 4 ** t * Math.log(400),
  ],
])("%o", (schedule, alpha, rate) => {
  it("has its closed form, its rate, and the total noise −log α", () => {
    const found = evaluate({ t: floats([5], TIMES) }, ({ t }) => {
      const level = levelAt(schedule, t);
      return { ...level, sigma: totalNoise(level), sigmaRate: noiseRate(level) };
    });
    expect(distance(found.alpha.data, TIMES.map(alpha))).toBeLessThan(1e-14);
    expect(distance(found.rate.data, TIMES.map(rate))).toBeLessThan(1e-13);
    expect(distance(found.sigma.data, TIMES.map((t) => -Math.log(alpha(t))))).toBeLessThan(1e-12); // prettier-ignore
    expect(distance(found.sigmaRate.data, TIMES.map((t) => -rate(t) / alpha(t)))).toBeLessThan(1e-11); // prettier-ignore
  });
});

const masks = absorbing({ vocab: 4 });

describe("refusals", () => {
  it.each<readonly [() => unknown, string]>([
    [
      () => noiseSchedule({ name: "steep", alpha: (t) => sub(1, mul(t, 1.5)) }),
      'The noise schedule "steep" needs α within [0, 1]: α(0.671875) = -0.0078125.',
    ],
    [
      () => noiseSchedule({ name: "still", alpha: (t) => mul(t, 0) }),
      'The noise schedule "still" needs α to fall all the way: α(0) = 0 and α(0.015625) = 0.',
    ],
    [
      () => noiseSchedule({ name: "lossy", alpha: (t) => mul(sub(1, t), 0.9) }),
      'The noise schedule "lossy" needs α(0) = 1, or at least 0.99: α(0) = 0.9, and tokens that are lost at t = 0 no bound counts.',
    ],
    [() => geometric({ least: 0.1 }), 'The noise schedule "geometric" needs α(0) = 1'],
    [() => geometric({ least: 2, most: 1 }), "rises from least > 0 to most, got 2 and 1"],
    [() => absorbing({ vocab: 4, mask: 4 }), "The mask is one of the 4 tokens, and 4 is none."],
    [() => uniform({ vocab: 1 }), "needs at least two tokens, got 1"],
    [() => tokenOracle({ vocab: 3, sequences: [[0]] }, masks), "The corpus has 3 tokens, and the process 4."],
    [
      () => tokenOracle({ vocab: 4, sequences: [[0], [1, 2]] }, masks),
      "The sequences of a corpus have one length: sequence 1 has 2 tokens, the first has 1.",
    ],
    [
      () => tokenOracle({ vocab: 4, sequences: [[5]] }, masks),
      "Sequence 0 holds 5, which is no token of a vocabulary of 4.",
    ],
    [
      () => tokenOracle({ vocab: 4, sequences: [[0], [1]], weights: [1] }, masks),
      "one positive number for each of the 2 sequences",
    ],
  ])("%#: one sentence", (make, message) => {
    expect(make).toThrow(message);
  });

  it("a sampler without steps", () => {
    const options = { process: masks, schedule: logLinear(), steps: 0, length: 1 };
    expect(() =>
      evaluate({ keys: words([1, 2], [0, 1]) }, ({ keys }) =>
        ancestralSamples(
          (noised, { alpha }) =>
            masks.marginal(masks.posterior({ clean: alpha, noised, alphaT: alpha, alphaS: alpha }), alpha),
          options,
          keys,
        ),
      ),
    ).toThrow("A sampler takes a whole number of steps >= 1, got 0.");
  });
});
