/**
 * Identities of the ops that hold programs: branches whose condition is known, loops that do not run, carried values that
 * never change. Consumed by simplify.ts, whose header states the contract.
 */
import type { Equation, Program, VarId } from "../../dsl/program/program.ts";
import type { Rewriter } from "./rewrite.ts";
import type { SimplifyRules } from "./simplify-rule.ts";

/** Carried values that the body returns as they came, and scanned slices that it returns as they are. */
function scan(equation: Equation<"scan">, r: Rewriter): readonly VarId[] | undefined {
  const { body, length, consts, carry, reverse } = equation.params;
  const split = consts + carry;
  if (length === 0) {
    const stacked = body.outputs.slice(carry).map((id) => {
      const type = body.types[id] as Program["types"][number]; // verified: outputs have types
      return r.fill({ shape: [0, ...type.shape], dtype: type.dtype }, 0, equation);
    });
    return [...equation.inputs.slice(consts, split), ...stacked];
  }

  const isConstant = (i: number): boolean => body.outputs[i] === body.inputs[consts + i];
  const passed = body.outputs.map((id, i) => {
    if (i < carry) return isConstant(i) ? equation.inputs[consts + i] : undefined;
    const scanned = body.inputs.indexOf(id, split);
    return scanned < 0 ? undefined : equation.inputs[scanned];
  });
  if (passed.every((id) => id === undefined)) return undefined;

  // Unchanging carries become consts; what is passed through is no longer returned.
  const reorder = (ids: readonly VarId[]): VarId[] => {
    const carried = ids.slice(consts, split);
    return [
      ...ids.slice(0, consts),
      ...carried.filter((_, i) => isConstant(i)),
      ...carried.filter((_, i) => !isConstant(i)),
      ...ids.slice(split),
    ];
  };
  const fixed = passed.slice(0, carry).filter((id) => id !== undefined).length;
  const rest: Program = {
    ...body,
    inputs: reorder(body.inputs),
    outputs: body.outputs.filter((_, i) => passed[i] === undefined),
  };
  const params = { body: rest, length, consts: consts + fixed, carry: carry - fixed, reverse };
  const results =
    rest.outputs.length === 0 ? [] : [...r.emit("scan", reorder(equation.inputs), params, equation)];
  return passed.map((id) => id ?? (results.shift() as VarId)); // one result for each output that is not passed
}

export const CONTROL_RULES = {
  scan,
  cond: (equation, r) => {
    const [predicate, ...operands] = equation.inputs as readonly [VarId, ...VarId[]];
    const known = r.uniform(predicate);
    if (known === undefined) return undefined;
    return r.inline(known === 1 ? equation.params.onTrue : equation.params.onFalse, operands);
  },
  // With this policy a remat is a call: its derivative keeps all there is to keep.
  remat: (equation, r) =>
    equation.params.policy === "everything" ? r.inline(equation.params.body, equation.inputs) : undefined,
} as const satisfies SimplifyRules;
