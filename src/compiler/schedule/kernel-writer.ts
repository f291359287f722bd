/**
 * Writes one kernel: hands out elements of variables as expressions, from buffers where they are stored and from the pointwise rules
 * where they are not, and keeps account of the buffers and parameters that the dispatch must bind.
 *
 * Consumed by the makers of kernels in this folder. Within one scope of the builder an element is loaded or computed once.
 */
import { typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { KernelBuilder, extent, minus, plus, times } from "../kernel/builder.ts";
import { scalarOf } from "../kernel/ir.ts";
import type { Access, Expr, Kernel } from "../kernel/ir.ts";
import type { BufferId, Param } from "../kernel/plan.ts";
import { flat, keyOf } from "./coordinates.ts";
import type { Index } from "./coordinates.ts";
import { POINTWISE, isPointwise } from "./pointwise.ts";
import type { PointwiseContext } from "./pointwise.ts";

/** Where a variable is stored: a buffer, or the part of one that belongs to an iteration of a loop. */
export interface Location {
  readonly buffer: BufferId;
  /** The loop of this depth is at iteration i: elements start at i·size, or at (length − 1 − i)·size when reversed. */
  readonly slice?: { readonly loop: number; readonly length: number; readonly reverse: boolean };
}

/** What the kernels of one program share. */
export interface Scope {
  readonly program: Program;
  /** The equation that defines each variable; undefined for inputs. */
  readonly definitions: readonly (AnyEquation | undefined)[];
  /** Where a variable is stored; undefined when it is not. */
  location(id: VarId): Location | undefined;
  /** The buffer of a constant that is a list. */
  listed(id: VarId): BufferId;
}

/** A kernel with what its dispatch binds. */
export interface WrittenKernel {
  readonly kernel: Kernel;
  readonly buffers: readonly BufferId[];
  readonly params: readonly Param[];
}

export class KernelWriter {
  readonly builder = new KernelBuilder();
  readonly #scope: Scope;
  /** Variables that this kernel computes, although they may be stored as well. */
  readonly #own: ReadonlySet<VarId>;
  readonly #buffers: BufferId[] = [];
  readonly #access: Access[] = [];
  readonly #params: Param[] = [];
  readonly #loops = new Map<number, Expr>();
  readonly #context: PointwiseContext;

  constructor(scope: Scope, own: ReadonlySet<VarId>) {
    this.#scope = scope;
    this.#own = own;
    this.#context = {
      builder: this.builder,
      value: (id, index) => this.value(id, index),
      typeOf: (id) => this.typeOf(id),
      listed: (id, index) => this.#load(scope.listed(id), this.typeOf(id), flat(this.builder, index)),
    };
  }

  typeOf(id: VarId): TensorType {
    return typeOf(this.#scope.program, id);
  }

  /** Position in the kernel of a buffer of the plan. @throws Error when it is bound already for another access */
  bind(buffer: BufferId, type: TensorType, access: Access): number {
    const known = this.#buffers.indexOf(buffer);
    if (known >= 0) {
      if (this.#access[known] !== access) throw new Error(`a kernel reads and writes buffer ${buffer}`);
      return known;
    }
    this.#buffers.push(buffer);
    this.#access.push(access);
    return this.builder.buffer({ dtype: type.dtype, access });
  }

  #load(buffer: BufferId, type: TensorType, at: Expr): Expr {
    const position = this.bind(buffer, type, "read");
    return this.builder.let({ kind: "load", type: scalarOf(type.dtype), buffer: position, at }, "x");
  }

  /** A parameter of the kernel that the dispatch sets. */
  param(param: Param): Expr {
    this.#params.push(param);
    return this.builder.param();
  }

  /** Position in the location's buffer of an element of a variable of `size` elements. */
  #place({ slice }: Location, size: number, at: Expr): Expr {
    if (slice === undefined) return at;
    const known = this.#loops.get(slice.loop);
    const iteration = known ?? this.param({ loop: slice.loop });
    this.#loops.set(slice.loop, iteration);
    const step = slice.reverse ? minus(extent(slice.length - 1), iteration) : iteration;
    return plus(times(step, extent(size)), at);
  }

  /** The element of a variable at an index. */
  value(id: VarId, index: Index): Expr {
    return this.builder.once(`${id} ${keyOf(index)}`, () => {
      const location = this.#own.has(id) ? undefined : this.#scope.location(id);
      const type = this.typeOf(id);
      if (location !== undefined) {
        const at = this.#place(location, size(type), flat(this.builder, index));
        return this.#load(location.buffer, type, at);
      }
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
    const type = this.typeOf(id);
    const position = this.bind(location.buffer, type, "write");
    const at = this.#place(location, size(type), flat(this.builder, index));
    this.builder.emit({ kind: "store", buffer: position, at, value });
  }

  finish(name: string, lanes: number): WrittenKernel {
    return { kernel: this.builder.finish(name, lanes), buffers: this.#buffers, params: this.#params };
  }
}

const size = ({ shape }: TensorType): number => shape.reduce((product, extent) => product * extent, 1);

/** An identifier that says what a kernel computes. */
export const kernelName = (kind: string, ops: readonly OpKind[]): string =>
  [kind, ...new Set(ops.slice(-4))].join("_");
