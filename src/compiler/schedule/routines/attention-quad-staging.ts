/**
 * The workgroup memory of a kernel of attention for GPUs, and how matrices get there: a part at a time, from buffers to registers, and
 * from there, when the lanes are done with the part before, to workgroup memory. Consumed by attention-quad-writer.ts.
 *
 * There, columns of held and of passing rows lie one after the other, and so do weights of passing rows, each with a number for each
 * held row: so lanes load quads of neighbours, and store them without meeting in a memory bank.
 */
import {
  COMPONENTS,
  LANE,
  below,
  binary,
  component,
  index,
  loadedQuad,
  minus,
  modulo,
  over,
  plus,
  times,
  upTo,
} from "../../kernel/builder.ts";
import type { KernelBuilder } from "../../kernel/builder.ts";
import type { Expr } from "../../kernel/ir.ts";
import type { Matrix } from "./attention-grid.ts";
import { quadHeld, quadLanes, quadMemory, quadPassing } from "./attention-quad-tile.ts";
import type { QuadArray, QuadTile } from "./attention-quad-tile.ts";

/** A part of a matrix on its way. */
export interface Staged {
  /** @param at the first column, or for values the first row within the block */
  load(at: Expr): void;
  store(): void;
}

/** Values of passing rows, and how many there are from the block's first on. */
export interface StagedValues extends Staged {
  readonly columns: number;
  readonly rest: Expr;
}

/** Arrays are declared where they are first used. Methods contain no barriers. */
export class QuadStaging {
  readonly #builder: KernelBuilder;
  readonly #tile: QuadTile;
  readonly #lengths: Readonly<Record<QuadArray, number>>;
  readonly #arrays = new Map<QuadArray, number>();
  /** Which of the independent problems the workgroup is at. */
  readonly #batch: Expr;

  /** @param columns of the widest matrix */
  constructor(builder: KernelBuilder, tile: QuadTile, columns: number, batch: Expr) {
    [this.#builder, this.#tile, this.#batch] = [builder, tile, batch];
    this.#lengths = quadMemory(tile, columns);
  }

  #array(name: QuadArray): number {
    const known = this.#arrays.get(name);
    if (known !== undefined) return known;
    const array = this.#builder.shared({ type: "f32", length: this.#lengths[name], quads: true });
    this.#arrays.set(name, array);
    return array;
  }

  /** A quad of workgroup memory, by name. */
  load(array: QuadArray, at: Expr): string {
    return this.#builder.quad(loadedQuad("shared", this.#array(array), at));
  }

  store(array: QuadArray, at: Expr, quad: string): void {
    const memory = { kind: "shared", position: this.#array(array) } as const;
    this.#builder.emit({ kind: "storeQuad", quad, to: { memory, at } });
  }

  /** Stores numbers as quads: the first at `at`, the next ones each `step` further. */
  storeNumbers(array: QuadArray, at: Expr, step: number, numbers: readonly Expr[]): void {
    for (const g of upTo(numbers.length / 4)) {
      const parts = numbers.slice(4 * g, 4 * g + 4) as [Expr, Expr, Expr, Expr];
      this.store(array, plus(at, index(g * step)), this.#builder.quad({ kind: "parts", parts }));
    }
  }

  /** Where a row begins in the buffer of a matrix; beyond the last the last. */
  line({ rows, stride }: Matrix, row: Expr): Expr {
    const within = binary("min", row, minus(rows, index(1)));
    return times(plus(times(this.#batch, rows), within), index(stride));
  }

  /** Quads in registers that lanes take turns to fill: what `write` says for each unit of `count` that a lane has. */
  #units(count: number): (write: (unit: Expr, n: number) => void) => void {
    const [builder, lanes] = [this.#builder, quadLanes(this.#tile)];
    return (write) => {
      for (const n of upTo(Math.ceil(count / lanes))) {
        const unit = builder.let(plus(LANE, index(n * lanes)));
        if ((n + 1) * lanes <= count) write(unit, n);
        else builder.if(below(unit, index(count)), () => write(unit, n));
      }
    };
  }

  /** Quads of registers for what a lane has on its way, `each` for each of its units. */
  #registers(count: number, each: number): readonly (readonly string[])[] {
    return upTo(Math.ceil(count / quadLanes(this.#tile))).map(() =>
      upTo(each).map(() => this.#builder.quadVariable({ kind: "zeros" }, "next")),
    );
  }

  #fetch(name: string, { buffer }: Matrix, at: Expr): void {
    this.#builder.emit({ kind: "assignQuad", name, value: loadedQuad("buffer", buffer, at) });
  }

  /**
   * Columns of the block of held or of passing rows that starts at `first`, one after the other: lanes turn squares of 4 × 4 around.
   */
  columns(kind: "held" | "passing", matrix: Matrix, first: Expr): Staged {
    const [builder, { part }] = [this.#builder, this.#tile];
    const rows = kind === "held" ? quadHeld(this.#tile) : quadPassing(this.#tile);
    const [down, count] = [index(rows / 4), (rows / 4) * (part / 4)];
    const units = this.#units(count);
    const registers = this.#registers(count, 4);
    builder.inQuads(matrix.buffer);
    return {
      load: (at) =>
        units((unit, n) => {
          const row = plus(first, times(modulo(unit, down), index(4)));
          const column = builder.let(plus(at, times(over(unit, down), index(4))));
          registers[n]?.forEach((name, j) =>
            this.#fetch(name, matrix, plus(this.line(matrix, plus(row, index(j))), column)),
          );
        }),
      store: () =>
        units((unit, n) => {
          const column = times(over(unit, down), index(4 * rows));
          const place = builder.let(plus(column, times(modulo(unit, down), index(4))));
          for (const c of COMPONENTS) {
            const numbers = (registers[n] as readonly string[]).map((name) => component(name, c));
            this.storeNumbers(kind, plus(place, index(c * rows)), 0, numbers);
          }
        }),
    };
  }

  /** Rows of the block of passing rows that starts at `from`, as they are. */
  values(matrix: Matrix, from: Expr): StagedValues {
    const builder = this.#builder;
    const [across, count] = [index(matrix.columns / 4), (this.#tile.part * matrix.columns) / 4];
    const units = this.#units(count);
    const registers = this.#registers(count, 1);
    builder.inQuads(matrix.buffer);
    return {
      columns: matrix.columns,
      rest: builder.let(minus(matrix.rows, from)),
      load: (at) =>
        units((unit, n) => {
          const line = this.line(matrix, plus(plus(from, at), over(unit, across)));
          this.#fetch(registers[n]?.[0] as string, matrix, plus(line, times(modulo(unit, across), index(4))));
        }),
      store: () =>
        units((unit, n) => this.store("values", times(unit, index(4)), registers[n]?.[0] as string)),
    };
  }
}
