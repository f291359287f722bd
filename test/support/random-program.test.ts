import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { OPS } from "../../src/dsl/ops/index.ts";
import { inputTypes, nestedPrograms, outputTypes } from "../../src/dsl/program/program.ts";
import type { Program } from "../../src/dsl/program/program.ts";
import { verify } from "../../src/dsl/program/verify.ts";
import { arbitraryProgram, arbitraryRun } from "./random-program.ts";

/** The kinds of all equations of a program, nested ones included. */
function opsOf(program: Program): string[] {
  return program.equations.flatMap((equation) => [
    equation.op,
    ...nestedPrograms(equation).flatMap(([, nested]) => opsOf(nested)),
  ]);
}

describe("random programs", () => {
  it("are legal, run, and cover every op", () => {
    const seen = new Set<string>();
    const run = fc.property(arbitraryRun({ nesting: 2 }), ({ program, inputs }) => {
      for (const op of opsOf(verify(program))) seen.add(op);
      interpret(program, inputs);
    });
    fc.assert(run, { numRuns: 600, seed: 1 });
    expect(Object.keys(OPS).filter((op) => !seen.has(op))).toEqual([]);
  });

  it("stay finite and moderate when bounded, and take and give f32 when differentiable", () => {
    const run = fc.property(arbitraryRun({ differentiable: true, nesting: 2 }), ({ program, inputs }) => {
      expect([...inputTypes(program), ...outputTypes(program)].every(({ dtype }) => dtype === "f32")).toBe(
        true,
      );
      expect(opsOf(program)).not.toContain("while");
      for (const { data } of interpret(program, inputs))
        expect(data.every((x: number) => Math.abs(x) < 100)).toBe(true);
    });
    fc.assert(run, { numRuns: 400 });
  });

  it("are smooth when differentiable: difference quotients of two widths agree", () => {
    const run = fc.property(
      arbitraryRun({ differentiable: true, maxEquations: 6 }),
      ({ program, inputs }) => {
        // Along the direction (1, …, 1); the error of a central difference is of order h² where the function is smooth.
        const at = (t: number): number[] =>
          interpret(
            program,
            inputs.map(({ dtype, shape, data }) =>
              exactTensor(
                dtype,
                shape,
                Array.from(data, (x) => x * 0.95 + t),
              ),
            ),
          ).flatMap(({ data }) => Array.from(data));
        const slope = (h: number): number[] => {
          const [above, below] = [at(h), at(-h)];
          return above.map((x, i) => (x - (below[i] as number)) / (2 * h));
        };
        const [wide, narrow] = [slope(4e-4), slope(2e-4)];
        wide.forEach((d, i) =>
          expect(Math.abs(d - (narrow[i] as number))).toBeLessThan(2e-3 * (1 + Math.abs(d))),
        );
      },
    );
    fc.assert(run, { numRuns: 300 });
  });

  it("shrink to small programs", () => {
    const result = fc.check(
      fc.property(arbitraryProgram({ maxEquations: 12 }), (program) => !opsOf(program).includes("tanh")),
      { seed: 3, numRuns: 1000 },
    );
    expect(result.failed).toBe(true);
    const smallest = result.counterexample?.[0];
    expect(smallest?.equations.length).toBeLessThanOrEqual(2);
  });

  it("respect the list of ops, the depth and the sizes", () => {
    const run = fc.property(
      arbitraryProgram({ ops: ["exp", "scan"], nesting: 0, maxEquations: 5, extents: [3], maxInputs: 1 }),
      (program) => {
        expect(program.inputs.length).toBe(1);
        expect(opsOf(program).every((op) => op === "exp")).toBe(true);
        expect(program.types.every(({ shape }) => shape.every((dim) => dim === 3))).toBe(true);
      },
    );
    fc.assert(run, { numRuns: 100 });
  });
});
