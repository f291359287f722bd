/**
 * What an optimizer is: a pure `init` and a pure `update` over trees of any structure. All state is in
 * tensors, the step counter too, so that one compiled training step serves the whole run, and a checkpoint is
 * the state's leaves.
 *
 * To add an optimizer, write its rule for one parameter (`LeafRule`) and wrap it with `fromRule`; see
 * lion.ts, the shortest.
 */
import { OpError } from "../ops/definition.ts";
import { add, cast } from "../surface/elementwise.ts";
import { scalar, zeros } from "../surface/create.ts";
import { traced } from "../surface/operand.ts";
import { atCallSite } from "../trace/builder.ts";
import { leafPaths } from "../trace/pytree.ts";
import { flattenTensors, rebuild, sameStructure } from "../trace/tree-trace.ts";
import type { Shape, Tensor } from "../types/index.ts";

/** State of an optimizer over parameters P. */
export interface OptimizerState<P> {
  /** Number of updates made. */
  readonly step: Tensor<[], "i32">;
  /** Per-parameter averages by name, such as `mean` and `variance`; f32. */
  readonly slots: { readonly [name: string]: P };
}

/** What may change at every step; data, not part of the compiled program. */
export interface Hyperparameters {
  readonly learningRate: Tensor<[], "f32">;
}

export interface Optimizer {
  /** The state before the first update. */
  init<P>(params: P): OptimizerState<P>;
  /**
   * One update. Computes in f32 and keeps the dtypes of the parameters.
   * @throws OpError when gradients, state and parameters differ in structure or shape
   */
  update<P>(
    grads: P,
    state: OptimizerState<P>,
    params: P,
    hyper: Hyperparameters,
  ): { readonly params: P; readonly state: OptimizerState<P> };
}

type F32 = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;

/** One parameter during an update, everything in f32. */
export interface Leaf {
  readonly path: string;
  readonly param: F32;
  readonly grad: F32;
  /** In the order of the rule's slots. */
  readonly slots: readonly F32[];
}

/** What all parameters of an update share; `count` is the number of the update, from 1. */
export interface Step {
  readonly count: Scalar;
  readonly learningRate: Scalar;
}

/** An optimizer for one parameter. */
export interface LeafRule {
  /** Names of the averages that the rule keeps. */
  readonly slots: readonly string[];
  /** Shapes of the averages of a parameter, that of the parameter by default. */
  slotShapes?(path: string, shape: readonly number[]): readonly (readonly number[])[];
  /** For one update, the function from a parameter to the new parameter and the new averages. */
  update(step: Step): (leaf: Leaf) => { readonly param: Tensor; readonly slots: readonly Tensor[] };
}

/** Which parameters a weight decay applies to: all by default. `path` is such as `blocks.0.qkv.weight`. */
export type Selects = (path: string, shape: readonly number[]) => boolean;

/** The optimizer that applies a rule to every parameter. */
export function fromRule(rule: LeafRule): Optimizer {
  const shapesOf = (path: string, shape: readonly number[]): readonly (readonly number[])[] =>
    rule.slotShapes?.(path, shape) ?? rule.slots.map(() => shape);

  function init<P>(params: P): OptimizerState<P> {
    return atCallSite(() => {
      const { leaves, tree } = flattenTensors(params);
      const shapes = leafPaths(tree).map((path, i) => shapesOf(path, leaves[i]?.shape ?? []));
      const slot = (n: number): P =>
        rebuild(
          tree,
          shapes.map((list) => traced("optimizer", zeros(list[n] as readonly number[]))),
        );
      return {
        step: scalar(0, "i32"),
        slots: Object.fromEntries(rule.slots.map((name, n) => [name, slot(n)])),
      };
    });
  }

  function update<P>(grads: P, state: OptimizerState<P>, params: P, { learningRate }: Hyperparameters) {
    return atCallSite(() => {
      const { leaves, tree } = flattenTensors(params);
      const leavesOf = (what: string, value: unknown): readonly Tensor[] => {
        if (value === undefined)
          throw new OpError(`optimizer: the state has no ${what}; it belongs to another optimizer`);
        const flat = flattenTensors(value);
        sameStructure(`optimizer: the ${what} and the parameters`, flat.tree, tree);
        return flat.leaves as unknown as readonly Tensor[]; // traced tensors are tensors
      };
      const gradients = leavesOf("gradient", grads);
      const slots = rule.slots.map((name) => leavesOf(name, state.slots[name]));
      const step = add(state.step, 1);
      const updateLeaf = rule.update({ count: cast(step, "f32"), learningRate });
      const updated = leafPaths(tree).map((path, i) => {
        const [param, grad] = [leaves[i], gradients[i]] as unknown as readonly [Tensor, Tensor];
        if (grad.shape.join() !== param.shape.join())
          throw new OpError(
            `optimizer: ${path} is [${param.shape.join(",")}], its gradient [${grad.shape.join(",")}]`,
          );
        const float = (x: Tensor): F32 => cast(x, "f32");
        const next = updateLeaf({
          path,
          param: float(param),
          grad: float(grad),
          slots: slots.map((list) => float(list[i] as Tensor)),
        });
        return {
          param: traced("optimizer", cast(next.param, param.dtype)),
          slots: next.slots.map((slot) => traced("optimizer", slot)),
        };
      });
      const nextSlots = rule.slots.map(
        (name, n) =>
          [
            name,
            rebuild<P>(
              tree,
              updated.map((one) => one.slots[n] as (typeof one.slots)[number]),
            ),
          ] as const,
      );
      return {
        params: rebuild<P>(
          tree,
          updated.map((one) => one.param),
        ),
        state: { step, slots: Object.fromEntries(nextSlots) },
      };
    });
  }

  return { init, update };
}
