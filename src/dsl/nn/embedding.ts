/**
 * Embedding tables E [count, width]: rows by id, and the same table as a linear map of points of R^count,
 * under which the id i is the i-th unit vector. Flow language models feed the network such points.
 */
import type { Key } from "../random/bits.ts";
import { gather } from "../surface/indexing.ts";
import { matmul } from "../surface/linear-algebra.ts";
import { fail, traced } from "../surface/operand.ts";
import type {
  ArgumentDType,
  BinaryDType,
  Dim,
  DTypeOf,
  Gather,
  MatMul,
  Result,
  ShapeOf,
  Tensor,
  Valid,
} from "../types/index.ts";
import * as initializers from "./initializers.ts";
import type { Initializer } from "./initializers.ts";

/** Parameters of an embedding. */
export interface EmbeddingParams<E extends Tensor = Tensor> {
  /** [count, width]. */
  readonly embedding: E;
}

/** What ids must be: whoever has floats has points. */
const IDS = "i32 (embedPoints takes points)";

/**
 * Rows of the table: ids [...] (i32; clamped to the table) -> [..., width].
 * @throws OpError when the ids are not i32
 */
export function embed<E extends Tensor, I extends Tensor>(
  params: EmbeddingParams<E>,
  ids: Valid<
    I,
    Gather<ShapeOf<E>, ShapeOf<I>> | ArgumentDType<"embed", "ids", DTypeOf<I>, "i32", typeof IDS>
  >,
): Result<Gather<ShapeOf<E>, ShapeOf<I>>, DTypeOf<E>> {
  const { dtype } = traced("embed", ids);
  if (dtype !== "i32") fail(`embed: ids must be ${IDS}, got ${dtype}`);
  const row: (table: Tensor, at: Tensor) => Tensor = gather; // the rules are those of this signature
  return row(params.embedding, ids as Tensor) as Result<Gather<ShapeOf<E>, ShapeOf<I>>, DTypeOf<E>>;
}

/** Points through the table: x [..., count] -> x·E [..., width]; x has rank 2 or more. */
export function embedPoints<E extends Tensor, X extends Tensor>(
  params: EmbeddingParams<E>,
  x: Valid<X, MatMul<ShapeOf<X>, ShapeOf<E>> | BinaryDType<"embedPoints", DTypeOf<X>, DTypeOf<E>>>,
): Result<MatMul<ShapeOf<X>, ShapeOf<E>>, BinaryDType<"embedPoints", DTypeOf<X>, DTypeOf<E>>> {
  const product: (a: Tensor, b: Tensor) => Tensor = matmul; // the rules are those of this signature
  return product(x as Tensor, params.embedding) as Result<
    MatMul<ShapeOf<X>, ShapeOf<E>>,
    BinaryDType<"embedPoints", DTypeOf<X>, DTypeOf<E>>
  >;
}

export interface EmbeddingOptions<Count extends Dim, Width extends Dim> {
  readonly count: Count;
  readonly width: Width;
  /** Standard normal by default, as in PyTorch. */
  readonly init?: Initializer;
}

/** A table of `count` rows. */
export function initEmbedding<const Count extends Dim, const Width extends Dim>(
  key: Key,
  { count, width, init = initializers.normal(1) }: EmbeddingOptions<Count, Width>,
): { readonly embedding: Tensor<[Count, Width], "f32"> } {
  return { embedding: init(key, [count, width]) };
}
