/**
 * A flow, declared: how noise becomes data, what the clock shows meanwhile, where noise comes from, where states live, what is predicted,
 * and how the prediction is judged. Everything else follows from the declaration: states, drift, conversions, times, the training loss.
 *
 * Consumed by flowMap(), by training and sampling, and by verify, which checks a declaration on the exact flow of a corpus.
 */
import type { Tensor } from "../../dsl/index.ts";
import { checkLoss, lossName, needsDistribution } from "./bregman.ts";
import type { Loss, PointLoss } from "./bregman.ts";
import { uniformClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { partsOf, requireName, requirePart } from "./declared-parts.ts";
import { linear, mixed, pointAt } from "./interpolant.ts";
import type { Interpolant } from "./interpolant.ts";
import { convert, QUANTITIES } from "./quantities.ts";
import type { Quantity } from "./quantities.ts";
import { gaussian } from "./source.ts";
import type { Source } from "./source.ts";
import { oneHotStates, statesName } from "./states.ts";
import type { States } from "./states.ts";
import { checkFlowWeight } from "./weighting-checks.ts";
import { varianceOf } from "./weighting.ts";
import type { FlowWeighting } from "./weighting.ts";

/** What a network predicts, and how it is judged: tokens by a distribution, everything else by its squared error or a divergence. */
export type Predicts =
  | { readonly predicts?: "clean token"; readonly loss?: Loss }
  | { readonly predicts: Quantity; readonly loss?: PointLoss };

export type FlowDeclaration = Predicts & {
  readonly name: string;
  /** By default I_t = (1 − t) x₀ + t x₁. */
  readonly interpolant?: Interpolant;
  /** What the network is told of the time, and in what times are drawn evenly; by default t itself. */
  readonly clock?: Clock;
  /** N(0, I) by default. */
  readonly source?: Source;
  /** Where states live: one-hot by default. */
  readonly states?: States;
  /** How much each row's loss counts. None by default, as in FLM. */
  readonly weighting?: FlowWeighting;
};

/** A declaration with everything in its place. */
export interface Flow {
  readonly kind: "flow";
  readonly name: string;
  readonly interpolant: Interpolant;
  readonly clock: Clock;
  readonly source: Source;
  readonly states: States;
  readonly predicts: "clean token" | Quantity;
  readonly loss: Loss;
  readonly weighting?: FlowWeighting;
  /** I_t = α x₀ + β x₁ of noise and clean states [batch, length, dim], at times [batch] or [batch, length]. */
  state(noise: Tensor, clean: Tensor, t: Tensor): Tensor;
  /** One predicted quantity of a state as another. @throws RangeError for a score where the source is not Gaussian */
  convert(value: Tensor, from: Quantity, to: Quantity, state: Tensor, t: Tensor): Tensor;
}

/**
 * Declares a flow.
 * @throws RangeError when it has no name, a part is none or misspelt, or parts do not fit: a score of a source that is not Gaussian, a velocity of tokens that may stand still, noise on
 *   the simplex for states that are none, a squared error to states that learn, a weight that is infinite
 */
export function flow(declared: FlowDeclaration): Flow {
  requireName("A flow", declared.name);
  const {
    name,
    interpolant = linear,
    clock = uniformClock(),
    source = gaussian(),
    weighting,
  } = partsOf(
    `The flow "${declared.name}"`,
    declared,
    ["name", "interpolant", "clock", "source", "states", "predicts", "loss", "weighting"],
    ["kind", "state", "convert"], // of a flow that another is made of
  );
  const { states = oneHotStates } = declared;
  const predicts = declared.predicts ?? "clean token";
  const predictable: readonly string[] = ["clean token", ...QUANTITIES];
  if (!predictable.includes(predicts))
    throw new RangeError(
      `The flow "${name}" predicts ${JSON.stringify(predicts)}, and can predict ${predictable.map((one) => `"${one}"`).join(", ")}.`,
    );
  const of = `The flow "${name}"`;
  requirePart(of, "interpolant", interpolant, ["alpha", "beta"]);
  requirePart(of, "clock", clock, ["tau", "remaining", "time", "dTau"]);
  requirePart(of, "source", source, ["sample"]);
  const loss = declared.loss ?? (predicts === "clean token" ? "cross-entropy" : "squared error");
  const scored = (): number => {
    if (source.scale !== undefined) return source.scale;
    throw new RangeError(
      `The flow "${name}" has no score that follows from its noise: that takes a Gaussian source, and its source is ${source.name}.`,
    );
  };
  if (predicts === "score") scored();
  checkLoss(of, loss);
  // Types exclude it; a declaration in JavaScript may still say so.
  if (predicts !== "clean token" && needsDistribution(loss))
    throw new RangeError(
      `The flow "${name}" predicts a ${predicts}, which is a point and no distribution: its loss is "squared error", not "${lossName(loss)}".`,
    );
  if (interpolant.length !== undefined && predicts !== "clean token" && predicts !== "clean point")
    throw new RangeError(
      `The flow "${name}" gives tokens times of their own and predicts a ${predicts}, from which nothing follows for a token ` +
        `that stands still: predict the clean token or the clean point.`,
    );
  checkStates(name, states, source, predicts);
  checkFlowWeight(weighting, { name, interpolant, predicts, variance: varianceOf(source) });
  return {
    kind: "flow",
    name,
    interpolant,
    clock,
    source,
    states,
    predicts,
    loss,
    ...(weighting === undefined ? {} : { weighting }),
    state: (noise, clean, t) => mixed(pointAt(interpolant, t), noise, clean),
    convert: (value, from, to, state, t) => {
      const scale = from === "score" || to === "score" ? scored() : (source.scale ?? 1);
      return convert(value, from, to, state, pointAt(interpolant, t), scale, source.mean);
    },
  };
}

/** What a flow's states have to do with its noise and with what it predicts. */
function checkStates(name: string, states: States, source: Source, predicts: Flow["predicts"]): void {
  if (source.support === "simplex" && states.kind !== "one-hot")
    throw new RangeError(
      `The flow "${name}" begins on the simplex, with a ${source.name} source, and its states are ${statesName(states)}, which are on ` +
        `none: take one-hot states.`,
    );
  if (source.support === "point" && predicts === "noise")
    throw new RangeError(
      `The flow "${name}" predicts the noise, and begins at a point mass, whose noise is always the same: predict the clean token.`,
    );
  if (states.kind === "embedded" && states.table === "learned" && predicts !== "clean token")
    throw new RangeError(
      `The flow "${name}" predicts a ${predicts} by its squared error, and its states are ${statesName(states)}, which would learn to be ` +
        `all the same: predict the clean token, or take a frozen embedding.`,
    );
}
