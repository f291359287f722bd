/**
 * FLM trained, FMLM distilled from it, and both sampled and decoded, on a device, with the vocabulary streamed or written down: the
 * numbers to compare. Consumed by the tests of streamed vocabularies.
 */
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import type { Fn } from "../../src/dsl/fn.ts";
import { outputSpec } from "../../src/dsl/index.ts";
import {
  decodeProgram,
  flmStep,
  flmValidation,
  fmlmStep,
  initFlm,
  initFmlm,
  samplerFactor,
  samplerNoise,
  samplerProgram,
  unpackWeights,
} from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { compile, readTree } from "../../src/runtime/compile.ts";
import type { Device } from "../../src/runtime/device.ts";

/** Any declared program: what it takes and gives is known to its caller. */
type AnyFn = Fn<never, unknown>;
type Tree = Readonly<Record<string, unknown>>;

/** A model of the given vocabulary, streamed in parts of `chunk`, or written down for 0. */
export const streamedOptions = (vocab: number, chunk: number): ModelOptions => ({
  network: { vocab, length: 6, width: 8, depth: 2, heads: 2, conditioning: 8 },
  batch: 4,
  space: "projected",
  streamedVocabulary: chunk,
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0.01,
  clip: 1,
  emaDecay: 0.99,
});

const specOf = (fn: unknown): never => outputSpec(fn as never) as never;

/** Every program of a model that has something of the size of the vocabulary in it. */
export function modelPrograms(options: ModelOptions) {
  const two: ModelOptions = { ...options, network: { ...options.network, targetTime: true } };
  const [init, initTwo] = [initFlm(options), initFmlm(options)];
  const [state, stateTwo] = [specOf(init) as Tree, specOf(initTwo) as Tree];
  const [weights, weightsTwo] = [weightsSpec(options.network), weightsSpec(two.network)];
  const [flmFactor, fmlmFactor] = [samplerFactor(options, weights), samplerFactor(two, weightsTwo)];
  const flmNoise = samplerNoise(options, specOf(flmFactor));
  const start = (specOf(flmNoise) as Tree)["state"] as never;
  const programs = {
    init,
    initTwo,
    flmStep: flmStep(options, state as never),
    flmValidation: flmValidation(options, weights),
    fmlmStep: fmlmStep({ ...options, diagonal: 2 }, stateTwo as never, weights),
    flmFactor,
    fmlmFactor,
    flmNoise,
    fmlmNoise: samplerNoise(two, specOf(fmlmFactor)),
    flmSampler: samplerProgram(options, weights, start),
    fmlmSampler: samplerProgram(two, weightsTwo, start),
    flmDecode: decodeProgram(options, weights, start),
    fmlmDecode: decodeProgram(two, weightsTwo, start),
    unpackFlm: unpackWeights(options.network),
    unpackFmlm: unpackWeights(two.network),
  };
  return programs as unknown as Readonly<Record<keyof typeof programs, AnyFn>>;
}

export interface Run {
  readonly flmLosses: readonly number[];
  readonly validation: number;
  readonly fmlmLosses: readonly number[];
  /** Parameters of both models after their training. */
  readonly weights: readonly number[];
  /** States and confidences along three steps of each sampler. */
  readonly samples: readonly number[];
  /** The last steps' tokens, most probable and drawn. */
  readonly tokens: readonly number[];
}

