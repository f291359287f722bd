/** Samplers by the groups of the specification: 16 flow-map sampling, 17 projected states, one step, determinism, batches. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { add, argmax, mul, outputSpec, random, stack, trace } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { drawNoise, projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import type { StateSpace } from "../../../src/models/flow/state-space.ts";
import { denoiser } from "../../../src/models/language/denoiser.ts";
import { eulerSchedule, gammaSchedule, samplerStep } from "../../../src/models/language/sampler.ts";
import type { SamplerStep } from "../../../src/models/language/sampler.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { samplerFactor, samplerNoise } from "../../../src/models/training/programs.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { compiled, constants, distance, evaluate, floats, list, scalarOf } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const steps = fc.integer({ min: 1, max: 9 });
const gammas = fc.double({ min: 0, max: 1, noNaN: true });
const column = (value: number, rows: number): ExactTensor => floats([rows], Array(rows).fill(value));
const drawn = (shape: readonly number[], seed: number): ExactTensor => {
  const draw = normals(seed);
  return floats(shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw));
};

describe("group 16: the γ-sampler", () => {
  const vocab = 5;
  const oracle = corpusOracle({
    vocab,
    sequences: [
      [0, 1],
      [2, 3],
      [4, 1],
    ],
    weights: [3, 2, 1],
  });

  it("with γ = 0 and the exact map, any number of steps is the one jump", () => {
    const jump = compiled({ x: drawn([3, 2, vocab], 0), s: column(0, 3), t: column(1, 3) }, ({ x, s, t }) =>
      oracle.twoTimeDenoiser(x, s, t),
    );
    const map = compiled({ x: drawn([3, 2, vocab], 0), s: column(0, 3), t: column(1, 3) }, ({ x, s, t }) =>
      oracle.flowMap(x, s, t),
    );
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 2, max: 4 }),
        fc.constantFrom(uniformClock(), decodingError({ vocab })),
        (seed, count, clock) => {
          const z0 = drawn([3, 2, vocab], seed);
          let state = z0;
          for (const step of gammaSchedule(clock, count, 0)) {
            const [s, t] = [clock.time(step.tau), clock.time(step.target ?? NaN)];
            const delta = jump({ x: state, s: column(s, 3), t: column(t, 3) });
            state = floats(
              state.shape,
              list(state).map((z, i) => step.state * z + step.denoiser * (delta.data[i] ?? NaN)),
            );
            expect(step.noise).toBe(0);
            expect(distance(state.data, map({ x: z0, s: column(0, 3), t: column(t, 3) }).data)).toBeLessThan(
              1e-5,
            );
          }
        },
      ),
      { numRuns: 4 },
    );
  });

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

const config: DitConfig = { vocab: 7, length: 3, width: 8, depth: 2, heads: 2, conditioning: 4 };
const clock = decodingError({ vocab: config.vocab });

/** Everything a run of a sampler gives: all states and the last tokens. `noise` is per step, on the vocabulary. */
function runSampler(
  network: ReturnType<typeof dit>,
  params: unknown,
  schedule: readonly SamplerStep[],
  z0: ExactTensor,
  noise: readonly ExactTensor[],
  space: StateSpace,
) {
  const rows = z0.shape[0] ?? 0;
  const twoTimes = network.config.targetTime === true;
  const inputsOf = (step: SamplerStep, state: ExactTensor, fresh: ExactTensor) => ({
    params: params as ReturnType<typeof randomParams>,
    state,
    tau: column(step.tau, rows),
    target: column(step.target ?? 0, rows),
    stateWeight: scalarOf(step.state),
    denoiserWeight: scalarOf(step.denoiser),
    fresh: floats(
      fresh.shape,
      list(fresh).map((x) => x * step.noise),
    ),
  });
  /** Noise of the vocabulary as the space sees it. */
  const seen = (x: Tensor, embedding: Tensor): Tensor =>
    space.kind === "projected" ? vocabularySpace.embed(x, embedding) : x;
  const start = evaluate({ params: params as ReturnType<typeof randomParams>, z0 }, (input) =>
    seen(input.z0, (input.params as DitParams).embedding),
  );
  const first = schedule[0];
  if (first === undefined) throw new Error("an empty schedule");
  const move = compiled(inputsOf(first, start, z0), ({ params: p, fresh, target, ...rest }) => {
    const inputs = { ...rest, noise: seen(fresh, (p as DitParams).embedding) };
    return samplerStep(network, p as DitParams, twoTimes ? { ...inputs, target } : inputs, space);
  });
  const states = [start];
  let tokens: ExactTensor = start;
  schedule.forEach((step, i) => {
    const moved = move(inputsOf(step, states.at(-1) ?? start, noise[i] ?? z0));
    states.push(moved.state);
    tokens = moved.tokens;
  });
  return { states, tokens: list(tokens) };
}

