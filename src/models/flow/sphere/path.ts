/**
 * Paths on a great circle: x_t = slerp(x₀, e, κ(t)), the share κ of the way from noise to the token's unit vector. κ is written in the
 * language, its rate comes from differentiation.
 *
 * Consumed by spherical-flow.ts. To add a path, declare κ with `greatCircle`.
 */
import { partsOf, requireName } from "../declared-parts.ts";
import { jvp, onesLike, scalarFunction } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";

export interface GreatCircle {
  readonly name: string;
  /** Share of the way from noise to data, an elementwise function of t: rising from 0 at t = 0 to 1 at t = 1. */
  kappa(t: Tensor): Tensor;
}

/** How far κ(0) and κ(1) may be from 0 and 1: rounding, not modelling. */
const ENDPOINT = 1e-9;
/** Times at which a declaration is looked at, besides the ends. */
const LOOKS = 64;

/** @throws RangeError when κ does not rise from 0 to 1, or has no finite rate, naming the time */
export function greatCircle(declared: GreatCircle): GreatCircle {
  requireName("A path", declared.name);
  const { name } = partsOf(`The path "${declared.name}"`, declared, ["name", "kappa"]);
  const kappa = scalarFunction((t) => declared.kappa(t));
  for (const end of [0, 1]) {
    const found = kappa(end);
    if (!(Math.abs(found - end) <= ENDPOINT))
      throw new RangeError(
        `The path "${name}" needs κ(${end}) = ${end}: the share of the way from noise to data is ${found} there.`,
      );
  }
  let last = 0;
  for (let i = 0; i <= LOOKS; i++) {
    const t = i / LOOKS;
    const [found, rate] = [kappa(t), kappa.derivative(t)];
    // Velocities are κ̇ times an angle, at every time.
    if (!Number.isFinite(rate))
      throw new RangeError(`The path "${name}" needs a finite rate: dκ/dt is ${rate} at t = ${t}.`);
    if (i > 0 && !(found > last))
      throw new RangeError(
        `The path "${name}" needs κ to rise all the way: κ(${(i - 1) / LOOKS}) = ${last} and κ(${t}) = ${found}.`,
      );
    last = found;
  }
  return declared;
}

/** κ = t: constant speed. */
export const constantSpeed: GreatCircle = greatCircle({ name: "constant speed", kappa: (t) => t });

/** κ at a time, and dκ/dt. */
export interface Share {
  readonly kappa: Tensor;
  readonly rate: Tensor;
}

/** κ and its rate at times of any shape. */
export function shareAt({ kappa }: GreatCircle, t: Tensor): Share {
  const { value, tangent } = jvp((at: Tensor) => kappa(at), [t], [onesLike(t)]);
  return { kappa: value, rate: tangent };
}
