/**
 * What the kernels of attention write with: extents, matrices and parts of them, and grids of a lane's values.
 * Consumed by attention-problem.ts, the writers and the kernels beside them.
 */
import { binary, select } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";

export interface FlashExtents {
  readonly batch: Expr;
  readonly held: Expr;
  readonly passing: Expr;
}

/** A buffer of shape [batch, rows, stride], of which the first `columns` columns are meant. */
export interface Matrix {
  readonly buffer: number;
  readonly rows: Expr;
  readonly columns: number;
  /** The number of columns again, as a parameter: compilers unroll loops of constant length, and take seconds for these. */
  readonly end: Expr;
  readonly stride: number;
}

export type Variable = Expr & { readonly kind: "name" };
/** A value for each held row of a lane, and each of its passing rows or columns. */
export type Grid<T = Expr> = readonly (readonly T[])[];

/** A sum in progress: weights (by their number) times values, for one or several pairs of them. */
export interface Update {
  readonly into: Grid<Variable>;
  readonly terms: readonly (readonly [weights: number, values: Matrix])[];
}

/** Which passing rows the held rows see. */
export interface SeenRows {
  /** All held rows of the block see all passing rows before the edge, or all from it on. */
  readonly whole: "before" | "after";
  readonly edge: Expr;
  /** For each held row of the lane, whether it sees a passing row. */
  readonly sees: (passing: Expr) => readonly Expr[];
}

/** Passing rows of a block that not all held rows see. */
export interface Edge {
  /** Whether the block has such rows. */
  readonly crossed: Expr;
  /** For each held row of the lane, whether it sees a passing row. */
  readonly sees: (passing: Expr) => readonly Expr[];
}

/** Rows of a matrix from `first`; beyond the last there are copies of it. */
export interface Rows {
  readonly first: Expr;
  readonly count: number;
  readonly end: Expr;
}
/** Columns of a matrix from `first`; beyond the last, where there are any, copies of it. */
export interface Columns {
  readonly first: Expr;
  readonly count: number;
  readonly whole: boolean;
}

/** Writes a result for each element of a grid. */
export const overGrid = <A, B>(grid: Grid<A>, f: (value: A, r: number, c: number) => B): Grid<B> =>
  grid.map((row, r) => row.map((value, c) => f(value, r, c)));

/** Of one row: its weight for each held row of the lane, and its values in the columns of the lane. */
type Side = readonly [weights: readonly Expr[], values: readonly Expr[]];

/** Adds weights times values to sums; where `seen` is given, only for the held rows of which it is true, whatever the values are. */
export function addProducts(
  builder: KernelBuilder,
  sums: Grid<Variable>,
  sides: readonly Side[],
  seen: readonly Expr[] | undefined,
): void {
  sums.forEach((row, r) =>
    row.forEach((sum, d) => {
      const more = sides.reduce<Expr>(
        (total, [weights, values]) =>
          binary("add", total, binary("mul", weights[r] as Expr, values[d] as Expr)),
        sum,
      );
      builder.assign(sum, seen === undefined ? more : select(seen[r] as Expr, more, sum));
    }),
  );
}
