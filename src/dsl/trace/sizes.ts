/**
 * Named dimensions: the sizes that names are bound to while a function is traced.
 * Consumed by the surface wherever a shape is written, so that `reshape(x, ["batch", 4, 16])` works.
 */
import { OpError } from "../ops/definition.ts";
import type { Dim } from "../types/index.ts";

export type Sizes = Readonly<Record<string, number>>;

/** One layer of bindings, over those that were in force before. */
interface Scope {
  readonly sizes: ReadonlyMap<string, number>;
  /** Names that were looked up and found here. */
  readonly asked: Set<string>;
  readonly outer: Scope | undefined;
}

let current: Scope | undefined;

/**
 * Runs `body` with names bound to `sizes` (on top of those bound already). The body may call `asked` for the names among them that
 * were looked up so far.
 */
export function withSizes<R>(sizes: Sizes, body: (asked: () => readonly string[]) => R): R {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw new OpError(`dimension "${name}" is bound to ${size}; it must be a whole number >= 0`);
  }
  const saved = current;
  const scope: Scope = { sizes: new Map(Object.entries(sizes)), asked: new Set(), outer: saved };
  current = scope;
  try {
    return body(() => [...scope.asked]);
  } finally {
    current = saved;
  }
}

/** The size of a dimension. @throws OpError when its name is not bound. */
export function sizeOfDim(dim: Dim): number {
  if (typeof dim === "number") return dim;
  const known = new Set<string>();
  for (let scope = current; scope !== undefined; scope = scope.outer) {
    const size = scope.sizes.get(dim);
    if (size !== undefined) {
      scope.asked.add(dim);
      return size;
    }
    for (const name of scope.sizes.keys()) known.add(name);
  }
  throw new OpError(
    `dimension "${dim}" has no size; ${known.size === 0 ? "no names are bound" : `bound are ${quoted(known)}`}`,
  );
}

/** Names as they stand in messages: `"batch", "in"`. */
export const quoted = (names: Iterable<string>): string =>
  Array.from(names, (name) => `"${name}"`).join(", ");

export const sizesOfShape = (shape: readonly Dim[]): readonly number[] => shape.map(sizeOfDim);