/** Trains both models for so many steps each, then samples from both. */
export async function runModels(device: Device, options: ModelOptions, steps: number): Promise<Run> {
  const { batch, network } = options;
  const { vocab, length } = network;
  const programs = modelPrograms(options);
  const call = async (program: AnyFn): Promise<(inputs: Tree) => Promise<Tree>> => {
    const compiled = await compile(program, { device });
    return async (inputs) => (await compiled.run(inputs as never)) as never;
  };
  const numbers = async (tree: unknown): Promise<readonly number[]> =>
    (await readTree(tree as never)).flatMap(toNumbers);
  /** Times between 0 and 1 that differ from row to row and step to step. */
  const times = (step: number, low: number, high: number): Float32Array =>
    Float32Array.from({ length: batch }, (_, i) => low + ((high - low) * ((step * 7 + i * 3) % 10)) / 10);
  const tokensOf = (step: number): Int32Array =>
    Int32Array.from({ length: batch * length }, (_, i) => (i * 5 + step * 11) % vocab);

  const train = async (program: AnyFn, unpack: AnyFn, start: Tree, inputs: (step: number) => Tree) => {
    const step = await call(program);
    const losses: number[] = [];
    let state: unknown = start;
    for (let i = 0; i < steps; i++) {
      const out = await step({ state, key: [i, 42], learningRate: 3e-3, tokens: tokensOf(i), ...inputs(i) });
      losses.push((await numbers(out["loss"]))[0] ?? NaN);
      state = out["state"];
    }
    const weights = (state as Tree)["params"];
    return { losses, params: await (await call(unpack))({ weights }) };
  };

  const fresh = await (await call(programs.init))({ key: [0, 3] });
  const flm = await train(programs.flmStep, programs.unpackFlm, fresh, (i) => ({
    tau: times(i, 0.1, 0.9),
    t: times(i, 0.2, 0.95),
  }));
  const teacher = flm.params;
  const validation = await (
    await call(programs.flmValidation)
  )({ params: teacher, tokens: tokensOf(99), tau: times(1, 0.1, 0.9), t: times(1, 0.2, 0.95), key: [1, 1] });
  const student = await (await call(programs.initTwo))({ key: [0, 5], teacher });
  const fmlm = await train(programs.fmlmStep, programs.unpackFmlm, student, (i) => ({
    teacher,
    tauS: times(i, 0, 0.3),
    tauU: times(i, 0.3, 0.6),
    tauT: times(i, 0.6, 0.9),
    s: times(i, 0.1, 0.4),
    u: times(i, 0.4, 0.7),
    t: times(i, 0.7, 0.95),
    gamma: times(i, 0.2, 0.8),
  }));

  const samples: number[] = [];
  const tokens: number[] = [];
  const keys = Uint32Array.from({ length: 2 * batch }, (_, i) => i);
  const sample = async (
    params: unknown,
    factored: AnyFn,
    noise: AnyFn,
    sampler: AnyFn,
    decode: AnyFn,
  ): Promise<void> => {
    const [move, draw] = [await call(sampler), await call(decode)];
    const factor = await (await call(factored))({ params });
    const start = (await (await call(noise))({ factor, keys }))["state"];
    let state = start;
    for (const [tau, stateWeight] of [
      [0, 0.6],
      [0.4, 0.3],
      [0.8, 0.1],
    ] as const) {
      const weights = { stateWeight, denoiserWeight: 1 - stateWeight, noiseWeight: 0.1 };
      const out = await move({ params, state, noise: start, tau, target: tau + 0.2, ...weights });
      state = out["state"];
      samples.push(...(await numbers(state)), ...(await numbers(out["confidence"])));
      tokens.push(...(await numbers(out["tokens"])));
    }
    const uniforms = Float32Array.from({ length: batch * length }, (_, i) => ((i * 37) % 101) / 101);
    const drawn = await draw({ params, state, tau: 0.9, target: 1, temperature: 0.8, uniforms });
    tokens.push(...(await numbers(drawn["tokens"])));
  };
  await sample(teacher, programs.flmFactor, programs.flmNoise, programs.flmSampler, programs.flmDecode);
  await sample(
    fmlm.params,
    programs.fmlmFactor,
    programs.fmlmNoise,
    programs.fmlmSampler,
    programs.fmlmDecode,
  );
  return {
    flmLosses: flm.losses,
    validation: (await numbers(validation["loss"]))[0] ?? NaN,
    fmlmLosses: fmlm.losses,
    weights: [...(await numbers(teacher)), ...(await numbers(fmlm.params))],
    samples,
    tokens,
  };
}
