/**
 * Loop-invariant code: equations of a scan's or while's body that depend on nothing but its constant inputs move in front of the
 * loop, and their results become further constant inputs. Consumed by the pipeline.
 *
 * Constants, iota, broadcasts and reshapes cost nothing in a body (targets fuse them) and may be much larger than what they
 * are made from; they stay inside unless something that does cost follows them.
 */
import { nestedPrograms } from "../../dsl/program/program.ts";
import type { AnyEquation, Equation, OpKind, Program, VarId } from "../../dsl/program/program.ts";
import { mapNested, rewrite } from "./rewrite.ts";
import type { Rewriter } from "./rewrite.ts";

const FREE: ReadonlySet<OpKind> = new Set<OpKind>(["constant", "iota", "broadcast", "reshape"]);

/** Moves loop-invariant equations out of loops, innermost loops first. */
export function hoistInvariants(program: Program): Program {
  if (!program.equations.some((equation) => nestedPrograms(equation).length > 0)) return program;
  return rewrite(program, (equation, r) => {
    const inner = mapNested(equation, hoistInvariants);
    const moved =
      inner.op === "scan" ? hoistScan(inner, r) : inner.op === "while" ? hoistWhile(inner, r) : undefined;
    return moved ?? (inner === equation ? undefined : r.keep(inner));
  });
}

function hoistScan(equation: Equation<"scan">, r: Rewriter): readonly VarId[] | undefined {
  const { body, consts, length } = equation.params;
  // A loop that runs once gains nothing.
  const split = length > 1 ? splitBody(body, consts) : undefined;
  if (split === undefined) return undefined;
  const crossing = r.inline(split.outer, equation.inputs.slice(0, consts));
  const inputs = [...equation.inputs.slice(0, consts), ...crossing, ...equation.inputs.slice(consts)];
  return r.emit(
    "scan",
    inputs,
    { ...equation.params, body: split.inner, consts: consts + crossing.length },
    equation,
  );
}

function hoistWhile(equation: Equation<"while">, r: Rewriter): readonly VarId[] | undefined {
  const { body, conditionConsts, bodyConsts } = equation.params;
  const split = splitBody(body, bodyConsts);
  if (split === undefined) return undefined;
  const end = conditionConsts + bodyConsts;
  const crossing = r.inline(split.outer, equation.inputs.slice(conditionConsts, end));
  const inputs = [...equation.inputs.slice(0, end), ...crossing, ...equation.inputs.slice(end)];
  return r.emit(
    "while",
    inputs,
    { ...equation.params, body: split.inner, bodyConsts: bodyConsts + crossing.length },
    equation,
  );
}

interface Split {
  /** consts -> the values that the loop needs of them. */
  readonly outer: Program;
  /** The body with those values as inputs behind its consts. */
  readonly inner: Program;
}

/** Undefined when nothing moves. The first `consts` inputs of the body are the same in every iteration. */
function splitBody(body: Program, consts: number): Split | undefined {
  const invariant = new Set<VarId>(body.inputs.slice(0, consts));
  // Depends on a const, not only on constants: those would be inputs of the loop instead of literals in it.
  const fromInput = new Set<VarId>(invariant);
  for (const { inputs, outputs } of body.equations) {
    if (!inputs.every((id) => invariant.has(id))) continue;
    for (const id of outputs) invariant.add(id);
    if (inputs.some((id) => fromInput.has(id))) for (const id of outputs) fromInput.add(id);
  }
  const moves = ({ op, outputs }: AnyEquation): boolean =>
    !FREE.has(op) && outputs.some((id) => fromInput.has(id));

  // From the end: what stays is needed inside; of the rest, what is needed inside crosses, unless it is free.
  const needed = new Set<VarId>(body.outputs);
  const crossing: VarId[] = [];
  const stays: AnyEquation[] = [];
  for (const equation of body.equations.toReversed()) {
    const wanted = equation.outputs.filter((id) => needed.has(id));
    if (moves(equation)) crossing.push(...wanted);
    else if (wanted.length > 0 || !equation.outputs.every((id) => invariant.has(id))) {
      stays.push(equation);
      for (const id of equation.inputs) needed.add(id);
    }
  }
  if (crossing.length === 0) return undefined;
  const outerEquations = body.equations.filter(({ inputs }) => inputs.every((id) => invariant.has(id)));
  const outer: Program = {
    ...body,
    inputs: body.inputs.slice(0, consts),
    equations: outerEquations,
    outputs: crossing,
  };
  const inner: Program = {
    ...body,
    inputs: [...body.inputs.slice(0, consts), ...crossing, ...body.inputs.slice(consts)],
    equations: stays.reverse(),
  };
  return { outer, inner };
}
