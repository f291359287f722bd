/**
 * A tensor as lines along one axis: element i of line (o, r) lies at (o·extent + i)·inner + r, where o and r number what is before and after
 * the axis. Consumed by routines that work along an axis.
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import { index, modulo, over, plus, times } from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";

/** Numbers where stages are laid out, parameters where kernels are written: sizes make no new kernels. */
export interface Lines<N = number> {
  readonly count: N;
  readonly extent: N;
  readonly inner: N;
}

export function linesAlong(shape: readonly number[], axis: number): Lines {
  const inner = sizeOf(shape.slice(axis + 1));
  const extent = shape[axis] as number; // axes are legal
  return { count: sizeOf(shape.slice(0, axis)) * inner, extent, inner };
}

/** The parameters of a kernel over lines, declared first; `lineParams` are their values. */
export const declareLines = (builder: KernelBuilder): Lines<Expr> => ({
  count: builder.param(),
  extent: builder.param(),
  inner: builder.param(),
});

export const lineParams = ({ count, extent, inner }: Lines): readonly number[] => [count, extent, inner];

/** Where elements of a line lie. */
export function lineAt(
  builder: KernelBuilder,
  { extent, inner }: Lines<Expr>,
  line: Expr,
): (i: Expr) => Expr {
  const start = builder.let(plus(times(times(over(line, inner), extent), inner), modulo(line, inner)));
  return (i) => plus(start, times(i, inner));
}

/** 2ˣ, for x below 32. */
export const powerOfTwo = (exponent: Expr): Expr => ({
  kind: "binary",
  type: "u32",
  op: "shiftLeft",
  x: index(1),
  y: exponent,
});
