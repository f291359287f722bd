/**
 * Identities of what moves on the sphere: κ, the great circle and its velocity, the law of a state given its token, and the drift.
 * Consumed by looks.ts.
 */
import {
  add,
  constant,
  cos,
  jvp,
  maximum,
  mul,
  neg,
  onesLike,
  oneHot,
  scalarFunction,
  slice,
  sqrt,
  squeeze,
  sub,
  sum,
} from "../../../../dsl/index.ts";
import type { Tensor } from "../../../../dsl/index.ts";
import type { Identity, StateIdentity } from "../../verify/identity.ts";
import { gap, worst } from "../../verify/measure.ts";
import { sphere } from "../geometry.ts";
import { shareAt } from "../path.ts";
import { perRank } from "../spherical-flow.ts";
import type { SphericalFlow } from "../spherical-flow.ts";
import { mixtureOf } from "./geometry.ts";
import { identity } from "./identity.ts";
import { inner, placed, sentenceFor } from "./world.ts";
import type { SphereWorld } from "./world.ts";

/** A rise over this distance is looked at. */
const RISE = 1 / 64;
/** Half the distance in time over which rates are taken. */
const STEP = 1e-3;

export function pathIdentities({ path }: SphericalFlow): readonly Identity<SphereWorld>[] {
  const kappa = scalarFunction((t) => path.kappa(t));
  return [
    {
      kind: "numbers",
      family: "interpolant",
      name: "ends of the path",
      formula: "κ(0) = 0, κ(1) = 1",
      cause: "A share of the way that does not reach its ends leaves noise in the data or data in the noise.",
      of: "t",
      tolerance: 1e-9,
      residual: (at) => Math.abs(kappa(Math.round(at)) - Math.round(at)),
    },
    {
      kind: "numbers",
      family: "interpolant",
      name: "monotone path",
      formula: "κ rises",
      cause: "A path that turns back passes the same state twice, and no flow can tell the two apart.",
      of: "t",
      tolerance: 0,
      residual: (at) => {
        const t = Math.min(at, 1 - RISE);
        const rise = kappa(t + RISE) - kappa(t);
        return rise > 0 ? 0 : Number.EPSILON - rise;
      },
    },
    identity({
      family: "interpolant",
      name: "rate of the path",
      formula: "κ̇ is the derivative of κ",
      cause: "A custom derivative rule inside κ that does not belong to its value, or a kink.",
      tolerance: 1e-3,
      single: 1e-2,
      everywhere: false,
      residual({ s: { t } }) {
        const difference: Tensor = mul(sub(path.kappa(add(t, STEP)), path.kappa(sub(t, STEP))), 1 / (2 * STEP)); // prettier-ignore
        return gap(shareAt(path, t).rate, difference);
      },
    }),
  ];
}

