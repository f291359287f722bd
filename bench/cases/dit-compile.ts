/**
 * From source to executable: tracing (with autodiff and the optimizer), passes, lowering to ONNX and loading by the engine, for the
 * FLM step of a diffusion transformer of 12 blocks. Done once per training, so what counts is the first time in a fresh process.
 *
 * Consumed by benchmarks.ts, which runs it first.
 */
import { outputSpec, trace } from "../../src/dsl/index.ts";
import type { Fn } from "../../src/dsl/index.ts";
import { toOnnx } from "../../src/compiler/onnx/to-onnx.ts";
import { inlineCalls } from "../../src/compiler/passes/inline.ts";
import { optimize } from "../../src/compiler/passes/pipeline.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { key } from "../../src/models/flow/host-random.ts";
import { flmStep, initFlm } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import { openCpu } from "../../src/runtime/onnx/cpu-device.ts";
import type { PhaseBenchmark, Scale } from "../benchmark.ts";
import { agree } from "../case.ts";
import type { Phase, Phases } from "../case.ts";
import { beyond, timed } from "../phases.ts";

const REPETITIONS = 5;

async function phasesOf(
  options: ModelOptions,
): Promise<{ readonly phases: readonly Phase[]; readonly facts: Phases["facts"] }> {
  const device = await openCpu();
  const traced = await timed("trace and differentiate", () => {
    const state = outputSpec(initFlm(options) as Fn<never, unknown>);
    return trace(flmStep(options, state as never) as Fn<never, unknown>);
  });
  const optimized = await timed("passes", () => optimize(inlineCalls(traced.value.program)));
  const lowered = await timed("lower to ONNX", () => toOnnx(optimized.value));
  // The device lowers again, so its time less that is the engine's.
  const loaded = await timed("load", () => device.compile(optimized.value));
  await loaded.value.dispose();
  await device.dispose();
  const session = beyond("load by ONNX Runtime", loaded.phase, lowered.phase);
  return {
    phases: [traced.phase, optimized.phase, lowered.phase, session],
    facts: {
      "equations traced": traced.value.program.equations.length,
      "equations left": optimized.value.equations.length,
      "bytes of the model": lowered.value.bytes.length,
    },
  };
}

/** The loss of the first step: the head starts at zero, so it must be ln(vocab). */
async function firstLoss(options: ModelOptions): Promise<number> {
  const device = await openCpu();
  const init = initFlm(options);
  const start = await compile(init as unknown as Fn<Record<string, never>, Record<string, never>>, {
    device,
  });
  const state = await start.run({ key: keyData(key(1)) } as never);
  const step = flmStep(options, outputSpec(init as Fn<never, unknown>) as never);
  const program = await compile(step as unknown as Fn<Record<string, never>, Record<string, never>>, {
    device,
    donate: ["state"],
  });
  const { batch, network } = options;
  const rows = {
    tokens: new Int32Array(batch * network.length),
    tau: new Float32Array(batch).fill(0.5),
    t: new Float32Array(batch).fill(0.5),
  };
  const output = (await program.run({
    state,
    ...rows,
    key: keyData(key(2)),
    learningRate: 1e-3,
  } as never)) as unknown as { readonly loss: DeviceValue };
  const { data } = await output.loss.read();
  await device.dispose();
  return data[0] ?? Number.NaN;
}

function optionsAt(scale: Scale): ModelOptions {
  const common = {
    batch: 2,
    space: "vocabulary",
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip: 1,
    emaDecay: 0.9999,
  } as const;
  return scale === "full"
    ? { ...common, network: { vocab: 2000, length: 64, width: 256, depth: 12, heads: 8, conditioning: 128 } }
    : { ...common, network: { vocab: 10, length: 4, width: 8, depth: 1, heads: 2, conditioning: 4 } };
}

export const ditCompileBenchmark: PhaseBenchmark = {
  kind: "phases",
  name: "compile",
  async measure(scale) {
    const options = optionsAt(scale);
    const repetitions: (readonly Phase[])[] = [];
    const { network, batch } = options;
    let facts: Phases["facts"] = {};
    for (let i = 0; i < (scale === "full" ? REPETITIONS : 1); i++) {
      const result = await phasesOf(options);
      repetitions.push(result.phases);
      facts = result.facts;
    }
    // After the timing, so that the first repetition finds a fresh process.
    agree(
      "the first loss with ln(vocab)",
      [await firstLoss(options)],
      [Math.log(options.network.vocab)],
      1e-5,
    );
    const what = `FLM step of a DiT: ${network.depth} blocks of width ${network.width}, length ${network.length}, vocabulary ${network.vocab}, batch ${batch}; later: in the same process`;
    return [
      {
        name: "compile",
        what,
        first: repetitions.slice(0, 1),
        later: repetitions.slice(1),
        aim: 2000,
        facts,
      },
    ];
  },
};
