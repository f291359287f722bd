/**
 * The value of one element of an op's result as an expression over elements of its operands: for the ops that move or combine elements
 * one by one. What has a rule here costs no kernel of its own: it is computed where it is used.
 *
 * Consumed by the kernel writer. To make an op pointwise: its name in `POINTWISE_OPS`, its rule in the table.
 */
import { decodeScalar, sizeOf } from "../../dsl/program/program.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../../dsl/program/program.ts";
import type { BinaryOp, OpKind, OpParams, TensorType, UnaryOp, VarId } from "../../dsl/program/program.ts";
import {
  below,
  binary,
  both,
  cast,
  extent as literalSize,
  index as literalIndex,
  literal,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
  unary,
} from "../kernel/builder.ts";
import type { KernelBuilder } from "../kernel/builder.ts";
import { scalarOf } from "../kernel/ir.ts";
import type { Expr } from "../kernel/ir.ts";
import { coordinates, digit, flat, keepsOrder, runsOf, split } from "./coordinates.ts";
import type { Index } from "./coordinates.ts";

export const POINTWISE_OPS = [
  ...UNARY_OPS, ...ARITHMETIC_OPS, ...COMPARE_OPS, "select", "cast", "constant", "iota", "broadcast", "reshape", "transpose",
  "slice", "pad", "concat", "gather", "threefry", "stopGradient",
] as const satisfies readonly OpKind[]; // prettier-ignore
export type PointwiseOp = (typeof POINTWISE_OPS)[number];

const NAMES: ReadonlySet<string> = new Set(POINTWISE_OPS);
export const isPointwise = (op: OpKind): op is PointwiseOp => NAMES.has(op);

/** What a rule may ask for. */
export interface PointwiseContext {
  readonly builder: KernelBuilder;
  /** Element of a variable. */
  value(id: VarId, index: Index): Expr;
  typeOf(id: VarId): TensorType;
  /** Element of the values of a constant that is a list, by its output. */
  listed(id: VarId, index: Index): Expr;
}

/** Elements of an equation's outputs at one index. */
type Rule<K extends OpKind> = (
  context: PointwiseContext,
  inputs: readonly VarId[],
  params: OpParams[K],
  index: Index,
  outputs: readonly VarId[],
) => readonly Expr[];

const table = <K extends string, R>(ops: readonly K[], rule: (op: K) => R): Record<K, R> =>
  Object.fromEntries(ops.map((op) => [op, rule(op)])) as Record<K, R>; // the keys are the list

const first = (inputs: readonly VarId[]): VarId => inputs[0] as VarId; // counts are verified

const elementwise =
  <K extends OpKind>(combine: (...operands: Expr[]) => Expr): Rule<K> =>
  ({ value }, inputs, _params, index) => [combine(...inputs.map((id) => value(id, index)))];

/** An index from the parts of the runs of axes, some of them changed. */
const joined = (parts: readonly Index[]): Index => parts.flat();

const zero = (type: TensorType): Expr => literal(scalarOf(type.dtype), 0);

/** The index below an extent, whatever the expression is. */
const clamped = (inside: Expr, value: Expr): Expr => select(inside, value, literalIndex(0));

const broadcast: Rule<"broadcast"> = ({ builder, value, typeOf }, inputs, { shape, dims }, index) => {
  const from = typeOf(first(inputs)).shape;
  const kept = (axis: number): boolean => {
    const source = dims.indexOf(axis);
    return source >= 0 && (from[source] as number) !== 1;
  };
  const runs = runsOf(shape, kept);
  const parts = split(
    builder,
    index,
    runs.map(({ size }) => size),
  );
  return [value(first(inputs), joined(parts.filter((_, i) => runs[i]?.kind === true)))];
};

const transpose: Rule<"transpose"> = ({ builder, value, typeOf }, inputs, { perm }, index) => {
  const from = typeOf(first(inputs)).shape;
  if (keepsOrder(from, perm)) return [value(first(inputs), index)];
  const parts = split(
    builder,
    index,
    perm.map((axis) => from[axis] as number),
  );
  return [value(first(inputs), joined(from.map((_, axis) => parts[perm.indexOf(axis)] as Index)))];
};

/** Rearranges the axes for which `changed` holds, one by one, and leaves the runs between them as they are. */
function alongAxes(
  builder: KernelBuilder,
  index: Index,
  shape: readonly number[],
  changed: (axis: number) => boolean,
  change: (axis: number, coordinate: Expr) => Index,
): Index {
  const runs = runsOf(shape, (axis) => (changed(axis) ? axis : -1));
  // An axis of extent 1 that joined a run may need a change as well: those runs are taken apart.
  const pieces = runs.flatMap((run) =>
    run.axes.some(changed)
      ? run.axes.map((axis) => ({ axis, size: shape[axis] as number }))
      : [{ axis: -1, size: run.size }],
  );
  const parts = split(
    builder,
    index,
    pieces.map(({ size }) => size),
  );
  return pieces.flatMap(({ axis }, i) => {
    const part = parts[i] as Index; // split gives one for each
    return axis < 0 || !changed(axis) ? part : change(axis, flat(builder, part));
  });
}

const slice: Rule<"slice"> = ({ builder, value, typeOf }, inputs, { start, stop, step }, index) => {
  const from = typeOf(first(inputs)).shape;
  const shape = from.map((_, i) =>
    Math.ceil(((stop[i] as number) - (start[i] as number)) / (step[i] as number)),
  );
  const inner = alongAxes(
    builder,
    index,
    shape,
    (axis) => shape[axis] !== from[axis],
    (axis, at) =>
      digit(
        builder,
        plus(times(at, literalIndex(step[axis] as number)), literalSize(start[axis] as number)),
        from[axis] as number,
      ),
  );
  return [value(first(inputs), inner)];
};

