/**
 * The transforms as functions of functions over pytrees. They nest in any order to any depth: each traces its argument into a
 * program and emits a transformed copy into the trace around it. Tensors of that trace may be used inside the functions.
 *
 * Functions declared with `fn` stay declared when transformed by `grad` and `valueAndGrad`, so the result can be compiled.
 */
import { specOf, withSpec } from "../fn.ts";
import type { Fn } from "../fn.ts";
import { OpError } from "../ops/definition.ts";
import { sizeOf } from "../program/program.ts";
import type { TensorType } from "../program/program.ts";
import { blame, isTraced } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { flatten } from "../trace/pytree.ts";
import type { TreeDef } from "../trace/pytree.ts";
import { flattenTensors, rebuild, sameStructure, traceTree } from "../trace/tree-trace.ts";
import type { AnyShape, Shape, Stacked, Tensor } from "../types/index.ts";
import { runJvp } from "./jvp-rules.ts";
import { instantiate, isDifferentiable } from "./jvp.ts";
import type { Tangent } from "./jvp.ts";
import { linearizeInto } from "./linearize-into.ts";
import { runLinearize } from "./linearize.ts";
import { runTranspose } from "./transpose-rules.ts";
import { runVmap } from "./vmap-rules.ts";

type T = TracedTensor;

const typesOf = (leaves: readonly T[]): readonly TensorType[] =>
  leaves.map(({ shape, dtype }) => ({ shape, dtype }));

function blaming<R>(body: () => R): R {
  try {
    return body();
  } catch (error) {
    throw blame(error);
  }
}

/** A function traced on the given arguments: its program takes (captures, leaves). */
function traceOn<A extends readonly unknown[], R>(f: (...args: A) => R, args: A) {
  const flat = flattenTensors(args);
  const { program, captures, outputTree } = traceTree(flat.tree, typesOf(flat.leaves), (inputs: A) =>
    f(...inputs),
  );
  return {
    program,
    captures,
    outputTree,
    leaves: flat.leaves,
    tree: flat.tree,
    inputs: [...captures, ...flat.leaves],
  };
}

/** Tangents or cotangents by leaf; `null` leaves are zeros. Checks structure, shapes and dtypes. */
function matchLeaves(
  what: string,
  value: unknown,
  tree: TreeDef,
  like: readonly TensorType[],
): readonly Tangent[] {
  const flat = flatten(value, (leaf): leaf is Tangent => leaf === null || isTraced(leaf));
  sameStructure(what, flat.tree, tree);
  return flat.leaves.map((leaf, i) => {
    const type = like[i] as TensorType;
    if (leaf === null || !isDifferentiable(type)) return null;
    if (leaf.dtype !== type.dtype || leaf.shape.join() !== type.shape.join()) {
      throw new OpError(`${what}: ${leaf.toString()} for a value of ${type.dtype}[${type.shape.join(",")}]`);
    }
    return leaf;
  });
}

/**
 * Forward mode: the value of `f` and its derivative in the direction of `tangents` (of the structure of `args`; `null` leaves
 * are zero). The cost is that of a few evaluations.
 */
export function jvp<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  args: A,
  tangents: Tangents<A>,
): { readonly value: R; readonly tangent: R } {
  return blaming(() => {
    const { program, captures, outputTree, leaves, tree, inputs } = traceOn(f, args);
    const dots = matchLeaves("jvp: tangents", tangents, tree, leaves);
    const dual = runJvp(program, inputs, [...captures.map(() => null), ...dots]);
    return {
      value: rebuild<R>(outputTree, dual.outputs),
      tangent: rebuild<R>(
        outputTree,
        dual.outputs.map((output, i) => instantiate(dual.tangents[i] ?? null, output)),
      ),
    };
  });
}

/** A pytree with `null` allowed for any tensor. */
export type Tangents<A> = A extends Tensor ? A | null : { readonly [K in keyof A]: Tangents<A[K]> };

/** `f` on `args`, with what is linear in the tangents of their floats apart. */
function linearizedOn<A extends readonly unknown[], R>(f: (...args: A) => R, args: A) {
  const { program, captures, outputTree, leaves, tree, inputs } = traceOn(f, args);
  const mask = [...captures.map(() => false), ...leaves.map(isDifferentiable)];
  return { parts: linearizeInto(runLinearize, program, inputs, mask), outputTree, leaves, tree };
}

/** The value of `f` at `args` and its derivative there as a linear function of the tangents; the primal work is done once. */
export function linearize<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...args: A
): { readonly value: R; readonly pushforward: (...tangents: Tangents<A> & readonly unknown[]) => R } {
  return blaming(() => {
    const { parts, outputTree, leaves, tree } = linearizedOn(f, args);
    return {
      value: rebuild<R>(outputTree, parts.outputs),
      pushforward: (...tangents) =>
        blaming(() => {
          const dots = matchLeaves("pushforward: tangents", tangents, tree, leaves);
          const dense = leaves.flatMap((leaf, i) =>
            isDifferentiable(leaf) ? [instantiate(dots[i] ?? null, leaf)] : [],
          );
          const results = prim.replay(parts.linear, [...parts.residuals, ...dense]);
          let next = 0;
          return rebuild<R>(
            outputTree,
            parts.outputs.map((output, i) =>
              parts.mask[i] === true ? (results[next++] as T) : prim.zeros(output),
            ),
          );
        }),
    };
  });
}

