/**
 * The transpose of a dot as a dot with its operands exchanged: gradients of weights come as such, and without the transpose a kernel
 * stores them as they are wanted. Consumed by `prepare.ts`.
 */
import { freeAxes } from "../../dsl/ops/reduction.ts";
import { typeOf } from "../../dsl/program/program.ts";
import { copySite } from "../../dsl/trace/callsite.ts";
import type { AnyEquation, DotParams, Program, VarId } from "../../dsl/program/program.ts";

/** Whether a transpose of a dot's result moves its right free axes before its left ones, and nothing else. */
function exchanges(
  program: Program,
  inputs: readonly VarId[],
  params: DotParams,
  perm: readonly number[],
): boolean {
  const [left, right] = inputs.map((id) => typeOf(program, id).shape.length) as [number, number]; // a dot has two
  const batch = params.lhsBatch.length;
  const rows = freeAxes(left, params.lhsBatch, params.lhsContract).length;
  const columns = freeAxes(right, params.rhsBatch, params.rhsContract).length;
  return perm.every((axis, i) => axis === (i < batch ? i : i < batch + columns ? i + rows : i - columns));
}

/** The program with its transposed dots exchanged, where the transpose is all that uses the dot. */
export function exchangeDots(program: Program): Program {
  const uses = new Map<VarId, number>();
  const count = (id: VarId): void => void uses.set(id, (uses.get(id) ?? 0) + 1);
  program.outputs.forEach(count);
  for (const { inputs } of program.equations) inputs.forEach(count);
  const dots = new Map<VarId, AnyEquation & { readonly op: "dot" }>();
  const gone = new Set<AnyEquation>();
  const exchanged = program.equations.map((equation): AnyEquation => {
    if (equation.op === "dot") dots.set(equation.outputs[0] as VarId, equation);
    if (equation.op !== "transpose") return equation;
    const operand = equation.inputs[0] as VarId;
    const dot = dots.get(operand);
    if (dot === undefined || uses.get(operand) !== 1) return equation;
    if (!exchanges(program, dot.inputs, dot.params, equation.params.perm)) return equation;
    gone.add(dot);
    const { lhsBatch, rhsBatch, lhsContract, rhsContract } = dot.params;
    return copySite(dot, {
      op: "dot",
      inputs: dot.inputs.toReversed(),
      outputs: equation.outputs,
      params: { lhsBatch: rhsBatch, rhsBatch: lhsBatch, lhsContract: rhsContract, rhsContract: lhsContract },
    });
  });
  return gone.size === 0
    ? program
    : { ...program, equations: exchanged.filter((equation) => !gone.has(equation)) };
}
