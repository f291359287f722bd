/**
 * Groups 15 to 17: two phrases that steps keep apart and one factorized draw mixes; flow-map sampling with an exact map, and the law that
 * the γ-sampler keeps; samplers of a network on projected states, in one step, by key, in batches. That a trained flow map keeps phrases
 * apart is in examples/two-phrases.ts, which the tests of examples run. There is no swap of averaged weights to test: averages are a value
 * of their own, and nothing is written over.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, argmax, mean, mul, random, square, sub } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import { linear } from "../../../src/models/flow/interpolant.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { bridge } from "../../../src/models/flow/samplers/bridge.ts";
import { heun } from "../../../src/models/flow/samplers/integrators.ts";
import { sample } from "../../../src/models/flow/samplers/sample.ts";
import { projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import type { StateSpace } from "../../../src/models/flow/state-space.ts";
import { denoiser } from "../../../src/models/language/denoiser.ts";
import { eulerSchedule, gammaSchedule, samplerStep } from "../../../src/models/language/sampler.ts";
import type { SamplerStep } from "../../../src/models/language/sampler.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { scalarOf } from "../../support/evaluate.ts";
import type { Target } from "../../support/targets.ts";
import { exactDenoiser, keysOf, mixtures, PHRASES, textsOf, worldOf } from "../flow/samplers/support.ts";
import { normals, randomParams } from "../networks/random-weights.ts";
import { column, distance, floats, largest, list, openTargets } from "./support.ts";

const filled = (value: number, rows: number): ExactTensor => column(Array<number>(rows).fill(value));
const drawn = (shape: readonly number[], seed: number): ExactTensor => {
  const draw = normals(seed);
  return floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(draw())),
  );
};

const config: DitConfig = { vocab: 7, length: 3, width: 8, depth: 1, heads: 2, conditioning: 4 };
const clock = decodingError({ vocab: config.vocab });
const network = { euler: dit(config), gamma: dit({ ...config, targetTime: true }) };
type Kind = keyof typeof network;
const kinds: fc.Arbitrary<Kind> = fc.constantFrom("euler", "gamma");
const gammas = fc.double({ min: 0, max: 1, noNaN: true });
const scheduleOf = (kind: Kind, count: number, gamma: number): readonly SamplerStep[] =>
  kind === "euler" ? eulerSchedule(clock, count) : gammaSchedule(clock, count, gamma);

/** Compiled samplers of both networks for batches of so many rows: from z0 and noise on the vocabulary to all states and the last tokens. */
async function samplers(prepare: Target["prepare"], rows: number, space: StateSpace) {
  const inputsOf = (
    kind: Kind,
    params: ReturnType<typeof randomParams>,
    step: SamplerStep,
    state: ExactTensor,
    fresh: ExactTensor,
  ) => ({
    params,
    state,
    tau: filled(step.tau, rows),
    ...(kind === "gamma" ? { target: filled(step.target ?? NaN, rows) } : {}),
    stateWeight: scalarOf(step.state),
    denoiserWeight: scalarOf(step.denoiser),
    fresh: floats(fresh.shape, list(fresh).map((x) => x * step.noise)), // prettier-ignore
  });
  const shape = [rows, 3, 7] as const;
  const zeros = floats(shape, new Float64Array(21 * rows));
  const prepared = async (kind: Kind) => {
    const params = randomParams(network[kind].config, 0);
    const [first] = scheduleOf(kind, 1, 0);
    if (first === undefined) throw new Error("an empty schedule");
    const start = await prepare({ params, z0: zeros }, (input) => ({
      state: space.kind === "projected" ? vocabularySpace.embed(input.z0, (input.params as DitParams).embedding) : add(input.z0, 0) as Tensor, // prettier-ignore
    }));
    const { state } = await start({ params, z0: zeros });
    const move = await prepare(
      inputsOf(kind, params, first, state, zeros),
      ({ params: p, fresh, ...rest }) => {
        const noise =
          space.kind === "projected" ? vocabularySpace.embed(fresh, (p as DitParams).embedding) : fresh;
        return samplerStep(network[kind], p as DitParams, { ...rest, noise }, space);
      },
    );
    return { start, move };
  };
  const programs = { euler: await prepared("euler"), gamma: await prepared("gamma") };
  return async (
    kind: Kind,
    params: ReturnType<typeof randomParams>,
    schedule: readonly SamplerStep[],
    z0: ExactTensor,
    noise: readonly ExactTensor[],
  ) => {
    const { start, move } = programs[kind];
    const states = [(await start({ params, z0 })).state];
    let tokens: readonly number[] = [];
    for (const [i, step] of schedule.entries()) {
      const moved = await move(inputsOf(kind, params, step, states.at(-1) ?? z0, noise[i] ?? zeros));
      states.push(moved.state);
      tokens = list(moved.tokens);
    }
    return { states, tokens };
  };
}

