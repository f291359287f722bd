/**
 * Variants whose states or noise are not FLM's train on two phrases, and what is sampled from them is the phrases: by the same programs,
 * which follow the declaration. FLM and its flow maps are trained in examples/.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outputSpec } from "../../../src/dsl/index.ts";
import { fold, key } from "../../../src/models/flow/host-random.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { jumps } from "../../../src/models/flow/samplers/jumps.ts";
import { euler } from "../../../src/models/flow/samplers/integrators.ts";
import { frozenEmbedding } from "../../../src/models/flow/states.ts";
import * as variants from "../../../src/models/language/variants/index.ts";
import { keyData, stepKey } from "../../../src/models/training/batches.ts";
import { flowDraw, flowMapDraw, flowMapStep, flowStep } from "../../../src/models/training/declared.ts";
import { initFlm, initFmlm, student, unpackWeights } from "../../../src/models/training/programs.ts";
import { samplingProgram } from "../../../src/models/training/sampling.ts";
import type { SamplingOptions } from "../../../src/models/training/sampling.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../../src/runtime/device.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { distance } from "../../support/evaluate.ts";

const [BATCH, SAMPLES] = [64, 400];
const options = {
  network: { vocab: 4, length: 2, width: 16, depth: 2, heads: 2, conditioning: 16 },
  batch: BATCH,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.99,
} as const;
type Options = Parameters<typeof flowStep>[1];

/** The phrases 0 1 and 2 3, half of the rows each. */
const PHRASES = [
  [0, 1],
  [2, 3],
];
/** The same behind a token that begins a text. */
const BEGUN = PHRASES.map((phrase) => [4, ...phrase]);
const begun = { ...options, network: { ...options.network, vocab: 5, length: 3 } };

/** Every batch. */
const tokensOf = ({ network }: Options): Int32Array =>
  Int32Array.from(
    Array.from({ length: BATCH }, (_, i) => (network.length === 2 ? PHRASES : BEGUN)[i % 2] ?? []).flat(),
  );

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu");
});
afterAll(() => device.dispose());

/** The averaged weights of a training of `steps` steps from a state. */
async function trained(
  steps: number,
  first: unknown,
  one: (state: unknown, step: number, learningRate: number) => Promise<{ readonly state: unknown }>,
): Promise<unknown> {
  let current = first;
  for (let step = 0; step < steps; step++) {
    const rate = 5e-3 * Math.min(1, (step + 1) / 30) * Math.cos((Math.PI / 2) * (step / steps)) ** 2;
    const { state, ...report } = await one(current, step, rate);
    disposeTree(report as never);
    current = state;
  }
  return (current as { readonly ema: unknown }).ema;
}

async function trainFlow(declared: Flow, of: Options, steps: number): Promise<unknown> {
  const tokens = tokensOf(of);
  const step = await compile(flowStep(declared, of, outputSpec(initFlm(of))), { device, donate: ["state"] });
  const first = await (await compile(initFlm(of), { device })).run({ key: [0, 1] });
  const weights = await trained(steps, first, (state, i, learningRate) =>
    step.run({
      ...flowDraw(declared, tokens, of.network.length, BATCH, stepKey(1, "flm", i)),
      state: state as never,
      learningRate,
      tokens,
    }),
  );
  return (await compile(unpackWeights(of.network), { device })).run({ weights: weights as never });
}

async function trainMap(map: FlowMap, teacher: unknown, of: Options, steps: number): Promise<unknown> {
  const tokens = tokensOf(of);
  const step = await compile(flowMapStep(map, of, outputSpec(initFmlm(of)), weightsSpec(of.network)), {
    device,
    donate: ["state"],
  });
  const first = await (
    await compile(initFmlm(of), { device })
  ).run({ key: [0, 2], teacher: teacher as never });
  const weights = await trained(steps, first, (state, i, learningRate) =>
    step.run({
      ...flowMapDraw(map, tokens, of.network.length, BATCH, i, stepKey(1, "fmlm", i)),
      state: state as never,
      teacher: teacher as never,
      learningRate,
      tokens,
    }),
  );
  return (await compile(unpackWeights(student(of.network)), { device })).run({ weights: weights as never });
}

/** Percentages of the two phrases among samples; the token that begins a text is given. */
async function shares(of: Options, params: unknown, sampling: SamplingOptions): Promise<readonly number[]> {
  const program = samplingProgram({ ...of, batch: SAMPLES }, weightsSpec(of.network), sampling);
  const keys = Uint32Array.from(
    Array.from({ length: SAMPLES }, (_, i) => [...keyData(fold(key(5), i))]).flat(),
  );
  const { length } = of.network;
  const given = Int32Array.from({ length: SAMPLES * length }, (_, i) =>
    length === 3 && i % length === 0 ? 4 : -1,
  );
  const drawn = await (await compile(program, { device })).run({ params: params as never, keys, given });
  const ids = Array.from((await drawn.tokens.read()).data, Number);
  const count = (a: number): number =>
    ids.filter((id, i) => i % length === length - 2 && id === a && ids[i + 1] === a + 1).length;
  return [0, 2].map((a) => (100 * count(a)) / SAMPLES);
}

/** Nearly all samples are phrases of the corpus, and both occur: as often, within what so short a training leaves. */
function expectPhrases([first = NaN, second = NaN]: readonly number[], least = 88): void {
  expect(first + second).toBeGreaterThan(least);
  expect(Math.min(first, second)).toBeGreaterThan(30);
}

describe("trained on two phrases,", () => {
  const range = { from: -3, to: 1 };
  const points = flow({
    name: "points of a frozen embedding",
    states: frozenEmbedding({ norm: "root of width" }),
    predicts: "clean point",
  });

  it("a flow in a learned embedding, and its flow map in one step", async () => {
    const declared = variants.embeddingFlow(range);
    const weights = await trainFlow(declared, options, 200);
    expectPhrases(await shares(options, weights, { flow: declared, schedule: euler(declared, 16) }));
    const map = variants.embeddingFlowMap(range);
    const of = { ...options, network: student(options.network) };
    const mapped = await trainMap(map, weights, options, 200);
    // Student and teacher must see one state.
    const [learned, kept] = await Promise.all(
      [weights, mapped].map(async (tree) => {
        const { embedding } = tree as { readonly embedding: DeviceValue };
        return Array.from((await embedding.read()).data);
      }),
    );
    expect(distance(kept ?? [], learned ?? [])).toBeLessThan(1e-5);
    expectPhrases(await shares(of, mapped, { flow: declared, schedule: jumps(declared, 1) }));
  });

  it.each([
    [variants.simplexFlow(4), options, "euler"],
    [variants.maskedHybrid({ length: 2 }), options, 6],
    // All tokens of a masked text look the same, and the network knows positions by their distances alone: it needs a first token.
    [variants.maskedDiffusion({ length: 3 }), begun, 3],
    [points, { ...options, network: { ...options.network, outputs: 16 } }, "euler"],
  ] as const)("$name", async (declared, of, steps) => {
    const weights = await trainFlow(declared, of, 200);
    const schedule = steps === "euler" ? euler(declared, 16) : { draws: steps };
    expectPhrases(await shares(of, weights, { flow: declared, schedule }));
  });
});
