/**
 * The table of routines, by op. Consumed by the scheduler. To add one: its name in `ROUTINE_OPS`, its rule in the table.
 */
import type { AnyEquation, OpKind } from "../../../dsl/program/program.ts";
import { attention, attentionTangent, attentionTranspose } from "./attention.ts";
import { cumsum } from "./cumsum.ts";
import type { RoutineRule } from "./routine.ts";
import { scatterAdd } from "./scatter-add.ts";
import { sort } from "./sort.ts";

export const ROUTINE_OPS = [
  "attention",
  "attentionTangent",
  "attentionTranspose",
  "cumsum",
  "sort",
  "scatterAdd",
] as const satisfies readonly OpKind[];
export type RoutineOp = (typeof ROUTINE_OPS)[number];

const NAMES: ReadonlySet<string> = new Set(ROUTINE_OPS);
export const isRoutine = (equation: AnyEquation): boolean => NAMES.has(equation.op);

export const ROUTINES = {
  attention,
  attentionTangent,
  attentionTranspose,
  cumsum,
  sort,
  scatterAdd,
} as const satisfies { [K in RoutineOp]: RoutineRule<K> };
