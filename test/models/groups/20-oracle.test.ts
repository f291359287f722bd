/**
 * Group 20 on a corpus: the exact reverse of a process against enumeration by plain numbers; the bounds of MDLM, Duo and SEDD, integrated
 * over every noised text and over time, against −log p; Duo's link between a Gaussian latent and a uniform-state process; and the
 * frequencies of what ancestral samplers draw.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, broadcastTo, cast, constant, equal, exp, log, mean, random, softmax, zeros } from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../src/dsl/index.ts";
import type { Corpus } from "../../../src/models/flow/corpus.ts";
import { fold, key } from "../../../src/models/flow/host-random.ts";
import { absorbing, maskedBound, subs } from "../../../src/models/language/discrete/absorbing.ts";
import { gaussianDuality } from "../../../src/models/language/discrete/duality.ts";
import { tokenOracle } from "../../../src/models/language/discrete/oracle.ts";
import { corrupted } from "../../../src/models/language/discrete/process.ts";
import type { TokenProcess } from "../../../src/models/language/discrete/process.ts";
import { ancestralSamples, drawnTokens } from "../../../src/models/language/discrete/sampler.ts";
import { levelAt, logLinear } from "../../../src/models/language/discrete/schedule.ts";
import { absorbingRatios, absorbingScoreLoss } from "../../../src/models/language/discrete/score.ts";
import { uniform, uniformBound } from "../../../src/models/language/discrete/uniform.ts";
import { column, distance, floats, ints, list, numbers, openTargets, words } from "./support.ts";

/** Everything is lost at t = 1, so that a bound has no term at either end. */
const SCHEDULE = logLinear({ least: 0 });
const [MASK, LENGTH] = [3, 2];
const SEQUENCES = [[0, 1], [1, 2], [0, 0], [2, 1]] as const; // prettier-ignore
const WEIGHTS = [5, 2, 2, 1];
const TOTAL = WEIGHTS.reduce((a, b) => a + b, 0);
const corpusOf = (vocab: number): Corpus => ({ vocab, sequences: SEQUENCES, weights: WEIGHTS });

const masks = absorbing({ vocab: 4, mask: MASK });
const tokens3 = uniform({ vocab: 3 });
const ENTROPY = WEIGHTS.reduce((h, w) => h + (w / TOTAL) * Math.log(TOTAL / w), 0);

/** Every text of a vocabulary. */
const texts = (vocab: number): readonly (readonly [number, number])[] =>
  Array.from({ length: vocab ** LENGTH }, (_, i) => [Math.floor(i / vocab), i % vocab]);

/** Nodes and weights of Gauss and Legendre on [0, 1], by Newton's method. */
function gauss(count: number): readonly (readonly [t: number, weight: number])[] {
  return Array.from({ length: count }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    for (let n = 0; ; n++) {
      let [p0, p1] = [1, x];
      for (let k = 2; k <= count; k++) [p0, p1] = [p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k];
      const slope = (count * (x * p1 - p0)) / (x * x - 1);
      if (n === 8) return [(1 + x) / 2, 1 / ((1 - x * x) * slope ** 2)] as const;
      x -= p1 / slope;
    }
  });
}

/** q(x_t | x) of a text by plain numbers. */
const chance = (
  process: TokenProcess,
  noised: readonly number[],
  clean: readonly number[],
  alpha: number,
): number =>
  noised.reduce(
    (p, v, l) => p * (alpha * Number(v === clean[l]) + (1 - alpha) * (process.stationary[v] ?? 0)),
    1,
  );

/** Every sequence with every text it may become at every node: the rows of one run. */
const rowsOf = (process: TokenProcess, nodes: readonly (readonly [number, number])[]) =>
  SEQUENCES.flatMap((clean, k) =>
    nodes.flatMap(([t, weight]) =>
      texts(process.vocab).flatMap((noised) => {
        const p = chance(process, noised, clean, 1 - t);
        return p === 0 ? [] : [{ k, clean, noised, t, share: p * weight }];
      }),
    ),
  );
