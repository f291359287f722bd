/**
 * Splitting an axis, the inverse of concat.
 */
import * as prim from "../trace/prim.ts";
import type { DTypeOf, Shape, Tensor } from "../types/index.ts";
import { customVjp } from "./control.ts";
import { axisOf, fail, traced, typed } from "./operand.ts";

/** Equal parts of an axis; transposed into one concat, where the transposes of slices would pad and add. */
const parted = (parts: number, axis: number): ((x: Tensor) => readonly Tensor[]) => {
  const apart = (x: Tensor): readonly Tensor[] => {
    const t = traced("split", x);
    const size = (t.shape[axis] as number) / parts;
    return prim.range(parts).map((i) => typed(prim.sliceAxis(t, axis, i * size, (i + 1) * size)));
  };
  return customVjp(
    apart,
    (x: Tensor) => [apart(x), [] as readonly Tensor[]] as const,
    (_nothing, cotangents) =>
      [
        typed<Tensor>(
          prim.concat(
            cotangents.map((part) => traced("split", part)),
            axis,
          ),
        ),
      ] as const,
  );
};

/**
 * Splits one axis into equal parts.
 * @throws OpError when the size does not divide by the number of parts
 */
export function split<T extends Tensor>(
  x: T,
  parts: number,
  axis = -1,
): readonly Tensor<Shape, DTypeOf<T>>[] {
  const t = traced("split", x);
  const at = axisOf("split", axis, t.shape.length);
  const extent = t.shape[at] as number;
  if (!Number.isInteger(parts) || parts < 1)
    fail(`split: the number of parts must be a whole number >= 1, got ${parts}`);
  if (extent % parts !== 0) fail(`split: axis ${at} of size ${extent} does not divide into ${parts} parts`);
  return parted(parts, at)(x as Tensor) as readonly Tensor<Shape, DTypeOf<T>>[];
}
