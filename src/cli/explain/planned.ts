/** A program's plan for the WebGPU device, as commands make it. Consumed by `explain` and `inspect --wgsl`. */
import type { Program } from "../../dsl/program/program.ts";
import { UserError } from "../../runtime/files/errors.ts";
import { explainWebGpu } from "../../runtime/webgpu/explain.ts";
import type { ExplainedPlan, ExplainWebGpuOptions } from "../../runtime/webgpu/explain.ts";

/**
 * @param name of the program, for messages
 * @throws UserError when the program has an op that the target cannot do
 */
export function planned(name: string, program: Program, options: ExplainWebGpuOptions = {}): ExplainedPlan {
  try {
    return explainWebGpu(program, options);
  } catch (error) {
    if (error instanceof Error && /\bhas no kernel\b/.test(error.message))
      throw new UserError(`${name} does not run on WebGPU: ${error.message}.`, { cause: error });
    throw error;
  }
}
