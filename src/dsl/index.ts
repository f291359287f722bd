/**
 * The language: what a user imports. Tensors and their types, ops, control flow, transforms, declared functions.
 * Consumed by users, src/models and the compiler. To add something public: export it here, with a docstring at its definition.
 */
export * from "./types/index.ts";
export * from "./surface/create.ts";
export * from "./surface/elementwise.ts";
export * from "./surface/gelu.ts";
export * from "./surface/indexing.ts";
export * from "./surface/linear-algebra.ts";
export * from "./surface/reduce.ts";
export * from "./surface/shape.ts";
export * from "./surface/split.ts";
export * from "./surface/control.ts";
export * from "./transforms/functional.ts";
export { bool, f16, f32, fn, i32, outputSpec, specLike, TensorSpec, trace, u32 } from "./fn.ts";
export type { Fn, SpecOf, TensorsOf, TracedFunction } from "./fn.ts";
export { scalarFunction } from "./scalar-function.ts";
export type { ScalarFunction } from "./scalar-function.ts";
export { OpError } from "./ops/definition.ts";
export { flatten, leafPaths, unflatten } from "./trace/pytree.ts";
export type { Tree, TreeDef } from "./trace/pytree.ts";
export type { Sizes } from "./trace/sizes.ts";
export { mapTree, mapTreeWithPath, treeLeaves } from "./tree.ts";
export * as random from "./random/index.ts";
export * as nn from "./nn/index.ts";
export * as optim from "./optim/index.ts";
