/**
 * Rules on flat vectors. A vector is cut into pieces: parameters that the rule updates element by element stay together, any other is
 * taken out in its own shape. A rule that is elementwise everywhere sees each vector as one leaf, uncut.
 *
 * Consumed by optimizer.ts.
 */
import { OpError } from "../ops/definition.ts";
import { sizeOf } from "../program/program.ts";
import { scalar, zeros } from "../surface/create.ts";
import { add, cast } from "../surface/elementwise.ts";
import { traced, typed } from "../surface/operand.ts";
import { atCallSite } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type { Shape, Tensor } from "../types/index.ts";
import { joined, vectorsOf } from "./flat-layout.ts";
import type { Flat, FlatLayout, FlatVector } from "./flat-layout.ts";
import { rateOf, slotShapesOf } from "./rule.ts";
import type { Hyperparameters, LeafRule, OptimizerState, Parameter } from "./rule.ts";

type F32 = Tensor<Shape, "f32">;

/** What a rule sees as one leaf. */
interface Piece {
  readonly parameters: readonly Parameter[];
  /** Shape of the parameter, or the number of elements of several. */
  readonly shape: readonly number[];
  /** Shapes of its averages. */
  readonly slots: readonly (readonly number[])[];
}

/** A vector's pieces in order. */
function piecesOf(rule: LeafRule, { leaves }: FlatVector): readonly Piece[] {
  const pieces: Piece[] = [];
  let together: Parameter[] = [];
  const close = (): void => {
    if (together.length === 0) return;
    const shape = [together.reduce((total, one) => total + sizeOf(one.shape), 0)];
    pieces.push({ parameters: together, shape, slots: rule.slots.map(() => shape) });
    together = [];
  };
  for (const { path, shape } of leaves) {
    if (rule.elementwise?.(path, shape) === true) {
      together.push({ path, shape });
    } else {
      close();
      pieces.push({ parameters: [{ path, shape }], shape, slots: slotShapesOf(rule, { path, shape }) });
    }
  }
  close();
  return pieces;
}

const total = (shapes: readonly (readonly number[])[]): number =>
  shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);

/** A vector as pieces of the given shapes, one after another. */
function cut(vector: TracedTensor, shapes: readonly (readonly number[])[]): readonly F32[] {
  let offset = 0;
  return shapes.map((shape) => {
    const [start, stop] = [offset, offset + sizeOf(shape)];
    offset = stop;
    const part = start === 0 && stop === vector.shape[0] ? vector : prim.sliceAxis(vector, 0, start, stop);
    return cast(typed<Tensor>(shape.length === 1 ? part : prim.reshape(part, shape)), "f32");
  });
}

/** Pieces as a vector. */
const uncut = (pieces: readonly Tensor[]): Tensor<[number]> =>
  joined(
    pieces.map((piece) => {
      const leaf = traced("optimizer", piece);
      return leaf.shape.length === 1 ? leaf : prim.reshape(leaf, [sizeOf(leaf.shape)]);
    }),
  );

/** The averages of a slot as vectors: what their sizes must be. */
const slotVectors = (pieces: readonly (readonly Piece[])[], slot: number) =>
  pieces.map((list) => ({
    dtype: "f32" as const,
    size: total(list.map(({ slots }) => slots[slot] ?? [])),
  }));

/** The state before the first update. */
export function initFlat<P>(
  rule: LeafRule,
  { vectors }: FlatLayout<P>,
  params: Flat<P>,
): OptimizerState<Flat<P>> {
  return atCallSite(() => {
    vectorsOf("optimizer: the parameters", params, vectors);
    const pieces = vectors.map((vector) => piecesOf(rule, vector));
    const slot = (n: number): Flat<P> => ({
      vectors: slotVectors(pieces, n).map(({ size }) => zeros([size])),
    });
    return {
      step: scalar(0, "i32"),
      slots: Object.fromEntries(rule.slots.map((name, n) => [name, slot(n)])),
    };
  });
}

/** What an update takes. */
interface FlatUpdate<P> {
  readonly grads: Flat<P>;
  readonly state: OptimizerState<Flat<P>>;
  readonly params: Flat<P>;
  readonly hyper: Hyperparameters;
}

/** One update. */
export function updateFlat<P>(
  rule: LeafRule,
  { vectors }: FlatLayout<P>,
  { grads, state, params, hyper }: FlatUpdate<P>,
): { readonly params: Flat<P>; readonly state: OptimizerState<Flat<P>> } {
  return atCallSite(() => {
    const pieces = vectors.map((vector) => piecesOf(rule, vector));
    const before = vectorsOf("optimizer: the parameters", params, vectors);
    const gradients = vectorsOf("optimizer: the gradients", grads, vectors);
    const slots = rule.slots.map((name, n) => {
      const slot = state.slots[name];
      if (slot === undefined)
        throw new OpError(`optimizer: the state has no ${name}; it belongs to another optimizer`);
      return vectorsOf(`optimizer: the ${name}`, slot, slotVectors(pieces, n));
    });
    const step = add(state.step, 1);
    const updateLeaf = rule.update({ count: cast(step, "f32"), learningRate: rateOf(hyper) });
    const updated = pieces.map((list, k) => {
      const shapes = list.map(({ shape }) => shape);
      const [param, grad] = [before, gradients].map((all) => cut(all[k] as TracedTensor, shapes));
      const averages = slots.map((all, n) =>
        cut(
          all[k] as TracedTensor,
          list.map((piece) => piece.slots[n] as readonly number[]),
        ),
      );
      const next = list.map(({ parameters }, i) =>
        updateLeaf({
          parameters,
          param: param?.[i] as F32,
          grad: grad?.[i] as F32,
          slots: averages.map((all) => all[i] as F32),
        }),
      );
      const { dtype } = vectors[k] as FlatVector;
      return {
        param: uncut(next.map((one) => cast(one.param, dtype))),
        slots: rule.slots.map((_, n) => uncut(next.map((one) => one.slots[n] as Tensor))),
      };
    });
    const nextSlots = rule.slots.map(
      (name, n) => [name, { vectors: updated.map((one) => one.slots[n] as Tensor<[number]>) }] as const,
    );
    return {
      params: { vectors: updated.map(({ param }) => param) },
      state: { step, slots: Object.fromEntries(nextSlots) },
    };
  });
}
