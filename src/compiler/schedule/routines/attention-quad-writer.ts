/**
 * Writes what a workgroup does in a kernel of attention for GPUs (see attention-quad-tile.ts for how it is shared): dot products of held
 * with passing rows, weights made of them, and what the weights combine to. Sums are in registers, in f32, in a fixed order; while a part
 * of what is multiplied is in workgroup memory, the next one is on its way (attention-quad-staging.ts). Consumed by the kernels beside
 * it. Methods say which barriers they contain.
 */
import {
  COMPONENTS,
  LANE,
  WORKGROUP,
  below,
  binary,
  component,
  index,
  loadedQuad,
  minus,
  modulo,
  numberOf,
  over,
  plus,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import type { Edge, FlashExtents, Grid, Matrix, Variable } from "./attention-grid.ts";
import { f32 } from "./attention-problem.ts";
import { QuadStaging } from "./attention-quad-staging.ts";
import type { Staged, StagedValues } from "./attention-quad-staging.ts";
import { quadColumns, quadHeld, quadPassing } from "./attention-quad-tile.ts";
import type { QuadTile } from "./attention-quad-tile.ts";

/** Names of quads, in rows. */
export type Quads = readonly (readonly string[])[];

/** What was loaded for a pass through parts, and what is to be loaded for the next. */
export interface Around {
  readonly loaded?: boolean;
  readonly next?: readonly Staged[];
}

export class QuadWriter {
  readonly builder: KernelBuilder;
  readonly #tile: QuadTile;
  readonly #extents: FlashExtents;
  readonly #staging: QuadStaging;
  /** Place of the lane: its first column, and its first held row, of the workgroup's. */
  readonly #x: Expr;
  readonly #y: Expr;
  readonly #batch: Expr;
  /** The first held row of the workgroup. */
  readonly start: Expr;
  /** Held rows of the lane, those beyond the last among them. */
  readonly rows: readonly Expr[];

  /**
   * Writes what a workgroup does for its block, and nothing for those beyond the last.
   * @param columns of the widest matrix
   */
  static each(
    builder: KernelBuilder,
    tile: QuadTile,
    columns: number,
    extents: FlashExtents,
    write: (flash: QuadWriter) => void,
  ): void {
    const { batch, held } = extents;
    const blocks = builder.let(over(plus(held, index(quadHeld(tile) - 1)), index(quadHeld(tile))));
    builder.if(below(WORKGROUP, times(batch, blocks)), () =>
      write(new QuadWriter(builder, tile, columns, extents, blocks)),
    );
  }

  private constructor(
    builder: KernelBuilder,
    tile: QuadTile,
    columns: number,
    extents: FlashExtents,
    blocks: Expr,
  ) {
    [this.builder, this.#tile, this.#extents] = [builder, tile, extents];
    this.#batch = builder.let(over(WORKGROUP, blocks));
    this.#staging = new QuadStaging(builder, tile, columns, this.#batch);
    this.start = builder.let(times(modulo(WORKGROUP, blocks), index(quadHeld(tile))));
    this.#x = builder.let(times(over(LANE, index(tile.down)), index(4)));
    this.#y = builder.let(times(modulo(LANE, index(tile.down)), index(4)));
    this.rows = this.#spread(plus(this.start, this.#y), tile.held, tile.down);
  }

  /** Rows of a lane: quads of neighbours, with those of the other lanes between them. */
  #spread(first: Expr, count: number, lanes: number): readonly Expr[] {
    return upTo(count).map((i) => this.builder.let(plus(first, index((i >> 2) * 4 * lanes + (i & 3)))));
  }

  /** The last row that the block has room for. */
  get last(): Expr {
    return plus(this.start, index(quadHeld(this.#tile) - 1));
  }

  /** Passes through the rows `from`, …, `to` − 1 block by block. */
  eachBlock(from: Expr, to: Expr, write: (from: Expr) => void): void {
    this.builder.for(from, to, index(quadPassing(this.#tile)), write);
  }

  /** The end of the rows of the block that starts at `from`. */
  endOfBlock(from: Expr): Expr {
    return plus(from, index(quadPassing(this.#tile)));
  }

  /** Passing rows of the lane in the block that starts at `from`, those beyond the last among them. */
  passing(from: Expr): readonly Expr[] {
    return this.#spread(plus(from, this.#x), this.#tile.passing, this.#tile.across);
  }

  /** Columns of held rows, to be staged. */
  held(matrix: Matrix): Staged {
    return this.#staging.columns("held", matrix, this.start);
  }

  /** Columns of passing rows. */
  columns(matrix: Matrix, from: Expr): Staged {
    return this.#staging.columns("passing", matrix, from);
  }

  /** Passing rows, to be combined with weights. */
  values(matrix: Matrix, from: Expr): StagedValues {
    return this.#staging.values(matrix, from);
  }

  /** A number from a column of a matrix of held or passing rows, for each row; beyond the last the last. */
  numbers(matrix: Matrix, rows: readonly Expr[], column = 0): readonly Expr[] {
    return rows.map((row) => {
      const at = plus(this.#staging.line(matrix, row), index(column));
      return this.builder.let({ kind: "load", type: "f32", buffer: matrix.buffer, at });
    });
  }

  /** A variable for each held row. */
  perRow(start: number): readonly Variable[] {
    return this.rows.map(() => this.builder.variable(f32(start)));
  }

  /** Zeros for each held row of the lane and each of its columns, of `columns` in all. */
  accumulator(columns: number): Quads {
    const own = upTo(columns / quadColumns(this.#tile));
    return this.rows.map(() => own.map(() => this.builder.quadVariable({ kind: "zeros" }, "sum")));
  }

  /** Stages parts one by one and works on each. Contains barriers, also at the end. */
  #parts(
    count: Expr,
    staged: readonly Staged[],
    { loaded = false, next: after = [] }: Around,
    write: (at: Expr) => void,
  ): void {
    const [builder, part] = [this.builder, index(this.#tile.part)];
    const load = (all: readonly Staged[], at: Expr): void => {
      for (const one of all) one.load(at);
    };
    if (!loaded) load(staged, index(0));
    builder.for(index(0), count, part, (at) => {
      for (const one of staged) one.store();
      builder.barrier();
      const next = builder.let(plus(at, part));
      builder.if(
        below(next, count),
        () => load(staged, next),
        () => load(after, index(0)),
      );
      write(at);
      builder.barrier();
    });
  }

  /** The quads of a lane in a line of workgroup memory, of so many numbers of its. */
  #line(array: "held" | "passing" | "weights" | "values", line: Expr, count: number): readonly string[] {
    const [own, lanes] =
      array === "held" || array === "weights" ? [this.#y, this.#tile.down] : [this.#x, this.#tile.across];
    const first = this.builder.let(plus(own, line));
    return upTo(count / 4).map((g) => this.#staging.load(array, plus(first, index(g * 4 * lanes))));
  }

  /**
   * Dot products of the lane's held rows with its passing rows: for each passing row, quads of held ones. Contains barriers, also at
   * the end.
   * @param count how many columns there are
   * @param sums what they are added to; default zeros
   */
  products(
    held: Staged,
    passing: Staged,
    count: Expr,
    around: Around,
    sums: Quads = upTo(this.#tile.passing).map(() =>
      upTo(this.#tile.held / 4).map(() => this.builder.quadVariable({ kind: "zeros" }, "dot")),
    ),
  ): Quads {
    const tile = this.#tile;
    this.#parts(count, [held, passing], around, () => {
      for (const k of upTo(tile.part)) {
        const ofHeld = this.#line("held", index(k * quadHeld(tile)), tile.held);
        const ofPassing = this.#line("passing", index(k * quadPassing(tile)), tile.passing);
        sums.forEach((row, j) => this.#add(row, ofHeld, numberOf(ofPassing, j)));
      }
    });
    return sums;
  }

  /** sums += x · quads */
  #add(sums: readonly string[], quads: readonly string[], x: Expr): void {
    sums.forEach((sum, i) =>
      this.builder.emit({ kind: "addScaled", sums: sum, quad: quads[i] as string, x }),
    );
  }

  /** Puts the weights of the lane's pairs of rows into workgroup memory: for each passing row a number for each held row. */
  storeWeights(weights: Grid): void {
    const { across, down } = this.#tile;
    const rows = quadHeld(this.#tile);
    const own = this.builder.let(plus(times(this.#x, index(rows)), this.#y));
    weights.forEach((row, j) => {
      const at = plus(own, index(((j >> 2) * 4 * across + (j & 3)) * rows));
      this.#staging.storeNumbers("weights", at, 4 * down, row);
    });
  }

  /**
   * Adds a block's share to sums over its passing rows, after its weights are stored. Those that not all held rows see are asked one by
   * one: the weight of others is 0, and 0 times NaN would be NaN. Rows beyond the last have weights of 0, and copies of the last's values.
   * Contains barriers, also at the end.
   */
  update(
    from: Expr,
    values: StagedValues,
    into: Quads,
    edge: Edge | undefined,
    next: readonly Staged[] = [],
  ): void {
    const [builder, tile] = [this.builder, this.#tile];
    const line = (row: Expr, within: Expr): ((r: number) => void) => {
      const weights = this.#line("weights", times(row, index(quadHeld(tile))), tile.held);
      const own = (4 * values.columns) / quadColumns(tile);
      const ofValues = this.#line("values", times(within, index(values.columns)), own);
      return (r) => this.#add(into[r] as readonly string[], ofValues, numberOf(weights, r));
    };
    this.#parts(index(quadPassing(tile)), [values], { loaded: true, next }, (at) => {
      const whole = (): void => {
        for (const k of upTo(tile.part)) into.map((_, r) => r).forEach(line(plus(at, index(k)), index(k)));
      };
      if (edge === undefined) return whole();
      builder.if(
        edge.crossed,
        () =>
          builder.for(at, binary("min", plus(at, index(tile.part)), values.rest), index(1), (row) => {
            const seen = edge.sees(builder.let(plus(from, row)));
            const addTo = line(row, minus(row, at));
            seen.forEach((sees, r) => builder.if(sees, () => addTo(r)));
          }),
        whole,
      );
    });
  }

  /**
   * Combines a number of each held row over the lanes that share the row; all of them get the result. Contains a barrier; another
   * has to come between two calls.
   */
  combine(values: readonly Expr[], merge: (x: Expr, y: Expr) => Expr): readonly Expr[] {
    const [builder, { across, down }, rows] = [this.builder, this.#tile, quadHeld(this.#tile)];
    const own = plus(times(over(this.#x, index(4)), index(rows)), this.#y);
    this.#staging.storeNumbers("combined", builder.let(own), 4 * down, values);
    builder.barrier();
    return upTo(values.length / 4).flatMap((g) => {
      const found = upTo(across).map((x) =>
        this.#staging.load("combined", plus(this.#y, index(x * rows + g * 4 * down))),
      );
      return COMPONENTS.map((c) => builder.let(found.map((quad): Expr => component(quad, c)).reduce(merge)));
    });
  }

  /** Where a held row begins that there is. */
  #at({ rows, stride }: Matrix, row: Expr): Expr {
    return times(plus(times(this.#batch, rows), row), index(stride));
  }

  /** sums = factor · sums, row by row. */
  scale(sums: Quads, factors: readonly Expr[]): void {
    sums.forEach((row, r) => {
      const x = factors[r] as Expr;
      for (const name of row)
        this.builder.emit({ kind: "assignQuad", name, value: { kind: "scaled", quad: name, x } });
    });
  }

  /** sums += factor · the row of a matrix of held rows, row by row. */
  addRows(sums: Quads, matrix: Matrix, factors: readonly Expr[]): void {
    const { builder } = this;
    builder.inQuads(matrix.buffer);
    sums.forEach((row, r) => {
      const own = builder.let(plus(this.#staging.line(matrix, this.rows[r] as Expr), this.#x));
      const quads = row.map((_, d) =>
        builder.quad(loadedQuad("buffer", matrix.buffer, plus(own, index(d * quadColumns(this.#tile))))),
      );
      this.#add(row, quads, builder.let(factors[r] as Expr));
    });
  }

  /** Stores what the lane has of an accumulator; `quads`: as such, into a matrix of f32 whose rows begin where quads do. */
  storeAccumulator(
    { matrix, quads }: { readonly matrix: Matrix; readonly quads: boolean },
    sums: Quads,
  ): void {
    const { builder } = this;
    const { buffer } = matrix;
    if (quads) builder.inQuads(buffer);
    sums.forEach((row, r) => {
      const held = this.rows[r] as Expr;
      builder.if(below(held, this.#extents.held), () => {
        const own = builder.let(plus(this.#at(matrix, held), this.#x));
        row.forEach((quad, d) => {
          const at = plus(own, index(d * quadColumns(this.#tile)));
          if (quads)
            builder.emit({ kind: "storeQuad", quad, to: { memory: { kind: "buffer", position: buffer }, at } }); // prettier-ignore
          else
            for (const c of COMPONENTS)
              builder.emit({ kind: "store", buffer, at: plus(at, index(c)), value: component(quad, c) });
        });
      });
    });
  }

  /** Stores numbers of the held rows once: by the first lane of each row. */
  storeNumbers(matrix: Matrix, values: readonly Expr[], column = 0): void {
    const { builder } = this;
    builder.if(binary("equal", this.#x, index(0)), () =>
      values.forEach((value, r) => {
        const row = this.rows[r] as Expr;
        builder.if(below(row, this.#extents.held), () => {
          const at = plus(this.#at(matrix, row), index(column));
          builder.emit({ kind: "store", buffer: matrix.buffer, at, value });
        });
      }),
    );
  }
}
