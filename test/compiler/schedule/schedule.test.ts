/** The scheduler: plans compute what the interpreter does, fused and not, within the limits of the least adapter. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Step } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import type { ScheduleOptions } from "../../../src/compiler/schedule/schedule.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import type { OpKind, Program } from "../../../src/dsl/program/program.ts";
import { OPS as OP_TABLE } from "../../../src/dsl/ops/index.ts";
import { difference } from "../../support/programs.ts";
import type { RandomProgramOptions } from "../../support/random-program.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import { runPlan } from "../../support/run-plan.ts";

const RUNS = Number(process.env["FLUXION_RUNS"] ?? 100);

function problem(
  program: Program,
  inputs: readonly HostTensor[],
  options: ScheduleOptions,
  tolerance: number,
): string | undefined {
  const plan = schedule(program, options);
  const check = (steps: readonly Step[]): void => {
    for (const step of steps) {
      if (step.kind === "dispatch") expect(step.buffers.length).toBeLessThanOrEqual(MINIMUM_LIMITS.buffers);
      else if (step.kind === "loop") check(step.steps);
    }
  };
  check(plan.steps);
  const actual = runPlan(plan, inputs.map(toStorage));
  const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
  return difference(
    actual.map((tensor) => toExact(toStorage(tensor))),
    expected,
    tolerance,
  );
}

const OPS: readonly OpKind[] = Object.keys(OP_TABLE) as OpKind[];
const EXACT: readonly OpKind[] = [
  "constant", "iota", "and", "or", "xor", "not", "shiftLeft", "shiftRight", "select", "threefry", "broadcast", "reshape",
  "transpose", "slice", "pad", "concat", "gather", "reduceMax", "argmax", "sort", "max", "min", "abs", "neg", "scan", "cond", "while", "remat",
]; // prettier-ignore

const FLOAT: RandomProgramOptions = { bounded: true, floatOnly: true, ops: OPS };
const CASES: readonly (readonly [name: string, options: RandomProgramOptions, tolerance: number])[] = [
  ["in f32", FLOAT, 1e-3],
  ["in f32, large", { ...FLOAT, minEquations: 12, maxEquations: 30, nesting: 0 }, 1e-3],
  ["with nested loops", { ...FLOAT, nesting: 2 }, 1e-3],
  ["with f16 among them", { bounded: true, ops: OPS }, 5e-2],
  ["on special values and whole words", { ops: EXACT.filter((op) => OPS.includes(op)), nesting: 1 }, 1e-3],
];

describe.each([
  ["fused", true],
  ["unfused", false],
])("random programs, %s", (_name, fusion) => {
  it.each(CASES)("agree with the interpreter %s", (_name, options, tolerance) => {
    const property = fc.property(arbitraryRun(options), ({ program, inputs }) => {
      const found = problem(program, inputs, { fusion }, tolerance);
      if (found !== undefined) throw new Error(found);
    });
    fc.assert(property, { numRuns: RUNS });
  });
});
