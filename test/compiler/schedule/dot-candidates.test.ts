/** The ways to compute a dot that a tuner may choose from: few, within limits, and right; and the scheduler uses what is chosen. */
import { describe, expect, it, vi } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Dispatch, Plan, TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import {
  configName,
  dotCandidates,
  MOST_CANDIDATES,
  namedDot,
  rungName,
} from "../../../src/compiler/schedule/dot/candidates.ts";
import { chooseDot, launchDot } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotConfig } from "../../../src/compiler/schedule/dot/dot.ts";
import type { DotLayout, DotShape } from "../../../src/compiler/schedule/dot/problem.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { dotProgram, exactOperand } from "../../../src/runtime/webgpu/dot-alone.ts";
import { typeOf } from "../../../src/dsl/program/program.ts";
import { difference } from "../../support/programs.ts";
import { PLAN_RUNNERS } from "../../support/stage-plan.ts";
import type { RunPlan } from "../../support/stage-plan.ts";
import { openTestGpu } from "../../support/webgpu.ts";

// Software adapters take seconds to compile a kernel.
vi.setConfig({ testTimeout: 120_000 });

const LARGER: TargetLimits = { ...MINIMUM_LIMITS, buffers: 10, lanes: 1024, sharedBytes: 49152 };
const FEATURES: TargetLimits = { ...LARGER, f16: true, subgroups: { min: 8, max: 8 } };
const LAYOUTS: readonly DotLayout[] = [
  { left: "k", right: "column" },
  { left: "k", right: "k" },
  { left: "row", right: "column" },
  { left: "row", right: "k" },
  { left: undefined, right: undefined },
];
const SIZES: readonly DotShape[] = [0, 1, 2, 5, 9, 17, 65, 129, 700, 5000].flatMap((inner) =>
  [1, 2, 8, 9, 33, 65, 4096].flatMap((rows) =>
    [1, 3, 9, 100, 1025].map((columns) => ({ batch: 1 + (rows % 3), rows, columns, inner })),
  ),
);

const dispatchesOf = (plan: Plan): readonly Dispatch[] =>
  plan.steps.filter((step): step is Dispatch => step.kind === "dispatch");

async function check(run: RunPlan, shape: DotShape, layout: DotLayout, config: DotConfig): Promise<void> {
  const program = dotProgram(shape, layout);
  const inputs = program.inputs.map((id) => exactOperand(typeOf(program, id), id, shape.inner));
  const plan = schedule(program, { limits: FEATURES, dots: () => config });
  // A result of f16 is rounded.
  const expected = interpret(program, inputs).map((tensor) => toExact(toStorage(tensor)));
  const problem = difference(await run(plan, inputs), expected);
  expect(problem === undefined ? undefined : `${problem}: ${configName(config)}`).toBeUndefined();
}

