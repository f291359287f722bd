/**
 * Identities of the ops that move elements: what does nothing goes away, two moves become one, a move of a uniform tensor is a
 * uniform tensor. Consumed by simplify.ts, whose header states the contract.
 */
import { sameShape, sizeOf } from "../../dsl/program/program.ts";
import type { OpParams, VarId } from "../../dsl/program/program.ts";
import { isInteger } from "../../dsl/types/dtype.ts";
import type { Rewriter } from "./rewrite.ts";
import type { SimplifyRule, SimplifyRules } from "./simplify-rule.ts";

type Mover = "broadcast" | "reshape" | "transpose" | "slice" | "gather" | "reduceMax";

const all = (numbers: readonly number[], value: number): boolean => numbers.every((n) => n === value);
const ascending = (numbers: readonly number[]): boolean =>
  numbers.every((n, i) => i === 0 || n > (numbers[i - 1] as number));
const at = (numbers: readonly number[], i: number): number => numbers[i] as number; // lists of one rank index each other
const shapeOf = (r: Rewriter, id: VarId): readonly number[] => r.typeOf(id).shape;

/** A rule for an op whose result holds only elements of its first operand: first tries whether that is uniform. */
function moving<K extends Mover>(
  shape: (r: Rewriter, inputs: readonly VarId[], params: OpParams[K]) => readonly number[],
  rule: SimplifyRule<K>,
): SimplifyRule<K> {
  return (equation, r) => {
    const x = equation.inputs[0] as VarId; // movers have an operand
    const value = r.uniform(x);
    if (value === undefined) return rule(equation, r);
    const type = { shape: shape(r, equation.inputs, equation.params), dtype: r.typeOf(x).dtype };
    return [sameShape(type.shape, shapeOf(r, x)) ? x : r.fill(type, value, equation)];
  };
}

const sliceShape = ({ start, stop, step }: OpParams["slice"]): number[] =>
  start.map((from, i) => Math.ceil((at(stop, i) - from) / at(step, i)));

const broadcast: SimplifyRule<"broadcast"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { shape, dims } = equation.params;
  if (sameShape(shapeOf(r, x), shape)) return [x]; // equal ranks and increasing dims: every axis is its own
  const inner = r.defined(x, "broadcast");
  if (inner === undefined) return undefined;
  // An axis that the inner one stretched from 1 keeps its extent in the outer one, or was 1 there.
  return [
    r.one(
      "broadcast",
      inner.inputs,
      { shape, dims: inner.params.dims.map((dim) => at(dims, dim)) },
      equation,
    ),
  ];
};

const reshape: SimplifyRule<"reshape"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { shape } = equation.params;
  if (sameShape(shapeOf(r, x), shape)) return [x];
  const inner = r.defined(x, "reshape");
  return inner === undefined ? undefined : [r.one("reshape", inner.inputs, { shape }, equation)];
};

const transpose: SimplifyRule<"transpose"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { perm } = equation.params;
  if (ascending(perm)) return [x];
  const inner = r.defined(x, "transpose");
  if (inner !== undefined)
    return [
      r.one("transpose", inner.inputs, { perm: perm.map((axis) => at(inner.params.perm, axis)) }, equation),
    ];
  const stretched = r.defined(x, "broadcast");
  if (stretched === undefined) return undefined;
  // The transpose of a broadcast is a broadcast when the axes that were there keep their order.
  const dims = stretched.params.dims.map((dim) => perm.indexOf(dim));
  return ascending(dims)
    ? [
        r.one(
          "broadcast",
          stretched.inputs,
          { shape: perm.map((axis) => at(stretched.params.shape, axis)), dims },
          equation,
        ),
      ]
    : undefined;
};

const slice: SimplifyRule<"slice"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { start, stop, step } = equation.params;
  const shape = sliceShape(equation.params);
  if (sameShape(shape, shapeOf(r, x))) return [x];
  const inner = r.defined(x, "slice");
  if (inner !== undefined) {
    // Where nothing is taken, the product of steps might point outside.
    const from = start.map((s, i) =>
      at(shape, i) === 0 ? 0 : at(inner.params.start, i) + s * at(inner.params.step, i),
    );
    const by = step.map((s, i) => s * at(inner.params.step, i));
    // Stops just behind the last element taken, which lies within the inner slice.
    const to = from.map((f, i) => (at(shape, i) === 0 ? f : f + (at(shape, i) - 1) * at(by, i) + 1));
    return [r.one("slice", inner.inputs, { start: from, stop: to, step: by }, equation)];
  }
  const joined = r.defined(x, "concat");
  if (joined !== undefined) {
    const { axis } = joined.params;
    let offset = 0;
    for (const part of joined.inputs) {
      const extent = at(shapeOf(r, part), axis);
      if (at(start, axis) >= offset && at(stop, axis) <= offset + extent) {
        const moved = (bounds: readonly number[]): number[] =>
          bounds.map((bound, i) => (i === axis ? bound - offset : bound));
        return [r.one("slice", [part], { start: moved(start), stop: moved(stop), step }, equation)];
      }
      offset += extent;
    }
    return undefined;
  }
  const padded = r.defined(x, "pad");
  if (padded === undefined || !all(padded.params.interior, 0)) return undefined;
  // Only elements of the padded tensor are taken.
  const source = padded.inputs[0] as VarId;
  const { low } = padded.params;
  const within = start.every(
    (from, i) => from >= at(low, i) && at(stop, i) <= at(low, i) + at(shapeOf(r, source), i),
  );
  const moved = (bounds: readonly number[]): number[] => bounds.map((bound, i) => bound - at(low, i));
  return within
    ? [r.one("slice", [source], { start: moved(start), stop: moved(stop), step }, equation)]
    : undefined;
};

