/**
 * What the tests of the transforms share: transforms applied to flat programs, evaluation in f64 through the interpreter, and
 * finite differences. Every program is verified before it runs.
 *
 * Programs are the common currency: `jvpOf(p)`, `vjpOf(p)`, … trace the public transform around a replay of `p` and give a
 * program again, so that they compose and can be compared with one another.
 */
import { exactTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { jvp, linearize, vjp, vmap } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { inputTypes, outputTypes, sizeOf } from "../../../src/dsl/program/program.ts";
import type { Program, TensorType } from "../../../src/dsl/program/program.ts";
import { verify } from "../../../src/dsl/program/verify.ts";
import { traceFlat } from "../../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { isFloat } from "../../../src/dsl/types/dtype.ts";

export type Values = readonly ExactTensor[];
type F = (...xs: Tensor[]) => Tensor[];

/** Typed tensors are traced tensors at run time. */
export const asTensors = (xs: readonly TracedTensor[]): Tensor[] => xs as unknown as Tensor[];
export const asTraced = (xs: readonly Tensor[]): TracedTensor[] => xs as unknown as TracedTensor[];

/** Traces a flat function into a closed, verified program. */
export function traced(types: readonly TensorType[], body: (...xs: Tensor[]) => readonly Tensor[]): Program {
  const { program, captures } = traceFlat(types, (inputs) => asTraced([...body(...asTensors(inputs))]));
  if (captures.length > 0) throw new Error("a closed program was expected");
  return verify(program);
}

/** A program as a function of tensors. */
export const functionOf =
  (program: Program): F =>
  (...xs) =>
    asTensors(prim.replay(program, asTraced(xs)));

const floatTypes = (types: readonly TensorType[]): readonly TensorType[] =>
  types.filter(({ dtype }) => isFloat(dtype));

/** Tensors by position from the list of those of float dtype; `null` elsewhere. */
export function spread(types: readonly TensorType[], floats: readonly Tensor[]): (Tensor | null)[] {
  let next = 0;
  return types.map(({ dtype }) => (isFloat(dtype) ? (floats[next++] as Tensor) : null));
}

export const floatsOnly = (xs: readonly Tensor[]): Tensor[] => xs.filter(({ dtype }) => isFloat(dtype));

/** (inputs, tangents of the float inputs) -> (outputs, tangents of the float outputs). */
export function jvpOf(p: Program): Program {
  const types = inputTypes(p);
  return traced([...types, ...floatTypes(types)], (...all) => {
    const xs = all.slice(0, types.length);
    const { value, tangent } = jvp(functionOf(p), xs, spread(types, all.slice(types.length)) as Tensor[]);
    return [...value, ...floatsOnly(tangent)];
  });
}

/** Like {@link jvpOf}, by linearize. */
export function linearizedOf(p: Program): Program {
  const types = inputTypes(p);
  return traced([...types, ...floatTypes(types)], (...all) => {
    const { value, pushforward } = linearize(functionOf(p), ...all.slice(0, types.length));
    return [...value, ...floatsOnly(pushforward(...(spread(types, all.slice(types.length)) as Tensor[])))];
  });
}

/** (inputs, cotangents of the float outputs) -> (outputs, cotangents of the float inputs). */
export function vjpOf(p: Program): Program {
  const types = inputTypes(p);
  const outputs = outputTypes(p);
  return traced([...types, ...floatTypes(outputs)], (...all) => {
    const { value, pullback } = vjp(functionOf(p), ...all.slice(0, types.length));
    return [...value, ...floatsOnly(pullback(spread(outputs, all.slice(types.length)) as Tensor[]))];
  });
}

/** The program on a batch of `size`: every input and output gets a leading axis, but for the inputs in `unbatched`. */
export function vmapOf(p: Program, size: number, unbatched: readonly number[] = []): Program {
  const types = inputTypes(p).map(({ shape, dtype }, i): TensorType => ({
    dtype,
    shape: unbatched.includes(i) ? shape : [size, ...shape],
  }));
  const inAxes = types.map((_, i) => (unbatched.includes(i) ? null : 0));
  return traced(types, (...xs) => (vmap(functionOf(p), { inAxes }) as F)(...xs));
}

/** The program's derivatives hold the scalar Σ wᵢ·outputᵢ: (inputs, weights like the float outputs) -> scalar. */
export function weighted(p: Program): Program {
  const types = inputTypes(p);
  return traced([...types, ...floatTypes(outputTypes(p))], (...all) => {
    const outputs = asTraced(floatsOnly(functionOf(p)(...all.slice(0, types.length))));
    const weights = asTraced(all.slice(types.length));
    const terms = outputs.map((output, i) => {
      const product = prim.mul(output, weights[i] as TracedTensor);
      return prim.cast(prim.reduceSum(product, prim.range(product.shape.length)), "f32");
    });
    return asTensors([terms.reduce(prim.add)]);
  });
}

export const run = (p: Program, inputs: Values): Values => interpret(verify(p), inputs);

/** A deterministic stream of numbers in [0, 1): tests need no seed of their own beside that of their inputs. */
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Random tensors of the given types: floats in [lo, hi], integers 0 … 4. */
export function randomLike(types: readonly TensorType[], seed: number, lo = -1, hi = 1): Values {
  const next = stream(seed);
  return types.map(({ shape, dtype }) =>
    exactTensor(
      dtype,
      shape,
      Array.from({ length: sizeOf(shape) }, () =>
        isFloat(dtype) ? lo + (hi - lo) * next() : Math.floor(next() * (dtype === "bool" ? 2 : 5)),
      ),
    ),
  );
}

export const tangentsFor = (p: Program, seed: number): Values => randomLike(floatTypes(inputTypes(p)), seed);
export const cotangentsFor = (p: Program, seed: number): Values =>
  randomLike(floatTypes(outputTypes(p)), seed);

export const floatValues = (values: Values): Values => values.filter(({ dtype }) => isFloat(dtype));

/** Σ xᵢ·yᵢ over all float tensors. */
export function inner(xs: Values, ys: Values): number {
  let sum = 0;
  xs.forEach((x, n) =>
    x.data.forEach((value, i) => (sum += value * ((ys[n] as ExactTensor).data[i] as number))),
  );
  return sum;
}

/** x + h·u on the floats among `xs`. */
export function moved(xs: Values, us: Values, h: number): Values {
  let next = 0;
  return xs.map((x) => {
    if (!isFloat(x.dtype)) return x;
    const u = us[next++] as ExactTensor;
    return { ...x, data: Float64Array.from(x.data, (value, i) => value + h * (u.data[i] as number)) };
  });
}

/** Σ factorᵢ·listᵢ, elementwise over lists of tensors. */
function combination(terms: readonly (readonly [number, Values])[]): Values {
  const [, first] = terms[0] as readonly [number, Values];
  return first.map((like, n) => ({
    ...like,
    data: Float64Array.from(like.data, (_, i) =>
      terms.reduce((sum, [factor, list]) => sum + factor * ((list[n] as ExactTensor).data[i] as number), 0),
    ),
  }));
}

/** The derivative of the float outputs in the direction `us`, by central differences of fourth order. */
export function differences(p: Program, xs: Values, us: Values, h = 2e-3): Values {
  const at = (step: number): Values => floatValues(run(p, moved(xs, us, step)));
  return combination([
    [-1 / (12 * h), at(2 * h)],
    [8 / (12 * h), at(h)],
    [-8 / (12 * h), at(-h)],
    [1 / (12 * h), at(-2 * h)],
  ]);
}

/** The largest difference, relative to 1 + the largest magnitude; tensors must agree in type. NaN agrees with NaN, infinities with themselves. */
export function gap(actual: Values, expected: Values): number {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} tensors instead of ${expected.length}`);
  let largest = 0;
  let scale = 1;
  actual.forEach((have, n) => {
    const want = expected[n] as ExactTensor;
    const [a, b] = [have, want].map(({ dtype, shape }) => `${dtype}[${shape.join(",")}]`);
    if (a !== b) throw new Error(`tensor ${n} is ${a} instead of ${b}`);
    have.data.forEach((x, i) => {
      const y = want.data[i] as number;
      if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return;
      const difference = Math.abs(x - y);
      largest = Math.max(largest, Number.isFinite(difference) ? difference : Infinity);
      if (Number.isFinite(y)) scale = Math.max(scale, Math.abs(y));
    });
  });
  return largest / scale;
}

/** Row `i` of tensors with a leading axis. */
export const row = (xs: Values, i: number): Values =>
  xs.map(({ shape, dtype, data }) => {
    const size = sizeOf(shape.slice(1));
    return { shape: shape.slice(1), dtype, data: data.slice(i * size, (i + 1) * size) };
  });

/** Tensors stacked along a new leading axis. */
export function stacked(list: readonly Values[]): Values {
  return (list[0] as Values).map(({ shape, dtype }, n) =>
    exactTensor(
      dtype,
      [list.length, ...shape],
      list.flatMap((values) => toNumbers(values[n] as ExactTensor)),
    ),
  );
}

/** Number of runs of a property: `FLUXION_RUNS` scales all of them (1 by default). */
export const runs = (usual: number): number => Math.ceil(usual * Number(process.env.FLUXION_RUNS ?? 1));
