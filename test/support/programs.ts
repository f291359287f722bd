/**
 * Small helpers to write programs by hand in tests: one equation at a time, types inferred.
 * Consumed by the tests of the IR, the interpreter and the passes.
 */
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { inferTypes } from "../../src/dsl/ops/index.ts";
import { encodeScalar } from "../../src/dsl/program/program.ts";
import type {
  AnyEquation,
  OpKind,
  OpParams,
  Program,
  TensorType,
  VarId,
} from "../../src/dsl/program/program.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";

/** `f32[2,3]` read into a type. */
export function type(text: string): TensorType {
  const match = /^(f32|f16|i32|u32|bool)\[([\d,]*)\]$/.exec(text);
  if (match === null) throw new Error(`not a type: ${text}`);
  const dims = match[2] as string;
  return { dtype: match[1] as DType, shape: dims === "" ? [] : dims.split(",").map(Number) };
}

/** Writes a program equation by equation. */
export class Writer {
  private readonly inputs: VarId[] = [];
  private readonly equations: AnyEquation[] = [];
  private readonly types: TensorType[] = [];

  private define(given: TensorType): VarId {
    this.types.push({ shape: given.shape, dtype: given.dtype });
    return this.types.length - 1;
  }

  input(given: TensorType | string): VarId {
    const id = this.define(typeof given === "string" ? type(given) : given);
    this.inputs.push(id);
    return id;
  }

  typeOf(id: VarId): TensorType {
    const found = this.types[id];
    if (found === undefined) throw new Error(`no variable ${id}`);
    return found;
  }

  /** Appends an equation; returns its outputs. @throws OpError when the op refuses. */
  all<K extends OpKind>(op: K, inputs: readonly VarId[], params: OpParams[K]): readonly VarId[] {
    const outputs = inferTypes(
      op,
      inputs.map((id) => this.typeOf(id)),
      params,
    ).map((t) => this.define(t));
    this.equations.push({ op, inputs: [...inputs], outputs, params } as unknown as AnyEquation); // K ties op and params
    return outputs;
  }

  /** Like {@link all}, for ops with one output. */
  one<K extends OpKind>(op: K, inputs: readonly VarId[], params: OpParams[K]): VarId {
    return this.all(op, inputs, params)[0] as VarId;
  }

  program(outputs: readonly VarId[]): Program {
    return {
      inputs: [...this.inputs],
      equations: [...this.equations],
      outputs: [...outputs],
      types: [...this.types],
    };
  }
}

/** A program of one writer function: inputs of the given types in, outputs out. */
export function program(
  inputs: readonly (TensorType | string)[],
  body: (w: Writer, ...ids: VarId[]) => readonly VarId[],
): Program {
  const writer = new Writer();
  const ids = inputs.map((given) => writer.input(given));
  return writer.program(body(writer, ...ids));
}

/** A tensor in the interpreter's form: `tensor("f32[2]", [1, 2])`, or one value for all entries. */
export function tensor(text: string, values: readonly number[] | number): ExactTensor {
  const { dtype, shape } = type(text);
  const size = shape.reduce((product, dim) => product * dim, 1);
  return exactTensor(
    dtype,
    shape,
    typeof values === "number" ? Array.from({ length: size }, () => values) : values,
  );
}

/**
 * What differs between two lists of tensors, or undefined: types, and values up to `tolerance`·(1 + |expected|). With
 * tolerance 0 the bits must agree: −0 differs from 0; NaN equals NaN always.
 */
export function difference(
  actual: readonly HostTensor[],
  expected: readonly HostTensor[],
  tolerance = 0,
): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} tensors instead of ${expected.length}`;
  for (const [n, want] of expected.entries()) {
    const have = actual[n] as HostTensor; // lengths are equal
    const [a, b] = [`${have.dtype}[${have.shape.join(",")}]`, `${want.dtype}[${want.shape.join(",")}]`];
    if (a !== b) return `tensor ${n} is ${a} instead of ${b}`;
    if (have.data.length !== want.data.length)
      return `tensor ${n} holds ${have.data.length} values instead of ${want.data.length}`;
    for (let i = 0; i < want.data.length; i++) {
      const [x, y] = [have.data[i] as number, want.data[i] as number];
      const close =
        Object.is(x, y) ||
        (tolerance > 0 &&
          (x === y || (Number.isFinite(y) && Math.abs(x - y) <= tolerance * (1 + Math.abs(y)))));
      if (!close) return `element ${i} of tensor ${n} is ${encodeScalar(x)} instead of ${encodeScalar(y)}`;
    }
  }
  return undefined;
}
