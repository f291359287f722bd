/**
 * The parameters of a learned weighting are part of a training: they move with every step, lie in the saved state under names of their own,
 * and a training that goes on from a file goes on bit for bit. What networks and samplers take does not have them, and a training without
 * one is as it was.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { outputSpec } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { key } from "../../../src/models/flow/host-random.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { learned } from "../../../src/models/flow/weightings.ts";
import {
  flowDraw,
  flowMapDraw,
  flowMapStep,
  flowStep,
  initFlow,
  initFlowMap,
  learnedOf,
} from "../../../src/models/training/declared.ts";
import { initFlm, initFmlm, student, unpackWeights } from "../../../src/models/training/programs.ts";
import { weightsLayout, weightsSpec } from "../../../src/models/training/state.ts";
import { compile, readTree } from "../../../src/runtime/compile.ts";
import { createRun, loadCheckpoint, saveCheckpoint } from "../../../src/runtime/files/run-folder.ts";
import { openCpu } from "../../../src/runtime/onnx/cpu-device.ts";
import { expectedState, stateTensors, uploadState } from "../../../src/runtime/training/state-files.ts";
import type { DeviceState, Layout, StateSpec } from "../../../src/runtime/training/state-files.ts";
import { scratchFolder } from "../files/scratch.ts";

const network = { vocab: 4, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 };
const options = { network, batch: 8, space: "vocabulary", beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.9 } as const; // prettier-ignore
const stream = Int32Array.from({ length: 64 }, (_, i) => i % 4);
const weighting = learned({ hidden: 6, features: 8 });
const plain = flow({ name: "plain" });
const learning = flow({ name: "learning", weighting });
const mapOf = (surgery: boolean): FlowMap =>
  flowMap({ name: "learning too", flow: plain, objective: semigroup(), teacher: false, weighting, surgery });

/** Bytes of every tensor of a tree. */
const bits = async (tree: unknown): Promise<readonly string[]> =>
  (await readTree(tree)).map(({ data }) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
  );

/** A training: its layout, the specification of its state, where it begins, and a step of it. */
async function training(declared: Flow | FlowMap) {
  const device = await openCpu();
  const state = declared.kind === "flow" ? outputSpec(initFlow(declared, options)) : outputSpec(initFlowMap(declared, options)); // prettier-ignore
  const program = declared.kind === "flow" ? flowStep(declared, options, state) : flowMapStep(declared, options, state); // prettier-ignore
  const step = await compile(program as never, { device });
  const init = declared.kind === "flow" ? initFlow(declared, options) : initFlowMap(declared, options);
  const begin = async (): Promise<DeviceState> => {
    const program = await compile(init as never, { device });
    return (await program.run({ key: [0, 1] } as never)) as DeviceState;
  };
  const of = declared.kind === "flow" ? network : student(network);
  return {
    device,
    spec: state as unknown as StateSpec,
    layout: weightsLayout(of, learnedOf(declared)) as unknown as Layout,
    begin,
    of,
    async step(from: DeviceState, index: number): Promise<DeviceState> {
      const draw =
        declared.kind === "flow"
          ? flowDraw(declared, stream, 2, 8, key(index))
          : flowMapDraw(declared, stream, 2, 8, index, key(index));
      const { state: next } = (await step.run({ state: from, learningRate: 1e-2, ...draw } as never)) as {
        readonly state: DeviceState;
      };
      return next;
    },
  };
}

describe.each<readonly [string, Flow | FlowMap, number]>([
  ["a flow", learning, 8],
  ["a flow map", mapOf(false), 16],
  ["a flow map with surgery", mapOf(true), 16],
])("%s", { timeout: 60_000 }, (_name, declared, features) => {
  it("keeps the parameters in its state, and goes on from a file bit for bit", async () => {
    const { device, spec, layout, begin, step, of } = await training(declared);
    let state = await begin();
    const shapes = layout.leaves.filter(({ path }) => path.startsWith("weighting.")).map(({ path, shape }) => [path, shape]); // prettier-ignore
    expect(shapes).toEqual([
      ["weighting.hidden.bias", [6]],
      ["weighting.hidden.weight", [6, features]],
      ["weighting.out.bias", [1]],
      ["weighting.out.weight", [1, 6]],
    ]);
    for (const i of [0, 1]) state = await step(state, i);

    const saved = await stateTensors(state, layout);
    const weight = saved.get("params.weighting.out.weight");
    // Zero at first.
    expect(Array.from(weight?.data as Float32Array).every((x) => x !== 0)).toBe(true);
    expect(saved.has("optimizer.slots.variance.weighting.hidden.weight")).toBe(true);
    const run = await createRun(join(await scratchFolder(), "run"), {});
    const tensors = [...saved].map(([name, tensor]) => ({ name, ...tensor })) as never; // dtype and data belong together
    await saveCheckpoint(run, "state", tensors, { step: 1, phase: "flm" });
    const loaded = await loadCheckpoint(run, "state", expectedState(spec, layout));
    const back = uploadState(device, spec, layout, loaded.tensors);
    expect(await bits(await step(back, 2))).toEqual(await bits(await step(state, 2)));

    // The network's weights are those that lie around them.
    const unpacked = await compile(unpackWeights(of, learnedOf(declared)) as never, { device });
    const weights: object = await unpacked.run({ weights: state.ema } as never);
    expect("weighting" in weights).toBe(false);
    expect("head" in weights).toBe(true);
    await device.dispose();
  });
});

it("a training without a learned weighting has the state of FLM, or of FMLM", () => {
  const map = flowMap({ name: "plain too", flow: plain, objective: semigroup() });
  const teacher = weightsSpec(network);
  const shown = (spec: unknown): string => JSON.stringify(spec);
  expect(shown(outputSpec(initFlow(plain, options)))).toBe(shown(outputSpec(initFlm(options))));
  expect(shown(outputSpec(initFlowMap(map, options, teacher)))).toBe(shown(outputSpec(initFmlm(options))));
  expect(learnedOf(plain)).toBeUndefined();
  expect(learnedOf(flow({ name: "", weighting: (t) => t }))).toBeUndefined();
});
