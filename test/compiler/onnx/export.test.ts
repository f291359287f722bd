import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toStorage } from "../../../src/compiler/host-tensor.ts";
import { toOnnx } from "../../../src/compiler/onnx/to-onnx.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { runOn } from "../../support/on-device.ts";
import { program, tensor } from "../../support/programs.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-onnx-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const none = {};

/**
 * A small network with a loop and a branch: relu(x·w) scanned over rows into a running sum, its sign chosen
 * by a flag.
 */
const body = program(["f32[3]", "f32[3]"], (w, sum, row) => {
  const next = w.one("add", [sum, row], none);
  return [next, next];
});
const model = program(["f32[5,4]", "f32[4,3]", "bool[]"], (w, x, weights, flag) => {
  const hidden = w.one("dot", [x, weights], {
    lhsBatch: [],
    rhsBatch: [],
    lhsContract: [1],
    rhsContract: [0],
  });
  const zero = w.one("constant", [], { shape: [5, 3], dtype: "f32", values: 0 });
  const start = w.one("constant", [], { shape: [3], dtype: "f32", values: [1, 2, 3] });
  const [total, sums] = w.all("scan", [start, w.one("max", [hidden, zero], none)], {
    body,
    length: 5,
    consts: 0,
    carry: 1,
    reverse: false,
  }) as [number, number];
  const onTrue = program(["f32[3]"], (_v, t) => [t]);
  const onFalse = program(["f32[3]"], (v, t) => [v.one("neg", [t], none)]);
  return [w.one("cond", [flag, total], { onTrue, onFalse }), sums, w.one("cast", [hidden], { dtype: "f16" })];
});
const names = {
  inputNames: ["tokens", "params.blocks.0.qkv", "flag"],
  outputNames: ["total", "params.blocks.0.qkv", "half"],
};

/** Loads the file with ONNX Runtime and prints its outputs: a reader that knows nothing of this project. */
const READER = `
  const ort = require("onnxruntime-node");
  const feeds = JSON.parse(process.argv[3]);
  ort.InferenceSession.create(process.argv[2]).then(async (session) => {
    const arrays = { float32: Float32Array, bool: Uint8Array };
    const given = Object.fromEntries(Object.entries(feeds).map(([name, [type, data, shape]]) => [name, new ort.Tensor(type, arrays[type].from(data), shape)]));
    const outputs = await session.run(given);
    console.log(JSON.stringify(session.outputNames.map((name) => [name, outputs[name].type, outputs[name].dims, Array.from(outputs[name].data)])));
  });
`;

describe("an exported model", () => {
  it("gives the same outputs in another process", async () => {
    const { bytes, inputNames, outputNames } = toOnnx(model, {
      ...names,
      name: "tiny",
      doc: "A test.",
      metadata: { vocabulary: "3" },
    });
    const inputs = [
      tensor(
        "f32[5,4]",
        Array.from({ length: 20 }, (_, i) => Math.sin(i)),
      ),
      tensor(
        "f32[4,3]",
        Array.from({ length: 12 }, (_, i) => Math.cos(i)),
      ),
      tensor("bool[]", [0]),
    ];
    const feeds = Object.fromEntries(
      inputs.map((t, i) => [
        inputNames[i],
        [t.dtype === "f32" ? "float32" : "bool", Array.from(toStorage(t).data), t.shape],
      ]),
    );
    const file = join(folder, "tiny.onnx");
    await writeFile(file, bytes);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["-e", READER, "reader", file, JSON.stringify(feeds)],
      { cwd: process.cwd() },
    );
    const device = await openCpu({ threads: 1 });
    const expected = await runOn(device, model, inputs);
    await device.dispose();
    const typeNames = { f32: "float32", f16: "float16", i32: "int32", u32: "uint32", bool: "bool" };
    expect(JSON.parse(stdout)).toEqual(
      expected.map((t, i) => [outputNames[i], typeNames[t.dtype], [...t.shape], Array.from(t.data)]),
    );
  });

  it("keeps given names, and changes an output's that an input bears", () => {
    const { inputNames, outputNames } = toOnnx(model, names);
    expect(inputNames).toEqual(["tokens", "params.blocks.0.qkv", "flag"]);
    expect(outputNames).toEqual(["total", "params.blocks.0.qkv.out", "half"]);
    expect(() => toOnnx(model, { inputNames: ["x"] })).toThrow(
      "onnx: 1 input names for a program of 3 inputs; give one per input.",
    );
  });

  it("is the same bytes each time", () => {
    expect(toOnnx(model, names).bytes).toEqual(toOnnx(model, names).bytes);
  });

  it("leaves broadcasts to the ops that read them", () => {
    const run = program(["f32[64,128]", "f32[128]"], (w, x, bias) => {
      const wide = w.one("broadcast", [bias], { shape: [64, 128], dims: [1] });
      const mean = w.one("reduceSum", [w.one("add", [x, wide], none)], { axes: [1] });
      return [w.one("sub", [x, w.one("broadcast", [mean], { shape: [64, 128], dims: [0] })], none)];
    });
    const text = new TextDecoder("latin1").decode(toOnnx(run).bytes);
    expect(text).not.toContain("Expand");
    expect(text.match(/Reshape_\d+/g)?.length).toBeGreaterThan(0); // the mean as a column
  });
});
