/**
 * Identities of objectives whose target is right as u → s alone: how the rest vanishes. Consumed by objectives.ts.
 */
import { abs, add, div, maximum, mul, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { FlowMap } from "../flow-map.ts";
import { diagonalOf } from "../two-time.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import type { Cases, LeftOut, StateIdentity } from "./identity.ts";
import { gap, largest } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** How much farther than in its regime u lies from s where an order is measured, so that single precision can. */
const FARTHER = 20;
/** A rest below this is rounding. */
const ROUNDING = 1e-5;

/** The regime of an objective whose middle time is near its source. */
export const nearRegime = ({ atData }: FlowMap["objective"]): StateIdentity["times"] =>
  REGIMES[atData === "only" ? "u near s, at the data" : "u near s"];

export function limitIdentities({ objective, midpoint }: FlowMap): {
  readonly identities: readonly StateIdentity[];
  readonly leftOut: readonly LeftOut[];
} {
  const { limit, name } = objective;
  if (limit === undefined) return { identities: [], leftOut: [] };
  const { order } = limit;
  const step: LeftOut = {
    family: "objective",
    name: "target at its own step",
    reason:
      `the ${name} objective holds as u → s, and is looked at there: what its target is off ` +
      `${typeof midpoint === "object" ? `with u = s + ${midpoint.after} on the clock` : "at the declared middle time"} is not`,
  };
  if (objective.needsLogits)
    return {
      identities: [],
      leftOut: [
        step,
        {
          family: "objective",
          name: "target in the limit",
          reason: `the ${name} objective works on logits, and data that are spread out have none`,
        },
      ],
    };
  /** target − ψ, [cases, length, dim]. */
  const rest = (map: TwoTimeDenoiser, { x, s, u, t }: Pick<Cases, "x" | "s" | "u" | "t">): Tensor =>
    sub(
      objective.target({ student: map, instant: diagonalOf(map), given: map }, { x, s, u, t }),
      map.denoiser(x, s, t),
    );
  const common = {
    kind: "states",
    family: "objective",
    everywhere: true,
    times: nearRegime(objective),
  } as const;
  return {
    leftOut: [step],
    identities: [
      {
        ...common,
        name: "target in the limit",
        formula: `(target − ψ_{s,t}(x))/(u − s)${order === 2 ? "" : `^${order - 1}`} → 0 as u → s, of data that are spread out`,
        cause:
          "What is lost in a step is lost in all of them: the step leaves the path by more than declared, for its state, time or drift is another.",
        tolerance: 1e-2,
        single: 2e-2,
        residual({ x, s, u, t }, { smooth }) {
          const { map } = smooth;
          const rows = { x, s, u, t };
          const found = objective.target({ student: map, instant: diagonalOf(map), given: map }, rows);
          const by: Tensor = sub(u.t, s.t);
          const steps = Array.from({ length: order - 1 }, () => by).reduce((a, b) => mul(a, b) as Tensor);
          return div(gap(found, map.denoiser(x, s, t), `The target of the ${name} objective and ψ`), steps);
        },
      },
      {
        ...common,
        name: "order of the limit",
        formula: `target − ψ_{s,t}(x) = O((u − s)^${order}): half the step leaves at most 1/${2 ** order}`,
        cause: "The declared order of the limit is higher than that of the step.",
        tolerance: 0.5,
        single: 0.5,
        residual({ x, s, u, t }, { smooth }) {
          const at = (share: number): Time => ({
            ...u,
            t: add(s.t, mul(sub(u.t, s.t) as Tensor, share)),
          });
          const [whole, half] = [FARTHER, FARTHER / 2].map((share) =>
            largest(abs(rest(smooth.exact, { x, s, u: at(share), t }))),
          ) as [Tensor, Tensor]; // two shares, two rests
          const more: Tensor = maximum(sub(mul(half, 2 ** order), whole), 0);
          return div(more, add(whole, ROUNDING));
        },
      },
    ],
  };
}