type Rows = ReturnType<typeof rowsOf>;

const inputsOf = (rows: Rows, noise: (noised: readonly number[]) => readonly number[], vocab: number) => ({
  tokens: ints([rows.length, LENGTH], rows.flatMap(({ clean }) => clean)),
  noised: ints([rows.length, LENGTH], rows.flatMap(({ noised }) => noised)),
  t: column(rows.map(({ t }) => Math.fround(t))),
  noise: floats([rows.length, LENGTH, vocab], rows.flatMap(({ noised }) => noise(noised))),
}); // prettier-ignore

/** The integral of a loss per token, for each sequence. */
const integrals = (rows: Rows, loss: { readonly data: ArrayLike<number> }): readonly number[] =>
  SEQUENCES.map((_, sequence) =>
    rows.reduce(
      (sum, { k, share }, row) =>
        k === sequence ? sum + share * ((loss.data[2 * row] ?? NaN) + (loss.data[2 * row + 1] ?? NaN)) : sum,
      0,
    ),
  );
const average = (values: readonly number[]): number =>
  values.reduce((sum, x, k) => sum + ((WEIGHTS[k] ?? NaN) / TOTAL) * x, 0);
const NLL = WEIGHTS.map((w) => Math.log(TOTAL / w));

/** Logits for every noised text, the same wherever it comes up. */
const noises = (vocab: number) =>
  numbers(LENGTH * vocab ** (LENGTH + 1), -1, 1).map((all) => (noised: readonly number[]) => {
    const place = noised.reduce((n, v) => n * vocab + v, 0);
    return all.slice(place * LENGTH * vocab, (place + 1) * LENGTH * vocab);
  });
const none = (vocab: number) => () => Array<number>(LENGTH * vocab).fill(0);

const COUNT = 8000;
/** Pearson's statistic of counts against probabilities. */
const pearson = (counts: readonly number[], probabilities: readonly number[]): number => {
  const total = counts.reduce((a, b) => a + b, 0);
  return counts.reduce(
    (x, n, i) => x + (n - total * (probabilities[i] ?? NaN)) ** 2 / (total * (probabilities[i] ?? NaN)),
    0,
  );
};
const keys = (seed: number, count: number) =>
  words([count, 2], Array.from({ length: count }, (_, i) => [...fold(key(seed), i)]).flat());