export function circleIdentities(flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] {
  const { path } = flow;
  return [
    identity({
      name: "states on the sphere",
      formula: "|x_t| = 1",
      cause:
        "A sum of noise and data that is not on the sphere: a line, or a circle between vectors that are not unit.",
      residual(cases, world) {
        const { x } = placed(flow, cases, world);
        return gap(inner(x, x), onesLike(inner(x, x)));
      },
    }),
    identity({
      name: "ends of a state",
      formula: "x_0 = x₀, x_1 = e",
      cause: "κ or the maps of the sphere do not reach the ends.",
      residual({ s, ...cases }, world) {
        const { noise, clean } = placed(flow, { s, ...cases }, world);
        const start: Tensor = sub(s.t, s.t);
        return worst(
          gap(flow.state(noise, clean, start), noise),
          gap(flow.state(noise, clean, add(start, 1)), clean),
        );
      },
    }),
    identity({
      name: "great circle",
      formula: "⟨x_t, x₀⟩ = cos κθ₀, ⟨x_t, e⟩ = cos (1 − κ)θ₀",
      cause:
        "A state that is on the sphere but not where κ says: a line that is normalized goes faster in its middle.",
      residual(cases, world) {
        const { noise, clean, x } = placed(flow, cases, world);
        const angle = sqrt(maximum(squeeze(sphere.arc(noise, clean).squared, -1) as Tensor, 1e-30) as Tensor) as Tensor; // prettier-ignore
        const share = perRank(path.kappa(cases.s.t), 2);
        return worst(
          gap(inner(x, noise), cos(mul(angle, share)) as Tensor),
          gap(inner(x, clean), cos(mul(angle, sub(1, share))) as Tensor),
        );
      },
    }),
    identity({
      name: "velocity of the path",
      formula: "dx_t/dt = u_t(x_t | e) = κ̇/(1 − κ) log_x(e)",
      cause:
        "A velocity without its factor 1/(1 − κ) or κ̇: the log map from a state is as long as what is left of the way.",
      residual(cases, world) {
        const { noise, clean, x } = placed(flow, cases, world);
        const { tangent } = jvp(
          (t: Tensor) => flow.state(noise, clean, t),
          [cases.s.t],
          [onesLike(cases.s.t)],
        );
        return gap(tangent, flow.velocity(x, clean, cases.s.t));
      },
    }),
    identity({
      name: "velocity by differences",
      formula: "(x_{t+h} − x_{t−h})/2h = u_t(x_t | e) + O(h²)",
      cause:
        "As of the velocity of the path; or derivatives of κ or of the sphere's maps that do not belong to them.",
      tolerance: 1e-3,
      single: 1e-2,
      residual(cases, world) {
        const { noise, clean, x } = placed(flow, cases, world);
        const [before, after] = [-STEP, STEP].map((h) => flow.state(noise, clean, add(cases.s.t, h))) as [
          Tensor,
          Tensor,
        ]; // two
        return gap(mul(sub(after, before), 1 / (2 * STEP)), flow.velocity(x, clean, cases.s.t));
      },
    }),
    identity({
      name: "density along the path",
      formula: "(∂_t + u·∇) log p_t(x | e) = −div u_t(x | e)",
      cause:
        "A density that its velocity does not carry: the exponent of the sines is d − 2, one less than the dimension of the sphere S^{d−1}; or 1/(1 − κ) is missing.",
      tolerance: 1e-7,
      single: 1e-2,
      residual(cases, world) {
        const { noise, clean, x } = placed(flow, cases, world);
        const along = jvp(
          (t: Tensor) => flow.logDensity(flow.state(noise, clean, t), clean, t),
          [cases.s.t],
          [onesLike(cases.s.t)],
        ).tangent;
        return gap(along, neg(divergence((at) => flow.velocity(at, clean, cases.s.t), x)) as Tensor);
      },
    }),
  ];
}

/**
 * Divergence on the sphere of a field of tangents, [batch, length]: the trace of the derivative of its extension that is
 * constant along rays.
 */
function divergence(field: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const dimension = x.shape.at(-1) ?? 0;
  return Array.from({ length: dimension }, (_, i): Tensor => {
    const axis: Tensor = add(mul(x, 0), oneHot(constant([i], [1], "i32"), dimension));
    const { tangent } = jvp((at: Tensor) => field(sphere.unit(at)), [x], [axis]);
    return squeeze(slice(tangent, -1, i, i + 1), -1) as Tensor;
  }).reduce((a, b) => add(a, b));
}

export const driftIdentities = (flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] => [
  identity({
    name: "drift",
    formula: "b_t(x) = κ̇/(1 − κ) Σ_v p(v | x) log_x(e_v) = E[u_t(x | e)]",
    cause: "A drift that is not the mean of its tokens' velocities, each at the state itself.",
    residual(cases, world) {
      const { x } = placed(flow, cases, world);
      const { t } = cases.s;
      const each = world.states.map((_, k) => flow.velocity(x, sentenceFor(world, k, x), t));
      return gap(world.oracle.drift(x, t), mixtureOf(world.oracle.posterior(x, t), each));
    },
  }),
  identity({
    name: "tangent drift",
    formula: "⟨b_t(x), x⟩ = 0",
    cause: "A drift that leaves the sphere: differences of vectors instead of their logs.",
    residual(cases, world) {
      const { x } = placed(flow, cases, world);
      const b = world.oracle.drift(x, cases.s.t);
      return gap(inner(b, x), mul(sum(b, [-1]), 0) as Tensor);
    },
  }),
];
