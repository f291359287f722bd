/**
 * What a simplification rule is. Consumed by simplify.ts and the files with its rules.
 */
import type { Equation, OpKind, VarId } from "../../dsl/program/program.ts";
import type { Rewriter } from "./rewrite.ts";

/** Replacement of an equation's outputs, or undefined to keep it. */
export type SimplifyRule<K extends OpKind> = (
  equation: Equation<K>,
  r: Rewriter,
) => readonly VarId[] | undefined;
export type SimplifyRules = { readonly [K in OpKind]?: SimplifyRule<K> };
