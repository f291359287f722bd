/**
 * Vectorization: evaluates a program on a batch. A batched tensor carries its batch axis first; unbatched ones are used as
 * they are. To add an op, give it a rule in `vmap-rules.ts`; a missing rule does not compile.
 */
import type { OpKind, OpParams, Program } from "../program/program.ts";
import { atSite, emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { rawSite } from "../trace/callsite.ts";
import { replicate } from "../trace/prim.ts";

/** A tensor and whether its leading axis is the batch. */
export interface Batched {
  readonly tensor: TracedTensor;
  readonly batched: boolean;
}

export type RunVmap = (program: Program, inputs: readonly Batched[], size: number) => readonly Batched[];

export interface VmapInputs<K extends OpKind> {
  readonly op: K;
  /** At least one is batched. */
  readonly inputs: readonly Batched[];
  readonly params: OpParams[K];
  readonly size: number;
  readonly run: RunVmap;
}

export type VmapRule<K extends OpKind> = (equation: VmapInputs<K>) => readonly Batched[];
export type VmapRules = { readonly [K in OpKind]: VmapRule<K> };

/** The tensor with a batch axis, repeated if it has none. */
export const withBatch = ({ tensor, batched }: Batched, size: number): TracedTensor =>
  batched ? tensor : replicate(tensor, size);

export const asBatched = (tensors: readonly TracedTensor[]): readonly Batched[] =>
  tensors.map((tensor) => ({ tensor, batched: true }));

/** An evaluator of programs on batches by a table of rules. */
export function batcher(rules: VmapRules): RunVmap {
  const run: RunVmap = (program, inputs, size) => {
    const values: Batched[] = [];
    program.inputs.forEach((id, i) => (values[id] = inputs[i] as Batched));
    for (const equation of program.equations) {
      const operands = equation.inputs.map((id) => values[id] as Batched);
      const outputs = atSite(rawSite(equation), (): readonly Batched[] => {
        if (!operands.some(({ batched }) => batched)) {
          const plain = emit(
            equation.op,
            operands.map(({ tensor }) => tensor),
            equation.params,
          );
          return plain.map((tensor) => ({ tensor, batched: false }));
        }
        // The table pairs each kind with its own parameters.
        const rule = rules[equation.op] as unknown as VmapRule<OpKind>;
        return rule({ op: equation.op, inputs: operands, params: equation.params, size, run });
      });
      equation.outputs.forEach((id, i) => (values[id] = outputs[i] as Batched));
    }
    return program.outputs.map((id) => values[id] as Batched);
  };
  return run;
}
