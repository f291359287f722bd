/** `exportTfjs`: a declared function as a module that another process imports, with equal numbers and nothing of this project. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  add,
  argmax,
  bool,
  cast,
  compile,
  cond,
  disposeTree,
  exportTfjs,
  f16,
  f32,
  fn,
  i32,
  matmul,
  mul,
  neg,
  OpError,
  openInterpreter,
  random,
  scan,
  sort,
  sum,
  tanh,
  u32,
  where,
} from "fluxion";
import type { Tensor } from "fluxion";
import { openDevice } from "fluxion/node";
import { roundToF16 } from "../../../src/dsl/numerics/float16.ts";
import { ROOT } from "../../support/stage.ts";
import { imported, testModules } from "../../support/tfjs-module.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-tfjs-"));
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "read.mjs"), READER);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Knows TensorFlow.js and nothing of this project. Prints the outputs of the module, on two backends. */
const READER = `
  import { readFile } from "node:fs/promises";
  import * as tf from "@tensorflow/tfjs";
  import "@tensorflow/tfjs-backend-wasm";
  import { load } from "./model.mjs";
  for (const backend of ["cpu", "wasm"]) {
    await tf.setBackend(backend);
    const before = tf.memory().numTensors;
    const model = await load(tf, await readFile(new URL("model.bin", import.meta.url)));
    const outputs = await model.run(JSON.parse(process.argv[2]));
    const read = Object.entries(outputs).map(([name, x]) => [name, x.shape, Array.from(x.dataSync())]);
    for (const x of Object.values(outputs)) x.dispose();
    model.dispose();
    console.log(JSON.stringify({ left: tf.memory().numTensors - before, read }));
  }
`;

const wave = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i + 1)));

/** A recurrent network with noise, which says at each step which number is the largest. */
const network = fn(
  { params: { w: f32(6, 6), b: f32(6) }, key: u32(2), rows: f32("steps", 1, 6), id: i32() },
  ({ params, key, rows, id }) => {
    const noise = random.normal(key, [1, 6]);
    const [last, states] = scan(
      (carry: Tensor<[1, 6], "f32">, row: Tensor<[1, 6], "f32">) => {
        const next = tanh(add(matmul(carry, params.w), add(row, params.b)));
        return [next, next] as const;
      },
      noise,
      rows,
    );
    return { last: mul(last, 2), best: argmax(states, 2), id: mul(id, 3) };
  },
);
const sizes = { steps: 4 };
const params = { w: wave(36), b: wave(6) };
const inputs = { key: [7, 4_000_000_000], rows: wave(24), id: 715_827_882 };

