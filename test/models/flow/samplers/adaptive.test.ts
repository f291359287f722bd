/** Steps of chosen length, on the exact flow of a corpus. */
import { describe, expect, it, vi } from "vitest";
import { concat, expandDims, mul, ones, sigmoid, sub, sum } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { uniformClock } from "../../../../src/models/flow/clock.ts";
import { blockCausal, positioned } from "../../../../src/models/flow/schedule.ts";
import { linear } from "../../../../src/models/flow/interpolant.ts";
import { oracleMap } from "../../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import type { Corpus } from "../../../../src/models/flow/corpus.ts";
import { sampleAdaptively } from "../../../../src/models/flow/samplers/adaptive.ts";
import { jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import type { SampledDenoiser } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import type { Course } from "../../../../src/models/flow/samplers/schedule.ts";
import type { TwoTimeDenoiser } from "../../../../src/models/flow/two-time.ts";
import { distance, evaluate, list } from "../../../support/evaluate.ts";
import { exactDenoiser, keysOf, mixtures, PHRASES, sampled, textsOf, worldOf } from "./support.ts";

vi.setConfig({ testTimeout: 60_000 });

const STRAIGHT: Course = { interpolant: linear, clock: uniformClock() };
const exactMap = (corpus: Corpus, { interpolant }: Course, steps = 64): TwoTimeDenoiser =>
  oracleMap(corpusOracle(corpus), interpolant, { steps });

describe("steps of chosen length", () => {
  const run = (
    denoiser: SampledDenoiser,
    tolerance: number,
    more: { shortest?: number; longest?: number } = {},
  ) =>
    evaluate({ keys: keysOf(11, 24) }, ({ keys }) =>
      sampleAdaptively(denoiser, STRAIGHT, { tolerance, ...more }, { keys, world: worldOf(PHRASES) }),
    );
  const truth = list(
    sampled(PHRASES, exactMap(PHRASES, STRAIGHT), jumps(STRAIGHT, 1), keysOf(11, 24)).tokens,
  );
  it("with the exact map go all the way at once, and are bounded by the longest", () => {
    const { steps, tokens } = run(exactMap(PHRASES, STRAIGHT), 1e-3);
    expect(new Set(list(steps))).toEqual(new Set([1]));
    expect(list(tokens)).toEqual(truth);
    expect(new Set(list(run(exactMap(PHRASES, STRAIGHT), 1e-3, { longest: 2 }).steps))).toEqual(new Set([4]));
  });
  it("with a denoiser that is held are more for a smaller tolerance, and come closer", () => {
    const denoiser = exactDenoiser(PHRASES, linear);
    const counts = [0.3, 0.1, 0.03].map((tolerance) => {
      const { steps, tried, tokens } = run(denoiser, tolerance);
      expect(list(tokens)).toEqual(truth);
      list(steps).forEach((taken, i) => expect(list(tried)[i]).toBeGreaterThanOrEqual(taken));
      return list(steps).reduce((sum, taken) => sum + taken, 0);
    });
    expect(counts[0]).toBeLessThan(counts[1] as number);
    expect(counts[1]).toBeLessThan(counts[2] as number);
  });
  it("are no shorter than the shortest, whatever the tolerance", () => {
    const { steps } = run(exactDenoiser(PHRASES, linear), 1e-12, { shortest: 3 });
    expect(Math.max(...list(steps))).toBeLessThanOrEqual(8);
  });
  it("are at the time that they tell the denoiser, also after they grow again", () => {
    // From no noise, the numbers of a token sum to t whatever the steps were; the denoiser turns from one token to another around 0.3.
    const suspicious: TwoTimeDenoiser = {
      interpolant: linear,
      point: (value) => value,
      denoiser(x, { t }) {
        const turned = expandDims(expandDims(sigmoid(mul(sub(t, 0.3) as Tensor, 60) as Tensor), 1), 2);
        const off: Tensor = sub(sum(x, 2, { keepDims: true }) as Tensor, expandDims(expandDims(t, 1), 2));
        const weights = mul(expandDims(ones([1, 2]), 2), turned) as Tensor;
        return concat([sub(1, weights) as Tensor, weights, off, mul(off, 0) as Tensor], 2);
      },
    };
    const { state, steps, tried } = evaluate({ keys: keysOf(1, 1) }, ({ keys }) =>
      sampleAdaptively(
        suspicious,
        STRAIGHT,
        { tolerance: 0.02, shortest: 7, longest: 3 },
        { keys, world: worldOf(PHRASES), priorScale: 0 },
      ),
    );
    expect(list(steps)[0]).toBeGreaterThan(8);
    expect(list(steps)[0]).toBeLessThan(64);
    expect(list(tried)[0]).toBeGreaterThan(list(steps)[0] as number);
    expect(distance(state.data, [0, 1, 0, 0, 0, 1, 0, 0])).toBeLessThan(1e-9);
  });
  it("have a positive tolerance and bounds in order", () => {
    const denoiser = exactDenoiser(PHRASES, linear);
    expect(() => run(denoiser, 0)).toThrow("Adaptive steps need a positive tolerance, got 0.");
    expect(() => run(denoiser, 1, { shortest: 2, longest: 3 })).toThrow("got longest 3 and shortest 2.");
  });
  it("follow tokens that have times of their own: a word, and then the next", () => {
    const interpolant = positioned(linear, blockCausal({ blocks: 2, overlap: 0.4 }), { length: 2 });
    const keys = keysOf(12, 100);
    const { tokens } = evaluate({ keys }, ({ keys: each }) =>
      sampleAdaptively(
        exactDenoiser(PHRASES, interpolant),
        { interpolant, clock: uniformClock() },
        { tolerance: 0.1 },
        { keys: each, world: worldOf(PHRASES) },
      ),
    );
    const texts = textsOf(tokens);
    expect(mixtures(PHRASES, texts)).toBe(0);
    expect(Math.abs(texts.filter((text) => text === "0 1").length - 50)).toBeLessThan(4 * 5);
  });
});
