/**
 * The rung of matrix units: right at sizes around its tiles, however operands lie, for the shapes that hardware lists and for subgroups
 * of any size; run on the host, which knows what fragments mean. What Dawn says of its text is in test/compiler/wgsl/matrices.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { sharedBytes } from "../../../src/compiler/kernel/ir.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Dispatch, TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { verifyPlan } from "../../../src/compiler/kernel/verify-plan.ts";
import { dotCandidates, namedDot, rungName } from "../../../src/compiler/schedule/dot/candidates.ts";
import { chooseDot, launchDot } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../../src/compiler/schedule/dot/dot.ts";
import { matrixBytes, matrixRungs, matrixTile } from "../../../src/compiler/schedule/dot/matrix.ts";
import type { DotLayout, DotShape } from "../../../src/compiler/schedule/dot/problem.ts";
import type { DotChoice } from "../../../src/compiler/schedule/dot-kernel.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { typeOf } from "../../../src/dsl/program/program.ts";
import type { OpKind, Program } from "../../../src/dsl/program/program.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { dotProgram, exactOperand } from "../../../src/runtime/webgpu/dot-alone.ts";
import { LAYOUTS, SHAPES, limitsFor } from "../../support/matrices.ts";
import { difference } from "../../support/programs.ts";
import { anyDonation, arbitraryRun, positionsOf } from "../../support/random-program.ts";
import { runPlan } from "../../support/run-plan.ts";
import { countingInputs, directed, dispatchesOf, problem, vectors } from "../../support/scheduled.ts";

const RUNS = Number(process.env["FLUXION_RUNS"] ?? 100);

/** What a program gives on the host, against the interpreter, to the last bit. */
function check(program: Program, limits: TargetLimits, config: DotConfig, subgroup: number): void {
  const inputs = program.inputs.map((id) => exactOperand(typeOf(program, id), id, 1));
  const plan = schedule(program, { limits, dots: () => config });
  verifyPlan(plan, limits);
  const results = runPlan(plan, inputs, Infinity, subgroup);
  const expected = interpret(program, inputs).map((tensor) => toExact(toStorage(tensor)));
  expect(
    difference(
      results.map((tensor) => toExact(toStorage(tensor))),
      expected,
    ),
  ).toBeUndefined();
}

const rungOf = (limits: TargetLimits, inner: number, n = 0) => {
  const rung = matrixRungs(limits, inner)[n];
  if (rung === undefined) throw new Error("there is no rung");
  return rung;
};

