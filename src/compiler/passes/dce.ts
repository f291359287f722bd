/**
 * Dead code: removes equations whose outputs nobody uses, and what nested programs compute, carry or receive for nothing: unused
 * results of scans, branches and calls, carried values that matter to no used result, inputs that no body reads. Custom
 * derivative rules keep their signatures. Consumed by the pipeline and by transforms that leave unused equations.
 */
import type { AnyEquation, Equation, Program, VarId } from "../../dsl/program/program.ts";
import { mapNested, rewrite, withParts } from "./rewrite.ts";

/** Which outputs of an equation, or inputs of a program, are used. */
type Mask = readonly boolean[];

const filter = <T>(items: readonly T[], mask: Mask): T[] => items.filter((_, i) => mask[i] === true);

/** Removes dead code, also inside nested programs. The program's own inputs and outputs stay. */
export function eliminateDead(program: Program): Program {
  const live = new Set<VarId>(program.outputs);
  const kept: AnyEquation[] = [];
  for (const equation of program.equations.toReversed()) {
    const used = equation.outputs.map((id) => live.has(id));
    if (!used.includes(true)) continue;
    const slim = prune(equation, used);
    for (const id of slim.inputs) live.add(id);
    kept.push(slim);
  }
  kept.reverse();
  const unchanged =
    kept.length === program.equations.length &&
    kept.every((equation, i) => equation === program.equations[i]);
  if (unchanged) return program;
  // Rewriting with no rule numbers the variables without gaps.
  return rewrite({ ...program, equations: kept }, () => undefined);
}

/** The program with only some of its outputs, and no dead code. */
const returning = (program: Program, outputs: Mask): Program =>
  eliminateDead({ ...program, outputs: filter(program.outputs, outputs) });

/** Which inputs a program without dead code reads. */
function reads(program: Program): boolean[] {
  const used = new Set<VarId>([...program.outputs, ...program.equations.flatMap(({ inputs }) => inputs)]);
  return program.inputs.map((id) => used.has(id));
}

const receiving = (program: Program, inputs: Mask): Program => ({
  ...program,
  inputs: filter(program.inputs, inputs),
});

/** The equation without unused outputs and inputs, where its op allows. At least one output is used. */
function prune(equation: AnyEquation, used: Mask): AnyEquation {
  switch (equation.op) {
    case "scan":
      return pruneScan(equation, used);
    case "while":
      return pruneWhile(equation, used);
    case "cond": {
      const [onTrue, onFalse] = [
        returning(equation.params.onTrue, used),
        returning(equation.params.onFalse, used),
      ];
      const other = reads(onFalse);
      const read = reads(onTrue).map((yes, i) => yes || other[i] === true);
      return withParts(equation, {
        inputs: filter(equation.inputs, [true, ...read]),
        outputs: filter(equation.outputs, used),
        params: { onTrue: receiving(onTrue, read), onFalse: receiving(onFalse, read) },
      });
    }
    case "remat": {
      const body = returning(equation.params.body, used);
      const read = reads(body);
      const params = { ...equation.params, body: receiving(body, read) };
      return withParts(equation, {
        inputs: filter(equation.inputs, read),
        outputs: filter(equation.outputs, used),
        params,
      });
    }
    default:
      return mapNested(equation, eliminateDead);
  }
}

/** Grows the set of live carries until the body that computes them reads no other carry. */
function closeCarries(
  start: Mask,
  bodyFor: (live: Mask) => { readonly body: Program; readonly reads: Mask },
): { readonly live: Mask; readonly body: Program } {
  let live = start;
  for (;;) {
    const { body, reads: read } = bodyFor(live);
    const grown = live.map((yes, i) => yes || read[i] === true);
    if (grown.every((yes, i) => yes === live[i])) return { live, body };
    live = grown;
  }
}

function pruneScan(equation: Equation<"scan">, used: Mask): AnyEquation {
  const { body, consts, carry } = equation.params;
  const split = consts + carry;
  const ys = used.slice(carry);
  const { live, body: slim } = closeCarries(used.slice(0, carry), (carries) => {
    const candidate = returning(body, [...carries, ...ys]);
    return { body: candidate, reads: reads(candidate).slice(consts, split) };
  });
  const read = reads(slim);
  const inputs = read.map((yes, i) => (i >= consts && i < split ? live[i - consts] === true : yes));
  const params = {
    ...equation.params,
    body: receiving(slim, inputs),
    consts: filter(read.slice(0, consts), read).length,
    carry: filter(live, live).length,
  };
  return withParts(equation, {
    inputs: filter(equation.inputs, inputs),
    outputs: filter(equation.outputs, [...live, ...ys]),
    params,
  });
}

function pruneWhile(equation: Equation<"while">, used: Mask): AnyEquation {
  const { condition, body, conditionConsts, bodyConsts } = equation.params;
  const test = eliminateDead(condition);
  const tested = reads(test);
  const start = used.map((yes, i) => yes || tested[conditionConsts + i] === true);
  const { live, body: slim } = closeCarries(start, (carries) => {
    const candidate = returning(body, carries);
    return { body: candidate, reads: reads(candidate).slice(bodyConsts) };
  });
  const forTest = tested.slice(0, conditionConsts);
  const forBody = reads(slim).slice(0, bodyConsts);
  const params = {
    condition: receiving(test, [...forTest, ...live]),
    body: receiving(slim, [...forBody, ...live]),
    conditionConsts: filter(forTest, forTest).length,
    bodyConsts: filter(forBody, forBody).length,
  };
  return withParts(equation, {
    inputs: filter(equation.inputs, [...forTest, ...forBody, ...live]),
    outputs: filter(equation.outputs, live),
    params,
  });
}
