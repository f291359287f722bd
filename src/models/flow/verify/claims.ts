/**
 * Identities of what an objective claims of itself, of a flow map that is not exact: that something is learned, by whom, and by way of which
 * time; that targets are distributions. Consumed by objectives.ts.
 */
import { add, cast, cos, greater, less, log, mul, sin, softmax, sub, sum } from "../../../dsl/index.ts";
import type { Dim, Tensor } from "../../../dsl/index.ts";
import { overTokens } from "../flow-map.ts";
import type { FlowMap } from "../flow-map.ts";
import { perState, pointAt } from "../interpolant.ts";
import { jump, moved } from "../jump.ts";
import type { Targets } from "../objectives/objective.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import type { LeftOut, StateIdentity } from "./identity.ts";
import { offSimplex } from "./maps.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** What differs between claims. */
type ClaimEntry = Omit<StateIdentity, "kind" | "family" | "everywhere" | "tolerance" | "single">;

/** Values that are nearer than this are one value, also in single precision. */
const SAME = 1e-6;

/** So that values come near to the edges of the simplex, and change quickly with time. */
const [STEEP, QUICK] = [2, 4];

/** A flow map that fulfils no identity, and teachers that are not its own: distributions over tokens, and no more. */
function untrained(
  { interpolant, point }: TwoTimeDenoiser,
  free: Tensor,
): Targets & { readonly given: TwoTimeDenoiser } {
  const raw = (x: Tensor, s: Time, t: Time): Tensor =>
    mul(
      mul(free, STEEP),
      sin(add(x, mul(add(perState(s.tau), mul(perState(t.tau), 2)) as Tensor, QUICK) as Tensor)),
    );
  const rawNow = (x: Tensor, t: Time): Tensor =>
    mul(mul(free, STEEP), cos(add(x, mul(perState(t.tau), QUICK))));
  const mapOf = (logits: TwoTimeDenoiser["denoiser"]): TwoTimeDenoiser => ({
    interpolant,
    point,
    denoiser: (x, s, t) => softmax(logits(x, s, t)),
    logits: (x, s, t) => log(softmax(logits(x, s, t))),
  });
  return {
    student: mapOf(raw),
    given: mapOf((x, s, t) => raw(mul(x, -1), t, s)),
    instant: {
      denoiser: (x, t) => softmax(rawNow(x, t)),
      logits: (x, t) => log(softmax(rawNow(x, t))),
    },
  };
}

/** The same, with other teachers. */
function otherwise(map: TwoTimeDenoiser, free: Tensor): ReturnType<typeof untrained> {
  const { instant, given } = untrained(map, mul(free, -1));
  return { student: untrained(map, free).student, instant, given };
}

/** Whether the middle time is used as the objective says: else its target would not be looked at for u near s and near t, or be but half of one. */
function middleClaim(
  claim: (entry: ClaimEntry) => StateIdentity,
  { objective }: FlowMap,
  times: StateIdentity["times"],
): StateIdentity {
  const { usesMiddle } = objective;
  return claim({
    ...(usesMiddle
      ? {
          name: "target that uses its middle time",
          formula: "another u, another target, for a flow map that is not exact",
          cause:
            "The objective claims usesMiddle, but its target is the same for every u: often s or t was taken for u.",
        }
      : {
          name: "target without a middle time",
          formula: "another u, the same target, for a flow map that is not exact",
          cause:
            "The target is made of u, and the objective says usesMiddle: false, so that it is not looked at for u near s and near t: declare usesMiddle: true.",
        }),
    times,
    residual({ x, free, s, u, t }, { map }) {
      const targets = untrained(map, free);
      const apart = gap(
        objective.target(targets, { x, s, u, t }),
        objective.target(targets, { x, s, u: t, t }),
      );
      return shown(usesMiddle ? less(apart, SAME) : greater(apart, SAME));
    },
  });
}

const shown = (condition: Tensor<readonly Dim[], "bool">): Tensor => cast(condition, "f32");

