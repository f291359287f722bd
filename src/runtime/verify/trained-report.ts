/**
 * What verifying a trained flow map found, as plain data. Consumed by whoever calls verifyTrained, and by `fluxion verify RUN`.
 */
import type { Norm } from "../../models/flow/verify/trained.ts";

/** Over rows. */
export interface Residual {
  readonly mean: number;
  readonly worst: number;
}

/** Rows whose source time lies in a range of the clock. */
export interface ClockRange {
  readonly from: number;
  readonly to: number;
}

/** Residuals of one map, over all rows and in each range, in the order of the report's ranges. */
export interface MapResiduals extends Residual {
  readonly ranges: readonly Residual[];
}

export interface TrainedResult {
  readonly name: string;
  readonly formula: string;
  readonly norm: Norm;
  readonly student: MapResiduals;
  /** The same of the teacher taken as a map: its denoiser held over the whole jump. */
  readonly held: MapResiduals;
  /** The largest residual of the student that was asked for; absent where nothing was. */
  readonly tolerance?: number;
  /** Whether the student's worst residual is within it. */
  readonly passed?: boolean;
}

export interface TrainedReport {
  readonly kind: "trained flow map";
  readonly flow: string;
  readonly device: string;
  readonly seed: number;
  /** Rows in each range. */
  readonly cases: number;
  readonly ranges: readonly ClockRange[];
  /** Whether everything is within the tolerances that were given. */
  readonly passed: boolean;
  readonly results: readonly TrainedResult[];
  /** Residuals that could not be computed, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}
