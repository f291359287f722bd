/**
 * How the elements of one node depend on the elements of others: the question on which fusion turns. A kernel that computes element i
 * of one node can use another node's value from a register only if that is the element it has at hand.
 *
 * Consumed by `groups.ts`.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, VarId } from "../../dsl/program/program.ts";
import { keepsOrder, runsOf } from "./coordinates.ts";
import { isPointwise } from "./pointwise.ts";

/** Elements arranged as rows × columns: the space of a kernel. Without rows to combine, columns is 1. */
export interface Space {
  readonly rows: number;
  readonly columns: number;
}

/** Element i depends on element i; on element floor(i / columns), a value per row; or on something else. */
export type Relation =
  | { readonly kind: "same" }
  | { readonly kind: "row"; readonly columns: number }
  | { readonly kind: "other" };

const SAME: Relation = { kind: "same" };
const OTHER: Relation = { kind: "other" };

/** The relation of an equation's output to its operand, both taken as flat lists. */
export function relationOf(program: Program, equation: AnyEquation): Relation {
  switch (equation.op) {
    case "reshape":
    case "stopGradient":
      return SAME;
    case "broadcast": {
      const from = typeOf(program, equation.inputs[0] as VarId).shape;
      const { shape, dims } = equation.params;
      if (sizeOf(from) === sizeOf(shape)) return SAME;
      const kept = (axis: number): boolean =>
        dims.includes(axis) && (from[dims.indexOf(axis)] as number) !== 1;
      const runs = runsOf(shape, kept).filter((run) => run.size > 1);
      const repeated = runs.at(-1);
      const ok = repeated !== undefined && !repeated.kind && runs.slice(0, -1).every((run) => run.kind);
      return ok ? { kind: "row", columns: repeated.size } : OTHER;
    }
    case "transpose":
      return keepsOrder(typeOf(program, equation.inputs[0] as VarId).shape, equation.params.perm)
        ? SAME
        : OTHER;
    case "slice":
    case "pad":
    case "concat":
    case "gather":
      return OTHER;
    default:
      return SAME;
  }
}

function compose(first: Relation, then: Relation): Relation {
  if (first.kind === "other" || then.kind === "other") return OTHER;
  if (first.kind === "same") return then;
  return then.kind === "same" ? first : OTHER;
}

const sameRelation = (a: Relation, b: Relation): boolean =>
  a.kind === b.kind && (a.kind !== "row" || b.kind !== "row" || a.columns === b.columns);

/** A node or input that a value is computed from, and how. */
export interface Dependency {
  readonly id: VarId;
  readonly relation: Relation;
}

/**
 * What an equation's outputs are computed from, through everything that is inlined. A stored variable that is used in several ways
 * appears with each.
 */
export function dependenciesOf(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  isStored: (id: VarId) => boolean,
  equation: AnyEquation,
): readonly Dependency[] {
  const found: Dependency[] = [];
  const seen = new Map<VarId, Relation[]>();
  const visit = (id: VarId, relation: Relation): void => {
    const known = seen.get(id) ?? [];
    if (known.some((other) => sameRelation(other, relation))) return;
    seen.set(id, [...known, relation]);
    if (isStored(id)) {
      found.push({ id, relation });
      return;
    }
    const inner = definitions[id];
    if (inner === undefined) throw new Error(`%${id} is neither stored nor computed`);
    const next = compose(relation, relationOf(program, inner));
    for (const input of inner.inputs) visit(input, next);
  };
  const start = isPointwise(equation.op) ? relationOf(program, equation) : SAME;
  for (const id of equation.inputs) visit(id, start);
  return found;
}
