/**
 * Declared variants through the training loop: every stock variant, other sources and predictions, and tokens with times of their own
 * are trained, validated and sampled; and what tells a teacher of another flow.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { key } from "../../../src/models/flow/host-random.ts";
import { linear, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { gaussian, uniform } from "../../../src/models/flow/source.ts";
import { frozenEmbedding, learnedEmbedding } from "../../../src/models/flow/states.ts";
import { learned } from "../../../src/models/flow/weightings.ts";
import { fmlmTwoModels, fmlmTwoStages, stock } from "../../../src/models/language/variants/index.ts";
import { disposeTree } from "../../../src/runtime/compile.ts";
import { createRun, loadCheckpoint } from "../../../src/runtime/files/run-folder.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { checkConfig } from "../../../src/runtime/training/config.ts";
import type { VariantConfig } from "../../../src/runtime/training/config.ts";
import { checkSteps, flowFingerprint } from "../../../src/runtime/training/look.ts";
import { openModelSampler } from "../../../src/runtime/training/model-sampler.ts";
import { flmNetwork, fmlmNetwork, paramsSpec, phaseOptions } from "../../../src/runtime/training/phases.ts";
import { expectedTensors, officialNaming, uploadTensors } from "../../../src/runtime/training/state-files.ts";
import { train } from "../../../src/runtime/training/trainer.ts";
import { outputsOf, phasesOf, subjectOf, usualSpace } from "../../../src/runtime/training/subject.ts";
import { tinyConfig, tinyText } from "../../support/tiny-training.ts";

vi.setConfig({ testTimeout: 120_000 });

const vocab = tinyText.vocabulary.tokens.length;
const device = await openCpu();
const folder = await mkdtemp(join(tmpdir(), "fluxion-variant-"));
afterAll(async () => {
  await device.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** Trains for three steps of each phase, and samples. @returns logged losses by phase, and tokens of two texts in two steps */
async function trained(declared: Flow | FlowMap) {
  const subject = subjectOf(declared);
  const { map } = subject;
  const record: VariantConfig = {
    name: declared.name,
    kind: declared.kind,
    teacher: map?.teacher === true ? "trained" : "none",
    flow: "not asked",
  };
  const tiny = tinyConfig(3, 3);
  const settings = {
    ...tiny,
    space: usualSpace(subject.flow, "projected"),
    network: { ...tiny.network, ...outputsOf(subject.flow, tiny.network.width) },
    fmlm: { ...tiny.fmlm, diagonalFraction: map?.diagonal ?? 0.5, boundaryFraction: map?.boundary ?? 0 },
    variant: record,
  };
  const config = checkConfig(JSON.parse(JSON.stringify(settings)), "here");
  checkSteps(config, subject, vocab);
  const run = await createRun(join(folder, declared.name.replaceAll(/\W/g, "-")), config);
  const hooks = { begin: () => undefined, step: () => undefined, end: () => undefined, stopped: () => false };
  await train(run, tinyText, device, hooks, { save: 0, sample: 1000 }, subject);
  const lines = (await readFile(join(run.dir, "metrics.jsonl"), "utf8")).trim().split("\n");

  const phase = phasesOf(config).at(-1) ?? "flm";
  const network = phase === "flm" ? flmNetwork(config, vocab) : fmlmNetwork(config, vocab);
  const spec = paramsSpec(phaseOptions(config, phase, vocab), phase);
  const naming = officialNaming(network);
  const { tensors } = await loadCheckpoint(run, phase, expectedTensors(spec, naming));
  const params = uploadTensors(device, spec, tensors, naming);
  const options = { ...phaseOptions(config, phase, vocab), network, batch: 2 };
  const sampler = await openModelSampler(device, { subject, phase, options, spec, gamma: 0.5 });
  const prepared = await sampler.prepare(2);
  const { tokens } = await prepared.sample(params, 2, key(3));
  await prepared.dispose();
  await sampler.dispose();
  disposeTree(params);
  return { phases: phasesOf(config), logged: lines.map((line) => JSON.parse(line)), tokens };
}

