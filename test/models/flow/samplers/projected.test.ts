/** Every sampler, and all that changes a denoiser, with a network on projected states: the paths are those on the vocabulary, for the same noise. */
import { describe, expect, it, vi } from "vitest";
import { constant, matmul, mul, onesLike, sum } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { decodingError } from "../../../../src/models/flow/clock-decoding-error.ts";
import { flow } from "../../../../src/models/flow/flow.ts";
import { trigonometric } from "../../../../src/models/flow/interpolant.ts";
import { sampleAdaptively } from "../../../../src/models/flow/samplers/adaptive.ts";
import { bridge } from "../../../../src/models/flow/samplers/bridge.ts";
import { autoguided } from "../../../../src/models/flow/samplers/guidance.ts";
import { euler, heun } from "../../../../src/models/flow/samplers/integrators.ts";
import { gammaResampling, jumps } from "../../../../src/models/flow/samplers/jumps.ts";
import { shaped } from "../../../../src/models/flow/samplers/posterior.ts";
import { conditionedOn, projectedCovariance, rewarded } from "../../../../src/models/flow/samplers/reward.ts";
import { sample } from "../../../../src/models/flow/samplers/sample.ts";
import { held } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import type { SampledDenoiser } from "../../../../src/models/flow/samplers/sampled-denoiser.ts";
import { projectedWorld, vocabularyWorld } from "../../../../src/models/flow/samplers/world.ts";
import { projectedSpace, vocabularySpace } from "../../../../src/models/flow/state-space.ts";
import type { Time, TwoTimeDenoiser } from "../../../../src/models/flow/two-time.ts";
import { flowDenoiser, mapDenoiser } from "../../../../src/models/language/declared-network.ts";
import { dit } from "../../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../../src/models/networks/dit.ts";
import { distance, evaluate, floats, list } from "../../../support/evaluate.ts";
import { normals, randomParams } from "../../networks/random-weights.ts";
import { keysOf } from "./support.ts";

vi.setConfig({ testTimeout: 60_000 });

