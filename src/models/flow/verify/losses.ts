/**
 * Identities of losses: the exact answer is where the declared loss is least. Consumed by identities.ts.
 */
import {
  abs,
  and,
  constant,
  div,
  add,
  expandDims,
  grad,
  greater,
  less,
  log,
  maximum,
  mul,
  oneHot,
  slice,
  softmax,
  stopGradient,
  sub,
  sum,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import { overTokens } from "../flow-map.ts";
import type { FlowMap } from "../flow-map.ts";
import { perState, pointAt } from "../interpolant.ts";
import { judged } from "../judged.ts";
import { conditional } from "../quantities.ts";
import { diagonalOf } from "../two-time.ts";
import type { StateIdentity, World } from "./identity.ts";
import { nearRegime } from "./limits.ts";
import { gap, largest } from "./measure.ts";
import { REGIMES } from "./regimes.ts";
import { CORPUS, LENGTH } from "./world.ts";

/** Smallest probability whose logarithm is taken. */
const LEAST = 1e-30;
/** More than a weight that anyone means. */
const HUGE = 1e30;

/** Tokens of a sentence as rows for every case, [cases, length, vocab]. */
const rowsOf = (sentence: readonly number[], like: Tensor): Tensor =>
  add(mul(like, 0), expandDims(oneHot(constant([...sentence], [LENGTH], "i32"), CORPUS.vocab) as Tensor, 0));

/**
 * The expected loss Σ_k w_k loss(value, sentence k), summed over cases, as training computes it: a function of logits over tokens, or of
 * the predicted point.
 */
function expectedLoss(flow: Flow, world: World, x: Tensor, t: Tensor): (value: Tensor) => Tensor {
  const { predicts, loss, weighting, source } = flow;
  const point = pointAt(world.interpolant, t);
  const posterior = world.oracle.posterior(x, point.alpha, point.beta);
  const weight = weighting?.(t, point);
  const weights: Tensor = weight === undefined ? posterior : mul(posterior, expandDims(weight, 1));
  return (value) =>
    CORPUS.sequences
      .map((sentence, k) => {
        const own: Tensor = slice(weights, 1, k, k + 1);
        if (predicts === "clean token")
          return sum(mul(own, judged(loss, rowsOf(sentence, value), softmax(value), value))) as Tensor;
        const clean: Tensor = add(
          mul(x, 0),
          expandDims(constant((world.states[k] ?? []).flat(), [LENGTH, world.dim]) as Tensor, 0),
        );
        const noise: Tensor = div(sub(x, mul(perState(point.beta), clean)), perState(point.alpha));
        const wanted = conditional(predicts, { noise, clean }, point, source.scale, source.mean);
        return sum(mul(own, judged(loss, wanted, value, undefined))) as Tensor;
      })
      .reduce((total, each) => add(total, each) as Tensor);
}

export const flowLossIdentities = (flow: Flow): readonly StateIdentity[] => [
  {
    kind: "states",
    family: "loss",
    name: "loss of the flow",
    formula: `E[∇ ${flow.loss}] = 0 where the ${flow.predicts} is predicted exactly`,
    cause: "A loss that is not least at the expectation, or a weighting that is not finite.",
    times: REGIMES["away from the ends"],
    tolerance: 1e-8,
    single: 1e-3,
    everywhere: true,
    residual({ x, s }, world) {
      const { alpha, beta } = pointAt(world.interpolant, s.t);
      const denoised = world.oracle.denoiserAt(x, alpha, beta);
      const loss = expectedLoss(flow, world, x, s.t);
      const value =
        flow.predicts === "clean token"
          ? log(maximum(denoised, LEAST))
          : flow.convert(world.oracle.point(denoised), "clean point", flow.predicts, x, s.t);
      const slope: Tensor = grad(loss)(stopGradient(value));
      return div(largest(abs(slope)), add(largest(abs(value)), 1));
    },
  },
];

export const weightingIdentities = ({ weighting }: Flow): readonly StateIdentity[] =>
  weighting === undefined
    ? []
    : [
        {
          kind: "states",
          family: "loss",
          name: "weighting",
          formula: "0 < w(t) < ∞ for 0 < t < 1",
          cause:
            "A weight that divides by α or β where they vanish, or that is written in noise levels of the other sign.",
          times: REGIMES["away from the ends"],
          tolerance: 0,
          single: 0,
          everywhere: false,
          residual({ s: { t } }, { interpolant }) {
            const weight = weighting(t, pointAt(interpolant, t));
            return where(and(greater(weight, 0), less(weight, HUGE)), 0, add(mul(t, 0), 1)) as Tensor;
          },
        },
      ];

export function mapLossIdentities(variant: FlowMap): readonly StateIdentity[] {
  const { loss, objective } = variant;
  const { limit, atData } = objective;
  return [
    {
      kind: "states",
      family: "objective",
      name: "loss of the flow map",
      formula: `∇ ${loss} = 0 at the exact flow map`,
      cause:
        "The target is not what the exact map has, or the loss asks for a distribution and the target is none.",
      times:
        limit === undefined ? REGIMES[atData === "only" ? "at the data" : "apart"] : nearRegime(objective),
      tolerance: 1e-2,
      single: 1e-2,
      everywhere: false,
      residual({ x, s, u, t }, { map }) {
        const target = stopGradient(
          objective.target({ student: map, instant: diagonalOf(map), given: map }, { x, s, u, t }),
        );
        const value = stopGradient(map.denoiser(x, s, t));
        // A value that is a point is its own prediction; its squared error has the slope 2 (value − target).
        if (!overTokens(variant)) return gap(value, target, "The target and ψ");
        const total = (logits: Tensor): Tensor => sum(judged(loss, target, softmax(logits), logits));
        const slope: Tensor = grad(total)(log(maximum(value, LEAST)));
        return largest(abs(slope));
      },
    },
  ];
}
