/** Programs with tensors without elements, on a GPU: kernels of each kind have nothing to do, or sum nothing up. */
import { describe, expect, it } from "vitest";
import { exactTensor, toStorage } from "../../../src/compiler/host-tensor.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import {
  add,
  argmax,
  attention,
  concat,
  cumsum,
  exp,
  f32,
  fn,
  gather,
  i32,
  matmul,
  mul,
  scan,
  scatterAdd,
  softmax,
  sort,
  sum,
  tanh,
  trace,
  valueAndGrad,
} from "../../../src/dsl/index.ts";
import type { Fn, Tensor } from "../../../src/dsl/index.ts";
import { sizeOf, typeOf } from "../../../src/dsl/program/program.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { deviation } from "../../support/on-device.ts";
import { openTestGpu } from "../../support/webgpu.ts";

const device = new WebGpuDevice(await openTestGpu());

const x = f32("rows", "columns");
/** Of one type, so that they stand in a table. */
const of = (f: unknown): Fn<never, unknown> => f as Fn<never, unknown>;

const PROGRAMS: readonly (readonly [string, Fn<never, unknown>])[] = [
  ["map", of(fn({ x }, ({ x }) => exp(add(x, x))))],
  ["rows", of(fn({ x }, ({ x }) => mul(x, sum(x, [1], { keepDims: true }))))],
  ["columns", of(fn({ x }, ({ x }) => sum(mul(x, x), [0])))],
  ["all", of(fn({ x }, ({ x }) => sum(x)))],
  ["dot", of(fn({ x, w: f32("columns", 3) }, ({ x, w }) => tanh(matmul(x, w))))],
  ["sort", of(fn({ x }, ({ x }) => sort(x)))],
  ["cumsum", of(fn({ x }, ({ x }) => cumsum(x, 0)))],
  [
    "concat",
    of(fn({ x, y: f32(2, "columns") }, ({ x, y }) => concat([x as Tensor, y as Tensor, x as Tensor], 0))),
  ],
  [
    "loop",
    of(
      fn({ x, c: f32("columns") }, ({ x, c }) =>
        scan((carry, row) => [add(carry, row), mul(carry, row)] as const, c, x),
      ),
    ),
  ],
  ["gradient", of(valueAndGrad(fn({ x, w: f32("columns", 3) }, ({ x, w }) => sum(tanh(matmul(x, w))))))],
];
const ROWS_ONLY: readonly (readonly [string, Fn<never, unknown>])[] = [
  ["gather", of(fn({ t: f32(4, 3), at: i32("rows") }, ({ t, at }) => gather(t, at)))],
  [
    "scatterAdd",
    of(
      fn({ t: f32(4, 3), at: i32("rows"), more: f32("rows", 3) }, ({ t, at, more }) =>
        scatterAdd(t, at, more),
      ),
    ),
  ],
  ["attention", of(fn({ q: f32("rows", 20, 4) }, ({ q }) => attention(q, q, q, { causal: true })))],
  ["softmax", of(fn({ t: f32("rows", 5) }, ({ t }) => softmax(t)))],
  ["argmax", of(fn({ t: f32("rows", 5) }, ({ t }) => argmax(t, 1)))],
];

async function check(f: Fn<never, unknown>, sizes: Readonly<Record<string, number>>): Promise<void> {
  const { program } = trace(f, sizes as never);
  const inputs = program.inputs.map((id) => {
    const { shape, dtype } = typeOf(program, id);
    const values = Array.from({ length: sizeOf(shape) }, (_, i) => (dtype === "i32" ? i % 4 : Math.sin(i)));
    return toStorage(exactTensor(dtype, shape, values));
  });
  expect(inputs.some(({ shape }) => shape.includes(0))).toBe(true);
  for (const step of schedule(program).steps)
    if (step.kind === "dispatch") expect(step.workgroups).toBeGreaterThan(0);
  expect(await deviation(device, program, inputs, 1e-5)).toBeUndefined();
}

describe.each(PROGRAMS)("%s", (_name, f) => {
  it.each([
    [0, 3],
    [3, 0],
    [0, 0],
  ])("of %i × %i", (rows, columns) => check(f, { rows, columns }));
});
describe.each(ROWS_ONLY)("%s", (_name, f) => {
  it("of no rows", () => check(f, { rows: 0 }));
});
