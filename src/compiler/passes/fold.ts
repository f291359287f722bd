/**
 * Constant folding: evaluates equations whose inputs are all constants, with the reference interpreter. Consumed by the pipeline.
 *
 * Arithmetic is in doubles, as in the interpreter, and a target rounds the result once when it stores the constant: at least
 * as accurate as rounding after each equation, though not always the same float. A `cast` to f16 or f32 is there to round, so
 * it is folded only where it is exact. Results of more than `MAX_ELEMENTS` are left to the target unless all are equal: a
 * program should not grow by tables that a device computes in no time. `iota` is no constant here, for the same reason.
 */
import {
  ARITHMETIC_OPS,
  COMPARE_OPS,
  UNARY_OPS,
  encodeScalar,
  nestedPrograms,
  sizeOf,
} from "../../dsl/program/program.ts";
import type {
  AnyEquation,
  JsonScalar,
  OpKind,
  OpParams,
  Program,
  TensorType,
  VarId,
} from "../../dsl/program/program.ts";
import { inferTypes } from "../../dsl/ops/index.ts";
import { roundToF16 } from "../../dsl/numerics/float16.ts";
import type { ExactTensor } from "../host-tensor.ts";
import { interpret } from "../interpret/interpret.ts";
import { mapNested, rewrite } from "./rewrite.ts";
import type { Rewriter } from "./rewrite.ts";

/** Largest list of values that folding writes into a program, and the largest operand it reads element by element. */
const MAX_ELEMENTS = 64;

/** Ops that treat every element alike, so that uniform operands of any size give a uniform result. */
const ELEMENTWISE: ReadonlySet<OpKind> = new Set<OpKind>([
  ...UNARY_OPS,
  ...ARITHMETIC_OPS,
  ...COMPARE_OPS,
  "select",
  "cast",
  "threefry",
  "stopGradient",
]);

/** Folds constants, also inside nested programs. */
export function foldConstants(program: Program): Program {
  return rewrite(program, (equation, r, types) => {
    const inner = mapNested(equation, foldConstants);
    return (
      foldEmpty(inner, r, types) ??
      fold(inner, r) ??
      normalize(inner, r) ??
      (inner === equation ? undefined : r.keep(inner))
    );
  });
}

/** Tensors without elements are constants whatever computes them. */
function foldEmpty(
  equation: AnyEquation,
  r: Rewriter,
  types: readonly TensorType[],
): readonly VarId[] | undefined {
  if (equation.op === "constant" || types.length === 0) return undefined;
  return types.every(({ shape }) => sizeOf(shape) === 0)
    ? types.map((type) => r.fill(type, 0, equation))
    : undefined;
}

/** A list of equal values becomes one value. */
function normalize(equation: AnyEquation, r: Rewriter): readonly VarId[] | undefined {
  if (equation.op !== "constant") return undefined;
  const { shape, dtype, values } = equation.params;
  if (typeof values !== "object" || !values.every((value) => value === values[0])) return undefined;
  return [r.one("constant", [], { shape, dtype, values: values[0] ?? 0 }, equation)];
}

function fold(equation: AnyEquation, r: Rewriter): readonly VarId[] | undefined {
  const { op, params } = equation;
  if (op === "constant" || op === "iota" || nestedPrograms(equation).length > 0) return undefined;
  const constants = equation.inputs.map((id) => r.defined(id, "constant")?.params);
  if (!constants.every((constant) => constant !== undefined)) return undefined;
  const types = inferTypes(
    op,
    equation.inputs.map((id) => r.typeOf(id)),
    params,
  );
  if (ELEMENTWISE.has(op) && constants.every(({ values }) => typeof values !== "object")) {
    const scalars = constants.map((constant) => ({ ...constant, shape: [] }));
    const results = evaluate(
      equation,
      scalars,
      types.map(({ dtype }) => ({ shape: [], dtype })),
    );
    if (!isExactCast(equation, results)) return undefined;
    return types.map((type, i) => r.fill(type, results[i]?.data[0] as number, equation)); // scalars hold one value
  }
  const largest = Math.max(
    ...constants.map(({ shape }) => sizeOf(shape)),
    ...types.map(({ shape }) => sizeOf(shape)),
  );
  if (largest > MAX_ELEMENTS) return undefined;
  const results = evaluate(equation, constants, types);
  if (!isExactCast(equation, results)) return undefined;
  return results.map((result) => r.one("constant", [], constantOf(result), equation));
}

/** Runs one equation on constants. */
function evaluate(
  equation: AnyEquation,
  constants: readonly OpParams["constant"][],
  types: readonly TensorType[],
): readonly ExactTensor[] {
  const n = constants.length;
  const program: Program = {
    inputs: [],
    equations: [
      ...constants.map((params, i): AnyEquation => ({ op: "constant", inputs: [], outputs: [i], params })),
      // Inputs and outputs of the same op, renumbered.
      { ...equation, inputs: constants.map((_, i) => i), outputs: types.map((_, i) => n + i) },
    ],
    outputs: types.map((_, i) => n + i),
    types: [...constants.map(({ shape, dtype }) => ({ shape, dtype })), ...types],
  };
  return interpret(program, []);
}

/** False for a cast that would round a value to its float dtype. */
function isExactCast(equation: AnyEquation, results: readonly ExactTensor[]): boolean {
  if (equation.op !== "cast") return true;
  const round =
    equation.params.dtype === "f32" ? Math.fround : equation.params.dtype === "f16" ? roundToF16 : undefined;
  return (
    round === undefined || results.every(({ data }) => data.every((x: number) => Object.is(round(x), x)))
  );
}

function constantOf({ shape, dtype, data }: ExactTensor): OpParams["constant"] {
  const values: JsonScalar[] = Array.from(data, encodeScalar);
  const first = values[0] ?? 0;
  return { shape, dtype, values: values.every((value) => value === first) ? first : values };
}
