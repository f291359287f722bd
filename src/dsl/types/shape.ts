// Dimensions and shapes, when two dimensions agree, and how both are written in messages.
// Consumed by: every rule in this folder.
// The convention throughout: a wide dim (`number`, `string`) or a shape that is no fixed tuple is unknown; it
// agrees with everything at compile time and is checked when the function is traced. Rules give `number` for
// a size that they cannot compute and `Shape` for a rank that they cannot compute.

/** A size, or the name of a size that is bound when the function is compiled. */
export type Dim = number | string;

/** Sizes of the axes, outermost first. `[]` is a scalar. */
export type Shape = readonly Dim[];

/** True where the size is unknown even up to its name. */
export type IsWideDim<D extends Dim> = number extends D ? true : string extends D ? true : false;

/** The dim that both are: the better known one where they agree or may agree, `never` where they differ. */
export type SameDim<A extends Dim, B extends Dim> = A extends B
  ? A
  : B extends A
    ? B
    : IsWideDim<A> extends true
      ? B
      : IsWideDim<B> extends true
        ? A
        : never;

/** A dim as text: 64, "batch", or ? where unknown. */
export type ShowDim<D extends Dim> = number extends D
  ? "?"
  : string extends D
    ? "?"
    : D extends string
      ? `"${D}"`
      : `${D}`;

/** Two dims that differ, as text: 64 vs 63. */
export type ShowDims<A extends Dim, B extends Dim> = `${ShowDim<A>} vs ${ShowDim<B>}`;

/** A shape as text: ["batch", 64]. */
export type ShowShape<S extends Shape, Text extends string = ""> = number extends S["length"]
  ? "[...]"
  : S extends readonly [infer D extends Dim, ...infer Rest extends Shape]
    ? ShowShape<Rest, Text extends "" ? ShowDim<D> : `${Text}, ${ShowDim<D>}`>
    : `[${Text}]`;

/** Two shapes as text: [2, 3] and [4]. */
export type ShowShapes<A extends Shape, B extends Shape> = `${ShowShape<A>} and ${ShowShape<B>}`;
