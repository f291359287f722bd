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
 * @throws RangeError when it has no name or no target, or a part that there is not
 */
export function checkObjective(map: string, objective: Objective): void {
  requirePart(`The flow map "${map}"`, "objective", objective, ["target"]);
  requireName(`The objective of "${map}"`, objective.name);
  partsOf(`The ${objective.name} objective of "${map}"`, objective, [
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
}