const pad: Rule<"pad"> = ({ builder, value, typeOf }, inputs, { low, high, interior }, index) => {
  const type = typeOf(first(inputs));
  if (sizeOf(type.shape) === 0) return [zero(type)];
  const spread = type.shape.map((extent, i) => (extent - 1) * ((interior[i] as number) + 1) + 1);
  const shape = spread.map((extent, i) => extent + (low[i] as number) + (high[i] as number));
  let inside: Expr = literal("bool", 1);
  const inner = alongAxes(
    builder,
    index,
    shape,
    (axis) => shape[axis] !== type.shape[axis],
    (axis, at) => {
      const [before, gap] = [low[axis] as number, (interior[axis] as number) + 1];
      let here = before > 0 ? binary("lessEqual", literalSize(before), at) : literal("bool", 1);
      if ((high[axis] as number) > 0)
        here = both(here, below(at, literalSize(before + (spread[axis] as number))));
      const offset = minus(at, literalSize(before)); // wraps where it is not used
      if (gap > 1) here = both(here, binary("equal", modulo(offset, literalIndex(gap)), literalIndex(0)));
      const bound = builder.let(here);
      inside = both(inside, bound);
      return digit(builder, clamped(bound, over(offset, literalIndex(gap))), type.shape[axis] as number);
    },
  );
  const element = value(first(inputs), inner);
  return [select(inside, element, zero(type))];
};

const concat: Rule<"concat"> = ({ builder, value, typeOf }, inputs, { axis }, index, outputs) => {
  const { shape, dtype } = typeOf(first(outputs));
  const parts = split(builder, index, [
    sizeOf(shape.slice(0, axis)),
    shape[axis] as number,
    sizeOf(shape.slice(axis + 1)),
  ]) as readonly [Index, Index, Index]; // one for each of the three
  const at = flat(builder, parts[1]);
  let result: Expr | undefined;
  let end = shape[axis] as number;
  for (const id of inputs.toReversed()) {
    const extent = typeOf(id).shape[axis] as number;
    const start = end - extent;
    if (extent > 0) {
      const offset = minus(at, literalSize(start));
      const inside = builder.let(
        both(
          start > 0 ? binary("lessEqual", literalSize(start), at) : literal("bool", 1),
          end < (shape[axis] as number) ? below(at, literalSize(end)) : literal("bool", 1),
        ),
      );
      const element = value(id, [
        ...parts[0],
        ...digit(builder, clamped(inside, offset), extent),
        ...parts[2],
      ]);
      result = result === undefined ? element : select(inside, element, result);
    }
    end = start;
  }
  return [result ?? literal(scalarOf(dtype), 0)];
};

const gather: Rule<"gather"> = ({ builder, value, typeOf }, inputs, { axis, batchDims }, index) => {
  const [operand, indices] = inputs as readonly [VarId, VarId];
  const [{ shape }, picks] = [typeOf(operand), typeOf(indices).shape];
  const extent = shape[axis] as number;
  const [batch, middle, picked, inner] = split(builder, index, [
    sizeOf(shape.slice(0, batchDims)),
    sizeOf(shape.slice(batchDims, axis)),
    sizeOf(picks.slice(batchDims)),
    sizeOf(shape.slice(axis + 1)),
  ]) as readonly [Index, Index, Index, Index]; // one for each
  const pick = builder.let(value(indices, [...batch, ...picked]));
  const limited = binary("min", binary("max", pick, literal("i32", 0)), literal("i32", extent - 1));
  const row = digit(builder, cast("u32", limited), extent);
  return [value(operand, [...batch, ...middle, ...row, ...inner])];
};

export const POINTWISE = {
  ...table(UNARY_OPS, (op: UnaryOp): Rule<UnaryOp> => elementwise((x) => unary(op, x as Expr))),
  ...table([...ARITHMETIC_OPS, ...COMPARE_OPS], (op: BinaryOp): Rule<BinaryOp> =>
    elementwise((x, y) => binary(op, x as Expr, y as Expr)),
  ),
  select: elementwise((condition, x, y) => select(condition as Expr, x as Expr, y as Expr)),
  cast: ({ value, typeOf }, inputs, { dtype }, index) => {
    const x = value(first(inputs), index);
    const from = typeOf(first(inputs)).dtype;
    return [from === dtype ? x : cast(scalarOf(dtype), x)];
  },
  constant: ({ listed }, _inputs, { dtype, values }, index, outputs) => [
    typeof values === "object"
      ? listed(first(outputs), index)
      : literal(scalarOf(dtype), decodeScalar(values)),
  ],
  iota: ({ builder }, _inputs, { shape, dtype, axis }, index) => [
    cast(scalarOf(dtype), coordinates(builder, index, shape)[axis] as Expr),
  ],
  broadcast,
  reshape: ({ value }, inputs, _params, index) => [value(first(inputs), index)],
  transpose,
  slice,
  pad,
  concat,
  gather,
  threefry: ({ builder, value }, inputs, _params, index) => {
    const [k0, k1, x0, x1] = inputs.map((id) => value(id, index)) as [Expr, Expr, Expr, Expr];
    const names = [builder.fresh("r"), builder.fresh("r")] as const;
    builder.emit({ kind: "threefry", names, key: [k0, k1], counter: [x0, x1] });
    return names.map((name): Expr => ({ kind: "name", type: "u32", name }));
  },
  stopGradient: ({ value }, inputs, _params, index) => [value(first(inputs), index)],
} as const satisfies { [K in PointwiseOp]: Rule<K> };
