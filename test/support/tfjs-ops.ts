/**
 * Every op on a backend of TensorFlow.js against the interpreter, over the cases that all targets share, and where kernels are known to
 * go wrong.
 *
 * Consumed by the tests of the devices in Node and in a browser, so nothing of Node is imported here.
 */
import { expect, it } from "vitest";
import { toExact, toNumbers } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import type { TensorType } from "../../src/dsl/program/program.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { deviation, runOn } from "./on-device.ts";
import { OP_CASES, trying } from "./op-cases.ts";
import { difference, program, tensor } from "./programs.ts";
import type { Case } from "./op-cases.ts";

const none = {};

/** Of each op and each list of dtypes the last cases, which meet special values and odd shapes. */
const lastOf = (cases: readonly Case[], count: number): readonly Case[] => {
  const dtypes = ({ inputs }: Case): string => inputs.map(({ dtype }) => dtype).join();
  return cases.filter(
    (one, i) => cases.slice(i + 1).filter((other) => dtypes(other) === dtypes(one)).length < count,
  );
};

/** Declares the tests. @param count how many cases of each op and dtype, from the last; default all */
export function testOps(device: Device, count = Infinity): void {
  it.each(Object.entries(OP_CASES))("%s agrees with the interpreter", async (_op, cases) => {
    for (const [i, { run, inputs, tolerance }] of lastOf(cases, count).entries()) {
      const types = inputs.map((input: TensorType) => `${input.dtype}[${input.shape.join()}]`).join(" ");
      expect(await deviation(device, run, inputs, tolerance), `case ${i}: ${types}`).toBeUndefined();
    }
  });

  it("keeps its head above six axes, where some kernels fail without a word", async () => {
    const shape = [2, 1, 2, 3, 2, 2, 2];
    const run = program([`f32[${shape.join()}]`, "f32[2,3,1,2]"], (w, x, y) => {
      const rows = w.one("broadcast", [y], { shape, dims: [2, 3, 4, 6] });
      const sum = w.one("add", [x, rows], none);
      const sevens = [0, 0, 0, 0, 0, 0, 0];
      const padded = w.one("pad", [sum], { low: [1, 0, 0, 0, 0, 0, 1], high: sevens, interior: sevens });
      const start = [0, 0, 0, 1, 0, 0, 1];
      const every = w.one("slice", [padded], {
        start,
        stop: [3, 1, 2, 3, 2, 2, 3],
        step: [2, 1, 1, 1, 1, 1, 1],
      });
      const turned = w.one("transpose", [sum], { perm: [6, 5, 4, 3, 2, 1, 0] });
      return [sum, every, turned, w.one("reduceSum", [turned], { axes: [0, 2, 6] }), rows];
    });
    const inputs = [trying(`f32[${shape.join()}]`, 1), trying("f32[2,3,1,2]", 2)];
    expect(await deviation(device, run, inputs, 1e-6)).toBeUndefined();
  });

  it("multiplies by the same numbers in two shapes, in one program and in two", async () => {
    const times = (rows: number, columns: number) =>
      program([`f32[1,${rows}]`, "f32[4,6]"], (w, x, y) => {
        const turned = w.one("reshape", [y], { shape: [rows, columns] });
        return [
          w.one("dot", [x, turned], { lhsBatch: [], rhsBatch: [], lhsContract: [1], rhsContract: [0] }),
        ];
      });
    const weights = device.upload(trying("f32[4,6]", 3));
    for (const [rows, columns] of [
      [4, 6],
      [6, 4],
      [24, 1],
      [1, 24],
    ] as const) {
      const run = times(rows, columns);
      const x = trying(`f32[1,${rows}]`, 4);
      const [found] = await (await device.compile(run)).run([device.upload(x), weights]);
      const [expected] = interpret(run, [x, trying("f32[4,6]", 3)]);
      expect(
        difference([toExact(await (found as DeviceValue).read())], [expected as ExactTensor], 1e-5),
      ).toBeUndefined();
    }
  });

  it.each([16, 33, 100])("finds a NaN at any of %d places", async (n) => {
    const run = program([`f32[${n}]`, `f32[${n}]`], (w, x, y) => [
      w.one("reduceMax", [x], { axes: [0] }),
      w.one("argmax", [x], { axis: 0 }),
      w.one("max", [x, y], none),
      w.one("max", [y, x], none),
      w.one("min", [y, x], none),
      w.one("sign", [x], none),
    ]);
    const numbers = Array.from({ length: n }, (_, i) => Math.sin(i));
    for (let at = 0; at < n; at += 5) {
      const inputs = [numbers.map((x, i) => (i === at ? NaN : x)), numbers].map((x) =>
        tensor(`f32[${n}]`, x),
      );
      expect(await deviation(device, run, inputs, 1e-6), `at ${at}`).toBeUndefined();
    }
  });

  it("does not lose bits of whole words, nor very small numbers", async () => {
    const words = program(["i32[4]", "i32[4]"], (w, x, y) => [
      ...(["add", "sub", "mul", "div", "rem", "max", "less", "equal"] as const).map((op) =>
        w.one(op, [x, y], none),
      ),
      w.one("abs", [x], none),
      w.one("neg", [x], none),
      w.one("reduceSum", [x], { axes: [0] }),
      w.one("cumsum", [x], { axis: 0, reverse: false }),
    ]);
    const x = tensor("i32[4]", [-987654321, 16777217, 2147483647, -2147483648]);
    const y = tensor("i32[4]", [-987654322, 16777216, -3, 2147483647]);
    expect(await deviation(device, words, [x, y], 0)).toBeUndefined();
    const tiny = program(["f32[3]"], (w, v) => [w.one("sign", [v], none), w.one("erf", [v], none)]);
    const [signs, curve] = await runOn(device, tiny, [tensor("f32[3]", [1e-30, -2e-38, 0])]);
    expect(toNumbers(signs as HostTensor)).toEqual([1, -1, 0]);
    expect((curve?.data[0] as number) / (1.1283791670955126 * 1e-30)).toBeCloseTo(1, 5);
  });

  it.each(["i32", "u32"])("compares any %s with a row of numbers", async (dtype) => {
    const words = [0, 1, 6, 7, 16777215, 16777216, 16777217, 2147483647, 2147483648, 4294967295];
    const given = tensor(
      `${dtype}[10,1]`,
      words.map((x) => (dtype === "i32" ? x | 0 : x)),
    );
    const row = program([`${dtype}[10,1]`], (w, x) => {
      const shape = [10, 8];
      const all = w.one("broadcast", [x], { shape, dims: [0, 1] });
      const numbers = w.one("iota", [], { shape, dtype: dtype as "i32", axis: 1 });
      return (["equal", "less", "lessEqual"] as const).flatMap((op) => [
        w.one(op, [all, numbers], none),
        w.one(op, [numbers, all], none),
      ]);
    });
    expect(await deviation(device, row, [given], 0)).toBeUndefined();
  });
}
