/**
 * Group 17 of the identities: evaluating with the averaged weights leaves the training as it was, bit for bit. Other implementations
 * swap the averages into the network and out again; here both are values, so what could go wrong is that a sampler or a validation
 * writes into storage that it was lent, or that files round.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { TensorSpec, unflatten } from "../../../src/dsl/index.ts";
import type { Fn } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { key } from "../../../src/models/flow/host-random.ts";
import { eulerSchedule, gammaSchedule } from "../../../src/models/language/sampler.ts";
import { compile, readTree } from "../../../src/runtime/compile.ts";
import type { Compiled } from "../../../src/runtime/compile.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { prepareCorpus } from "../../../src/runtime/text/documents.ts";
import { createRun, loadCheckpoint, saveCheckpoint } from "../../../src/runtime/files/run-folder.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { averagedWeights } from "../../../src/runtime/training/averaged-weights.ts";
import { PRESETS } from "../../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import {
  flmPhase,
  fmlmNetwork,
  fmlmPhase,
  paramsSpec,
  phaseOptions,
} from "../../../src/runtime/training/phases.ts";
import type { Phase, RunContext } from "../../../src/runtime/training/phases.ts";
import { openSampler } from "../../../src/runtime/training/sampler.ts";
import {
  expectedState,
  expectedTensors,
  officialNaming,
  stateTensors,
  treeTensors,
  uploadState,
  uploadTensors,
  weightsIn,
} from "../../../src/runtime/training/state-files.ts";
import type { DeviceState } from "../../../src/runtime/training/state-files.ts";
import { train } from "../../../src/runtime/training/trainer.ts";
import type { TrainingHooks } from "../../../src/runtime/training/trainer.ts";
import { validator } from "../../../src/runtime/training/validation.ts";
import { publishedSubject } from "../../../src/runtime/training/subject.ts";
import type { PhaseName } from "../../../src/runtime/training/subject.ts";
import { storyDocuments } from "../../support/story.ts";
import { scratchFolder } from "../files/scratch.ts";

const { quick } = PRESETS;
const config: TrainingConfig = {
  ...quick,
  network: { ...quick.network, length: 6, width: 16, depth: 1, heads: 2, conditioning: 8 },
  flm: { ...quick.flm, steps: 6, batch: 8 },
  fmlm: { ...quick.fmlm, steps: 6, batch: 64 },
};
const text = prepareCorpus(
  { name: "story", documents: storyDocuments(600) },
  { tokens: "words", vocabularySize: 40, unknown: "cut", minimumSplitTokens: 6 },
);
const vocab = text.vocabulary.tokens.length;
const clock = decodingError({ vocab });
const subject = publishedSubject(vocab);
let cpu: Device;
beforeAll(async () => {
  cpu = await openCpu();
});
afterAll(() => cpu.dispose());

/** The bytes of every tensor of a tree. */
const bytes = (tensors: readonly HostTensor[]): readonly string[] =>
  tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"));
const bitsOf = async (tree: unknown): Promise<readonly string[]> => bytes(await readTree(tree));

/** A phase in the middle of its training, its step compiled. */
async function begun(
  context: RunContext,
  phase: Phase,
): Promise<{
  readonly state: DeviceState;
  readonly step: () => Promise<DeviceState>;
}> {
  type Any = Record<string, never>;
  const program: Compiled<Any, Any> = await compile(phase.program as Fn<Any, Any>, {
    device: context.device,
  });
  const from = async (state: DeviceState, index: number): Promise<DeviceState> => {
    const input = { state, ...phase.frozen, ...phase.draw(index), learningRate: 1e-2 };
    return ((await program.run(input as never)) as unknown as { readonly state: DeviceState }).state;
  };
  let state = await phase.initial();
  for (let i = 0; i < 3; i++) state = await from(state, i);
  return { state, step: () => from(state, 3) };
}

