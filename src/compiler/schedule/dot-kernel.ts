/**
 * The kernels of a dot group: the operands as index expressions over whatever they are views of, and the pointwise nodes that follow
 * computed from each element before it is stored. Consumed by `schedule.ts`.
 */
import { freeAxes } from "../../dsl/ops/reduction.ts";
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { DotParams, TensorType, VarId } from "../../dsl/program/program.ts";
import { extent, index, plus } from "../kernel/builder.ts";
import type { Expr, QuadParts } from "../kernel/ir.ts";
import type { BufferId, TargetLimits } from "../kernel/plan.ts";
import { digit, split } from "./coordinates.ts";
import type { Index } from "./coordinates.ts";
import { DOT_SUM_LANES, chooseDot, slicesType, writeDot, writeDotSlices, writeDotSum } from "./dot/dot.ts";
import type { DotConfig } from "./dot/dot.ts";
import type {
  DotLayout,
  DotOperands,
  DotShape,
  DotStore,
  DotStoreQuad,
  OperandQuads,
} from "./dot/problem.ts";
import { workgroupsFor } from "./elements.ts";
import type { Group, Member } from "./groups.ts";
import { KernelWriter, kernelName } from "./kernel-writer.ts";
import type { Location, Scope } from "./kernel-writer.ts";
import { contiguousAxis, hasQuads, isReadAsStored, keepsQuads, liesInQuads } from "./layout.ts";
import type { LaidOut } from "./map-kernel.ts";

/** One operand: its variable, and its axes by the part that they play. */
interface Side {
  readonly id: VarId;
  readonly shape: readonly number[];
  readonly batch: readonly number[];
  readonly free: readonly number[];
  readonly contract: readonly number[];
}

function sidesOf(scope: Scope, inputs: readonly VarId[], params: DotParams): readonly [Side, Side] {
  const side = (id: VarId, batch: readonly number[], contract: readonly number[]): Side => {
    const { shape } = typeOf(scope.program, id);
    return { id, shape, batch, contract, free: freeAxes(shape.length, batch, contract) };
  };
  const [left, right] = inputs as readonly [VarId, VarId];
  return [side(left, params.lhsBatch, params.lhsContract), side(right, params.rhsBatch, params.rhsContract)];
}

const extentOf = ({ shape }: Side, axes: readonly number[]): number =>
  sizeOf(axes.map((axis) => shape[axis] as number));

/** The part that the axis with stride 1 plays, if it is the innermost of its part. */
function fast<Free extends string>(scope: Scope, side: Side, free: Free): "k" | Free | undefined {
  const axis = contiguousAxis(scope, side.id);
  const innermost = (axes: readonly number[]): boolean => axes.findLast((a) => side.shape[a] !== 1) === axis;
  if (axis === undefined) return undefined;
  if (innermost(side.contract)) return "k";
  return innermost(side.free) ? free : undefined;
}

/** @param written buffers that the kernel stores single elements to */
function operandsOf(
  scope: Scope,
  writer: KernelWriter,
  [left, right]: readonly [Side, Side],
  written: ReadonlySet<BufferId>,
): DotOperands {
  const { builder } = writer;
  /** Sizes of parts: the same whichever element is loaded. */
  const sizes = new Map<readonly number[], Expr>();
  /** The index of a side's element, from those along its three parts. */
  const indexOf = (side: Side, batch: Expr, free: Expr, k: Expr): Index => {
    const parts: Index[] = side.shape.map(() => []);
    const place = (axes: readonly number[], value: Expr): void => {
      const extents = axes.map((axis) => side.shape[axis] as number);
      const size = sizeOf(extents);
      const shared = sizes.get(axes) ?? extent(size);
      sizes.set(axes, shared);
      const along = split(builder, digit(builder, value, size, shared), extents);
      axes.forEach((axis, i) => (parts[axis] = along[i] as Index));
    };
    place(side.batch, batch);
    place(side.free, free);
    place(side.contract, k);
    return parts.flat();
  };
  const quads = (side: Side): OperandQuads | undefined =>
    fast(scope, side, "free") !== undefined && liesInQuads(scope, side.id, written)
      ? (batch, i, k) => writer.quad(side.id, indexOf(side, batch, i, k))
      : undefined;
  return {
    left: (batch, row, k) => writer.value(left.id, indexOf(left, batch, row, k)),
    right: (batch, k, column) => writer.value(right.id, indexOf(right, batch, column, k)),
    leftQuads: quads(left),
    rightQuads: quads(right),
  };
}

/** How a dot is to be computed; undefined: as the heuristic says. */
export type DotChoice = (shape: DotShape, layout: DotLayout) => DotConfig | undefined;

