/**
 * Sampling from a run's models by any schedule: one compiled program draws a batch of texts.
 * Consumed by the command line. The samplers that a run is measured with are in sampler.ts.
 */
import type { Fn } from "../../dsl/index.ts";
import { fold } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import { keyData } from "../../models/training/batches.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { samplingProgram } from "../../models/training/sampling.ts";
import type { SamplingOptions } from "../../models/training/sampling.ts";
import { compile } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { refusalError } from "../files/errors.ts";
import type { SampleHooks } from "./sampler.ts";

export interface ScheduledSampler {
  /**
   * Tokens [count, length]. Sample i is a function of (params, key, i), and that of the samplers of sampler.ts where the schedule is theirs.
   * @param given tokens of every sample, [length], negative where any may come
   * @throws the signal's reason once it is aborted
   */
  sample(
    params: unknown,
    count: number,
    key: Key,
    given?: Int32Array,
    hooks?: SampleHooks,
  ): Promise<Int32Array>;
  dispose(): Promise<void>;
}

/**
 * Compiles a sampler for networks of the given options, `options.batch` samples at a time.
 * @throws UserError for what the flow's denoiser or source does not allow
 */
export async function openScheduledSampler(
  device: Device,
  options: ModelOptions,
  params: unknown,
  sampling: SamplingOptions,
): Promise<ScheduledSampler> {
  const compiled = await compiledSampler(device, options, params, sampling);
  const { batch } = options;
  const { length } = options.network;
  const { schedule } = sampling;
  // Steps of chosen lengths are known when they were taken; they are watched as one.
  const calls = "calls" in schedule ? schedule.calls.length : "draws" in schedule ? schedule.draws : 1;
  return {
    async sample(weights, count, key, given = new Int32Array(length).fill(-1), hooks = {}) {
      const tokens = new Int32Array(count * length);
      const everyRow = Int32Array.from({ length: batch * length }, (_, i) => given[i % length] as number);
      for (let first = 0; first < count; first += batch) {
        hooks.signal?.throwIfAborted();
        // The last batch may be partly filled: its other samples are drawn and left out.
        const keys = Array.from({ length: batch }, (_, i) => [...keyData(fold(key, first + i))]);
        const input = { params: weights, keys: Uint32Array.from(keys.flat()), given: everyRow };
        const output = (await compiled.run(input as never)) as unknown as { readonly tokens: DeviceValue };
        const part = (await output.tokens.read()).data as Int32Array;
        output.tokens.dispose();
        for (let call = 0; call < calls; call++) hooks.step?.(batch);
        tokens.set(part.subarray(0, Math.min(batch, count - first) * length), first * length);
      }
      return tokens;
    },
    dispose: () => compiled.dispose(),
  };
}

/** Declaring it and compiling it may both find that a flow does not allow what is asked. */
async function compiledSampler(
  device: Device,
  options: ModelOptions,
  params: unknown,
  sampling: SamplingOptions,
) {
  try {
    const program = samplingProgram(options, params as never, sampling); // of whatever network
    return await compile(
      program as unknown as Fn<Record<string, never>, Record<string, never>>, // named inputs, a named output
      { device, name: "sampling" },
    );
  } catch (error) {
    throw refusalError(error);
  }
}
