/**
 * Identities of a parameterization: what a network must put out for the exact map stands for the exact ψ. Consumed by identities.ts.
 */
import { add, sin } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { FlowMap } from "../flow-map.ts";
import { pointAt } from "../interpolant.ts";
import { denoiserOf, outputOf } from "../parameterization.ts";
import type { OfTwoTimes } from "../parameterization.ts";
import { drift } from "../two-time.ts";
import type { Time } from "../two-time.ts";
import type { StateIdentity, World } from "./identity.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** ψ and D as points. */
function points({ exact, oracle, interpolant }: World) {
  const known: OfTwoTimes = (x, s, t) => exact.point(exact.denoiser(x, s, t));
  const frozen = (x: Tensor, { t }: Time): Tensor => {
    const { alpha, beta } = pointAt(interpolant, t);
    return oracle.point(oracle.denoiserAt(x, alpha, beta));
  };
  return { known, frozen };
}

export function parameterizationIdentities({ parameterization }: FlowMap): readonly StateIdentity[] {
  if (parameterization === "two-time denoiser") return [];
  const common = {
    kind: "states",
    family: "flow map",
    single: 1e-2,
    everywhere: true,
    cause:
      "Rates of α and β that do not belong to them, so that a network of this kind cannot have the exact map.",
  } as const;
  return [
    {
      ...common,
      name: parameterization,
      formula: "ψ of the outputs that give X_{s,t} is ψ_{s,t}",
      times: REGIMES.apart,
      tolerance: 1e-8,
      residual({ x, s, t }, world) {
        const { known, frozen } = points(world);
        const output = outputOf(parameterization, world.interpolant, known, frozen);
        // What does not depend on t is nothing to a direct map.
        const network: OfTwoTimes =
          parameterization === "direct map" ? (at, from, to) => add(output(at, from, to), sin(at)) : output;
        return gap(denoiserOf(parameterization, world.interpolant, network, frozen)(x, s, t), known(x, s, t));
      },
    },
    {
      ...common,
      name: `${parameterization} on the diagonal`,
      formula: "ψ of the outputs that give X_{s,t} is D_s at t = s",
      times: REGIMES.diagonal,
      tolerance: 1e-6,
      residual({ x, s, t }, world) {
        const { known, frozen } = points(world);
        const network: OfTwoTimes =
          parameterization === "mean velocity"
            ? (at, from) => drift(world.interpolant, at, frozen(at, from), from)
            : parameterization === "direct map"
              ? outputOf(parameterization, world.interpolant, known, frozen)
              : (at) => sin(at);
        return gap(denoiserOf(parameterization, world.interpolant, network, frozen)(x, s, t), frozen(x, s));
      },
    },
  ];
}
