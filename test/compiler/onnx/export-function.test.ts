/** `exportOnnx`: a declared function as a file that another process runs, with the function's own names and equal numbers. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  compile,
  exportOnnx,
  f32,
  fn,
  gather,
  hostTensor,
  i32,
  matmul,
  mean,
  models,
  outputSpec,
  random,
  square,
  sub,
  tanh,
  trace,
  u32,
  valueAndGrad,
} from "fluxion";
import type { Tensor, TensorType } from "fluxion";
import { openDevice } from "fluxion/node";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-export-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Knows ONNX Runtime and nothing of this project. Prints inputs and outputs of the model. */
const READER = `
  const ort = require("onnxruntime-node");
  const feeds = JSON.parse(process.argv[3]);
  const arrays = { float32: Float32Array, int32: Int32Array, uint32: Uint32Array };
  ort.InferenceSession.create(process.argv[2]).then(async (session) => {
    const given = Object.fromEntries(Object.entries(feeds).map(([name, [type, dims, data]]) => [name, new ort.Tensor(type, arrays[type].from(data), dims)]));
    const outputs = await session.run(given);
    console.log(JSON.stringify({
      inputs: session.inputNames,
      outputs: session.outputNames.map((name) => [name, outputs[name].dims, Array.from(outputs[name].data)]),
    }));
  });
`;

interface Answer {
  readonly inputs: readonly string[];
  readonly outputs: readonly (readonly [name: string, shape: readonly number[], data: readonly number[]])[];
}

type Feed = readonly [
  type: "float32" | "int32" | "uint32",
  shape: readonly number[],
  data: readonly number[],
];

async function elsewhere(bytes: Uint8Array, feeds: Readonly<Record<string, Feed>>): Promise<Answer> {
  const file = join(folder, "model.onnx");
  await writeFile(file, bytes);
  const { stdout } = await promisify(execFile)(process.execPath, [
    "-e",
    READER,
    "reader",
    file,
    JSON.stringify(feeds),
  ]);
  return JSON.parse(stdout) as Answer;
}

const wave = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i + 1)));

describe("exportOnnx", () => {
  it("writes a gradient whose names are the function's and whose numbers are the device's", async () => {
    const loss = fn(
      { params: { w: f32("in", "out") }, x: f32("batch", "in"), y: f32("batch", "out") },
      ({ params, x, y }) => mean(square(sub(tanh(matmul(x, params.w)), y))),
    );
    const step = valueAndGrad(loss, "params");
    const sizes = { batch: 3, in: 4, out: 2 };
    const { bytes } = exportOnnx(step, { sizes, name: "step", doc: "A test." });
    const answer = await elsewhere(bytes, {
      "params.w": ["float32", [4, 2], wave(8)],
      x: ["float32", [3, 4], wave(12)],
      y: ["float32", [3, 2], wave(6)],
    });
    expect(answer.inputs).toEqual(["params.w", "x", "y"]);
    expect(answer.outputs.map(([name, shape]) => [name, shape])).toEqual([
      ["grad.w", [4, 2]],
      ["value", []],
    ]);
    const device = await openDevice("cpu");
    const compiled = await compile(step, { device, sizes });
    const { value, grad } = await compiled.run({ params: { w: wave(8) }, x: wave(12), y: wave(6) });
    expect(answer.outputs[0]?.[2]).toEqual(Array.from((await grad.w.read()).data));
    expect(answer.outputs[1]?.[2]).toEqual(Array.from((await value.read()).data));
    await device.dispose();
  });

  it(
    "writes a network with its weights as named inputs, with attention, ids and random numbers",
    { timeout: 30_000 },
    async () => {
      const network = models.dit({ vocab: 11, length: 4, width: 8, depth: 2, heads: 2, conditioning: 4 });
      const params = outputSpec(fn({ key: u32(2) }, ({ key }) => network.init(key)));
      const logits = fn({ params, key: u32(2), tokens: i32(2, 4) }, (input) => {
        const weights = input.params as models.DitParams; // the structure that `init` returns
        const noise = random.normal(input.key, [2, 4, 8]);
        const hidden = sub(gather(weights.embedding, input.tokens) as Tensor, noise);
        return { logits: network.logits(weights, hidden, { tau: mean(noise, [1, 2]) }) };
      });
      const { bytes, inputNames } = exportOnnx(logits);
      expect(inputNames).toContain("params.blocks.1.attention.out.weight");
      const { program } = trace(logits);
      const feeds = program.inputs.map((id, i): readonly [string, Feed] => {
        const { shape, dtype } = program.types[id] as TensorType; // every variable has a type
        const name = inputNames[i] ?? "";
        if (dtype === "u32") return [name, ["uint32", shape, [0, 7]]];
        if (dtype === "i32") return [name, ["int32", shape, [1, 2, 3, 4, 5, 6, 7, 8]]];
        return [name, ["float32", shape, wave(shape.reduce((product, n) => product * n, 1))]];
      });
      const answer = await elsewhere(bytes, Object.fromEntries(feeds));

      const device = await openDevice("cpu");
      const executable = await device.compile(program);
      const dtypes = { float32: "f32", int32: "i32", uint32: "u32" } as const;
      const values = feeds.map(([, [type, shape, data]]) =>
        device.upload(hostTensor(dtypes[type], shape, data)),
      );
      const [output] = await executable.run(values);
      const expected = Array.from((await output?.read())?.data ?? []);
      expect(new Set(expected).size).toBeGreaterThan(80); // 88 numbers, not all alike
      const [[name, shape, data] = ["", [], []]] = answer.outputs;
      expect([name, shape]).toEqual(["logits", [2, 4, 11]]);
      data.forEach((x, i) => expect(x).toBeCloseTo(expected[i] ?? Number.NaN, 4)); // one program is optimized, the other is not
      await device.dispose();
    },
  );

  it("calls lone tensors input and output, and asks for sizes", () => {
    const double = fn(f32("n"), (x) => sub(x, -1));
    expect(exportOnnx(double, { sizes: { n: 2 } })).toMatchObject({
      inputNames: ["input"],
      outputNames: ["output"],
    });
    expect(() => exportOnnx(double)).toThrow('dimension "n" has no size');
  });
});
