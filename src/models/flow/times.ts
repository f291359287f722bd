// Which times a training step sees: stratified clock times for FLM, and the diagonal, boundary and
// off-diagonal rows of a flow-map (FMLM) batch. Randomness comes in as plain numbers, so everything here is a
// pure function of data.
//
// Consumed by the training loop, which draws the numbers with host-random.ts for the *global* batch and hands
// each device and accumulation step its `chunk`: a step's times do not depend on how the batch is split. To
// add a kind of row, extend `RowKind`, `rowTimes` and `rowCounts`.

import type { Clock } from "./clock.ts";

/** Diagonal rows have s = t, boundary rows jump from noise to data, off-diagonal rows between random ones. */
export type RowKind = "diagonal" | "boundary" | "off-diagonal";

/**
 * Where the middle time u of a jump lies: half-way in clock time, half-way in t, random in clock time, or a fixed clock time after s, but
 * at t where that is nearer.
 */
export const MIDPOINTS = ["clock", "time", "random"] as const;
export type Midpoint = (typeof MIDPOINTS)[number] | { readonly after: number };

/**
 * How the times of a jump are drawn, all on the clock. "length first" (FMLM): a length d, then where it lies, s = U·(1 − d), t = s + d.
 * "end first" (CFM): the end t, then s = U·t. "to the data": t = 1, and s = U.
 */
export const JUMP_TIMES = ["length first", "end first", "to the data"] as const;
export type JumpTimes = (typeof JUMP_TIMES)[number];

/** The times of one row: clock times and the interpolant's times, source <= middle <= target. */
export interface RowTimes {
  readonly kind: RowKind;
  readonly tauS: number;
  readonly tauU: number;
  readonly tauT: number;
  readonly s: number;
  readonly u: number;
  readonly t: number;
}

/** How many rows of each kind a step's global batch holds. */
export interface RowCounts {
  readonly diagonal: number;
  readonly boundary: number;
  readonly offDiagonal: number;
}

/** Shares of the batch; the rest is off-diagonal. */
export interface RowFractions {
  readonly diagonalFraction: number;
  readonly boundaryFraction: number;
}

/** One of the pieces a global batch is split into. */
export interface ChunkPosition {
  readonly devices: number;
  readonly accumulations: number;
  readonly device: number;
  readonly accumulation: number;
}

function requireUnitInterval(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} must lie in [0, 1], got ${value}.`);
}

function requireWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be a whole number of at least ${least}, got ${value}.`);
  }
}

function requirePermutation(permutation: ArrayLike<number>, n: number): void {
  const seen = new Uint8Array(n);
  for (let i = 0; i < permutation.length; i++) {
    const value = permutation[i] ?? -1;
    if (value >= 0 && value < n) seen[value] = 1;
  }
  if (permutation.length !== n || seen.includes(0)) {
    throw new RangeError(
      `The permutation must hold each of 0 to ${n - 1} once; it has ${permutation.length} entries.`,
    );
  }
}

function requireDraws(name: string, draws: ArrayLike<number>, n: number): void {
  if (draws.length !== n) {
    throw new RangeError(
      `${name} needs one uniform number per row of the global batch: ${n}, got ${draws.length}.`,
    );
  }
}

/**
 * Stratified times of a global batch of n: one uniform draw in every interval [i/n, (i+1)/n), shuffled. The
 * mean over a batch then varies far less than with independent draws.
 *
 * @param options.uniforms n numbers in [0, 1)
 * @param options.permutation n distinct row numbers; row r gets the interval permutation[r]
 * @returns n times in [0, 1); clock times for FLM, which maps them through `clock.time`
 * @throws RangeError if the permutation is not one of the batch
 */
export function stratifiedTimes({
  uniforms,
  permutation,
}: {
  readonly uniforms: ArrayLike<number>;
  readonly permutation: ArrayLike<number>;
}): Float64Array {
  const n = uniforms.length;
  requirePermutation(permutation, n);
  const times = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const stratum = permutation[row] ?? 0;
    // The draw belongs to the interval, not to the row, and a draw that rounds up to the end wraps to the
    // start.
    times[row] = (((uniforms[stratum] ?? 0) + stratum) / n) % 1;
  }
  return times;
}

