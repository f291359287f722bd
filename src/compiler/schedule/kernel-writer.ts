/**
 * Writes one kernel: hands out elements of variables as expressions, from buffers where they are stored and from the pointwise rules
 * where they are not, and keeps account of the buffers and parameters that the dispatch must bind.
 *
 * Consumed by the makers of kernels in this folder. Within one scope of the builder an element is loaded or computed once.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { KernelBuilder, extent, minus, plus, times } from "../kernel/builder.ts";
import { scalarOf } from "../kernel/ir.ts";
import type { Access, Expr, Kernel, QuadParts, QuadPlace } from "../kernel/ir.ts";
import type { BufferId, Param, Part } from "../kernel/plan.ts";
import { flat, keyOf } from "./coordinates.ts";
import type { Index } from "./coordinates.ts";
import { POINTWISE, isPointwise } from "./pointwise.ts";
import type { PointwiseContext } from "./pointwise.ts";

/** Where a variable is stored, its elements side by side: a buffer, or a part of one, which may be another in each iteration of a loop. */
export interface Location {
  readonly buffer: BufferId;
  /** Its first element in the buffer; 0 by default. */
  readonly offset?: number;
  /** The loop of this depth is at iteration i: elements start i·stride later, or (length − 1 − i)·stride when reversed. */
  readonly slice?: {
    readonly loop: number;
    readonly length: number;
    readonly reverse: boolean;
    readonly stride: number;
  };
}

/** What the kernels of one program share. */
export interface Scope {
  readonly program: Program;
  /** The equation that defines each variable; undefined for inputs. */
  readonly definitions: readonly (AnyEquation | undefined)[];
  /** Where a variable is stored, as such or as part of what it is a view of; undefined when it is not. */
  location(id: VarId): Location | undefined;
  /** The variable that this one is a contiguous view of; itself for others. */
  root(id: VarId): VarId;
  /** The buffer of a constant that is a list. */
  listed(id: VarId): BufferId;
  /** A binding may begin at a multiple of so many elements; undefined: kernels bind whole buffers, each once. */
  readonly alignment: number | undefined;
}

/** A kernel with what its dispatch binds. */
export interface WrittenKernel {
  readonly kernel: Kernel;
  readonly buffers: readonly BufferId[];
  /** The part of each buffer that is bound; undefined: the whole. */
  readonly parts: readonly (Part | undefined)[];
  /** How many elements of each buffer it reaches; undefined: any. */
  readonly touched: readonly (number | undefined)[];
  readonly params: readonly Param[];
}

/** Whether a kernel writes a buffer that it binds more than once: then it must bind it as a whole. */
export const clashes = ({ kernel, buffers }: WrittenKernel): boolean =>
  buffers.some(
    (id, i) =>
      kernel.buffers[i]?.access !== "read" && (buffers.indexOf(id) !== i || buffers.lastIndexOf(id) !== i),
  );

/** A buffer of the plan as the kernel binds it. */
interface Bound {
  readonly buffer: BufferId;
  /** The first element that is bound, and how many are; undefined: all. */
  readonly offset: number;
  size: number | undefined;
  access: Access;
  /** The variables that are reached through it: where they begin, and their size. Undefined: all that is bound. */
  touched: Map<number, number> | undefined;
}

const totalOf = (sizes: ReadonlyMap<number, number>): number =>
  [...sizes.values()].reduce((sum, size) => sum + size, 0);

export class KernelWriter {
  readonly builder = new KernelBuilder();
  readonly #scope: Scope;
  /** Variables that this kernel computes, although they may be stored as well. */
  readonly #own: ReadonlySet<VarId>;
  readonly #bound: Bound[] = [];
  readonly #params: Param[] = [];
  readonly #loops = new Map<number, Expr>();
  /** Where a name's value was loaded from. */
  readonly #loaded = new Map<string, { readonly buffer: number; readonly at: Expr }>();
  readonly #context: PointwiseContext;

