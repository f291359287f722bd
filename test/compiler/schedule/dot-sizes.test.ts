/**
 * Kernels of dots with their sizes in the text: that they give what the ones with parameters do, to the last bit, at whole tiles and
 * around them; which of them have a guard; and which dots get them.
 */
import { describe, expect, it } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import type { Dispatch, Plan, TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { verifyPlan } from "../../../src/compiler/kernel/verify-plan.ts";
import { SMALL_QUADS, chooseDot, launchDot } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../../src/compiler/schedule/dot/dot.ts";
import { matrixRungs } from "../../../src/compiler/schedule/dot/matrix.ts";
import type { DotLayout, DotRung, DotShape } from "../../../src/compiler/schedule/dot/problem.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { typeOf } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { dotProgram, exactOperand } from "../../../src/runtime/webgpu/dot-alone.ts";
import { LAYOUTS, SHAPES, limitsFor } from "../../support/matrices.ts";
import { difference } from "../../support/programs.ts";
import { runPlan } from "../../support/run-plan.ts";
import { HARDWARE, countingInputs, directed, dispatchesOf, vectors } from "../../support/scheduled.ts";

const SUBGROUP = 8;
/** Small fragments, so that few rows are a band of tiles of 64. */
const MATRICES: TargetLimits = limitsFor(SHAPES.nvidia, SUBGROUP);
const MATRIX = matrixRungs(MATRICES, 64)[0] as DotRung; // there is one

const inText = (config: DotConfig): DotConfig => ({ ...config, sizes: "text" });
const firstOf = (plan: Plan): Dispatch => dispatchesOf(plan)[0] as Dispatch; // a dot has a kernel

/** Runs a program both ways, and compares with each other and with the interpreter. */
function check(program: Program, limits: TargetLimits, config: DotConfig): void {
  const inputs = program.inputs.map((id) => exactOperand(typeOf(program, id), id, 1));
  const run = (given: DotConfig) => {
    const plan = schedule(program, { limits, dots: () => given });
    verifyPlan(plan, limits);
    return { plan, results: runPlan(plan, inputs, limits.workgroups, SUBGROUP) };
  };
  const [text, parameters] = [run(inText(config)), run({ ...config, sizes: "parameters" })];
  expect(firstOf(text.plan).params).toEqual([]);
  expect(firstOf(parameters.plan).params.length).toBeGreaterThan(0);
  expect(difference(text.results, parameters.results)).toBeUndefined();
  const stored = (tensors: ReturnType<typeof interpret>) => tensors.map((x) => toExact(toStorage(x)));
  expect(difference(stored(text.results), stored(interpret(program, inputs)))).toBeUndefined();
}

const withoutType = ({ left, right }: DotLayout): DotLayout => ({ left, right });

describe("sizes in the text of a dot's kernel", () => {
  const cases: readonly (readonly [
    string,
    TargetLimits,
    DotRung,
    number,
    (layout: DotLayout) => DotLayout,
  ])[] = [
    ["matrix units", MATRICES, MATRIX, 64, (layout) => layout],
    ["quads", HARDWARE, SMALL_QUADS, 32, withoutType],
  ];
  for (const [name, limits, rung, tile, layoutAs] of cases)
    it.each(["NN", "TT"] as const)(`give the same results as parameters: ${name}, %s`, (lie) => {
      const layout = layoutAs(LAYOUTS[lie]);
      for (const [shape, slices] of [
        [{ batch: 2, rows: 8 * tile, columns: 2 * tile, inner: 16 }, 1], // bands, whole tiles
        [{ batch: 1, rows: 16 * tile - 3, columns: tile + 1, inner: 5 }, 1], // bands with an edge
        [{ batch: 2, rows: 2 * tile, columns: tile, inner: 96 }, 2],
        [{ batch: 1, rows: 8 * tile, columns: 12, inner: 70 }, 2], // a band of each slice
        [{ batch: 3, rows: tile + 5, columns: 7, inner: 33 }, 1],
      ] as const) {
        const config = launchDot(shape, rung, slices);
        expect(config.split?.slices ?? 1).toBe(slices);
        check(dotProgram(shape, layout), limits, config);
      }
    });

  it("stay there in what follows the product, and in views of its operands", () => {
    const program = directed(
      (x, y, bias) => {
        const left = prim.slice(x!, { start: [4, 0], stop: [44, 24], step: [1, 1] });
        const product = prim.dot(left, y!, {
          lhsBatch: [],
          rhsBatch: [],
          lhsContract: [1],
          rhsContract: [0],
        });
        const sum = prim.add(product, prim.broadcast(bias!, [40, 36], [1]));
        return [prim.mul(sum, sum), product];
      },
      [...vectors(1, [48, 28]), ...vectors(1, [24, 36]), ...vectors(1, [36])],
    );
    const config = inText(launchDot({ batch: 1, rows: 40, columns: 36, inner: 24 }, SMALL_QUADS, 1));
    const plan = schedule(program, { limits: HARDWARE, dots: () => config });
    expect(dispatchesOf(plan).map(({ params }) => params)).toEqual([[]]);
    const inputs = countingInputs(program);
    const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
    expect(difference(runPlan(plan, inputs.map(toStorage)), expected)).toBeUndefined();
  });

  const textOf = (shape: DotShape): string =>
    printWgsl(
      firstOf(
        schedule(dotProgram(shape, withoutType(LAYOUTS.NN)), {
          limits: HARDWARE,
          dots: () => inText(launchDot(shape, SMALL_QUADS, 1)),
        }),
      ).kernel,
      { f16: true },
    );

  it("need no guard, but where workgroups take two dimensions; and where tiles divide them, nothing is clamped", () => {
    const even = textOf({ batch: 1, rows: 64, columns: 96, inner: 48 });
    for (const text of ["if (workgroup <", "min(", "params"]) expect(even).not.toContain(text);
    expect(even).toContain("< 48u; ");
    expect(textOf({ batch: 1, rows: 65, columns: 96, inner: 48 })).toContain("min(");
    expect(textOf({ batch: 65535, rows: 32, columns: 32, inner: 16 })).not.toContain("if (workgroup <");
    expect(textOf({ batch: 65536, rows: 32, columns: 32, inner: 16 })).toContain("if (workgroup < 65536u)");
  });

  it("are for large products, on the rungs whose loops are written out", () => {
    const shape = { batch: 1, rows: 4096, columns: 4096, inner: 4096 };
    expect(chooseDot(shape, LAYOUTS.NN, limitsFor(SHAPES.nvidia, 32))).toMatchObject({
      rung: { kind: "matrix" },
      sizes: "text",
    });
    expect(chooseDot(shape, withoutType(LAYOUTS.NN), HARDWARE)).toMatchObject({
      rung: { kind: "quads" },
      sizes: "text",
    });
    expect(chooseDot(shape, LAYOUTS.NN, { ...HARDWARE, software: true }).sizes).toBe("parameters");
    expect(launchDot({ ...shape, inner: 1024 }, SMALL_QUADS, 1).sizes).toBe("text");
    expect(launchDot({ ...shape, inner: 1023 }, SMALL_QUADS, 1).sizes).toBe("parameters");
  });
});
