/**
 * Sampling from a run's models: one compiled step serves any number of steps of either sampler.
 * Consumed by the command line, while training and afterwards.
 */
import type { Fn } from "../../dsl/index.ts";
import { flatten, outputSpec, TensorSpec } from "../../dsl/index.ts";
import { fold, uniforms } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import type { SamplerStep } from "../../models/language/sampler.ts";
import { keyData } from "../../models/training/batches.ts";
import {
  decodeProgram,
  samplerFactor,
  samplerNoise,
  samplerProgram,
} from "../../models/training/programs.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";

/** What one step of the sampler shows, of the first sample. */
export interface TrajectoryStep {
  /** Clock time of the state that was denoised. */
  readonly tau: number;
  readonly tokens: Int32Array;
  readonly confidence: Float32Array;
}

export interface Samples {
  /** [count, length], row-major. */
  readonly tokens: Int32Array;
  readonly trajectory: readonly TrajectoryStep[];
}

/** How a sampling is watched. */
export interface SampleHooks {
  /** Called after every call of the denoiser, with the number of samples that it served. */
  readonly step?: (samples: number) => void;
  /** Aborting it ends the sampling before its next step. */
  readonly signal?: AbortSignal;
}

/** A sampler of one model's weights. */
export interface Sampler {
  /**
   * Samples by a schedule. Sample i is a function of (params, schedule, key, i): neither the count nor the batch size changes it.
   * @throws the signal's reason once it is aborted
   */
  sample(
    params: unknown,
    schedule: readonly SamplerStep[],
    count: number,
    key: Key,
    hooks?: SampleHooks,
  ): Promise<Samples>;
  /** All steps but the last, whose tokens can then be drawn at any temperature. The same samples as those of `sample`. */
  decoder(
    params: unknown,
    schedule: readonly SamplerStep[],
    count: number,
    key: Key,
    hooks?: SampleHooks,
  ): Promise<Decoder>;
  dispose(): Promise<void>;
}

/** Samples before their last step. */
export interface Decoder {
  /** Tokens [count, length] of the last step, drawn at a temperature > 0. The same temperature gives the same tokens. */
  decode(temperature: number): Promise<Int32Array>;
  dispose(): Promise<void>;
}

/** Index of the draws that decode the last step; noise has the indices of the steps. */
const DECODE_DRAW = 2 ** 32;

type Outputs = {
  readonly state: DeviceValue;
  readonly tokens: DeviceValue;
  readonly confidence: DeviceValue;
};

type AnyFn = Fn<Record<string, never>, Record<string, never>>;

/** What all steps of a call share. */
interface Session {
  readonly weights: unknown;
  /** What the noise needs of the weights. */
  readonly factor: unknown;
}

