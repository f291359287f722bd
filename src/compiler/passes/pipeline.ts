/**
 * The target-independent passes in order, repeated until nothing changes. Consumed by every target, and by whoever wants to see
 * what becomes of a program: `trace` gets it after each pass. To add a pass: a function Program -> Program that keeps the
 * signature and the values, a line in `PASSES`, and its name is tested against random programs by pipeline.test.ts.
 */
import { isProgram } from "../../dsl/program/program.ts";
import type { AnyEquation, Program } from "../../dsl/program/program.ts";
import { verify } from "../../dsl/program/verify.ts";
import { mergeCommon } from "./cse.ts";
import { eliminateDead } from "./dce.ts";
import { foldConstants } from "./fold.ts";
import { hoistInvariants } from "./hoist.ts";
import { simplify } from "./simplify.ts";

export type Pass = (program: Program) => Program;

/** By name, in the order in which they run. */
export const PASSES = {
  simplify,
  fold: foldConstants,
  cse: mergeCommon,
  hoist: hoistInvariants,
  dce: eliminateDead,
} as const satisfies Readonly<Record<string, Pass>>;

export type PassName = keyof typeof PASSES;

/** Programs settle in two or three rounds; the bound is for passes that would undo each other. */
const MAX_ROUNDS = 8;

export interface OptimizeOptions {
  /** Verify the program before and after every pass: for tests and for debugging passes. Default false. */
  readonly verify?: boolean;
  /** Called with the program after each pass. */
  readonly trace?: (pass: PassName, program: Program) => void;
}

/** Runs all passes to a fixpoint. Inputs and outputs keep their number, order and types. @throws VerifyError with `verify`. */
export function optimize(program: Program, { verify: check = false, trace }: OptimizeOptions = {}): Program {
  let current = check ? verify(program) : program;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = current;
    for (const name of Object.keys(PASSES) as PassName[]) {
      current = PASSES[name](current);
      if (check) verify(current);
      trace?.(name, current);
    }
    if (sameEquations(before, current)) break;
  }
  return current;
}

/** Whether two programs are equal, both numbered in the order of their equations, as passes leave them. */
const sameEquations = (a: Program, b: Program): boolean =>
  a.equations.length === b.equations.length &&
  sameList(a.outputs, b.outputs) &&
  a.equations.every((equation, i) => {
    const other = b.equations[i] as AnyEquation; // the lists are of one length
    return (
      equation.op === other.op &&
      sameList(equation.inputs, other.inputs) &&
      sameList(equation.outputs, other.outputs) &&
      sameParams(equation.params, other.params)
    );
  });

const sameList = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** Cheap in the common case: passes hand on the parameters of equations that they keep. */
const sameParams = (a: AnyEquation["params"], b: AnyEquation["params"]): boolean =>
  a === b ||
  Object.entries(a).every(([name, value]) => {
    const other = (b as Readonly<Record<string, unknown>>)[name]; // the parameters of one op have the same names
    if (isProgram(value)) return isProgram(other) && sameEquations(value, other);
    return Array.isArray(value) ? Array.isArray(other) && sameList(value, other) : value === other;
  });
