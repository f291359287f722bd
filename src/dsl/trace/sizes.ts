/**
 * Named dimensions: the sizes that names are bound to while a function is traced.
 * Consumed by the surface wherever a shape is written, so that `reshape(x, ["batch", 4, 16])` works.
 */
import { OpError } from "../ops/definition.ts";
import type { Dim } from "../types/index.ts";

export type Sizes = Readonly<Record<string, number>>;

let current: Sizes = {};

/** Runs `body` with names bound to `sizes` (on top of those bound already). */
export function withSizes<R>(sizes: Sizes, body: () => R): R {
  const saved = current;
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw new OpError(`dimension "${name}" is bound to ${size}; it must be a whole number >= 0`);
  }
  current = { ...saved, ...sizes };
  try {
    return body();
  } finally {
    current = saved;
  }
}

/** The size of a dimension. @throws OpError when its name is not bound. */
export function sizeOfDim(dim: Dim): number {
  if (typeof dim === "number") return dim;
  const size = current[dim];
  if (size === undefined) {
    const known = Object.keys(current);
    throw new OpError(
      `dimension "${dim}" has no size; ${known.length === 0 ? "no names are bound" : `bound are ${known.map((name) => `"${name}"`).join(", ")}`}`,
    );
  }
  return size;
}

export const sizesOfShape = (shape: readonly Dim[]): readonly number[] => shape.map(sizeOfDim);
