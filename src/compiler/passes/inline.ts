/**
 * Inlining of calls that exist for differentiation only. Once a program needs no more derivatives, its custom rules are plain
 * calls and stopGradient is the identity; targets need not know them, and the other passes see through them. A `remat` is kept
 * unless asked for: inlined, the merging of common subexpressions would undo it.
 *
 * Consumed by targets before `optimize`. Not part of the pipeline, because programs may still be differentiated after that.
 */
import type { Program, VarId } from "../../dsl/program/program.ts";
import { mapNested, rewrite } from "./rewrite.ts";

export interface InlineOptions {
  /** Also inline `remat`, for targets that keep all intermediate values anyway. Default false. */
  readonly remat?: boolean;
}

/** Replaces custom rules by what they compute and stopGradient by its operand, also inside nested programs. */
export function inlineCalls(program: Program, options: InlineOptions = {}): Program {
  return rewrite(program, (equation, r): readonly VarId[] | undefined => {
    switch (equation.op) {
      case "stopGradient":
        return equation.inputs;
      case "customJvp":
      case "customVjp":
        return r.inline(inlineCalls(equation.params.body, options), equation.inputs);
      case "customTangent":
        return r.inline(
          inlineCalls(equation.params.tangent, options),
          equation.inputs.slice(equation.params.residuals),
        );
      case "remat":
        if (options.remat === true)
          return r.inline(inlineCalls(equation.params.body, options), equation.inputs);
        break;
      default:
        break;
    }
    const inner = mapNested(equation, (nested) => inlineCalls(nested, options));
    return inner === equation ? undefined : r.keep(inner);
  });
}
