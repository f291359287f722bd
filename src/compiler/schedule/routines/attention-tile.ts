/**
 * What the kernels of attention have in common: a workgroup holds a block of rows (queries, or keys and values) and goes through the rows
 * of the other kind block by block. Of each pair of rows it forms weights in [held, passing] from dot products, and adds what the weights
 * combine to accumulators in [held, columns] that its lanes keep in registers. Weights live in workgroup memory, for one block.
 *
 * Consumed by the attention kernels in this folder, which are written with a `FlashWriter`. Lanes form a grid: `across` of them side by
 * side share passing rows and columns, `down` of them share held rows. Sums are in f32 and in a fixed order.
 */
import {
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
  times,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";

export interface FlashTile {
  readonly across: number;
  readonly down: number;
  /** What one lane has of a block: held rows, passing rows, and columns of an accumulator. */
  readonly held: number;
  readonly passing: number;
  readonly columns: number;
  /** The most columns of q, k and so on that are in workgroup memory at a time while dot products are summed. */
  readonly chunk: number;
}

export const heldRows = ({ down, held }: FlashTile): number => down * held;
export const passingRows = ({ across, passing }: FlashTile): number => across * passing;
export const lanesOf = ({ across, down }: FlashTile): number => across * down;
/** Workgroups side by side that share the columns of the widest accumulator, each with the weights to itself. */
export const columnBlocks = ({ across, columns }: FlashTile, widest: number): number =>
  Math.ceil(widest / (across * columns));

/** Columns that are staged at a time: equal parts of all of them. */
export const chunkOf = ({ chunk }: FlashTile, columns: number): number =>
  Math.ceil(columns / Math.ceil(columns / chunk));

/** A buffer of shape [batch, rows, columns]. */
export interface Matrix {
  readonly buffer: number;
  readonly rows: Expr;
  readonly columns: number;
}

export interface FlashExtents {
  readonly batch: Expr;
  readonly held: Expr;
  readonly passing: Expr;
  /** Columns of the widest accumulator. */
  readonly widest: number;
}

type Variable = Expr & { readonly kind: "name" };
/** A value for each held row of a lane, and each of its passing rows or columns. */
export type Grid<T extends Expr = Expr> = readonly (readonly T[])[];

/** Adds Σ weight·value to the accumulator: one term for each pair of weights (by their number) and a matrix of passing rows. */
export interface Update {
  readonly into: Grid<Variable>;
  readonly terms: readonly (readonly [weights: number, values: Matrix])[];
}

export const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
export const add = (x: Expr, y: Expr): Expr => binary("add", x, y);
export const sub = (x: Expr, y: Expr): Expr => binary("sub", x, y);
export const mul = (x: Expr, y: Expr): Expr => binary("mul", x, y);
export const f32 = (value: number): Expr => literal("f32", value);

export class FlashWriter {
  readonly builder: KernelBuilder;
  readonly tile: FlashTile;
  readonly extents: FlashExtents;
  /** Place of the lane in its grid. */
  readonly x: Expr;
  readonly y: Expr;
  readonly batch: Expr;
  /** The first held row and the first column of this workgroup. */
  readonly start: Expr;
  readonly column: Expr;
  /** Held rows of the lane; those beyond the last are there too. */
  readonly rows: readonly Expr[];
  readonly #arrays = new Map<string, number>();

  /** Writes what a workgroup does for its block, and nothing for those beyond the last. */
  static each(
    builder: KernelBuilder,
    tile: FlashTile,
    extents: FlashExtents,
    write: (flash: FlashWriter) => void,
  ): void {
    const { batch, held, widest } = extents;
    const blocks = builder.let(over(plus(held, index(heldRows(tile) - 1)), index(heldRows(tile))));
    const columns = index(columnBlocks(tile, widest));
    builder.if(below(WORKGROUP, times(times(batch, blocks), columns)), () =>
      write(new FlashWriter(builder, tile, extents, blocks, columns)),
    );
  }

  private constructor(
    builder: KernelBuilder,
    tile: FlashTile,
    extents: FlashExtents,
    blocks: Expr,
    columns: Expr,
  ) {
    [this.builder, this.tile, this.extents] = [builder, tile, extents];
    const block = builder.let(over(WORKGROUP, columns));
    this.column = builder.let(times(modulo(WORKGROUP, columns), index(tile.across * tile.columns)));
    this.batch = builder.let(over(block, blocks));
    this.start = builder.let(times(modulo(block, blocks), index(heldRows(tile))));
    this.x = builder.let(modulo(LANE, index(tile.across)));
    this.y = builder.let(over(LANE, index(tile.across)));
    this.rows = upTo(tile.held).map((r) => builder.let(plus(plus(this.start, this.y), index(r * tile.down))));
  }

  /** Element of a matrix. */
  at({ rows, columns }: Matrix, row: Expr, column: Expr): Expr {
    return plus(times(plus(times(this.batch, rows), row), index(columns)), column);
  }

  #load(matrix: Matrix, row: Expr, column: Expr): Expr {
    return { kind: "load", type: "f32", buffer: matrix.buffer, at: this.at(matrix, row, column) };
  }

  /** A value of each held row of the lane: a matrix of one column. */
  ofRows(matrix: Matrix, column = 0): readonly Expr[] {
    const last = minus(this.extents.held, index(1));
    return this.rows.map((row) =>
      this.builder.let(this.#load(matrix, binary("min", row, last), index(column))),
    );
  }

  /** Passing rows of the lane in the block that starts at `from`; those beyond the last are there too. */
  passingRows(from: Expr): readonly Expr[] {
    return upTo(this.tile.passing).map((c) =>
      this.builder.let(plus(plus(from, this.x), index(c * this.tile.across))),
    );
  }

  /** A value of a passing row. */
  ofPassing(matrix: Matrix, row: Expr, column = 0): Expr {
    const last = minus(this.extents.passing, index(1));
    return this.builder.let(this.#load(matrix, binary("min", row, last), index(column)));
  }

  /** A number for each held row of the lane. */
  perRow(start: number): readonly Variable[] {
    return this.rows.map(() => this.builder.variable(f32(start)));
  }

  /** Zeros for each held row of the lane and each of its columns, of `columns` in all. */
  accumulator(columns: number): Grid<Variable> {
    const own = Math.min(this.tile.columns, Math.ceil(columns / this.tile.across));
    return this.rows.map(() => upTo(own).map(() => this.builder.variable(f32(0), "sum")));
  }

  #array(name: string, length: number): number {
    const known = this.#arrays.get(name);
    if (known !== undefined) return known;
    const array = this.builder.shared({ type: "f32", length });
    this.#arrays.set(name, array);
    return array;
  }

  #shared(array: number, at: Expr): Expr {
    return this.builder.let({ kind: "shared", type: "f32", array, at });
  }

  /** Brings rows × columns elements to workgroup memory, neighbouring lanes neighbouring columns. */
  #stage(
    rows: number,
    columns: number,
    load: (i: Expr, column: Expr) => Expr,
    array: number,
    place: (i: Expr, column: Expr) => Expr,
  ): void {
    const { builder } = this;
    builder.for(LANE, index(rows * columns), index(lanesOf(this.tile)), (element) => {
      const i = builder.let(over(element, index(columns)));
      const column = builder.let(modulo(element, index(columns)));
      builder.emit({ kind: "storeShared", array, at: place(i, column), value: load(i, column) });
    });
  }

  /** The same for rows of a matrix from `first`, beyond whose last row and column there are copies of the last. */
  #stageMatrix(
    matrix: Matrix,
    { first, of }: { readonly first: Expr; readonly of: Expr },
    rows: number,
    { from, count, whole }: { readonly from: Expr; readonly count: number; readonly whole: boolean },
    array: number,
    place: (i: Expr, column: Expr) => Expr,
  ): void {
    this.#stage(
      rows,
      count,
      (i, column) => {
        const row = binary("min", plus(first, i), minus(of, index(1)));
        const c = plus(from, column);
        return this.#load(matrix, row, whole ? c : binary("min", c, index(matrix.columns - 1)));
      },
      array,
      place,
    );
  }

  /**
   * Dot products of the lane's held rows with its passing rows: each a sum over pairs of `held` and `passing` matrices, by number, which
   * all have the same columns. Begins with stores to workgroup memory; ends with loads from there.
   */
  products(
    held: readonly Matrix[],
    passing: readonly Matrix[],
    from: Expr,
    products: readonly (readonly (readonly [held: number, passing: number])[])[],
  ): readonly Grid[] {
    const { builder, tile } = this;
    const { columns } = held[0] as Matrix; // every product has two sides
    const chunk = chunkOf(tile, columns);
    const sides = [
      { matrices: held, rows: heldRows(tile), first: this.start, of: this.extents.held, name: "held" },
      { matrices: passing, rows: passingRows(tile), first: from, of: this.extents.passing, name: "passing" },
    ].map((side) => ({
      ...side,
      // One more than the rows, so that lanes that store a column do not meet in one memory bank.
      stride: side.rows + 1,
      arrays: side.matrices.map((_, n) => this.#array(`${side.name} ${n}`, tile.chunk * (side.rows + 1))),
    }));
    const sums = products.map(() =>
      this.rows.map(() => upTo(tile.passing).map(() => builder.variable(f32(0), "dot"))),
    );
    const write = (start: Expr, count: Expr): void => {
      for (const { matrices, rows, first, of, stride, arrays } of sides)
        matrices.forEach((matrix, n) =>
          this.#stageMatrix(
            matrix,
            { first, of },
            rows,
            { from: start, count: chunk, whole: columns % chunk === 0 },
            arrays[n] as number,
            (i, column) => plus(times(column, index(stride)), i),
          ),
        );
      builder.barrier();
      builder.for(index(0), count, index(1), (k) => {
        const [mine, theirs] = sides.map(({ stride, arrays }, side) => {
          const [at, step, own] =
            side === 0 ? [this.y, tile.down, tile.held] : [this.x, tile.across, tile.passing];
          const line = builder.let(plus(times(k, index(stride)), at));
          return arrays.map((array) => upTo(own).map((r) => this.#shared(array, plus(line, index(r * step)))));
        }) as [Expr[][], Expr[][]];
        products.forEach((pairs, n) =>
          sums[n]?.forEach((row, r) =>
            row.forEach((sum, c) => {
              const terms = pairs.map(([a, b]) => mul(mine[a]?.[r] as Expr, theirs[b]?.[c] as Expr));
              builder.assign(sum, terms.reduce(add, sum));
            }),
          ),
        );
      });
    };
    if (chunk === columns) write(index(0), index(columns));
    else
      builder.for(index(0), index(columns), index(chunk), (start) => {
        const rest = minus(index(columns), start);
        write(start, columns % chunk === 0 ? index(chunk) : builder.let(binary("min", index(chunk), rest)));
        builder.barrier();
      });
    return sums;
  }

  /** Puts weights of the lane's pairs of rows into workgroup memory. */
  storeWeights(number: number, weights: Grid): void {
    const stride = heldRows(this.tile) + 1;
    const array = this.#array(`weights ${number}`, passingRows(this.tile) * stride);
    const place = this.builder.let(plus(times(this.x, index(stride)), this.y));
    weights.forEach((row, r) =>
      row.forEach((value, c) => {
        const offset = c * this.tile.across * stride + r * this.tile.down;
        this.builder.emit({ kind: "storeShared", array, at: plus(place, index(offset)), value });
      }),
    );
  }

  /**
   * Adds the block's share to accumulators. Weights are stored before; contains a barrier. Workgroup memory of the next block may be
   * written after the next barrier.
   */
  update(from: Expr, updates: readonly Update[]): void {
    const { builder, tile } = this;
    const staged = new Map<Matrix, { readonly array: number; readonly width: number }>();
    for (const { terms, into } of updates)
      for (const [, matrix] of terms) {
        if (staged.has(matrix)) continue;
        const width = (into[0] as readonly Expr[]).length * tile.across;
        const array = this.#array(`values ${staged.size}`, passingRows(tile) * width);
        staged.set(matrix, { array, width });
        const columns = { from: this.column, count: width, whole: matrix.columns % width === 0 };
        const rows = { first: from, of: this.extents.passing };
        this.#stageMatrix(matrix, rows, passingRows(tile), columns, array, (i, column) =>
          plus(times(i, index(width)), column),
        );
      }
    builder.barrier();
    const stride = heldRows(tile) + 1;
    const rest = builder.let(
      binary("min", minus(this.extents.passing, from), index(passingRows(tile))),
    );
    builder.for(index(0), rest, index(1), (j) => {
      const weightAt = builder.let(plus(times(j, index(stride)), this.y));
      const weights = (n: number): readonly Expr[] =>
        upTo(tile.held).map((r) =>
          builder.once(`weight ${n} ${r}`, () =>
            this.#shared(this.#array(`weights ${n}`, 0), plus(weightAt, index(r * tile.down))),
          ),
        );
      for (const { into, terms } of updates) {
        const sides = terms.map(([n, matrix]) => {
          const { array, width } = staged.get(matrix) as { array: number; width: number }; // staged above
          const at = builder.let(plus(times(j, index(width)), this.x));
          return {
            weights: weights(n),
            values: upTo(width / tile.across).map((d) => this.#shared(array, plus(at, index(d * tile.across)))),
          };
        });
        into.forEach((row, r) =>
          row.forEach((sum, d) => {
            const products = sides.map(({ weights, values }) => mul(weights[r] as Expr, values[d] as Expr));
            builder.assign(sum, products.reduce(add, sum));
          }),
        );
      }
    });
  }

  /**
   * Combines a number of each held row over the lanes that share the row; all of them get the result. Contains a barrier; another
   * has to come between two calls.
   */
  combine(values: readonly Expr[], with_: (x: Expr, y: Expr) => Expr): readonly Expr[] {
    const { builder, tile } = this;
    const array = this.#array("combine", heldRows(tile) * tile.across);
    const place = builder.let(times(this.y, index(tile.across)));
    const line = (r: number): number => r * tile.down * tile.across;
    values.forEach((value, r) =>
      builder.emit({
        kind: "storeShared",
        array,
        at: plus(plus(place, this.x), index(line(r))),
        value,
      }),
    );
    builder.barrier();
    const results = values.map((_, r) => builder.variable(this.#shared(array, plus(place, index(line(r))))));
    builder.for(index(1), index(tile.across), index(1), (lane) => {
      const at = builder.let(plus(place, lane));
      results.forEach((result, r) =>
        builder.assign(result, with_(result, this.#shared(array, plus(at, index(line(r)))))),
      );
    });
    return results;
  }

  /** Stores what the lane has of an accumulator, as a matrix of held rows. */
  storeAccumulator(matrix: Matrix, sums: Grid, value: (sum: Expr, r: number) => Expr): void {
    const { builder, tile } = this;
    const width = (sums[0] as readonly Expr[]).length * tile.across;
    const whole = matrix.columns % width === 0;
    sums.forEach((row, r) => {
      builder.if(below(this.rows[r] as Expr, this.extents.held), () => {
        const first = builder.let(plus(this.column, this.x));
        row.forEach((sum, d) => {
          const column = plus(first, index(d * tile.across));
          const store = (column: Expr): void =>
            builder.emit({
              kind: "store",
              buffer: matrix.buffer,
              at: this.at(matrix, this.rows[r] as Expr, column),
              value: value(sum, r),
            });
          if (whole) store(column);
          else {
            const bound = builder.let(column);
            builder.if(below(bound, index(matrix.columns)), () => store(bound));
          }
        });
      });
    });
  }

  /** Stores numbers of the held rows once: by the first lane of each row, in the first workgroup of its columns. */
  storeRows(matrix: Matrix, values: readonly Expr[], column = 0): void {
    const { builder } = this;
    const first = binary("equal", plus(this.column, this.x), index(0));
    builder.if(first, () =>
      values.forEach((value, r) =>
        builder.if(below(this.rows[r] as Expr, this.extents.held), () =>
          builder.emit({
            kind: "store",
            buffer: matrix.buffer,
            at: this.at(matrix, this.rows[r] as Expr, index(column)),
            value,
          }),
        ),
      ),
    );
  }
}
