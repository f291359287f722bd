/**
 * The text of fragments: as it is printed, and that Dawn accepts it, for every shape and layout of the rung that uses them. Dawn's null
 * backend has the extension and computes nothing; what the statements mean is tested on the host (dot-matrix.test.ts).
 */
import { beforeAll, describe, expect, it } from "vitest";
import { KernelBuilder, WORKGROUP, index, subgroup, times } from "../../../src/compiler/kernel/builder.ts";
import type { Kernel } from "../../../src/compiler/kernel/ir.ts";
import type { Dispatch, MatrixShape } from "../../../src/compiler/kernel/plan.ts";
import { launchDot } from "../../../src/compiler/schedule/dot/dot.ts";
import { matrixRungs } from "../../../src/compiler/schedule/dot/matrix.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { dotProgram } from "../../../src/runtime/webgpu/dot-alone.ts";
import { LAYOUTS, SHAPES, limitsFor } from "../../support/matrices.ts";
import { openNullGpu } from "../../support/null-gpu.ts";
import type { NullGpu } from "../../support/null-gpu.ts";
import { dispatchesOf } from "../../support/scheduled.ts";

/** A product of fragments, one of them in a buffer, by each subgroup. */
function product(): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer({ dtype: "f16", access: "read" });
  const y = k.buffer({ dtype: "f32", access: "write" });
  const array = k.shared({ type: "f32", length: 1024, half: true });
  const sums = k.zeroFragment({ rows: 4, columns: 12, element: "f32" });
  const left = k.loadFragment(
    { role: "left", rows: 4, columns: 6, element: "f16" },
    { memory: { kind: "buffer", position: x }, at: index(5), stride: index(9), order: "row-major" },
  );
  const right = k.loadFragment(
    { role: "right", rows: 6, columns: 12, element: "f16" },
    {
      memory: { kind: "shared", position: array },
      at: times(subgroup("number"), index(72)),
      stride: index(7),
      order: "column-major",
    },
  );
  k.emit({ kind: "multiplyAccumulate", accumulator: sums, left, right });
  k.emit({
    kind: "storeFragment",
    fragment: sums,
    to: { memory: { kind: "buffer", position: y }, at: WORKGROUP, stride: index(12), order: "row-major" },
  });
  return k.finish("product", 128);
}

it("prints fragments as subgroup matrices", () => {
  expect(printWgsl(product(), { f16: true })).toMatchInlineSnapshot(`
    "enable f16;
    enable subgroups;
    enable chromium_experimental_subgroup_matrix;
    diagnostic(off, chromium.subgroup_matrix_uniformity);
    @group(0) @binding(0) var<storage, read> buffer_0: array<f16>;
    @group(0) @binding(1) var<storage, read_write> buffer_1: array<f32>;
    var<workgroup> shared_0: array<f16, 1024>;
    @compute @workgroup_size(128)
    fn main(
      @builtin(workgroup_id) group: vec3<u32>,
      @builtin(num_workgroups) groups: vec3<u32>,
      @builtin(local_invocation_index) lane: u32,
      @builtin(subgroup_id) subgroup_number: u32,
    ) {
      let workgroup = group.x + group.y * groups.x;
      var sums0 = subgroup_matrix_result<f32, 12, 4>();
      let part1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 6, 4>, row_major>(&buffer_0, 5u, 9u);
      let part2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 12, 6>, col_major>(&shared_0, subgroup_number * 72u, 7u);
      sums0 = subgroupMatrixMultiplyAccumulate(part1, part2, sums0);
      subgroupMatrixStore<row_major>(&buffer_1, workgroup, sums0, 12u);
    }
    "
  `);
});

it("refuses memory whose elements are not the fragment's", () => {
  expect(() => printWgsl(product(), { f16: false })).toThrow(/is of f16, its memory of f32$/);
});

/** The null backend has no more than the minimum of workgroup memory, and these kernels are offered only where there is enough. */
const problemsOfText = async (gpu: NullGpu, code: string): Promise<readonly string[]> =>
  (await gpu.problems(code)).filter((text) => !text.startsWith("The total use of workgroup storage"));

