/**
 * What an objective of a flow map is: the value that ψ_{s,t}(x) must have by an identity of flow maps, computed from the map itself.
 * Training pulls the student's ψ towards it; at the exact map the two are equal, and that is how verify checks an objective before
 * anything is trained on it.
 *
 * Consumed by flowMap(). To add an objective, return one of these; new-objective.ts in examples shows how.
 */
import type { Tensor } from "../../../dsl/index.ts";
import { partsOf, requireName, requirePart } from "../declared-parts.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "../two-time.ts";

/** Rows of a batch: states [batch, length, dim] at their source time, and the times s <= u <= t. */
export interface Rows {
  readonly x: Tensor;
  readonly s: Time;
  /** Between source and target; where it lies is the declaration's `midpoint`. */
  readonly u: Time;
  readonly t: Time;
}

/** What a target is made of. None of it passes a gradient on. */
export interface Targets {
  /** The student itself, at its present weights. */
  readonly student: TwoTimeDenoiser;
  /** The denoiser D_t(x) that the diagonal learns from: the teacher's, or without one the student's own. */
  readonly instant: OneTimeDenoiser;
  /** The frozen flow map that teaches, where the declaration has one. */
  readonly given?: TwoTimeDenoiser;
}

export interface Objective {
  readonly name: string;
  /** The identity, for people. */
  readonly formula: string;
  /** Whether the target uses the middle time u. */
  readonly usesMiddle: boolean;
  /** Whether it is a distribution over tokens whenever the student's denoisers are: cross-entropy needs that. */
  readonly onSimplex: boolean;
  /** Whether it has something to say of jumps that end at t = 1; "only" where it has of no others, and all its rows end there. */
  readonly atData: boolean | "only";
  /** Whether there is no target without a frozen teacher: a network of the flow, or a flow map of it. */
  readonly needsTeacher: boolean | "flow map";
  /** Whether it uses logits, which only denoisers over tokens have. */
  readonly needsLogits: boolean;
  /**
   * For an identity that holds for u → s alone: the order p of target − ψ = O((u − s)^p), at least 2, since what is lost in a step of
   * length h is lost in 1/h of them. Left out where it holds for every u.
   */
  readonly limit?: { readonly order: number };
  /** The value that ψ_{s,t}(x) should have: of the same kind as the student's. */
  target(targets: Targets, rows: Rows): Tensor;
}

/**
 * What flowMap() is given as its objective, when it is one. An objective of a user's own is a plain object, so nothing has looked at it
 * before: with a misspelt part it would be trained by what the part is where it is left out.
 * @param map that it is the objective of, by its name
 * @throws RangeError when it has no name or no target, or a part that there is not or has another value
 */
export function checkObjective(map: string, objective: Objective): void {
  requirePart(`The flow map "${map}"`, "objective", objective, ["target"]);
  requireName(`The objective of "${map}"`, objective.name);
  const what = `The ${objective.name} objective of "${map}"`;
  partsOf(what, objective, [
    "name",
    "formula",
    "usesMiddle",
    "onSimplex",
    "atData",
    "needsTeacher",
    "needsLogits",
    "limit",
    "target",
  ]);
  checkValues(what, objective);
}

const FLAGS = ["usesMiddle", "onSimplex", "needsLogits"] as const;

/** @throws RangeError for what an objective does not say of itself, or not so: what is trained and verified goes by it */
function checkValues(what: string, objective: Objective): void {
  const wrong = (part: keyof Objective, values: string): RangeError =>
    new RangeError(`${what} has ${JSON.stringify(objective[part])} for its ${part}, which is ${values}.`);
  if (typeof objective.formula !== "string") throw wrong("formula", "a text, by which reports call it");
  for (const part of FLAGS) if (typeof objective[part] !== "boolean") throw wrong(part, "true or false");
  const { atData, needsTeacher, limit } = objective;
  if (typeof atData !== "boolean" && atData !== "only") throw wrong("atData", 'true, false or "only"');
  if (typeof needsTeacher !== "boolean" && needsTeacher !== "flow map")
    throw wrong("needsTeacher", 'true, false or "flow map"');
  // A step of length h is taken 1/h times, so of an order below 2 nothing vanishes.
  if (limit !== undefined && !(limit.order >= 2))
    throw new RangeError(`${what} has a limit of the order ${limit.order}, which is at least 2.`);
}
