/**
 * Why flow maps: a corpus of two phrases, "New York" and "San Diego". A denoiser that is asked for both words at once knows each
 * word's probabilities, and half of what is drawn from them is "New Diego" or "San York". FLM avoids that with many small steps;
 * FMLM learns to jump where those steps lead, and writes whole phrases in one. About three quarters of a minute on two cores.
 */
import { f32, fn, models, outputSpec, random, u32 } from "fluxion";
import type { DeviceValue } from "fluxion";
import { compile, disposeTree, openDevice } from "fluxion/node";

const { decodingError, dit, eulerSchedule, gammaSchedule, logDenoiser, vocabularySpace } = models;
const { flmDraw, flmStep, fmlmDraw, fmlmStep, initFlm, initFmlm, samplerProgram, stepKey } = models.training;
const { unpackWeights, weightsSpec } = models.training;

const WORDS = ["New", "York", "San", "Diego"];
const PHRASES = [
  [0, 1],
  [2, 3],
];
const [BATCH, LENGTH, SAMPLES] = [256, 2, 8000];

const network = { vocab: WORDS.length, length: LENGTH, width: 16, depth: 4, heads: 4, conditioning: 16 };
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
const clock = decodingError({ vocab: WORDS.length });
const device = await openDevice();

/** The whole corpus is in every batch, half of it the one phrase, half the other. */
const tokens = Int32Array.from(Array.from({ length: BATCH }, (_, row) => PHRASES[row % 2] ?? []).flat());

interface Trained<S> {
  readonly state: S;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

/** Goes through the steps of a training, from a large to a small learning rate. */
async function train<S>(
  name: string,
  steps: number,
  first: S,
  one: (state: S, step: number, learningRate: number) => Promise<Trained<S>>,
): Promise<S> {
  let current = first;
  for (let step = 0; step < steps; step++) {
    const { state, loss, gradientNorm } = await one(
      current,
      step,
      5e-3 * Math.min(1, (step + 1) / 50) * Math.cos((Math.PI / 2) * (step / steps)) ** 2,
    );
    if ((step + 1) % 200 === 0)
      console.log(`${name}, step ${step + 1} of ${steps}: loss ${(await loss.read()).data[0]?.toFixed(3)}`);
    disposeTree([loss, gradientNorm]);
    current = state;
  }
  return current;
}

// The flow: a denoiser, trained by cross-entropy at random times.
const flmSpec = outputSpec(initFlm(options));
const flmStart = await compile(initFlm(options), { device });
const flmTraining = await compile(flmStep(options, flmSpec), { device, donate: ["state"] });
const flm = await train("FLM", 1000, await flmStart.run({ key: [0, 1] }), (state, step, learningRate) =>
  flmTraining.run({
    state,
    ...flmDraw(tokens, LENGTH, BATCH, clock, stepKey(1, "flm", step)),
    tokens,
    learningRate,
  }),
);

// A training state holds its weights packed into vectors, of which the step's few large operations are quick; a network takes them
// by name. What counts is their moving average.
const weightsOf = async (of: typeof network, weights: typeof flm.ema) =>
  (await compile(unpackWeights(of), { device })).run({ weights });
const teacher = await weightsOf(network, flm.ema);

// Its flow map, distilled by the semigroup identity: a jump goes where two half jumps go.
const twoTimes = { ...network, targetTime: true };
const shares = { diagonalFraction: 1 / 4, boundaryFraction: 1 / 32 };
const fmlmSpec = outputSpec(initFmlm(options));
const fmlmStart = await compile(initFmlm(options), { device });
const fmlmTraining = await compile(
  fmlmStep({ ...options, diagonal: BATCH / 4 }, fmlmSpec, weightsSpec(network)),
  {
    device,
    donate: ["state"],
  },
);
const fmlm = await train(
  "FMLM",
  1000,
  await fmlmStart.run({ key: [0, 2], teacher }),
  (state, step, learningRate) =>
    fmlmTraining.run({
      state,
      teacher,
      ...fmlmDraw(tokens, LENGTH, BATCH, clock, step, shares, stepKey(1, "fmlm", step)),
      tokens,
      learningRate,
    }),
);
const student = await weightsOf(twoTimes, fmlm.ema);

// Sampling, always from the same noise.
const state = f32(SAMPLES, LENGTH, WORDS.length);
const noise = await (
  await compile(
    fn({ key: u32(2) }, ({ key }) => random.normal(key, [SAMPLES, LENGTH, WORDS.length])),
    { device },
  )
).run({ key: [0, 3] });
const sampling = { ...options, batch: SAMPLES };
const flmSampler = await compile(samplerProgram(sampling, weightsSpec(network), state), { device });
const fmlmSampler = await compile(
  samplerProgram({ ...sampling, network: twoTimes }, weightsSpec(twoTimes), state),
  { device },
);

/** How much of the phrases that follow from a list of tokens is in the corpus, and how much mixes two phrases. */
function report(name: string, ids: ArrayLike<number>): void {
  const written = Array.from(
    { length: SAMPLES },
    (_, i) => `${WORDS[ids[2 * i] ?? 0]} ${WORDS[ids[2 * i + 1] ?? 0]}`,
  );
  const share = (phrase: readonly number[]): number =>
    written.filter((text) => text === phrase.map((id) => WORDS[id]).join(" ")).length / SAMPLES;
  const [newYork, sanDiego] = [share([0, 1]), share([2, 3])];
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`.padStart(7);
  console.log(
    `${name.padEnd(32)} New York ${percent(newYork)}  San Diego ${percent(sanDiego)}  mixtures ${percent(1 - newYork - sanDiego)}`,
  );
}

const apart = fn(
  { params: weightsSpec(network), state, tau: f32(SAMPLES), key: u32(2) },
  ({ params, state: x, tau, key }) =>
    random.categorical(key, logDenoiser(dit(network), params, vocabularySpace, x, { tau })),
);
const drawn = await (
  await compile(apart, { device })
).run({ params: teacher, state: noise, tau: new Float32Array(SAMPLES), key: [0, 4] });
report("one step, each word on its own", (await drawn.read()).data);

async function sample(
  name: string,
  sampler: typeof flmSampler,
  params: typeof teacher,
  schedule: readonly models.SamplerStep[],
): Promise<void> {
  let [x, ids] = [noise, noise];
  for (const {
    tau,
    target = 0,
    state: stateWeight,
    denoiser: denoiserWeight,
    noise: noiseWeight,
  } of schedule) {
    const moved = await sampler.run({
      params,
      state: x,
      noise,
      tau,
      target,
      stateWeight,
      denoiserWeight,
      noiseWeight,
    });
    [x, ids] = [moved.state, moved.tokens];
  }
  report(name, (await ids.read()).data);
}
await sample("FLM, 64 steps", flmSampler, teacher, eulerSchedule(clock, 64));
await sample("FMLM, one step", fmlmSampler, student, gammaSchedule(clock, 1, 0));
await device.dispose();
