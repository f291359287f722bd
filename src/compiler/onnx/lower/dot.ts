/**
 * Lowering of the general dot product. Without batch axes it is a Gemm, whose flags stand for transposed
 * operands, or a MatMul that takes the left operand's axes as they are; with batch axes a MatMul, for which a
 * transposed operand is written as a Transpose of its last two axes, because ONNX Runtime merges just that
 * into the product.
 *
 * Consumed by `index.ts` and by attention (`matmul`).
 */
import { sizeOf } from "../../../dsl/program/program.ts";
import type { DotParams } from "../../../dsl/program/program.ts";
import { freeAxes } from "../../../dsl/ops/reduction.ts";
import { pair } from "../../lowering.ts";
import { int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import type { Value } from "../value.ts";
import { sum } from "./reduction.ts";
import type { LowerRule } from "./rule.ts";

/** One operand's axes by role. */
interface Roles {
  readonly batch: readonly number[];
  readonly free: readonly number[];
  readonly contract: readonly number[];
}

const extents = (value: Value, axes: readonly number[]): readonly number[] =>
  axes.map((axis) => value.shape[axis] as number);
const size = (value: Value, axes: readonly number[]): number => sizeOf(extents(value, axes));
const inOrder = (axes: readonly number[]): boolean => axes.every((axis, i) => axis === i);

function roles(value: Value, batch: readonly number[], contract: readonly number[]): Roles {
  return { batch, contract, free: freeAxes(value.shape.length, batch, contract) };
}

/**
 * Sorts the pairs of contracted axes by the left or the right operand, whichever leaves fewer axes out of
 * place.
 */
function orderPairs(lhs: Value, rhs: Value, params: DotParams): readonly [Roles, Roles] {
  const pairs = params.lhsContract.map((axis, i) => [axis, params.rhsContract[i] as number] as const);
  const sorted = (side: 0 | 1): readonly [Roles, Roles] => {
    const ordered = [...pairs].sort((a, b) => a[side] - b[side]);
    return [
      roles(lhs, params.lhsBatch, ordered.map((p) => p[0])),
      roles(rhs, params.rhsBatch, ordered.map((p) => p[1])),
    ]; // prettier-ignore
  };
  const [byLeft, byRight] = [sorted(0), sorted(1)];
  const moves = (candidates: readonly [Roles, Roles]): number =>
    candidates.filter((r) => layout(r) === "other").length;
  return moves(byLeft) <= moves(byRight) ? byLeft : byRight;
}

/** How an operand lies: [batch, free, contract], [batch, contract, free], or neither. */
function layout({ batch, free, contract }: Roles): "free first" | "contract first" | "other" {
  if (inOrder([...batch, ...free, ...contract])) return "free first";
  return inOrder([...batch, ...contract, ...free]) ? "contract first" : "other";
}

/**
 * An operand as [batch..., rows, columns], with free axes as rows when `freeFirst`, and whether it lies
 * transposed, that is as [batch..., columns, rows]. Batch axes stay broadcast.
 */
function asMatrices(
  emit: Emitter,
  value: Value,
  r: Roles,
  freeFirst: boolean,
): { readonly value: Value; readonly transposed: boolean } {
  const rows = freeFirst ? r.free : r.contract;
  const columns = freeFirst ? r.contract : r.free;
  // An operand that has to be moved anyway keeps its last axis last: whole rows are copied, not single
  // numbers.
  const lies = layout(r);
  const first =
    lies === "other" ? (r.contract.includes(value.shape.length - 1) ? "free first" : "contract first") : lies;
  const axes =
    first === "free first" ? [...r.batch, ...r.free, ...r.contract] : [...r.batch, ...r.contract, ...r.free];
  const ordered = emit.transpose(value, axes);
  const whole = emit.whole(
    emit.aligned(ordered),
    r.batch.map((_, i) => i),
  );
  const transposed = (first === "free first") !== freeFirst;
  const merged = (transposed ? [columns, rows] : [rows, columns]).map((group) => size(value, group));
  const batch = extents(value, r.batch);
  return { value: mergeAxes(emit, whole, batch.length, [...batch, ...merged]), transposed };
}

/** Reshapes the axes after the first `batch`, which may be broadcast and stay as they are. */
function mergeAxes(emit: Emitter, value: Value, batch: number, shape: readonly number[]): Value {
  const held = [...value.held.slice(0, batch), ...shape.slice(batch)];
  const stored = emit.reshape(
    { name: value.name, element: value.element, shape: value.held, held: value.held },
    held,
  );
  return { ...stored, shape };
}

/**
 * [batch..., m, k] times [batch..., k, n], batch axes broadcasting; either may be given transposed in its
 * last two axes.
 */
export function matmul(
  emit: Emitter,
  a: Value,
  b: Value,
  transposed: { readonly a?: boolean; readonly b?: boolean } = {},
): Value {
  const rank = a.shape.length;
  const axes = a.shape.map((_, axis) => axis);
  const swapped = [...axes.slice(0, -2), rank - 1, rank - 2];
  const swap = (value: Value, wanted = false): Value => (wanted ? emit.transpose(value, swapped) : value);
  const batchAxes = axes.slice(0, -2);
  const [left, right] = [
    emit.whole(emit.aligned(swap(a, transposed.a)), batchAxes),
    emit.whole(emit.aligned(swap(b, transposed.b)), batchAxes),
  ];
  const shape = [...left.shape.slice(0, -1), right.shape[rank - 1] as number];
  if (left.shape[rank - 1] === 0) return emit.splat(a.element, shape, 0);
  const held = shape.map((extent, axis) =>
    axis < rank - 2 ? Math.max(left.held[axis] as number, right.held[axis] as number) : extent,
  );
  const name = emit.node("MatMul", [left.name, right.name])[0] as string; // one output
  return { name, element: a.element, shape, held };
}

/** Without batch axes: MatMul when no operand has to be reshaped, else Gemm. */
function gemm(
  emit: Emitter,
  lhs: Value,
  rhs: Value,
  [left, right]: readonly [Roles, Roles],
  shape: readonly number[],
): Value {
  if (
    layout(left) === "free first" &&
    left.contract.length === 1 &&
    layout(right) === "contract first" &&
    right.free.length === 1 &&
    left.free.length > 0
  ) {
    return emit.make("MatMul", [emit.whole(lhs).name, emit.whole(rhs).name], lhs.element, shape);
  }
  const a = asMatrices(emit, lhs, left, true);
  const b = asMatrices(emit, rhs, right, false);
  const attributes = {
    ...(a.transposed ? { transA: int(1) } : {}),
    ...(b.transposed ? { transB: int(1) } : {}),
  };
  const matrix = [size(lhs, left.free), size(rhs, right.free)];
  return emit.reshape(
    emit.make("Gemm", [emit.whole(a.value).name, emit.whole(b.value).name], lhs.element, matrix, attributes),
    shape,
  );
}

/** Every product, as [batch, free of lhs, free of rhs], when only one term is to be summed. */
function outer(
  emit: Emitter,
  lhs: Value,
  rhs: Value,
  [left, right]: readonly [Roles, Roles],
  shape: readonly number[],
): Value {
  const rank = left.batch.length + left.free.length + right.free.length;
  const place = (value: Value, r: Roles, offset: number): Value => {
    const ordered = emit.transpose(value, [...r.batch, ...r.free, ...r.contract]);
    const kept = emit.reshape(ordered, extents(value, [...r.batch, ...r.free]));
    const dims = [...r.batch.map((_, i) => i), ...r.free.map((_, i) => offset + i)];
    const spread = Array.from({ length: rank }, (_, axis) =>
      dims.includes(axis) ? (shape[axis] as number) : 1,
    );
    return emit.broadcast(kept, spread, dims);
  };
  const batch = left.batch.length;
  return emit.elementwise("Mul", [place(lhs, left, batch), place(rhs, right, batch + left.free.length)]);
}

export const lowerDot: LowerRule<"dot"> = ({ emit, outputs }, inputs, params) =>
  emit.inFloat32(inputs, (operands) => {
    const [lhs, rhs] = pair(operands);
    const shape = outputs[0]?.shape ?? []; // dot has one output
    const both = orderPairs(lhs, rhs, params);
    const [left, right] = both;
    const terms = size(lhs, left.contract);
    if (terms === 0) return [emit.splat(lhs.element, shape, 0)];
    if (terms === 1) return [outer(emit, lhs, rhs, both, shape)];
    if (left.batch.length === 0) return [gemm(emit, lhs, rhs, both, shape)];
    if (size(lhs, left.free) === 1 && size(rhs, right.free) === 1) {
      // A dot product of vectors per batch entry: many tiny matrix products would cost more.
      const order = (value: Value, r: Roles): Value =>
        emit.reshape(
          emit.transpose(value, [...r.batch, ...r.free, ...r.contract]),
          extents(value, [...r.batch, ...r.contract]),
        );
      const products = emit.elementwise("Mul", [order(lhs, left), order(rhs, right)]);
      const rank = products.shape.length;
      return [
        emit.reshape(
          sum(
            emit,
            products,
            Array.from({ length: rank - left.batch.length }, (_, i) => left.batch.length + i),
          ),
          shape,
        ),
      ];
    }
    const a = asMatrices(emit, lhs, left, true);
    const b = asMatrices(emit, rhs, right, false);
    return [emit.reshape(matmul(emit, a.value, b.value, { a: a.transposed, b: b.transposed }), shape)];
  });
