/**
 * Identities of losses: the exact answer is where the declared loss is least, however its rows are weighted. Consumed by identities.ts.
 * Identities of the weights themselves are in weightings.ts.
 */
import {
  abs,
  add,
  cast,
  constant,
  div,
  equal,
  expandDims,
  grad,
  greater,
  less,
  log,
  max,
  maximum,
  mul,
  not,
  or,
  slice,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { lossName } from "../bregman.ts";
import type { Loss } from "../bregman.ts";
import type { Flow } from "../flow.ts";
import { overTokens } from "../flow-map.ts";
import type { FlowMap } from "../flow-map.ts";
import { perState, pointAt } from "../interpolant.ts";
import { judged } from "../judged.ts";
import { conditional } from "../quantities.ts";
import { diagonalOf } from "../two-time.ts";
import { nearRegime } from "./limits.ts";
import type { Cases, StateIdentity, World } from "./identity.ts";
import { largest, sameShape } from "./measure.ts";
import { asked } from "./positions.ts";
import { REGIMES } from "./regimes.ts";
import { ofFlow, ofMap } from "./weightings.ts";
import { CORPUS, LENGTH, rowsOf } from "./world.ts";

/** Smallest probability whose logarithm is taken. */
const LEAST = 1e-30;

/**
 * The expected loss Σ_k w_k loss(value, sentence k), summed over cases, as training computes it: a function of logits over tokens, or of
 * the predicted point.
 */
function expectedLoss(flow: Flow, world: World, cases: Cases): (value: Tensor) => Tensor {
  const { predicts, loss, source } = flow;
  const {
    x,
    s: { t },
  } = cases;
  const point = pointAt(world.interpolant, t);
  const posterior = world.oracle.posterior(x, point.alpha, point.beta);
  const weighted = ofFlow(flow, world, cases);
  // A token that is finished has no noise left.
  const divisor = perState(where(equal(point.alpha, 0), 1, point.alpha) as Tensor);
  return (value) =>
    CORPUS.sequences
      .map((sentence, k) => {
        const own: Tensor = slice(posterior, 1, k, k + 1);
        if (predicts === "clean token") {
          const tokens = rowsOf(sentence, value);
          const distribution: Tensor = softmax(value);
          return sum(
            mul(own, weighted(judged(loss, tokens, distribution, value), distribution, tokens)),
          ) as Tensor;
        }
        const clean: Tensor = add(
          mul(x, 0),
          expandDims(constant((world.states[k] ?? []).flat(), [LENGTH, world.dim]) as Tensor, 0),
        );
        const noise: Tensor = div(sub(x, mul(perState(point.beta), clean)), divisor);
        const wanted = conditional(predicts, { noise, clean }, point, source.scale, source.mean);
        return sum(mul(own, weighted(judged(loss, wanted, value, undefined), value, wanted))) as Tensor;
      })
      .reduce((total, each) => add(total, each) as Tensor);
}

export const flowLossIdentities = (flow: Flow): readonly StateIdentity[] => [
  leastAtTarget(flow.loss, flow.predicts === "clean token"),
  {
    kind: "states",
    family: "loss",
    name: "loss of the flow",
    formula: `E[∇ ${lossName(flow.loss)}] = 0 where the ${flow.predicts} is predicted exactly`,
    cause: "A loss that is not least at the expectation, or a weighting that is not finite.",
    times: REGIMES["away from the ends"],
    tolerance: 1e-8,
    single: 1e-3,
    everywhere: true,
    residual(cases, world) {
      const { x, s } = cases;
      const { alpha, beta } = pointAt(world.interpolant, s.t);
      const denoised = world.oracle.denoiserAt(x, alpha, beta);
      const loss = expectedLoss(flow, world, cases);
      const value =
        flow.predicts === "clean token"
          ? log(maximum(denoised, LEAST))
          : flow.convert(world.oracle.point(denoised), "clean point", flow.predicts, x, s.t);
      const slope: Tensor = grad(loss)(stopGradient(value));
      return div(largest(abs(slope)), add(largest(abs(value)), 1));
    },
  },
];

/** Values that are nearer than this are not compared. */
const NEAR = 1e-2;
/** How much more a loss must be than at its target, as a share of the squared distance: more than rounding. */
const RISE = 1e-7;

/** What a divergence fails by if its potential is not convex: it is lower elsewhere than at its target. */
function leastAtTarget(loss: Loss, distributions: boolean): StateIdentity {
  const name = lossName(loss);
  return {
    kind: "states",
    family: "loss",
    name: "loss that is least at its target",
    formula: `${name}(target, value) > ${name}(target, target) for every other value`,
    cause:
      "The potential of the divergence is not convex, or a straight line somewhere: a negative sign, an exponent below 1, or a " +
      "domain that it does not have.",
    times: REGIMES.apart,
    tolerance: 0,
    single: 0,
    everywhere: false,
    residual({ x, free, s, t }) {
      // Numbers that have nothing to do with each other; the states are those of one-hot tokens, of the same size.
      const other: Tensor = add(x, mul(perState(sub(s.t, t.t)), 2));
      const [target, value, logits] = distributions
        ? [softmax(mul(free, 2)) as Tensor, softmax(mul(other, 2)) as Tensor, mul(other, 2) as Tensor]
        : [free, other, undefined];
      // To be judged against itself a distribution needs its own logits.
      const own = distributions ? log(maximum(target, LEAST)) : undefined;
      const corner = rowsOf(CORPUS.sequences[0], x);
      const risen = (wanted: Tensor, itself: Tensor | undefined): Tensor => {
        const apart: Tensor = sum(square(sub(value, wanted) as Tensor), 2);
        const rise: Tensor = sub(judged(loss, wanted, value, logits), judged(loss, wanted, wanted, itself));
        // What is not a number is not greater.
        const right = or(greater(rise, mul(apart, RISE)), less(apart, NEAR));
        return max(cast(not(right), "f32"), 1) as Tensor;
      };
      return maximum(risen(target, own), risen(corner, log(maximum(corner, LEAST))));
    },
  };
}

export const mapLossIdentities = (map: FlowMap): readonly StateIdentity[] => {
  const { loss, objective, flow } = map;
  const { limit, atData } = objective;
  const distributions = overTokens(map);
  return [
    // Of the flow's own loss it is asked already.
    ...(loss === flow.loss ? [] : [leastAtTarget(loss, distributions)]),
    {
      kind: "states",
      family: "objective",
      name: "loss of the flow map",
      formula: `∇ ${lossName(loss)} = 0 at the exact flow map, whatever its weight`,
      cause:
        "The target is not what the exact map has, or the loss asks for a distribution and the target is none.",
      times:
        limit === undefined ? REGIMES[atData === "only" ? "at the data" : "apart"] : nearRegime(objective),
      tolerance: 1e-2,
      single: 1e-2,
      everywhere: false,
      residual(cases, world) {
        const { x, s, u, t } = cases;
        const { map: student } = world;
        const value: Tensor = stopGradient(student.denoiser(x, s, t));
        const taught = objective.target(
          { student, instant: diagonalOf(student), given: student },
          { x, s, u, t },
        );
        sameShape(taught, value, "The target and ψ");
        const target: Tensor = stopGradient(asked(student.interpolant, taught, value, s, t));
        const weighted = ofMap(map, world, cases);
        const per = (given: Tensor): Tensor => {
          const found: Tensor = distributions ? softmax(given) : given;
          return weighted(judged(loss, target, found, distributions ? given : undefined), found, target);
        };
        const at: Tensor = distributions ? log(maximum(value, LEAST)) : value;
        const slope: Tensor = grad((given: Tensor) => sum(per(given)) as Tensor)(at);
        // The slope of the loss itself: weights may be anything, and rounding in the target must not count for more by them.
        const zero: Tensor = mul(sum(value, 2) as Tensor, 0);
        const weight: Tensor = sub(weighted(add(zero, 1), value, target), weighted(zero, value, target));
        const relative: Tensor = div(slope, expandDims(stopGradient(weight), 2));
        // Of a point the squared error has the slope 2 (value − target).
        return distributions
          ? largest(abs(relative))
          : div(largest(abs(relative)), mul(add(largest(abs(target)), 1), 2));
      },
    },
  ];
};