describe.each(await openTargets())("on $name", ({ prepare, within }) => {
  describe("group 15: two phrases", () => {
    it("steps of the exact flow mix none of 200, one draw of each token on its own mixes half", async () => {
      const count = 200;
      const exact = exactDenoiser(PHRASES, linear);
      const like = { keys: keysOf(15, count) };
      const run = await prepare(like, ({ keys }) => {
        const steps = heun({ interpolant: linear, clock: decodingError({ vocab: 4 }) }, 24);
        const { tokens } = sample(exact, steps, { keys, world: worldOf(PHRASES) });
        // One step that draws its endpoint draws every token from D_0 by itself.
        const alone = bridge({ interpolant: linear, clock: uniformClock() }, 1);
        const { tokens: apart } = sample(exact, alone, { keys, world: worldOf(PHRASES) });
        return { tokens, apart };
      });
      const { tokens, apart } = await run(like);
      const texts = textsOf(tokens);
      expect(mixtures(PHRASES, texts)).toBe(0);
      const first = texts.filter((text) => text === "0 1").length;
      expect(Math.abs(first - count / 2)).toBeLessThan(4 * Math.sqrt(count / 4));
      expect(Math.abs(mixtures(PHRASES, textsOf(apart)) - count / 2)).toBeLessThan(4 * Math.sqrt(count / 4));
    });
  });

  describe("group 16: flow-map sampling", () => {
    const vocab = 5;
    const oracle = corpusOracle({ vocab, sequences: [[0, 1], [2, 3], [4, 1]], weights: [3, 2, 1] }); // prettier-ignore

    it("with γ = 0 and the exact map, any number of steps is the one jump", async () => {
      const STEPS = { steps: 48 };
      const like = { x: drawn([3, 2, vocab], 0), s: filled(0, 3), t: filled(1, 3) };
      const jump = await prepare(like, ({ x, s, t }) => ({ delta: oracle.twoTimeDenoiser(x, s, t, STEPS) }));
      const whole = await prepare(like, ({ x, s, t }) => {
        const map = oracle.flowMap(x, s, t, STEPS);
        return { map, change: sub(map, oracle.flowMap(x, s, t, { steps: 2 * STEPS.steps })) as Tensor };
      });
      await fc.assert(
        fc.asyncProperty(
          fc.nat(),
          fc.integer({ min: 2, max: 4 }),
          fc.constantFrom(uniformClock(), decodingError({ vocab })),
          async (seed, count, by) => {
            const z0 = drawn([3, 2, vocab], seed);
            let state = z0;
            for (const step of gammaSchedule(by, count, 0)) {
              const [s, t] = [by.time(step.tau), by.time(step.target ?? NaN)];
              const { delta } = await jump({ x: state, s: filled(s, 3), t: filled(t, 3) });
              state = floats(
                state.shape,
                list(state).map((z, i) => step.state * z + step.denoiser * (delta.data[i] ?? NaN)),
              );
              expect(step.noise).toBe(0);
              const { map, change } = await whole({ x: z0, s: filled(0, 3), t: filled(t, 3) });
              // Near a tie between sequences no number of steps resolves the flow.
              fc.pre(largest(change) < within(1e-6, 1e-4));
              expect(distance(state.data, map.data)).toBeLessThan(within(1e-5, 2e-3));
            }
          },
        ),
        { numRuns: 4 },
      );
    });

    it("a state whose denoiser is right keeps the signal t_n and the noise (1 − t_n)²; γ = 1 forgets the old noise", async () => {
      const count = 20_000;
      const steps = [0, 0.3, 0.8, 1].flatMap((gamma) =>
        gammaSchedule(uniformClock(), 3, gamma).map((step, i) => ({ ...step, gamma, next: (i + 1) / 3 })),
      );
      const weights = (pick: (step: (typeof steps)[number]) => number): ExactTensor =>
        column(steps.map(pick));
      const like = {
        key: floats([1], [0]),
        tau: weights(({ tau }) => tau),
        state: weights(({ state }) => state),
        denoiser: weights((step) => step.denoiser),
        noise: weights(({ noise }) => noise),
      };
      const run = await prepare(like, ({ key, ...given }) => {
        const [old, fresh] = random.split(random.key(16), 2).map((k): Tensor => random.normal(k, [count, 1]));
        const x1 = 0.7;
        // Rows are draws, columns steps; `key` only keeps the draws from being folded into constants.
        const noise: Tensor = add(old as Tensor, key);
        const before: Tensor = add(mul(given.tau, x1), mul(sub(1, given.tau), noise));
        const after: Tensor = add(
          add(mul(given.state, before), mul(given.denoiser, x1)),
          mul(given.noise, fresh as Tensor),
        );
        const centered: Tensor = sub(after, mean(after, 0));
        return {
          mean: mean(after, 0),
          variance: mean(square(centered), 0),
          shared: mean(mul(centered, noise) as Tensor, 0),
        };
      });
      const { mean: means, variance, shared } = await run(like);
      steps.forEach(({ next, gamma }, i) => {
        const sigma = 1 - next;
        expect(Math.abs((means.data[i] ?? NaN) - 0.7 * next)).toBeLessThan(
          (5 * sigma) / Math.sqrt(count) + within(1e-12, 5e-4),
        );
        expect(Math.abs((variance.data[i] ?? NaN) - sigma ** 2)).toBeLessThan(
          5 * sigma ** 2 * Math.sqrt(2 / count) + within(1e-12, 5e-5),
        );
        // Of the old noise √(1 − γ²) is left.
        expect(Math.abs((shared.data[i] ?? NaN) - sigma * Math.sqrt(1 - gamma ** 2))).toBeLessThan(
          0.04 * sigma + within(1e-12, 5e-5),
        );
      });
    });
  });

  describe("group 17: samplers of a network", () => {
    it("on projected states are those on the vocabulary, for the same noise; one step is the argmax of D_0, or of δ_{0,1}", async () => {
      const [plain, projected] = [
        await samplers(prepare, 3, vocabularySpace),
        await samplers(prepare, 3, projectedSpace()),
      ];
      const embed = await prepare(
        { state: drawn([3, 3, 7], 0), e: randomParams(config, 0).embedding },
        ({ state, e }) => ({
          seen: vocabularySpace.embed(state, e),
        }),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.nat(),
          kinds,
          fc.integer({ min: 1, max: 4 }),
          gammas,
          async (seed, kind, count, gamma) => {
            const params = randomParams(network[kind].config, seed);
            const z0 = drawn([3, 3, 7], seed + 1);
            const noise = Array.from({ length: count }, (_, i) => drawn([3, 3, 7], seed + 2 + i));
            const schedule = scheduleOf(kind, count, gamma);
            const [a, b] = [
              await plain(kind, params, schedule, z0, noise),
              await projected(kind, params, schedule, z0, noise),
            ];
            expect(b.tokens).toEqual(a.tokens);
            for (const [i, state] of a.states.entries()) {
              const { seen } = await embed({ state, e: params.embedding });
              expect(distance(seen.data, b.states[i]?.data ?? [])).toBeLessThan(within(1e-9, 2e-3));
            }
          },
        ),
        { numRuns: 6 },
      );
    });

    it("one step is the argmax of D_0, or of δ_{0,1}; rows do not see one another, and the same gives the same", async () => {
      const [three, one] = [
        await samplers(prepare, 3, vocabularySpace),
        await samplers(prepare, 1, vocabularySpace),
      ];
      const like = {
        params: randomParams(network.gamma.config, 0),
        z0: drawn([3, 3, 7], 0),
        zero: filled(0, 3),
        one: filled(1, 3),
      };
      const direct = await prepare(like, (input) => {
        const D = (kind: Kind, times: { readonly tau: Tensor; readonly target?: Tensor }) =>
          denoiser(network[kind], input.params as DitParams, vocabularySpace, input.z0, times);
        const [now, jumped] = [
          D("euler", { tau: input.zero }),
          D("gamma", { tau: input.zero, target: input.one }),
        ];
        return {
          euler: now,
          gamma: jumped,
          tokens: { euler: argmax(now, 2) as Tensor, gamma: argmax(jumped, 2) as Tensor },
        };
      });
      const row = (x: ExactTensor, i: number): ExactTensor =>
        floats([1, 3, 7], list(x).slice(21 * i, 21 * i + 21));
      await fc.assert(
        fc.asyncProperty(fc.nat(), kinds, gammas, async (seed, kind, gamma) => {
          const params = randomParams(network.gamma.config, seed);
          const { targetTime: _, ...once } = params;
          const weights = kind === "gamma" ? params : once;
          const z0 = drawn([3, 3, 7], seed + 1);
          const found = await three(kind, weights, scheduleOf(kind, 1, gamma), z0, []);
          const wanted = await direct({ ...like, params, z0 });
          expect(found.tokens).toEqual(list(wanted.tokens[kind]));
          expect(distance(found.states[1]?.data ?? [], wanted[kind].data)).toBeLessThan(within(1e-12, 1e-6));

          const noise = [drawn([3, 3, 7], seed + 2), drawn([3, 3, 7], seed + 3)];
          const schedule = scheduleOf(kind, 2, gamma);
          const together = await three(kind, weights, schedule, z0, noise);
          const again = await three(kind, weights, schedule, z0, noise);
          expect(again.states.map(list)).toEqual(together.states.map(list));
          const alone: number[] = [];
          for (const i of [0, 1, 2])
            alone.push(
              ...(
                await one(
                  kind,
                  weights,
                  schedule,
                  row(z0, i),
                  noise.map((x) => row(x, i)),
                )
              ).tokens,
            );
          expect(alone).toEqual(together.tokens);
        }),
        { numRuns: 4 },
      );
    });
  });
});