const network = { euler: dit(config), gamma: dit({ ...config, targetTime: true }) };
const kinds = fc.constantFrom("euler" as const, "gamma" as const);
const scheduleOf = (kind: "euler" | "gamma", count: number, gamma: number): readonly SamplerStep[] =>
  kind === "euler" ? eulerSchedule(clock, count) : gammaSchedule(clock, count, gamma);

describe("group 17: samplers of a network", () => {
  it("on projected states are those on the vocabulary, for the same noise", () => {
    fc.assert(
      fc.property(fc.nat(), kinds, fc.integer({ min: 1, max: 4 }), gammas, (seed, kind, count, gamma) => {
        const params = randomParams(network[kind].config, seed);
        const z0 = drawn([3, 3, 7], seed + 1);
        const noise = Array.from({ length: count }, (_, i) => drawn([3, 3, 7], seed + 2 + i));
        const schedule = scheduleOf(kind, count, gamma);
        const plain = runSampler(network[kind], params, schedule, z0, noise, vocabularySpace);
        const projected = runSampler(network[kind], params, schedule, z0, noise, projectedSpace());
        expect(projected.tokens).toEqual(plain.tokens);
        plain.states.forEach((state, i) => {
          const seen = evaluate({ state, e: params.embedding }, (input) =>
            vocabularySpace.embed(input.state, input.e),
          );
          expect(distance(seen.data, projected.states[i]?.data ?? [])).toBeLessThan(1e-9);
        });
      }),
      { numRuns: 6 },
    );
  });

  it("one step is the argmax of D_0, or of δ_{0,1}", () => {
    fc.assert(
      fc.property(fc.nat(), kinds, gammas, (seed, kind, gamma) => {
        const params = randomParams(network[kind].config, seed);
        const z0 = drawn([2, 3, 7], seed + 1);
        const { tokens, states } = runSampler(
          network[kind],
          params,
          scheduleOf(kind, 1, gamma),
          z0,
          [],
          vocabularySpace,
        );
        const direct = evaluate({ params, z0, zero: column(0, 2), one: column(1, 2) }, (input) => {
          const times = kind === "euler" ? { tau: input.zero } : { tau: input.zero, target: input.one };
          const probabilities = denoiser(
            network[kind],
            input.params as DitParams,
            vocabularySpace,
            input.z0,
            times,
          );
          return { tokens: argmax(probabilities, 2) as Tensor, probabilities };
        });
        expect(tokens).toEqual(list(direct.tokens));
        expect(distance(states[1]?.data ?? [], direct.probabilities.data)).toBeLessThan(1e-12);
      }),
      { numRuns: 6 },
    );
  });

  it("rows do not see one another: a batch gives what its rows give alone, and the same again", () => {
    fc.assert(
      fc.property(fc.nat(), kinds, (seed, kind) => {
        const params = randomParams(network[kind].config, seed);
        const z0 = drawn([3, 3, 7], seed + 1);
        const noise = [drawn([3, 3, 7], seed + 2), drawn([3, 3, 7], seed + 3)];
        const schedule = scheduleOf(kind, 2, 0.7);
        const together = runSampler(network[kind], params, schedule, z0, noise, vocabularySpace);
        const again = runSampler(network[kind], params, schedule, z0, noise, vocabularySpace);
        expect(again.states.map(list)).toEqual(together.states.map(list));
        const row = (x: ExactTensor, i: number): ExactTensor =>
          floats([1, 3, 7], list(x).slice(21 * i, 21 * i + 21));
        const alone = [0, 1, 2].flatMap(
          (i) =>
            runSampler(
              network[kind],
              params,
              schedule,
              row(z0, i),
              noise.map((x) => row(x, i)),
              vocabularySpace,
            ).tokens,
        );
        expect(alone).toEqual(together.tokens);
      }),
      { numRuns: 4 },
    );
  });

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