describe("matrix units compute", () => {
  it.each(Object.entries(LAYOUTS))("%s at sizes around the tile", (_name, layout) => {
    const limits = limitsFor(SHAPES.nvidia);
    for (const [rows, columns, inner] of [
      [1, 1, 1],
      [7, 9, 33],
      [31, 65, 8],
      [64, 64, 64],
      [65, 63, 31],
      [127, 33, 32],
      [16, 17, 0],
    ] as const) {
      const shape: DotShape = { batch: 1, rows, columns, inner };
      check(dotProgram(shape, layout), limits, launchDot(shape, rungOf(limits, inner), 1), 8);
    }
  });

  it.each(Object.entries(LAYOUTS))(
    "%s in batches, and in slices that end within what is staged",
    (_name, layout) => {
      const limits = limitsFor(SHAPES.nvidia);
      for (const [shape, slices] of [
        [{ batch: 3, rows: 33, columns: 9, inner: 40 }, 1],
        [{ batch: 2, rows: 9, columns: 33, inner: 96 }, 2], // of 64
        [{ batch: 1, rows: 20, columns: 20, inner: 131 }, 3],
      ] as const) {
        const config = launchDot(shape, rungOf(limits, shape.inner), slices);
        expect(config.split?.slices ?? 1).toBe(slices);
        check(dotProgram(shape, layout), limits, config, 8);
      }
    },
  );

  it.each(Object.entries(LAYOUTS))(
    "%s in large blocks, where operands have quads and where not",
    (_name, layout) => {
      const limits = limitsFor(SHAPES.nvidia, 32);
      for (const [shape, slices] of [
        [{ batch: 1, rows: 132, columns: 136, inner: 44 }, 1],
        [{ batch: 1, rows: 128, columns: 4, inner: 32 }, 1],
        [{ batch: 2, rows: 20, columns: 128, inner: 100 }, 2], // of 64
        [{ batch: 1, rows: 65, columns: 129, inner: 33 }, 1],
      ] as const) {
        const rung = rungOf(limits, shape.inner);
        expect(rung.block).toBe(64);
        check(dotProgram(shape, layout), limits, launchDot(shape, rung, slices), 32);
      }
    },
  );

  it.each(["NN", "TT"] as const)("%s in tiles of 128 by 256, loaded ahead", (lie) => {
    const layout = LAYOUTS[lie];
    const limits = limitsFor(SHAPES.nvidia, 32);
    for (const [shape, slices] of [
      [{ batch: 1, rows: 132, columns: 260, inner: 68 }, 1],
      [{ batch: 1, rows: 3, columns: 257, inner: 33 }, 1],
      [{ batch: 1, rows: 128, columns: 256, inner: 0 }, 1],
      [{ batch: 2, rows: 20, columns: 16, inner: 100 }, 2], // of 64
    ] as const) {
      const rung = rungOf(limits, shape.inner, 1);
      expect([rung.subgroups, rung.ahead, matrixTile(rung)]).toEqual([8, true, { rows: 128, columns: 256 }]);
      const config = launchDot(shape, rung, slices);
      check(dotProgram(shape, layout), limits, config, 32);
      if (lie === "NN") check(dotProgram(shape, layout), limits, { ...config, sizes: "text" }, 32);
    }
  });

  it.each(Object.keys(SHAPES) as (keyof typeof SHAPES)[])("with the shapes that %s lists", (name) => {
    const limits = limitsFor(SHAPES[name]);
    const shape = { batch: 1, rows: 37, columns: 50, inner: 43 };
    const rungs = matrixRungs(limits, shape.inner);
    expect(rungs.length).toBeGreaterThan(0);
    for (const rung of rungs)
      for (const layout of [LAYOUTS.NN, LAYOUTS.TT])
        check(dotProgram(shape, layout), limits, launchDot(shape, rung, 1), 8);
  });

  it("with subgroups of any size, and as few of them as a workgroup has room for", () => {
    const shape = { batch: 1, rows: 50, columns: 70, inner: 20 };
    for (const [max, subgroup, count] of [
      [32, 32, 4],
      [32, 8, 4],
      [64, 16, 4],
      [128, 128, 2],
      [128, 32, 2],
      [256, 64, 1],
    ] as const) {
      const limits = limitsFor(SHAPES.intel, max, subgroup);
      const rung = rungOf(limits, shape.inner);
      expect([rung.subgroups, rung.lanes % max]).toEqual([count, 0]);
      check(dotProgram(shape, LAYOUTS.NN), limits, launchDot(shape, rung, 1), subgroup);
    }
    expect(matrixRungs(limitsFor(SHAPES.intel, 512), 20)).toEqual([]);
  });

  it("views of operands, and what comes after the product", () => {
    const f16 = (...shape: number[]) => ({ shape, dtype: "f16" }) as const;
    const program = directed(
      (x, y, bias) => {
        const moved = prim.transpose(prim.slice(x!, { start: [3, 0], stop: [25, 40], step: [1, 1] }), [1, 0]); // 40 × 22
        const product = prim.dot(moved, y!, {
          lhsBatch: [],
          rhsBatch: [],
          lhsContract: [1],
          rhsContract: [0],
        });
        const sum = prim.add(product, prim.broadcast(bias!, [40, 19], [1]));
        return [prim.mul(sum, prim.neg(sum)), product];
      },
      [f16(30, 40), f16(22, 19), f16(19)],
    );
    const limits = limitsFor(SHAPES.nvidia);
    const shape = { batch: 1, rows: 40, columns: 19, inner: 22 };
    const config = launchDot(shape, rungOf(limits, 22), 1);
    const plan = schedule(program, { limits, dots: () => config });
    expect(dispatchesOf(plan).length).toBe(1);
    expect(JSON.stringify(plan)).toContain("multiplyAccumulate");
    const inputs = countingInputs(program);
    expect(
      difference(
        runPlan(plan, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor))),
        interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor))),
      ),
    ).toBeUndefined();
  });
});