/** Not the published programs, but the declarations of FLM and FMLM too. */
const others: readonly (Flow | FlowMap)[] = [
  flow({ name: "uniform noise", source: uniform() }),
  flow({ name: "small noise", source: gaussian({ scale: 0.5 }), weighting: (t) => t }),
  flow({ name: "noise prediction", predicts: "noise", interpolant: trigonometric }),
  // The file of its weights is checked to have the network's alone.
  flowMap({
    name: "learned weightings and surgery",
    flow: flow({ name: "", weighting: learned({ hidden: 4, features: 6 }) }),
    objective: semigroup(),
    weighting: learned({ hidden: 4, features: 6 }),
    surgery: true,
  }),
  flowMap({
    name: "uniform jumps",
    flow: flow({ name: "points", predicts: "clean point", source: uniform() }),
    objective: semigroup(),
    teacher: false,
    diagonal: 0,
  }),
  flow({ name: "frozen points", states: frozenEmbedding(), predicts: "velocity" }),
  flow({
    name: "points of blocks",
    predicts: "clean point",
    interpolant: positioned(linear, blockCausal({ blocks: 2, overlap: 0.5 }), { length: 4 }),
  }),
  flow({
    name: "blocks",
    interpolant: positioned(linear, blockCausal({ blocks: 2, overlap: 0.5 }), { length: 4 }),
  }),
];

describe("training what is declared", () => {
  it.each(
    [...Object.values(stock).map((declare) => declare(vocab, 4)), ...others].map(
      (declared) => [declared.name, declared] as const,
    ),
  )(
    // prettier-ignore
    "%s",
    async (_name, declared) => {
      const { phases, logged, tokens } = await trained(declared);
      const teacher = declared.kind === "flow map" && declared.teacher;
      expect(phases).toEqual(declared.kind === "flow" ? ["flm"] : teacher ? ["flm", "fmlm"] : ["fmlm"]);
      const seen = logged.map(({ step, phase, validation }) => [step, phase, validation !== undefined]);
      const flowLines = [[0, "flm", false], [2, "flm", false], [2, "flm", true]]; // prettier-ignore
      const first = teacher ? 3 : 0;
      const mapLines = [[first, "fmlm", false], [first + 2, "fmlm", false]]; // prettier-ignore
      expect(seen).toEqual([...(phases.includes("flm") ? flowLines : []), ...(phases.includes("fmlm") ? mapLines : [])]); // prettier-ignore
      for (const { loss, validation } of logged) expect(loss ?? validation).toBeGreaterThanOrEqual(0);
      expect(tokens).toHaveLength(8);
      for (const token of tokens) expect(token >= 0 && token < vocab).toBe(true);
    },
  );
});

describe("what a teacher and its student must have in common", () => {
  const projected = tinyConfig(1, 1);
  const of = (declared: Flow, space: "projected" | "vocabulary" = "projected"): string =>
    flowFingerprint(declared, { ...projected, space }, 7);
  const plain = of(flow({ name: "plain" }));

  it("is not the name, the loss or its weights", () => {
    const same = [
      flow({ name: "other" }),
      flow({ name: "KL", loss: "KL" }),
      flow({ name: "weighted", weighting: (t) => t }),
    ];
    for (const declared of same) expect(of(declared), declared.name).toBe(plain);
  });

  it("is interpolant, clock, source, states, prediction and space", () => {
    const different = [
      of(flow({ name: "interpolant", interpolant: trigonometric })),
      of(flow({ name: "clock", clock: decodingError({ vocab: 7 }) })),
      of(flow({ name: "source", source: gaussian({ scale: 2 }) })),
      of(flow({ name: "states", states: learnedEmbedding() })),
      of(flow({ name: "prediction", predicts: "clean point" }), "vocabulary"),
      of(flow({ name: "space" }), "vocabulary"),
    ];
    expect(new Set([plain, ...different]).size).toBe(7);
  });
});

it.each([
  [
    fmlmTwoModels(4),
    'The flow map "FMLM v1, two models" is a corrected velocity, and a run samples from a two-time denoiser here: train it from code.',
  ],
  [
    fmlmTwoStages(4),
    'The flow map "FMLM v1, second stage" is taught by the flow map "FMLM v1, two models", and a run trains no flow map before it: train both from code.',
  ],
])("what a run cannot train is refused (%#)", (map, message) => {
  expect(() => subjectOf(map)).toThrow(message);
});
