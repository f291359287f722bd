/**
 * Pieces that the rules share: averages, bias corrections, decay.
 */
import { add, exp, less, mul, neg, sub, where } from "../surface/elementwise.ts";
import { full } from "../surface/create.ts";
import { sizeOf } from "../program/program.ts";
import { fail, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import type { Shape, Tensor } from "../types/index.ts";
import type { Leaf, Selects } from "./rule.ts";

type F32 = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;

/** decay·average + (1 − decay)·value. */
export const average = (previous: F32, value: F32, decay: number): F32 =>
  add(mul(previous, decay), mul(value, 1 - decay));

/**
 * 1 − e⁻ᵃ for a >= 0, to full relative precision also in f64: by the series, a(1 − a/2(1 − a/3(…))), where the
 * difference would cancel.
 */
function oneMinusExp(a: Scalar): Scalar {
  const terms = [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
  const series = terms.reduce<Scalar>((tail, k) => sub(1, mul(mul(a, 1 / k), tail)), sub(1, mul(a, 1 / 14)));
  return where(less(a, 0.5), mul(a, series), sub(1, exp(neg(a))));
}

/** 1 − decayᵗ: what the average of t values, started at zero, lacks of its weight. */
export const biasCorrection = (decay: number, count: Scalar): Scalar =>
  decay === 0 ? add(mul(count, 0), 1) : oneMinusExp(mul(count, -Math.log(decay)));

/** Whether a leaf is selected; for several parameters of which only some are, of each element. */
function selected({ parameters }: Leaf, selects: Selects | undefined): boolean | Tensor<Shape, "bool"> {
  const runs: { selected: boolean; size: number }[] = [];
  for (const { path, shape } of parameters) {
    const [answer, size] = [selects?.(path, shape) ?? true, sizeOf(shape)];
    const last = runs.at(-1);
    if (last?.selected === answer) last.size += size;
    else runs.push({ selected: answer, size });
  }
  if (runs.length < 2) return runs[0]?.selected ?? true;
  const masks = runs.map(({ selected: answer, size }) =>
    traced("optimizer", full([size], Number(answer), "bool")),
  );
  return typed(prim.concat(masks, 0));
}

/** `changed` where the leaf is selected, else `value`. */
function whereSelected(leaf: Leaf, selects: Selects | undefined, value: F32, changed: () => F32): F32 {
  const mask = selected(leaf, selects);
  if (typeof mask === "boolean") return mask ? changed() : value;
  return where(mask, changed(), value);
}

/** The parameter, shrunk by the factor 1 − learningRate·weightDecay where it is selected. */
export function decayed(
  leaf: Leaf,
  learningRate: Scalar,
  weightDecay: number,
  decays: Selects | undefined,
): F32 {
  const { param } = leaf;
  if (weightDecay === 0) return param;
  return whereSelected(leaf, decays, param, () => mul(param, sub(1, mul(learningRate, weightDecay))));
}

/** The gradient with weightDecay·parameter added where it is selected: the gradient of an L2 penalty. */
export function withPenalty(leaf: Leaf, weightDecay: number, decays: Selects | undefined): F32 {
  const { param, grad } = leaf;
  if (weightDecay === 0) return grad;
  return whereSelected(leaf, decays, grad, () => add(grad, mul(param, weightDecay)));
}

/** @throws OpError when a decay is not in [0, 1) */
export function checkDecay(optimizer: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) fail(`${optimizer}: ${name} must be in [0, 1), got ${value}`);
}

/** @throws OpError when a number is negative or not finite */
export function checkNonNegative(optimizer: string, name: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) fail(`${optimizer}: ${name} must be >= 0, got ${value}`);
}
