/**
 * Identities of losses and samplers on the sphere. Consumed by looks.ts.
 */
import {
  abs,
  add,
  and,
  div,
  grad,
  greater,
  less,
  log,
  maximum,
  mul,
  slice,
  softmax,
  stopGradient,
  sub,
  sum,
  where,
} from "../../../../dsl/index.ts";
import type { Tensor } from "../../../../dsl/index.ts";
import { judged } from "../../judged.ts";
import type { StateIdentity } from "../../verify/identity.ts";
import { gap, largest } from "../../verify/measure.ts";
import { CORPUS, rowsOf } from "../../verify/world.ts";
import { shareAt } from "../path.ts";
import { weightedBy } from "../spherical-flow.ts";
import type { SphericalFlow } from "../spherical-flow.ts";
import { APART, BETWEEN, placed } from "./world.ts";
import type { SphereWorld } from "./world.ts";

/** Smallest probability whose logarithm is taken. */
const LEAST = 1e-30;
/** More than a weight that anyone means. */
const HUGE = 1e30;
/** Steps of the coarser of two runs. */
const STEPS = 16;
/** Share of the way from s to t: states near where texts part go apart fast, and Euler's error with them. */
const PART = 1 / 8;

export const sphereLossIdentities = (flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] => [
  {
    kind: "states",
    family: "loss",
    name: "loss of the flow",
    formula: `E[∇ ${flow.loss}] = 0 at the exact posterior of the clean token`,
    cause: "A loss that is not least at the expectation, or a weighting that is not finite.",
    times: BETWEEN,
    tolerance: 1e-8,
    single: 1e-3,
    everywhere: true,
    residual(cases, world) {
      const { x } = placed(flow, cases, world);
      const { t } = cases.s;
      const posterior = world.oracle.posterior(x, t);
      const logits = stopGradient(log(maximum(world.oracle.denoiser(x, t), LEAST))) as Tensor;
      const expected = (value: Tensor): Tensor =>
        CORPUS.sequences
          .map((sentence, k): Tensor => {
            const loss = judged(flow.loss, rowsOf(sentence, value), softmax(value) as Tensor, value);
            return sum(mul(slice(posterior, 1, k, k + 1), weightedBy(flow, loss, t))) as Tensor;
          })
          .reduce((a, b) => add(a, b));
      return div(largest(abs(grad(expected)(logits)) as Tensor), add(largest(abs(logits) as Tensor), 1));
    },
  },
  ...weighting(flow),
];

const weighting = (flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] =>
  flow.weighting === undefined
    ? []
    : [
        {
          kind: "states",
          family: "loss",
          name: "weighting",
          formula: "0 < w(t) < ∞ for 0 < t < 1",
          cause: "A weight that divides by κ or 1 − κ where they vanish, or of the other sign.",
          times: BETWEEN,
          tolerance: 0,
          single: 0,
          everywhere: false,
          residual({ s: { t } }) {
            const weight = flow.weighting?.(t, shareAt(flow.path, t)) as Tensor; // defined: asked above
            return where(and(greater(weight, 0), less(weight, HUGE)), 0, add(mul(t, 0), 1)) as Tensor;
          },
        },
      ];

const sampler = (
  flow: SphericalFlow,
  entry: Pick<StateIdentity<SphereWorld>, "name" | "formula" | "cause" | "tolerance">,
  order: 1 | 2,
): StateIdentity<SphereWorld> => ({
  kind: "states",
  family: "sampler",
  times: APART,
  single: 2e-3,
  everywhere: false,
  ...entry,
  residual(cases, world) {
    const { x } = placed(flow, cases, world);
    const end: Tensor = add(cases.s.t, mul(sub(cases.t.t, cases.s.t), PART));
    const run = (steps: number, of: 1 | 2): Tensor =>
      world.oracle.flowMap(x, cases.s.t, end, { steps, order: of });
    const extrapolated = (steps: number, of: 1 | 2): Tensor => {
      const factor = 2 ** of;
      return div(sub(mul(run(2 * steps, of), factor), run(steps, of)), factor - 1);
    };
    // Each order is held against the other: that a method agrees with itself says little.
    return gap(extrapolated(STEPS, order), order === 1 ? run(2 * STEPS, 2) : extrapolated(4 * STEPS, 1));
  },
});

export const sphereSamplerIdentities = (flow: SphericalFlow): readonly StateIdentity<SphereWorld>[] => [
  sampler(
    flow,
    {
      name: "geodesic Euler steps",
      formula: `2 x^(2N) − x^(N) = X_{s,t}(x) + O(1/N²), N = ${STEPS}: order 1, over an eighth of the way`,
      cause:
        "A path that moves much faster in some places than in others: take steps evenly on a clock that follows it.",
      tolerance: 1e-3,
    },
    1,
  ),
  sampler(
    flow,
    {
      name: "geodesic midpoint steps",
      formula: `(4 x^(2N) − x^(N))/3 = X_{s,t}(x) + O(1/N³), N = ${STEPS}: order 2`,
      cause:
        "A middle state that is not of its time, or a tangent that changes its length when it is moved back.",
      tolerance: 1e-4,
    },
    2,
  ),
];
