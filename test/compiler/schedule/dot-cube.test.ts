/**
 * Dots as they are scheduled, on a GPU, over the cube of edge sizes: {1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127}³ by every way of
 * storing the operands, f32, and f16 where the adapter has it; to the last bit. A run takes a part of the 1,728 points;
 * `FLUXION_RUNS=1728` takes all of them, in some minutes.
 */
import { expect, it, vi } from "vitest";
import { toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import type { DotLayout } from "../../../src/compiler/schedule/dot/problem.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { dotProgram, exactOperand } from "../../../src/runtime/webgpu/dot-alone.ts";
import { openTestGpu } from "../../support/webgpu.ts";

vi.setConfig({ testTimeout: 600_000 });

const SIZES = [1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127];
const POINTS = SIZES.length ** 3;
const RUNS = Math.min(POINTS, Number(process.env["FLUXION_RUNS"] ?? 200));

/** All points in an order that mixes sizes: 605 has no factor in common with their number. */
const point = (k: number): { readonly batch: number; rows: number; columns: number; inner: number } => {
  const at = (k * 605 + 17) % POINTS;
  const size = (place: number): number =>
    SIZES[Math.floor(at / SIZES.length ** place) % SIZES.length] as number;
  return { batch: 1 + (k % 2), rows: size(0), columns: size(1), inner: size(2) };
};

const gpu = new WebGpuDevice(await openTestGpu());
if (gpu.limits.f16 !== true) console.log("Dots of f16 are not tested: this GPU has no f16.");
const dtypes = gpu.limits.f16 === true ? (["f32", "f16"] as const) : (["f32"] as const);

const LAYOUTS = (["row", "k"] as const).flatMap((left) =>
  (["k", "column"] as const).flatMap((right) => dtypes.map((dtype): DotLayout => ({ left, right, dtype }))),
);

it.each(LAYOUTS)("of $dtype, stored along $left and $right", async (layout) => {
  for (let k = 0; k < RUNS; k++) {
    const shape = point(k);
    const program = dotProgram(shape, layout);
    const operands = program.inputs.map((_, i) =>
      toStorage(exactOperand(program.types[i] as TensorType, i + 1, shape.inner)),
    );
    const executable = await gpu.load(schedule(program, { limits: gpu.limits }));
    const given = operands.map((operand) => gpu.upload(operand));
    const [output] = await executable.run(given);
    const got = toExact((await output?.read()) as HostTensor);
    const [exact] = interpret(program, operands);
    const want = toExact(toStorage(exact as HostTensor));
    for (const value of [...given, output]) value?.dispose();
    await executable.dispose();
    const wrong = want.data.findIndex((x, i) => x !== got.data[i]);
    expect(
      wrong < 0 ? undefined : { shape, element: wrong, got: got.data[wrong], want: want.data[wrong] },
    ).toBeUndefined();
  }
});
