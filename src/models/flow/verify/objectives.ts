/**
 * Identities of an objective: its target is what the exact map has, wherever it is used, and what it claims of itself is so. Consumed
 * by identities.ts.
 */
import { add, cast, cos, less, log, mul, sin, softmax } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { FlowMap } from "../flow-map.ts";
import { perState } from "../interpolant.ts";
import { diagonalOf } from "../two-time.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "../two-time.ts";
import type { LeftOut, StateIdentity } from "./identity.ts";
import { gap } from "./measure.ts";
import { offSimplex } from "./maps.ts";
import { REGIMES } from "./regimes.ts";

export function objectiveIdentities({ objective, flow }: FlowMap): {
  readonly identities: readonly StateIdentity[];
  readonly leftOut: readonly LeftOut[];
} {
  // One function for all regimes: it is compiled once.
  const residual: StateIdentity["residual"] = ({ x, s, u, t }, { map }) =>
    gap(
      objective.target({ student: map, instant: diagonalOf(map) }, { x, s, u, t }),
      map.denoiser(x, s, t),
      `The target of the ${objective.name} objective and ψ`,
    );
  const target = (name: string, times: StateIdentity["times"], cause: string): StateIdentity => ({
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
  const identities = [
    target(
      "target",
      REGIMES.apart,
      "The formula of the target: a sign, a coefficient of other times (1 − s for 1 − t), a denoiser at the wrong time or state, " +
        "or a derivative in τ that lost dτ/dt.",
    ),
    target(
      "target on the diagonal",
      REGIMES.diagonal,
      "At s = t the target is D_t: a weight does not vanish there, or the teacher is asked at another time.",
    ),
  ];
  const leftOut: LeftOut[] = [];
  if (objective.usesMiddle)
    identities.push(
      target(
        "target for u near s",
        REGIMES["u near s"],
        "A weight that is divided by u − s, or a first part that keeps its weight when it vanishes.",
      ),
      target(
        "target for u near t",
        REGIMES["u near t"],
        "A weight that is divided by t − u, or a second part that keeps its weight when it vanishes.",
      ),
    );
  else
    leftOut.push({
      family: "objective",
      name: "target for u near s and near t",
      reason: `the ${objective.name} objective uses no middle time`,
    });
  if (objective.atData) {
    const cause =
      "The objective claims atData, but its target is not what the exact map has at t = 1: often a division by α_t, which is 0 there.";
    identities.push(
      target("target at the data", REGIMES["at the data"], cause),
      target("target from noise to data", REGIMES["noise to data"], cause),
    );
  } else
    leftOut.push({
      family: "objective",
      name: "target at the data",
      reason: `the ${objective.name} objective says nothing of jumps that end at t = 1`,
    });
  identities.push({
    kind: "states",
    family: "objective",
    name: "target that teaches",
    formula: "target ≠ ψ_{s,t}(x) for a flow map that is not exact",
    cause:
      "The target is what the map says already, at the same state and times, so nothing is learned from it: often s or t was taken for u.",
    times: REGIMES.apart,
    tolerance: 0,
    single: 0,
    everywhere: false,
    residual({ x, free, s, u, t }, { map }) {
      const { student, instant } = untrained(map, free);
      const apart = gap(objective.target({ student, instant }, { x, s, u, t }), student.denoiser(x, s, t));
      // What is not finite is not the map's own value either: other identities look at it.
      return cast(less(apart, SAME), "f32") as Tensor;
    },
  });
  if (!objective.onSimplex)
    leftOut.push({
      family: "objective",
      name: "target on the simplex",
      reason: `the ${objective.name} objective does not claim that its target is a distribution`,
    });
  else if (flow.predicts !== "clean token")
    leftOut.push({
      family: "objective",
      name: "target on the simplex",
      reason: `the flow predicts a ${flow.predicts}, and no distribution over tokens`,
    });
  else
    identities.push({
      kind: "states",
      family: "objective",
      name: "target on the simplex",
      formula: "target ≥ 0, Σ target = 1 for every token, for a flow map that is not exact",
      cause: "Weights that are negative or do not sum to 1. Declare onSimplex: false, or work on logits.",
      times: REGIMES.apart,
      tolerance: 1e-6,
      single: 1e-4,
      everywhere: false,
      residual({ x, free, s, u, t }, { map }) {
        const { student, instant } = untrained(map, free);
        return offSimplex(objective.target({ student, instant }, { x, s, u, t }));
      },
    });
  return { identities, leftOut };
}

/** Values that are nearer than this are one value, also in single precision. */
const SAME = 1e-6;

/** So that values come near to the edges of the simplex, and change quickly with time. */
const [STEEP, QUICK] = [2, 4];

/** A flow map that fulfils no identity, and a teacher that is not its diagonal: distributions over tokens, and no more. */
function untrained(
  { interpolant, point }: TwoTimeDenoiser,
  free: Tensor,
): { readonly student: TwoTimeDenoiser; readonly instant: OneTimeDenoiser } {
  const raw = (x: Tensor, s: Time, t: Time): Tensor =>
    mul(
      mul(free, STEEP),
      sin(add(x, mul(add(perState(s.tau), mul(perState(t.tau), 2)) as Tensor, QUICK) as Tensor)),
    );
  const rawNow = (x: Tensor, t: Time): Tensor =>
    mul(mul(free, STEEP), cos(add(x, mul(perState(t.tau), QUICK))));
  return {
    student: {
      interpolant,
      point,
      denoiser: (x, s, t) => softmax(raw(x, s, t)),
      logits: (x, s, t) => log(softmax(raw(x, s, t))),
    },
    instant: {
      denoiser: (x, t) => softmax(rawNow(x, t)),
      logits: (x, t) => log(softmax(rawNow(x, t))),
    },
  };
}
