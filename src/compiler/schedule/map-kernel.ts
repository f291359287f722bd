/**
 * The kernels of map, row and column groups (see groups.ts): element by element, row by row, or across rows.
 * Consumed by `schedule.ts`.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { VarId } from "../../dsl/program/program.ts";
import {
  LANE,
  WORKGROUP,
  below,
  binary,
  both,
  extent,
  index,
  minus,
  modulo,
  over,
  plus,
  times,
} from "../kernel/builder.ts";
import type { Expr } from "../kernel/ir.ts";
import type { TargetLimits } from "../kernel/plan.ts";
import type { Placed } from "./assembly.ts";
import { digit, flat } from "./coordinates.ts";
import type { Index } from "./coordinates.ts";
import { eachElement, workgroupsFor } from "./elements.ts";
import { MAX_ROW_LANES, isReduction, reducedExtents } from "./groups.ts";
import type { Group, Member } from "./groups.ts";
import { KernelWriter, kernelName } from "./kernel-writer.ts";
import type { Location, Scope, WrittenKernel } from "./kernel-writer.ts";
import { Accumulator, lastOf, powerAbove, powerBelow } from "./reduction.ts";
import type { ReductionOp } from "./reduction.ts";

export interface LaidOut extends WrittenKernel {
  readonly workgroups: number;
  /** Where sizes are. Default "parameters". */
  readonly sizes?: "parameters" | "text";
}

const MAP_LANES = 64;

const ownOf = (group: Group): ReadonlySet<VarId> => new Set(group.members.flatMap((member) => member.nodes));

const nameOf = (group: Group): string =>
  kernelName(
    group.kind,
    group.members.map((member) => member.equation.op),
  );

/** Pointwise nodes of one size, one lane per element. */
export function writeMap(scope: Scope, group: Group): LaidOut {
  const writer = new KernelWriter(scope, ownOf(group));
  const { builder } = writer;
  const size = group.space.rows;
  eachElement(builder, MAP_LANES, extent(size), (element) => {
    const at = digit(builder, element, size);
    // All of an element is loaded before any of it is stored: a result may take the place of an operand.
    const values = group.members.flatMap(({ nodes }) =>
      nodes.map((id) => ({ id, value: writer.value(id, at) })),
    );
    for (const { id, value } of values)
      if (group.stored.has(id)) writer.store(id, scope.location(id) as Location, at, value); // stored: it has one
  });
  return { ...writer.finish(nameOf(group), MAP_LANES), workgroups: workgroupsFor(size, MAP_LANES) };
}

/** Copies variables, from where they are or from what they are computed of, to locations. */
export function writeCopies(scope: Scope, parts: readonly Placed[], name: string): LaidOut {
  const writer = new KernelWriter(scope, new Set());
  const { builder } = writer;
  const sizes = parts.map(({ id }) => sizeOf(typeOf(scope.program, id).shape));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  eachElement(builder, MAP_LANES, extent(total), (element) => {
    let start = 0;
    parts.forEach(({ id, to }, i) => {
      const [from, size] = [start, sizes[i] as number]; // one for each
      start += size;
      const write = (): void => {
        const at = digit(builder, minus(element, extent(from)), size);
        writer.store(id, to, at, writer.value(id, at));
      };
      const after = from > 0 ? [binary("lessEqual", extent(from), element)] : [];
      const before = start < total ? [below(element, extent(start))] : [];
      const [first, second] = [...after, ...before];
      if (first === undefined) write();
      else builder.if(second === undefined ? first : both(first, second), write);
    });
  });
  return { ...writer.finish(name, MAP_LANES), workgroups: workgroupsFor(total, MAP_LANES) };
}

/** A column that a lane is at. Where `inside` is given and false, it is one that another lane has, for its loads to be in bounds. */
interface Column {
  readonly column: Expr;
  readonly at: Index;
  readonly inside: Expr | undefined;
}

/** Members of a row group times columns per lane, up to which columns are written out: a bound on the code. */
const MAX_HELD = 48;

