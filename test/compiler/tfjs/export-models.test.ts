/** `exportTfjs` of whole programs: a training step whose state goes round, and samplers of FLM and FMLM, against the interpreter. */
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import {
  compile,
  exportTfjs,
  fn,
  i32,
  logSumExp,
  mean,
  models,
  nn,
  openInterpreter,
  optim,
  outputSpec,
  random,
  sub,
  takeAlong,
  u32,
  valueAndGrad,
} from "fluxion";
import type { DeviceValue } from "fluxion";
import type { TfTensor } from "../../../src/runtime/tfjs/engine.ts";
import { imported } from "../../support/tfjs-module.ts";

beforeAll(() => tf.setBackend("cpu"));

/** The leaves of a tree of device values, by their paths. */
function leaves(tree: object, prefix = ""): [string, DeviceValue][] {
  return Object.entries(tree).flatMap(([key, value]: [string, object]): [string, DeviceValue][] =>
    "type" in value
      ? [[prefix + key, value as DeviceValue]] // what has a type is one
      : leaves(value, `${prefix}${key}.`),
  );
}

/** What lies on the device, by paths, as a module takes it. */
const read = async (tree: object, prefix = ""): Promise<Record<string, readonly number[]>> =>
  Object.fromEntries(
    await Promise.all(
      leaves(tree, prefix).map(
        async ([name, value]) => [name, Array.from((await value.read()).data)] as const,
      ),
    ),
  );

/** The tree with numbers in place of its leaves, moved: a network begins with layers of zeros, and would say the same of everything. */
async function moved<T extends object>(tree: T): Promise<T> {
  const entries = Object.entries(tree).map(async ([key, value]: [string, object]) => {
    if (!("type" in value)) return [key, await moved(value)] as const;
    const { data } = await (value as DeviceValue).read(); // what has a type is one
    return [key, Array.from(data, (x, i) => x + 0.3 * Math.sin(i * i + key.length))] as const;
  });
  const result = Object.fromEntries(await Promise.all(entries));
  return (Array.isArray(tree) ? Object.values(result) : result) as T; // of the same keys
}

const endAll = (outputs: Record<string, TfTensor>): void => {
  for (const tensor of Object.values(outputs)) tensor.dispose();
};

describe("whole programs as modules", () => {
  it("train with Adam: the outputs of a step are the inputs of the next, and nothing is left behind", async () => {
    const init = fn({ key: u32(2) }, ({ key }) => {
      const [a, b] = random.split(key, 2);
      const params = {
        "tab le.é": random.normal(a, [5, 6]),
        head: nn.initLinear(b, { inputs: 6, outputs: 5 }),
      };
      return { params, adam: optim.adam().init(params) };
    });
    const step = fn({ state: outputSpec(init), now: i32(4), next: i32(4, 1) }, ({ state, now, next }) => {
      const crossEntropy = (params: typeof state.params) => {
        const logits = nn.linear(params.head, nn.embed({ embedding: params["tab le.é"] }, now));
        return mean(sub(logSumExp(logits, 1, { keepDims: true }), takeAlong(logits, next)));
      };
      const { value, grad } = valueAndGrad(crossEntropy)(state.params);
      const { params, state: adam } = optim
        .adam()
        .update(grad, state.adam, state.params, { learningRate: 0.1 });
      return { state: { params, adam }, loss: value };
    });
    const batch = { now: [0, 1, 2, 3], next: [1, 2, 3, 0] };
    const device = openInterpreter();
    const compiled = await compile(step, { device });
    let state = await (await compile(init, { device })).run({ key: [0, 1] });
    let given: Record<string, unknown> = await read(state, "state.");

    const model = await (await imported(exportTfjs(step))).load(tf);
    let last: Record<string, TfTensor> = {};
    const before = tf.memory().numTensors;
    for (let n = 0; n < 12; n++) {
      const expected = await compiled.run({ state, ...batch });
      const { loss, ...next } = await model.run({ ...given, ...batch });
      endAll(last);
      [state, given, last] = [expected.state, next, next];
      expect(loss?.dataSync()[0]).toBeCloseTo((await expected.loss.read()).data[0] as number, 5);
      loss?.dispose();
    }
    endAll(last);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it.each([
    ["FLM in 3 steps, with a temperature and top-p", false],
    ["FMLM in one step", true],
  ])("sample: %s", async (_, isMap) => {
    const { samplers, training, variants } = models;
    const network = { vocab: 11, length: 4, width: 16, depth: 1, heads: 2, conditioning: 8, ...(isMap ? { targetTime: true } : {}) }; // prettier-ignore
    const adam = { beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.98 }; // not of sampling
    const flow = variants.flm(network.vocab);
    const device = openInterpreter();
    const init = fn({ key: u32(2) }, ({ key }) => models.dit(network).init(key));
    const params = await moved(await (await compile(init, { device })).run({ key: [5, 6] }));
    const program = training.samplingProgram(
      { network, batch: 3, space: "vocabulary", ...adam },
      training.weightsSpec(network),
      isMap
        ? { flow, schedule: samplers.jumps(flow, 1) }
        : { flow, schedule: samplers.euler(flow, 3), posterior: { temperature: 0.8, topP: 0.7 } },
    );
    const asked = { keys: [1, 2, 3, 4, 5, 6], given: Array.from({ length: 12 }, () => -1) };
    const written = exportTfjs(program, { weights: { params } });
    const model = await (await imported(written)).load(tf, written.weights);
    const before = tf.memory().numTensors;
    const { tokens } = await (await compile(program, { device })).run({ params, ...asked });
    expect(new Set((await tokens.read()).data).size).toBeGreaterThan(2);
    for (let n = 0; n < 2; n++) {
      const outputs = await model.run(asked);
      expect(Array.from(outputs["tokens"]?.dataSync() ?? [])).toEqual(Array.from((await tokens.read()).data));
      endAll(outputs);
    }
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
    expect(tf.memory().numTensors).toBeLessThan(before);
  });
});
