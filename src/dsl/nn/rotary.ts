/**
 * Rotary positions (Su et al. 2021): coordinate i of a head is rotated together with coordinate i + depth/2
 * by an angle that is proportional to the position, so that scores q·k depend on the distance of two
 * positions only.
 */
import { OpError } from "../ops/definition.ts";
import { customVjp } from "../surface/control.ts";
import { constant } from "../surface/create.ts";
import type { TracedTensor } from "../trace/builder.ts";
import { blaming, fail, stretch, traced, typed } from "../surface/operand.ts";
import * as prim from "../trace/prim.ts";
import { sizeOfDim } from "../trace/sizes.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";

type T = TracedTensor;

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

/** Rotates x [..., length, depth] by the tables' angles, or back. */
function rotate(x: T, cos: T, sin: T, direction: 1 | -1): T {
  const last = x.shape.length - 1;
  const depth = x.shape[last] as number;
  const [a, b] = [prim.sliceAxis(x, last, 0, depth / 2), prim.sliceAxis(x, last, depth / 2, depth)];
  const [c, s] = [stretch(cos, a.shape), stretch(sin, a.shape)];
  const [plus, minus] = direction === 1 ? [prim.add, prim.sub] : [prim.sub, prim.add];
  return prim.concat([minus(prim.mul(a, c), prim.mul(b, s)), plus(prim.mul(b, c), prim.mul(a, s))], last);
}

/** A rotation, whose transpose is the rotation back; derived, it would pad and add the two halves. */
const rotation = customVjp(
  (x: Tensor, cos: Tensor, sin: Tensor): Tensor =>
    typed(rotate(traced("rotary", x), traced("rotary", cos), traced("rotary", sin), 1)),
  (x: Tensor, cos: Tensor, sin: Tensor) => {
    const tables: RotaryTables = { cos, sin };
    const rotated: Tensor = typed(
      rotate(traced("rotary", x), traced("rotary", cos), traced("rotary", sin), 1),
    );
    return [rotated, tables] as const;
  },
  ({ cos, sin }, cotangent) => {
    const [c, s] = [traced("rotary", cos), traced("rotary", sin)];
    // Tables are positions, not parameters: nothing flows back to them.
    return [
      typed(rotate(traced("rotary", cotangent), c, s, -1)),
      typed(prim.zeros(c)),
      typed(prim.zeros(s)),
    ] as const;
  },
);

/**
 * Rotates x [..., length, depth] by the angles of its positions. The tables are not differentiated.
 * @throws OpError when the tables are for another length or depth
 */
export function applyRotary<X extends Tensor>(tables: RotaryTables, x: X): Tensor<ShapeOf<X>, DTypeOf<X>> {
  return blaming(() => {
    const t = traced("applyRotary", x);
    const [length, depth] = t.shape.slice(-2) as [number, number];
    const [cos, sin] = [tables.cos, tables.sin].map((table) => {
      const values = traced("applyRotary", table);
      if (t.shape.length < 2 || values.shape.join() !== [length, depth / 2].join()) {
        throw new OpError(
          `applyRotary: tables [${values.shape.join(",")}] are not for [..., length, depth] = [${t.shape.join(",")}]; depth is twice the tables' width`,
        );
      }
      return typed<Tensor>(prim.cast(values, t.dtype));
    }) as [Tensor, Tensor];
    return typed(traced("applyRotary", rotation(x as Tensor, cos, sin)));
  });
}
