/**
 * Lowering of attention, its tangent and its transpose by their decompositions (src/dsl/transforms/attention-decomposition.ts): ONNX has no
 * op that returns the log-sum-exp and differentiates. The scores are stored. Only where nobody asks for the log-sum-exp is there something
 * better than the decomposition: ONNX Runtime's Softmax, one node for five.
 *
 * Causal attention must not notice a NaN in a row that is not seen, but in a product of matrices 0 times NaN is NaN. So products are taken
 * as usual, and sums once more, term by term, in the rare case that a NaN comes out.
 *
 * Consumed by `index.ts`. All three compute in f32.
 */
import {
  attentionDecomposition,
  attentionScoresProgram,
} from "../../../dsl/transforms/attention-decomposition.ts";
import type { LeavesOut } from "../../../dsl/transforms/attention-decomposition.ts";
import { sizeOf } from "../../../dsl/program/program.ts";
import type { AttentionParams, TensorType } from "../../../dsl/program/program.ts";
import { triple } from "../../lowering.ts";
import { int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { Value } from "../value.ts";
import { matmul } from "./dot.ts";
import { unlessNaN } from "./nan.ts";
import type { Lowering, LowerRule } from "./rule.ts";

const { float32 } = ElementType;
/** A query whose scores are all −∞ must get a NaN, as in the op, and nothing of the keys that it does not see. */
const MASKED = { masked: -Infinity } as const;

const rule =
  <K extends "attention" | "attentionTangent" | "attentionTranspose">(op: K): LowerRule<K> =>
  (lowering, inputs, params: AttentionParams) =>
    lowering.emit.inFloat32(inputs, (operands) => {
      const { emit, inline, live } = lowering;
      const types = operands.map(({ shape }): TensorType => ({ shape, dtype: "f32" }));
      const written = (leavesOut: LeavesOut, into = emit): readonly Value[] =>
        inline(
          attentionDecomposition(op, types, params, { ...MASKED, leavesOut, fromOutputs: true }),
          operands,
          into,
        );
      const usual =
        op === "attention" && live[1] !== true
          ? bySoftmax(lowering, operands, types, params)
          : written("never");
      // A single query sees every key.
      if (!params.causal || types[0]?.shape.at(-2) === 1) return usual;
      return unlessAnyNaN(emit, usual, (inner) => written("in turn", inner));
    });

/** Attention without the log-sum-exp, in place of which there are zeros. */
function bySoftmax(
  { emit, inline }: Lowering,
  operands: readonly Value[],
  types: readonly TensorType[],
  params: AttentionParams,
): readonly Value[] {
  const [q, k, v] = triple(operands);
  const [scores] = inline(attentionScoresProgram(types.slice(0, 2), params, MASKED), [q, k]) as readonly [
    Value,
  ];
  const { shape } = scores;
  const weights = emit.make("Softmax", [emit.whole(scores).name], float32, shape, { axis: int(-1) });
  return [matmul(emit, weights, v), emit.splat(float32, shape.slice(0, -1), 0)];
}

/** `usual`, unless one of these f32 values may hold a NaN: then what `careful` makes. */
function unlessAnyNaN(
  emit: Emitter,
  usual: readonly Value[],
  careful: (emit: Emitter) => readonly Value[],
): readonly Value[] {
  const totals = usual
    .filter(({ shape }) => sizeOf(shape) > 0)
    .map((value): Value => {
      const axes = emit.indices(value.held.map((_, axis) => axis));
      return emit.make("ReduceSum", [value.name, axes], value.element, [], { keepdims: int(0) });
    });
  if (totals.length === 0) return usual;
  const total = totals.reduce((a, b) => emit.elementwise("Add", [a, b]));
  return unlessNaN(emit, total, usual, careful);
}

export const lowerAttention: LowerRule<"attention"> = rule("attention");
export const lowerAttentionTangent: LowerRule<"attentionTangent"> = rule("attentionTangent");
export const lowerAttentionTranspose: LowerRule<"attentionTranspose"> = rule("attentionTranspose");
