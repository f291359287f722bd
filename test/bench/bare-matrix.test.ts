/** The kernel on matrix units that products are timed against: that Dawn compiles it, on a backend that computes nothing. */
import { expect, it } from "vitest";
import { fitsMatrix, matrixCode } from "../../bench/webgpu/bare-matrix.ts";
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";
import { SHAPES } from "../support/matrices.ts";
import { openNullGpu } from "../support/null-gpu.ts";

it("compiles", async ({ skip }) => {
  const gpu = await openNullGpu(["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"]);
  if (typeof gpu === "string") {
    console.log(`The text of matrices is not compiled: ${gpu}.`);
    return skip(gpu);
  }
  const [problem, ...others] = await gpu.problems(matrixCode(4096));
  expect(others).toEqual([]);
  // The backend has the minimum of workgroup memory.
  expect(problem).toMatch(/^The total use of workgroup storage \(18944 bytes\)/);
});

it("takes part where an adapter has its fragments and its memory, for whole tiles", () => {
  const gpu = {
    matrices: SHAPES.nvidia,
    subgroups: { min: 32, max: 32 },
    limits: { maxComputeWorkgroupStorageSize: 49152 },
  } as unknown as Gpu; // as much of one as it looks at
  expect(fitsMatrix(4096, gpu)).toBe(true);
  expect(fitsMatrix(512, gpu)).toBe(false);
  expect(fitsMatrix(4096, { ...gpu, matrices: SHAPES.intel })).toBe(false);
  expect(fitsMatrix(4096, { ...gpu, subgroups: { min: 16, max: 32 } })).toBe(false);
});
