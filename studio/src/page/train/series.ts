/**
 * The log as curves: one row per step over both trainings, the loss of each as it was and smoothed, and what was measured on held-out
 * text. Consumed by curves.tsx and its plot.
 */
import type { LossPoint } from "../../engine/protocol.ts";

export interface Curves {
  /** Steps over both trainings, from 1. */
  readonly step: readonly number[];
  readonly flm: readonly (number | null)[];
  readonly fmlm: readonly (number | null)[];
  readonly flmSmooth: readonly (number | null)[];
  readonly fmlmSmooth: readonly (number | null)[];
  readonly validation: readonly (number | null)[];
}

/**
 * An average of the points on both sides, each step away with a share `keep` of the weight of the one before: so a curve that falls is not drawn
 * above its losses, as it is by an average of the past alone.
 */
function smooth(values: readonly (number | null)[], keep: number): (number | null)[] {
  const there = values.filter((value) => value !== null);
  const before = pastSums(there, keep);
  const after = pastSums(there.toReversed(), keep).toReversed();
  let at = 0;
  return values.map((value) => {
    if (value === null) return null;
    const [left, right] = [before[at] as Sum, after[at] as Sum]; // one for each
    at++;
    // The point itself is in both.
    return (left.total + right.total - value) / (left.weight + right.weight - 1);
  });
}

interface Sum {
  readonly total: number;
  readonly weight: number;
}

function pastSums(values: readonly number[], keep: number): Sum[] {
  let sum: Sum = { total: 0, weight: 0 };
  return values.map((value) => (sum = { total: keep * sum.total + value, weight: keep * sum.weight + 1 }));
}

/** @param keep weight of a neighbour in the smoothed curves, in [0, 1) */
export function curvesOf(points: readonly LossPoint[], flmSteps: number, keep: number): Curves {
  const rows = new Map<number, { flm?: number; fmlm?: number; validation?: number }>();
  for (const { phase, step, loss, validation } of points) {
    const at = (phase === "fmlm" ? flmSteps : 0) + step + 1;
    const row = rows.get(at) ?? {};
    if (loss !== undefined && Number.isFinite(loss)) row[phase] = loss;
    if (validation !== undefined && Number.isFinite(validation)) row.validation = validation;
    rows.set(at, row);
  }
  const step = [...rows.keys()].sort((a, b) => a - b);
  const column = (name: "flm" | "fmlm" | "validation"): (number | null)[] =>
    step.map((at) => rows.get(at)?.[name] ?? null);
  const [flm, fmlm] = [column("flm"), column("fmlm")];
  return {
    step,
    flm,
    fmlm,
    flmSmooth: smooth(flm, keep),
    fmlmSmooth: smooth(fmlm, keep),
    validation: column("validation"),
  };
}

/** A few rows for a table: the first, the last, and some between, evenly; with a measurement on held-out text where one is near. */
export function someRows({ step, validation }: Curves, most: number): readonly number[] {
  const n = step.length;
  if (n <= most) return step.map((_, i) => i);
  const gap = (n - 1) / (most - 1);
  return Array.from({ length: most }, (_, i) => {
    if (i === 0 || i === most - 1) return Math.round(i * gap);
    // Of its own stretch, so that no row comes twice.
    const [from, to] = [Math.ceil((i - 0.5) * gap), Math.ceil((i + 0.5) * gap)];
    const measured = validation.slice(from, to).findLastIndex((value) => value !== null);
    return measured < 0 ? Math.round(i * gap) : from + measured;
  });
}
