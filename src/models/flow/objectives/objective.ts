/**
 * What an objective of a flow map is: the value that ψ_{s,t}(x) must have by an identity of flow maps, computed from the map itself.
 * Training pulls the student's ψ towards it; at the exact map the two are equal, and that is how verify checks an objective before
 * anything is trained on it.
 *
 * Consumed by flowMap(). To add an objective, return one of these; new-objective.ts in examples shows how.
 */
import type { Tensor } from "../../../dsl/index.ts";
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
}

export interface Objective {
  readonly name: string;
  /** The identity, for people. */
  readonly formula: string;
  /** Whether the target uses the middle time u. */
  readonly usesMiddle: boolean;
  /** Whether it is a distribution over tokens whenever the student's denoisers are: cross-entropy needs that. */
  readonly onSimplex: boolean;
  /** Whether it has something to say of jumps that end at t = 1. */
  readonly atData: boolean;
  /** Whether there is no target without a frozen teacher. */
  readonly needsTeacher: boolean;
  /** Whether it uses logits, which only denoisers over tokens have. */
  readonly needsLogits: boolean;
  /** The value that ψ_{s,t}(x) should have: of the same kind as the student's. */
  target(targets: Targets, rows: Rows): Tensor;
}