describe("results of matrix units", () => {
  /** Units of f32 are right for operands of either type. */
  const limits: TargetLimits = { ...limitsFor(SHAPES.apple), alignment: 4 };
  const onMatrices: DotChoice = (shape) => launchDot(shape, rungOf(limits, shape.inner), 1);

  it("are stored in quads within random programs, or one by one, as they lie", () => {
    const counts = { quads: 0, single: 0 };
    const ops: readonly OpKind[] = ["dot", "dot", "dot", "cast", "reshape", "transpose", "slice", "concat", "add", "scan"]; // prettier-ignore
    const property = fc.property(
      arbitraryRun({ bounded: true, ops, minEquations: 3, extents: [4, 8, 12, 3, 2, 16] }),
      anyDonation,
      ({ program, inputs }, donates) => {
        const options = { limits, dots: onMatrices, donated: positionsOf(donates, inputs.length) };
        for (const { kernel } of dispatchesOf(schedule(program, options))) {
          const text = JSON.stringify(kernel.body);
          if (text.includes("multiplyAccumulate"))
            counts[text.includes('"storeQuad"') ? "quads" : "single"]++;
        }
        const wrong = problem(program, inputs, options, 5e-2);
        if (wrong !== undefined) throw new Error(wrong);
      },
    );
    fc.assert(property, { numRuns: RUNS });
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(RUNS / 20);
  });

  it("are stored one by one in a buffer where they begin within a quad", () => {
    for (const [before, quads] of [
      [3, false],
      [4, true],
    ] as const) {
      const program = directed(
        (x, w, first) => {
          const dot = prim.dot(x!, w!, { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] });
          const parts = Array.from({ length: 12 }, (_, i) => prim.add(dot, prim.neg(i === 0 ? dot : x!)));
          return [prim.concat([first!, ...[dot, ...parts].map((part) => prim.reshape(part, [64]))], 0)];
        },
        [...vectors(2, [8, 8]), ...vectors(1, [before])],
      );
      const options = { limits, dots: onMatrices };
      expect(problem(program, countingInputs(program), options, 1e-3)).toBeUndefined();
      const kernels = dispatchesOf(schedule(program, options)).map(({ kernel }) =>
        JSON.stringify(kernel.body),
      );
      const dots = kernels.filter((text) => text.includes("multiplyAccumulate"));
      expect(dots.map((text) => text.includes('"storeQuad"'))).toEqual(dots.map(() => quads));
      expect(dots.length).toBeGreaterThan(0);
    }
  });

  it("are rounded to f16 as single elements are", () => {
    const program = dotProgram({ batch: 1, rows: 8, columns: 8, inner: 8 }, LAYOUTS.NN);
    const plan = schedule(program, { limits, dots: onMatrices });
    const code = printWgsl((dispatchesOf(plan)[0] as Dispatch).kernel, { f16: true }); // a dot has a kernel
    expect(code).toMatch(/buffer_2\[i\d+ >> 2u\] = vec4<f16>\(to_f16\(q(\d+)\.x\), to_f16\(q\1\.y\), /);
    expect(code).toContain("array<vec4<f16>>;");
  });
});

