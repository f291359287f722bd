/**
 * Tracing: running a function on `TracedTensor`s writes down a program. Builders form a stack, one per program being traced.
 * A tensor of an outer builder used inside an inner one is captured: it becomes an extra input of the inner program.
 *
 * A *hoisting* builder takes only the equations that depend on its own tensors; the others go to the builder below. With the
 * tangents of a function in a hoisting builder, jvp therefore splits itself into the primal computation and a linear program
 * (see transforms/linearize.ts).
 *
 * Consumed by every transform and by the typed surface; `emit` is the only way in which equations come to be.
 */
import { OpError } from "../ops/definition.ts";
import { inferTypes } from "../ops/index.ts";
import { formatType } from "../program/program.ts";
import type { AnyEquation, OpKind, OpParams, Program, TensorType, VarId } from "../program/program.ts";
import type { DType } from "../types/dtype.ts";
import { captureSite, formatSite, rawSite, recordSite } from "./callsite.ts";

/** A tensor while its function is being traced: a variable of the program under construction. */
export class TracedTensor implements TensorType {
  readonly builder: ProgramBuilder;
  readonly id: VarId;
  readonly shape: readonly number[];
  readonly dtype: DType;

  constructor(builder: ProgramBuilder, id: VarId, type: TensorType) {
    this.builder = builder;
    this.id = id;
    this.shape = type.shape;
    this.dtype = type.dtype;
  }

  toString(): string {
    return formatType(this);
  }
}

export const isTraced = (value: unknown): value is TracedTensor => value instanceof TracedTensor;

/** A traced program and the outer tensors it captured; the program's inputs are (captures, explicit inputs). */
export interface Traced {
  readonly program: Program;
  readonly captures: readonly TracedTensor[];
}

/** Constants that take no more room than a reference: all but tables. */
const isSmall = (equation: AnyEquation): boolean =>
  equation.op === "iota" || (equation.op === "constant" && typeof equation.params.values !== "object");

/** Collects the equations of one program. */
export class ProgramBuilder {
  readonly hoists: boolean;
  private readonly explicit: VarId[] = [];
  private readonly captured = new Map<TracedTensor, TracedTensor>();
  /** Constants of outer programs, written down again here. */
  private readonly copies = new Map<TracedTensor, TracedTensor>();
  private readonly constants = new Map<VarId, AnyEquation>();
  private readonly equations: AnyEquation[] = [];
  private readonly types: TensorType[] = [];

  constructor(hoists: boolean) {
    this.hoists = hoists;
  }

  private define(type: TensorType): TracedTensor {
    this.types.push({ shape: type.shape, dtype: type.dtype });
    return new TracedTensor(this, this.types.length - 1, type);
  }

  input(type: TensorType): TracedTensor {
    const tensor = this.define(type);
    this.explicit.push(tensor.id);
    return tensor;
  }

  /**
   * The outer tensor as a variable of this program. Constants are repeated instead of handed in: a linear program, above all the
   * body of a linear scan, would otherwise receive them as residuals, one copy per iteration.
   */
  capture(outer: TracedTensor): TracedTensor {
    const known = this.captured.get(outer) ?? this.copies.get(outer);
    if (known !== undefined) return known;
    const constant = outer.builder.constants.get(outer.id);
    if (constant !== undefined && (this.hoists || isSmall(constant))) {
      const [copy] = atSite(rawSite(constant), () =>
        this.append(constant.op, [], [outer], constant.params),
      ) as readonly [TracedTensor];
      this.copies.set(outer, copy);
      return copy;
    }
    const inner = this.define(outer);
    this.captured.set(outer, inner);
    return inner;
  }

  /** Appends an equation whose inputs already belong to this builder. */
  append(
    op: OpKind,
    inputs: readonly VarId[],
    types: readonly TensorType[],
    params: AnyEquation["params"],
  ): readonly TracedTensor[] {
    const outputs = types.map((type) => this.define(type));
    // `emit` received op and params as a matching pair.
    const equation = { op, inputs, outputs: outputs.map((tensor) => tensor.id), params } as AnyEquation;
    recordSite(equation, currentSite ?? captureSite());
    this.equations.push(equation);
    if (op === "constant" || op === "iota") this.constants.set(equation.outputs[0] as VarId, equation);
    return outputs;
  }

