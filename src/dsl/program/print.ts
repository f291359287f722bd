/**
 * The text form of programs, for reading, snapshots and hashing. `parse.ts` reads it back.
 *
 *   program (%0: f32[3,4], %1: f32[]) {
 *     %2: f32[3,4] = broadcast shape=[3,4] dims=[] %1
 *     %3: f32[3,4] = mul %0 %2
 *     return %3
 *   }
 *
 * Variables are numbered in order of definition, in every nested program anew, so that programs which differ only in their
 * numbering print alike. Lists without brackets are separated by ", ", parameters come before the inputs.
 */
import { formatType, isProgram, typeOf } from "./program.ts";
import type { AnyEquation, Program, VarId } from "./program.ts";
import { paramEntries } from "./params.ts";

/** How a variable is called. */
type Naming = (id: VarId) => string;

/** The canonical text of a program. Total: prints ill-formed programs too, with `%?7` for an undefined variable 7. */
export function print(program: Program): string {
  return `program ${printBlock(program, "")}\n`;
}

/** One equation as it would print, numbered as it is: for messages. Nested programs are shortened to `{…}`. */
export function printEquation(program: Program, equation: AnyEquation): string {
  return equationText(program, equation, (id) => `%${id}`, undefined);
}

function printBlock(program: Program, indent: string): string {
  const numbers = new Map<VarId, number>();
  const define = (id: VarId): void => {
    if (!numbers.has(id)) numbers.set(id, numbers.size);
  };
  program.inputs.forEach(define);
  for (const equation of program.equations) equation.outputs.forEach(define);
  const name: Naming = (id) => `%${numbers.get(id) ?? `?${id}`}`;
  const inner = `${indent}  `;
  const lines = program.equations.map((equation) => inner + equationText(program, equation, name, inner));
  const results = program.outputs.map(name).join(" ");
  lines.push(`${inner}return${results === "" ? "" : ` ${results}`}`);
  return `(${declare(program, program.inputs, name)}) {\n${lines.join("\n")}\n${indent}}`;
}

/** `indent` undefined: nested programs are not written out. */
function equationText(
  program: Program,
  equation: AnyEquation,
  name: Naming,
  indent: string | undefined,
): string {
  const words = paramEntries(equation).map(([key, value]) => `${key}=${valueText(value, indent)}`);
  words.push(...equation.inputs.map(name));
  return `${declare(program, equation.outputs, name)} = ${[equation.op, ...words].join(" ")}`;
}

function valueText(value: unknown, indent: string | undefined): string {
  if (isProgram(value)) return indent === undefined ? "{…}" : printBlock(value, indent);
  return Array.isArray(value) ? `[${value.map(String).join(",")}]` : String(value);
}

const declare = (program: Program, ids: readonly VarId[], name: Naming): string =>
  ids
    .map((id) => `${name(id)}: ${program.types[id] === undefined ? "?" : formatType(typeOf(program, id))}`)
    .join(", ");
