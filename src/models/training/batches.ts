/**
 * What a training step feeds its program: windows of the token stream, clock times, and a key for the noise. Every draw is a
 * function of (seed, phase, step), so a resumed run sees the batches that the undisturbed one would have seen.
 *
 * Consumed by the training loop (src/runtime/training).
 */
import { windows } from "../data/pack.ts";
import { semigroupWeight } from "../flow/algebra.ts";
import type { Clock } from "../flow/clock.ts";
import { fold, key, permutation, uniforms, words } from "../flow/host-random.ts";
import type { Key } from "../flow/host-random.ts";
import { fmlmTimes, stratifiedTimes } from "../flow/times.ts";
import type { RowFractions, RowTimes } from "../flow/times.ts";

export type Phase = "flm" | "fmlm" | "validation" | "sample";
const PHASES: readonly Phase[] = ["flm", "fmlm", "validation", "sample"];

/** The key of one step of one phase. */
export const stepKey = (seed: number, phase: Phase, step: number): Key =>
  fold(fold(key(seed), PHASES.indexOf(phase)), step);

/** A key as the u32 pair that a program takes. */
export const keyData = (from: Key): Uint32Array => Uint32Array.of(from[0], from[1]);

/** Random windows of the stream: [batch, length] ids, row-major. */
export function randomWindows(stream: Int32Array, from: Key, batch: number, length: number): Int32Array {
  const room = stream.length - length + 1;
  if (room < 1)
    throw new RangeError(`the text has ${stream.length} tokens, fewer than one sequence of ${length}`);
  const starts = Array.from(uniforms(from, batch), (u) => Math.floor(u * room));
  return windows(stream, starts, length).tokens;
}

export interface FlmDraw {
  readonly tokens: Int32Array;
  readonly tau: Float32Array;
  readonly t: Float32Array;
  readonly key: Uint32Array;
}

/** The batch of one FLM step. */
export function flmDraw(stream: Int32Array, length: number, batch: number, clock: Clock, from: Key): FlmDraw {
  const taus = stratifiedTimes({
    uniforms: uniforms(fold(from, 1), batch),
    permutation: permutation(fold(from, 2), batch),
  });
  return {
    tokens: randomWindows(stream, fold(from, 0), batch, length),
    tau: Float32Array.from(taus),
    t: Float32Array.from(taus, (tau) => clock.time(tau)),
    key: keyData(fold(from, 3)),
  };
}

export interface FmlmDraw {
  readonly tokens: Int32Array;
  readonly tauS: Float32Array;
  readonly tauU: Float32Array;
  readonly tauT: Float32Array;
  readonly s: Float32Array;
  readonly u: Float32Array;
  readonly t: Float32Array;
  readonly gamma: Float32Array;
  readonly key: Uint32Array;
}

/** The batch of one FMLM step, diagonal rows first. `diagonal` is batch × diagonalFraction, a whole number. */
export function fmlmDraw(
  stream: Int32Array,
  length: number,
  batch: number,
  clock: Clock,
  step: number,
  fractions: RowFractions,
  from: Key,
): FmlmDraw {
  const draw = (n: number): Float64Array => uniforms(fold(from, n), batch);
  const rows = fmlmTimes({
    batch,
    step,
    ...fractions,
    uniforms: { diagonal: draw(1), difference: draw(2), start: draw(3) },
    permutation: permutation(fold(from, 4), batch),
    clock,
    midpoint: "clock",
  });
  const ordered = [
    ...rows.filter(({ kind }) => kind === "diagonal"),
    ...rows.filter(({ kind }) => kind !== "diagonal"),
  ];
  const column = (pick: (row: RowTimes) => number): Float32Array => Float32Array.from(ordered, pick);
  return {
    tokens: randomWindows(stream, fold(from, 0), batch, length),
    tauS: column((row) => row.tauS),
    tauU: column((row) => row.tauU),
    tauT: column((row) => row.tauT),
    s: column((row) => row.s),
    u: column((row) => row.u),
    t: column((row) => row.t),
    gamma: column(({ s, u, t }) => semigroupWeight(s, u, t)),
    key: keyData(fold(from, 5)),
  };
}

/** A whole number below 2³² from a key, for programs that take a seed. */
export const seedOf = (from: Key): number => words(from, 1)[0] ?? 0;
