/**
 * One flow and five of its flow maps, which differ in how their predictions are judged: by the divergence of a potential of one's own, with
 * rows that count by signal-to-noise, by what a small network learns or by how far off they are, or with gradient surgery. The corpus is
 * two phrases, as in two-phrases.ts; a map that has learned writes one of them in a single step.
 */
import { compile, disposeTree, openDevice } from "fluxion/node";
import { add, exp, f32, fn, log, models, mul, neg, outputSpec, random, sum, u32 } from "fluxion";
import type { DeviceValue } from "fluxion";

const { flows, gammaSchedule, losses, objectives, training, variants, weightings } = models;
const { flowDraw, flowMapDraw, flowMapStep, flowStep, initFlow, initFlowMap, learnedOf, stepKey } = training;

const [BATCH, LENGTH, VOCAB, STEPS, SAMPLES] = [64, 2, 4, 500, 1000];
/** Every batch: the phrases 0 1 and 2 3, half of the rows each. */
const tokens = Int32Array.from({ length: LENGTH * BATCH }, (_, i) => i % VOCAB);
const network = { vocab: VOCAB, length: LENGTH, width: 16, depth: 2, heads: 4, conditioning: 16 };
const options = {
  network,
  batch: BATCH,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.99,
} as const;
const device = await openDevice();

/** A convex potential is all that a loss is declared by. */
const logCosh = losses.bregman({
  name: "log cosh",
  potential: (x) => sum(log(mul(add(exp(x), exp(neg(x))), 0.5)), -1),
});

interface Trained<S> {
  readonly state: S;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

async function train<S>(
  first: S,
  one: (state: S, step: number, learningRate: number) => Promise<Trained<S>>,
): Promise<S> {
  let current = first;
  for (let step = 0; step < STEPS; step++) {
    const learningRate = 5e-3 * Math.min(1, (step + 1) / 50) * Math.cos((Math.PI / 2) * (step / STEPS)) ** 2;
    const { state, ...report } = await one(current, step, learningRate);
    disposeTree(report);
    current = state;
  }
  return current;
}

// FLM, but that every time has its own, learned, weight: w(τ) is trained and kept with the network.
const { clock } = variants.flm(VOCAB);
const flow = flows.flow({ name: "FLM, learned weights", clock, weighting: weightings.learned() });
const flowTraining = await compile(flowStep(flow, options, outputSpec(initFlow(flow, options))), {
  device,
  donate: ["state"],
});
const flm = await train(
  await (await compile(initFlow(flow, options), { device })).run({ key: [0, 1] }),
  (state, step, learningRate) =>
    flowTraining.run({
      state,
      learningRate,
      ...flowDraw(flow, tokens, LENGTH, BATCH, stepKey(1, "flm", step)),
      tokens,
    }),
);
const teacher = await (
  await compile(training.unpackWeights(network, learnedOf(flow)), { device })
).run({ weights: flm.ema });

const twoTimes = { ...network, targetTime: true };
const state = f32(SAMPLES, LENGTH, VOCAB);
const sampler = await compile(
  training.samplerProgram(
    { ...options, batch: SAMPLES, network: twoTimes },
    training.weightsSpec(twoTimes),
    state,
  ),
  { device },
);
const noise = await (
  await compile(
    fn({ key: u32(2) }, ({ key }) => random.normal(key, [SAMPLES, LENGTH, VOCAB])),
    { device },
  )
).run({ key: [0, 3] });

const judgements = [
  { name: "log cosh", loss: logCosh, weighting: weightings.none },
  { name: "signal-to-noise", weighting: weightings.snr({ cap: 5 }) },
  { name: "learned", weighting: weightings.learned() },
  { name: "surgery", weighting: weightings.none, surgery: true },
  // By itself, or with the floor of 1e-6 off the diagonal, rows that agree with themselves count so much that the map writes one phrase only.
  { name: "residual", weighting: weightings.residual({ floor: 0.01 }), surgery: true },
] as const;
for (const judgement of judgements) {
  const map = flows.flowMap({ flow, objective: objectives.semigroup(), diagonal: 1 / 4, ...judgement });
  const init = initFlowMap(map, options, training.weightsSpec(network));
  const mapTraining = await compile(
    flowMapStep(map, options, outputSpec(init), training.weightsSpec(network)),
    { device, donate: ["state"] },
  );
  const student = await train(
    await (await compile(init, { device })).run({ key: [0, 2], teacher }),
    (current, step, learningRate) =>
      mapTraining.run({
        state: current,
        teacher,
        learningRate,
        ...flowMapDraw(map, tokens, LENGTH, BATCH, step, stepKey(1, "fmlm", step)),
        tokens,
      }),
  );
  const [{ tau, target = 1 }] = gammaSchedule(flow.clock, 1, 0) as readonly [models.SamplerStep];
  const params = await (
    await compile(training.unpackWeights(twoTimes, learnedOf(map)), { device })
  ).run({ weights: student.ema });
  const drawn = await sampler.run({
    params,
    state: noise,
    noise,
    tau,
    target,
    stateWeight: 0,
    denoiserWeight: 1,
    noiseWeight: 0,
  });
  const ids = Array.from((await drawn.tokens.read()).data, Number);
  const whole = ids.filter((id, i) => i % 2 === 0 && id % 2 === 0 && ids[i + 1] === id + 1).length;
  const first = ids.filter((id, i) => i % 2 === 0 && id === 0).length;
  console.log(
    `${map.name.padEnd(16)} ${((100 * whole) / SAMPLES).toFixed(1)} % whole phrases in one step, ` +
      `${((100 * first) / SAMPLES).toFixed(0)} % begin as the first`,
  );
}
await device.dispose();
