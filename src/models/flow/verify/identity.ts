/**
 * What verify checks, as data: an identity has a name, its formula, what usually breaks it, how exact it must be, and a residual that
 * is 0 where it holds. Nothing runs here.
 *
 * Consumed by identities.ts, which collects them, and by src/runtime/verify.ts, which draws cases, runs and reports. To add an
 * identity: one entry in the file of its family.
 */
import type { Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import type { Interpolant } from "../interpolant.ts";
import type { Oracle } from "../oracle.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import type { Regime } from "./regimes.ts";

/** What an identity is about; one file each. */
export type Family =
  | "interpolant"
  | "clock"
  | "source"
  | "flow"
  | "loss"
  | "flow map"
  | "objective"
  | "sampler";

/** Inputs of a residual, one row per case. */
export interface Cases {
  /** States at time s, [cases, length, dim]. */
  readonly x: Tensor;
  /** Numbers in [−2, 2] without a meaning of their own, [cases, length, vocab]: values, perturbations, weights of a map. */
  readonly free: Tensor;
  readonly s: Time;
  readonly u: Time;
  readonly t: Time;
}

/** Where identities are looked at: a small corpus, and a vector for every token. */
export interface Place {
  readonly name: string;
  readonly dim: number;
  /** States of the sequences, [sequence][length][dim]. */
  readonly states: readonly (readonly (readonly number[])[])[];
  /** Probability of every sequence. */
  readonly weights: readonly number[];
}

/** A small corpus and its exact flow under the variant's own interpolant and source. */
export interface World extends Place {
  readonly name: "one-hot tokens" | "embedded tokens";
  readonly interpolant: Interpolant;
  readonly oracle: Oracle;
  /** The exact two-time denoiser, of the interpolant's times. */
  readonly exact: TwoTimeDenoiser;
  /** The same, but like a network it reads the clock: a wrong clock time or rate is seen. */
  readonly map: TwoTimeDenoiser;
  /** The same two of data that are spread out, whose maps still depend on state and time where a jump ends at t = 1; of points. */
  readonly smooth: { readonly exact: TwoTimeDenoiser; readonly map: TwoTimeDenoiser };
}

interface About {
  readonly family: Family;
  readonly name: string;
  readonly formula: string;
  /** What usually breaks it, in a sentence or two. */
  readonly cause: string;
}

/** An identity of states and times. */
export interface StateIdentity<W extends Place = World> extends About {
  readonly kind: "states";
  readonly times: Regime;
  /** Largest residual in double precision. */
  readonly tolerance: number;
  /** Largest residual in single precision: on every device but the interpreter. */
  readonly single: number;
  /** Whether it is looked at in both worlds, or in that of one-hot tokens alone because states have no part in it. */
  readonly everywhere: boolean;
  /** The residual of every case, [cases], not negative. */
  residual(cases: Cases, world: W): Tensor;
}

/** An identity of one plain number in [0, 1], computed on the host. */
export interface NumberIdentity extends About {
  readonly kind: "numbers";
  /** What the number is; absent where it plays no part. */
  readonly of?: "t" | "τ";
  readonly tolerance: number;
  residual(at: number): number;
}

/** An identity of expectations, seen through draws. */
export interface DrawnIdentity<W extends Place = World> extends About {
  readonly kind: "draws";
  readonly draws: number;
  /** What is averaged, in words; one per entry of the results. */
  readonly of: readonly string[];
  /** Averages of draws from a key [2], what they must be, and the standard deviation of each summand; [entries] all three. */
  averages(key: Tensor<[2], "u32">, world: W): Averages;
}

export interface Averages {
  readonly found: Tensor;
  readonly expected: Tensor;
  readonly deviation: Tensor;
}

export type Identity<W extends Place = World> = StateIdentity<W> | NumberIdentity | DrawnIdentity<W>;

/** An identity that does not apply, and why. */
export interface LeftOut {
  readonly family: Family;
  readonly name: string;
  readonly reason: string;
}

export interface Checks<W extends Place = World> {
  readonly identities: readonly Identity<W>[];
  readonly leftOut: readonly LeftOut[];
}

/** What of a variant is looked at, and where. */
export interface Looks<W extends Place> {
  readonly checks: Checks<W>;
  /** What cases are drawn of. */
  readonly flow: Pick<Flow, "interpolant" | "source" | "clock">;
  readonly worlds: readonly W[];
  /** The time up to which derivatives are looked at. */
  readonly latest: number;
  /** What devices are compared on, [cases, numbers]. */
  agreement(cases: Cases, world: W): Tensor;
}

/** How many standard errors a drawn average may be off: by chance once in 500 million for a normal one. */
export const STANDARD_ERRORS = 6;
