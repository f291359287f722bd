/**
 * What verifying a variant found, as plain data. Consumed by whoever calls verifyFlow, and by `fluxion verify`.
 */
import type { Family, LeftOut } from "../../models/flow/verify/identity.ts";

/** A case that fails, as simple as it could be made: its numbers by name. */
export type Counterexample = Readonly<Record<string, number | string | readonly (readonly number[])[]>>;

export interface IdentityResult {
  readonly family: Family | "device";
  readonly name: string;
  readonly formula: string;
  /** How many cases were tried, or draws averaged. */
  readonly cases: number;
  /** The largest residual; NaN or infinite where one is not finite, null where the identity could not be computed. */
  readonly worst: number | null;
  readonly tolerance: number;
  readonly passed: boolean;
  /** For a failure. */
  readonly counterexample?: Counterexample;
  /** For a failure: what usually is its cause. */
  readonly cause?: string;
  /** Why the identity could not be computed. */
  readonly error?: string;
}

export interface VerifyReport {
  readonly variant: string;
  readonly kind: "flow" | "flow map" | "spherical flow";
  readonly device: string;
  readonly seed: number;
  readonly passed: boolean;
  readonly results: readonly IdentityResult[];
  /** Identities that do not apply, and why. */
  readonly leftOut: readonly LeftOut[];
}
