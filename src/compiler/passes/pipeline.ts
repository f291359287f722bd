/**
 * The target-independent passes in order, repeated until nothing changes. Consumed by every target, and by whoever wants to see
 * what becomes of a program: `trace` gets it after each pass. To add a pass: a function Program -> Program that keeps the
 * signature and the values, a line in `PASSES`, and its name is tested against random programs by pipeline.test.ts.
 */
import { hashProgram } from "../../dsl/program/hash.ts";
import type { Program } from "../../dsl/program/program.ts";
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
  let hash = "";
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const name of Object.keys(PASSES) as PassName[]) {
      current = PASSES[name](current);
      if (check) verify(current);
      trace?.(name, current);
    }
    const next = hashProgram(current);
    if (next === hash) break;
    hash = next;
  }
  return current;
}
