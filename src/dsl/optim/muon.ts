/**
 * Muon (Jordan et al. 2024): the momentum of a weight matrix is replaced by a matrix with the same singular
 * vectors and all singular values near 1, found by five Newton-Schulz iterations. Other parameters (vectors,
 * and the embedding and head if excluded) take AdamW steps.
 */
import { add, div, maximum, mul, square, sqrt, sub } from "../surface/elementwise.ts";
import { matmul } from "../surface/linear-algebra.ts";
import { sum } from "../surface/reduce.ts";
import { traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import type { Shape, Tensor } from "../types/index.ts";
import { adamStep } from "./adam.ts";
import { average, checkDecay, checkNonNegative, decayed } from "./math.ts";
import { fromRule } from "./optimizer.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Selects } from "./rule.ts";

export interface MuonOptions {
  /** Decay of the average of gradients; 0.95 by default. */
  readonly momentum?: number;
  /** Looks ahead along the momentum; true by default. */
  readonly nesterov?: boolean;
  /** Decoupled, for both kinds of parameters; 0 by default. */
  readonly weightDecay?: number;
  readonly decays?: Selects;
  /** Newton-Schulz iterations; 5 by default. */
  readonly iterations?: number;
  /**
   * Size of the step of an m×n matrix: "adam" (default) multiplies by 0.2·√max(m, n), which is about the size
   * of Adam's, so that one learning rate serves all parameters (Liu et al. 2025); "original" by √max(1, m/n).
   */
  readonly scale?: "adam" | "original";
  /**
   * The parameters to treat as (stacks of) matrices: by default those of rank 2. Exclude embedding and head
   * by their paths.
   */
  readonly matrices?: Selects;
  /** For the other parameters: 0.9, 0.999 and 1e-8 by default. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
}

type F32 = Tensor<Shape, "f32">;

/**
 * Coefficients of the odd quintic whose iteration pulls singular values into about [0.7, 1.2]; steepest at 0
 * (Jordan et al.).
 */
const QUINTIC = [3.4445, -4.775, 2.0315] as const;

const transposed = (x: F32): F32 => {
  const t = traced("muon", x);
  const rank = t.shape.length;
  return typed(prim.transpose(t, [...prim.range(rank - 2), rank - 1, rank - 2]));
};

/**
 * A matrix [..., m, n] with the singular vectors of x and singular values near 1: x is scaled to norm 1, then
 * X ← aX + b(XXᵀ)X + c(XXᵀ)²X.
 */
export function orthogonalize(x: F32, iterations = 5): F32 {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  if (rows > columns) return transposed(orthogonalize(transposed(x), iterations));
  const norm: Tensor = sqrt(sum(square(x), [-2, -1], { keepDims: true }));
  const [a, b, c] = QUINTIC;
  let y: Tensor = div(x, maximum(norm, 1e-7));
  for (let i = 0; i < iterations; i++) {
    const gram: Tensor = matmul(y, transposed(y as F32));
    const polynomial: Tensor = add(mul(gram, b), mul(matmul(gram, gram), c));
    y = add(mul(y, a), matmul(polynomial, y));
  }
  return y as F32;
}

/**
 * Muon for matrices, AdamW for the rest. Its slots: `mean`, and `variance`, which is a scalar 0 for matrices.
 */
export function muon(options: MuonOptions = {}): Optimizer {
  const {
    momentum = 0.95,
    nesterov = true,
    weightDecay = 0,
    decays,
    iterations = 5,
    scale = "adam",
    beta1 = 0.9,
    beta2 = 0.999,
    eps = 1e-8,
  } = options;
  const matrices = options.matrices ?? ((_path, shape) => shape.length === 2);
  checkDecay("muon", "momentum", momentum);
  checkDecay("muon", "beta1", beta1);
  checkDecay("muon", "beta2", beta2);
  checkNonNegative("muon", "eps", eps);
  checkNonNegative("muon", "weightDecay", weightDecay);
  const isMatrix = (path: string, shape: readonly number[]): boolean =>
    shape.length >= 2 && matrices(path, shape);
  return fromRule({
    slots: ["mean", "variance"],
    elementwise: (path, shape) => !isMatrix(path, shape),
    slotShapes: (path, shape) => [shape, isMatrix(path, shape) ? [] : shape],
    update: (step) => {
      const move = adamStep({ beta1, beta2, eps }, step);
      return (leaf) => {
        const param = decayed(leaf, step.learningRate, weightDecay, decays);
        if (!leaf.parameters.some(({ path, shape }) => isMatrix(path, shape)))
          return move(leaf, param, leaf.grad);
        const [previous, unused] = leaf.slots as readonly [F32, F32];
        const mean = average(previous, leaf.grad, momentum);
        const direction: Tensor = orthogonalize(
          nesterov ? average(mean, leaf.grad, momentum) : mean,
          iterations,
        );
        const [rows, columns] = param.shape.slice(-2) as [number, number];
        const size =
          scale === "adam"
            ? 0.2 * Math.sqrt(Math.max(rows, columns))
            : Math.sqrt(Math.max(1, rows / columns));
        return { param: sub(param, mul(direction, mul(step.learningRate, size))), slots: [mean, unused] };
      };
    },
  });
}