describe("candidates", () => {
  it("are few, different, and the heuristic's first", () => {
    for (const shape of SIZES)
      for (const layout of LAYOUTS) {
        const candidates = dotCandidates(shape, layout, LARGER);
        expect(candidates.length).toBeLessThanOrEqual(MOST_CANDIDATES);
        expect(new Set(candidates.map(configName)).size).toBe(candidates.length);
        expect(candidates[0]).toEqual(chooseDot(shape, layout, LARGER));
      }
    const layout: DotLayout = { left: "k", right: "column" };
    expect(dotCandidates({ batch: 1, rows: 96, columns: 96, inner: 768 }, layout, LARGER).length).toBe(
      MOST_CANDIDATES,
    );
  });

  it.each([
    ["of any adapter", MINIMUM_LIMITS],
    ["of a larger one", LARGER],
  ])("keep the limits %s", (_name, limits) => {
    const layout: DotLayout = { left: "k", right: "k" };
    for (const rows of [1, 7, 16, 33, 70, 200])
      for (const columns of [3, 40, 130]) {
        const shape = { batch: 2, rows, columns, inner: 600 };
        for (const config of dotCandidates(shape, layout, limits)) {
          const plan = schedule(dotProgram(shape, layout), { limits, dots: () => config });
          for (const { kernel } of dispatchesOf(plan)) {
            const bytes = kernel.shared.reduce((sum, { length }) => sum + 4 * length, 0);
            expect(bytes, configName(config)).toBeLessThanOrEqual(limits.sharedBytes);
            expect(kernel.lanes, configName(config)).toBeLessThanOrEqual(limits.lanes);
          }
        }
      }
  });

  it("are found again by their names, for other dots too, and nothing else is", () => {
    const layout: DotLayout = { left: "k", right: "column" };
    const shape = { batch: 1, rows: 96, columns: 96, inner: 768 };
    for (const config of dotCandidates(shape, layout, LARGER)) {
      const named = { rung: rungName(config.rung), slices: config.split?.slices ?? 1 };
      expect(namedDot(shape, layout, LARGER, named)).toEqual(config);
      expect(namedDot({ ...shape, rows: 100 }, layout, LARGER, named)?.rung).toEqual(config.rung);
    }
    const huge = dotCandidates(shape, layout, LARGER).map(({ rung }) => rungName(rung));
    expect(huge).toContain("quads, tiles of 128 by 16 x 8 lanes, 16 deep");
    const of = (rung: string, slices: number) => namedDot(shape, layout, MINIMUM_LIMITS, { rung, slices });
    expect(of("quads, tiles of 128 by 16 x 8 lanes, 16 deep", 1)).toBeUndefined();
    expect(of("tiles of 7", 1)).toBeUndefined();
    // More slices than a sum has is as many as it may have.
    expect(of("quads, tiles of 32 by 8 x 8 lanes, 16 deep", 1e15)?.split?.slices).toBe(3);
  });

  const [[, host], [, gpu]] = PLAN_RUNNERS as readonly [(typeof PLAN_RUNNERS)[0], (typeof PLAN_RUNNERS)[0]];
  it.each([
    { batch: 1, rows: 1, columns: 70, inner: 600 },
    { batch: 2, rows: 33, columns: 17, inner: 530 },
    { batch: 1, rows: 65, columns: 129, inner: 33 },
    { batch: 1, rows: 9, columns: 3, inner: 0 },
    { batch: 1, rows: 129, columns: 66, inner: 290 },
  ])("compute $rows x $columns, summed over $inner", async (shape) => {
    // On the host a tile takes long: large dots are stored in two ways only.
    for (const layout of shape.rows > 16 ? LAYOUTS.slice(1, 3) : LAYOUTS.slice(0, 4))
      for (const config of dotCandidates(shape, layout, LARGER)) await check(host, shape, layout, config);
  });

  it("exchange values, or keep f16 in workgroup memory, only where the target can and the operands allow it", () => {
    const shape = { batch: 1, rows: 40, columns: 40, inner: 100 };
    const few = { ...shape, rows: 3 };
    const names = (shape: DotShape, layout: DotLayout, limits: TargetLimits): readonly string[] =>
      dotCandidates(shape, layout, limits).map(({ rung }) => rungName(rung));
    const layout: DotLayout = { left: "k", right: "k" };
    const subgroups = expect.stringMatching(/^subgroups/);
    expect(names(few, layout, FEATURES)).toContainEqual(subgroups);
    expect(names(few, layout, LARGER)).not.toContainEqual(subgroups);
    const wide = { ...FEATURES, subgroups: { min: 8, max: 128 } };
    expect(names(few, layout, wide)).not.toContainEqual(subgroups);
    const half = expect.stringMatching(/^f16 tiles/);
    const f16: DotLayout = { ...layout, dtype: "f16" };
    expect(names(shape, f16, FEATURES)).toContainEqual(half);
    expect(names(shape, f16, LARGER)).not.toContainEqual(half);
    expect(names(shape, layout, FEATURES)).not.toContainEqual(half);
    expect(names(shape, { ...f16, computed: true }, FEATURES)).not.toContainEqual(half);
  });

  it.each([
    { batch: 2, rows: 3, columns: 70, inner: 130 },
    { batch: 1, rows: 65, columns: 7, inner: 600 },
    { batch: 1, rows: 33, columns: 65, inner: 40 },
  ])("with all features compute $rows x $columns, summed over $inner", async (shape) => {
    for (const dtype of ["f32", "f16"] as const)
      for (const layout of LAYOUTS.slice(0, 4))
        for (const config of dotCandidates(shape, { ...layout, dtype }, FEATURES))
          if (config.rung.kind === "subgroups" || dtype === "f16")
            await check(host, shape, { ...layout, dtype }, config);
  });

  it("with the features of this GPU compute it there", async () => {
    const { features, subgroups } = await openTestGpu();
    const f16 = features.has("shader-f16");
    if (!f16) console.log("f16 in workgroup memory is not tested: this GPU has no f16.");
    const limits: TargetLimits = { ...MINIMUM_LIMITS, f16, subgroups };
    const layout: DotLayout = { left: "k", right: "column", dtype: f16 ? "f16" : "f32" };
    for (const shape of [
      { batch: 1, rows: 5, columns: 70, inner: 130 },
      { batch: 1, rows: 33, columns: 65, inner: 40 },
    ])
      for (const config of dotCandidates(shape, layout, limits)) await check(gpu, shape, layout, config);
  });

  it("compute it on a GPU", async () => {
    const shape = { batch: 2, rows: 33, columns: 65, inner: 530 };
    const layout: DotLayout = { left: "k", right: "k" };
    const candidates = dotCandidates(shape, layout, MINIMUM_LIMITS);
    for (const config of candidates) await check(gpu, shape, layout, config);
  });
});

describe("the scheduler", () => {
  const shape = { batch: 1, rows: 40, columns: 50, inner: 600 };
  const layout: DotLayout = { left: "row", right: "column" };

  it("asks for each dot and uses the answer", () => {
    const asked: unknown[] = [];
    const config = launchDot(shape, { kind: "tile", tile: 64, depth: 16, each: 8, unroll: 2 }, 2);
    const plan = schedule(dotProgram(shape, layout), {
      dots: (...dot) => {
        asked.push(dot);
        return config;
      },
    });
    expect(asked).toEqual([[shape, layout]]);
    const [first, second, ...others] = dispatchesOf(plan);
    expect([first?.kernel.name, first?.kernel.lanes, first?.workgroups]).toEqual(["dot_slices", 64, 2]);
    expect(second?.kernel.name).toMatch(/^dot_sum/);
    expect(others).toEqual([]);
  });

  it("goes by the heuristic where there is no answer", () => {
    const program = dotProgram(shape, layout);
    const text = (plan: Plan): string => JSON.stringify(plan);
    expect(text(schedule(program, { dots: () => undefined }))).toBe(text(schedule(program)));
  });
});
