/**
 * Writes what a workgroup does in a kernel of attention (see attention-tile.ts for how it is shared): dot products of held with passing
 * rows, weights made of them, and what the weights combine to. Weights are in workgroup memory for one block at a time; sums are in
 * registers, in f32, in a fixed order. Consumed by the kernels beside it. Methods say which barriers they contain.
 */
import {
  LANE,
  WORKGROUP,
  below,
  binary,
  index,
  minus,
  modulo,
  over,
  plus,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import { addProducts } from "./attention-grid.ts";
import type { Columns, FlashExtents, Grid, Matrix, Rows, SeenRows, Update, Variable } from "./attention-grid.ts"; // prettier-ignore
import { FlashMemory } from "./attention-memory.ts";
import { add, f32, mul } from "./attention-problem.ts";
import {
  chunkOf,
  columnBlocks,
  columnsOfLane,
  heldRows,
  heldStride,
  lanesOf,
  passingRows,
  passingStride,
} from "./attention-tile.ts";
import type { FlashDemand, FlashTile } from "./attention-tile.ts";

export class FlashWriter {
  readonly builder: KernelBuilder;
  readonly #tile: FlashTile;
  readonly #demand: FlashDemand;
  readonly #extents: FlashExtents;
  /** Place of the lane in its grid. */
  readonly #x: Expr;
  readonly #y: Expr;
  readonly #batch: Expr;
  /** The first held row and the first column of the workgroup. */
  readonly start: Expr;
  readonly #column: Expr;
  /** Held rows of the lane, those beyond the last among them. */
  readonly rows: readonly Expr[];
  readonly #memory: FlashMemory;

  /** Writes what a workgroup does for its block, and nothing for those beyond the last. */
  static each(
    builder: KernelBuilder,
    tile: FlashTile,
    demand: FlashDemand,
    extents: FlashExtents,
    write: (flash: FlashWriter) => void,
  ): void {
    const { batch, held } = extents;
    const blocks = builder.let(over(plus(held, index(heldRows(tile) - 1)), index(heldRows(tile))));
    const columns = index(columnBlocks(tile, demand));
    builder.if(below(WORKGROUP, times(times(batch, blocks), columns)), () =>
      write(new FlashWriter(builder, tile, demand, extents, blocks, columns)),
    );
  }

  private constructor(
    builder: KernelBuilder,
    tile: FlashTile,
    demand: FlashDemand,
    extents: FlashExtents,
    blocks: Expr,
    columns: Expr,
  ) {
    [this.builder, this.#tile, this.#demand, this.#extents] = [builder, tile, demand, extents];
    this.#memory = new FlashMemory(builder, tile, demand);
    const block = builder.let(over(WORKGROUP, columns));
    this.#column = builder.let(times(modulo(WORKGROUP, columns), index(tile.across * tile.columns)));
    this.#batch = builder.let(over(block, blocks));
    this.start = builder.let(times(modulo(block, blocks), index(heldRows(tile))));
    this.#x = builder.let(modulo(LANE, index(tile.across)));
    this.#y = builder.let(over(LANE, index(tile.across)));
    this.rows = upTo(tile.held).map((r) =>
      builder.let(plus(plus(this.start, this.#y), index(r * tile.down))),
    );
  }

  /** The last row that the block has room for. */
  get last(): Expr {
    return plus(this.start, index(heldRows(this.#tile) - 1));
  }

  /** Passes through the rows `from`, …, `to` − 1 block by block. */
  eachBlock(from: Expr, to: Expr, write: (from: Expr) => void): void {
    this.builder.for(from, to, index(passingRows(this.#tile)), write);
  }

  #at({ rows, stride }: Matrix, row: Expr, column: Expr): Expr {
    return plus(times(plus(times(this.#batch, rows), row), index(stride)), column);
  }

  /** Element of a matrix. */
  load(matrix: Matrix, row: Expr, column: Expr): Expr {
    return { kind: "load", type: "f32", buffer: matrix.buffer, at: this.#at(matrix, row, column) };
  }

  #store(matrix: Matrix, row: Expr, column: Expr, value: Expr): void {
    const at = this.#at(matrix, row, column);
    this.builder.emit({ kind: "store", buffer: matrix.buffer, at, value });
  }

  /** Passing rows of the lane in the block that starts at `from`, those beyond the last among them. */
  passing(from: Expr): readonly Expr[] {
    const { across, passing } = this.#tile;
    return upTo(passing).map((c) => this.builder.let(plus(plus(from, this.#x), index(c * across))));
  }

  /** A number from a column of a matrix of held or passing rows, for each row; beyond the last the last. */
  numbers(matrix: Matrix, rows: readonly Expr[], column = 0): readonly Expr[] {
    const last = minus(matrix.rows, index(1));
    return rows.map((row) => this.builder.let(this.load(matrix, binary("min", row, last), index(column))));
  }

  /** A variable for each held row. */
  perRow(start: number): readonly Variable[] {
    return this.rows.map(() => this.builder.variable(f32(start)));
  }

  /** Zeros for each held row of the lane and each of its columns, of `columns` in all. */
  accumulator(columns: number): Grid<Variable> {
    const own = columnsOfLane(this.#tile, columns);
    return this.rows.map(() => upTo(own).map(() => this.builder.variable(f32(0), "sum")));
  }

  /** Brings a part of a matrix to workgroup memory: neighbouring lanes load neighbouring columns. */
  #stage(
    matrix: Matrix,
    rows: Rows,
    columns: Columns,
    array: number,
    place: (row: Expr, column: Expr) => Expr,
  ): void {
    const { builder } = this;
    builder.for(LANE, index(rows.count * columns.count), index(lanesOf(this.#tile)), (element) => {
      const i = builder.let(over(element, index(columns.count)));
      const j = builder.let(modulo(element, index(columns.count)));
      const row = binary("min", plus(rows.first, i), minus(rows.end, index(1)));
      const column = plus(columns.first, j);
      const value = this.load(
        matrix,
        row,
        columns.whole ? column : binary("min", column, index(matrix.columns - 1)),
      );
      builder.emit({ kind: "storeShared", array, at: place(i, j), value });
    });
  }

  /**
   * Dot products of the lane's held rows with its passing rows: each a sum over pairs of `held` and `passing` matrices, by number, which
   * all have the same columns. Contains a barrier; stages before it, and loads from what is staged after it.
   */
  products(
    held: readonly Matrix[],
    passing: readonly Matrix[],
    from: Expr,
    products: readonly (readonly (readonly [held: number, passing: number])[])[],
  ): readonly Grid[] {
    const [builder, tile, staged] = [this.builder, this.#tile, this.#memory.staged];
    const { columns, end } = held[0] as Matrix; // there is one
    const chunk = chunkOf(tile, columns);
    const ofHeld = {
      rows: { first: this.start, count: heldRows(tile), end: this.#extents.held },
      own: { first: this.#y, step: tile.down, count: tile.held },
      stride: heldStride(tile),
    };
    const ofPassing = {
      rows: { first: from, count: passingRows(tile), end: this.#extents.passing },
      own: { first: this.#x, step: tile.across, count: tile.passing },
      stride: passingStride(tile),
    };
    const sides = [
      ...held.map((matrix, n) => ({ ...ofHeld, matrix, offset: n * chunk * ofHeld.stride })),
      ...passing.map((matrix, n) => ({
        ...ofPassing,
        matrix,
        offset: chunk * (held.length * ofHeld.stride + n * ofPassing.stride),
      })),
    ];
    const sums = products.map(() =>
      this.rows.map(() => upTo(tile.passing).map(() => builder.variable(f32(0), "dot"))),
    );
    const write = (first: Expr, count: Expr): void => {
      for (const { matrix, rows, stride, offset } of sides)
        this.#stage(matrix, rows, { first, count: chunk, whole: columns % chunk === 0 }, staged, (i, j) =>
          plus(plus(times(j, index(stride)), i), index(offset)),
        );
      builder.barrier();
      builder.for(index(0), count, index(1), (k) => {
        const words = sides.map(({ own, stride, offset }) => {
          const at = builder.let(plus(plus(times(k, index(stride)), own.first), index(offset)));
          return upTo(own.count).map((i) => this.#memory.word(staged, plus(at, index(i * own.step))));
        });
        products.forEach((pairs, n) =>
          sums[n]?.forEach((row, r) =>
            row.forEach((sum, c) => {
              const terms = pairs.map(([a, b]) =>
                mul(words[a]?.[r] as Expr, words[held.length + b]?.[c] as Expr),
              );
              builder.assign(sum, terms.reduce(add, sum));
            }),
          ),
        );
      });
    };
    if (chunk === columns) write(index(0), end);
    else
      builder.for(index(0), end, index(chunk), (first) => {
        write(first, builder.let(binary("min", index(chunk), minus(end, first))));
        builder.barrier();
      });
    return sums;
  }

  /** Puts the weights of the lane's pairs of rows into workgroup memory. */
  storeWeights(number: number, weights: Grid): void {
    const [builder, tile, array] = [this.builder, this.#tile, this.#memory.weights(number)];
    const stride = heldStride(tile);
    const place = builder.let(plus(times(this.#x, index(stride)), this.#y));
    weights.forEach((row, r) =>
      row.forEach((value, c) => {
        const at = plus(place, index(c * tile.across * stride + r * tile.down));
        builder.emit({ kind: "storeShared", array, at, value });
      }),
    );
  }

  /**
   * Adds a block's share to sums over the passing rows that are seen (the weight of others is 0, and 0 times NaN would be NaN), after
   * its weights are stored. Contains a barrier; stages before it.
   */
  update(from: Expr, updates: readonly Update[], seen?: SeenRows): void {
    const [builder, tile] = [this.builder, this.#tile];
    const staged = new Map<Matrix, { readonly array: number; readonly width: number }>();
    for (const { terms, into } of updates)
      for (const [, matrix] of terms) {
        const width = (into[0] as readonly Variable[]).length * tile.across; // there are held rows
        const array = this.#memory.values(staged.size);
        const rows = { first: from, count: passingRows(tile), end: this.#extents.passing };
        const columns = { first: this.#column, count: width, whole: this.#fits(matrix, width) };
        staged.set(matrix, { array, width });
        this.#stage(matrix, rows, columns, array, (i, j) => plus(times(i, index(width)), j));
      }
    builder.barrier();
    const rest = builder.let(binary("min", minus(this.#extents.passing, from), index(passingRows(tile))));
    const sum = (start: Expr, end: Expr, sees?: SeenRows["sees"]): void =>
      builder.for(start, end, index(1), (j) => {
        const seen = sees?.(builder.let(plus(from, j)));
        const first = builder.let(plus(times(j, index(heldStride(tile))), this.#y));
        const weights = upTo(this.#demand.weights).map((n) =>
          this.rows.map((_, r) =>
            this.#memory.word(this.#memory.weights(n), plus(first, index(r * tile.down))),
          ),
        );
        for (const { into, terms } of updates) {
          const sides = terms.map(([n, matrix]) => {
            const { array, width } = staged.get(matrix) as { array: number; width: number }; // staged above
            return [weights[n] as readonly Expr[], this.#line(array, j, width)] as const;
          });
          addProducts(builder, into, sides, seen);
        }
      });
    if (seen === undefined) return sum(index(0), rest);
    // Most blocks are seen whole: only rows on the diagonal are asked one by one.
    const at = builder.let(binary("min", minus(binary("max", seen.edge, from), from), rest));
    sum(index(0), at, seen.whole === "after" ? seen.sees : undefined);
    sum(at, rest, seen.whole === "before" ? seen.sees : undefined);
  }

  /**
   * For a workgroup whose block has all rows of both kinds: stores sums over the rows of one kind, weights times values, as a matrix of
   * rows of the other kind, but for what `sees` denies. Contains barriers, also at the end; stages where dot products were summed.
   */
  contract(
    number: number,
    kind: "held" | "passing",
    values: Matrix,
    into: Matrix,
    sees?: (row: Expr, summed: Expr) => Expr,
  ): void {
    const [builder, tile, staged] = [this.builder, this.#tile, this.#memory.staged];
    const [held, passing] = [heldRows(tile), passingRows(tile)];
    const [summed, results] = kind === "passing" ? [passing, held] : [held, passing];
    // Of a weight in workgroup memory: from one summed row to the next, and from one row of the result.
    const [step, stride] = kind === "passing" ? [heldStride(tile), 1] : [1, heldStride(tile)];
    const width = columnsOfLane(tile, values.columns) * tile.across;
    const rows = upTo(results / tile.down).map((r) => builder.let(plus(this.#y, index(r * tile.down))));
    builder.for(index(0), values.end, index(width), (first) => {
      const columns = { first, count: width, whole: values.columns % width === 0 };
      this.#stage(values, { first: index(0), count: summed, end: values.rows }, columns, staged, (i, j) =>
        plus(times(i, index(width)), j),
      );
      builder.barrier();
      const sums = rows.map(() => upTo(width / tile.across).map(() => builder.variable(f32(0), "sum")));
      builder.for(index(0), values.rows, index(1), (s) => {
        const line = this.#line(staged, s, width);
        const weights = rows.map((row) =>
          this.#memory.word(
            this.#memory.weights(number),
            plus(times(s, index(step)), times(row, index(stride))),
          ),
        );
        const seen = sees === undefined ? undefined : rows.map((row) => builder.let(sees(row, s)));
        addProducts(builder, sums, [[weights, line]], seen);
      });
      this.#storeGrid(into, { rows, end: into.rows, ...columns }, sums, (sum) => sum);
      builder.barrier();
    });
  }

  /** The lane's columns of a row that is staged in `width` words. */
  #line(array: number, row: Expr, width: number): readonly Expr[] {
    const { across } = this.#tile;
    const first = this.builder.let(plus(times(row, index(width)), this.#x));
    return upTo(width / across).map((d) => this.#memory.word(array, plus(first, index(d * across))));
  }

  /** Whether no workgroup has columns beyond the last, when each takes `width` of a matrix. */
  #fits({ columns }: Matrix, width: number): boolean {
    const blocks = columnBlocks(this.#tile, this.#demand);
    return columns % width === 0 && (blocks === 1 || columns === blocks * width);
  }

  /**
   * Combines a number of each held row over the lanes that share the row; all of them get the result. Contains a barrier; another
   * has to come between two calls.
   */
  combine(values: readonly Expr[], merge: (x: Expr, y: Expr) => Expr): readonly Expr[] {
    const [builder, { across, down }, array] = [this.builder, this.#tile, this.#memory.combined];
    const line = builder.let(times(this.#y, index(across)));
    const at = (lane: Expr, r: number): Expr => plus(plus(line, lane), index(r * down * across));
    values.forEach((value, r) => builder.emit({ kind: "storeShared", array, at: at(this.#x, r), value }));
    builder.barrier();
    const results = values.map((_, r) => builder.variable(this.#memory.word(array, at(index(0), r))));
    builder.for(index(1), index(across), index(1), (lane) =>
      results.forEach((result, r) =>
        builder.assign(result, merge(result, this.#memory.word(array, at(lane, r)))),
      ),
    );
    return results;
  }

  /** Stores what the lane has of an accumulator. */
  storeAccumulator(
    matrix: Matrix,
    sums: Grid,
    value: (sum: Expr, r: number, column: Expr) => Expr = (sum) => sum,
  ): void {
    const width = (sums[0] as readonly Expr[]).length * this.#tile.across; // there are held rows
    const to = {
      rows: this.rows,
      end: this.#extents.held,
      first: this.#column,
      whole: this.#fits(matrix, width),
    };
    this.#storeGrid(matrix, to, sums, value);
  }

  /** Stores values for rows below `end` and the lane's columns from `first`; `whole`: none is beyond the last. */
  #storeGrid(
    matrix: Matrix,
    { rows, end, first, whole }: { rows: readonly Expr[]; end: Expr; first: Expr; whole: boolean },
    values: Grid,
    value: (x: Expr, r: number, column: Expr) => Expr,
  ): void {
    const { builder } = this;
    rows.forEach((row, r) =>
      builder.if(below(row, end), () =>
        values[r]?.forEach((x, d) => {
          const column = builder.let(plus(plus(first, this.#x), index(d * this.#tile.across)));
          const store = (): void => this.#store(matrix, row, column, value(x, r, column));
          if (whole) store();
          else builder.if(below(column, index(matrix.columns)), store);
        }),
      ),
    );
  }

  /** Stores numbers of the held rows once: by the first lane of each row, in the first workgroup of its columns. */
  storeNumbers(matrix: Matrix, values: readonly Expr[], column = 0): void {
    const { builder } = this;
    builder.if(binary("equal", plus(this.#column, this.#x), index(0)), () =>
      values.forEach((value, r) => {
        const row = this.rows[r] as Expr;
        builder.if(below(row, this.#extents.held), () => this.#store(matrix, row, index(column), value));
      }),
    );
  }
}