describe("matrix units are a candidate", () => {
  const shape = { batch: 1, rows: 100, columns: 100, inner: 300 };
  const names = (
    limits: TargetLimits,
    layout: DotLayout = LAYOUTS.NN,
    size: DotShape = shape,
  ): readonly string[] =>
    dotCandidates(size, layout, limits)
      .map(({ rung }) => rungName(rung))
      .filter((name) => name.includes("matrices"));
  const limits = limitsFor(SHAPES.nvidia, 32);

  it("for operands that are stored as f16, where the target lists them", () => {
    expect([...new Set(names(limits))]).toEqual([
      "16 x 16 x 16 matrices of f16 summed in f32, 4 subgroups with blocks of 64",
      "16 x 8 x 16 matrices of f16 summed in f32, 4 subgroups with blocks of 64",
      "16 x 16 x 16 matrices of f16 summed in f32, 4 subgroups with blocks of 32",
      "16 x 8 x 16 matrices of f16 summed in f32, 4 subgroups with blocks of 32",
    ]);
    expect(names(limits, LAYOUTS.NN, { ...shape, columns: 129 })[1]).toBe(
      "16 x 16 x 16 matrices of f16 summed in f32, 8 subgroups with blocks of 64, loaded ahead",
    );
    const { dtype: _, ...f32 } = LAYOUTS.NN;
    expect(names(limits, f32)).toEqual([]);
    expect(names(limits, { ...LAYOUTS.NN, computed: true })).toEqual([]);
    expect(names(limits, LAYOUTS.NN, { ...shape, rows: 15 })).toEqual([]);
    expect(names({ ...limits, matrices: [] })).toEqual([]);
    expect(names({ ...limits, f16: false })).toEqual([]);
    expect(names({ ...limits, subgroups: undefined })).toEqual([]);
    expect(names({ ...limits, sharedBytes: MINIMUM_LIMITS.sharedBytes })).toEqual([]);
    expect(names(MINIMUM_LIMITS)).toEqual([]);
  });

  it("with sums in f32 where there are such, and in f16 for short sums only", () => {
    expect(names(limitsFor(SHAPES.apple, 32))[0]).toBe(
      "8 x 8 x 8 matrices of f32 summed in f32, 4 subgroups with blocks of 32",
    );
    const halves = limitsFor(SHAPES.halves, 32);
    expect(names(halves)).toEqual([]);
    expect(names(halves, LAYOUTS.NN, { ...shape, inner: 128 })[0]).toBe(
      "8 x 8 x 8 matrices of f16 summed in f16, 4 subgroups with blocks of 64",
    );
  });

  it("that the heuristic chooses where it was measured, for products that fill a GPU", () => {
    const chosen = (size: DotShape, target: TargetLimits = limits, layout = LAYOUTS.NN): string =>
      rungName(chooseDot(size, layout, target).rung);
    const large = { batch: 1, rows: 4096, columns: 4096, inner: 4096 };
    const name = (block: number): string =>
      `16 x 16 x 16 matrices of f16 summed in f32, 4 subgroups with blocks of ${block}`;
    expect(chosen(large)).toBe(name(64));
    expect(chosen({ batch: 128, rows: 124, columns: 122, inner: 40 })).toBe(name(64));
    expect(chosen({ ...large, rows: 64 })).toBe(name(32));
    const others: readonly (readonly [DotShape, TargetLimits, DotLayout])[] = [
      [{ ...large, rows: 16 }, limits, LAYOUTS.NN],
      [shape, limits, LAYOUTS.NN],
      [large, limits, { left: "k", right: "column" }],
      [large, limits, { ...LAYOUTS.NN, computed: true }],
      [large, { ...limits, f16: false }, LAYOUTS.NN],
      [large, { ...limits, matrices: [] }, LAYOUTS.NN],
      [large, { ...limits, subgroups: { min: 16, max: 32 } }, LAYOUTS.NN],
      [large, { ...limits, sharedBytes: MINIMUM_LIMITS.sharedBytes }, LAYOUTS.NN],
      [large, limitsFor(SHAPES.apple, 32), LAYOUTS.NN],
      [large, limitsFor(SHAPES.intel, 32), LAYOUTS.NN],
      [large, limitsFor([SHAPES.nvidia[2]], 32), LAYOUTS.NN],
    ];
    for (const [size, target, layout] of others)
      expect(chosen(size, target, layout)).not.toContain("matrices");
  });

  it("that is found again by its name, and needs no more workgroup memory than it says", () => {
    for (const config of dotCandidates(shape, LAYOUTS.TT, limits)) {
      const named = { rung: rungName(config.rung), slices: config.split?.slices ?? 1 };
      expect(namedDot(shape, LAYOUTS.TT, limits, named)).toEqual(config);
      expect(namedDot(shape, LAYOUTS.TT, { ...limits, matrices: [] }, named) === undefined).toBe(
        config.rung.kind === "matrix",
      );
    }
    for (const matrices of Object.values(SHAPES))
      for (const layout of Object.values(LAYOUTS))
        for (const rung of matrixRungs({ ...limits, matrices }, 64)) {
          const config = launchDot(shape, rung, 1);
          const plan = schedule(dotProgram(shape, layout), { limits, dots: () => config });
          for (const { kernel } of dispatchesOf(plan)) {
            const bytes = kernel.shared.reduce((sum, array) => sum + sharedBytes(array), 0);
            expect(bytes).toBeLessThanOrEqual(matrixBytes(rung));
            expect(kernel.lanes % 32).toBe(0);
          }
        }
  });
});