/** Draws samples with given weights, by the phase's sampler and decoded at a temperature. */
interface Drawing {
  readonly draw: (params: unknown) => Promise<readonly number[]>;
  readonly dispose: () => Promise<void>;
}
async function drawing(device: Device, name: PhaseName): Promise<Drawing> {
  const options = phaseOptions(config, name, vocab);
  const network = name === "flm" ? options.network : fmlmNetwork(config, vocab);
  const sampler = await openSampler(device, { ...options, network, batch: 4 }, paramsSpec(options, name));
  const schedule = name === "flm" ? eulerSchedule(clock, 3) : gammaSchedule(clock, 3, 0.5);
  return {
    async draw(params) {
      const { tokens } = await sampler.sample(params, schedule, 6, key(3));
      const decoder = await sampler.decoder(params, schedule, 4, key(3));
      const decoded = await decoder.decode(1);
      await decoder.dispose();
      return [...tokens, ...decoded];
    },
    dispose: () => sampler.dispose(),
  };
}

const DEVICES: readonly (readonly [string, () => Device])[] = [
  ["cpu", () => cpu],
  ["interpreter", openInterpreter],
];

describe.each(DEVICES)("evaluating with the averaged weights: %s", { timeout: 120_000 }, (_name, open) => {
  it("changes neither them nor the next step of FLM", async () => {
    const run = await createRun(join(await scratchFolder(), "run"), config);
    const context: RunContext = { run, text, device: open(), subject, vocab };
    const phase = await flmPhase(context);
    const { state, step } = await begun(context, phase);
    const [before, next] = [await bitsOf(state), await bitsOf(await step())];
    const validation = await validator(context, phase);
    const weights = await averagedWeights(context.device, phase);
    const lossOf = (of: DeviceState): Promise<number> => weights.use(of, validation.loss);
    const [averaged, present] = [await lossOf(state), await lossOf({ ...state, ema: state.params })];
    expect(averaged).not.toBe(present); // else which weights are taken would not show
    const sampler = await drawing(context.device, "flm");
    const drawn = await weights.use(state, sampler.draw);
    expect(await bitsOf(state)).toEqual(before);
    expect(await bitsOf(await step())).toEqual(next);
    // And once more: evaluating between leaves no trace in the evaluation either.
    expect(await lossOf(state)).toBe(averaged);
    expect(await weights.use(state, sampler.draw)).toEqual(drawn);
    await sampler.dispose();
    await weights.dispose();
    await validation.dispose();
    expect(await bitsOf(state)).toEqual(before);
  });

  it("changes neither them nor the next step of FMLM, whose teacher they are", async () => {
    const run = await createRun(join(await scratchFolder(), "run"), config);
    const context: RunContext = { run, text, device: open(), subject, vocab };
    const first = await flmPhase(context);
    const { state: taught } = await begun(context, first);
    const naming = officialNaming(first.options.network);
    const stored = await treeTensors(weightsIn(first.layout, taught.ema), naming);
    await saveCheckpoint(run, "flm", [...stored].map(([name, tensor]) => ({ name, ...tensor })) as never, {
      step: 5,
      phase: "flm",
    });
    const phase = await fmlmPhase(context);
    const teacher = await bitsOf(phase.frozen);
    const { state, step } = await begun(context, phase);
    const [before, next] = [await bitsOf(state), await bitsOf(await step())];
    const [student, own] = [await drawing(context.device, "fmlm"), await drawing(context.device, "flm")];
    const weights = await averagedWeights(context.device, phase);
    await weights.use(state, student.draw);
    await own.draw(phase.frozen["teacher"]);
    await Promise.all([student.dispose(), own.dispose(), weights.dispose()]);
    expect(await bitsOf(phase.frozen)).toEqual(teacher);
    expect(await bitsOf(state)).toEqual(before);
    expect(await bitsOf(await step())).toEqual(next);
  });
});

