/**
 * What is refused of a weighting where it is declared: weights that are infinite or negative at some time, and a residual weighting where
 * targets are draws. Consumed by flow(), flowMap() and sphericalFlow().
 */
import { add, mul, OpError, scalarFunction } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import type { Interpolant } from "./interpolant.ts";
import { pointAt } from "./interpolant.ts";
import type { Quantity } from "./quantities.ts";
import { weightOfTime } from "./weighting.ts";
import type { Moment, Weighting, WeightOfTime } from "./weighting.ts";

/** What a weight is a part of. */
interface Declared {
  readonly name: string;
  readonly interpolant: Interpolant;
  readonly predicts: "clean token" | Quantity;
  readonly variance: number | undefined;
}

/** Times at which a weight is looked at, besides 0. */
const LOOKS = 64;
/** Of flow maps, for each of so many times of the target. */
const TARGETS = 4;

const check = (what: string, weight: number, t: number, target?: number): void => {
  if (Number.isFinite(weight) && weight >= 0) return;
  const where = target === undefined ? `t = ${t}` : `s = ${t} and t = ${target}`;
  throw new RangeError(
    weight < 0 && weight !== -Infinity
      ? `The ${what} gives its loss a weight of ${weight} at ${where}, and no weight is negative.`
      : `The ${what} gives its loss a weight of ${weight} at ${where}: bound it, as snr does with a cap, or minimum(w, 100).`,
  );
};

/**
 * Looks at a weight at times from 0 to `last`, where it is written in elementwise ops; what is not is for verify to see.
 * @param what is weighted, in words
 * @param target the time that a flow map jumps to
 * @throws RangeError for a weight that is not finite or negative, naming the time
 */
export function checkWeight(
  what: string,
  weightAt: (t: Tensor) => Tensor,
  last: number = 1,
  target?: number,
): void {
  let weight: (t: number) => number;
  try {
    weight = scalarFunction(weightAt);
  } catch (error) {
    if (error instanceof OpError) return;
    throw error;
  }
  for (let i = 0; i <= LOOKS; i++) {
    const t = (last * i) / LOOKS;
    check(what, weight(t), t, target);
  }
}

/** The weight of rows at t, to be looked at; times per token have no weight of one number. */
function rowWeight(
  weighting: Weighting | undefined,
  { interpolant, predicts, variance }: Declared,
  target?: number,
): ((t: Tensor) => Tensor) | undefined {
  if (weighting === undefined || interpolant.length !== undefined) return undefined;
  const moment = (t: Tensor): Moment => ({ t, point: pointAt(interpolant, t) });
  return (t) => {
    const to = target === undefined ? {} : { target: moment(add(mul(t, 0), target)) };
    return weightOfTime(weighting, { at: moment(t), ...to, predicts, variance }) ?? add(mul(t, 0), 1);
  };
}

/** What a weighting of each kind does it by. */
const BY = { time: "weight", residual: "weighted", learned: "exponent" } as const satisfies {
  readonly [K in Exclude<Weighting, WeightOfTime>["kind"]]: string;
};

/** @throws RangeError for what is no weighting: nothing would be weighted by it */
function checkKind(what: string, weighting: Weighting | undefined): void {
  const given: unknown = weighting; // whatever its type says
  if (given === undefined || typeof given === "function") return;
  const kind: unknown =
    typeof given === "object" && given !== null && "kind" in given ? given.kind : undefined;
  const by = Object.entries(BY).find(([name]) => name === kind)?.[1];
  if (by !== undefined && typeof Reflect.get(given as object, by) === "function") return;
  throw new RangeError(
    `The ${what} has a value for its weighting that is none: it is a function of t, or one of models.weightings.`,
  );
}

/** @throws RangeError for what is no weighting, for a weight that is not finite or negative, and for one by residuals */
export function checkFlowWeight(weighting: Weighting | undefined, declared: Declared): void {
  const what = `flow "${declared.name}"`;
  checkKind(what, weighting);
  // Types exclude it; a declaration in JavaScript may still say so.
  if (typeof weighting === "object" && weighting.kind === "residual")
    throw new RangeError(
      `The ${what} has a residual weighting, and learns from draws: their expectation is no longer what is best to predict when a ` +
        `draw counts by how near it is; weight by time, or the rows of a flow map.`,
    );
  const weight = rowWeight(weighting, declared);
  if (weight !== undefined) checkWeight(what, weight);
}

/** @throws RangeError for what is no weighting, and for a weight that is not finite or negative */
export function checkMapWeight(
  weighting: Weighting | undefined,
  declared: Declared & { readonly teacher: boolean; readonly diagonal: number },
): void {
  const { name, teacher, diagonal } = declared;
  const what = `flow map "${name}"`;
  checkKind(what, weighting);
  if (typeof weighting === "object" && weighting.kind === "residual" && !teacher && diagonal === 1)
    throw new RangeError(
      `The ${what} has a residual weighting, which is for targets that are no draws, and learns from clean tokens alone.`,
    );
  for (let i = 1; i <= TARGETS; i++) {
    const last = i / TARGETS;
    const weight = rowWeight(weighting, declared, last);
    if (weight !== undefined) checkWeight(what, weight, last, last);
  }
}