describe.each(await openTargets())("group 20, a corpus, on $name", ({ prepare, within }) => {
  it.each([masks, tokens3])(
    "$name: denoiser, cavity and ratios are those of enumeration",
    async (process) => {
      const { vocab } = process;
      const oracle = tokenOracle(corpusOf(vocab), process);
      const every = texts(vocab);
      const like = {
        noised: ints([every.length, LENGTH], every.flat()),
        alpha: column(every.map(() => 0.5)),
      };
      const run = await prepare(like, ({ noised, alpha }) => ({
        denoiser: oracle.denoiser(noised, alpha),
        others: oracle.fromOthers(noised, alpha),
        ratios: oracle.ratios(noised, alpha),
      }));
      await fc.assert(
        fc.asyncProperty(numbers(every.length, 0.05, 0.95), async (alphas) => {
          const found = await run({ ...like, alpha: column(alphas) });
          every.forEach((noised, row) => {
            const alpha = alphas[row] ?? NaN;
            const law = (text: readonly number[]): number =>
              SEQUENCES.reduce((p, y, k) => p + (WEIGHTS[k] ?? NaN) * chance(process, text, y, alpha), 0);
            const total = law(noised);
            // A text that cannot be has no posterior.
            if (total === 0) return;
            for (let l = 0; l < LENGTH; l++) {
              const others = SEQUENCES.map(
                (y, k) =>
                  (WEIGHTS[k] ?? NaN) * chance(process, noised.toSpliced(l, 1), y.toSpliced(l, 1), alpha),
              );
              const most = others.reduce((a, b) => a + b, 0);
              for (let v = 0; v < vocab; v++) {
                const at = (row * LENGTH + l) * vocab + v;
                const all = SEQUENCES.map((y, k) =>
                  y[l] === v ? (WEIGHTS[k] ?? NaN) * chance(process, noised, y, alpha) : 0,
                );
                const wanted = [
                  all.reduce((a, b) => a + b, 0) / total,
                  others.reduce((a, b, k) => a + (SEQUENCES[k]?.[l] === v ? b : 0), 0) / most,
                  law(noised.with(l, v)) / total,
                ] as const;
                expect(Math.abs((found.denoiser.data[at] ?? NaN) - wanted[0])).toBeLessThan(
                  within(1e-12, 1e-5),
                );
                expect(Math.abs((found.others.data[at] ?? NaN) - wanted[1])).toBeLessThan(
                  within(1e-12, 1e-5),
                );
                expect(Math.abs((found.ratios.data[at] ?? NaN) - wanted[2])).toBeLessThan(
                  within(1e-12, 1e-5) * (1 + wanted[2]),
                );
              }
            }
          });
        }),
        { numRuns: 6 },
      );
    },
  );

  it("MDLM and SEDD: the bound is the average over orders, and −log p for exact conditionals", async () => {
    // The integrand is a polynomial of degree 1 in t.
    const rows = rowsOf(masks, gauss(3));
    const oracle = tokenOracle(corpusOf(4), masks);
    const run = await prepare(inputsOf(rows, none(4), 4), ({ tokens, noised, t, noise }) => {
      const level = levelAt(SCHEDULE, t);
      const exact = log(add(oracle.denoiser(noised, level.alpha), 1e-7) as Tensor);
      const predicted = subs(masks, add(exact, noise) as Tensor, noised);
      const ratios = absorbingRatios(masks, exp(predicted) as Tensor, noised, level.alpha);
      return {
        predicted,
        bound: maskedBound(masks, predicted, { tokens, noised, level }),
        score: absorbingScoreLoss(masks, log(add(ratios, 1e-30)) as Tensor, { tokens, noised, level }),
      };
    });
    const property = async (noise: (noised: readonly number[]) => readonly number[], exact: boolean) => {
      const { predicted, bound, score } = await run(inputsOf(rows, noise, 4));
      const [found, byScore] = [integrals(rows, bound), integrals(rows, score)];
      /** log p of a clean token of a sequence given the places that are known. */
      const conditional = (k: number, l: number, known: readonly number[]): number => {
        const noised = SEQUENCES[k]?.map((v, i) => (known.includes(i) ? v : MASK)).join();
        const row = rows.findIndex((each) => each.k === k && each.noised.join() === noised);
        return predicted.data[(row * LENGTH + l) * 4 + (SEQUENCES[k]?.[l] ?? NaN)] ?? NaN;
      };
      const orders = SEQUENCES.map(
        (_, k) =>
          -(conditional(k, 0, []) + conditional(k, 1, [0]) + conditional(k, 1, []) + conditional(k, 0, [1])) /
          2,
      );
      expect(distance(found, orders)).toBeLessThan(within(1e-6, 1e-4));
      expect(distance(byScore, orders)).toBeLessThan(within(1e-6, 1e-3));
      if (exact) expect(distance(found, NLL)).toBeLessThan(within(2e-6, 1e-4));
      else expect(average(found)).toBeGreaterThan(ENTROPY);
    };
    await property(none(4), true);
    await fc.assert(
      fc.asyncProperty(noises(4), (noise) => property(noise, false)),
      { numRuns: 6 },
    );
  });

  it("Duo: the bound is −log p where x_θ is the clean token's law given the other places, and else more", async () => {
    // t = u³ takes away the singularity of the integrand, log t, at t = 0.
    const nodes = gauss(12).map(([u, w]) => [u ** 3, 3 * u ** 2 * w] as const);
    const rows = rowsOf(tokens3, nodes);
    const oracle = tokenOracle(corpusOf(3), tokens3);
    const run = await prepare(inputsOf(rows, none(3), 3), ({ tokens, noised, t, noise }) => {
      const level = levelAt(SCHEDULE, t);
      const row = { tokens, noised, level };
      const others = oracle.fromOthers(noised, level.alpha);
      const changed: Tensor = softmax(add(log(add(others, 1e-3)), noise) as Tensor);
      return {
        exact: uniformBound(tokens3, others, row),
        changed: uniformBound(tokens3, changed, row),
        seen: uniformBound(tokens3, oracle.denoiser(noised, level.alpha), row),
      };
    });
    await fc.assert(
      fc.asyncProperty(noises(3), async (noise) => {
        const { exact, changed, seen } = await run(inputsOf(rows, noise, 3));
        expect(distance(integrals(rows, exact), NLL)).toBeLessThan(within(2e-6, 2e-4));
        expect(average(integrals(rows, changed))).toBeGreaterThan(ENTROPY);
        // The posterior given all places, which has looked at x_t already, is not what the bound wants.
        expect(average(integrals(rows, seen))).toBeGreaterThan(ENTROPY + 0.05);
      }),
      { numRuns: 4 },
    );
  });

  it("the largest entry of Duo's latent is the clean token or, evenly, any other, with α = T(γ)", async () => {
    const vocab = 5;
    const duality = gaussianDuality({ vocab });
    const gammas = [-2.5, -1, 0.5, 2];
    const run = await prepare({ key: words([2], [...key(5)]), gamma: column(gammas) }, (inputs) => {
      const counts = [0, 3].map((token) => {
        const noise = random.normal(random.foldIn(inputs.key as random.Key, token), [
          gammas.length,
          COUNT,
          vocab,
        ]);
        const tokens = broadcastTo(constant([token], [1], "i32"), [gammas.length, COUNT]);
        const found = duality.discrete(duality.latent(tokens, noise, inputs.gamma));
        return Array.from({ length: vocab }, (_, v): Tensor => mean(cast(equal(found, v), "f32"), 1));
      });
      return { counts };
    });
    const { counts } = await run({ key: words([2], [...key(5)]), gamma: column(gammas) });
    gammas.forEach((gamma, i) => {
      const alpha = duality.alpha(gamma);
      [0, 3].forEach((token, j) => {
        const law = Array.from(
          { length: vocab },
          (_, v) => alpha * Number(v === token) + (1 - alpha) / vocab,
        );
        const observed = law.map((_, v) => COUNT * (counts[j]?.[v]?.data[i] ?? NaN));
        // Four degrees of freedom: beyond 23.5 in one of ten thousand.
        expect(pearson(observed, law)).toBeLessThan(23.5);
      });
    });
  });

  it("tokens are drawn with their probabilities, rare ones too", async () => {
    const law = [0.5, 0.25, 0.2, 0.04, 0.009, 0.001, 0].map(Math.fround);
    const like = { keys: keys(1, COUNT), law: floats([7], law) };
    const run = await prepare(like, (inputs) => ({
      tokens: drawnTokens(inputs.keys, broadcastTo(inputs.law, [COUNT, 1, 7])),
    }));
    const drawn = list((await run(like)).tokens);
    const counts = law.map((_, v) => drawn.filter((token) => token === v).length);
    expect(counts[6]).toBe(0);
    // Five degrees of freedom: beyond 25.7 in one of ten thousand.
    expect(pearson(counts.slice(0, 6), law.slice(0, 6))).toBeLessThan(25.7);
  });

  it.each([
    { process: masks, vocab: 4 },
    { process: tokens3, vocab: 3 },
  ])(
    "$process.name: ancestral samples of texts of one token have the corpus's law, in few steps",
    async ({ process, vocab }) => {
      const weights = [6, 3, 1];
      const oracle = tokenOracle({ vocab, sequences: [[0], [1], [2]], weights }, process);
      const like = { keys: keys(2, COUNT) };
      const sampler = { process, schedule: SCHEDULE, length: 1 };
      const run = await prepare(like, (inputs) => ({
        // What a process's own step is exact for, in any number of steps.
        drawn: ancestralSamples(
          (x, { alpha }) => oracle.fromOthers(x, alpha),
          { ...sampler, steps: 3 },
          inputs.keys,
        ),
        likely: ancestralSamples(
          (x, { alpha }) => oracle.fromOthers(x, alpha),
          { ...sampler, steps: 1, last: "most probable" },
          inputs.keys,
        ),
      }));
      const { drawn, likely } = await run(like);
      const counts = weights.map((_, v) => list(drawn).filter((token) => token === v).length);
      expect(counts.reduce((a, b) => a + b, 0)).toBe(COUNT);
      // Two degrees of freedom: beyond 18.4 in one of ten thousand.
      expect(
        pearson(
          counts,
          weights.map((w) => w / 10),
        ),
      ).toBeLessThan(18.4);
      // From no information at all the most probable token is always the same.
      expect(new Set(list(likely))).toEqual(new Set([0]));
    },
  );

  it.each([masks, tokens3])(
    "$name: many steps write the corpus's texts and few others; one step mixes them",
    async (process) => {
      const oracle = tokenOracle({ vocab: process.vocab, sequences: [[0, 1], [2, 2]] }, process); // prettier-ignore
      const count = 500;
      const like = { keys: keys(3, count) };
      const share = async (steps: number): Promise<readonly [first: number, others: number]> => {
        const run = await prepare(like, (inputs) => ({
          tokens: ancestralSamples(
            (x, { alpha }) => oracle.fromOthers(x, alpha),
            { process, schedule: SCHEDULE, steps, length: 2 },
            inputs.keys,
          ),
        }));
        const all = list((await run(like)).tokens);
        const found = Array.from({ length: count }, (_, i) => all.slice(2 * i, 2 * i + 2).join());
        const part = (text: string): number => found.filter((each) => each === text).length / count;
        return [part("0,1"), 1 - part("0,1") - part("2,2")];
      };
      const [few, many] = [await share(1), await share(48)];
      expect(Math.abs(few[1] - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / count));
      expect(many[1]).toBeLessThan(0.06);
      expect(Math.abs(many[0] - (1 - many[1]) / 2)).toBeLessThan(5 * Math.sqrt(0.25 / count));
    },
  );

  it("a token is lost where its uniform number is below 1 − α", async () => {
    const [rows, length] = [8, 300];
    const like = { uniforms: floats([rows, length], new Float64Array(rows * length)), alpha: column(Array<number>(rows).fill(0)) }; // prettier-ignore
    const run = await prepare(like, ({ uniforms, alpha }) => ({
      tokens: corrupted(zeros([rows, length], "i32"), constant([1], [1, 1], "i32"), alpha, uniforms),
    }));
    await fc.assert(
      fc.asyncProperty(numbers(rows * length, 0, 0.999), numbers(rows - 2, 0, 1), async (uniforms, some) => {
        const alphas = [0, ...some, 1];
        const { tokens } = await run({ uniforms: floats([rows, length], uniforms), alpha: column(alphas) });
        // Uniform numbers that are 1 − α to rounding may go either way.
        uniforms.forEach((u, i) => {
          const above = u - (1 - (alphas[Math.floor(i / length)] ?? NaN));
          if (Math.abs(above) > 1e-7) expect(tokens.data[i]).toBe(above < 0 ? 1 : 0);
        });
      }),
      { numRuns: 4 },
    );
  });
});
