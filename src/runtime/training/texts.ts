/**
 * Texts drawn from a run's model as somebody asks for them: by the model's own sampler, or by another method, at another temperature,
 * around given tokens. The same request on the same weights gives the same texts, wherever it is made.
 *
 * Consumed by `fluxion sample` and by the studio. To add a way of drawing: a field of {@link TextsAsked}.
 */
import type { Vocabulary } from "../../models/data/index.ts";
import { stepKey } from "../../models/training/batches.ts";
import type { Key } from "../../models/flow/host-random.ts";
import {
  bridge,
  euler,
  exponential,
  gammaResampling,
  heun,
  midpoint,
} from "../../models/flow/samplers/index.ts";
import type { Flow } from "../../models/flow/flow.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import type { Device } from "../device.ts";
import { refusalError, UserError } from "../files/errors.ts";
import type { RunStore } from "../run/store.ts";
import type { TrainingConfig } from "./config.ts";
import { onlyOwn, openModelSampler, startOf } from "./model-sampler.ts";
import type { Drawing } from "./model-sampler.ts";
import { patternTokens } from "./pattern.ts";
import type { SampleHooks } from "./sampler.ts";
import { openScheduledSampler } from "./scheduled-sampler.ts";
import { hasMap } from "./subject.ts";
import type { PhaseName, Subject } from "./subject.ts";

const DRIFT = { euler, exponential, heun, midpoint, bridge };
export const METHODS = ["euler", "exponential", "heun", "midpoint", "bridge", "jumps"] as const;

/** Which model is asked. */
export interface AskedModel {
  readonly run: Pick<RunStore<TrainingConfig>, "config" | "place">;
  readonly subject: Subject;
  readonly name: PhaseName;
  readonly vocabulary: Vocabulary;
}

/** What is asked of it. Whoever asks for nothing but steps, and γ, gets the sampler that the run was measured with. */
export interface TextsAsked {
  readonly steps: number;
  /** Share of renewed noise between the jumps of a map. Default: the run's. */
  readonly gamma?: number | undefined;
  /** Default: jumps for a map, euler for a flow. */
  readonly method?: (typeof METHODS)[number] | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly priorScale?: number | undefined;
  /** Tokens to keep, with `_` where any may come. */
  readonly infill?: string | undefined;
}

/** What messages call the wishes: of the command line, its options. */
const OPTIONS = { infill: "--infill", shaping: "--temperature and --top-p" };

/** Weights on a device and what their programs need to know. */
export interface DrawnFrom {
  readonly options: ModelOptions;
  /** Specification of the weights. */
  readonly spec: unknown;
}

/** What draws texts, compiled. */
export interface TextDrawer {
  /** Tokens [count, length]. Text i is a function of the weights, what was asked, the key and i. */
  draw(params: unknown, count: number, key: Key, hooks?: SampleHooks): Promise<Int32Array>;
  dispose(): Promise<void>;
}

/** Steps where nobody says how many: of a map one, and around given tokens, which one step does not see, some more. */
export const usualSteps = (name: PhaseName, infill = false): number => (name === "flm" ? 32 : infill ? 8 : 1);

/** The first state of every sampler is noise alone; given tokens are seen from the second one on. */
const seesGiven = (drawing: Drawing): boolean =>
  "calls" in drawing ? drawing.calls.length > 1 : "draws" in drawing ? drawing.draws > 1 : true;

/** The key of a seed's texts. */
export const textsKey = (seed: number): Key => stepKey(seed, "sample", 1);

/** How many texts are drawn at a time. */
export const textsBatch = ({ sampling }: TrainingConfig, count: number): number =>
  Math.min(count, sampling.batch);

/**
 * Looks at what is asked, without a device.
 * @param called what messages call the wishes
 * @returns what compiles it
 * @throws UserError for what the model does not allow, and for wishes that do not go together, such as given tokens in one step
 */