describe("exportTfjs", () => {
  it(
    "writes a module that another process runs, with its weights in a file",
    { timeout: 60_000 },
    async () => {
      const { code, weights } = exportTfjs(network, { sizes, weights: { params }, name: "A network" });
      expect(code).toMatch(/^\/\/ A network\. Written by Fluxion/);
      expect(code).not.toMatch(/^import|require\(/m);
      expect(weights.length).toBeGreaterThanOrEqual(4 * 42);
      await writeFile(join(folder, "model.mjs"), code);
      await writeFile(join(folder, "model.bin"), weights);
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [join(folder, "read.mjs"), JSON.stringify(inputs)],
        { cwd: folder },
      );
      const device = await openDevice("tfjs:cpu");
      const compiled = await compile(network, { device, sizes });
      const expected = await compiled.run({ params, ...inputs });
      const answers = stdout.trim().split("\n").map((line) => JSON.parse(line) as Answer); // prettier-ignore
      expect(answers.length).toBe(2);
      for (const { left, read } of answers) {
        expect(left).toBe(0);
        expect(read.map(([name, shape]) => [name, shape])).toEqual([["best", [4, 1]], ["id", []], ["last", [1, 6]]]); // prettier-ignore
        const [best, id, last] = read.map(([, , data]) => data) as [number[], number[], number[]];
        expect(best).toEqual(Array.from((await expected.best.read()).data));
        expect(id).toEqual([2_147_483_646]);
        const numbers = Array.from((await expected.last.read()).data);
        last.forEach((x, i) => expect(x).toBeCloseTo(numbers[i] as number, 5));
      }
      disposeTree(expected);
      await device.dispose();
    },
  );

  it("holds its weights in the text when asked to, and takes tensors", async () => {
    await (await openDevice("tfjs:cpu")).dispose();
    await tf.setBackend("cpu");
    const affine = fn({ w: f32(3), big: f32(40), x: f32(3) }, ({ w, big, x }) => add(mul(w, x), sum(big)));
    const written = exportTfjs(affine, { weights: { w: [1, NaN, -3], big: wave(40) }, inline: true });
    expect(written.weights.length).toBe(0);
    const module = await imported(written);
    expect(module.inputs).toEqual([{ name: "x", dtype: "f32", shape: [3] }]);
    const model = await module.load(tf);
    const x = tf.tensor([1, 2, 3]);
    const { output } = await model.run({ x });
    const total = wave(40).reduce((a, b) => a + b);
    const [a, b, c] = Array.from(output?.dataSync() ?? []) as [number, number, number];
    expect(b).toBeNaN();
    expect([a, c].map((v) => v - total)).toEqual([expect.closeTo(1, 5), expect.closeTo(-9, 5)]);
    expect(x.isDisposed).toBe(false);
    await expect(model.run({})).rejects.toThrow('The input "x" is missing.');
    await expect(model.run({ x: [1, 2] })).rejects.toThrow('The input "x" has 2 values; it is f32[3].');
    model.dispose();
  });

  it("takes any names: those that end a line, or that every object has", async () => {
    await tf.setBackend("cpu");
    const odd = 'a\u2028"b`${c}\n*/';
    const program = fn({ [odd]: f32(2), constructor: f32(2), "p.q": f32(2), p: { r: f32(2) } }, (x) => ({
      ["__proto__"]: mul(x[odd], 2),
      sum: add(x.constructor, x["p.q"]),
    }));
    const written = exportTfjs(program, { weights: { p: { r: [5, 6] }, "p.q": [1, 2] } });
    const { inputs, load } = await imported(written);
    expect(inputs.map(({ name }) => name).toSorted()).toEqual([odd, "constructor"].toSorted());
    const model = await load(tf, written.weights);
    const outputs = await model.run({ [odd]: [1, 2], constructor: [3, 4] });
    const read = new Map(Object.entries(outputs).map(([name, x]) => [name, Array.from(x.dataSync())]));
    expect(read).toEqual(new Map([["__proto__", [2, 4]], ["sum", [4, 6]]])); // prettier-ignore
    for (const tensor of Object.values(outputs)) tensor.dispose();
    await expect(model.run({ [odd]: [1, 2] })).rejects.toThrow('The input "constructor" is missing.');
    model.dispose();
  });

  it("holds nothing when it does not load", async () => {
    await tf.setBackend("cpu");
    const shifted = fn({ w: f32(40), x: f32(3) }, ({ w, x }) => add(mul(x, 3), sum(w)));
    const written = exportTfjs(shifted, { weights: { w: wave(40) } });
    const { load } = await imported(written);
    const before = tf.memory().numTensors;
    await expect(load(tf)).rejects.toThrow("The module needs its weights: load(tf, weights).");
    await expect(load(tf, new Uint8Array(3))).rejects.toThrow(
      "These are 3 bytes of weights; the module has 160.",
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([41, 42, 43])("writes %d bools into the text, as base64", async (count) => {
    await tf.setBackend("cpu");
    const masked = fn({ m: bool(count) }, ({ m }) => cast(m, "f32"));
    const flags = Array.from({ length: count }, (_, i) => i % 3 === 0);
    const model = await (
      await imported(exportTfjs(masked, { weights: { m: flags }, inline: true }))
    ).load(tf);
    const { output } = await model.run({});
    expect(Array.from(output?.dataSync() ?? [])).toEqual(flags.map(Number));
    output?.dispose();
    model.dispose();
  });

  it("rounds f16 inputs and weights, as every device does", async () => {
    await tf.setBackend("cpu");
    const numbers = [
      0, 1 / 3, -1 / 3, 2049, 2051, -2049, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2047.5, 65519.9, -65520, 1e300,
      2 ** -24, 2 ** -25, 1.5 * 2 ** -24, -1.5e-5, NaN, Infinity, -Infinity,
    ]; // prettier-ignore
    const size = numbers.length;
    const both = fn({ w: f16(size), x: f16(size) }, ({ w, x }) => ({ w: mul(w, 1), x: mul(x, 1) }));
    const written = exportTfjs(both, { weights: { w: numbers } });
    const model = await (await imported(written)).load(tf, written.weights);
    const tensor = tf.tensor(numbers); // of f32
    for (const [x, given] of [
      [numbers, numbers],
      [tensor, numbers.map(Math.fround)],
    ] as const) {
      const outputs = await model.run({ x });
      const read = (name: string): number[] => Array.from(outputs[name]?.dataSync() ?? [], (y) => y + 0); // no −0
      expect(read("w")).toEqual(numbers.map((y) => roundToF16(y) + 0));
      expect(read("x")).toEqual(given.map((y) => roundToF16(y) + 0));
      for (const output of Object.values(outputs)) output.dispose();
    }
    tensor.dispose();
    model.dispose();
  });

  it("sorts along any axis, equals in their order and NaN last", async () => {
    const sorted = fn({ x: f32(3, 2), words: u32(3) }, ({ x, words }) => ({
      x: sort(x, 0),
      words: sort(words).values,
    }));
    const written = exportTfjs(sorted);
    const model = await (await imported(written)).load(tf);
    const outputs = await model.run({
      x: [NaN, 1, Infinity, 0, -Infinity, 1],
      words: [2 ** 31, 7, 2 ** 32 - 1],
    });
    const read = Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, Array.from(tensor.dataSync())]),
    );
    expect(read["x.values"]).toEqual([-Infinity, 0, Infinity, 1, NaN, 1]);
    expect(read["x.indices"]).toEqual([2, 1, 1, 0, 0, 2]);
    expect(read["words"]).toEqual([7, 2 ** 31, 2 ** 32 - 1].map((x) => x | 0)); // bit by bit
    for (const output of Object.values(outputs)) output.dispose();
    model.dispose();
  });

  it("writes counters of random bits as a range: without weights there is no second file", async () => {
    const noise = fn({ key: u32(2) }, ({ key }) => random.normal(key, [5, 101]));
    const written = exportTfjs(noise);
    expect(written.weights.length).toBe(0);
    expect(written.code.length).toBeLessThan(20_000);
    await tf.setBackend("cpu");
    const model = await (await imported(written)).load(tf);
    const { output } = await model.run({ key: [3, 4] });
    const expected = await (await compile(noise, { device: openInterpreter() })).run({ key: [3, 4] });
    const numbers = Array.from((await expected.read()).data);
    output?.dataSync().forEach((x, i) => expect(x).toBeCloseTo(numbers[i] as number, 5));
    output?.dispose();
    model.dispose();
  });

  it("takes any number but 0 for true, as every device does", async () => {
    await tf.setBackend("cpu");
    const program = fn({ yes: bool(), flags: bool(4), x: f32(4) }, ({ yes, flags, x }) => ({
      chosen: cond(yes, (y) => mul(y, 2), neg, x),
      kept: where(flags, x, 0),
    }));
    const given = { yes: 2, flags: [2, 256, 0.5, 0], x: [1, 2, 3, 4] };
    const model = await (await imported(exportTfjs(program))).load(tf);
    const outputs = await model.run(given);
    expect(Array.from(outputs["chosen"]?.dataSync() ?? [])).toEqual([2, 4, 6, 8]);
    expect(Array.from(outputs["kept"]?.dataSync() ?? [])).toEqual([1, 2, 3, 0]);
    for (const tensor of Object.values(outputs)) tensor.dispose();
    model.dispose();
    const held = exportTfjs(program, { weights: { yes: 2, flags: [2, 256, 0.5, 0] } });
    const bound = await (await imported(held)).load(tf, held.weights);
    const { chosen, kept } = await bound.run({ x: given.x });
    expect(Array.from(chosen?.dataSync() ?? [])).toEqual([2, 4, 6, 8]);
    expect(Array.from(kept?.dataSync() ?? [])).toEqual([1, 2, 3, 0]);
    for (const tensor of [chosen, kept]) tensor?.dispose();
    bound.dispose();
  });

  it("refuses what is no tensor of an input's shape and no numbers, and names the input", async () => {
    await tf.setBackend("cpu");
    const layer = fn({ p: { w: f32(2, 3) }, x: f32(4, 2) }, ({ p, x }) => matmul(x, p.w));
    const model = await (await imported(exportTfjs(layer))).load(tf);
    const good = { "p.w": wave(6), x: wave(8) };
    const before = tf.memory().numTensors;
    const [turned, gone] = [tf.tensor(wave(8) as number[], [2, 4]), tf.tensor([1])];
    gone.dispose();
    const kind = 'The input "x" is neither numbers nor a tensor; it is f32[4, 2].';
    for (const [given, message] of [
      [{ ...good, x: turned }, 'The input "x" is a tensor of the shape [2, 4]; it is f32[4, 2].'],
      [{ ...good, x: gone }, 'The input "x" is a tensor that was disposed of; it is f32[4, 2].'],
      [{ ...good, x: null }, kind],
      [{ ...good, x: Array.from("12345678") }, kind],
      [{ ...good, x: Promise.resolve(wave(8)) }, kind],
      [{ ...good, x: new BigInt64Array(8) }, kind],
      [{ ...good, x: new DataView(new ArrayBuffer(8)) }, kind],
      [
        { p: { w: wave(6) }, x: wave(8) },
        'The input "p.w" is missing. It is given by this name: { "p.w": … }.',
      ],
    ] as const)
      await expect(model.run(given)).rejects.toThrow(message);
    turned.dispose();
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it("reads all inputs when it is called: they may be disposed of or written over at once", async () => {
    await tf.setBackend("cpu");
    const sums = fn({ a: f32(2), b: f32(2), c: f32(2) }, ({ a, b, c }) => add(a, add(b, c)));
    const model = await (await imported(exportTfjs(sums))).load(tf);
    const [a, b, c] = [tf.tensor([1, 2]), tf.tensor([10, 20]), new Float32Array([100, 200])];
    const result = model.run({ a, b, c });
    a.dispose();
    b.dispose();
    c.fill(0);
    const { output } = await result;
    expect(Array.from(output?.dataSync() ?? [])).toEqual([111, 222]);
    output?.dispose();
    model.dispose();
  });

  it("ends the runs that go on before it lets go of its weights, and runs no more", async () => {
    await tf.setBackend("cpu");
    const before = tf.memory().numTensors;
    const scaled = fn({ w: f32(2), x: f32(2) }, ({ w, x }) => mul(w, x));
    const written = exportTfjs(scaled, { weights: { w: [2, 3] } });
    const model = await (await imported(written)).load(tf, written.weights);
    const runs = [model.run({ x: [1, 1] }), model.run({ x: [2, 2] })];
    model.dispose();
    const read = (await Promise.all(runs)).map(({ output }) => {
      const numbers = Array.from(output?.dataSync() ?? []);
      output?.dispose();
      return numbers;
    });
    expect(read).toEqual([[2, 3], [4, 6]]); // prettier-ignore
    await expect(model.run({ x: [1, 1] })).rejects.toThrow(
      "The model was disposed of, and runs no more: load it again.",
    );
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("says what load is to be given", async () => {
    const held = fn({ w: f32(40), key: u32(2) }, ({ w, key }) => add(w, random.normal(key, [40])));
    const written = exportTfjs(held, { weights: { w: wave(40) } });
    const { load } = await imported(written);
    for (const weights of [null, "./held.bin", new Response(), Promise.resolve(written.weights)])
      await expect(load(tf, weights as unknown as Uint8Array)).rejects.toThrow(
        "The module needs its weights: load(tf, weights). They are bytes: an ArrayBuffer or a typed array.",
      );
    await expect(load(undefined, written.weights)).rejects.toThrow(
      "load takes the module of TensorFlow.js: load(tf, weights).",
    );
    const without = { ...tf, engine: () => ({ findBackend: () => null }) };
    await expect(load(without, written.weights)).rejects.toThrow(
      'The module computes a part on TensorFlow.js\'s backend "cpu": import @tensorflow/tfjs-backend-cpu too.',
    );
  });

  it("names the user's line, and refuses weights that do not fit", () => {
    const wrong = fn({ x: f32("n"), y: f32("m") }, ({ x, y }) => add(x, y as unknown as typeof x));
    expect(() => exportTfjs(wrong, { sizes: { n: 2, m: 3 } })).toThrow(OpError);
    expect(() => exportTfjs(wrong, { sizes: { n: 2, m: 3 } })).toThrow(
      /\n {4}at .*export\.test\.ts:\d+:\d+/s,
    );
    expect(() => exportTfjs(network, { sizes, weights: { params: { w: [1], b: wave(6) } } })).toThrow(
      'exportTfjs: the weight "params.w" has 1 values; it is f32[6,6].',
    );
    for (const w of [null, "numbers", { x: 1 }, ["1", "2"]])
      expect(() => exportTfjs(network, { sizes, weights: { params: { w, b: wave(6) } } })).toThrow(
        'exportTfjs: the weight "params.w" is neither numbers, nor a typed array, nor a host tensor; it is f32[6,6].',
      );
    expect(() => exportTfjs(network, { sizes, weights: { parms: params } })).toThrow(
      'exportTfjs: the weight "parms" is not an input of the function.',
    );
  });
});

interface Answer {
  readonly left: number;
  readonly read: readonly (readonly [name: string, shape: readonly number[], data: readonly number[]])[];
}

describe("random programs as modules", () => testModules(tf, 40));