const conjunction = (a: Expr | undefined, b: Expr | undefined): Expr | undefined =>
  a === undefined ? b : b === undefined ? a : both(a, b);

/** Lanes that share a row: enough for some thousands of lanes at work, not more than there is work for. */
const lanesPerRow = (rows: number, columns: number, limit: number): number =>
  Math.min(powerAbove(columns / 4), rows >= 1024 ? 64 : MAX_ROW_LANES, powerBelow(limit));

/** Rows, in as many passes over the columns as there are reductions that wait for one another, and one for what follows them. */
export function writeRows(scope: Scope, group: Group, limits: TargetLimits): LaidOut {
  const writer = new KernelWriter(scope, ownOf(group));
  const { builder } = writer;
  const { rows, columns } = group.space;
  const team = lanesPerRow(rows, columns, limits.lanes);
  const lanes = Math.max(MAP_LANES, team);
  const perGroup = lanes / team;
  const lane = builder.let(modulo(LANE, index(team)), "lane");
  const base = builder.let(binary("sub", LANE, lane), "base");
  const row = builder.let(plus(times(WORKGROUP, index(perGroup)), over(LANE, index(team))), "row");
  // Lanes beyond the last row do its work once more, without storing: barriers need all lanes.
  const surplus = rows % perGroup !== 0 || Math.ceil(rows / perGroup) > limits.workgroups;
  const here = surplus ? builder.let(binary("min", row, lastOf(rows)), "row") : row;
  const writes = (): Expr | undefined => (surplus ? below(row, extent(rows)) : undefined);
  const atRow = digit(builder, here, rows);

  const phases = Math.max(...group.members.map((member) => member.phase));
  const guarded = (condition: Expr | undefined, write: () => void): void => {
    if (condition === undefined) write();
    else builder.if(condition, write);
  };
  const stores = (member: Member): boolean => member.nodes.some((id) => group.stored.has(id));

  // Few columns per lane are written out, each once for all passes: what a pass computes is still at hand in the next.
  const each = Math.ceil(columns / team);
  const held: readonly Column[] | undefined =
    each * group.members.length > MAX_HELD
      ? undefined
      : Array.from({ length: each }, (_, i) => {
          const wanted = builder.let(plus(lane, index(i * team)));
          const whole = (i + 1) * team <= columns;
          const column = whole ? wanted : builder.let(binary("min", wanted, lastOf(columns)));
          return {
            column,
            at: [...atRow, ...digit(builder, column, columns)],
            inside: whole ? undefined : builder.let(below(wanted, extent(columns))),
          };
        });
  const eachColumn = (write: (column: Column) => void): void => {
    if (held !== undefined) return held.forEach(write);
    builder.for(lane, extent(columns), index(team), (column) =>
      write({ column, at: [...atRow, ...digit(builder, column, columns)], inside: undefined }),
    );
  };

  for (let phase = 0; phase <= phases; phase++) {
    const ofRow = group.members.filter(
      (member) => member.level === "row" && member.phase === phase && !isReduction(member.equation.op),
    );
    // Values for the row are computed by all of its lanes, which need them, and stored by the first.
    for (const member of ofRow) for (const id of member.nodes) writer.value(id, atRow);
    for (const member of ofRow.filter(stores)) storeRow(member);

    const reductions = group.members
      .filter((member) => isReduction(member.equation.op) && member.phase === phase + 1)
      .map(({ equation }) => {
        const operand = equation.inputs[0] as VarId; // a reduction has one
        const { dtype } = writer.typeOf(operand);
        return { equation, operand, sum: new Accumulator(builder, equation.op as ReductionOp, dtype) };
      });
    const full = group.members.filter(
      (member) => member.level === "full" && member.phase === phase && stores(member),
    );
    if (reductions.length > 0 || full.length > 0) {
      eachColumn(({ column, at, inside }) => {
        for (const { operand, sum } of reductions) sum.take(writer.value(operand, at), column, inside);
        const values = full.map((member) => ({
          member,
          ids: member.nodes.filter((id) => group.stored.has(id)),
        }));
        for (const { ids } of values) for (const id of ids) writer.value(id, at);
        if (full.length > 0)
          guarded(conjunction(writes(), inside), () => {
            for (const { ids } of values)
              for (const id of ids)
                writer.store(id, scope.location(id) as Location, at, writer.value(id, at));
          });
      });
    }
    for (const { equation, sum } of reductions) {
      const result = sum.combine(team, 1, lanes, lane, base);
      writer.define(equation.outputs[0] as VarId, atRow, result);
    }
    for (const member of group.members)
      if (isReduction(member.equation.op) && member.phase === phase + 1 && stores(member)) storeRow(member);
  }

  function storeRow(member: Member): void {
    const first = binary("equal", lane, index(0));
    const condition = surplus ? binary("and", first, below(row, extent(rows))) : first;
    guarded(team === 1 ? writes() : condition, () => {
      for (const id of member.nodes)
        if (group.stored.has(id))
          writer.store(id, scope.location(id) as Location, atRow, writer.value(id, atRow));
    });
  }

  return { ...writer.finish(nameOf(group), lanes), workgroups: Math.ceil(rows / perGroup) };
}