export function plannedTexts(
  model: AskedModel,
  asked: TextsAsked,
  called: typeof OPTIONS = OPTIONS,
): (device: Device, from: DrawnFrom) => Promise<TextDrawer> {
  const { run, subject, name, vocabulary } = model;
  const { flow } = subject;
  const { steps, gamma, temperature, topP, priorScale, infill } = asked;
  if (gamma !== undefined && name === "flm")
    throw new UserError(
      hasMap(run.config)
        ? "--gamma is a setting of fmlm's sampler; leave it out, or choose --model fmlm"
        : `--gamma renews noise between the jumps of a flow map, and ${run.place} has none; leave it out`,
    );
  if (gamma !== undefined && onlyOwn(flow, steps) !== undefined)
    throw new UserError(
      `--gamma renews noise between jumps, and the flow "${flow.name}" ${ownTimes(flow) ? "gives every token a time of its own" : "has a point for noise"}, so that none is renewed; leave it out`,
    );
  const usual = [asked.method, temperature, topP, priorScale, infill].every((wish) => wish === undefined);
  if (usual)
    return async (device, { options, spec }) => {
      const own = { subject, phase: name, options, spec, gamma: run.config.sampling.gamma };
      const sampler = await openModelSampler(device, own);
      const prepared = await sampler.prepare(steps, gamma);
      return {
        draw: async (params, count, key, hooks) => (await prepared.sample(params, count, key, hooks)).tokens,
        async dispose() {
          await prepared.dispose();
          await sampler.dispose();
        },
      };
    };
  const schedule = scheduleOf(model, asked);
  const { length } = run.config.network;
  const given =
    infill === undefined
      ? new Int32Array(length).fill(-1)
      : patternTokens(infill, vocabulary, length, called.infill);
  if (infill !== undefined && !seesGiven(schedule))
    throw new UserError(
      `${called.infill} needs 2 steps or more: the first begins with noise alone, so in ${steps} the other words would be written without the given ones`,
    );
  const posterior = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
  };
  const shaped = Object.keys(posterior).length > 0;
  if (shaped && flow.predicts !== "clean token")
    throw new UserError(
      `${called.shaping} shape a distribution over tokens, and the flow "${flow.name}" predicts a ${flow.predicts}; leave them out`,
    );
  return async (device, { options, spec }) => {
    const sampler = await openScheduledSampler(device, options, spec, {
      flow,
      schedule,
      ...(shaped ? { posterior } : {}),
      ...(priorScale === undefined ? {} : { priorScale }),
    });
    return {
      draw: (params, count, key, hooks) => sampler.sample(params, count, key, given, hooks),
      dispose: () => sampler.dispose(),
    };
  };
}

/** Whether tokens have times of their own; a flow of which only its own sampler is known has a point for noise else. */
const ownTimes = ({ interpolant }: Flow): boolean => interpolant.length !== undefined;

/**
 * Which wishes change nothing, by their fields: a single step goes from noise to the most probable tokens, with no jump after which noise
 * is renewed, and the most probable token is the same at any temperature. Texts that are drawn on the way are drawn in the last step too.
 */
export function withoutEffect(
  { subject: { flow } }: Pick<AskedModel, "subject">,
  asked: TextsAsked,
): readonly ("gamma" | "temperature" | "topP")[] {
  if (asked.steps > 1 || asked.method === "bridge" || onlyOwn(flow, asked.steps) !== undefined) return [];
  return (["gamma", "temperature", "topP"] as const).filter((wish) => asked[wish] !== undefined);
}

/** The schedule of a method. @throws UserError where the flow does not allow it */
function scheduleOf({ run, subject, name }: AskedModel, { steps, gamma, method: asked }: TextsAsked) {
  const { flow } = subject;
  const method = asked ?? (name === "fmlm" ? "jumps" : "euler");
  if (method === "jumps" && name === "flm")
    throw new UserError(
      hasMap(run.config)
        ? "--method jumps needs a flow map, which flm is not; choose --model fmlm, or another method"
        : `--method jumps needs a flow map, and ${run.place} has none; choose another method`,
    );
  if (gamma !== undefined && method !== "jumps")
    throw new UserError(
      `--gamma renews noise between jumps; leave it out, or choose --method jumps instead of ${method}`,
    );
  if (method === "bridge" && flow.predicts !== "clean token")
    throw new UserError(
      `--method bridge draws tokens, and the flow "${flow.name}" predicts a ${flow.predicts}; choose another method`,
    );
  const own = onlyOwn(flow, steps);
  if (own !== undefined) {
    if (asked === undefined) return own;
    throw new UserError(
      `The flow "${flow.name}" has ${ownTimes(flow) ? "a time of its own for every token" : "a point for noise"}, which no --method follows; leave it out`,
    );
  }
  try {
    if (method !== "jumps") return DRIFT[method](flow, steps, startOf(flow));
    const renewed = flow.source.scale === undefined || flow.source.mean !== 0 ? 0 : run.config.sampling.gamma;
    return gammaResampling(flow, steps, { ...startOf(flow), gamma: gamma ?? renewed });
  } catch (error) {
    throw refusalError(error);
  }
}