export function claimIdentities(variant: FlowMap): {
  readonly identities: readonly StateIdentity[];
  readonly leftOut: readonly LeftOut[];
} {
  const { objective, flow, parameterization } = variant;
  const claim = (entry: ClaimEntry): StateIdentity => ({
    kind: "states",
    family: "objective",
    everywhere: false,
    tolerance: 0,
    single: 0,
    ...entry,
  });
  const usual = REGIMES[objective.atData === "only" ? "at the data" : "apart"];
  // One function for all regimes: it is compiled once. What is not finite is not the map's own value either: other identities look at it.
  const teaches: StateIdentity["residual"] = ({ x, free, s, u, t }, { map }) => {
    const targets = untrained(map, free);
    return shown(
      less(gap(objective.target(targets, { x, s, u, t }), targets.student.denoiser(x, s, t)), SAME),
    );
  };
  const identities = [
    claim({
      name: "target that teaches",
      formula: "target ≠ ψ_{s,t}(x) for a flow map that is not exact",
      cause:
        "The target is what the map says already, at the same state and times, so nothing is learned from it: often s or t was taken for u.",
      times: usual,
      residual: teaches,
    }),
  ];
  if (objective.atData === true)
    identities.push(
      claim({
        name: "target that teaches at the data",
        formula: "target ≠ ψ_{s,1}(x) for a flow map that is not exact",
        cause:
          "The objective claims atData, but there its target is what the map says already, often because a weight is 0 at t = 1: " +
          "nothing is learned from such rows.",
        times: REGIMES["at the data"],
        residual: teaches,
      }),
    );
  if (objective.atData === "only")
    identities.push(
      claim({
        name: "target from ahead",
        formula:
          "⟨target − ψ_{s,1}(x), ψ_{u,1}(Γ x + Ξ D_s(x)) − ψ_{s,1}(x)⟩ > 0 for u just after s, for a flow map that is not exact",
        cause:
          "The target leads away from what the map says a little later, where it is nearer to the data: often a sign.",
        times: REGIMES["u near s, at the data"],
        residual({ x, free, s, u, t }, { map }) {
          const targets = untrained(map, free);
          const { student, instant } = targets;
          const value = student.denoiser(x, s, t);
          const by = jump(pointAt(map.interpolant, s.t), pointAt(map.interpolant, u.t));
          const later = student.denoiser(moved(x, student.point(instant.denoiser(x, s)), by), u, t);
          const led: Tensor = sub(objective.target(targets, { x, s, u, t }), value);
          const along: Tensor = sum(mul(led, sub(later, value)), [1, 2]);
          return sub(1, shown(greater(along, 0) as Tensor<readonly Dim[], "bool">));
        },
      }),
    );
  identities.push(middleClaim(claim, variant, usual));
  if (objective.needsTeacher !== false)
    identities.push(
      claim({
        name: "target that heeds its teacher",
        formula: "another teacher, another target",
        cause:
          "The objective claims needsTeacher, but its target is the same whoever teaches: the student's own denoiser was taken for the teacher's.",
        times: usual,
        residual({ x, free, s, u, t }, { map }) {
          const [one, two] = [untrained(map, free), otherwise(map, free)];
          // Whoever is not asked for stays the same.
          const other =
            objective.needsTeacher === "flow map"
              ? { ...one, given: two.given }
              : { ...two, given: one.given };
          const rows = { x, s, u, t };
          return shown(less(gap(objective.target(one, rows), objective.target(other, rows)), SAME));
        },
      }),
    );
  const missing = (reason: string) => ({
    identities,
    leftOut: [{ family: "objective", name: "target on the simplex", reason } as const],
  });
  if (!objective.onSimplex)
    return missing(`the ${objective.name} objective does not claim that its target is a distribution`);
  if (flow.predicts !== "clean token")
    return missing(`the flow predicts a ${flow.predicts}, and no distribution over tokens`);
  if (!overTokens(variant))
    return missing(`the network puts out a ${parameterization}, and no distribution over tokens`);
  identities.push({
    ...claim({
      name: "target on the simplex",
      formula: "target ≥ 0, Σ target = 1 for every token, for a flow map that is not exact",
      cause: "Weights that are negative or do not sum to 1. Declare onSimplex: false, or work on logits.",
      times: usual,
      residual: ({ x, free, s, u, t }, { map }) =>
        offSimplex(objective.target(untrained(map, free), { x, s, u, t })),
    }),
    tolerance: 1e-6,
    single: 1e-4,
  });
  return { identities, leftOut: [] };
}