/**
 * The rows of a global batch that one device sees in one accumulation step: consecutive rows, all
 * accumulation steps of device 0 first.
 *
 * @param rows anything with one entry per row of the global batch
 * @throws RangeError if the batch does not divide evenly or the position does not exist
 */
export function chunk<T>(rows: ArrayLike<T>, position: ChunkPosition): T[] {
  const { devices, accumulations, device, accumulation } = position;
  requireWhole("The number of devices", devices, 1);
  requireWhole("The number of accumulation steps", accumulations, 1);
  requireWhole("The device index", device, 0);
  requireWhole("The accumulation index", accumulation, 0);
  if (device >= devices || accumulation >= accumulations) {
    throw new RangeError(
      `There is no chunk (device ${device}, accumulation ${accumulation}) among ${devices} devices and ` +
        `${accumulations} accumulation steps; indices count from 0.`,
    );
  }
  const pieces = devices * accumulations;
  if (rows.length % pieces !== 0) {
    throw new RangeError(
      `A global batch of ${rows.length} rows does not split evenly over ${devices} devices and ` +
        `${accumulations} accumulation steps; choose a multiple of ${pieces}.`,
    );
  }
  const size = rows.length / pieces;
  const start = (device * accumulations + accumulation) * size;
  return Array.from(rows).slice(start, start + size);
}

/**
 * How many rows of each kind the global batch of a step holds: deterministic, always summing to the batch,
 * and exact in the long run also where a batch would hold a fraction of a row (the remainder is carried from
 * step to step, so a batch of 16 with 1/64 boundary rows has one in every fourth step).
 *
 * The published FMLM code rounds within each device's share instead, which loses rows on some splits.
 *
 * @param options.batch rows of the global batch
 * @param options.step step number, from 0
 * @throws RangeError for fractions outside [0, 1] or summing to more than 1
 */
export function rowCounts({
  batch,
  step,
  diagonalFraction,
  boundaryFraction,
}: RowFractions & { readonly batch: number; readonly step: number }): RowCounts {
  requireWhole("The global batch", batch, 1);
  requireWhole("The step", step, 0);
  requireUnitInterval("The diagonal fraction", diagonalFraction);
  requireUnitInterval("The boundary fraction", boundaryFraction);
  if (diagonalFraction + boundaryFraction > 1 + 1e-12) {
    throw new RangeError(
      `The diagonal and boundary fractions sum to ${diagonalFraction + boundaryFraction}; ` +
        `they are shares of one batch and must not exceed 1 together.`,
    );
  }
  // Rows handed out before step k. The small shift keeps a product such as 100 * 0.29, which rounds to
  // 28.999999999999996, from losing a row.
  const whole = (rows: number): number => Math.floor(rows + 1e-6);
  const boundaryBefore = (k: number): number => whole(k * batch * boundaryFraction);
  // The diagonal takes its share of what the boundary leaves, so that no step can hand out more rows than it
  // has.
  const diagonalBefore = (k: number): number =>
    boundaryFraction === 1
      ? 0
      : whole((diagonalFraction * (k * batch - boundaryBefore(k))) / (1 - boundaryFraction));
  const boundary = boundaryBefore(step + 1) - boundaryBefore(step);
  const diagonal = Math.min(batch - boundary, diagonalBefore(step + 1) - diagonalBefore(step));
  return { diagonal, boundary, offDiagonal: batch - boundary - diagonal };
}

/**
 * The times of one row.
 *
 * Off-diagonal rows draw a length d and a position a: tau_s = a (1 - d), tau_t = tau_s + d, or as `jumps` says. Boundary rows are
 * exactly (0, 1). Diagonal rows have all three times equal.
 *
 * @param kind kind of row
 * @param draws clock time of a diagonal row; length, position and (for a random midpoint) place of an
 *   off-diagonal one
 * @param clock the flow's clock
 * @param midpoint where u lies
 * @param jumps how s and t of an off-diagonal row follow from its draws
 */
