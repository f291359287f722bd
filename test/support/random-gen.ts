/**
 * The state of a random program under construction: variables with what is known of their values, a supply of choices, and
 * the helpers with which random-ops.ts builds legal operands.
 *
 * In bounded mode every float carries an interval that contains all its values when the inputs lie in [-2, 2]. Operands are
 * squashed into the domain of an op (log, div, …) and moved away from its kinks, and results that grow are squashed again.
 * Outside bounded mode intervals are ignored.
 */
import type { OpKind, OpParams, Program, TensorType, VarId } from "../../src/dsl/program/program.ts";
import { encodeScalar, sameType, sizeOf } from "../../src/dsl/program/program.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { isFloat, isInteger } from "../../src/dsl/types/dtype.ts";
import { Writer } from "./programs.ts";

/** One equation-to-be: which op, the numbers that decide everything else, and the steps of its nested programs. */
export interface Step {
  readonly op: OpKind;
  readonly picks: readonly number[];
  readonly inner: readonly Step[];
}

export interface Var {
  readonly id: VarId;
  readonly type: TensorType;
  readonly lo: number;
  readonly hi: number;
}

export interface GenSettings {
  readonly bounded: boolean;
  /** Operands are completed without arithmetic on floats. */
  readonly movesFloats: boolean;
  readonly extents: readonly number[];
  readonly dtypes: readonly DType[];
}

/** Thrown by an op's generator when the program at hand offers nothing for it; the step is then left out. */
export class Unsuitable extends Error {}

/** Largest tensor that a random program makes. */
const MAX_SIZE = 256;
/** In bounded mode, results beyond this are squashed. */
const BOUND = 20;
const NICE = [1, 0.5, -1, 2, 0, -0.75, 1.5, 0.25];
const WILD = [1, 0, -1, 2, -0, 0.5, Infinity, -Infinity, NaN, 1e-3, -7, 1e4];
const WHOLE = [1, 0, 2, 3, -1, 7, 31, 32, -(2 ** 31), 2 ** 31 - 1];

/** Applies a step to a generator. Implemented by random-ops.ts; a parameter, so that the two files need no cycle. */
export type ApplyStep = (gen: Gen, step: Step) => void;

export class Gen {
  readonly settings: GenSettings;
  readonly vars: Var[] = [];
  private readonly writer = new Writer();
  private readonly apply: ApplyStep;
  private picks: readonly number[] = [0];
  private picked = 0;

  constructor(settings: GenSettings, apply: ApplyStep) {
    this.settings = settings;
    this.apply = apply;
  }

  get bounded(): boolean {
    return this.settings.bounded;
  }

  /** A number below n, from the choices of the current step. Smaller choices give simpler programs. */
  pick(n: number): number {
    const raw = this.picks[this.picked++ % this.picks.length] ?? 0;
    return n <= 1 ? 0 : (raw + (this.picked > this.picks.length ? this.picked : 0)) % n;
  }