const pad: SimplifyRule<"pad"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { low, high, interior } = equation.params;
  const dims = shapeOf(r, x);
  if (all(low, 0) && all(high, 0) && interior.every((gap, i) => gap === 0 || at(dims, i) <= 1)) return [x];
  const inner = r.defined(x, "pad");
  if (inner === undefined || !all(interior, 0)) return undefined;
  const sum = (a: readonly number[], b: readonly number[]): number[] => a.map((n, i) => n + at(b, i));
  return [
    r.one(
      "pad",
      inner.inputs,
      {
        low: sum(low, inner.params.low),
        high: sum(high, inner.params.high),
        interior: inner.params.interior,
      },
      equation,
    ),
  ];
};

const concat: SimplifyRule<"concat"> = (equation, r) => {
  const { axis } = equation.params;
  const parts = equation.inputs.filter((part) => at(shapeOf(r, part), axis) !== 0);
  // Concats of concats along one axis are one.
  const flat = parts.flatMap((part) => {
    const inner = r.defined(part, "concat");
    return inner?.params.axis === axis ? inner.inputs : [part];
  });
  if (flat.length === 1) return flat;
  if (flat.length === 0) return equation.inputs.slice(0, 1);
  return flat.length === equation.inputs.length ? undefined : [r.one("concat", flat, { axis }, equation)];
};

const reduceMax: SimplifyRule<"reduceMax"> = (equation, r) => {
  const x = equation.inputs[0] as VarId;
  const { axes } = equation.params;
  if (axes.length === 0) return [x];
  const dims = shapeOf(r, x);
  const kept = dims.map((_, i) => i).filter((i) => !axes.includes(i));
  if (axes.every((axis) => dims[axis] === 1))
    return [r.one("reshape", [x], { shape: kept.map((i) => at(dims, i)) }, equation)];
  const inner = r.defined(x, "reduceMax");
  if (inner === undefined) return undefined;
  const source = inner.inputs[0] as VarId;
  const left = shapeOf(r, source)
    .map((_, i) => i)
    .filter((i) => !inner.params.axes.includes(i));
  return [
    r.one(
      "reduceMax",
      [source],
      { axes: [...inner.params.axes, ...axes.map((axis) => at(left, axis))].sort((a, b) => a - b) },
      equation,
    ),
  ];
};

export const STRUCTURAL_RULES = {
  broadcast: moving((_r, _inputs, { shape }) => shape, broadcast),
  reshape: moving((_r, _inputs, { shape }) => shape, reshape),
  transpose: moving((r, [x], { perm }) => perm.map((axis) => at(shapeOf(r, x as VarId), axis)), transpose),
  slice: moving((_r, _inputs, params) => sliceShape(params), slice),
  gather: moving(
    (r, [x, indices], { axis, batchDims }) => [
      ...shapeOf(r, x as VarId).slice(0, axis),
      ...shapeOf(r, indices as VarId).slice(batchDims),
      ...shapeOf(r, x as VarId).slice(axis + 1),
    ],
    () => undefined,
  ),
  reduceMax: moving(
    (r, [x], { axes }) => shapeOf(r, x as VarId).filter((_, i) => !axes.includes(i)),
    reduceMax,
  ),
  pad,
  concat,
  reduceSum: (equation, r) => {
    const x = equation.inputs[0] as VarId;
    const { axes } = equation.params;
    if (axes.length === 0) return [x];
    const { shape, dtype } = r.typeOf(x);
    // One float alone is not its own sum when it is −0; integers are.
    if (!isInteger(dtype) || !axes.every((axis) => shape[axis] === 1)) return undefined;
    return [r.one("reshape", [x], { shape: shape.filter((_, i) => !axes.includes(i)) }, equation)];
  },
  cumsum: (equation, r) => {
    const x = equation.inputs[0] as VarId;
    const { shape, dtype } = r.typeOf(x);
    return isInteger(dtype) && at(shape, equation.params.axis) <= 1 ? [x] : undefined;
  },
  scatterAdd: (equation, r) =>
    sizeOf(shapeOf(r, equation.inputs[2] as VarId)) === 0 ? equation.inputs.slice(0, 1) : undefined,
} as const satisfies SimplifyRules;
