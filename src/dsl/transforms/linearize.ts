/**
 * The table of linearization rules: those of jvp, but for the ops that hold programs. See linearize-into.ts.
 */
import { emit } from "../trace/builder.ts";
import { JVP_RULES, runJvp } from "./jvp-rules.ts";
import { dualEvaluator } from "./jvp.ts";
import type { JvpRules } from "./jvp.ts";
import { linearControlRules } from "./linearize-control.ts";

export const LINEARIZE_RULES: JvpRules = { ...JVP_RULES, ...linearControlRules(runJvp) };

/** Evaluates a program on dual values so that primal and tangent equations stay apart. */
export const runLinearize = dualEvaluator(LINEARIZE_RULES, (op, inputs, params) => emit(op, inputs, params));
