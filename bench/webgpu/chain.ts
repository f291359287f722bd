/**
 * A chain of products of tiny matrices: each needs the one before, so each is a dispatch. Consumed by the timings of what a dispatch
 * costs the host.
 */
import { f32, fn, matmul, trace } from "../../src/dsl/index.ts";
import type { Fn, Tensor } from "../../src/dsl/index.ts";
import type { Program } from "../../src/dsl/program/program.ts";

/** Rows of the matrices. */
export const CHAIN_SIZE = 4;

/** A rotation in each pair of axes: products of it stay of the same size. */
export const ROTATION = Float32Array.from({ length: CHAIN_SIZE ** 2 }, (_, n) => {
  const [i, j] = [Math.floor(n / CHAIN_SIZE), n % CHAIN_SIZE];
  if (i >> 1 !== j >> 1) return 0;
  return i === j ? Math.cos(0.1) : i < j ? -Math.sin(0.1) : Math.sin(0.1);
});

/** w -> w·w·…·w, of `length` products. */
export function chainOf(length: number): Program {
  const chain = fn({ w: f32(CHAIN_SIZE, CHAIN_SIZE) }, ({ w }) => {
    let x: Tensor = w;
    for (let i = 0; i < length; i++) x = matmul(x, w);
    return x;
  });
  return trace(chain as Fn<never, unknown>).program;
}
