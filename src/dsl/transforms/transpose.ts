/**
 * Transposition: evaluates a program that is linear in some of its inputs backwards, from output cotangents to the
 * cotangents of those inputs. Equations that depend on no linear input are evaluated forwards first.
 *
 * A `null` cotangent is a symbolic zero. To add a linear op, give it a rule in `transpose-rules.ts`; ops that are never linear
 * say so there with `null`.
 */
import { OpError } from "../ops/definition.ts";
import { typeOf } from "../program/program.ts";
import type { AnyEquation, OpKind, OpParams, Program, TensorType, VarId } from "../program/program.ts";
import { atSite, emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { rawSite } from "../trace/callsite.ts";
import * as prim from "../trace/prim.ts";
import { isDifferentiable } from "./jvp.ts";

export type Cotangent = TracedTensor | null;

export interface TransposeInputs<K extends OpKind> {
  readonly params: OpParams[K];
  /** The tensor of every input that is not linear; `null` for the linear ones. */
  readonly inputs: readonly (TracedTensor | null)[];
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  /** At least one is not null. */
  readonly cotangents: readonly Cotangent[];
  readonly run: RunTranspose;
}

/** Cotangents by input position; those of inputs that are not linear are ignored. */
export type TransposeRule<K extends OpKind> = (equation: TransposeInputs<K>) => readonly Cotangent[];
export type TransposeRules = { readonly [K in OpKind]: TransposeRule<K> | null };

/** Transposes a program; `inputs` holds null where it is linear. Returns a cotangent for every input (null where unneeded or zero). */
export type RunTranspose = (
  program: Program,
  inputs: readonly (TracedTensor | null)[],
  cotangents: readonly Cotangent[],
) => readonly Cotangent[];

/** Inputs in which an op is never linear; a product is linear in one factor at a time. */
const NEVER_LINEAR: { readonly [K in OpKind]?: readonly number[] } = {
  div: [1],
  gather: [1],
  scatterAdd: [1],
  select: [0],
  cond: [0],
  attentionTangent: [0, 1, 2, 3, 4],
  attentionTranspose: [0, 1, 2, 3, 4],
};

/** @throws OpError where a program that should be linear is not: a rule given to customJvp was wrong. */
function requireLinear(op: OpKind, linear: readonly boolean[]): void {
  const squared = (op === "mul" || op === "dot") && linear.every(Boolean);
  if (squared || NEVER_LINEAR[op]?.some((i) => linear[i])) throw notLinear(op);
}

const notLinear = (op: OpKind): OpError =>
  new OpError(
    `${op} is not linear here and cannot be transposed; a rule given to customJvp must be linear in the tangents`,
  );

/** A transposer by a table of rules. */
export function transposer(rules: TransposeRules): RunTranspose {
  const run: RunTranspose = (program, inputs, cotangents) => {
    const values: (TracedTensor | undefined)[] = [];
    const linear = new Set<VarId>();
    program.inputs.forEach((id, i) => {
      const input = inputs[i] ?? null;
      if (input === null) linear.add(id);
      else values[id] = input;
    });

    const backward: AnyEquation[] = [];
    for (const equation of program.equations) {
      if (equation.inputs.some((id) => linear.has(id))) {
        backward.push(equation);
        for (const id of equation.outputs) linear.add(id);
      } else {
        const outputs = atSite(rawSite(equation), () =>
          emit(
            equation.op,
            equation.inputs.map((id) => values[id] as TracedTensor),
            equation.params,
          ),
        );
        equation.outputs.forEach((id, i) => (values[id] = outputs[i]));
      }
    }

    const sums: Cotangent[] = [];
    const accumulate = (id: VarId, cotangent: Cotangent): void => {
      if (cotangent === null || !linear.has(id) || !isDifferentiable(typeOf(program, id))) return;
      const sum = sums[id] ?? null;
      sums[id] = sum === null ? cotangent : prim.add(sum, cotangent);
    };
    program.outputs.forEach((id, i) => accumulate(id, cotangents[i] ?? null));
    for (const equation of backward.reverse()) {
      const outputCotangents = equation.outputs.map((id) => sums[id] ?? null);
      if (outputCotangents.every((cotangent) => cotangent === null)) continue;
      // The table pairs each kind with its own parameters.
      const rule = rules[equation.op] as unknown as TransposeRule<OpKind> | null;
      const found = atSite(rawSite(equation), () => {
        if (rule === null) throw notLinear(equation.op);
        requireLinear(
          equation.op,
          equation.inputs.map((id) => linear.has(id)),
        );
        return rule({
          params: equation.params,
          inputs: equation.inputs.map((id) => (linear.has(id) ? null : (values[id] as TracedTensor))),
          inputTypes: equation.inputs.map((id) => typeOf(program, id)),
          outputTypes: equation.outputs.map((id) => typeOf(program, id)),
          cotangents: outputCotangents,
          run,
        });
      });
      equation.inputs.forEach((id, i) => accumulate(id, found[i] ?? null));
    }
    return program.inputs.map((id) => (linear.has(id) ? (sums[id] ?? null) : null));
  };
  return run;
}
