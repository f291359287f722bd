/**
 * Attention, its tangent and its transpose in tiles of quads, which GPUs with more than the least workgroup memory get, against the interpreter: on
 * the host, where races and accesses out of bounds show, and on a GPU.
 */
import { describe, expect, it } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import type { Kernel } from "../../../src/compiler/kernel/ir.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import {
  MODIFIERS,
  OPS,
  TO_NEIGHBOUR,
  TYPES,
  compare,
  named,
  routineOf,
} from "../../support/attention-cases.ts";
import type { Case, Op } from "../../support/attention-cases.ts";
import { difference } from "../../support/programs.ts";
import { PLAN_RUNNERS, planRunner } from "../../support/stage-plan.ts";
import { unseenCases } from "../../support/unseen.ts";
import { openTestGpu } from "../../support/webgpu.ts";

const LIMITS: TargetLimits = { ...MINIMUM_LIMITS, sharedBytes: 32768 };
const [[, onHost]] = PLAN_RUNNERS as readonly [(typeof PLAN_RUNNERS)[0]];

/** Around the rows of blocks; columns that lanes share, as few as they are: the host is slow. */
const CASES: readonly Partial<Case>[] = [
  { queries: 33, keys: 40, depth: 32, width: 32, ...MODIFIERS[3] },
  { queries: 129, keys: 65, depth: 32, width: 32, batch: [] },
  { queries: 64, keys: 129, depth: 32, width: 64, batch: [2], ...MODIFIERS[1] },
  { queries: 127, keys: 33, depth: 64, width: 32, batch: [1], ...MODIFIERS[2] },
  { queries: 127, keys: 127, depth: 32, width: 32, batch: [1], ...MODIFIERS[1] },
  { queries: 33, keys: 34, depth: 96, width: 128, batch: [], ...MODIFIERS[3] },
  { queries: 64, keys: 64, depth: 32, width: 32, batch: [2, 1, 2] },
];
/** Scores so large that lse in f16 is far off, and what is smaller than the largest by much; see attention.test.ts. */
const HALF: readonly Partial<Case>[] = [
  { queries: 40, keys: 70, depth: 32, width: 32, scale: 5, dtype: "f16" },
  { queries: 66, keys: 66, depth: 32, width: 32, scale: 5, dtype: "f16", batch: [], causal: true },
];

const kernelsOf = (op: Op, given: Partial<Case>, limits = LIMITS): readonly Kernel[] => {
  const [[, c]] = named([given]) as [readonly [string, Case]];
  return routineOf(op, TYPES[op](c), c, limits).stages.map(({ kernel }) => kernel);
};
const quadPasses = (...given: Parameters<typeof kernelsOf>): readonly string[] =>
  kernelsOf(...given)
    .filter(({ shared }) => shared.some(({ quads }) => quads))
    .map(({ name }) => name);

describe.each(OPS)("%s in quads", (op) => {
  it.each(named(CASES))("of %s, on the host", (_name, c) => compare(onHost, op, c, 2e-5, LIMITS));
  it.each(named(HALF))("in f16 of %s, on the host", (_name, c) =>
    compare(onHost, op, c, TO_NEIGHBOUR, LIMITS),
  );

  it.for(
    named([
      { queries: 129, keys: 130, depth: 32, width: 64, batch: [2], ...MODIFIERS[3] },
      { queries: 65, keys: 127, depth: 64, width: 64, batch: [1, 2] },
      { queries: 40, keys: 70, depth: 32, width: 32, scale: 5, dtype: "f16" },
    ]),
  )("of %s, on a GPU", async ([_name, c], test) => {
    const gpu = await openTestGpu({ limits: "adapter" });
    if (gpu.adapter.name.includes("llvmpipe"))
      test.skip("LLVM takes minutes to compile what is written out over barriers");
    await compare(planRunner(new WebGpuDevice(gpu)), op, c, c.dtype === "f16" ? TO_NEIGHBOUR : 2e-5, LIMITS);
  });

  if (op === "attentionTangent")
    it("in one kernel, where it may have ten buffers", async () => {
      const [[, c]] = named([{ queries: 35, keys: 70, depth: 32, width: 64, ...MODIFIERS[3] }]) as [readonly [string, Case]]; // prettier-ignore
      const limits = { ...LIMITS, buffers: 10 };
      expect(kernelsOf(op, c, limits).length).toBe(1);
      await compare(onHost, op, c, 2e-5, limits);
    });

  it("does not notice what it does not see", async () => {
    const cases = unseenCases(op, { queries: 34, keys: 40, depth: 32, width: 32 });
    for (const { name, program, inputs } of cases) {
      const plan = schedule(program, { limits: LIMITS });
      const actual = (await onHost(plan, inputs)).map((x) => toExact(toStorage(x)));
      const expected = interpret(program, inputs).map((x) => toExact(toStorage(x)));
      expect(difference(actual, expected, 1e-4), name).toBeUndefined();
    }
  });

  it("stays within the limits, and is the same for all numbers of problems and rows", () => {
    for (const depth of [32, 64, 96, 128]) {
      const columns = { depth, width: 64 };
      const first = kernelsOf(op, { batch: [2], queries: 64, keys: 96, ...columns });
      expect(first).toEqual(kernelsOf(op, { batch: [3, 5], queries: 1000, keys: 129, ...columns }));
      for (const { shared, lanes, buffers, name } of first) {
        const words = shared.reduce((sum, { length }) => sum + length, 0);
        expect(words * 4, name).toBeLessThanOrEqual(LIMITS.sharedBytes);
        expect(lanes, name).toBeLessThanOrEqual(LIMITS.lanes);
        expect(buffers.length, name).toBeLessThanOrEqual(LIMITS.buffers);
      }
    }
  });
});

describe("tiles of quads", () => {
  const sizes = { queries: 64, keys: 64, depth: 64, width: 64 };

  it("are for the passes over many rows whose columns lanes can share", () => {
    const passes = ["attention_transpose_query", "attention_transpose_keys"];
    expect(quadPasses("attention", sizes)).toEqual(["attention"]);
    expect(quadPasses("attentionTangent", sizes)).toEqual(["attention_tangent"]);
    expect(quadPasses("attentionTranspose", sizes)).toEqual(passes);
    expect(quadPasses("attentionTranspose", { ...sizes, depth: 128, width: 96 })).toEqual(passes);
    for (const given of [{ queries: 1 }, { queries: 7 }, { keys: 32 }, { depth: 33 }, { width: 160 }])
      for (const op of OPS) expect(quadPasses(op, { ...sizes, ...given }), JSON.stringify(given)).toEqual([]);
  });

  it("are neither for CPUs nor for the least workgroup memory", () => {
    for (const op of OPS) {
      expect(quadPasses(op, sizes, { ...LIMITS, software: true })).toEqual([]);
      expect(quadPasses(op, sizes, MINIMUM_LIMITS)).toEqual([]);
    }
  });
});
