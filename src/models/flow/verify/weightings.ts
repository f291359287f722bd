/**
 * Identities of weightings, and the weights of cases as training applies them. Consumed by identities.ts and losses.ts.
 */
import {
  add,
  and,
  cast,
  equal,
  exp,
  expandDims,
  grad,
  greater,
  less,
  lessEqual,
  log,
  max,
  mean,
  mul,
  not,
  or,
  square,
  stopGradient,
  sub,
  sum,
} from "../../../dsl/index.ts";
import type { Dim, Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import { judgedAs } from "../flow-map.ts";
import type { FlowMap } from "../flow-map.ts";
import { pointAt } from "../interpolant.ts";
import { varianceOf, weighed } from "../weighting.ts";
import type { Moment, Weighting } from "../weighting.ts";
import type { LearnedWeighting } from "../weighting-learned.ts";
import type { Cases, StateIdentity, World } from "./identity.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** Losses [cases, length] with their weights, from what is judged and what it should be. */
type Weighted = (perToken: Tensor, value: Tensor, wanted: Tensor) => Tensor;

const momentOf = ({ interpolant }: World, t: Tensor): Moment => ({ t, point: pointAt(interpolant, t) });

/** What a weighting may have learned: any number. */
const exponentOf = ({ free }: Cases): Tensor => mean(free, [1, 2]);

/** As training weights the rows of a flow. */
export const ofFlow =
  ({ weighting, predicts, source }: Flow, world: World, cases: Cases): Weighted =>
  (perToken, value, wanted) =>
    weighed(weighting, {
      perToken,
      value,
      wanted,
      predicts,
      variance: varianceOf(source),
      at: momentOf(world, cases.s.t),
      draws: true,
      exponent: exponentOf(cases),
    });

/** As training weights the rows of a flow map that jump. */
export const ofMap =
  (map: FlowMap, world: World, cases: Cases): Weighted =>
  (perToken, value, wanted) =>
    weighed(map.weighting, {
      perToken,
      value,
      wanted,
      predicts: judgedAs(map),
      variance: varianceOf(map.flow.source),
      at: momentOf(world, cases.s.t),
      target: momentOf(world, cases.t.t),
      draws: map.teacher === false,
      exponent: exponentOf(cases),
    });

/** More than a weight that anyone means. */
const HUGE = 1e30;

/** Where a token that waits or is finished stands still, of which a row may say nothing; like `like`, [cases, length]. */
function standing({ interpolant }: World, { s }: Cases, like: Tensor): Tensor<readonly Dim[], "bool"> {
  if (interpolant.length === undefined) return less(mul(like, 0), 0) as Tensor<readonly Dim[], "bool">; // nowhere
  const { alpha, beta } = pointAt(interpolant, s.t);
  return or(lessEqual(alpha, 0), lessEqual(beta, 0)) as Tensor<readonly Dim[], "bool">;
}

interface About {
  /** Of whose rows. */
  readonly of: "flow" | "flow map";
  readonly times: StateIdentity["times"];
  readonly weighted: (world: World, cases: Cases) => Weighted;
}

function identities(weighting: Weighting | undefined, about: About): readonly StateIdentity[] {
  if (weighting === undefined) return [];
  const { of, times, weighted } = about;
  const rows = of === "flow" ? "" : " of the flow map";
  const base = { kind: "states", family: "loss", times, everywhere: false } as const;
  // What is judged, and what it should be: numbers that have nothing to do with each other.
  const pair = ({ x, free }: Cases) => [x, free] as const;
  const weightOf = (by: Weighted, value: Tensor, wanted: Tensor): Tensor => {
    const none: Tensor = mul(sum(value, 2) as Tensor, 0);
    return sub(by(add(none, 1), value, wanted), by(none, value, wanted));
  };
  return [
    {
      ...base,
      name: `weighting${rows}`,
      formula:
        of === "flow"
          ? "0 < w < ∞ for 0 < t < 1 (or 0 of a token that stands still)"
          : "0 < w < ∞ for s < t (or 0 of a token that stands still)",
      cause:
        "A weight that divides by α or β where they vanish, or that is written in noise levels of the other sign.",
      tolerance: 0,
      single: 0,
      residual(cases, world) {
        const weight = weightOf(weighted(world, cases), ...pair(cases));
        const counts = or(greater(weight, 0), and(equal(weight, 0), standing(world, cases, weight)));
        return max(cast(not(and(counts, less(weight, HUGE))), "f32"), 1) as Tensor;
      },
    },
    {
      ...base,
      name: `weight without a gradient${rows}`,
      formula: "∇(weighted loss) = w ∇ loss",
      cause:
        "The weight passes a gradient on, as one that is made of the residual does without stopGradient: then the loss asks for another " +
        "weight, and not only for a better prediction.",
      tolerance: 1e-8,
      single: 1e-3,
      residual(cases, world) {
        const [value, wanted] = pair(cases);
        const by = weighted(world, cases);
        const loss = (v: Tensor): Tensor => sum(square(sub(v, wanted) as Tensor), 2);
        const found: Tensor = grad((v: Tensor) => sum(by(loss(v), v, wanted)) as Tensor)(value);
        const plain: Tensor = grad((v: Tensor) => sum(loss(v)) as Tensor)(value);
        return gap(found, mul(expandDims(weightOf(by, value, wanted), 2), plain));
      },
    },
    ...(typeof weighting === "object" && weighting.kind === "learned"
      ? [learnedIdentity(weighting, base)]
      : []),
  ];
}

/** How far from log L a learned weight must be drawn back. */
const FAR = 8;

const learnedIdentity = (
  weighting: LearnedWeighting,
  base: Pick<StateIdentity, "kind" | "family" | "times" | "everywhere">,
): StateIdentity => ({
  ...base,
  name: "learned weight",
  formula: "e^{−w} L + w falls in w far below log L and rises far above",
  cause:
    "The term + w is missing or has the other sign: then the weight goes to 0, or to infinity, and the network learns nothing.",
  tolerance: 0,
  single: 0,
  residual({ free }) {
    // Losses of any size.
    const loss: Tensor = exp(mean(free, 2) as Tensor);
    const rate = (w: Tensor): Tensor =>
      grad((at: Tensor) => sum(weighting.weighted(loss, at)) as Tensor)(stopGradient(w));
    const level: Tensor = log(mean(loss, [1]) as Tensor);
    const at = (by: number): Tensor => expandDims(add(level, by), 1);
    const right = and(greater(rate(at(FAR)), 0), less(rate(at(-FAR)), 0));
    return max(cast(not(right), "f32"), 1) as Tensor;
  },
});

export const flowWeightingIdentities = (flow: Flow): readonly StateIdentity[] =>
  identities(flow.weighting, {
    of: "flow",
    times: REGIMES["away from the ends"],
    weighted: (world, cases) => ofFlow(flow, world, cases),
  });

/** Of a weighting that the flow has too, only what two times may change. */
export const mapWeightingIdentities = (map: FlowMap): readonly StateIdentity[] =>
  identities(map.weighting, {
    of: "flow map",
    times: REGIMES.apart,
    weighted: (world, cases) => ofMap(map, world, cases),
  });