/** Compiles a sampler for networks of the given options, `options.batch` samples at a time. */
export async function openSampler(device: Device, options: ModelOptions, params: unknown): Promise<Sampler> {
  const factorFn = samplerFactor(options, params as never) as unknown as AnyFn;
  const factorSpec = outputSpec(factorFn as unknown as Fn<never, unknown>);
  // Without a leaf there is nothing to compute.
  const factoring =
    flatten(factorSpec, (value) => value instanceof TensorSpec).leaves.length === 0
      ? undefined
      : await compile(factorFn, { device, name: "the factor of the sampler's noise" });
  /** What the noise needs of the weights: the same for all draws of a call. */
  const factorOf = async (weights: unknown): Promise<unknown> =>
    factoring === undefined ? {} : factoring.run({ params: weights } as never);
  const noiseFn = samplerNoise(options, factorSpec as never);
  const state = (
    outputSpec(noiseFn as unknown as Fn<never, { readonly state: never }>) as unknown as {
      readonly state: unknown;
    }
  ).state;
  const noise = await compile(noiseFn as unknown as Fn<Record<string, never>, Record<string, never>>, {
    device,
    name: "the sampler's noise",
  });
  const step = await compile(
    samplerProgram(options, params as never, state as never) as unknown as Fn<
      Record<string, never>,
      Record<string, never>
    >,
    { device, name: "the sampler step" },
  );
  const { batch } = options;
  const { length } = options.network;

  /** The noise of one step for the samples with the given keys. */
  const draw = async (factor: unknown, sampleKeys: readonly Key[], index: number): Promise<DeviceValue> => {
    const keys = Uint32Array.from(sampleKeys.flatMap((key) => [...keyData(fold(key, index))]));
    return ((await noise.run({ factor, keys } as never)) as unknown as { readonly state: DeviceValue }).state;
  };

  /** Runs the given steps on a batch. @returns the last state and the last step's tokens */
  async function runSteps(
    { weights, factor }: Session,
    steps: readonly SamplerStep[],
    keys: readonly Key[],
    hooks: SampleHooks,
    trajectory?: TrajectoryStep[],
  ): Promise<{ readonly state: DeviceValue; readonly tokens: Int32Array }> {
    hooks.signal?.throwIfAborted();
    let current = await draw(factor, keys, 0);
    let tokens = new Int32Array(batch * length);
    for (const [i, { tau, target, state: stateWeight, denoiser, noise: noiseWeight }] of steps.entries()) {
      if (hooks.signal?.aborted === true) {
        current.dispose();
        hooks.signal.throwIfAborted();
      }
      // Without noise to add, the state stands in: its weight is zero.
      const fresh = noiseWeight === 0 ? current : await draw(factor, keys, i + 1);
      const input = {
        params: weights,
        state: current,
        noise: fresh,
        tau,
        target: target ?? 1,
        stateWeight,
        denoiserWeight: denoiser,
        noiseWeight,
      };
      const output = (await step.run(input as never)) as unknown as Outputs;
      const last = i === steps.length - 1;
      if (last || trajectory !== undefined)
        tokens = (await output.tokens.read()).data as Int32Array<ArrayBuffer>;
      if (trajectory !== undefined) {
        const confidence = (await output.confidence.read()).data as Float32Array;
        trajectory.push({ tau, tokens: tokens.slice(0, length), confidence: confidence.slice(0, length) });
      }
      current.dispose();
      if (fresh !== current) fresh.dispose();
      output.tokens.dispose();
      output.confidence.dispose();
      current = output.state;
      hooks.step?.(batch);
    }
    return { state: current, tokens };
  }

  /** Keys of the samples of each batch. The last batch may be partly filled: its other samples are drawn and left out. */
  const batches = (count: number, key: Key): readonly (readonly Key[])[] =>
    Array.from({ length: Math.ceil(count / batch) }, (_, n) =>
      Array.from({ length: batch }, (__, i) => fold(key, n * batch + i)),
    );

  /** Rows of all batches, the surplus of the last one left out. */
  function joined(parts: readonly Int32Array[], count: number): Int32Array {
    const tokens = new Int32Array(count * length);
    parts.forEach((part, n) =>
      tokens.set(part.subarray(0, Math.min(batch, count - n * batch) * length), n * batch * length),
    );
    return tokens;
  }

  return {
    async sample(weights, schedule, count, key, hooks = {}) {
      const trajectory: TrajectoryStep[] = [];
      const parts: Int32Array[] = [];
      const factor = await factorOf(weights);
      try {
        for (const [n, keys] of batches(count, key).entries()) {
          const { state: last, tokens } = await runSteps(
            { weights, factor },
            schedule,
            keys,
            hooks,
            n === 0 ? trajectory : undefined,
          );
          last.dispose();
          parts.push(tokens);
        }
      } finally {
        disposeTree(factor);
      }
      return { tokens: joined(parts, count), trajectory };
    },
    async decoder(weights, schedule, count, key, hooks = {}) {
      const decoding = await compile(
        decodeProgram(options, params as never, state as never) as unknown as Fn<
          Record<string, never>,
          Record<string, never>
        >,
        { device, name: "the sampler's last step" },
      );
      const last = schedule.at(-1);
      if (last === undefined) throw new RangeError("A schedule has at least one step.");
      const ready: { readonly state: DeviceValue; readonly uniforms: Float32Array }[] = [];
      const factor = await factorOf(weights);
      try {
        for (const keys of batches(count, key)) {
          const { state: before } = await runSteps({ weights, factor }, schedule.slice(0, -1), keys, hooks);
          const draws = keys.flatMap((one) => [...uniforms(fold(one, DECODE_DRAW), length)]);
          // Rounding to f32 must not make a 1 of it.
          ready.push({ state: before, uniforms: Float32Array.from(draws, (u) => Math.min(u, 1 - 2 ** -24)) });
        }
      } finally {
        disposeTree(factor);
      }
      return {
        async decode(temperature) {
          const parts: Int32Array[] = [];
          for (const { state: before, uniforms: draws } of ready) {
            hooks.signal?.throwIfAborted();
            const input = {
              params: weights,
              state: before,
              tau: last.tau,
              target: last.target ?? 1,
              temperature,
              uniforms: draws,
            };
            const { tokens } = (await decoding.run(input as never)) as unknown as {
              readonly tokens: DeviceValue;
            };
            parts.push((await tokens.read()).data as Int32Array);
            tokens.dispose();
          }
          return joined(parts, count);
        },
        async dispose() {
          for (const { state: before } of ready) before.dispose();
          await decoding.dispose();
        },
      };
    },
    async dispose() {
      await factoring?.dispose();
      await noise.dispose();
      await step.dispose();
    },
  };
}
