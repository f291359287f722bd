/**
 * A dot as a program of its own, and operands for which every right way to sum gives the same result to the last bit. Consumed by the
 * tuner, and by tests of ways to compute dots.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import type { DotLayout, DotShape } from "../../compiler/schedule/dot/problem.ts";
import { sizeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";

/** Sums longer than this get smaller operands, to stay exact in f32. */
const LONG_SUM = 2 ** 17;

/** A program of one dot with the operands stored as the layout says, in f16 where they are f16 there. */
export function dotProgram({ batch, rows, columns, inner }: DotShape, layout: DotLayout): Program {
  const { dtype = "f32" } = layout;
  const tensor = (...extents: number[]): TensorType => ({ dtype, shape: extents });
  const [byRow, byColumn] = [layout.left !== "row", layout.right === "k"];
  return {
    inputs: [0, 1],
    outputs: [2],
    types: [
      byRow ? tensor(batch, rows, inner) : tensor(batch, inner, rows),
      byColumn ? tensor(batch, columns, inner) : tensor(batch, inner, columns),
      tensor(batch, rows, columns),
    ],
    equations: [
      {
        op: "dot",
        inputs: [0, 1],
        outputs: [2],
        params: {
          lhsBatch: [0],
          rhsBatch: [0],
          lhsContract: [byRow ? 2 : 1],
          rhsContract: [byColumn ? 2 : 1],
        },
      },
    ],
  };
}

/** Numbers that f16 holds, and whose products, `inner` of them, are summed exactly in f32, in any order: small multiples of a power of two. */
export function exactOperand(type: TensorType, seed: number, inner: number): HostTensor {
  const [levels, step] = inner > LONG_SUM ? [3, 1] : [17, 0.25];
  const least = ((levels - 1) / 2) * step;
  const data = new Float32Array(sizeOf(type.shape));
  for (let i = 0; i < data.length; i++) {
    const hash = Math.imul(i + 1 + seed * 7919, 2654435761) >>> 0;
    // Of 24 bits, so that the product is a small integer, which costs less than a remainder.
    data[i] = ((((hash ^ (hash >>> 15)) & 0xffffff) * levels) >>> 24) * step - least;
  }
  return { ...type, data };
}
