/** Row and column kernels at the edges of their layouts: softmax, norms, argmax and sums of any extent, against the interpreter. */
import { describe, expect, it } from "vitest";
import { exactTensor, toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { trace } from "../../../src/dsl/fn.ts";
import {
  add,
  argmax,
  exp,
  f32,
  fn,
  max,
  mean,
  mul,
  rsqrt,
  softmax,
  square,
  sub,
  sum,
  tanh,
} from "../../../src/dsl/index.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { difference } from "../../support/programs.ts";
import { runOn } from "../../support/on-device.ts";
import { openTestGpu } from "../../support/webgpu.ts";

const device = new WebGpuDevice(await openTestGpu());
/** Software adapters compile slowly. */
const TIMEOUT = 60_000;

/** Values without order or symmetry, in [-2, 2]. */
const values = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => 4 * ((((i + 1) * 7919) % 4099) / 4099) - 2);

async function agrees(
  program: Parameters<typeof interpret>[0],
  shapes: readonly (readonly number[])[],
): Promise<void> {
  const inputs = shapes.map((shape) =>
    exactTensor("f32", shape, values(shape.reduce((product, extent) => product * extent, 1))),
  );
  const actual = (await runOn(device, program, inputs.map(toStorage))).map(toExact);
  const expected = interpret(program, inputs.map(toStorage));
  expect(difference(actual, expected, 2e-4)).toBeUndefined();
}

const rows = fn({ x: f32("rows", "columns"), g: f32("columns") }, ({ x, g }) => {
  const centred = sub(x, mean(x, [1], { keepDims: true }));
  const normed = mul(centred, rsqrt(add(mean(square(centred), [1], { keepDims: true }), 1e-5)));
  return {
    normed: mul(normed, g),
    probabilities: softmax(mul(x, 3), 1),
    best: argmax(tanh(x), 1),
    top: max(exp(x), [1]),
  };
});
const columns = fn({ x: f32("a", "b", "c") }, ({ x }) => ({
  middle: sum(square(x), [1]),
  first: max(x, [0]),
  outer: sum(x, [0, 2]),
  all: sum(exp(x)),
}));

describe("rows of every extent", () => {
  it.each([1, 2, 3, 5, 7, 31, 33, 64, 65, 127, 257, 1000, 1023, 5000, 9001])(
    "%i columns",
    async (count) => {
      for (const height of [1, 3, 70]) {
        const { program } = trace(rows, { rows: height, columns: count });
        await agrees(program, [[count], [height, count]]);
      }
    },
    TIMEOUT,
  );
  it("many short rows", async () => {
    const { program } = trace(rows, { rows: 70_001, columns: 3 });
    await agrees(program, [[3], [70_001, 3]]);
  });
});

describe("columns of every extent", () => {
  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [2, 33, 65],
    [65, 3, 127],
    [1, 6000, 3],
    [7, 5001, 2],
    [9001, 1, 4],
  ])("%i × %i × %i", async (a, b, c) => {
    const { program } = trace(columns, { a, b, c });
    await agrees(program, [[a, b, c]]);
  });
});
