/**
 * Learning-rate schedules: pure functions of the step, a scalar tensor counted from 0 (the number of updates
 * already made), to a factor. Multiply with a base rate: `mul(warmup(2500)(state.step), 3e-4)`; combine with
 * `product` and `after`.
 */
import { cast, cos, div, exp, floor, maximum, minimum, mul, add, sub } from "../surface/elementwise.ts";
import { fail } from "../surface/operand.ts";
import type { Tensor } from "../types/index.ts";

type Scalar = Tensor<[], "f32">;

/** A factor for every step. */
export type Schedule = (step: Tensor<[], "i32" | "u32" | "f32">) => Scalar;

function positive(schedule: string, name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) fail(`${schedule}: ${name} must be positive, got ${value}`);
}

const float = (step: Tensor<[], "i32" | "u32" | "f32">): Scalar => cast(step, "f32");

/** The same value at every step. */
export const constant =
  (value = 1): Schedule =>
  (step) =>
    add(mul(float(step), 0), value);

/**
 * Linear from 0 to 1 over `steps` steps, then 1. The very first rate is 0, as usual; with 0 steps it is 1
 * throughout.
 */
export function warmup(steps: number): Schedule {
  if (steps === 0) return constant(1);
  positive("warmup", "the number of steps", steps);
  return (step) => minimum(div(float(step), steps), 1);
}

/** Half a cosine from 1 to `final` over `steps` steps, then `final` (0 by default). */
export function cosine({ steps, final = 0 }: { readonly steps: number; readonly final?: number }): Schedule {
  positive("cosine", "the number of steps", steps);
  return (step) => {
    const progress = minimum(div(float(step), steps), 1);
    return add(mul(add(cos(mul(progress, Math.PI)), 1), (1 - final) / 2), final);
  };
}

/** A straight line from 1 to `final` over `steps` steps, then `final` (0 by default). */
export function linearDecay({
  steps,
  final = 0,
}: {
  readonly steps: number;
  readonly final?: number;
}): Schedule {
  positive("linearDecay", "the number of steps", steps);
  return (step) => sub(1, mul(minimum(div(float(step), steps), 1), 1 - final));
}

/** Half as much after every `steps` steps: ½^⌊step/steps⌋. */
export function halving(steps: number): Schedule {
  positive("halving", "the number of steps", steps);
  return (step) => exp(mul(floor(div(float(step), steps)), -Math.LN2));
}

/** The product of schedules. */
export const product =
  (...schedules: readonly Schedule[]): Schedule =>
  (step) =>
    schedules.map((schedule) => schedule(step)).reduce((a, b) => mul(a, b), constant(1)(step));

/** A schedule that starts `steps` steps later; before that, its first value. */
export const after =
  (steps: number, schedule: Schedule): Schedule =>
  (step) =>
    schedule(maximum(sub(float(step), steps), 0));