/** So many lanes at work hide the time that memory takes: those that an NVIDIA H200 holds, and some thousands for the cores of a CPU. */
const BUSY_LANES = { hardware: 2 ** 18, software: 2 ** 14 };
/** Neighbouring columns of f32 that memory gives in one piece of 32 bytes. */
const NEIGHBOURS = 8;

/** Lanes that share a column, and columns of a workgroup. */
function columnLanes(
  results: number,
  reduced: number,
  limits: TargetLimits,
): { readonly team: number; readonly width: number } {
  const most = powerBelow(limits.lanes);
  if (limits.software === true) {
    const team = Math.min(powerAbove(reduced / 4), powerBelow(BUSY_LANES.software / results), most);
    return { team, width: Math.max(1, MAP_LANES / team) };
  }
  const width = Math.min(NEIGHBOURS, powerAbove(results));
  const team = Math.min(powerAbove(reduced / 4), powerBelow(BUSY_LANES.hardware / results), most / width);
  return { team, width: Math.max(width, MAP_LANES / team) };
}

/** One reduction along an axis that is not the last, or a row too long for its own group. */
export function writeColumns(scope: Scope, group: Group, limits: TargetLimits): LaidOut {
  const [member] = group.members as readonly [Member]; // a column group has one
  const { equation } = member;
  const { outer, reduced, inner } = reducedExtents(scope.program, equation);
  const writer = new KernelWriter(scope, ownOf(group));
  const { builder } = writer;
  const results = outer * inner;
  const { team, width } = columnLanes(results, reduced, limits);
  const lanes = team * width;
  const lane = builder.let(over(LANE, index(width)), "lane");
  const base = builder.let(modulo(LANE, index(width)), "base");
  const result = builder.let(plus(times(WORKGROUP, index(width)), base), "result");
  const here = digit(builder, binary("min", result, lastOf(results)), results);
  const position = flat(builder, here);
  const atOuter = digit(builder, over(position, index(inner)), outer);
  const atInner = digit(builder, modulo(position, index(inner)), inner);
  const operand = equation.inputs[0] as VarId; // a reduction has one
  const sum = new Accumulator(builder, equation.op as ReductionOp, writer.typeOf(operand).dtype);
  builder.for(lane, extent(reduced), index(team), (step) => {
    const at: Index = [...atOuter, ...digit(builder, step, reduced), ...atInner];
    sum.take(writer.value(operand, at), step);
  });
  const value = sum.combine(team, width, lanes, lane, base);
  const id = equation.outputs[0] as VarId;
  const first = binary("equal", lane, index(0));
  builder.if(binary("and", first, below(result, extent(results))), () =>
    writer.store(id, scope.location(id) as Location, here, value),
  );
  return { ...writer.finish(nameOf(group), lanes), workgroups: Math.ceil(results / width) };
}
