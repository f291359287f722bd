/**
 * Rates compared with differences, whose own error is known from a second step of half the size. Consumed by the identities of α and β.
 */
import { abs, add, div, greater, maximum, minimum, mul, or, sub, where } from "../../../dsl/index.ts";
import type { Dim, Tensor } from "../../../dsl/index.ts";

type Values = (t: Tensor) => Tensor;
type Mask = Tensor<readonly Dim[], "bool">;

interface Slope {
  /** Extrapolated from both steps. */
  readonly slope: Tensor;
  /** How far apart the two are. */
  readonly error: Tensor;
}

/** Richardson's extrapolation of differences of second order. */
function extrapolated(of: (h: number) => Tensor, h: number): Slope {
  const [whole, half] = [of(h), of(h / 2)];
  const apart: Tensor = sub(half, whole);
  return { slope: add(half, mul(apart, 1 / 3)), error: abs(apart) };
}

const central = (values: Values, t: Tensor, h: number): Slope =>
  extrapolated((h) => mul(sub(values(add(t, h)), values(sub(t, h))), 1 / (2 * h)), h);

/** From t and two times on one side of it: after it, or for a negative h before it. */
const oneSided = (values: Values, t: Tensor, h: number): Slope =>
  extrapolated(
    (h) =>
      mul(
        sub(sub(mul(values(add(t, h) as Tensor), 4), values(add(t, 2 * h) as Tensor)), mul(values(t), 3)),
        1 / (2 * h),
      ),
    h,
  );

const share = (off: Tensor, slope: Tensor): Tensor => div(off, add(abs(slope), 1));

/** How far rates are from central differences, each as a share of 1 + the difference. */
export function offCentral(rates: Tensor, values: Values, t: Tensor, h: number): Tensor {
  const { slope } = central(values, t, h);
  return share(abs(sub(rates, slope)), slope);
}

/** How many times the distance of two steps a rate may be off. */
const ALLOWED = 3;
/** Steps that are farther apart, as a share of 1 + the difference, say nothing of the rate. */
const UNRESOLVED = 1e-2;

/**
 * How far rates are from differences on either side, whichever is nearer. What a step on one of them is too coarse for counts as right: the
 * rate of √(1 − t²) grows without bound as a token's own time ends, and no step is small enough next to that. Of the time that is a few
 * steps about each beginning and end, so that other cases see a rate that is wrong.
 */
export function offBeside(rates: Tensor, values: Values, t: Tensor, h: number): Tensor {
  const sides = [h, -h].map((by) => {
    const { slope, error } = oneSided(values, t, by);
    const off: Tensor = maximum(sub(abs(sub(rates, slope)), mul(error, ALLOWED)), 0);
    // What is not a number is not greater, and stays.
    return { off: share(off, slope), coarse: greater(share(error, slope), UNRESOLVED) as Mask };
  }) as [Side, Side]; // two
  const [after, before] = sides;
  // On both sides: with a kink between its points a difference may agree with that of half the step by chance.
  return where(or(after.coarse, before.coarse), 0, minimum(after.off, before.off)) as Tensor;
}

interface Side {
  readonly off: Tensor;
  readonly coarse: Mask;
}
