/**
 * Sampling on the sphere as a function of the language: all steps of a schedule are one `scan`. States start as uniform noise, and
 * after the last step the tokens are the most probable ones of its last distribution; with one step, those of a denoiser of noise.
 *
 * Consumed by users and by training/spherical.ts. To add a method: a case in `moved`.
 */
import {
  add,
  argmax,
  broadcastTo,
  constant,
  gather,
  random,
  scan,
  slice,
  softmax,
  squeeze,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { kept } from "../samplers/given.ts";
import { DRAWS } from "../samplers/sample.ts";
import { evenTimes } from "../samplers/schedule.ts";
import type { HostTime, ScheduleOptions } from "../samplers/schedule.ts";
import { foldedKeys, perKey } from "../samplers/world.ts";
import type { Time } from "../two-time.ts";
import { slerp } from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import type { SphericalFlow } from "./spherical-flow.ts";
import { eulerStep, midpointStep, shareOfRest } from "./step.ts";

/**
 * "euler": the exponential map of the mean velocity, order 1, a call of the denoiser a step. "midpoint": order 2, two calls. "drawn":
 * a token is drawn from the denoiser and the state moves on the great circle to it; for one token that keeps the law of states
 * exactly, for texts as steps become small.
 */
export type SphericalMethod = "euler" | "midpoint" | "drawn";

export interface SphericalSchedule {
  readonly method: SphericalMethod;
  readonly steps: readonly { readonly from: HostTime; readonly middle: HostTime; readonly to: HostTime }[];
}

/**
 * Steps that are even on the flow's clock. A schedule that starts late or ends early (`start`, `end`) is truncated: it makes one step
 * of what is before, and takes the tokens of its last distribution.
 * @throws RangeError unless `steps` is a whole number >= 1 and 0 <= start < end <= 1
 */
export function sphericalSchedule(
  { clock }: Pick<SphericalFlow, "clock">,
  method: SphericalMethod,
  steps: number,
  options: ScheduleOptions = {},
): SphericalSchedule {
  const at = (t: number): HostTime => ({ t, tau: clock.tau(t), rate: clock.dTau(t) });
  const times = evenTimes({ clock }, steps, options);
  const all = (options.start ?? 0) > 0 ? [at(0), ...times] : times;
  return {
    method,
    steps: all.slice(1).map((to, i) => {
      const from = all[i] as HostTime; // one less than all
      return { from, middle: at((from.t + to.t) / 2), to };
    }),
  };
}

/** Logits of the clean tokens of states [batch, length, d]: [batch, length, vocab]. */
export type TokenLogits = (x: Tensor, time: Time) => Tensor;

export interface SphericalSamples {
  /** The last state, [batch, length, d]. */
  readonly state: Tensor;
  /** [batch, length] i32. */
  readonly tokens: Tensor;
}

/** Uniform noise [...shape], points of the sphere along the last axis: the direction of normal numbers. */
export const uniformNoise = (
  { unit }: Pick<Geometry, "unit">,
  key: random.Key,
  shape: readonly number[],
): Tensor => unit(random.normal(key, shape) as Tensor);

export interface SphericalInputs {
  /** [batch, 2] u32. */
  readonly keys: Tensor;
  /** Unit vectors of tokens, [vocab, d]. */
  readonly table: Tensor;
  readonly length: number;
  /**
   * Tokens that must be kept, [batch, length] i32, negative where any may come: their states are held on their great circles. As on lines
   * (samplers/given.ts), the other places see a noisy view of them, which is less than the conditional law.
   */
  readonly given?: Tensor;
}

/**
 * Samples of a flow on the sphere. Sample i is a function of key i, and of nothing else in the batch. Guidance is a change of `logits`, as in
 * weak + η (strong − weak).
 * @throws RangeError for a schedule without steps
 */
export function sphericalSample(
  flow: SphericalFlow,
  logits: TokenLogits,
  { method, steps }: SphericalSchedule,
  { keys, table, length, given }: SphericalInputs,
): SphericalSamples {
  if (steps.length === 0) throw new RangeError("A schedule on the sphere has at least one step.");
  const { geometry } = flow;
  const batch = keys.shape[0] ?? 0;
  const dimension = table.shape[1] ?? 0;
  const prior = perKey((key) => uniformNoise(geometry, key, [length, dimension]), foldedKeys(keys, 0));
  const known = kept(
    given,
    (tokens) => gather(table, tokens as Tensor<[], "i32">) as Tensor,
    (clean, t) => flow.state(prior, clean, t),
  );
  const moving = { flow, table, distribution: (x: Tensor, time: Time) => softmax(logits(x, time)) };

  function moved(x: Tensor, [from, middle, to]: readonly [Time, Time, Time], draw: Tensor) {
    if (method !== "drawn") {
      const { state, distribution } =
        method === "euler" ? eulerStep(moving, x, from, to) : midpointStep(moving, x, from, middle, to);
      return { next: state, tokens: argmax(distribution, 2) as Tensor };
    }
    const found = logits(x, from);
    const gumbel = perKey(
      (key) => random.gumbel(key, found.shape.slice(1)),
      foldedKeys(keys, draw as Tensor<[], "i32">),
    );
    const tokens = argmax(add(found, gumbel), 2) as Tensor<[], "i32">;
    return {
      next: slerp(geometry, x, gather(table, tokens) as Tensor, shareOfRest(flow, from, to)),
      tokens: tokens as Tensor,
    };
  }

  const column = (pick: (step: SphericalSchedule["steps"][number]) => HostTime) => ({
    t: constant(steps.map((step) => pick(step).t), [steps.length]) as Tensor, // prettier-ignore
    tau: constant(steps.map((step) => pick(step).tau), [steps.length]) as Tensor, // prettier-ignore
    rate: constant(steps.map((step) => pick(step).rate), [steps.length]) as Tensor, // prettier-ignore
  });
  const everyRow = (time: Time): Time => ({
    t: broadcastTo(time.t, [batch]),
    tau: broadcastTo(time.tau, [batch]),
    rate: broadcastTo(time.rate, [batch]),
  });
  const [state, trajectory] = scan(
    (x: Tensor, row: { from: Time; middle: Time; to: Time; draw: Tensor }) => {
      const times = [everyRow(row.from), everyRow(row.middle), everyRow(row.to)] as const;
      const { next, tokens } = moved(known.state(x, times[0].t), times, row.draw);
      // Rounding would add up over the steps.
      return [geometry.unit(next), known.tokens(tokens)] as const;
    },
    prior,
    {
      from: column(({ from }) => from),
      middle: column(({ middle }) => middle),
      to: column(({ to }) => to),
      draw: constant(steps.map((_, i) => DRAWS + i), [steps.length], "i32") as Tensor, // prettier-ignore
    },
  );
  const end = steps.at(-1)?.to.t ?? 1;
  return {
    state: known.state(state, constant(Array<number>(batch).fill(end), [batch])),
    tokens: squeeze(slice(trajectory, 0, steps.length - 1, steps.length), 0) as Tensor,
  };
}
