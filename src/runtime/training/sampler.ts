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

/** A sampler of one model's weights. */
export interface Sampler {
  /** Samples by a schedule. The same key gives the same samples; a batch of them does not depend on the others. */
  sample(params: unknown, schedule: readonly SamplerStep[], count: number, key: Key): Promise<Samples>;
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

  const draw = async (weights: unknown, key: Key): Promise<DeviceValue> =>
    ((await noise.run({ params: weights, key: keyData(key) } as never)) as unknown as { readonly state: DeviceValue }).state;

  async function sampleBatch(weights: unknown, schedule: readonly SamplerStep[], key: Key, trajectory: TrajectoryStep[] | undefined): Promise<Int32Array> {
    let current = await draw(weights, fold(key, 0));
    let tokens = new Int32Array(batch * length);
    for (const [i, { tau, target, state: stateWeight, denoiser, noise: noiseWeight }] of schedule.entries()) {
      // Without noise to add, the state stands in: its weight is zero.
      const fresh = noiseWeight === 0 ? current : await draw(weights, fold(key, i + 1));
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
    }
    current.dispose();
    return tokens;
  }

  return {
    async sample(weights, schedule, count, key) {
      const tokens = new Int32Array(count * length);
      const trajectory: TrajectoryStep[] = [];
      for (let done = 0; done < count; done += batch) {
        const drawn = await sampleBatch(weights, schedule, fold(key, done / batch), done === 0 ? trajectory : undefined);
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
