/**
 * Prefix sums. Short lines, and lines of which there are many side by side, are summed by one lane each. Long ones are cut into blocks:
 * the sums of the blocks are themselves prefix-summed, then each block starts from what is before it. All sums have a fixed order.
 * Consumed by the table of routines.
 */
import type { TensorType } from "../../../dsl/program/program.ts";
import type { DType } from "../../../dsl/types/dtype.ts";
import {
  KernelBuilder,
  LANE,
  WORKGROUP,
  below,
  binary,
  index,
  literal,
  minus,
  modulo,
  over,
  plus,
  select,
  times,
} from "../../kernel/builder.ts";
import { scalarOf } from "../../kernel/ir.ts";
import type { Expr, Kernel } from "../../kernel/ir.ts";
import { eachElement, workgroupsFor } from "../elements.ts";
import { declareLines, lineAt, lineParams, linesAlong, powerOfTwo } from "./lines.ts";
import type { Lines } from "./lines.ts";
import type { RoutineBuffer, RoutineRule, Stage } from "./routine.ts";

const SERIAL_LANES = 64;
const LANES = 256;
/** Steps of a scan over the lanes. */
const LEVELS = Math.log2(LANES);
/** Elements that one lane adds up before it meets others. */
const OWN = 4;
const BLOCK = LANES * OWN;

/** Whether one lane for each line is the better way. */
const isSerial = ({ count, extent, inner }: Lines): boolean => extent <= 64 || (inner >= 32 && count >= 4096);

export const cumsum: RoutineRule<"cumsum"> = (inputs, { axis, reverse }) => {
  const [type] = inputs as readonly [TensorType];
  const temporaries: TensorType[] = [];
  const stages: Stage[] = [];
  const temporary = (lines: Lines, blocks: number): RoutineBuffer => ({
    temporary: temporaries.push({ shape: [lines.count, blocks], dtype: scalarOf(type.dtype) }) - 1,
  });

  function scan(from: RoutineBuffer, to: RoutineBuffer, lines: Lines, dtype: DType, reversed: boolean): void {
    const flops = lines.count * lines.extent;
    const stage = (kernel: Kernel, buffers: readonly RoutineBuffer[], workgroups: number): void =>
      void stages.push({ kernel, buffers, params: lineParams(lines), workgroups, flops });
    if (isSerial(lines))
      return stage(serial(dtype, reversed), [from, to], workgroupsFor(lines.count, SERIAL_LANES));
    const blocks = Math.ceil(lines.extent / BLOCK);
    if (blocks === 1) return stage(blockScan(dtype, reversed, false), [from, to], lines.count);
    const [sums, before] = [temporary(lines, blocks), temporary(lines, blocks)];
    stage(blockSums(dtype, reversed), [from, sums], lines.count * blocks);
    scan(sums, before, { count: lines.count, extent: blocks, inner: 1 }, scalarOf(dtype), false);
    stage(blockScan(dtype, reversed, true), [from, before, to], lines.count * blocks);
  }
  scan({ input: 0 }, { output: 0 }, linesAlong(type.shape, axis), type.dtype, reverse);
  return { temporaries, stages };
};

const add = (x: Expr, y: Expr): Expr => binary("add", x, y);
const last = (extent: Expr): Expr => minus(extent, index(1));
/** The place in a line of the i-th summand. */
const placed = (i: Expr, extent: Expr, reverse: boolean): Expr => (reverse ? minus(last(extent), i) : i);

function serial(dtype: DType, reverse: boolean): Kernel {
  const builder = new KernelBuilder();
  const lines = declareLines(builder);
  const from = builder.buffer({ dtype, access: "read" });
  const to = builder.buffer({ dtype, access: "write" });
  const type = scalarOf(dtype);
  eachElement(builder, SERIAL_LANES, lines.count, (line) => {
    const at = lineAt(builder, lines, line);
    const sum = builder.variable(literal(type, 0), "sum");
    builder.for(index(0), lines.extent, index(1), (i) => {
      const place = builder.let(at(placed(i, lines.extent, reverse)));
      builder.assign(sum, add(sum, { kind: "load", type, buffer: from, at: place }));
      builder.emit({ kind: "store", buffer: to, at: place, value: sum });
    });
  });
  return builder.finish(reverse ? "cumsum_reverse" : "cumsum", SERIAL_LANES);
}

interface Block {
  readonly line: Expr;
  readonly block: Expr;
  readonly blocks: Expr;
  /** Places of this lane's elements, the clamped ones beyond the end too, and whether they are before it. */
  readonly own: readonly { readonly at: Expr; readonly inside: Expr }[];
  /** Sums of this lane's elements up to each. */
  readonly sums: readonly Expr[];
}

