/**
 * Identities of an objective: its target is what the exact map has, wherever it is used. Consumed by identities.ts. What it claims of itself is
 * in claims.ts, and what holds in a limit alone in limits.ts.
 */
import type { FlowMap } from "../flow-map.ts";
import { diagonalOf } from "../two-time.ts";
import type { TwoTimeDenoiser } from "../two-time.ts";
import { claimIdentities } from "./claims.ts";
import type { Cases, LeftOut, StateIdentity } from "./identity.ts";
import { limitIdentities, nearRegime } from "./limits.ts";
import { gap, sameShape } from "./measure.ts";
import { asked } from "./positions.ts";
import { REGIMES } from "./regimes.ts";

interface Found {
  readonly identities: readonly StateIdentity[];
  readonly leftOut: readonly LeftOut[];
}

export function objectiveIdentities(variant: FlowMap): Found {
  const parts = [targetIdentities(variant), limitIdentities(variant), claimIdentities(variant)];
  return {
    identities: parts.flatMap(({ identities }) => identities),
    leftOut: parts.flatMap(({ leftOut }) => leftOut),
  };
}

function targetIdentities({ objective }: FlowMap): Found {
  const { name: what, atData, limit } = objective;
  const off = (map: TwoTimeDenoiser, { x, s, u, t }: Cases) => {
    const value = map.denoiser(x, s, t);
    const target = objective.target({ student: map, instant: diagonalOf(map), given: map }, { x, s, u, t });
    const sides = `The target of the ${what} objective and ψ`;
    sameShape(target, value, sides);
    return gap(asked(map.interpolant, target, value, s, t), value, sides);
  };
  // One function for all regimes: it is compiled once.
  const ofText: StateIdentity["residual"] = (cases, { map }) => off(map, cases);
  const ofSmooth: StateIdentity["residual"] = (cases, { smooth }) => off(smooth.map, cases);
  const target = (
    name: string,
    times: StateIdentity["times"],
    cause: string,
    residual = ofText,
  ): StateIdentity => ({
    kind: "states",
    family: "objective",
    name,
    formula: objective.formula,
    cause,
    times,
    tolerance: 5e-3,
    single: 1e-2,
    everywhere: true,
    residual,
  });
  const identities: StateIdentity[] = [];
  const leftOut: LeftOut[] = [];
  const skip = (name: string, reason: string): void =>
    void leftOut.push({ family: "objective", name, reason: `the ${what} objective ${reason}` });

  if (atData === "only") skip("target, and target on the diagonal", "says something of jumps to t = 1 alone");
  else {
    if (limit === undefined)
      identities.push(
        target(
          "target",
          REGIMES.apart,
          "The formula of the target: a sign, a coefficient of other times (1 − s for 1 − t), a denoiser at the wrong time or state, " +
            "or a derivative in τ that lost dτ/dt.",
        ),
      );
    identities.push(
      target(
        "target on the diagonal",
        REGIMES.diagonal,
        "At s = t the target is D_t: a weight does not vanish there, or the teacher is asked at another time.",
      ),
    );
  }
  if (!objective.usesMiddle) skip("target for u near s and near t", "uses no middle time");
  else {
    identities.push(
      target(
        "target for u near s",
        nearRegime(objective),
        "A weight that is divided by u − s, or a first part that keeps its weight when it vanishes.",
      ),
    );
    if (limit === undefined && atData !== "only")
      identities.push(
        target(
          "target for u near t",
          REGIMES["u near t"],
          "A weight that is divided by t − u, or a second part that keeps its weight when it vanishes.",
        ),
      );
  }
  if (atData === false) skip("target at the data", "says nothing of jumps that end at t = 1");
  else if (limit === undefined) {
    const cause =
      "The objective claims atData, but its target is not what the exact map has at t = 1: often a division by α_t, which is 0 there.";
    identities.push(
      target("target at the data", REGIMES["at the data"], cause),
      target("target from noise to data", REGIMES["noise to data"], cause),
    );
    if (objective.needsLogits)
      skip("target at data that are spread out", "works on logits, which such data have none of");
    else
      identities.push(
        target(
          "target at data that are spread out",
          REGIMES["at the data"],
          "The objective claims atData, and its target is right at t = 1 only where nothing depends on state and time any more: a factor or " +
            "a direction of a derivative, or the state of a denoiser.",
          ofSmooth,
        ),
      );
  }
  return { identities, leftOut };
}