const UNIFORMITY = "diagnostic(off, chromium.subgroup_matrix_uniformity);\n";

describe("on Dawn's null backend", () => {
  let gpu: NullGpu | string = "not opened";
  beforeAll(async () => {
    gpu = await openNullGpu(["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"]);
    if (typeof gpu === "string") console.log(`The text of matrices is not compiled: ${gpu}.`);
  });

  it("the printed text compiles", async ({ skip }) => {
    if (typeof gpu === "string") return skip(gpu);
    expect(await gpu.problems(printWgsl(product(), { f16: true }))).toEqual([]);
  });

  it("Dawn tells rows from columns, and left from right", async ({ skip }) => {
    if (typeof gpu === "string") return skip(gpu);
    const code = printWgsl(product(), { f16: true });
    for (const [right, wrong] of [
      ["subgroup_matrix_left<f16, 6, 4>", "subgroup_matrix_left<f16, 4, 6>"],
      ["subgroup_matrix_right<f16, 12, 6>", "subgroup_matrix_right<f16, 6, 12>"],
      ["subgroup_matrix_result<f32, 12, 4>", "subgroup_matrix_result<f32, 4, 12>"],
      ["Accumulate(part1, part2", "Accumulate(part2, part1"],
      ["5u, 9u)", "5u, 5u)"], // a stride shorter than a row
      ["enable chromium_experimental_subgroup_matrix;\n", ""],
    ] as const) {
      expect(code).toContain(right);
      const problems = await gpu.problems(code.replace(right, wrong));
      expect([wrong, problems.length > 0]).toEqual([wrong, true]);
    }
  });

  it("a large product compiles, with its sizes in the text", async ({ skip }) => {
    if (typeof gpu === "string") return skip(gpu);
    const shape = { batch: 1, rows: 4096, columns: 4096, inner: 4096 };
    for (const layout of Object.values(LAYOUTS)) {
      const plan = schedule(dotProgram(shape, layout), { limits: limitsFor(SHAPES.nvidia, 32) });
      const code = printWgsl((dispatchesOf(plan)[0] as Dispatch).kernel, { f16: true }); // a dot has a kernel
      expect(code).toContain("subgroupMatrixMultiplyAccumulate");
      expect(code).not.toMatch(/params|if \(workgroup|f16\(piece|= vec4<f32>\(buffer/);
      expect(await problemsOfText(gpu, code)).toEqual([]);
    }
  });

  const listed = Object.entries(SHAPES).flatMap(([vendor, shapes]) =>
    shapes.map((shape: MatrixShape) => [vendor, shape] as const),
  );
  it.for(listed)("the rung compiles as %s has it: %o", async ([, shape], { skip }) => {
    if (typeof gpu === "string") return skip(gpu);
    for (const lanes of [32, 64]) {
      const limits = limitsFor([shape], lanes);
      const rungs = matrixRungs(limits, 100);
      expect(rungs.length).toBeGreaterThan(0);
      for (const [n, rung] of rungs.entries())
        for (const layout of n === 0 ? Object.values(LAYOUTS) : [LAYOUTS.NN])
          for (const size of [
            { batch: 1, rows: 128, columns: 128, inner: 96 },
            { batch: 2, rows: 33, columns: 50, inner: 100 },
          ])
            for (const slices of n === 0 ? [1, 2] : [1]) {
              const config = launchDot(size, rung, slices);
              const plan = schedule(dotProgram(size, layout), { limits, dots: () => config });
              const [first] = dispatchesOf(plan);
              const code = printWgsl((first as Dispatch).kernel, { f16: true }); // a dot has a kernel
              expect(code).toContain("subgroupMatrixMultiplyAccumulate");
              expect(await problemsOfText(gpu, code)).toEqual([]);
              // Nor does this version of Dawn find anything that lanes of a subgroup may not have in common.
              expect(await problemsOfText(gpu, code.replace(UNIFORMITY, ""))).toEqual([]);
            }
    }
  });
});
