/**
 * Samplers of FLM and FMLM, and the compiled step that runs them. One step of these is z ← a·z + b·p + c·ε with the denoiser p at (τ, τ′);
 * what differs is the schedule of coefficients, which is data. So one compiled step serves any number of steps.
 *
 *   Euler (FLM):         a = 1 − w, b = w, w = (t′ − t)/(1 − t), c = 0
 *   γ-sampler (FMLM):    jump past the next time with δ, then renoise (arXiv:2602.16813)
 *
 * Schedules for any interpolant are in flow/samplers, of which these are the linear ones.
 *
 * The last step's state is the denoiser itself and its tokens are the argmax. Consumed by training (samples while it runs) and the
 * command line. To add a sampler, write its schedule.
 */
import { add, mul } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { eulerWeight } from "../flow/algebra.ts";
import type { Clock } from "../flow/clock.ts";
import { linear } from "../flow/interpolant.ts";
import { gammaResampling } from "../flow/samplers/jumps.ts";
import { callOf, evenSchedule } from "../flow/samplers/schedule.ts";
import type { StateSpace } from "../flow/state-space.ts";
import type { Network } from "../networks/network.ts";
import { predict } from "./denoiser.ts";

/** One step's numbers. `target` is absent for a one-time denoiser. */
export interface SamplerStep {
  /** Clock time of the state. */
  readonly tau: number;
  /** Clock time that the denoiser jumps to. */
  readonly target?: number;
  readonly state: number;
  readonly denoiser: number;
  readonly noise: number;
}

/**
 * The Euler schedule of the probability-flow ODE of FLM.
 * @param floor added to 1 − t; 0 is exact, 1e-5 reproduces the published code
 * @throws RangeError unless `steps` is a whole number >= 1
 */
export const eulerSchedule = (clock: Clock, steps: number, floor = 0): readonly SamplerStep[] =>
  evenSchedule(
    { name: "Euler", endpoint: "expected" },
    { interpolant: linear, clock },
    steps,
    {},
    (from, to) => {
      // Of the published code, too, the last step is the denoiser itself.
      const weight = to.t === 1 ? 1 : eulerWeight(from.t, to.t, floor);
      return [callOf(from, { state: 1 - weight, denoiser: weight })];
    },
  ).calls.map(({ time, state, denoiser, noise }) => ({ tau: time.tau, state, denoiser, noise }));

/**
 * The γ-schedule of FMLM: γ = 0 is deterministic, γ = 1 renoises fully between jumps.
 * @throws RangeError unless `steps` is a whole number >= 1 and 0 <= γ <= 1
 */
export const gammaSchedule = (clock: Clock, steps: number, gamma: number): readonly SamplerStep[] =>
  gammaResampling({ interpolant: linear, clock }, steps, { gamma }).calls.map(
    ({ time, target, state, denoiser, noise }) => ({
      tau: time.tau,
      target: target.tau,
      state,
      denoiser,
      noise,
    }),
  );

/** A sampler step as a program: states and noise [batch, length, dim], scalars for the schedule's numbers. */
export interface SamplerInputs {
  readonly state: Tensor;
  readonly tau: Tensor;
  /** Clock time jumped to; absent for a one-time denoiser. */
  readonly target?: Tensor;
  readonly stateWeight: Tensor;
  readonly denoiserWeight: Tensor;
  /** Fresh noise, already scaled; absent when the schedule adds none. */
  readonly noise?: Tensor;
}

export interface SamplerOutputs {
  /** The next state, [batch, length, dim]. */
  readonly state: Tensor;
  /** The denoiser's most probable tokens, [batch, length] i32. */
  readonly tokens: Tensor;
  /** Their probabilities, [batch, length]. */
  readonly confidence: Tensor;
}

/** One step of a sampler. */
export function samplerStep<P>(
  network: Network<P>,
  params: P,
  inputs: SamplerInputs,
  space: StateSpace,
): SamplerOutputs {
  const { state, tau, target } = inputs;
  const condition = target === undefined ? { tau } : { tau, target };
  const prediction = predict(network, params, space, state, condition);
  const denoised = prediction.expected();
  const moved = add(mul(state, inputs.stateWeight), mul(denoised, inputs.denoiserWeight));
  return {
    state: inputs.noise === undefined ? moved : add(moved, inputs.noise),
    ...prediction.mode(),
  };
}

/** A last step that draws its tokens instead of taking the most probable ones. */
export interface DecodeInputs {
  readonly state: Tensor;
  readonly tau: Tensor;
  readonly target?: Tensor;
  /** Scalar > 0; towards 0 the draw becomes the argmax. */
  readonly temperature: Tensor;
  /** One uniform number in [0, 1) per token, [batch, length]. */
  readonly uniforms: Tensor;
}

/** Tokens [batch, length] i32 drawn from the denoiser at a temperature, position by position, by inverting its distribution function. */
export function decodeStep<P>(
  network: Network<P>,
  params: P,
  inputs: DecodeInputs,
  space: StateSpace,
): Tensor {
  const { state, tau, target } = inputs;
  const condition = target === undefined ? { tau } : { tau, target };
  return predict(network, params, space, state, condition).draw(inputs.temperature, inputs.uniforms);
}
