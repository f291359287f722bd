/**
 * Common subexpressions: of equations with the same op, parameters and inputs, only the first is kept. All ops are pure, so this
 * is always right. Nested programs are treated each by itself: an equation in the body of a `remat` is not shared with one
 * outside, which would undo the rematerialization. Consumed by the pipeline.
 */
import { paramEntries } from "../../dsl/program/params.ts";
import { print } from "../../dsl/program/print.ts";
import { isProgram } from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, VarId } from "../../dsl/program/program.ts";
import { mapNested, rewrite } from "./rewrite.ts";

/** Ops whose value does not depend on the order of their inputs, to the bit. */
const COMMUTATIVE: ReadonlySet<OpKind> = new Set<OpKind>([
  "add",
  "mul",
  "max",
  "min",
  "and",
  "or",
  "xor",
  "equal",
]);

/** Merges equal equations, also inside nested programs. */
export function mergeCommon(program: Program): Program {
  const known = new Map<string, readonly VarId[]>();
  return rewrite(program, (equation, r, types) => {
    const inner = mapNested(equation, mergeCommon);
    const key = keyOf(inner);
    const before = known.get(key);
    if (before !== undefined) return before;
    const outputs = r.keep(inner, types);
    known.set(key, outputs);
    return outputs;
  });
}

/** Equal for equations that compute the same. */
function keyOf(equation: AnyEquation): string {
  const inputs = COMMUTATIVE.has(equation.op) ? equation.inputs.toSorted((a, b) => a - b) : equation.inputs;
  let key = `${equation.op}|${inputs.join()}`;
  for (const [, value] of paramEntries(equation))
    key += `|${isProgram(value) ? print(value) : JSON.stringify(value)}`;
  return key;
}
