/**
 * Linearization: splits the derivative of a program into the primal computation, emitted where the trace stands, and a linear
 * program of the tangents. The split is made by tracing jvp with the tangents in a hoisting builder (see trace/builder.ts):
 * what depends on no tangent lands outside, what does lands inside, and what the inside needs from outside is a residual.
 *
 * Consumed by the rules of linearize-control.ts, by linearize.ts and by transposition.
 */
import { typeOf } from "../program/program.ts";
import type { Program, VarId } from "../program/program.ts";
import { traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { scatterTangents } from "./jvp-control.ts";
import { instantiate } from "./jvp.ts";
import type { RunDual } from "./jvp.ts";

export interface Linearized {
  readonly outputs: readonly TracedTensor[];
  /** Which outputs have a tangent. */
  readonly mask: readonly boolean[];
  /** (residuals, tangents of the masked inputs) -> tangents of the masked outputs. */
  readonly linear: Program;
  readonly residuals: readonly TracedTensor[];
}

/** Removes equations that no output needs, and unused inputs among the first `removable`. */
export function prune(
  program: Program,
  removable: number,
): { readonly program: Program; readonly kept: readonly boolean[] } {
  const live = new Set<VarId>(program.outputs);
  const equations = [...program.equations].reverse().filter((equation) => {
    if (!equation.outputs.some((id) => live.has(id))) return false;
    for (const id of equation.inputs) live.add(id);
    return true;
  });
  const kept = program.inputs.map((id, i) => i >= removable || live.has(id));
  return {
    program: { ...program, inputs: program.inputs.filter((_, i) => kept[i]), equations: equations.reverse() },
    kept,
  };
}

/**
 * Linearizes `program` at `inputs` with respect to those in `mask`. Outputs in `want` get tangents even if zero.
 * @param known primal values of variables that need not be computed again
 */
export function linearizeInto(
  run: RunDual,
  program: Program,
  inputs: readonly TracedTensor[],
  mask: readonly boolean[],
  want: readonly boolean[] = [],
  known?: ReadonlyMap<VarId, TracedTensor>,
): Linearized {
  let outputs: readonly TracedTensor[] = [];
  let outputMask: readonly boolean[] = [];
  const types = program.inputs.filter((_, i) => mask[i]).map((id) => typeOf(program, id));
  const traced = traceFlat(
    types,
    (dots) => {
      const dual = run(program, inputs, scatterTangents(mask, dots), known);
      outputs = dual.outputs;
      outputMask = dual.tangents.map((tangent, i) => tangent !== null || want[i] === true);
      return dual.tangents.flatMap((tangent, i) =>
        outputMask[i] === true ? [instantiate(tangent, dual.outputs[i] as TracedTensor)] : [],
      );
    },
    { hoists: true },
  );
  const { program: linear, kept } = prune(traced.program, traced.captures.length);
  return { outputs, mask: outputMask, linear, residuals: traced.captures.filter((_, i) => kept[i]) };
}