  choose<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Unsuitable();
    return items[this.pick(items.length)] as T; // not empty
  }

  input(type: TensorType, lo = -2, hi = 2): Var {
    return this.register(this.writer.input(type), lo, hi);
  }

  private known(id: VarId, lo: number, hi: number): Var {
    const type = this.writer.typeOf(id);
    return { id, type, lo, hi };
  }

  private register(id: VarId, lo: number, hi: number): Var {
    const known = this.known(id, lo, hi);
    this.vars.push(known);
    return known;
  }

  /** Runs steps; those that do not suit, or that make a tensor that is too large, leave nothing but unused helpers. */
  steps(steps: readonly Step[]): void {
    for (const step of steps) {
      this.picks = step.picks;
      this.picked = 0;
      try {
        this.apply(this, step);
      } catch (error) {
        if (!(error instanceof Unsuitable)) throw error;
      }
    }
  }

  /** Appends an equation with one output, without offering it to later steps. */
  make<K extends OpKind>(
    op: K,
    inputs: readonly Var[],
    params: OpParams[K],
    lo = -Infinity,
    hi = Infinity,
  ): Var {
    return this.makeAll(op, inputs, params, [[lo, hi]])[0] as Var;
  }

  makeAll<K extends OpKind>(
    op: K,
    inputs: readonly Var[],
    params: OpParams[K],
    ranges: readonly (readonly [number, number])[] = [],
  ): readonly Var[] {
    const ids = this.writer.all(
      op,
      inputs.map(({ id }) => id),
      params,
    );
    return ids.map((id, i) => this.known(id, ranges[i]?.[0] ?? -Infinity, ranges[i]?.[1] ?? Infinity));
  }

  /** Offers a result to later steps, in bounded mode squashed if it has grown. */
  offer(result: Var): void {
    const grown = isFloat(result.type.dtype) && this.bounded && !(result.lo >= -BOUND && result.hi <= BOUND);
    this.vars.push(grown ? this.within(result, -3, 3) : result);
  }

  checkSize(shape: readonly number[]): void {
    if (sizeOf(shape) > MAX_SIZE) throw new Unsuitable();
  }

  /** A uniform constant of a type. */
  fill(type: TensorType, value: number): Var {
    return this.make(
      "constant",
      [],
      { shape: type.shape, dtype: type.dtype, values: encodeScalar(value) },
      value,
      value,
    );
  }

  constant(type: TensorType): Var {
    this.checkSize(type.shape);
    const pool = isFloat(type.dtype) ? (this.bounded ? NICE : WILD) : type.dtype === "bool" ? [0, 1] : WHOLE;
    const legal = (x: number): number => (type.dtype === "u32" ? x >>> 0 : x);
    const first = legal(this.choose(pool));
    if (this.pick(2) === 0) return this.fill(type, first);
    const start = this.pick(pool.length);
    const values = Array.from({ length: sizeOf(type.shape) }, (_, i) =>
      legal(pool[(start + i * 3) % pool.length] as number),
    );
    const [lo, hi] = values.length === 0 ? [0, 0] : [Math.min(...values), Math.max(...values)];
    return this.make(
      "constant",
      [],
      { shape: type.shape, dtype: type.dtype, values: values.map(encodeScalar) },
      lo,
      hi,
    );
  }

  shape(maxRank = 3): readonly number[] {
    const shape = Array.from({ length: this.pick(maxRank + 1) }, () => this.choose(this.settings.extents));
    this.checkSize(shape);
    return shape;
  }

  /** A variable that satisfies `wanted`, the latest ones first. @throws Unsuitable when there is none. */
  any(wanted: (type: TensorType) => boolean = () => true): Var {
    return this.choose(this.vars.filter(({ type }) => wanted(type)).reverse());
  }

  float(wanted: (shape: readonly number[]) => boolean = () => true): Var {
    return this.any(({ dtype, shape }) => isFloat(dtype) && wanted(shape));
  }

  number(wanted: (shape: readonly number[]) => boolean = () => true): Var {
    return this.any(({ dtype, shape }) => dtype !== "bool" && wanted(shape));
  }

  integer(): Var {
    return this.any(({ dtype }) => isInteger(dtype));
  }

  /** A variable of exactly this type: one that exists, a new constant, or one derived from a variable of another shape. */
  ofType(type: TensorType): Var {
    this.checkSize(type.shape);
    const same = this.vars.filter((candidate) => sameType(candidate.type, type)).reverse();
    const sources = this.vars
      .filter((candidate) => candidate.type.dtype === type.dtype && sizeOf(candidate.type.shape) > 0)
      .reverse();
    const way = this.pick(3);
    if (same.length > 0 && way < 2) return this.choose(same);
    if (sources.length === 0 || way === 2)
      return type.dtype === "bool" ? this.bool(type.shape) : this.constant(type);
    const scalar = this.first(this.choose(sources));
    const spread = this.make("broadcast", [scalar], { shape: type.shape, dims: [] }, scalar.lo, scalar.hi);
    return isFloat(type.dtype) && !this.settings.movesFloats
      ? this.times(spread, this.constant(type))
      : spread;
  }

  /** The first element, as a scalar. */
  private first(x: Var): Var {
    const ones = x.type.shape.map(() => 1);
    const one = this.make("slice", [x], { start: ones.map(() => 0), stop: ones, step: ones }, x.lo, x.hi);
    return this.make("reshape", [one], { shape: [] }, x.lo, x.hi);
  }

  /** A bool of this shape that varies along an axis. */
  private bool(shape: readonly number[]): Var {
    const type: TensorType = { shape, dtype: "i32" };
    if (shape.length === 0) return this.fill({ shape, dtype: "bool" }, this.pick(2));
    const iota = this.make("iota", [], { shape, dtype: "i32", axis: this.pick(shape.length) });
    return this.make("less", [iota, this.fill(type, 1 + this.pick(2))], {});
  }

  plus(x: Var, y: Var): Var {
    return this.make("add", [x, y], {}, x.lo + y.lo, x.hi + y.hi);
  }

  times(x: Var, y: Var): Var {
    const ends = [x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi];
    return this.make("mul", [x, y], {}, Math.min(...ends), Math.max(...ends));
  }

  /** x + c. */
  shift(x: Var, by: number): Var {
    return by === 0 ? x : this.plus(x, this.fill(x.type, by));
  }

  /** In bounded mode, x squashed into [lo, hi] unless it is known to lie there; else x. */
  within(x: Var, lo: number, hi: number): Var {
    if (!this.bounded || !isFloat(x.type.dtype) || (x.lo >= lo && x.hi <= hi)) return x;
    const half = (hi - lo) / 2;
    // A tanh that saturates has no slope left, so a wide range is narrowed first.
    const width = Math.max(Math.abs(x.lo), Math.abs(x.hi));
    const narrow =
      width > 3 && Number.isFinite(width) ? this.make("mul", [x, this.fill(x.type, 2 / width)], {}) : x;
    const squashed = this.make("tanh", [narrow], {}, -1, 1);
    return this.shift(this.make("mul", [squashed, this.fill(x.type, half)], {}, -half, half), lo + half);
  }

  /** In bounded mode, x moved to one side of `point` by at least 0.1 (to either side, by choice). */
  offKink(x: Var, point: number): Var {
    if (!this.bounded || !isFloat(x.type.dtype) || x.lo >= point + 0.1 || x.hi <= point - 0.1) return x;
    const small = this.within(x, -BOUND, BOUND);
    return this.pick(2) === 0
      ? this.shift(small, point - small.lo + 0.5)
      : this.shift(small, point - small.hi - 0.5);
  }

  /** In bounded mode, x with neighbours along the axes so far apart that no two elements tie. */
  distinct(x: Var, axes: readonly number[]): Var {
    if (!this.bounded || !isFloat(x.type.dtype)) return x;
    let apart = this.within(x, -1, 1);
    let gap = 2.5;
    for (const axis of axes) {
      const index = this.make("iota", [], { shape: x.type.shape, dtype: x.type.dtype, axis });
      const extent = x.type.shape[axis] as number;
      const offset = this.make("mul", [index, this.fill(x.type, gap)], {}, 0, gap * Math.max(0, extent - 1));
      apart = this.plus(apart, offset);
      gap *= Math.max(1, extent);
    }
    return apart;
  }

  /** A program of its own: `inputs` give types and ranges; `finish` names the outputs after the steps ran. */
  nested(
    inputs: readonly Var[],
    steps: readonly Step[],
    finish: (inner: Gen, ids: readonly Var[]) => readonly Var[],
  ): Program {
    const inner = new Gen(this.settings, this.apply);
    const ids = inputs.map(({ type, lo, hi }) => inner.input(type, lo, hi));
    inner.steps(steps);
    inner.picks = this.picks;
    const outputs = finish(inner, ids);
    return inner.finish(outputs);
  }

  finish(outputs: readonly Var[]): Program {
    return this.writer.program(outputs.map(({ id }) => id));
  }
}
