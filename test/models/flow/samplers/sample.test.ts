/** Sampling the exact flow of a corpus: orders of convergence, jumps, laws, infilling, and keys. */
import { describe, expect, it, vi } from "vitest";
import { constant, gather, mul, random } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { uniformClock } from "../../../../src/models/flow/clock.ts";
import { flow } from "../../../../src/models/flow/flow.ts";
import { linear, mixed, trigonometric } from "../../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import type { Corpus } from "../../../../src/models/flow/corpus.ts";
import { sampleAdaptively } from "../../../../src/models/flow/samplers/adaptive.ts";
import { bridge } from "../../../../src/models/flow/samplers/bridge.ts";
import { euler, exponential, heun, midpoint } from "../../../../src/models/flow/samplers/integrators.ts";
import { gammaResampling, jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import { sample } from "../../../../src/models/flow/samplers/sample.ts";
import type { SampleInputs } from "../../../../src/models/flow/samplers/sample.ts";
import type { SampledDenoiser } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import type { Course, Schedule } from "../../../../src/models/flow/samplers/schedule.ts";
import { foldedKeys } from "../../../../src/models/flow/samplers/world.ts";
import type { TwoTimeDenoiser } from "../../../../src/models/flow/two-time.ts";
import { distance, evaluate, list } from "../../../support/evaluate.ts";
import type { ExactTensor } from "../../../../src/compiler/host-tensor.ts";
import { exactDenoiser, keysOf, mixtures, PHRASES, sampled, textsOf, worldOf } from "./support.ts";

vi.setConfig({ testTimeout: 60_000 });

const STRAIGHT: Course = { interpolant: linear, clock: uniformClock() };
const CURVED: Course = { interpolant: trigonometric, clock: uniformClock() };
const exactMap = (corpus: Corpus, { interpolant }: Course, steps = 64): TwoTimeDenoiser =>
  oracleMap(corpusOracle(corpus), interpolant, { steps });

/** Root of the mean square. */
const size = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, x) => sum + x ** 2, 0) / values.length);

describe.each([STRAIGHT, CURVED])("order of convergence, $interpolant.name interpolant", (course) => {
  const keys = keysOf(1, 16);
  const end = 0.7;
  const truth = list(sampled(PHRASES, exactMap(PHRASES, course, 128), jumps(course, 1, { end }), keys).state);
  const denoiser = exactDenoiser(PHRASES, course.interpolant);
  it.each([
    ["Euler", euler, 2],
    ["exponential", exponential, 2],
    ["Heun", heun, 4],
    ["midpoint", midpoint, 4],
  ] as const)(
    "%s: twice the steps divide the error by the power of two that is its order",
    (_, method, ratio) => {
      const [coarse = NaN, fine = NaN] = [96, 192].map((count) => {
        const found = list(sampled(PHRASES, denoiser, method(course, count, { end }), keys).state);
        return size(found.map((x, i) => x - (truth[i] as number)));
      });
      expect(coarse / fine / ratio).toBeGreaterThan(0.9);
      expect(coarse / fine / ratio).toBeLessThan(1.1);
    },
  );
});

describe("jumps of the exact map", () => {
  it.each([STRAIGHT, CURVED])(
    "in three steps and in one arrive at one state, $interpolant.name",
    (course) => {
      const keys = keysOf(3, 12);
      const map = exactMap(PHRASES, course);
      for (const end of [0.6, 1]) {
        const [one, three] = [1, 3].map((count) =>
          sampled(PHRASES, map, jumps(course, count, { end }), keys),
        );
        expect(distance(one?.state.data ?? [], three?.state.data ?? [])).toBeLessThan(1e-5);
        expect(textsOf(one?.tokens as ExactTensor)).toEqual(textsOf(three?.tokens as ExactTensor));
      }
    },
  );

  it("in one step are the most probable tokens of ψ_{0,1}; a step of FLM those of D_0", () => {
    const corpus: Corpus = { vocab: 3, sequences: [[0], [1], [2]], weights: [2, 3, 1] }; // prettier-ignore
    const keys = keysOf(4, 30);
    const denoiser = exactDenoiser(corpus, linear);
    // At t = 0 the posterior is the prior, and one step of FLM its mode, whatever the noise.
    for (const method of [euler, heun, midpoint])
      expect(new Set(textsOf(sampled(corpus, denoiser, method(STRAIGHT, 1), keys).tokens))).toEqual(
        new Set(["1"]),
      );
    expect(
      new Set(textsOf(sampled(corpus, exactMap(corpus, STRAIGHT), jumps(STRAIGHT, 1), keys).tokens)).size,
    ).toBe(3);
  });
});