/** The value of `f` at `args` and its pullback: from output cotangents to argument cotangents (zeros for integers). */
export function vjp<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...args: A
): { readonly value: R; readonly pullback: (cotangents: Tangents<R>) => A } {
  return blaming(() => {
    const { parts, outputTree, leaves, tree } = linearizedOn(f, args);
    return {
      value: rebuild<R>(outputTree, parts.outputs),
      pullback: (cotangents) =>
        blaming(() => {
          const cts = matchLeaves("pullback: cotangents", cotangents, outputTree, parts.outputs).filter(
            (_, i) => parts.mask[i],
          );
          const tangentCount = leaves.filter(isDifferentiable).length;
          const holes = Array.from({ length: tangentCount }, () => null);
          const found = runTranspose(parts.linear, [...parts.residuals, ...holes], cts).slice(
            parts.residuals.length,
          );
          let next = 0;
          return rebuild<A>(
            tree,
            leaves.map((leaf) =>
              isDifferentiable(leaf) ? (found[next++] ?? prim.zeros(leaf)) : prim.zeros(leaf),
            ),
          );
        }),
    };
  });
}

/** What `grad` differentiates with respect to: the place of an argument, or a key of the first one. */
type Wrt = number | string;
type Selected<A extends readonly unknown[], W extends Wrt> = W extends number
  ? A[W]
  : A[0] extends infer First
    ? W extends keyof First
      ? First[W]
      : never
    : never;
type LossOutput = Tensor | readonly [Tensor, ...unknown[]];

/**
 * The function's value and its gradient with respect to one argument (the first by default) or, by name, to one key of the
 * first argument. `f` returns a scalar, or a list whose first element is the scalar and whose others are carried along.
 */
export function valueAndGrad<In, R extends LossOutput, const W extends keyof In & string>(
  f: Fn<In, R>,
  wrt: W,
): Fn<In, { readonly value: R; readonly grad: In[W] }>;
export function valueAndGrad<In, R extends LossOutput>(
  f: Fn<In, R>,
): Fn<In, { readonly value: R; readonly grad: In }>;
export function valueAndGrad<A extends readonly unknown[], R extends LossOutput, const W extends Wrt = 0>(
  f: (...args: A) => R,
  wrt?: W,
): (...args: A) => { readonly value: R; readonly grad: Selected<A, W> };
export function valueAndGrad(f: (...args: readonly never[]) => LossOutput, wrt: Wrt = 0): unknown {
  const transformed = (...args: readonly never[]): unknown =>
    blaming(() => {
      const select = (list: readonly unknown[]): unknown =>
        typeof wrt === "number" ? list[wrt] : (list[0] as Record<string, unknown>)[wrt];
      const target = select(args);
      if (target === undefined) throw new OpError(`grad: there is no argument ${JSON.stringify(wrt)}`);
      const { value, pullback } = vjp((x: unknown) => f(...replaced(args, wrt, x)), target);
      const loss = Array.isArray(value) ? (value[0] as unknown) : value;
      if (!isTraced(loss) || loss.shape.length > 0 || !isDifferentiable(loss)) {
        throw new OpError(
          `grad: the function must return a float scalar, got ${isTraced(loss) ? loss.toString() : typeof loss}`,
        );
      }
      const one = prim.fill(1, loss);
      const cotangents = Array.isArray(value) ? [one, ...value.slice(1).map(nulls)] : one;
      return { value, grad: pullback(cotangents as never)[0] };
    });
  const spec = specOf(f);
  return spec === undefined ? transformed : withSpec(spec, (input) => transformed(input as never));
}

/** The same structure with zeros for all tensors. */
const nulls = (value: unknown): unknown => {
  if (isTraced(value)) return null;
  if (Array.isArray(value)) return value.map(nulls);
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, nulls(item)]));
};

function replaced(args: readonly never[], wrt: Wrt, x: unknown): readonly never[] {
  if (typeof wrt === "number") return args.map((arg, i) => (i === wrt ? (x as never) : arg));
  return [{ ...(args[0] as unknown as object), [wrt]: x } as never, ...args.slice(1)];
}

