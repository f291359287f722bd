/**
 * Forward mode: evaluates a program on dual values (primal, tangent), with symbolic zeros: a `null` tangent is a zero that
 * is never computed. Evaluation emits equations into the program being traced, so transforms nest to any depth.
 *
 * Naming: ẋ is written `tangent`, a variable's tangent is `null` when it is known to be zero. Integers and bools never have one.
 * To add an op, add its rule to `jvp-rules.ts`; a missing rule does not compile.
 */
import { inputTypes } from "../program/program.ts";
import type { AnyEquation, OpKind, OpParams, Program, VarId } from "../program/program.ts";
import { atSite, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { rawSite } from "../trace/callsite.ts";
import { zeros } from "../trace/prim.ts";

export type Tangent = TracedTensor | null;

export interface Dual {
  readonly outputs: readonly TracedTensor[];
  readonly tangents: readonly Tangent[];
}

/** Evaluates nested programs on dual values with the rules of the transform that is running. */
export type RunDual = (
  program: Program,
  primals: readonly TracedTensor[],
  tangents: readonly Tangent[],
  /** Variables whose primal values are known already (saved by remat) and need no evaluation. */
  known?: ReadonlyMap<VarId, TracedTensor>,
) => Dual;

export interface JvpInputs<K extends OpKind> {
  readonly op: K;
  readonly inputs: readonly TracedTensor[];
  /** At least one is not null. */
  readonly tangents: readonly Tangent[];
  readonly params: OpParams[K];
  /** The outputs, where remat has saved them; a rule that needs them computes them otherwise. */
  readonly saved: readonly TracedTensor[] | null;
  readonly run: RunDual;
}

export type JvpRule<K extends OpKind> = (equation: JvpInputs<K>) => Dual;
export type JvpRules = { readonly [K in OpKind]: JvpRule<K> };

/** Types for which derivatives exist. */
export const isDifferentiable = (type: { readonly dtype: string }): boolean =>
  type.dtype === "f32" || type.dtype === "f16";

/** The tangent, or zeros where it is a symbolic zero. */
export const instantiate = (tangent: Tangent, primal: TracedTensor): TracedTensor => tangent ?? zeros(primal);

/** An evaluator of programs on dual values by a table of rules. `emitPrimal` evaluates equations without tangents. */
export function dualEvaluator(
  rules: JvpRules,
  emitPrimal: (
    op: OpKind,
    inputs: readonly TracedTensor[],
    params: AnyEquation["params"],
  ) => readonly TracedTensor[],
): RunDual {
  const run: RunDual = (program, primals, tangents, known) => {
    const values: TracedTensor[] = [];
    const tangentOf: Tangent[] = [];
    program.inputs.forEach((id, i) => {
      values[id] = primals[i] as TracedTensor;
      tangentOf[id] = tangents[i] ?? null;
    });
    for (const equation of program.equations) {
      const inputs = equation.inputs.map((id) => values[id] as TracedTensor);
      const inputTangents = equation.inputs.map((id) => tangentOf[id] ?? null);
      const found = equation.outputs.map((id) => known?.get(id));
      const saved = found.every((value) => value !== undefined) ? found : null;
      const { outputs, tangents: outputTangents } = atSite(rawSite(equation), (): Dual => {
        if (inputTangents.every((tangent) => tangent === null)) {
          return { outputs: saved ?? emitPrimal(equation.op, inputs, equation.params), tangents: [] };
        }
        // The table pairs each kind with its own parameters.
        const rule = rules[equation.op] as unknown as JvpRule<OpKind>;
        return rule({
          op: equation.op,
          inputs,
          tangents: inputTangents,
          params: equation.params,
          saved,
          run,
        });
      });
      equation.outputs.forEach((id, i) => {
        values[id] = found[i] ?? (outputs[i] as TracedTensor);
        tangentOf[id] = outputTangents[i] ?? null;
      });
    }
    return {
      outputs: program.outputs.map((id) => values[id] as TracedTensor),
      tangents: program.outputs.map((id) => tangentOf[id] ?? null),
    };
  };
  return run;
}

/** A program's jvp as a program, and which of its outputs have tangents. */
export interface JvpProgram {
  /** (inputs, tangents of the inputs in the mask) -> (outputs, tangents of the outputs in `mask`). */
  readonly program: Program;
  readonly mask: readonly boolean[];
}

/**
 * Traces the jvp of `program` for inputs whose `mask` is true. Outputs forced by `want` get tangents even if zero.
 */
export function jvpProgram(
  run: RunDual,
  program: Program,
  mask: readonly boolean[],
  want: readonly boolean[] = [],
): JvpProgram {
  const types = inputTypes(program);
  let outputMask: readonly boolean[] = [];
  const { program: dual } = traceFlat([...types, ...types.filter((_, i) => mask[i])], (inputs) => {
    const primals = inputs.slice(0, types.length);
    let next = types.length;
    const tangents = mask.map((has) => (has ? (inputs[next++] as TracedTensor) : null));
    const result = run(program, primals, tangents);
    outputMask = result.tangents.map((tangent, i) => tangent !== null || (want[i] ?? false));
    const kept = result.tangents.flatMap((tangent, i) =>
      outputMask[i] === true ? [instantiate(tangent, result.outputs[i] as TracedTensor)] : [],
    );
    return [...result.outputs, ...kept];
  });
  return { program: dual, mask: outputMask };
}
