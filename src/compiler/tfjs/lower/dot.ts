/**
 * Lowering of the general dot product to one product of batches of matrices. Operands are laid out as [batch, rows, inner] and
 * [batch, inner, columns] beforehand: the flags of the kernel for transposed operands make it about twelve times slower on WebAssembly.
 *
 * Consumed by `index.ts`; sums of rows use `product`.
 */
import { freeAxes } from "../../../dsl/ops/reduction.ts";
import { sizeOf } from "../../../dsl/program/program.ts";
import type { TensorType } from "../../../dsl/program/program.ts";
import { pair } from "../../lowering.ts";
import type { PlanBuilder } from "../builder.ts";
import type { Value } from "../value.ts";
import type { LowerRule } from "./rule.ts";

/** An operand as three groups of axes, each merged into one. */
function asMatrices(
  build: PlanBuilder,
  value: Value,
  groups: readonly [readonly number[], readonly number[], readonly number[]],
): Value {
  const moved = build.transpose(value, groups.flat());
  const merged = groups.map((axes) => sizeOf(axes.map((axis) => value.shape[axis] as number))); // legal axes
  return build.shaped(moved, merged);
}

/**
 * The right operand of a product without batches, in data of its own. On WebAssembly the kernel keeps what it made of the right operand
 * for as long as the data live, whatever shape it is used in next.
 */
const unshared = (build: PlanBuilder, b: Value): Value =>
  b.shape[0] !== 1 ? b : build.call("Identity", { x: b.slot }, b.dtype, b.shape);

/** [batch, m, k] times [batch, k, n]. */
export function product(build: PlanBuilder, a: Value, b: Value): Value {
  const shape = [a.shape[0] as number, a.shape[1] as number, b.shape[2] as number]; // of rank 3
  const operands = { a: a.slot, b: unshared(build, b).slot };
  return build.call("BatchMatMul", operands, a.dtype, shape, { transposeA: false, transposeB: false });
}

export const lowerDot: LowerRule<"dot"> = ({ build, outputs }, inputs, params) => {
  const [lhs, rhs] = pair(inputs);
  const { lhsBatch, rhsBatch, lhsContract, rhsContract } = params;
  const type = outputs[0] as TensorType; // a product has one output
  if (sizeOf(lhsContract.map((axis) => lhs.shape[axis] as number)) === 0) return [build.splat(type, 0)];
  const a = asMatrices(build, lhs, [
    lhsBatch,
    freeAxes(lhs.shape.length, lhsBatch, lhsContract),
    lhsContract,
  ]);
  const columns = freeAxes(rhs.shape.length, rhsBatch, rhsContract);
  const b = asMatrices(build, rhs, [rhsBatch, rhsContract, columns]);
  return [build.reshape(product(build, a, b), type.shape)];
};