  finish(outputs: readonly VarId[]): Traced {
    const inner = [...this.captured.values()].map((tensor) => tensor.id);
    return {
      program: {
        inputs: [...inner, ...this.explicit],
        equations: this.equations,
        outputs,
        types: this.types,
      },
      captures: [...this.captured.keys()],
    };
  }
}

const stack: ProgramBuilder[] = [];

/** Set while a program is replayed by a transform, so that new equations keep the site of the one they came from. */
let currentSite: Error | undefined;

/** Runs `body` with equations and errors attributed to `site` (when given). */
export function atSite<R>(site: Error | undefined, body: () => R): R {
  const saved = currentSite;
  currentSite = site ?? saved;
  try {
    return body();
  } catch (error) {
    throw blame(error);
  } finally {
    currentSite = saved;
  }
}

/**
 * Runs library code that calls no code of the user's, so that all of its equations come from one line: one stack is captured
 * instead of one per equation.
 */
export const atCallSite = <R>(body: () => R): R => atSite(currentSite ?? captureSite(), body);

/** The tensor as a value of the builder at `depth`, captured level by level on the way. */
function bring(tensor: TracedTensor, depth: number): TracedTensor {
  const builder = stack[depth];
  if (builder === undefined) {
    throw new OpError(`a tensor ${formatType(tensor)} is used after the function that made it has returned`);
  }
  if (tensor.builder === builder) return tensor;
  let below = depth - 1;
  while (below > 0 && (stack[below] as ProgramBuilder).hoists && stack[below] !== tensor.builder) below--;
  return builder.capture(bring(tensor, below));
}

/** Depth of the builder that an equation with these inputs belongs to. */
function targetDepth(inputs: readonly TracedTensor[]): number {
  let depth = stack.length - 1;
  if (depth < 0)
    throw new OpError(
      "ops can only be used inside a function that is being traced or compiled; wrap the code in fn(...)",
    );
  while (
    depth > 0 &&
    stack[depth]?.hoists === true &&
    !inputs.some((tensor) => tensor.builder === stack[depth])
  )
    depth--;
  return depth;
}

/**
 * Appends `op[params](inputs)` to the program being traced.
 * @throws OpError, naming the user's file and line, when shapes or dtypes break the op's rule.
 */
export function emit<K extends OpKind>(
  op: K,
  inputs: readonly TracedTensor[],
  params: OpParams[K],
): readonly TracedTensor[] {
  try {
    const depth = targetDepth(inputs);
    const local = inputs.map((tensor) => bring(tensor, depth));
    const types = inferTypes(op, local, params);
    return (stack[depth] as ProgramBuilder).append(
      op,
      local.map((tensor) => tensor.id),
      types,
      params,
    );
  } catch (error) {
    throw blame(error);
  }
}

/** Like {@link emit}, for ops with one output. */
export function emitOne<K extends OpKind>(
  op: K,
  inputs: readonly TracedTensor[],
  params: OpParams[K],
): TracedTensor {
  return emit(op, inputs, params)[0] as TracedTensor; // the op's shape rule gives exactly one type
}

const blamed = new WeakSet<OpError>();

/** Adds the user's file and line to an OpError, once. Other errors pass through. */
export function blame(error: unknown): unknown {
  if (!(error instanceof OpError) || blamed.has(error)) return error;
  const site = formatSite(currentSite ?? captureSite());
  const message = site === undefined ? error.message : `${error.message}\n    at ${site}`;
  // Where no site can be told, in a bundle, the cause's stack still shows by whose code it came.
  const located = new OpError(message, { cause: error });
  blamed.add(located);
  return located;
}

/** Traces `body` on fresh inputs of the given types, in a builder that is pushed for the time of the call. */
export function traceFlat(
  types: readonly TensorType[],
  body: (inputs: readonly TracedTensor[]) => readonly TracedTensor[],
  { hoists = false }: { readonly hoists?: boolean } = {},
): Traced {
  const builder = new ProgramBuilder(hoists);
  const inputs = types.map((type) => builder.input(type));
  stack.push(builder);
  try {
    const outputs = body(inputs);
    const depth = stack.length - 1;
    return builder.finish(outputs.map((tensor) => bring(tensor, depth).id));
  } catch (error) {
    throw blame(error);
  } finally {
    stack.pop();
  }
}
