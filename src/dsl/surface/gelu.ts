/**
 * GELU, with its derivative written out: derived step by step it would take twice as many passes over the largest tensors of a
 * transformer.
 */
import { emitOne } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { DTypeOf, ShapeOf, Tensor } from "../types/index.ts";
import { customJvp } from "./control.ts";
import { traced, typed } from "./operand.ts";

type T = TracedTensor;

/** ½(1 + tanh u) = σ(2u), so the tanh form is x·σ(x·(A + B·x²)). */
const A = 2 * Math.sqrt(2 / Math.PI);
const B = 0.044715 * A;

/** x² and σ(x·(A + B·x²)). */
function parts(x: T): readonly [squared: T, gate: T] {
  const squared = prim.mul(x, x);
  const inner = prim.mul(x, prim.add(prim.scale(squared, B), prim.fill(A, x)));
  return [squared, emitOne("logistic", [inner], {})];
}

const rule = customJvp(
  (x: Tensor): Tensor => {
    const t = traced("gelu", x);
    return typed(prim.mul(t, parts(t)[1]));
  },
  ([x], [dot]): readonly [Tensor, Tensor] => {
    const [t, tangent] = [traced("gelu", x), traced("gelu", dot)];
    const [squared, gate] = parts(t);
    const value = prim.mul(t, gate);
    // σ + x·σ'·(A + 3B·x²), with x·σ' = x·σ·(1 − σ)
    const bend = prim.mul(
      prim.mul(value, prim.sub(prim.fill(1, gate), gate)),
      prim.add(prim.scale(squared, 3 * B), prim.fill(A, t)),
    );
    return [typed(value), typed(prim.mul(tangent, prim.add(gate, bend)))];
  },
);

/** GELU in its tanh form: ½x(1 + tanh(√(2/π)(x + 0.044715x³))) (Hendrycks and Gimpel 2016). */
export const gelu = <X extends Tensor>(x: X): Tensor<ShapeOf<X>, DTypeOf<X>> =>
  typed(traced("gelu", rule(x as Tensor)));
