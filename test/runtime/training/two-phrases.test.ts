/**
 * Every parameterization, and every objective that examples/objectives.ts does not show, trained on two phrases: what is written in one
 * jump from noise is one of them. Word by word it would be in half of the cases.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { argmax, broadcastTo, constant, fn, outputSpec, random, u32 } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { consistency, continuousConsistency } from "../../../src/models/flow/objectives/consistency.ts";
import { lagrangian } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { flowDenoiser, mapDenoiser } from "../../../src/models/language/declared-network.ts";
import { cfm, fmlmTwoStages } from "../../../src/models/language/variants/index.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitParams } from "../../../src/models/networks/dit.ts";
import * as training from "../../../src/models/training/index.ts";
import { compile, disposeTree } from "../../../src/runtime/compile.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { openDevice } from "../../../src/runtime/devices.ts";

const [BATCH, LENGTH, VOCAB, STEPS, SAMPLES] = [64, 2, 4, 500, 1000];
/** The phrases 0 1 and 2 3, half of the rows each. */
const tokens = Int32Array.from({ length: LENGTH * BATCH }, (_, i) => i % VOCAB);
const network = { vocab: VOCAB, length: LENGTH, width: 16, depth: 2, heads: 4, conditioning: 16 };
const twoTimes = { ...network, targetTime: true };
const options = {
  network,
  batch: BATCH,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.98,
} as const;
const flowSpec = training.weightsSpec(network);
const mapSpec = training.weightsSpec(twoTimes);

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu");
});
afterAll(async () => device.dispose());

/** The moving average of the weights after all steps, by name. */
async function trained<S extends { readonly ema: unknown }>(
  of: typeof network,
  steps: number,
  first: S,
  one: (state: S, step: number, learningRate: number) => Promise<{ readonly state: S }>,
) {
  let current = first;
  for (let step = 0; step < steps; step++) {
    const learningRate = 5e-3 * Math.min(1, (step + 1) / 50) * Math.cos((Math.PI / 2) * (step / steps)) ** 2;
    const { state, ...report } = await one(current, step, learningRate);
    disposeTree(report);
    current = state;
  }
  const weights = current.ema as never; // the packed vectors that unpackWeights takes
  return (await compile(training.unpackWeights(of), { device })).run({ weights });
}

async function teacherOf({ flow }: FlowMap) {
  const init = training.initFlm(options);
  const step = await compile(training.flowStep(flow, options, outputSpec(init)), {
    device,
    donate: ["state"],
  });
  return trained(
    network,
    STEPS,
    await (await compile(init, { device })).run({ key: [0, 1] }),
    (state, i, learningRate) =>
      step.run({
        state,
        learningRate,
        ...training.flowDraw(flow, tokens, LENGTH, BATCH, training.stepKey(1, "flm", i)),
        tokens,
      }),
  );
}
type Weights = Awaited<ReturnType<typeof teacherOf>>;

async function studentOf(
  map: FlowMap,
  {
    teacher,
    given,
    steps = STEPS,
  }: { readonly teacher?: Weights; readonly given?: Weights; readonly steps?: number } = {},
): Promise<Weights> {
  const init = training.initFlowMap(map, options, teacher === undefined ? undefined : flowSpec);
  const teachers = {
    ...(teacher === undefined ? {} : { teacher }),
    ...(given === undefined ? {} : { given }),
  };
  const step = await compile(
    training.flowMapStep(
      map,
      options,
      outputSpec(init),
      teacher === undefined ? undefined : flowSpec,
      given === undefined ? undefined : mapSpec,
    ),
    { device, donate: ["state"] },
  );
  const start = await compile(init, { device });
  const first = await start.run({ key: [0, 2], ...(teacher === undefined ? {} : { teacher }) });
  return trained(twoTimes, steps, first, (state, i, learningRate) =>
    step.run({
      state,
      ...teachers,
      learningRate,
      ...training.flowMapDraw(map, tokens, LENGTH, BATCH, i, training.stepKey(1, "fmlm", i)),
      tokens,
    }),
  );
}

/** Percentages of the two phrases among texts that are written in one jump. */
async function written(map: FlowMap, params: Weights, teacher: Weights): Promise<readonly number[]> {
  const program = fn({ params: mapSpec, teacher: flowSpec, key: u32(2) }, (input) => {
    const every = (value: number): Tensor => broadcastTo(constant([value], [1]), [SAMPLES]);
    const at = (t: number) => ({ t: every(t), tau: every(t), rate: every(1) });
    const [weights, known] = [input.params, input.teacher] as unknown as readonly [DitParams, DitParams];
    const space = vocabularySpace;
    const frozen = flowDenoiser(map.flow, { network: dit(network), params: known, space });
    const psi = mapDenoiser(map, { network: dit(twoTimes), params: weights, space }, frozen);
    const noise: Tensor = random.normal(input.key, [SAMPLES, LENGTH, VOCAB]);
    return argmax(psi.denoiser(noise, at(0), at(1)), 2);
  });
  const drawn = await (await compile(program, { device })).run({ params, teacher, key: [0, 3] });
  const ids = Array.from((await drawn.read()).data, Number);
  return [0, 2].map(
    (id) =>
      (100 * ids.filter((first, i) => i % 2 === 0 && first === id && ids[i + 1] === id + 1).length) / SAMPLES,
  );
}

const secondStage = fmlmTwoStages(VOCAB);
const firstStage = secondStage.teacher as FlowMap; // it is declared so
const { flow } = secondStage;

/** At least this much of what is written is a phrase, and each is written. */
async function expectPhrases(map: FlowMap, params: Weights, least: number): Promise<void> {
  const [first = 0, second = 0] = await written(map, params, teacher);
  expect(first + second, map.name).toBeGreaterThan(least);
  expect(Math.min(first, second), map.name).toBeGreaterThan(least / 2 - 12);
}

let teacher: Weights;
beforeAll(async () => {
  teacher = await teacherOf(secondStage);
}, 120_000);

/** What the students of one flow and teacher share. */
const taught = (name: string, rest: Pick<FlowMap, "objective"> & Partial<FlowMap>): FlowMap =>
  flowMap({ name, flow, diagonal: 1 / 4, ...rest });

// Here 91, 86, 97 and more than 80 % of what was written were phrases. A step of the direct map costs that of three others; of 500 it has 92 %.
it.each(
  (
    [
      [taught("mean velocity", { objective: semigroup(), parameterization: "mean velocity" }), 80, STEPS],
      [taught("direct map", { objective: lagrangian(), parameterization: "direct map" }), 72, 350],
      [taught("consistency", { objective: consistency() }), 90, STEPS],
      [taught("continuous consistency", { objective: continuousConsistency(), diagonal: 1 / 2 }), 80, STEPS],
    ] as const
  ).map(([map, least, steps]) => [map.name, map, least, steps] as const),
)("%s", async (_name, map, least, steps) => {
  await expectPhrases(map, await studentOf(map, { teacher, steps }), least);
});

// 96.
it("CFM, without a teacher", async () => {
  await expectPhrases(cfm, await studentOf(cfm), 88);
});

// 99 and 98.
it("FMLM v1, in one stage and in two", async () => {
  const first = await studentOf(firstStage, { teacher });
  await expectPhrases(firstStage, first, 95);
  await expectPhrases(secondStage, await studentOf(secondStage, { teacher, given: first }), 93);
});
