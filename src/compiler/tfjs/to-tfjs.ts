/**
 * The TensorFlow.js target: a program as calls of kernels, as data. Derivatives are in the program already, so TensorFlow.js's own
 * are not used. Pure and browser-safe.
 *
 * Consumed by src/runtime/tfjs.
 */
import { inputTypes } from "../../dsl/program/program.ts";
import type { Program } from "../../dsl/program/program.ts";
import { PlanBuilder } from "./builder.ts";
import { lowerProgram } from "./lower/index.ts";
import type { Plan, Target } from "./plan.ts";

/**
 * Lowers a (verified) program of any ops. Inputs and outputs are stored as `Plan` says, in the program's order.
 * @param target what the backend is not asked for; default nothing
 */
export function toTfjs(program: Program, target: Target = {}): Plan {
  const build = PlanBuilder.forPlan(target);
  const inputs = inputTypes(program).map((type) => build.stored(type));
  return build.plan(build.block(inputs, lowerProgram(build, program, inputs), false));
}
