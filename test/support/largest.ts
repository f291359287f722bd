/** The largest tensor of a program or plan: what shows that something is never written down. */
import { nestedPrograms, sizeOf } from "../../src/dsl/program/program.ts";
import type { Program, TensorType } from "../../src/dsl/program/program.ts";
import type { Plan } from "../../src/compiler/kernel/plan.ts";

const largest = (types: readonly TensorType[]): number =>
  types.reduce((most, { shape }) => Math.max(most, sizeOf(shape)), 0);

/** Elements of the largest value of a program, inside loops and calls as well. */
export function largestValue({ types, equations }: Program): number {
  const inner = equations.flatMap((equation) =>
    nestedPrograms(equation).map(([, program]) => largestValue(program)),
  );
  return Math.max(largest(types), ...inner);
}

/** Elements of the largest buffer of a plan. */
export const largestBuffer = ({ buffers }: Plan): number => largest(buffers.map(({ type }) => type));
