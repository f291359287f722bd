/**
 * Noise of one length: uniform on a sphere around 0 in the space of states, from which straight lines lead inwards or outwards to the data.
 * Consumed as `models.sources.uniformOnSphere`.
 */
import { partsOf } from "./declared-parts.ts";
import { div, maximum, mul, random, sqrt, square, sum } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Source } from "./source.ts";

/** Less than the square of any length that normal numbers have. */
const LEAST = 1e-30;

/**
 * Uniform on the sphere of a radius for each token. Of variance 1 per coordinate where the radius is √dim; by default it is 1. There is no
 * density on the space: a state says exactly which text it comes from.
 * @throws RangeError unless the radius is positive
 */
export function uniformOnSphere(options: { readonly radius?: number } = {}): Source {
  const { radius = 1 } = partsOf("A source on a sphere", options, ["radius"]);
  if (!(radius > 0 && Number.isFinite(radius)))
    throw new RangeError(`A source on a sphere needs a positive radius, got ${radius}.`);
  return {
    name: `uniform on the sphere of radius ${radius}`,
    sample(key, shape) {
      const x = random.normal(key, shape) as Tensor;
      const size: Tensor = sum(square(x) as Tensor, [shape.length - 1], { keepDims: true });
      return mul(div(x, sqrt(maximum(size, LEAST) as Tensor)), radius);
    },
    mean: 0,
    variance: (_, dim) => radius ** 2 / dim,
  };
}
