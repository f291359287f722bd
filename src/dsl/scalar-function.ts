/**
 * A function of one number that is written in the language, as a function of plain numbers, with its derivative: in double
 * precision, on the host, without a device. What is declared once in the language (an interpolant, a clock) then serves programs
 * and the host alike, and its derivative comes from differentiation, not from whoever wrote it.
 *
 * Consumed by src/models. Only elementwise ops have a meaning here; their values are those of src/dsl/ops.
 */
import { f32, fn, trace } from "./fn.ts";
import { OpError } from "./ops/definition.ts";
import { OPS } from "./ops/index.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS, decodeScalar } from "./program/program.ts";
import type { AnyEquation, ArithmeticOp, CompareOp, Program, UnaryOp, VarId } from "./program/program.ts";
import { scalar } from "./surface/create.ts";
import { jvp } from "./transforms/functional.ts";
import type { DType, Tensor } from "./types/index.ts";

/** The value at a number, and the derivative there. */
export interface ScalarFunction {
  (x: number): number;
  derivative(x: number): number;
}

/**
 * @param f an elementwise function of the language; it is traced on a scalar
 * @throws OpError when it uses an op that is not elementwise, or does not return one f32 number
 */
export function scalarFunction(f: (x: Tensor) => Tensor): ScalarFunction {
  const { program } = trace(
    fn({ x: f32() }, ({ x }) => {
      const { value, tangent } = jvp((at: Tensor) => f(at), [x], [scalar(1)]);
      if (value.shape.length !== 0 || value.dtype !== "f32")
        throw new OpError(
          `a function of one number must return one f32 number, not ${value.dtype} [${value.shape.join(",")}]`,
        );
      return [value, tangent];
    }),
  );
  const [value, tangent] = program.outputs as readonly [VarId, VarId];
  const at = (x: number, output: VarId): number => evaluate(program, [x])[output] as number;
  return Object.assign((x: number) => at(x, value), { derivative: (x: number) => at(x, tangent) });
}

/** The values of all variables of a program on scalars. */
function evaluate(program: Program, inputs: readonly number[]): readonly (number | undefined)[] {
  const values: (number | undefined)[] = [];
  program.inputs.forEach((id, i) => (values[id] = inputs[i]));
  for (const equation of program.equations) {
    const operands = equation.inputs.map((id) => values[id] as number); // verified: defined before use
    const nested = "body" in equation.params ? (equation.params.body as Program | undefined) : undefined;
    if (nested !== undefined && INLINED.has(equation.op)) {
      const inner = evaluate(nested, operands);
      equation.outputs.forEach((id, i) => (values[id] = inner[nested.outputs[i] as VarId]));
      continue;
    }
    values[equation.outputs[0] as VarId] = elementwise(program, equation, operands);
  }
  return values;
}

/** Ops that mean their body. */
const INLINED: ReadonlySet<string> = new Set(["remat", "customJvp", "customVjp"]);

const isOf = <K extends string>(list: readonly K[], op: string): op is K =>
  (list as readonly string[]).includes(op);

function elementwise(program: Program, equation: AnyEquation, operands: readonly number[]): number {
  const { op } = equation;
  const [x = NaN, y = NaN, z = NaN] = operands;
  const dtype = program.types[equation.inputs[0] ?? -1]?.dtype ?? "f32";
  if (isOf<UnaryOp>(UNARY_OPS, op)) return OPS[op].value(x, dtype);
  if (isOf<ArithmeticOp>(ARITHMETIC_OPS, op)) return OPS[op].value(x, y, dtype);
  if (isOf<CompareOp>(COMPARE_OPS, op)) return Number(OPS[op].value(x, y));
  switch (equation.op) {
    case "constant": {
      const { values } = equation.params;
      return decodeScalar(typeof values === "object" ? (values[0] ?? NaN) : values);
    }
    case "select":
      return x === 0 ? z : y;
    case "cast":
      return castNumber(x, dtype, equation.params.dtype);
    case "broadcast":
    case "reshape":
    case "stopGradient":
      return x;
    default:
      throw new OpError(
        `a function of one number is made of elementwise ops, and ${op} is none: write it with add, mul, exp and the like`,
      );
  }
}

/** As the op casts: to bool is x ≠ 0, integers wrap, floats truncate to integers and saturate, and NaN gives 0. */
function castNumber(x: number, from: DType, to: DType): number {
  if (to === "bool") return x === 0 ? 0 : 1;
  if (to === "f32" || to === "f16") return x;
  if (from === "i32" || from === "u32" || from === "bool") return to === "i32" ? x | 0 : x >>> 0;
  const [low, high] = to === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  // An integer has no sign of zero.
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high) + 0;
}
