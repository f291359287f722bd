/**
 * Stable ascending sort along an axis, NaN last: values, and the positions that they came from. Consumed by the table of routines.
 */
import type { TensorType } from "../../../dsl/program/program.ts";
import { linesAlong } from "./lines.ts";
import type { RoutineRule } from "./routine.ts";
import { sortStages } from "./sorted-runs.ts";

export const sort: RoutineRule<"sort"> = (inputs, { axis }) => {
  const [{ shape, dtype }] = inputs as readonly [TensorType];
  const temporaries: TensorType[] = [];
  const stages = sortStages(
    { buffer: { input: 0 }, dtype, lines: linesAlong(shape, axis) },
    { kind: "tensors", values: { output: 0 }, positions: { output: 1 } },
    (dtype, elements) => ({ temporary: temporaries.push({ shape: [elements], dtype }) - 1 }),
  );
  return { temporaries, stages };
};
