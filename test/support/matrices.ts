/** Targets with matrix units, as hardware lists them. Consumed by tests of the rung for them. */
import { MINIMUM_LIMITS } from "../../src/compiler/kernel/plan.ts";
import type { MatrixShape, TargetLimits } from "../../src/compiler/kernel/plan.ts";
import type { DotLayout } from "../../src/compiler/schedule/dot/problem.ts";

const of = (
  rows: number,
  columns: number,
  inner: number,
  element: "f16" | "f32",
  accumulator: "f16" | "f32",
): MatrixShape => ({ rows, columns, inner, element, accumulator });
/** As hardware lists them, and one whose sides all differ: it tells rows from columns from k. */
export const SHAPES = {
  nvidia: [of(16, 16, 16, "f16", "f32"), of(16, 8, 16, "f16", "f32"), of(16, 16, 16, "f16", "f16")],
  intel: [of(8, 16, 16, "f16", "f32"), of(8, 8, 16, "f16", "f32")],
  apple: [of(8, 8, 8, "f32", "f32"), of(8, 8, 8, "f16", "f16")],
  halves: [of(8, 8, 8, "f16", "f16")],
  uneven: [of(4, 12, 6, "f16", "f32")],
} as const satisfies Readonly<Record<string, readonly MatrixShape[]>>;

/** A target that lists these shapes. @param lanes of its largest subgroups */
export const limitsFor = (matrices: readonly MatrixShape[], lanes = 8, min = lanes): TargetLimits => ({
  ...MINIMUM_LIMITS,
  sharedBytes: 49152,
  f16: true,
  subgroups: { min, max: lanes },
  matrices,
});

/** How operands of f16 may lie: the first letter is of the left one, T where k is not its innermost axis as a product has it. */
export const LAYOUTS: Readonly<Record<"NN" | "NT" | "TN" | "TT", DotLayout>> = {
  NN: { left: "k", right: "column", dtype: "f16" },
  NT: { left: "k", right: "k", dtype: "f16" },
  TN: { left: "row", right: "column", dtype: "f16" },
  TT: { left: "row", right: "k", dtype: "f16" },
};
