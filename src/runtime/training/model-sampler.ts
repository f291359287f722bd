/**
 * The own sampler of a run's model: how it is sampled where nothing else is asked for. FLM and FMLM have their compiled step
 * (sampler.ts). A declared flow follows its drift in Euler steps, a declared map jumps, with as much renewed noise in between as the run
 * says; each as one program for a number of steps (scheduled-sampler.ts).
 *
 * Consumed by the command line, while training, when a run is measured, and afterwards.
 */
import type { Flow } from "../../models/flow/flow.ts";
import type { Key } from "../../models/flow/host-random.ts";
import type { AdaptiveOptions } from "../../models/flow/samplers/adaptive.ts";
import { euler, gammaResampling } from "../../models/flow/samplers/index.ts";
import { eulerSchedule, gammaSchedule } from "../../models/language/sampler.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import type { SamplingOptions } from "../../models/training/sampling.ts";
import type { Device } from "../device.ts";
import { refusalError, UserError } from "../files/errors.ts";
import { openSampler } from "./sampler.ts";
import type { Decoder, SampleHooks, Samples } from "./sampler.ts";
import { openScheduledSampler } from "./scheduled-sampler.ts";
import type { PhaseName, Subject } from "./subject.ts";

/** A sampler for one number of steps. */
export interface PreparedSampler {
  /** Sample i is a function of (params, key, i): neither the count nor the batch size changes it. A declared model has no trajectory. */
  sample(params: unknown, count: number, key: Key, hooks?: SampleHooks): Promise<Samples>;
  /** Of FLM and FMLM: all but the last step, whose tokens can then be drawn at any temperature. */
  decoder?(params: unknown, count: number, key: Key, hooks?: SampleHooks): Promise<Decoder>;
  dispose(): Promise<void>;
}

export interface ModelSampler {
  /**
   * What has to be compiled for a number of steps.
   * @param gamma share of renewed noise between the jumps of a map
   * @throws UserError for a number of steps that the flow cannot take
   */
  prepare(steps: number, gamma?: number): Promise<PreparedSampler>;
  dispose(): Promise<void>;
}

/** Which of a run's models. */
export interface SampledModel {
  readonly subject: Subject;
  readonly phase: PhaseName;
  /** Of the network that is sampled, `batch` samples at a time. */
  readonly options: ModelOptions;
  /** Specification of its weights. */
  readonly spec: unknown;
  /** Share of renewed noise of a map, unless asked otherwise. */
  readonly gamma: number;
}

/** Opens the own sampler of a model. */
export async function openModelSampler(device: Device, model: SampledModel): Promise<ModelSampler> {
  const { subject, phase, options, spec, gamma } = model;
  const { flow } = subject;
  if (!subject.published)
    return {
      async prepare(steps, asked) {
        const schedule = ownDrawing(model, steps, asked);
        const sampler = await openScheduledSampler(device, options, spec, { flow, schedule });
        return {
          sample: async (params, count, key, hooks) => ({
            tokens: await sampler.sample(params, count, key, undefined, hooks),
            trajectory: [],
          }),
          dispose: () => sampler.dispose(),
        };
      },
      dispose: async () => undefined,
    };
  const sampler = await openSampler(device, options, spec);
  return {
    async prepare(steps, share = gamma) {
      const schedule =
        phase === "flm" ? eulerSchedule(flow.clock, steps) : gammaSchedule(flow.clock, steps, share);
      return {
        sample: (params, count, key, hooks) => sampler.sample(params, schedule, count, key, hooks),
        decoder: (params, count, key, hooks) => sampler.decoder(params, schedule, count, key, hooks),
        dispose: async () => undefined,
      };
    },
    dispose: () => sampler.dispose(),
  };
}

/**
 * How a model is sampled in so many steps where nothing else is asked for. FLM and FMLM as well: their own steps are these.
 * @param asked share of renewed noise of a map
 * @throws UserError for what the flow does not allow
 */
export function ownDrawing(
  { subject: { flow }, phase, gamma: usual }: Pick<SampledModel, "subject" | "phase" | "gamma">,
  steps: number,
  asked?: number,
): Drawing {
  const alone = onlyOwn(flow, steps);
  if (alone !== undefined) return alone;
  const start = startOf(flow);
  // Renewing a part of the noise needs a Gaussian source; of another a map jumps alone, unless asked for what cannot be.
  const gamma = asked ?? (flow.source.scale === undefined || flow.source.mean !== 0 ? 0 : usual);
  try {
    return phase === "flm" ? euler(flow, steps, start) : gammaResampling(flow, steps, { ...start, gamma });
  } catch (error) {
    throw refusalError(error);
  }
}

/** How a text is drawn. */
export type Drawing = SamplingOptions["schedule"];

/**
 * How a flow is sampled that no schedule of one number a step can follow, because its tokens have times of their own or its noise is a
 * point; undefined for the others. Texts are drawn on the way; where the network says points and no tokens, by even jumps.
 * @throws UserError for a number of jumps that is no power of two
 */
export function onlyOwn(flow: Flow, steps: number): Drawing | undefined {
  const timed = flow.interpolant.length !== undefined;
  if (!timed && flow.source.support !== "point") return undefined;
  return flow.predicts === "clean token" || !timed ? { draws: steps } : evenJumps(flow, steps);
}

/** Where sampling begins: a network that predicts noise or a score says nothing of the text where there is only noise. */
export const startOf = ({ predicts }: Flow): { readonly start?: number } =>
  predicts === "noise" || predicts === "score" ? { start: 1e-3 } : {};

/** Even steps, each of two half jumps. @throws UserError when their number is no power of two */
function evenJumps({ name, predicts }: Flow, steps: number): AdaptiveOptions {
  const power = Math.log2(steps);
  if (!Number.isInteger(power) || power > 16)
    throw new UserError(
      `The flow "${name}" gives every token a time of its own and predicts a ${predicts}; it is sampled in 1, 2, 4, ... steps, not in ${steps}.`,
    );
  // Whatever the distance of the two states: no step is halved, and none doubled.
  return { tolerance: Number.MAX_VALUE, shortest: power, longest: power };
}