describe("averaged weights in files", { timeout: 120_000 }, () => {
  it("come back from a saved state and from a finished model bit for bit", async () => {
    const run = await createRun(join(await scratchFolder(), "run"), config);
    const context: RunContext = { run, text, device: cpu, subject, vocab };
    const phase = await flmPhase(context);
    const { state } = await begun(context, phase);
    const list = (tensors: ReadonlyMap<string, object>): never =>
      [...tensors].map(([name, tensor]) => ({ name, ...tensor })) as never; // dtype and data belong together
    await saveCheckpoint(run, "state", list(await stateTensors(state, phase.layout)), {
      step: 2,
      phase: "flm",
    });
    const { spec } = phase;
    const { tensors } = await loadCheckpoint(run, "state", expectedState(spec, phase.layout));
    const back = uploadState(cpu, spec, phase.layout, tensors);
    expect(await bitsOf(back.ema)).toEqual(await bitsOf(state.ema));
    expect(await bitsOf(back)).toEqual(await bitsOf(state));

    const naming = officialNaming(phase.options.network);
    const averaged = await treeTensors(weightsIn(phase.layout, state.ema), naming);
    await saveCheckpoint(run, "flm", list(averaged), { step: 2, phase: "flm" });
    const weights = paramsSpec(phase.options, "flm");
    const model = await loadCheckpoint(run, "flm", expectedTensors(weights, naming));
    const uploaded = uploadTensors(cpu, weights, model.tensors, naming);
    const unpacking = await averagedWeights(cpu, phase);
    expect(await bitsOf(uploaded)).toEqual(await unpacking.use(state, bitsOf));
    await unpacking.dispose();
  });

  it("lie in a saved state one by one, under the names that they have in the network", async () => {
    const run = await createRun(join(await scratchFolder(), "run"), config);
    const phase = await flmPhase({ run, text, device: cpu, subject, vocab });
    const { state } = await begun({ run, text, device: cpu, subject, vocab }, phase);
    const saved = await stateTensors(state, phase.layout);
    // A tree of weights by the same names, as a state was kept before its weights were packed.
    const { leaves, tree } = phase.layout;
    const spec = unflatten(
      tree,
      leaves.map(({ shape, dtype }) => new TensorSpec(shape, dtype)),
    );
    const optimizer = { step: new TensorSpec([], "i32"), slots: { mean: spec, variance: spec } };
    const expected = expectedTensors({ params: spec, ema: spec, optimizer });
    expect([...saved].map(([name, { shape, dtype }]) => [name, { dtype, shape }])).toEqual([...expected]);
    expect(saved.has("optimizer.slots.mean.blocks.0.attention.qkv.weight")).toBe(true);
    // And each weight is its own, not its neighbour of the same shape.
    const unpacking = await averagedWeights(cpu, phase);
    const averaged = await unpacking.use(state, readTree);
    const named = [...saved].filter(([name]) => name.startsWith("ema."));
    expect(named.map(([, { data }]) => [...(data as Float32Array)])).toEqual(
      averaged.map(({ data }) => [...data]),
    );
    await unpacking.dispose();
  });

  it("are the same whether a whole training was sampled after every step or never", async () => {
    const samplers = { flm: await drawing(cpu, "flm"), fmlm: await drawing(cpu, "fmlm") };
    const trained = async (sample?: TrainingHooks["sample"]): Promise<readonly Buffer[]> => {
      const run = await createRun(join(await scratchFolder(), "run"), config);
      const nothing = (): undefined => undefined;
      const hooks = { begin: nothing, step: nothing, end: nothing, stopped: () => false };
      const watched = sample === undefined ? hooks : { ...hooks, sample };
      expect(await train(run, text, cpu, watched, { save: 1000, sample: 0 })).toBe(true);
      const files = ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl"];
      return Promise.all(files.map((file) => readFile(join(run.dir, file))));
    };
    let samples = 0;
    const watched = await trained(async (name, params) => {
      samples++;
      await samplers[name].draw(params);
    });
    const alone = await trained();
    expect(samples).toBe(config.flm.steps + config.fmlm.steps);
    for (const [i, file] of watched.entries())
      expect(file.equals(alone[i] as Buffer), `file ${i}`).toBe(true);
    await Promise.all([samplers.flm.dispose(), samplers.fmlm.dispose()]);
  });
});