export function rowTimes(
  kind: RowKind,
  draws: {
    readonly diagonal: number;
    readonly difference: number;
    readonly start: number;
    readonly midpoint: number;
  },
  clock: Clock,
  midpoint: Midpoint,
  jumps: JumpTimes = "length first",
): RowTimes {
  if (kind === "diagonal") {
    const tau = draws.diagonal;
    const t = clock.time(tau);
    return { kind, tauS: tau, tauU: tau, tauT: tau, s: t, u: t, t };
  }
  const [tauS, tauT] = kind === "boundary" ? [0, 1] : jumpTimes(jumps, draws.difference, draws.start);
  const s = clock.time(tauS);
  const t = clock.time(tauT);
  if (midpoint === "time") {
    const u = s + 0.5 * (t - s);
    return { kind, tauS, tauU: clock.tau(u), tauT, s, u, t };
  }
  const tauU =
    typeof midpoint === "object"
      ? Math.min(tauT, tauS + midpoint.after)
      : tauS + (midpoint === "clock" ? 0.5 : draws.midpoint) * (tauT - tauS);
  return { kind, tauS, tauU, tauT, s, u: clock.time(tauU), t };
}

/** Source and target on the clock, of two numbers in [0, 1). */
function jumpTimes(jumps: JumpTimes, first: number, second: number): readonly [number, number] {
  if (jumps === "to the data") return [second, 1];
  if (jumps === "end first") return [second * first, first];
  const source = second * (1 - first);
  return [source, Math.min(1, source + first)];
}

/** What a flow-map training step draws for its global batch of n rows: n uniform numbers in [0, 1) each. */
export interface FlowMapDraws {
  /** Place within its stratum, for a diagonal row. */
  readonly diagonal: ArrayLike<number>;
  /** Length of the jump in clock time, for an off-diagonal row, or where it ends. */
  readonly difference: ArrayLike<number>;
  /** Position of the jump, for an off-diagonal row. */
  readonly start: ArrayLike<number>;
  /** Place of u between s and t in clock time; needed only for `midpoint: "random"`. */
  readonly midpoint?: ArrayLike<number>;
}

/**
 * The times of every row of a flow-map training step's global batch (FMLM, arXiv:2602.16813, semigroup
 * distillation).
 *
 * Kinds are dealt out by `rowCounts` and shuffled by the permutation; diagonal times are stratified over the
 * diagonal rows.
 *
 * @param options.batch rows of the global batch
 * @param options.step step number from 0; it decides in which steps a fractional share becomes a row
 * @param options.uniforms the step's draws, one per row
 * @param options.permutation n distinct row numbers
 * @param options.clock the flow's clock
 * @param options.midpoint where u lies between s and t
 * @param options.jumps how s and t of off-diagonal rows are drawn
 * @returns one entry per row of the global batch, in row order; split it with `chunk`
 * @throws RangeError if an array does not have one entry per row, or a fraction is impossible
 */
export function fmlmTimes({
  batch,
  step,
  diagonalFraction,
  boundaryFraction,
  uniforms,
  permutation,
  clock,
  midpoint,
  jumps,
}: RowFractions & {
  readonly batch: number;
  readonly step: number;
  readonly uniforms: FlowMapDraws;
  readonly permutation: ArrayLike<number>;
  readonly clock: Clock;
  readonly midpoint: Midpoint;
  readonly jumps?: JumpTimes;
}): RowTimes[] {
  const counts = rowCounts({ batch, step, diagonalFraction, boundaryFraction });
  requirePermutation(permutation, batch);
  requireDraws("uniforms.diagonal", uniforms.diagonal, batch);
  requireDraws("uniforms.difference", uniforms.difference, batch);
  requireDraws("uniforms.start", uniforms.start, batch);
  if (midpoint === "random") requireDraws("uniforms.midpoint", uniforms.midpoint ?? [], batch);
  return Array.from({ length: batch }, (_, row) => {
    const slot = permutation[row] ?? 0;
    const kind: RowKind =
      slot < counts.diagonal
        ? "diagonal"
        : slot < counts.diagonal + counts.boundary
          ? "boundary"
          : "off-diagonal";
    const draws = {
      // Slots of diagonal rows are 0 .. diagonal - 1: they are the strata.
      diagonal: kind === "diagonal" ? ((uniforms.diagonal[row] ?? 0) + slot) / counts.diagonal : 0,
      difference: uniforms.difference[row] ?? 0,
      start: uniforms.start[row] ?? 0,
      midpoint: uniforms.midpoint?.[row] ?? 0.5,
    };
    return rowTimes(kind, draws, clock, midpoint, jumps);
  });
}
