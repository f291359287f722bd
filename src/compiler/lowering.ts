/**
 * Lowering to another graph of ops, as far as it does not matter whose: a rule for each kind of op, and the walk through a program that
 * applies the rules and checks what they return.
 *
 * Consumed by the targets of that kind, ONNX and TensorFlow.js, each with a table of rules in its `lower/index.ts`.
 */
import { formatType, sizeOf, typeOf } from "../dsl/program/program.ts";
import type { AnyEquation, OpKind, OpParams, Program, TensorType, VarId } from "../dsl/program/program.ts";

/**
 * Lowers one equation. Operands of size 0 do occur; equations all of whose outputs have size 0 do not.
 * @template L what the target's rules are given besides operands and parameters
 * @template V what stands for a tensor in the target
 */
export type Rule<L, V, K extends OpKind> = (
  lowering: L,
  inputs: readonly V[],
  params: OpParams[K],
) => readonly V[];

/** The operands of a rule that takes exactly these many; the verifier has checked the count. */
export const single = <V>(inputs: readonly V[]): V => inputs[0] as V;
export const pair = <V>(inputs: readonly V[]): readonly [V, V] => inputs as readonly [V, V];
export const triple = <V>(inputs: readonly V[]): readonly [V, V, V] => inputs as readonly [V, V, V];

/** An equation's outputs. */
export interface Wanted {
  readonly outputs: readonly TensorType[];
  /** Which of them are used; the others may be anything. */
  readonly live: readonly boolean[];
}

/** How a target lowers. */
export interface Lowerer<L, V> {
  /** Its name in messages. */
  readonly target: string;
  readonly rules: { readonly [K in OpKind]: Rule<L, V, K> };
  /** What the rule of an equation is given. */
  lowering(equation: AnyEquation, wanted: Wanted): L;
  /** A value of size 0. */
  empty(type: TensorType): V;
  hasType(value: V, type: TensorType): boolean;
  /** The type of what a rule returned, for messages. */
  shown(value: V | undefined): string;
}

/** The variables on which a program's outputs depend. */
function liveVariables(program: Program): ReadonlySet<VarId> {
  const live = new Set(program.outputs);
  for (const equation of program.equations.toReversed()) {
    if (equation.outputs.some((id) => live.has(id))) for (const id of equation.inputs) live.add(id);
  }
  return live;
}

function lowerEquation<L, V>(
  { target, rules, lowering, empty, hasType, shown }: Lowerer<L, V>,
  equation: AnyEquation,
  inputs: readonly V[],
  wanted: Wanted,
): readonly V[] {
  const { outputs } = wanted;
  if (outputs.length > 0 && outputs.every((type) => sizeOf(type.shape) === 0)) return outputs.map(empty);
  // The table pairs each kind with its own parameter type, and an equation holds its kind's parameters.
  const rule = rules[equation.op] as unknown as Rule<L, V, OpKind>;
  const values = rule(lowering(equation, wanted), inputs, equation.params);
  return outputs.map((type, i) => {
    const value = values[i];
    if (value === undefined || !hasType(value, type)) {
      throw new Error(
        `${target}: ${equation.op} %${equation.outputs[i]} has type ${formatType(type)}, but lowers to ${shown(value)}.`,
      );
    }
    return sizeOf(type.shape) === 0 ? empty(type) : value;
  });
}

/** Lowers a program at the given inputs and returns its outputs. Equations that no output needs are left out. */
export function lowerEquations<L, V>(
  lowerer: Lowerer<L, V>,
  program: Program,
  inputs: readonly V[],
): readonly V[] {
  const live = liveVariables(program);
  const values = new Map<VarId, V>();
  // The caller gives one value per input.
  program.inputs.forEach((id, i) => values.set(id, inputs[i] as V));
  const valueOf = (id: VarId): V => {
    const value = values.get(id);
    if (value === undefined)
      throw new Error(`${lowerer.target}: the program uses %${id} before it is defined`);
    return value;
  };
  for (const equation of program.equations) {
    const wanted: Wanted = {
      outputs: equation.outputs.map((id) => typeOf(program, id)),
      live: equation.outputs.map((id) => live.has(id)),
    };
    if (!wanted.live.includes(true)) continue;
    const results = lowerEquation(lowerer, equation, equation.inputs.map(valueOf), wanted);
    equation.outputs.forEach((id, i) => values.set(id, results[i] as V)); // one result per output
  }
  return program.outputs.map(valueOf);
}
