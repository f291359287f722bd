/**
 * The verifier: whether a program is legal. Transforms and passes promise programs that pass; files are not trusted to.
 *
 * Rules: every variable is defined exactly once (as an input or an output of an equation) and before it is used; its entry in
 * the type table is what the op's shape rule gives; parameters are plain JSON of the op's parameter kinds; nested programs
 * obey the same rules by themselves (they are closed); outputs exist.
 */
import { OpError } from "../ops/definition.ts";
import { inferTypes } from "../ops/index.ts";
import { DTYPES } from "../types/dtype.ts";
import { isOpKind, paramsProblem } from "./params.ts";
import { printEquation } from "./print.ts";
import { decodeScalar, formatType, isProgram, nestedPrograms, sameType, typeOf } from "./program.ts";
import type { AnyEquation, OpParams, Program, TensorType, VarId } from "./program.ts";

/** An illegal program: the message holds the equation, as it prints, and the rule it breaks. */
export class VerifyError extends Error {
  override readonly name = "VerifyError";
}

/** Checks every rule. @throws VerifyError at the first violation, in program order. Returns the program. */
export function verify(program: Program): Program {
  check(program, "");
  return program;
}

function check(program: Program, where: string): void {
  const fail = (message: string): never => {
    throw new VerifyError(where === "" ? message : `in ${where}: ${message}`);
  };
  if (
    !isProgram(program) ||
    ![program.inputs, program.equations, program.outputs, program.types].every(Array.isArray)
  ) {
    fail("a program is a record of the lists inputs, equations, outputs and types");
  }
  const defined = new Set<VarId>();
  const define = (id: VarId): string | undefined => {
    const type = program.types[id];
    if (type === undefined) return `%${id} has no entry in the type table of ${program.types.length}`;
    if (!isType(type))
      return `the type of %${id} is ${JSON.stringify(type)}, which is not a shape and a dtype`;
    if (defined.has(id)) return `%${id} is defined twice`;
    defined.add(id);
    return undefined;
  };

  for (const id of program.inputs) {
    const problem = define(id);
    if (problem !== undefined) fail(`in the program's inputs, ${problem}`);
  }
  program.equations.forEach((equation, index) => {
    const blame = (problem: string | undefined): void => {
      if (problem !== undefined) fail(`equation ${index}, \`${describe(program, equation)}\`: ${problem}`);
    };
    blame(equationProblem(equation, (id) => defined.has(id)));
    // Nested programs come before the outputs: shape rules read their signatures.
    for (const [name, nested] of nestedPrograms(equation)) {
      check(nested, `${where === "" ? "" : `${where}, `}${name} of the ${equation.op} in equation ${index}`);
    }
    blame(outputProblem(program, equation, define));
  });
  for (const id of program.outputs) {
    if (!defined.has(id)) fail(`the program returns %${id}, which is not defined`);
  }
}

const describe = (program: Program, equation: AnyEquation): string =>
  isOpKind(equation.op) ? printEquation(program, equation) : String((equation as { op: unknown }).op);

const isType = (type: TensorType): boolean =>
  Array.isArray(type.shape) &&
  type.shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) &&
  DTYPES.includes(type.dtype);

/** The outputs' declared types against what the op gives. The inputs are known to be legal. */
function outputProblem(
  program: Program,
  equation: AnyEquation,
  define: (id: VarId) => string | undefined,
): string | undefined {
  for (const id of equation.outputs) {
    const problem = define(id);
    if (problem !== undefined) return problem;
  }
  const types = (ids: readonly VarId[]): TensorType[] => ids.map((id) => typeOf(program, id));
  return typesProblem(equation, types(equation.inputs), types(equation.outputs));
}

/** What is wrong with an equation's op, parameters or inputs, or undefined. */
function equationProblem(equation: AnyEquation, isDefined: (id: VarId) => boolean): string | undefined {
  if (!isOpKind(equation.op)) return "there is no such op";
  const problem = paramsProblem(equation.op, equation.params);
  if (problem !== undefined) return problem;
  if (equation.op === "constant") {
    const bad = constantProblem(equation.params);
    if (bad !== undefined) return bad;
  }
  const unknown = equation.inputs.find((id) => !isDefined(id));
  return unknown === undefined ? undefined : `%${unknown} is used before it is defined`;
}

/** What is wrong with the declared output types of an equation whose op, parameters and inputs are legal, or undefined. */
export function typesProblem(
  equation: Pick<AnyEquation, "op" | "params">,
  inputs: readonly TensorType[],
  outputs: readonly TensorType[],
): string | undefined {
  let inferred: readonly TensorType[];
  try {
    inferred = inferTypes(equation.op, inputs, equation.params);
  } catch (error) {
    if (error instanceof OpError) return error.message;
    throw error;
  }
  if (inferred.length !== outputs.length)
    return `${equation.op} has ${inferred.length} outputs here, not ${outputs.length}`;
  const wrong = inferred.findIndex((type, i) => !sameType(type, outputs[i] as TensorType)); // lengths are equal
  if (wrong < 0) return undefined;
  return `output ${wrong} is declared ${formatType(outputs[wrong] as TensorType)}, but is ${formatType(inferred[wrong] as TensorType)}`;
}

/** Values of integer and bool constants must be values of the dtype; floats are rounded by each target. */
export function constantProblem({ dtype, values }: OpParams["constant"]): string | undefined {
  if (dtype === "f32" || dtype === "f16") return undefined;
  const [low, high] =
    dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : dtype === "u32" ? [0, 2 ** 32 - 1] : [0, 1];
  const list = typeof values === "object" ? values : [values];
  const bad = list.find((value) => {
    const number = decodeScalar(value);
    return !Number.isInteger(number) || number < low || number > high || Object.is(number, -0);
  });
  return bad === undefined ? undefined : `${bad} is not a value of dtype ${dtype}`;
}
