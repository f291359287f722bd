/**
 * What optimizers are made of: their state, and the rule for one parameter with what it is given.
 *
 * Consumed by every optimizer of this folder; optimizer.ts makes an optimizer of a rule. See lion.ts for the shortest.
 */
import { scalar } from "../surface/create.ts";
import type { Shape, Tensor } from "../types/index.ts";

type F32 = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;

/** State of an optimizer over parameters P. */
export interface OptimizerState<P> {
  /** Number of updates made. */
  readonly step: Tensor<[], "i32">;
  /** Per-parameter averages by name, such as `mean` and `variance`; f32. */
  readonly slots: { readonly [name: string]: P };
}

/** What may change at every step. */
export interface Hyperparameters {
  /** A tensor is data, which may be another at every step; a number is a constant of the program. */
  readonly learningRate: Tensor<[], "f32"> | number;
}

/** The learning rate as rules take it. */
export const rateOf = ({ learningRate }: Hyperparameters): Scalar =>
  typeof learningRate === "number" ? scalar(learningRate) : learningRate;

/** A parameter by its name and sizes. `path` is such as `blocks.0.qkv.weight`. */
export interface Parameter {
  readonly path: string;
  readonly shape: readonly number[];
}

/** What a rule updates at a time, everything in f32. */
export interface Leaf {
  /** The parameter. In flat vectors it may be several, one after another, of those that the rule updates element by element. */
  readonly parameters: readonly Parameter[];
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
  /**
   * The parameters that are updated element by element, with averages of their shape: in flat vectors those are updated together.
   * None by default, which is always right.
   */
  readonly elementwise?: Selects;
  /** For one update, the function from a parameter to the new parameter and the new averages. */
  update(step: Step): (leaf: Leaf) => { readonly param: Tensor; readonly slots: readonly Tensor[] };
}

/** Which parameters something applies to, by their path and shape. */
export type Selects = (path: string, shape: readonly number[]) => boolean;

/** Shapes of the averages that a rule keeps of a parameter. */
export const slotShapesOf = (rule: LeafRule, { path, shape }: Parameter): readonly (readonly number[])[] =>
  rule.slotShapes?.(path, shape) ?? rule.slots.map(() => shape);