/** The gradient alone; see {@link valueAndGrad}. */
export function grad<In, R extends LossOutput, const W extends keyof In & string>(
  f: Fn<In, R>,
  wrt: W,
): Fn<In, In[W]>;
export function grad<In, R extends LossOutput>(f: Fn<In, R>): Fn<In, In>;
export function grad<A extends readonly unknown[], R extends LossOutput, const W extends Wrt = 0>(
  f: (...args: A) => R,
  wrt?: W,
): (...args: A) => Selected<A, W>;
export function grad(f: (...args: readonly never[]) => LossOutput, wrt: Wrt = 0): unknown {
  const both = valueAndGrad(f, wrt) as (...args: readonly never[]) => { readonly grad: unknown };
  const spec = specOf(f);
  return spec === undefined
    ? (...args: readonly never[]) => both(...args).grad
    : withSpec(spec, (input) => both(input as never).grad);
}

/** The Hessian of a scalar function of one pytree applied to a direction, by forward over reverse. */
export function hessianVectorProduct<P>(f: (x: P) => Tensor, x: P, direction: Tangents<P>): P {
  return jvp((y: P) => grad(f as (x: P) => Tensor)(y) as P, [x], [direction] as unknown as Tangents<[P]>)
    .tangent;
}

/** Identity directions for a tensor: [size, ...shape]. */
function basis(x: T): T {
  const n = sizeOf(x.shape);
  const rows = prim.iota([n, n], "i32", 0);
  const columns = prim.iota([n, n], "i32", 1);
  return prim.reshape(prim.cast(prim.equal(rows, columns), x.dtype), [n, ...x.shape]);
}

/** The Jacobian of a function of one tensor by forward mode: [...output shape, ...input shape]. Best when the input is small. */
export function jacfwd<X extends Tensor>(f: (x: X) => Tensor): (x: X) => Tensor<Shape, X["dtype"]> {
  return (x) => {
    const t = x as unknown as T; // tensors are traced tensors
    const rows = vmap((dot: Tensor) => jvp(f, [x], [dot] as never).tangent)(
      basis(t) as unknown as Tensor,
    ) as unknown as T;
    const outputShape = rows.shape.slice(1);
    return prim.reshape(prim.moveAxis(rows, 0, outputShape.length), [
      ...outputShape,
      ...t.shape,
    ]) as unknown as Tensor<Shape, X["dtype"]>;
  };
}

/** The Jacobian by reverse mode: [...output shape, ...input shape]. Best when the output is small. */
export function jacrev<X extends Tensor>(f: (x: X) => Tensor): (x: X) => Tensor<Shape, X["dtype"]> {
  return (x) => {
    const t = x as unknown as T;
    const { value, pullback } = vjp(f, x);
    const output = value as unknown as T;
    const rows = vmap((ct: Tensor) => pullback(ct as never)[0] as Tensor)(
      basis(output) as unknown as Tensor,
    ) as unknown as T;
    return prim.reshape(rows, [...output.shape, ...t.shape]) as unknown as Tensor<Shape, X["dtype"]>;
  };
}

/**
 * The function on a batch: every tensor of every argument has a batch axis at `inAxes` (0 by default; one entry per argument,
 * `null` for an argument without one); results carry the batch axis first.
 */
export function vmap<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  options: { readonly inAxes?: readonly (number | null)[] } = {},
): (...args: AnyShape<A> & readonly unknown[]) => Stacked<R, number> {
  return (...args) =>
    blaming(() => {
      const flats = args.map((arg) => flattenTensors(arg));
      const given = options.inAxes?.length ?? args.length;
      if (given !== args.length) throw new OpError(`vmap: ${given} batch axes for ${args.length} arguments`);
      const axisOf = (i: number): number | null =>
        options.inAxes === undefined ? 0 : (options.inAxes[i] ?? null);
      const batched = flats.flatMap(({ leaves }, i) => {
        const axis = axisOf(i);
        return leaves.map((leaf) => {
          if (axis !== null && (leaf.shape[axis] === undefined || axis < 0))
            throw new OpError(`vmap: ${leaf.toString()} has no axis ${axis}`);
          return axis === null
            ? { tensor: leaf, batched: false }
            : { tensor: prim.moveAxis(leaf, axis, 0), batched: true };
        });
      });
      const sizes = new Set(batched.filter((item) => item.batched).map((item) => item.tensor.shape[0]));
      if (sizes.size !== 1)
        throw new OpError(
          sizes.size === 0
            ? "vmap: no argument is batched"
            : `vmap: batch sizes differ: ${[...sizes].join(" vs ")}`,
        );
      const size = [...sizes][0] as number;
      const types = batched.map(({ tensor, batched: is }): TensorType => ({
        shape: is ? tensor.shape.slice(1) : tensor.shape,
        dtype: tensor.dtype,
      }));
      const tree = { kind: "array", items: flats.map((flat) => flat.tree) } as const;
      const { program, captures, outputTree } = traceTree(tree, types, (inputs: A) => f(...inputs));
      const outer = captures.map((tensor) => ({ tensor, batched: false }));
      const outputs = runVmap(program, [...outer, ...batched], size);
      return rebuild<Stacked<R, number>>(
        outputTree,
        outputs.map(({ tensor, batched: is }) => (is ? tensor : prim.replicate(tensor, size))),
      );
    });
}
