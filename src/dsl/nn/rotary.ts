/**
 * Rotary positions (Su et al. 2021): coordinate i of a head is rotated together with coordinate i + depth/2
 * by an angle that is proportional to the position, so that scores q·k depend on the distance of two
 * positions only.
 */
import { OpError } from "../ops/definition.ts";
import { constant } from "../surface/create.ts";
import { blaming, fail, stretch, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";

/** Cosines and sines of every position and frequency, each [length, depth/2]. */
export interface RotaryTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

export interface RotaryOptions {
  /** Number of positions, which start at 0. */
  readonly length: Dim;
  /** Width of one head; even. */
  readonly depth: Dim;
  /** Frequency i is base^(−2i/depth); 10 000 by default. */
  readonly base?: number;
}

/**
 * The tables for positions 0 … length − 1. Constants, computed here in double precision: f32 angles of late
 * positions would be off by 1e-4. Make them once per network, not once per layer.
 * @throws OpError when the depth is odd
 */
export function rotaryTables({ length, depth, base = 10_000 }: RotaryOptions): RotaryTables {
  const [positions, width] = blaming(() => [sizeOfDim(length), sizeOfDim(depth)] as const);
  if (width % 2 !== 0) fail(`rotaryTables: the depth of a head must be even, got ${width}`);
  const half = width / 2;
  const angles = Float64Array.from(
    { length: positions * half },
    (_, n) => Math.floor(n / half) * base ** (-(n % half) / half),
  );
  const shape = [positions, half] as const;
  return { cos: constant(angles.map(Math.cos), shape), sin: constant(angles.map(Math.sin), shape) };
}

/**
 * Rotates x [..., length, depth] by the angles of its positions.
 * @throws OpError when the tables are for another length or depth
 */
export function applyRotary<X extends Tensor>(tables: RotaryTables, x: X): Tensor<ShapeOf<X>, DTypeOf<X>> {
  return blaming(() => {
    const t = traced("applyRotary", x);
    const [length, depth] = t.shape.slice(-2) as [number, number];
    const half = depth / 2;
    const shape = [...t.shape.slice(0, -1), half];
    const [cos, sin] = [tables.cos, tables.sin].map((table) => {
      const values = traced("applyRotary", table);
      if (t.shape.length < 2 || values.shape.join() !== [length, half].join()) {
        throw new OpError(
          `applyRotary: tables [${values.shape.join(",")}] are not for [..., length, depth] = [${t.shape.join(",")}]; depth is twice the tables' width`,
        );
      }
      return stretch(prim.cast(values, t.dtype), shape);
    }) as [ReturnType<typeof traced>, ReturnType<typeof traced>];
    const last = t.shape.length - 1;
    const [a, b] = [prim.sliceAxis(t, last, 0, half), prim.sliceAxis(t, last, half, depth)];
    const rotated = [
      prim.sub(prim.mul(a, cos), prim.mul(b, sin)),
      prim.add(prim.mul(b, cos), prim.mul(a, sin)),
    ];
    return typed(prim.concat(rotated, last));
  });
}
