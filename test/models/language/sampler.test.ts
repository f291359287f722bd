/** Schedules of FLM and FMLM (group 16 for plain numbers), and the noise of samplers. What holds on every device is in ../groups. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { add, mul, outputSpec, random, stack, trace } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import { drawNoise, projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import type { StateSpace } from "../../../src/models/flow/state-space.ts";
import { eulerSchedule, gammaSchedule } from "../../../src/models/language/sampler.ts";
import { samplerFactor, samplerNoise } from "../../../src/models/training/programs.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { constants, distance, list } from "../../support/evaluate.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const steps = fc.integer({ min: 1, max: 9 });
const gammas = fc.double({ min: 0, max: 1, noNaN: true });
describe("group 16: the γ-sampler", () => {
  it("keeps the signal coefficient t_n and the noise variance (1 − t_n)² exactly", () => {
    fc.assert(
      fc.property(steps, gammas, fc.integer({ min: 2, max: 5000 }), (count, gamma, size) => {
        const clock = decodingError({ vocab: size });
        gammaSchedule(clock, count, gamma).forEach((step, i) => {
          const [time, next] = [clock.time(step.tau), i === count - 1 ? 1 : clock.time((i + 1) / count)];
          // A state t x₁ + (1−t) ε whose denoiser is right, δ = x₁.
          expect(step.state * time + step.denoiser).toBeCloseTo(next, 12);
          expect((step.state * (1 - time)) ** 2 + step.noise ** 2).toBeCloseTo((1 - next) ** 2, 12);
          expect(step.target ?? NaN).toBeGreaterThanOrEqual(clock.tau(next) - 1e-12);
        });
      }),
    );
  });

  it("γ = 1 restarts from fresh noise: t_n δ_{t_c,1} + (1 − t_n) ε; γ = 0 is the flow map", () => {
    fc.assert(
      fc.property(steps, (count) => {
        const clock = uniformClock();
        gammaSchedule(clock, count, 1).forEach(({ tau, target, state, denoiser: weight, noise }, i) => {
          const next = (i + 1) / count;
          expect([tau, target]).toEqual([i / count, 1]);
          for (const [actual, expected] of [
            [state, 0],
            [weight, next],
            [noise, i === count - 1 ? 0 : 1 - next],
          ] as const)
            expect(actual).toBeCloseTo(expected, 12);
        });
        gammaSchedule(clock, count, 0).forEach(({ state, denoiser: weight, noise, target }, i) => {
          expect(target).toBeCloseTo((i + 1) / count, 12);
          expect(state).toBeCloseTo((count - i - 1) / (count - i), 12);
          expect(weight).toBeCloseTo(1 / (count - i), 12);
          expect(noise).toBe(0);
        });
      }),
    );
  });

  it.each([0, 1.5, NaN])("refuses %d steps", (count) => {
    expect(() => eulerSchedule(uniformClock(), count)).toThrow(`a whole number of steps >= 1, got ${count}`);
    expect(() => gammaSchedule(uniformClock(), count, 0.5)).toThrow(
      `a whole number of steps >= 1, got ${count}`,
    );
  });
});

describe("noise of samplers", () => {
  it("noise is a function of its key, in every space; drawn on the vocabulary it is the projection of the plain noise", () => {
    const { noises, gap } = constants(() => {
      const table: Tensor = random.normal(random.key(1), [30, 4]);
      const draw = (space: StateSpace, seed: number): Tensor => space.noise(random.key(seed), [2, 3], table);
      const spaces = [vocabularySpace, projectedSpace(), projectedSpace("vocabulary")];
      const plain = vocabularySpace.embed(draw(vocabularySpace, 5), table);
      return {
        noises: spaces.map((space) => [draw(space, 5), draw(space, 5), draw(space, 6)]),
        gap: add(plain, mul(draw(projectedSpace("vocabulary"), 5), -1)) as Tensor,
      };
    });
    for (const [a, b, c] of noises as readonly ExactTensor[][]) {
      if (a === undefined || b === undefined || c === undefined) throw new Error("three were drawn");
      expect(list(a)).toEqual(list(b));
      expect(distance(a.data, c.data)).toBeGreaterThan(0.1);
    }
    expect(Math.max(...list(gap).map(Math.abs))).toBeLessThan(1e-12);
  });

  it("noise from the factor of a table is that of the table, for one key and for a key per row", () => {
    for (const [vocab, width] of [
      [30, 4],
      [4, 6],
    ] as const) {
      const { pairs } = constants(() => {
        const table: Tensor = random.normal(random.key(1), [vocab, width]);
        const keys = [random.key(5), stack([random.key(6), random.key(7)])] as readonly Tensor<[2], "u32">[];
        const spaces = [vocabularySpace, projectedSpace(), projectedSpace("vocabulary")];
        return {
          pairs: spaces.flatMap((space) =>
            keys.map((key) => [
              space.noise(key, [2, 3], table),
              drawNoise(space.noiseFactor(table), key, [2, 3], vocab),
            ]),
          ),
        };
      });
      expect(pairs).toHaveLength(6);
      for (const [noise, drawn] of pairs as unknown as readonly (readonly ExactTensor[])[])
        expect(drawn).toEqual(noise);
    }
  });

  it("the noise of samples does without the root of the table, which is computed apart", () => {
    const given: ModelOptions = {
      network: { vocab: 30, length: 3, width: 4, depth: 1, heads: 1, conditioning: 4 },
      batch: 2,
      space: "projected",
      beta1: 0.9,
      beta2: 0.99,
      weightDecay: 0,
      clip: 1,
      emaDecay: 0.99,
    };
    const params = weightsSpec(given.network);
    const ops = (f: unknown): readonly string[] =>
      inlineCalls(trace(f as never).program).equations.map(({ op }) => op);
    const factor = samplerFactor(given, params);
    expect(ops(factor)).toContain("scan");
    expect(ops(samplerNoise(given, outputSpec(factor)))).not.toContain("scan");
    expect(outputSpec(samplerFactor({ ...given, space: "vocabulary" }, params))).toEqual({});
  });
});