/** Gives each workgroup a block of a line. */
function eachBlock(
  builder: KernelBuilder,
  lines: Lines<Expr>,
  from: number,
  dtype: DType,
  reverse: boolean,
  write: (block: Block) => void,
): void {
  const type = scalarOf(dtype);
  const blocks = builder.let(over(plus(lines.extent, index(BLOCK - 1)), index(BLOCK)));
  builder.if(below(WORKGROUP, times(lines.count, blocks)), () => {
    const [line, block] = [builder.let(over(WORKGROUP, blocks)), builder.let(modulo(WORKGROUP, blocks))];
    const at = lineAt(builder, lines, line);
    const start = builder.let(plus(times(block, index(BLOCK)), times(LANE, index(OWN))));
    const own = Array.from({ length: OWN }, (_, n) => {
      const i = builder.let(plus(start, index(n)));
      const clamped = binary("min", i, last(lines.extent));
      return {
        at: builder.let(at(placed(clamped, lines.extent, reverse))),
        inside: builder.let(below(i, lines.extent)),
      };
    });
    const sums: Expr[] = [];
    for (const { at, inside } of own) {
      const value = select(inside, { kind: "load", type, buffer: from, at }, literal(type, 0));
      const before = sums.at(-1);
      sums.push(builder.let(before === undefined ? value : add(before, value)));
    }
    write({ line, block, blocks, own, sums });
  });
}

function blockSums(dtype: DType, reverse: boolean): Kernel {
  const builder = new KernelBuilder();
  const lines = declareLines(builder);
  const type = scalarOf(dtype);
  const from = builder.buffer({ dtype, access: "read" });
  const to = builder.buffer({ dtype: type, access: "write" });
  const array = builder.shared({ type, length: LANES });
  const shared = (at: Expr): Expr => ({ kind: "shared", type, array, at });
  eachBlock(builder, lines, from, dtype, reverse, ({ line, block, blocks, sums }) => {
    builder.emit({ kind: "storeShared", array, at: LANE, value: sums.at(-1) as Expr });
    builder.barrier();
    // Each step adds the second half of what is left to the first.
    builder.for(index(1), index(LEVELS + 1), index(1), (level) => {
      const half = builder.let(over(index(LANES), powerOfTwo(level)));
      builder.if(below(LANE, half), () =>
        builder.emit({
          kind: "storeShared",
          array,
          at: LANE,
          value: add(shared(LANE), shared(plus(LANE, half))),
        }),
      );
      builder.barrier();
    });
    builder.if(binary("equal", LANE, index(0)), () =>
      builder.emit({
        kind: "store",
        buffer: to,
        at: plus(times(line, blocks), block),
        value: shared(index(0)),
      }),
    );
  });
  return builder.finish("cumsum_block_sums", LANES);
}

/** @param continued the sums of the blocks are given, as prefix sums */
function blockScan(dtype: DType, reverse: boolean, continued: boolean): Kernel {
  const builder = new KernelBuilder();
  const lines = declareLines(builder);
  const type = scalarOf(dtype);
  const from = builder.buffer({ dtype, access: "read" });
  const given = continued ? builder.buffer({ dtype: type, access: "read" }) : undefined;
  const to = builder.buffer({ dtype, access: "write" });
  const array = builder.shared({ type, length: LANES });
  eachBlock(builder, lines, from, dtype, reverse, ({ line, block, blocks, own, sums }) => {
    // Each step doubles how many lanes before a lane are in its sum.
    const total = builder.variable(sums.at(-1) as Expr, "sum");
    const share = (): void => {
      builder.emit({ kind: "storeShared", array, at: LANE, value: total });
      builder.barrier();
    };
    const lanesBefore = (distance: Expr): Expr => ({
      kind: "shared",
      type,
      array,
      at: minus(LANE, distance),
    });
    share();
    builder.for(index(0), index(LEVELS), index(1), (level) => {
      const distance = builder.let(powerOfTwo(level));
      builder.if(binary("lessEqual", distance, LANE), () =>
        builder.assign(total, add(lanesBefore(distance), total)),
      );
      builder.barrier();
      share();
    });
    const before = builder.variable(literal(type, 0), "before");
    builder.if(below(index(0), LANE), () => builder.assign(before, lanesBefore(index(1))));
    if (given !== undefined)
      builder.if(below(index(0), block), () => {
        const at = plus(times(line, blocks), minus(block, index(1)));
        builder.assign(before, add({ kind: "load", type, buffer: given, at }, before));
      });
    own.forEach(({ at, inside }, n) =>
      builder.if(inside, () =>
        builder.emit({ kind: "store", buffer: to, at, value: add(before, sums[n] as Expr) }),
      ),
    );
  });
  return builder.finish("cumsum_blocks", LANES);
}
