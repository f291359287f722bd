/**
 * Identities of the sphere's maps: each is held against another, or against plain cosines. Consumed by looks.ts.
 */
import {
  add,
  cos,
  einsum,
  maximum,
  mul,
  neg,
  sin,
  slice,
  softmax,
  sqrt,
  squeeze,
  sub,
  sum,
} from "../../../../dsl/index.ts";
import type { Tensor } from "../../../../dsl/index.ts";
import type { StateIdentity } from "../../verify/identity.ts";
import { gap, worst } from "../../verify/measure.ts";
import { CORPUS } from "../../verify/world.ts";
import type { SphericalFlow } from "../spherical-flow.ts";
import { identity } from "./identity.ts";
import { directed, inner, placed } from "./world.ts";
import type { SphereWorld } from "./world.ts";

/** √Σx² over the last axis; not of 0. */
const lengthOf = (x: Tensor): Tensor => sqrt(maximum(inner(x, x), 1e-30) as Tensor) as Tensor;
const alone = (x: Tensor): Tensor => squeeze(x, -1) as Tensor;

export function geometryIdentities(flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] {
  const { geometry } = flow;
  return [
    identity({
      name: "tokens on the sphere",
      formula: "|e_v| = 1, in the direction of the table's row",
      cause: "Rows of the table are used as they are: divide each by its length.",
      residual({ x }) {
        const rows = directed(mul(x, 3));
        const unit = geometry.unit(rows);
        const size = lengthOf(rows);
        const along: Tensor = inner(unit, rows);
        return worst(gap(inner(unit, unit), add(mul(size, 0), 1)), gap(along, size));
      },
    }),
    identity({
      name: "angle",
      formula: "cos θ = ⟨x, y⟩, (θ/sin θ) sin θ = θ",
      cause: "An angle of vectors that are not unit, or of half the chord.",
      residual(cases, world) {
        const { noise, clean } = placed(flow, cases, world);
        const { squared, overSine } = geometry.arc(noise, clean);
        const angle = sqrt(maximum(squared, 1e-30) as Tensor) as Tensor;
        return worst(
          gap(alone(cos(angle) as Tensor), inner(noise, clean)),
          gap(alone(mul(overSine, sin(angle))), alone(angle)),
        );
      },
    }),
    identity({
      name: "length of the log map",
      formula: "cos |log_x(y)| = ⟨x, y⟩, ⟨log_x(y), x⟩ = 0",
      cause:
        "A log map without its factor θ/sin θ: y − x cos θ is as long as sin θ. Or one that does not take the radial part away.",
      residual(cases, world) {
        const { noise, clean } = placed(flow, cases, world);
        const v = geometry.log(noise, clean);
        return worst(
          gap(cos(lengthOf(v)) as Tensor, inner(noise, clean)),
          gap(inner(v, noise), mul(inner(noise, clean), 0)),
        );
      },
    }),
    identity({
      name: "exp undoes log",
      formula: "exp_x(log_x(y)) = y",
      cause: "Maps of different spheres: an exponential map whose velocity is not the log map's.",
      residual(cases, world) {
        const { noise, clean } = placed(flow, cases, world);
        return gap(geometry.exp(noise, geometry.log(noise, clean)), clean);
      },
    }),
    identity({
      name: "log undoes exp",
      formula: "log_x(exp_x(v)) = v for tangents shorter than π",
      cause: "As of exp undoes log; or an angle that is folded at π/2.",
      residual(cases, world) {
        const { noise, clean } = placed(flow, cases, world);
        const tangent: Tensor = sub(clean, mul(noise, sum(mul(noise, clean), [-1], { keepDims: true })));
        const v: Tensor = mul(tangent, 2);
        return gap(geometry.log(noise, geometry.exp(noise, v)), v);
      },
    }),
    identity({
      name: "transport",
      formula: "log_x(y), moved to y, is −log_y(x); what is moved stays tangent, as long, and at its angles",
      cause: "Transport along another curve than the great circle, or in the other direction.",
      residual(cases, world) {
        const { noise, clean, aside } = placed(flow, cases, world);
        const [onward, other] = [geometry.log(noise, clean), geometry.log(noise, aside)];
        const [moved, across] = [onward, other].map((v) => geometry.transport(v, noise, clean)) as [
          Tensor,
          Tensor,
        ]; // two
        return worst(
          gap(moved, neg(geometry.log(clean, noise)) as Tensor),
          gap(inner(across, across), inner(other, other)),
          gap(inner(across, moved), inner(other, onward)),
          gap(inner(across, clean), mul(inner(across, clean), 0)),
        );
      },
    }),
    identity({
      name: "mean of logs",
      formula: "meanLog = Σ_v p_v log_x(e_v)",
      cause:
        "The product with the table and the log map differ: one of them lost θ/sin θ or the radial part.",
      residual(cases, world) {
        const { aside: x } = placed(flow, cases, world);
        const weights = softmax(cases.free) as Tensor;
        const table = world.oracle.table();
        const each = Array.from({ length: CORPUS.vocab }, (_, v): Tensor => {
          const token: Tensor = add(mul(x, 0), slice(table, 0, v, v + 1));
          return mul(geometry.log(x, token), slice(weights, 2, v, v + 1));
        });
        return gap(
          geometry.meanLog(x, table, weights),
          each.reduce((a, b) => add(a, b)),
        );
      },
    }),
  ];
}

/** Σ over sentences of a number each, [batch, sentences], times [batch, length, dim] each. */
export const mixtureOf = (weights: Tensor, values: readonly Tensor[]): Tensor =>
  values
    .map((value, k) => einsum("b k, b l d -> b l d", slice(weights, 1, k, k + 1), value))
    .reduce((a, b) => add(a, b));
