/**
 * The table of routines, by op. Consumed by the scheduler. To add one: its name in `ROUTINE_OPS`, its rule in the table.
 */
import type { AnyEquation, OpKind } from "../../../dsl/program/program.ts";
import type { RoutineRule } from "./routine.ts";

export const ROUTINE_OPS = [] as const satisfies readonly OpKind[];
export type RoutineOp = (typeof ROUTINE_OPS)[number];

const NAMES: ReadonlySet<string> = new Set(ROUTINE_OPS);
export const isRoutine = (equation: AnyEquation): boolean => NAMES.has(equation.op);

export const ROUTINES = {} as const satisfies { [K in RoutineOp]: RoutineRule<K> };
