/**
 * Sampling from a run's models: one compiled step serves any number of steps of either sampler.
 * Consumed by the command line, while training and afterwards.
 */
import type { Fn } from "../../dsl/index.ts";
import { outputSpec } from "../../dsl/index.ts";
import { fold } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import type { SamplerStep } from "../../models/language/sampler.ts";
import { keyData } from "../../models/training/batches.ts";
import { samplerNoise, samplerProgram } from "../../models/training/programs.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { compile } from "../compile.ts";
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

/** How a long sampling is watched. */
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
  sample(params: unknown, schedule: readonly SamplerStep[], count: number, key: Key, hooks?: SampleHooks): Promise<Samples>;
  dispose(): Promise<void>;
}

type Outputs = { readonly state: DeviceValue; readonly tokens: DeviceValue; readonly confidence: DeviceValue };

/** Compiles a sampler for networks of the given options, `options.batch` samples at a time. */
export async function openSampler(device: Device, options: ModelOptions, params: unknown): Promise<Sampler> {
  const noiseFn = samplerNoise(options, params as never);
  const state = (outputSpec(noiseFn as unknown as Fn<never, { readonly state: never }>) as unknown as { readonly state: unknown }).state;
  const noise = await compile(noiseFn as unknown as Fn<Record<string, never>, Record<string, never>>, { device, name: "the sampler's noise" });
  const step = await compile(samplerProgram(options, params as never, state as never) as unknown as Fn<Record<string, never>, Record<string, never>>, { device, name: "the sampler step" });
  const { batch } = options;
  const { length } = options.network;

  /** The noise of one step for the samples with the given keys. */
  const draw = async (weights: unknown, sampleKeys: readonly Key[], index: number): Promise<DeviceValue> => {
    const keys = Uint32Array.from(sampleKeys.flatMap((key) => [...keyData(fold(key, index))]));
    return ((await noise.run({ params: weights, keys } as never)) as unknown as { readonly state: DeviceValue }).state;
  };

  async function sampleBatch(weights: unknown, schedule: readonly SamplerStep[], keys: readonly Key[], hooks: SampleHooks, trajectory: TrajectoryStep[] | undefined): Promise<Int32Array> {
    hooks.signal?.throwIfAborted();
    let current = await draw(weights, keys, 0);
    let tokens = new Int32Array(batch * length);
    for (const [i, { tau, target, state: stateWeight, denoiser, noise: noiseWeight }] of schedule.entries()) {
      if (hooks.signal?.aborted === true) {
        current.dispose();
        hooks.signal.throwIfAborted();
      }
      // Without noise to add, the state stands in: its weight is zero.
      const fresh = noiseWeight === 0 ? current : await draw(weights, keys, i + 1);
      const input = { params: weights, state: current, noise: fresh, tau, target: target ?? 1, stateWeight, denoiserWeight: denoiser, noiseWeight };
      const output = (await step.run(input as never)) as unknown as Outputs;
      const last = i === schedule.length - 1;
      if (last || trajectory !== undefined) tokens = (await output.tokens.read()).data as Int32Array<ArrayBuffer>;
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
    current.dispose();
    return tokens;
  }

  return {
    async sample(weights, schedule, count, key, hooks = {}) {
      const tokens = new Int32Array(count * length);
      const trajectory: TrajectoryStep[] = [];
      for (let done = 0; done < count; done += batch) {
        // The last batch may be partly filled: its other samples are drawn and left out.
        const keys = Array.from({ length: batch }, (_, i) => fold(key, done + i));
        const drawn = await sampleBatch(weights, schedule, keys, hooks, done === 0 ? trajectory : undefined);
        tokens.set(drawn.subarray(0, Math.min(batch, count - done) * length), done * length);
      }
      return { tokens, trajectory };
    },
    async dispose() {
      await noise.dispose();
      await step.dispose();
    },
  };
}
