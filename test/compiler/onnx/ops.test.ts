/**
 * Every op on the cpu device against the interpreter, over the cases that all targets share.
 */
import { afterAll, describe, expect, it } from "vitest";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { OPS } from "../../../src/dsl/ops/index.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import { threefry2x32Into } from "../../../src/dsl/random/threefry.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { deviation, runOn } from "../../support/on-device.ts";
import { OP_CASES, trying } from "../../support/op-cases.ts";
import { program, tensor } from "../../support/programs.ts";

const none = {};

const device = await openCpu({ threads: 1 });
afterAll(() => device.dispose());

describe("lowering to ONNX", () => {
  it("is tested for every op", () => {
    expect(Object.keys(OP_CASES).sort()).toEqual(Object.keys(OPS).sort());
    for (const [op, cases] of Object.entries(OP_CASES)) expect(cases.length, op).toBeGreaterThan(0);
  });

  it.each(Object.entries(OP_CASES))("%s agrees with the interpreter", async (_op, cases) => {
    for (const [i, { run, inputs, tolerance }] of cases.entries()) {
      const types = inputs.map((input: TensorType) => `${input.dtype}[${input.shape.join()}]`).join(" ");
      expect(await deviation(device, run, inputs, tolerance), `case ${i}: ${types}`).toBeUndefined();
    }
  });

  it("keeps what a nested graph reads when a conversion is undone before it", async () => {
    const inner = program(["u32[1]", "u32[1]"], (_w, x, y) => [x, y]);
    const run = program(["u32[1]", "u32[2,1]", "bool[1]", "f16[1]"], (w, x, xs, flag, half) => {
      const sum = w.one("reduceSum", [x], { axes: [] });
      const there = w.one("cast", [w.one("cast", [flag], { dtype: "f32" })], { dtype: "bool" });
      const back = w.one("cast", [w.one("cast", [half], { dtype: "f32" })], { dtype: "f16" });
      const keep = program(["bool[1]", "f16[1]", "u32[1]"], (_v, a, b, c) => [a, b, c]);
      const scanned = w.all("scan", [sum, xs], {
        body: inner,
        length: 2,
        consts: 1,
        carry: 0,
        reverse: false,
      });
      const rest = w.all("scan", [there, back, xs], {
        body: keep,
        length: 2,
        consts: 2,
        carry: 0,
        reverse: false,
      });
      return [...scanned, ...rest];
    });
    const inputs = ["u32[1]", "u32[2,1]", "bool[1]", "f16[1]"].map((text, i) => trying(text, i));
    expect(await deviation(device, run, inputs, 0)).toBeUndefined();
  });

  it.each([2 ** 18, 2 ** 18 + 5])("draws long threefry runs in pieces, %d blocks", async (count) => {
    const run = program(["u32[]", "u32[]", "u32[]"], (w, key0, key1, high) => {
      const spread = [key0, key1, high].map((id) => w.one("broadcast", [id], { shape: [count], dims: [] }));
      return w.all(
        "threefry",
        [...spread, w.one("iota", [], { shape: [count], dtype: "u32", axis: 0 })],
        none,
      );
    });
    const words = [123, 4_000_000_000, 77];
    const [low, high] = (await runOn(
      device,
      run,
      words.map((x) => tensor("u32[]", [x])),
    )) as [HostTensor, HostTensor];
    const [x0, x1] = [new Uint32Array(count).fill(77), Uint32Array.from({ length: count }, (_, i) => i)];
    threefry2x32Into(123, 4_000_000_000, x0, x1, x0, x1);
    expect(Buffer.compare(Buffer.from(low.data.buffer), Buffer.from(x0.buffer))).toBe(0);
    expect(Buffer.compare(Buffer.from(high.data.buffer), Buffer.from(x1.buffer))).toBe(0);
  });

  it("matches Random123's published threefry vectors", async () => {
    const word = (x: number): HostTensor => tensor("u32[1]", [x]);
    const run = program(["u32[1]", "u32[1]", "u32[1]", "u32[1]"], (w, ...ids) =>
      w.all("threefry", ids, none),
    );
    const bits = async (...words: readonly number[]): Promise<number[]> =>
      (await runOn(device, run, words.map(word))).map((t) => t.data[0] as number);
    expect(await bits(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
    expect(await bits(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(await bits(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
  });
});
