/** Dots in quads within programs: views of what is stored, parts of buffers, loops; and which memory is given quads. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { SMALL_QUADS, launchDot } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotChoice } from "../../../src/compiler/schedule/dot-kernel.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import type { OpKind, Program } from "../../../src/dsl/program/program.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { anyDonation, arbitraryRun, positionsOf } from "../../support/random-program.ts";
import {
  HARDWARE,
  countingInputs,
  directed,
  dispatchesOf,
  problem,
  vectors,
} from "../../support/scheduled.ts";

const RUNS = Number(process.env["FLUXION_RUNS"] ?? 100);

/** Bindings begin at any fourth element, so that small tensors lie in parts of buffers as large ones do. */
const LIMITS: TargetLimits = { ...HARDWARE, alignment: 4 };

/** All dots in quads, however small; those that have the terms for it in two slices. */
const inQuads: DotChoice = (shape) => launchDot(shape, SMALL_QUADS, shape.inner >= 32 ? 2 : 1);

const quadsIn = (program: Program): number =>
  dispatchesOf(schedule(program, { limits: LIMITS, dots: inQuads })).reduce(
    (sum, { kernel }) => sum + kernel.buffers.filter(({ quads }) => quads === true).length,
    0,
  );

describe("random programs with all dots in quads", () => {
  const MOVES: readonly OpKind[] = ["dot", "dot", "dot", "broadcast", "reshape", "transpose", "slice", "pad", "concat", "add", "stopGradient"]; // prettier-ignore
  it.each([
    ["of views", MOVES, true],
    ["with f16 among them", MOVES, false],
    ["in loops", [...MOVES, "scan", "scan", "reduceSum", "cond"], true],
  ] as const)("agree with the interpreter %s", (_name, ops, floatOnly) => {
    let found = 0;
    const property = fc.property(
      arbitraryRun({ bounded: true, floatOnly, ops, minEquations: 3, extents: [4, 8, 12, 1, 3, 2, 16] }),
      anyDonation,
      ({ program, inputs }, donates) => {
        found += quadsIn(program);
        const options = { limits: LIMITS, dots: inQuads, donated: positionsOf(donates, inputs.length) };
        const wrong = problem(program, inputs, options, floatOnly ? 1e-3 : 5e-2);
        if (wrong !== undefined) throw new Error(wrong);
      },
    );
    fc.assert(property, { numRuns: RUNS });
    expect(found).toBeGreaterThan(RUNS / 10);
  });
});

describe("quads", () => {
  type T = TracedTensor;
  const dot = (x: T, y: T): T =>
    prim.dot(x, y, { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] });

  const check = (program: Program, buffers: number): void => {
    const inputs = countingInputs(program);
    expect(problem(program, inputs, { limits: LIMITS, dots: inQuads }, 1e-3)).toBeUndefined();
    expect(quadsIn(program)).toBe(buffers);
  };

  it("are not asked of a buffer that the kernel stores single elements to", () => {
    // Every part of the result lies in one buffer, and is made of the one before it.
    const program = directed((x, w) => {
      const parts = [dot(x as T, w as T)];
      for (let i = 0; i < 12; i++) parts.push(prim.add(x as T, dot(parts[i] as T, w as T)));
      return [prim.concat(parts, 0)];
    }, vectors(2, [16, 16])); // prettier-ignore
    check(program, 14);
  });

  it("are of a buffer that ends within one", () => {
    const program = directed(
      (x, w) => {
        const part = prim.reshape(prim.sliceAxis(x as T, 0, 0, 256), [16, 16]);
        const bias = prim.sliceAxis(x as T, 0, 256, 273);
        return [prim.add(dot(part, w as T), prim.broadcast(bias, [16, 17], [1]))];
      },
      [
        { shape: [273], dtype: "f32" },
        { shape: [16, 17], dtype: "f32" },
      ],
    );
    check(program, 1);
  });
});
