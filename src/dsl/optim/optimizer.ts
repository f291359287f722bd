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
import type { Flat, FlatLayout } from "./flat-layout.ts";
import { initFlat, updateFlat } from "./flat-update.ts";
import { rateOf, slotShapesOf } from "./rule.ts";
import type { Hyperparameters, LeafRule, OptimizerState, Parameter } from "./rule.ts";

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
  /** The same optimizer for parameters, gradients and averages that are packed by a layout; see flat-layout.ts. */
  flat<P>(layout: FlatLayout<P>): FlatOptimizer<P>;
}

/** An optimizer of packed parameters P. Element by element it computes what the optimizer of the tree computes. */
export interface FlatOptimizer<P> {
  /** The state before the first update. @throws OpError when the parameters are not the layout's */
  init(params: Flat<P>): OptimizerState<Flat<P>>;
  /** One update, as of {@link Optimizer}. @throws OpError when gradients, state or parameters are not the layout's */
  update(
    grads: Flat<P>,
    state: OptimizerState<Flat<P>>,
    params: Flat<P>,
    hyper: Hyperparameters,
  ): { readonly params: Flat<P>; readonly state: OptimizerState<Flat<P>> };
}

type F32 = Tensor<Shape, "f32">;

/** The optimizer that applies a rule to every parameter. */
export function fromRule(rule: LeafRule): Optimizer {
  const shapesOf = (parameter: Parameter): readonly (readonly number[])[] => slotShapesOf(rule, parameter);

  function init<P>(params: P): OptimizerState<P> {
    return atCallSite(() => {
      const { leaves, tree } = flattenTensors(params);
      const shapes = leafPaths(tree).map((path, i) => shapesOf({ path, shape: leaves[i]?.shape ?? [] }));
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

  function update<P>(grads: P, state: OptimizerState<P>, params: P, hyper: Hyperparameters) {
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
      const updateLeaf = rule.update({ count: cast(step, "f32"), learningRate: rateOf(hyper) });
      const updated = leafPaths(tree).map((path, i) => {
        const [param, grad] = [leaves[i], gradients[i]] as unknown as readonly [Tensor, Tensor];
        if (grad.shape.join() !== param.shape.join())
          throw new OpError(
            `optimizer: ${path} is [${param.shape.join(",")}], its gradient [${grad.shape.join(",")}]`,
          );
        const float = (x: Tensor): F32 => cast(x, "f32");
        const next = updateLeaf({
          parameters: [{ path, shape: param.shape }],
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

  const flat = <P>(layout: FlatLayout<P>): FlatOptimizer<P> => ({
    init: (params) => initFlat(rule, layout, params),
    update: (grads, state, params, hyper) => updateFlat(rule, layout, { grads, state, params, hyper }),
  });

  return { init, update, flat };
}