/** @param temporary makes a buffer that lasts from one kernel of the dot to the next */
export function writeDots(
  scope: Scope,
  group: Group,
  temporary: (type: TensorType) => BufferId,
  limits: TargetLimits,
  choice?: DotChoice,
): readonly LaidOut[] {
  const { equation } = group.members[0] as Member; // groups have members
  if (equation.op !== "dot") throw new Error(`a dot group starts with ${equation.op}`);
  const sides = sidesOf(scope, equation.inputs, equation.params);
  const [left, right] = sides;
  const shape: DotShape = {
    batch: extentOf(left, left.batch),
    rows: extentOf(left, left.free),
    columns: extentOf(right, right.free),
    inner: extentOf(left, left.contract),
  };
  const layout: DotLayout = {
    left: fast(scope, left, "row"),
    right: fast(scope, right, "column"),
    ...(typeOf(scope.program, left.id).dtype === "f16" ? { dtype: "f16" } : {}), // both have the same
    ...(sides.every(({ id }) => isReadAsStored(scope, id)) ? {} : { computed: true }),
  };
  const config = choice?.(shape, layout) ?? chooseDot(shape, layout, limits);
  const extentsAs = (size: (value: number) => Expr): DotShape<Expr> => ({
    batch: size(shape.batch),
    rows: size(shape.rows),
    columns: size(shape.columns),
    inner: size(shape.inner),
  });
  const { lanes, workgroups, sizes } = config;
  const size = sizes === "text" ? index : extent;
  const own = new Set(group.members.flatMap((member) => member.nodes));
  const stored = [...group.stored].map((id) => ({ id, location: scope.location(id) as Location })); // stored: it has one
  /** What is stored of an element. All of it is loaded before any is stored: a result may take the place of an operand. */
  const element = (
    writer: KernelWriter,
    batch: Expr,
    row: Expr,
    column: Expr,
    value: Expr,
  ): { readonly at: Index; readonly values: readonly Expr[] } => {
    const { builder } = writer;
    const at = [
      ...digit(builder, batch, shape.batch),
      ...digit(builder, row, shape.rows),
      ...digit(builder, column, shape.columns),
    ];
    writer.define(equation.outputs[0] as VarId, at, builder.let(value));
    return { at, values: stored.map(({ id }) => writer.value(id, at)) };
  };
  const storeIn =
    (writer: KernelWriter): DotStore =>
    (batch, row, column, value) => {
      const { at, values } = element(writer, batch, row, column, value);
      stored.forEach(({ id, location }, n) => writer.store(id, location, at, values[n] as Expr)); // one for each
    };
  const inQuads =
    shape.columns % 4 === 0 &&
    stored.every(({ id, location }) => hasQuads(typeOf(scope.program, id).dtype) && keepsQuads(location));
  const storeQuadIn =
    (writer: KernelWriter): DotStoreQuad =>
    (batch, row, column, values) => {
      const four = values.map((value, c) =>
        element(writer, batch, row, writer.builder.let(plus(column, index(c))), value),
      );
      const [first] = four as [(typeof four)[0]]; // there are four
      stored.forEach(({ id, location }, n) =>
        writer.storeQuad(id, location, first.at, four.map((each) => each.values[n]) as unknown as QuadParts),
      );
    };
  const ops = group.members.map((member) => member.equation.op);
  if (config.split === undefined) {
    const writer = new KernelWriter(scope, own);
    const written = new Set(stored.map(({ location }) => location.buffer));
    const operands = operandsOf(scope, writer, sides, written);
    const results = { store: storeIn(writer), storeQuad: inQuads ? storeQuadIn(writer) : undefined };
    writeDot(writer.builder, extentsAs(size), layout, operands, results, config);
    return [{ ...writer.finish(kernelName("dot", ops), lanes), workgroups, sizes }];
  }
  const { slices, chunk } = config.split;
  const type = slicesType(shape, slices);
  const partial = temporary(type);
  const first = new KernelWriter(scope, own);
  const into = { buffer: first.bind(partial, type, "write"), chunk: size(chunk) };
  const operands = operandsOf(scope, first, sides, new Set([partial]));
  writeDotSlices(first.builder, extentsAs(size), layout, operands, into, config);
  const second = new KernelWriter(scope, own);
  const from = { buffer: second.bind(partial, type, "read"), chunk: extent(chunk) };
  writeDotSum(second.builder, extentsAs(extent), from, storeIn(second));
  const results = shape.batch * shape.rows * shape.columns;
  return [
    { ...first.finish("dot_slices", lanes), workgroups, sizes },
    {
      ...second.finish(kernelName("dot_sum", ops), DOT_SUM_LANES),
      workgroups: workgroupsFor(results, DOT_SUM_LANES),
    },
  ];
}
