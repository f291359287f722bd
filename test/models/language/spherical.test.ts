/** Flows on the sphere with networks: what the loss is, and that a training on two phrases writes them. */
import { expect, it } from "vitest";
import { add, grad, mul, outputSpec, random, reshape, zeros } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { fold, key as keyOf } from "../../../src/models/flow/host-random.ts";
import { sphericalSchedule, uniformNoise } from "../../../src/models/flow/sphere/sample.ts";
import { sphericalFlow } from "../../../src/models/flow/sphere/spherical-flow.ts";
import { OUTPUT_SOFTCAP } from "../../../src/models/language/denoiser.ts";
import {
  sphericalLogits,
  sphericalLoss,
  sphericalTokenLoss,
} from "../../../src/models/language/spherical.ts";
import { sflm } from "../../../src/models/language/variants/sflm.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { Network } from "../../../src/models/networks/network.ts";
import {
  flowDraw,
  initSpherical,
  sphericalSampler,
  sphericalStep,
  stepKey,
  unpackWeights,
  weightsSpec,
} from "../../../src/models/training/index.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { distance, evaluate, floats, ints, list, words } from "../../support/evaluate.ts";

it("the loss of a fresh network is log V; a learned table gets a gradient through the path, and a frozen one none", () => {
  const network = dit({ vocab: 5, length: 3, width: 8, depth: 1, heads: 2, conditioning: 8 });
  const found = (states: "learned" | "frozen") =>
    evaluate(
      { key: words([2], [3, 4]), tokens: ints([2, 3], [0, 1, 2, 3, 4, 0]), t: floats([2], [0.2, 0.6]) },
      ({ key, tokens, t }) => {
        const flow = sphericalFlow({ name: "", states });
        const [a, b, c] = random.split(key as Tensor<[2], "u32">, 3);
        const rows = { tokens, noise: uniformNoise(flow.geometry, b, [2, 3, 8]), t: { t, tau: t, rate: t } };
        const fresh = network.init(a);
        const head = { ...fresh.head, linear: { ...fresh.head.linear, weight: random.normal(c, [5, 8]) } };
        const loss = (params: typeof fresh) => sphericalLoss(flow, { network, params }, rows);
        return { fresh: loss(fresh), table: grad(loss)({ ...fresh, head }).embedding };
      },
    );
  const [learned, frozen] = [found("learned"), found("frozen")];
  expect(list(learned.fresh)[0]).toBeCloseTo(Math.log(5), 12);
  expect(list(learned.table).some((x) => Math.abs(x) > 1e-3)).toBe(true);
  expect(list(frozen.table).every((x) => x === 0)).toBe(true);
});

it("a network sees coordinates of unit size, and the clock's time", () => {
  const seen = evaluate(
    { x: floats([1, 1, 4], [0.5, -0.5, 0.1, 0.7]), t: floats([1], [0.25]) },
    ({ x, t }) => {
      const network: Network<Tensor> = {
        vocab: 4,
        length: 1,
        init: () => zeros([4, 4]),
        embedding: (params) => params,
        // What it says is the state, and the time on top.
        logits: (_params, state, { tau }) => add(state, reshape(tau, [1, 1, 1])),
      };
      return sphericalLogits({ network, params: zeros([4, 4]) })(x, { t, tau: mul(t, 2) as Tensor, rate: t });
    },
  );
  const wanted = [0.5, -0.5, 0.1, 0.7].map((v) => OUTPUT_SOFTCAP * Math.tanh((2 * v + 0.5) / OUTPUT_SOFTCAP));
  expect(distance(seen.data, wanted)).toBeLessThan(1e-12);
});

it("the loss of a row is weighted by its time", () => {
  const network = dit({ vocab: 5, length: 3, width: 8, depth: 1, heads: 2, conditioning: 8 });
  const inputs = {
    key: words([2], [3, 4]),
    tokens: ints([2, 3], [0, 1, 2, 3, 4, 0]),
    t: floats([2], [0.2, 0.6]),
  };
  const losses = list(
    evaluate(inputs, ({ key, tokens, t }) => {
      const flow = sphericalFlow({ name: "", weighting: (time, { kappa }) => add(time, kappa) });
      const [a, b] = random.split(key as Tensor<[2], "u32">, 2);
      const rows = { tokens, noise: uniformNoise(flow.geometry, b, [2, 3, 8]), t: { t, tau: t, rate: t } };
      return sphericalTokenLoss(flow, { network, params: network.init(a) }, rows);
    }),
  );
  // Of a fresh network every token's loss is log V.
  losses.forEach((loss, i) => expect(loss).toBeCloseTo(2 * (i < 3 ? 0.2 : 0.6) * Math.log(5), 12));
});

it("learns two phrases, and samples them", async () => {
  const [BATCH, LENGTH, VOCAB, STEPS, SAMPLES] = [64, 2, 4, 300, 400];
  const network = { vocab: VOCAB, length: LENGTH, width: 16, depth: 2, heads: 2, conditioning: 16 };
  const options = { network, batch: BATCH, beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.98 };
  const tokens = Int32Array.from({ length: LENGTH * BATCH }, (_, i) => i % VOCAB);
  const flow = sflm(VOCAB, { width: network.width });
  const device = await openDevice("cpu");
  const init = initSpherical(options);
  const step = await compile(sphericalStep(flow, options, outputSpec(init)), { device, donate: ["state"] });
  let state = await (await compile(init, { device })).run({ key: [0, 1] });
  for (let i = 0; i < STEPS; i++) {
    const learningRate = 5e-3 * Math.min(1, (i + 1) / 30) * Math.cos((Math.PI / 2) * (i / STEPS)) ** 2;
    const draw = flowDraw(flow, tokens, LENGTH, BATCH, stepKey(1, "flm", i));
    const { state: next, ...report } = await step.run({ state, learningRate, ...draw, tokens });
    disposeTree(report);
    state = next;
  }
  const params = await (await compile(unpackWeights(network), { device })).run({ weights: state.ema });
  const keys = Uint32Array.from(
    Array.from({ length: SAMPLES }, (_, i) => Array.from(fold(keyOf(1), i))).flat(),
  );
  const shares = async (schedule: ReturnType<typeof sphericalSchedule>): Promise<readonly number[]> => {
    const sampler = sphericalSampler(flow, { network, batch: SAMPLES }, weightsSpec(network), schedule);
    const drawn = await (await compile(sampler, { device })).run({ params, keys });
    const ids = Array.from((await drawn.tokens.read()).data, Number);
    return [0, 2].map((first) => ids.filter((id, i) => i % 2 === 0 && id === first && ids[i + 1] === id + 1).length / SAMPLES); // prettier-ignore
  };
  for (const schedule of [sphericalSchedule(flow, "midpoint", 16), sphericalSchedule(flow, "drawn", 32)]) {
    const [first = 0, second = 0] = await shares(schedule);
    expect(first + second).toBeGreaterThan(0.93);
    expect(Math.min(first, second)).toBeGreaterThan(0.3);
  }
  await device.dispose();
});
