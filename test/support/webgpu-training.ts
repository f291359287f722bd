/**
 * FLM and FMLM training on a device and on the interpreter, from one seed: the same losses in each step, and the same weights at the
 * end.
 *
 * Consumed by the tests of the WebGPU device in Node and in a browser, so nothing of Node is imported here.
 */
import { expect, it } from "vitest";
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import type { Fn } from "../../src/dsl/fn.ts";
import { outputSpec } from "../../src/dsl/index.ts";
import { initFlm, initFmlm, flmStep, fmlmStep, unpackWeights } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { compile, readTree } from "../../src/runtime/compile.ts";
import type { Device } from "../../src/runtime/device.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";

const BATCH = 4;
const LENGTH = 6;
const VOCAB = 23;

const MODEL: ModelOptions = {
  network: { vocab: VOCAB, length: LENGTH, width: 16, depth: 2, heads: 2, conditioning: 8 },
  batch: BATCH,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0.01,
  clip: 1,
  emaDecay: 0.99,
};

/**
 * The same with one block: half of the work, and the same ops. A model that is also narrower takes longer on TensorFlow.js's WebGPU on a
 * software adapter: it computes products of up to 128 numbers by a workgroup for each number.
 */
export const ONE_BLOCK: ModelOptions = { ...MODEL, network: { ...MODEL.network, depth: 1 } };

/** Times between 0 and 1, in order, that differ from row to row and step to step. */
const times = (step: number, low: number, high: number): Float32Array =>
  Float32Array.from({ length: BATCH }, (_, i) => low + ((high - low) * ((step * 7 + i * 3) % 10)) / 10);
const tokens = (step: number): Int32Array =>
  Int32Array.from({ length: BATCH * LENGTH }, (_, i) => (i * 5 + step * 11) % VOCAB);

interface Trained {
  readonly losses: readonly number[];
  readonly weights: readonly number[];
}

async function train(
  device: Device,
  step: Fn<never, unknown>,
  start: unknown,
  steps: number,
  inputs: (step: number) => Record<string, unknown>,
): Promise<Trained> {
  const compiled = await compile(step, { device, donate: ["state"], name: "the training step" });
  const losses: number[] = [];
  let state = start;
  for (let i = 0; i < steps; i++) {
    const out = (await compiled.run({ state, ...inputs(i) } as never)) as never as {
      state: unknown;
      loss: never;
      gradientNorm: never;
    };
    const [loss] = await readTree(out.loss);
    losses.push(loss === undefined ? NaN : (toNumbers(loss)[0] as number));
    state = out.state;
  }
  const weights = (await readTree((state as { params: unknown }).params)).flatMap(toNumbers);
  return { losses, weights };
}

const LEARNING_RATE = 3e-3;

/** How close weights have to be: where sums are in another order than on a CPU, a few may be far. */
type Closeness = "all" | "almost all";

function compare(actual: Trained, expected: Trained, closeness: Closeness): void {
  actual.losses.forEach((loss, i) => {
    const right = expected.losses[i] as number;
    expect(Math.abs(loss - right) / Math.abs(right), `loss of step ${i}: ${loss} and ${right}`).toBeLessThan(
      1e-4,
    );
  });
  // Where a gradient is rounding alone, Adam takes a step of some size all the same: a few weights may differ by some of what they move.
  const differences = actual.weights.map((w, i) => Math.abs(w - (expected.weights[i] as number)));
  const close = differences.filter((difference) => difference < 1e-3).length;
  const least = closeness === "all" ? 1 : 0.99;
  expect(close / differences.length).toBeGreaterThanOrEqual(least);
  expect(Math.max(...differences)).toBeLessThan(LEARNING_RATE * actual.losses.length);
}

interface TrainingOptions {
  readonly model?: ModelOptions;
  readonly weights?: Closeness;
}

/** Declares the tests. @param steps steps of each training */
export function testTraining(
  target: Device,
  steps: number,
  { model = MODEL, weights = "all" }: TrainingOptions = {},
): void {
  const onBoth = async (run: (device: Device) => Promise<Trained>): Promise<void> =>
    compare(await run(target), await run(openInterpreter()), weights);

  it("trains FLM as the interpreter does", async () => {
    const init = initFlm(model) as unknown as Fn<never, unknown>;
    const step = flmStep(model, outputSpec(init) as never) as unknown as Fn<never, unknown>;
    await onBoth(async (device) => {
      const start = await (await compile(init, { device })).run({ key: [0, 3] } as never);
      return train(device, step, start, steps, (i) => ({
        tokens: tokens(i),
        tau: times(i, 0.1, 0.9),
        t: times(i, 0.2, 0.95),
        key: [i, 42],
        learningRate: LEARNING_RATE,
      }));
    });
  }, 300_000);

  it("distils FMLM as the interpreter does", async () => {
    const teacherInit = initFlm(model) as unknown as Fn<never, unknown>;
    const init = initFmlm(model) as unknown as Fn<never, unknown>;
    const teacherSpec = weightsSpec(model.network) as never;
    const unpack = unpackWeights(model.network) as unknown as Fn<never, unknown>;
    const step = fmlmStep({ ...model, diagonal: 2 }, outputSpec(init) as never, teacherSpec) as unknown as Fn<
      never,
      unknown
    >;
    await onBoth(async (device) => {
      const taught = (await (
        await compile(teacherInit, { device })
      ).run({ key: [0, 3] } as never)) as never as {
        params: never;
      };
      const teacher = await (await compile(unpack, { device })).run({ weights: taught.params } as never);
      const start = await (await compile(init, { device })).run({ key: [0, 5], teacher } as never);
      return train(device, step, start, steps, (i) => ({
        teacher,
        tokens: tokens(i),
        tauS: times(i, 0, 0.3),
        tauU: times(i, 0.3, 0.6),
        tauT: times(i, 0.6, 0.9),
        s: times(i, 0.1, 0.4),
        u: times(i, 0.4, 0.7),
        t: times(i, 0.7, 0.95),
        gamma: Float32Array.from({ length: BATCH }, () => 0.5),
        key: [i, 42],
        learningRate: LEARNING_RATE,
      }));
    });
  }, 300_000);
}
