/**
 * Shapes of tensors that are stored smaller than they are: targets whose elementwise ops broadcast by themselves keep a broadcast as
 * its small operand, with axes of extent 1, until something needs every element.
 *
 * Consumed by the targets of that kind, ONNX and TensorFlow.js.
 */

/** A logical shape and the stored one: aligned at the last axis, each extent the logical one or 1; leading axes of 1 may be absent. */
export interface HeldShape {
  readonly shape: readonly number[];
  readonly held: readonly number[];
}

/** `held` with its absent leading axes of extent 1. */
export const alignedHeld = ({ shape, held }: HeldShape): readonly number[] => [
  ...Array<number>(shape.length - held.length).fill(1),
  ...held,
];

/** Whether every element is stored. */
export const isWhole = ({ shape, held }: HeldShape): boolean =>
  held.length === shape.length && held.every((extent, axis) => extent === shape[axis]);

/** Shape of the elementwise combination of shapes (aligned at the last axis, extents equal or 1). */
export function broadcastShapes(shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
}

/** The shape without leading axes of extent 1. */
export function stripLeading(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((extent) => extent !== 1);
  return first < 0 ? [] : shape.slice(first);
}

/**
 * Merges neighbouring axes that every shape either has or broadcasts together, and drops those that none has: shapes of as few axes as
 * possible that combine alike.
 */
export function mergedShapes(shapes: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const full = broadcastShapes(shapes);
  const aligned = shapes.map((shape) => [...Array<number>(full.length - shape.length).fill(1), ...shape]);
  const merged: number[][] = shapes.map(() => []);
  let before: string | undefined;
  full.forEach((extent, axis) => {
    if (extent === 1) return;
    const pattern = aligned.map((shape) => (shape[axis] === 1 ? "1" : "n")).join("");
    aligned.forEach((shape, i) => {
      const list = merged[i] as number[]; // a list per shape
      const own = shape[axis] as number; // aligned shapes have the full rank
      if (pattern === before) list.push((list.pop() as number) * own);
      else list.push(own);
    });
    before = pattern;
  });
  return merged;
}