describe("two phrases, 200 samples", () => {
  const keys = keysOf(2, 200);
  const told = (denoiser: SampledDenoiser, schedule: Schedule) => {
    const texts = textsOf(sampled(PHRASES, denoiser, schedule, keys).tokens);
    return { mixed: mixtures(PHRASES, texts), first: texts.filter((text) => text === "0 1").length };
  };
  it.each([
    ["one jump", exactMap(PHRASES, STRAIGHT), jumps(STRAIGHT, 1)],
    ["three jumps", exactMap(PHRASES, STRAIGHT), jumps(STRAIGHT, 3)],
    [
      "γ = 0.8, back by the endpoint",
      exactMap(PHRASES, STRAIGHT),
      gammaResampling(STRAIGHT, 4, { gamma: 0.8 }),
    ],
    [
      "γ = 0.8, back by the state",
      exactMap(PHRASES, CURVED),
      gammaResampling(CURVED, 3, { gamma: 0.8, back: "state" }),
    ],
    ["γ = 1", exactMap(PHRASES, STRAIGHT), gammaResampling(STRAIGHT, 2, { gamma: 1 })],
    ["Euler", exactDenoiser(PHRASES, linear), euler(STRAIGHT, 16)],
    ["bridge", exactDenoiser(PHRASES, trigonometric), bridge(CURVED, 24)],
  ] as const)("%s: no mixtures, and either phrase about as often", (_, denoiser, schedule) => {
    const { mixed, first } = told(denoiser, schedule);
    expect(mixed).toBe(0);
    // Of 200 fair draws, 4 standard deviations.
    expect(Math.abs(first - 100)).toBeLessThan(4 * Math.sqrt(50));
  });
});

describe("the law of the state, by Monte Carlo", () => {
  const COUNT = 4000;
  const corpora: Readonly<Record<string, Corpus>> = {
    "one token": { vocab: 3, sequences: [[0], [1], [2]], weights: [5, 3, 2] },
    "two tokens": { vocab: 3, sequences: [[0, 1], [2, 2]], weights: [3, 1] }, // prettier-ignore
  };
  /** Functions of a state: coordinates, their products, and the largest coordinate. */
  function moments(state: ExactTensor): readonly number[][] {
    const dim = (state.shape[1] ?? 0) * (state.shape[2] ?? 0);
    const all = list(state);
    return Array.from({ length: COUNT }, (_, i) => {
      const x = all.slice(i * dim, (i + 1) * dim);
      return [...x, ...x.flatMap((a, j) => x.slice(j).map((b) => a * b)), Math.max(...x)];
    });
  }
  /** Largest difference of the means of two sets of samples, in standard deviations of that difference. */
  function apart(a: readonly number[][], b: readonly number[][]): number {
    const mean = (rows: readonly number[][], f: (row: readonly number[]) => number): number =>
      rows.reduce((sum, row) => sum + f(row), 0) / rows.length;
    return Math.max(
      ...(a[0] ?? []).map((_, j) => {
        const [one, two] = [a, b].map((rows) => {
          const average = mean(rows, (row) => row[j] as number);
          return { average, spread: mean(rows, (row) => ((row[j] as number) - average) ** 2) / rows.length };
        });
        return (
          Math.abs((one?.average ?? NaN) - (two?.average ?? NaN)) /
          Math.sqrt((one?.spread ?? NaN) + (two?.spread ?? NaN))
        );
      }),
    );
  }
  /** I_t itself: α x₀ + β x₁ of drawn noise and drawn texts. */
  const exact = (corpus: Corpus, course: Course, t: number): ExactTensor =>
    evaluate({ keys: keysOf(77, COUNT) }, ({ keys }) => {
      const world = worldOf(corpus);
      const { sequences, weights = [] } = corpus;
      const logits: Tensor = constant(weights.map(Math.log), [1, weights.length]);
      const which = random.categorical(
        random.key(5),
        mul(logits, constant(Array<number>(COUNT).fill(1), [COUNT, 1])) as Tensor,
      );
      const length = sequences[0]?.length ?? 0;
      const texts = constant(sequences.flat(), [sequences.length, length], "i32");
      return interpolated(world, course, t, keys, texts, which as Tensor);
    });
  const interpolated = (
    world: ReturnType<typeof worldOf>,
    { interpolant }: Course,
    t: number,
    keys: Tensor,
    texts: Tensor,
    which: Tensor,
  ): Tensor => {
    const at = constant(Array<number>(COUNT).fill(t), [COUNT]);
    const clean = world.clean(gather(texts, which as Tensor<[], "i32">));
    return mixed({ alpha: interpolant.alpha(at), beta: interpolant.beta(at) }, world.noise(keys), clean);
  };
  const end = 0.55;
  const found = (corpus: Corpus, denoiser: TwoTimeDenoiser, schedule: Schedule, course: Course): number =>
    apart(
      moments(sampled(corpus, denoiser, schedule, keysOf(5, COUNT)).state),
      moments(exact(corpus, course, end)),
    );

  it.each([0, 0.5, 1, 3])(
    "of one token, a bridge of rate %d keeps it exactly, in one step and in four",
    (rate) => {
      const corpus = corpora["one token"] as Corpus;
      for (const course of [STRAIGHT, CURVED])
        for (const count of [1, 4]) {
          const schedule = bridge(course, count, { rate, end });
          expect(found(corpus, exactDenoiser(corpus, course.interpolant), schedule, course)).toBeLessThan(4);
        }
    },
  );

  it("of two tokens, jumps and γ-resampling back by the state keep it exactly; a bridge of one step does not", () => {
    const corpus = corpora["two tokens"] as Corpus;
    const map = exactMap(corpus, STRAIGHT, 10);
    expect(found(corpus, map, jumps(STRAIGHT, 1, { end }), STRAIGHT)).toBeLessThan(4);
    const resampled = gammaResampling(STRAIGHT, 2, { gamma: 0.6, back: "state", end });
    expect(found(corpus, map, resampled, STRAIGHT)).toBeLessThan(4);
    const denoiser = exactDenoiser(corpus, linear);
    expect(found(corpus, denoiser, bridge(STRAIGHT, 1, { end }), STRAIGHT)).toBeGreaterThan(6);
    expect(found(corpus, denoiser, bridge(STRAIGHT, 24, { end }), STRAIGHT)).toBeLessThan(5);
  });
});