const at = (t: number, batch: number): Time => {
  const time: Tensor = constant(Array<number>(batch).fill(t), [batch]);
  return { t: time, tau: time, rate: onesLike(time) };
};
describe("a network on projected states", () => {
  const config: DitConfig = {
    vocab: 6,
    length: 3,
    width: 4,
    depth: 1,
    heads: 1,
    conditioning: 4,
    targetTime: true,
  };
  const other = randomParams(config, 5);
  const params = randomParams(config, 3);
  const network = dit(config);
  const FLOW = flow({
    name: "trigonometric",
    interpolant: trigonometric,
    clock: decodingError({ vocab: 6 }),
  });
  const inputs = { keys: keysOf(21, 4), params, other };
  const given = (): Tensor => constant(Array.from({ length: 4 }, () => [-1, 2, -1]).flat(), [4, 3], "i32");
  const reward = (value: Tensor): Tensor => sum(mul(value, constant([1, 0, -1, 2, 0, 1], [6])), [1, 2]);
  type Change = (
    denoiser: TwoTimeDenoiser,
    weak: TwoTimeDenoiser,
    table: Tensor | undefined,
  ) => SampledDenoiser;
  const cases: (readonly [string, Change, typeof euler, boolean])[] = [
    ["Euler", (d) => d, euler, false],
    ["Heun", (d) => d, heun, false],
    ["jumps", (d) => d, jumps, false],
    ["γ = 0.6", (d) => d, (course, steps) => gammaResampling(course, steps, { gamma: 0.6 }), false],
    ["bridge", (d) => d, bridge, false],
    ["temperature and top-p", (d) => shaped(d, { temperature: 0.7, topP: 0.8 }), euler, false],
    ["guidance in points", (d, weak) => autoguided(d, weak, 3), jumps, false],
    ["guidance in logits", (d, weak) => autoguided(d, weak, 3, { form: "logits" }), bridge, false],
    ["infilling", (d) => d, heun, true],
    [
      "conditioning",
      (d, _, table) =>
        conditionedOn(d, given(), table === undefined ? {} : { covariance: projectedCovariance(table) }),
      jumps,
      true,
    ],
    [
      "reward",
      (d, _, table) =>
        rewarded(d, reward, {
          strength: 0.5,
          look: "flow map",
          ...(table === undefined ? {} : { covariance: projectedCovariance(table) }),
        }),
      euler,
      true,
    ],
  ];
  const pushed: Change = (d, _, table) =>
    conditionedOn(d, given(), table === undefined ? {} : { covariance: projectedCovariance(table) });
  cases.push(
    [
      "a reward of what is conditioned",
      (d, weak, table) =>
        rewarded(pushed(d, weak, table), (value) => mul(sum(value, [1, 2]), 0), { strength: 0 }),
      jumps,
      true,
    ],
    [
      "guidance of what is conditioned",
      (d, weak, table) => autoguided(pushed(d, weak, table), pushed(weak, weak, table), 2),
      jumps,
      true,
    ],
  );
  const both = (change: Change, method: typeof euler, infill: boolean) =>
    evaluate(inputs, ({ keys, params: one, other: two }) => {
      const [weights, weaker] = [one, two] as unknown as [DitParams, DitParams]; // the trees that the network takes
      // One state for both models, so one table.
      const second = { ...weaker, embedding: weights.embedding };
      const run = (projected: boolean) => {
        const space = projected ? projectedSpace("vocabulary") : vocabularySpace;
        const model = (which: DitParams) => mapDenoiser(FLOW, { network, params: which, space });
        const table = weights.embedding as Tensor;
        const world = projected
          ? projectedWorld(table, { length: 3 }, "vocabulary")
          : vocabularyWorld({ vocab: 6, length: 3 });
        const denoiser = change(model(weights), model(second), projected ? table : undefined);
        const { state, tokens } = sample(denoiser, method(FLOW, 3, { end: 0.8 }), {
          keys,
          world,
          ...(infill ? { given: given(), priorScale: 0.9 } : {}),
        });
        return { state: projected ? state : (matmul(state, table) as Tensor), tokens };
      };
      return { vocabulary: run(false), projected: run(true) };
    });
  it.each(cases)("%s: the path is that on the vocabulary, seen through E", (_, change, method, infill) => {
    const { vocabulary, projected } = both(change, method, infill);
    expect(distance(projected.state.data, vocabulary.state.data)).toBeLessThan(1e-9);
    expect(list(projected.tokens)).toEqual(list(vocabulary.tokens));
    expect(Math.max(...list(projected.state).map(Math.abs))).toBeGreaterThan(0.1);
  });
  it.each(["expected endpoint", "flow map"] as const)(
    "a reward at the %s moves the denoiser by its gradient",
    (look) => {
      const [t, step] = [0.4, 1e-5];
      const x = Array.from({ length: 18 }, normals(17));
      const numbers = (of: readonly number[]) =>
        evaluate({ params, x: floats([1, 3, 6], of) }, ({ params: one, x: state }) => {
          const weights = one as unknown as DitParams; // the tree that the network takes
          const d = mapDenoiser(FLOW, { network, params: weights, space: vocabularySpace });
          const end = d.denoiser(state, at(t, 1), at(look === "flow map" ? 1 : t, 1));
          const plain = d.denoiser(state, at(t, 1), at(t, 1));
          const guided = rewarded(d, reward, { strength: 0.5, look }).denoiser(state, at(t, 1), at(t, 1));
          return { reward: reward(end), plain, guided };
        });
      const { plain, guided } = numbers(x);
      const weight = (0.5 * Math.cos((Math.PI / 2) * t) ** 2) / Math.sin((Math.PI / 2) * t);
      for (const place of [0, 7, 16]) {
        const [up, down] = [step, -step].map(
          (by) => numbers(x.map((value, i) => (i === place ? value + by : value))).reward.data[0] as number,
        );
        const slope = ((up as number) - (down as number)) / (2 * step);
        expect((guided.data[place] as number) - (plain.data[place] as number)).toBeCloseTo(weight * slope, 7);
      }
    },
  );
  it("adaptive steps work there too, and a flow's network is held over them", () => {
    const plain: DitConfig = { ...config, targetTime: false };
    const { tokens, steps } = evaluate(
      { keys: inputs.keys, params: randomParams(plain, 3) },
      ({ keys, params: all }) => {
        const weights = all as unknown as DitParams; // the tree that the network takes
        const model = { network: dit(plain), params: weights, space: projectedSpace() };
        return sampleAdaptively(
          held(flowDenoiser(FLOW, model), trigonometric),
          FLOW,
          { tolerance: 0.2, shortest: 4 },
          { keys, world: projectedWorld(weights.embedding as Tensor, { length: 3 }), given: given() },
        );
      },
    );
    list(tokens).forEach((id, i) => expect(i % 3 === 1 ? id : 2).toBe(2));
    expect(Math.min(...list(steps))).toBeGreaterThanOrEqual(1);
  });
});
