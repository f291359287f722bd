/**
 * Runs a function of the language in the interpreter, on trees: host tensors in, host tensors out, everything
 * in doubles. Consumed by the tests of what is written in the language: random numbers, layers, optimizers,
 * models.
 */
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { fn, specLike, trace, unflatten } from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import { verify } from "../../src/dsl/program/verify.ts";
import { flatten } from "../../src/dsl/trace/pytree.ts";

/** A tree of tensors as the host holds it. */
export type Hosted<T> = T extends Tensor ? ExactTensor : { readonly [K in keyof T]: Hosted<T[K]> };
/** The tree of tensors that a tree of host tensors becomes inside a function. */
export type Tensors<T> = T extends ExactTensor ? Tensor : { readonly [K in keyof T]: Tensors<T[K]> };

const isHost = (value: unknown): value is ExactTensor =>
  typeof value === "object" && value !== null && "data" in value && ArrayBuffer.isView(value.data);

/** f32 values, unrounded. */
export const floats = (shape: readonly number[], values: ArrayLike<number>): ExactTensor =>
  exactTensor("f32", shape, values);
export const scalarOf = (value: number): ExactTensor => floats([], [value]);
export const ints = (shape: readonly number[], values: ArrayLike<number>): ExactTensor =>
  exactTensor("i32", shape, values);
export const words = (shape: readonly number[], values: ArrayLike<number>): ExactTensor =>
  exactTensor("u32", shape, values);

/** `body(inputs)` as a function that runs many times on inputs of the same types as these. */
export function compiled<In extends object, Out>(
  like: In,
  body: (inputs: Tensors<In>) => Out,
): (inputs: In) => Hosted<Out> {
  // specLike and unflatten forget the structure that In and Out state.
  const f = fn(specLike(like, isHost), body as unknown as (inputs: unknown) => Out);
  const { program, outputTree } = trace(f as never);
  verify(program);
  return (inputs) => unflatten(outputTree, interpret(program, flatten(inputs, isHost).leaves)) as Hosted<Out>;
}

/** `body(inputs)`. */
export const evaluate = <In extends object, Out>(
  inputs: In,
  body: (inputs: Tensors<In>) => Out,
): Hosted<Out> => compiled(inputs, body)(inputs);

/** The values of a function of nothing. */
export const constants = <Out>(body: () => Out): Hosted<Out> => evaluate({}, body);

/** Plain numbers of a host tensor. */
export const list = (tensor: ExactTensor): number[] => Array.from(tensor.data);

/** Largest |a − b|. @throws Error when lengths differ */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values instead of ${b.length}`);
  return Array.from(a).reduce((most, x, i) => {
    const d = Math.abs(x - (b[i] as number));
    return Number.isNaN(d) || d > most ? d : most;
  }, 0);
}