describe("infilling", () => {
  const CITY: Corpus = { vocab: 6, sequences: [[0, 1, 2], [3, 4, 5]] }; // prettier-ignore
  const given = (row: readonly number[], count: number) => (): Partial<SampleInputs> => ({
    given: constant(Array.from({ length: count }, () => row).flat(), [count, row.length], "i32"),
  });
  it.each([
    ["Euler", euler(STRAIGHT, 24)],
    ["Heun", heun(STRAIGHT, 24)],
    ["γ = 1", gammaResampling(CURVED, 24, { gamma: 1 })],
    ["bridge", bridge(CURVED, 24)],
  ] as const)("%s: two words of three determine the third", (_, schedule) => {
    const denoiser = exactDenoiser(
      CITY,
      schedule.name === "Euler" || schedule.name === "Heun" ? linear : trigonometric,
    );
    for (const [row, whole] of [
      [[0, -1, 2], "0 1 2"],
      [[-1, 4, 5], "3 4 5"],
    ] as const)
      // prettier-ignore
      expect(new Set(textsOf(sampled(CITY, denoiser, schedule, keysOf(6, 100), given(row, 100)).tokens))).toEqual(new Set([whole]));
  });
  it("keeps a given word, and its exact state at the end, also where the rest does not follow it", () => {
    const denoiser = exactDenoiser(PHRASES, linear);
    const keys = keysOf(7, 200);
    const answer = (schedule: Schedule) => sampled(PHRASES, denoiser, schedule, keys, given([0, -1], 200));
    const texts = [euler(STRAIGHT, 16), gammaResampling(STRAIGHT, 64, { gamma: 1 })].map((schedule) => {
      const { state, tokens } = answer(schedule);
      list(state).forEach((x, i) => i % 8 < 4 && expect(x).toBe(i % 8 === 0 ? 1 : 0));
      return textsOf(tokens);
    });
    for (const all of texts) expect(all.every((text) => text.startsWith("0"))).toBe(true);
    // Where the noise speaks strongly for the other phrase, the drift alone stays with it; fresh noise lets it leave.
    const [followed = NaN, resampled = NaN] = texts.map((all) => mixtures(PHRASES, all));
    expect(followed).toBeLessThan(60);
    expect(resampled).toBeLessThan(20);
    expect(resampled).toBeLessThan(followed);
  });
});