  constructor(scope: Scope, own: ReadonlySet<VarId>) {
    this.#scope = scope;
    this.#own = own;
    this.#context = {
      builder: this.builder,
      value: (id, index) => this.value(id, index),
      typeOf: (id) => this.typeOf(id),
      listed: (id, index) => this.#load({ buffer: scope.listed(id) }, this.typeOf(id), index),
    };
  }

  typeOf(id: VarId): TensorType {
    return typeOf(this.#scope.program, id);
  }

  /** Position in the kernel of a buffer of the plan, bound as a whole. */
  bind(buffer: BufferId, type: TensorType, access: Access): number {
    return this.#bind({ buffer, offset: 0, size: undefined, access, touched: undefined }, type);
  }

  #bind(wanted: Bound, { dtype }: TensorType): number {
    const { buffer, offset, size, access, touched } = wanted;
    const at = this.#bound.findIndex(
      (bound) =>
        bound.buffer === buffer &&
        bound.offset === offset &&
        (bound.size === undefined) === (size === undefined),
    );
    const known = this.#bound[at];
    if (known === undefined) {
      this.#bound.push(wanted);
      return this.builder.buffer({ dtype, access });
    }
    if (known.size !== undefined) known.size = Math.max(known.size, size ?? 0);
    if (touched === undefined) known.touched = undefined;
    for (const [start, count] of touched ?? [])
      known.touched?.set(start, Math.max(count, known.touched.get(start) ?? 0));
    if (known.access !== access) {
      known.access = "readWrite";
      this.builder.readAndWrite(at);
    }
    return at;
  }

  /** The binding through which a location is reached, and the position of its element there. */
  #reach(
    location: Location,
    type: TensorType,
    access: Access,
    index: Index,
  ): { readonly buffer: number; readonly at: Expr } {
    const { buffer, offset = 0, slice } = location;
    const { alignment } = this.#scope;
    const within = flat(this.builder, index);
    const size = sizeOf(type.shape);
    const touched = new Map([[offset, size * (slice?.length ?? 1)]]);
    if (offset > 0 && slice === undefined && alignment !== undefined && offset % alignment === 0)
      return { buffer: this.#bind({ buffer, offset, size, access, touched }, type), at: within };
    const whole = { buffer, offset: 0, size: undefined, access, touched };
    return { buffer: this.#bind(whole, type), at: this.#place(location, within) };
  }

  #load(location: Location, type: TensorType, index: Index): Expr {
    const reached = this.#reach(location, type, "read", index);
    const value = this.builder.let({ kind: "load", type: scalarOf(type.dtype), ...reached }, "x");
    if (value.kind === "name") this.#loaded.set(value.name, reached);
    return value;
  }

  /** Where a variable's element is that begins a quad (`liesInQuads`). Its value alone is loaded as well, unless nothing uses it. */
  quad(id: VarId, index: Index): QuadPlace {
    const value = this.value(id, index);
    const found = value.kind === "name" ? this.#loaded.get(value.name) : undefined;
    if (found === undefined) throw new Error(`%${id} is computed, and has no quads`);
    this.builder.inQuads(found.buffer);
    return { memory: { kind: "buffer", position: found.buffer }, at: found.at };
  }

  /** A parameter of the kernel that the dispatch sets. */
  param(param: Param): Expr {
    this.#params.push(param);
    return this.builder.param();
  }

  /** Position in the location's buffer of an element. */
  #place({ offset = 0, slice }: Location, at: Expr): Expr {
    const moved = offset === 0 ? at : plus(at, extent(offset));
    if (slice === undefined) return moved;
    const known = this.#loops.get(slice.loop);
    const iteration = known ?? this.param({ loop: slice.loop });
    this.#loops.set(slice.loop, iteration);
    const step = slice.reverse ? minus(extent(slice.length - 1), iteration) : iteration;
    return plus(times(step, extent(slice.stride)), moved);
  }

  /** The element of a variable at an index. */
  value(id: VarId, index: Index): Expr {
    return this.builder.once(`${id} ${keyOf(index)}`, () => {
      const own = this.#own.has(id) || this.#own.has(this.#scope.root(id));
      const location = own ? undefined : this.#scope.location(id);
      if (location !== undefined) return this.#load(location, this.typeOf(id), index);
      const equation = this.#scope.definitions[id];
      if (equation === undefined || !isPointwise(equation.op))
        throw new Error(`%${id} (${equation?.op ?? "input"}) is not at hand in this kernel`);
      const results = this.builder.once(`outputs of ${equation.outputs[0]} ${keyOf(index)}`, () =>
        this.#compute(equation, index),
      );
      return results[equation.outputs.indexOf(id)] as Expr; // it defines id
    });
  }

  #compute(equation: AnyEquation, index: Index): readonly Expr[] {
    const rule = POINTWISE[equation.op as keyof typeof POINTWISE] as unknown as (
      context: PointwiseContext,
      inputs: readonly VarId[],
      params: AnyEquation["params"],
      index: Index,
      outputs: readonly VarId[],
    ) => readonly Expr[]; // the table pairs each op with its own parameters
    return rule(this.#context, equation.inputs, equation.params, index, equation.outputs).map((value) =>
      this.builder.let(value),
    );
  }

  /** Says what a variable's element at an index is, for the current scope. */
  define(id: VarId, index: Index, value: Expr): void {
    this.builder.once(`${id} ${keyOf(index)}`, () => value);
  }

  /** Stores an element of a variable at its location. */
  store(id: VarId, location: Location, index: Index, value: Expr): void {
    this.builder.emit({ kind: "store", ...this.#reach(location, this.typeOf(id), "write", index), value });
  }

  /** Stores four neighbours, the first at a place that is a multiple of four. The buffer must not be stored to otherwise. */
  storeQuad(id: VarId, location: Location, index: Index, values: QuadParts): void {
    const { buffer, at } = this.#reach(location, this.typeOf(id), "write", index);
    this.builder.inQuads(buffer);
    const quad = this.builder.quad({ kind: "parts", parts: values });
    this.builder.emit({ kind: "storeQuad", quad, to: { memory: { kind: "buffer", position: buffer }, at } });
  }

  finish(name: string, lanes: number): WrittenKernel {
    return {
      kernel: this.builder.finish(name, lanes),
      buffers: this.#bound.map(({ buffer }) => buffer),
      parts: this.#bound.map(({ offset, size }) => (size === undefined ? undefined : { offset, size })),
      touched: this.#bound.map(({ touched }) => (touched === undefined ? undefined : totalOf(touched))),
      params: this.#params,
    };
  }
}

/** An identifier that says what a kernel computes. */
export const kernelName = (kind: string, ops: readonly OpKind[]): string =>
  [kind, ...new Set(ops.slice(-4))].join("_");