describe("keys", () => {
  const denoiser = exactDenoiser(PHRASES, linear);
  const ways: readonly (readonly [string, (keys: ExactTensor) => readonly number[]])[] = [
    ...[
      heun(STRAIGHT, 5),
      gammaResampling(STRAIGHT, 5, { gamma: 0.7 }),
      bridge(STRAIGHT, 5, { end: 0.8 }),
    ].map(
      (schedule) =>
        [
          schedule.name,
          (keys: ExactTensor) => list(sampled(PHRASES, denoiser, schedule, keys).state),
        ] as const,
    ),
    [
      "adaptive",
      (keys) =>
        list(
          evaluate({ keys }, ({ keys: each }) =>
            sampleAdaptively(
              denoiser,
              STRAIGHT,
              { tolerance: 0.05 },
              { keys: each, world: worldOf(PHRASES) },
            ),
          ).state,
        ),
    ],
  ];
  it.each(ways)("%s: a sample is a function of its key, and of nothing else in the batch", (_, run) => {
    const together = run(keysOf(8, 4));
    expect(run(keysOf(8, 4))).toEqual(together);
    expect(run(keysOf(9, 4))).not.toEqual(together);
    Array.from({ length: 4 }, (__, i) =>
      expect(distance(run(keysOf(8, 1, i)), together.slice(i * 8, (i + 1) * 8))).toBeLessThan(1e-12),
    );
  });
  it("fresh noise is not the first noise, and not the same twice", () => {
    const { calls } = gammaResampling(STRAIGHT, 3, { gamma: 1 });
    const states = [1, 2].map((count) => {
      const schedule = { name: "", endpoint: "expected" as const, end: { t: 0.5, tau: 0.5, rate: 1 } };
      // The endpoint left out: the state is the last fresh noise.
      const noise = calls.slice(0, count).map((call) => ({ ...call, state: 0, denoiser: 0, noise: 1 }));
      return list(sampled(PHRASES, denoiser, { ...schedule, calls: noise }, keysOf(8, 2)).state);
    });
    const first = list(
      evaluate({ keys: keysOf(8, 2) }, ({ keys }) => worldOf(PHRASES).noise(foldedKeys(keys, 0))),
    );
    for (const [a, b] of [
      [states[0], states[1]],
      [states[0], first],
      [states[1], first],
    ] as const)
      // prettier-ignore
      expect(distance(a ?? [], b ?? [])).toBeGreaterThan(0.5);
  });
});

describe("the prior's scale", () => {
  it("multiplies the first noise", () => {
    const keys = keysOf(10, 3);
    const start = (scale: number) =>
      list(
        sampled(PHRASES, exactDenoiser(PHRASES, linear), euler(STRAIGHT, 1, { end: 1e-9 }), keys, () => ({
          priorScale: scale,
        })).state,
      );
    const one = start(1);
    start(0.5).forEach((x, i) => expect(Math.abs(x - (one[i] as number) / 2)).toBeLessThan(1e-6));
  });
});

it("a schedule without calls, and one that begins in the middle of a step, are refused", () => {
  const { calls, ...rest } = heun(STRAIGHT, 2);
  for (const some of [[], calls.slice(1)])
    expect(() =>
      evaluate({ keys: keysOf(1, 1) }, ({ keys }) =>
        sample(exactDenoiser(PHRASES, linear), { ...rest, calls: some }, { keys, world: worldOf(PHRASES) }),
      ),
    ).toThrow("A schedule has at least one call, and the first begins a step.");
});

it("a prediction of noise is sampled from a little after t = 0, where it says nothing of the text", () => {
  const declared = flow({ name: "noise", predicts: "noise" });
  const exact = exactDenoiser(PHRASES, linear);
  const noise: TwoTimeDenoiser = {
    interpolant: linear,
    point: (value) => value,
    denoiser: (x, s, t) => {
      const predicted = declared.convert(exact.denoiser(x, s, t), "clean point", "noise", x, s.t);
      return declared.convert(predicted, "noise", "clean point", x, s.t);
    },
  };
  for (const method of [euler, heun]) {
    const by = (denoiser: TwoTimeDenoiser, start: number) =>
      sampled(
        PHRASES,
        denoiser,
        method({ interpolant: linear, clock: uniformClock() }, 8, { start }),
        keysOf(3, 4),
      );
    expect(list(by(noise, 0).state).every(Number.isFinite)).toBe(false);
    expect(distance(by(noise, 0.02).state.data, by(exact, 0.02).state.data)).toBeLessThan(1e-9);
  }
  for (const start of [-0.1, 0.6, NaN])
    expect(() => euler(declared, 4, { start, end: 0.6 })).toThrow("A schedule begins at a clock time from 0");
});
