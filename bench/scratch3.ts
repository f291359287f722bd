import { flmStep, initFlm } from "../src/models/training/programs.ts";
import { outputSpec, trace } from "../src/dsl/fn.ts";
import { optimize } from "../src/compiler/passes/pipeline.ts";
import { inlineCalls } from "../src/compiler/passes/inline.ts";
import { toOnnx } from "../src/compiler/onnx/to-onnx.ts";
import { inputTypes, outputTypes, sizeOf } from "../src/dsl/program/program.ts";
import { PRESETS } from "../src/runtime/training/config.ts";
import * as ort from "onnxruntime-node";
const { network, data, flm, clip, emaDecay } = PRESETS.default;
const names = (process.env["OFF"] ?? "").split(",");
const keepSets: Record<string, readonly string[]> = {
  none: [],
  fold: ["ConstantFolding", "Level1_RuleBasedTransformer", "Level2_RuleBasedTransformer"],
  matmul: [
    "ConstantFolding",
    "Level1_RuleBasedTransformer",
    "Level2_RuleBasedTransformer",
    "MatMulAddFusion",
    "MatmulTransposeFusion",
    "MatMulScaleFusion",
  ],
  matmul2: ["MatmulTransposeFusion", "MatMulScaleFusion"],
  matmul3: [
    "MatmulTransposeFusion",
    "MatMulScaleFusion",
    "TransposeOptimizer",
    "ConstantFolding",
    "MatMulAddFusion",
  ],
};
const TYPE = {
  f32: ["float32", Float32Array],
  i32: ["int32", Int32Array],
  u32: ["uint32", Uint32Array],
} as const;
for (const space of ["projected"] as const) {
  const options = {
    batch: flm.batch,
    network: { ...network, vocab: data.vocabularySize },
    space,
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip,
    emaDecay,
  };
  const spec = outputSpec(initFlm(options) as never);
  const program = optimize(inlineCalls(trace(flmStep(options, spec as never) as never).program));
  const m = toOnnx(program, { sequenceOutput: "done" });
  const tensor = (t: { shape: readonly number[]; dtype: string }) => {
    const [name, A] = TYPE[t.dtype as "f32"];
    return new ort.Tensor(
      name,
      A.from({ length: sizeOf(t.shape) }, () => (t.dtype === "f32" ? Math.random() * 0.1 : 1)),
      t.shape,
    );
  };
  const feeds = Object.fromEntries(inputTypes(program).map((t, i) => [m.inputNames[i], tensor(t)]));
  const fetches = {
    done: null,
    ...Object.fromEntries(outputTypes(program).map((t, i) => [m.outputNames[i], tensor(t)])),
  };
  const sessions: [string, ort.InferenceSession, number[], number[]][] = [];
  const spins: Record<string, Record<string, string>> = { default: {}, off: { "intra_op.allow_spinning": "0" }, us20: { "intra_op.spin_duration_us": "20" }, us100: { "intra_op.spin_duration_us": "100" }, backoff: { "intra_op.spin_backoff_max": "64" } };
  for (const [name, spin] of Object.entries(spins)) { const keep = keepSets["matmul2"] ?? [];
    const c = process.cpuUsage();
    const s = await ort.InferenceSession.create(m.bytes, {
      executionProviders: ["cpu"],
      intraOpNumThreads: Number(process.env["T"] ?? 1),
      graphOptimizationLevel: "all",
      logSeverityLevel: 4,
      extra: { session: Object.fromEntries(Object.entries(spin)),
        optimization: { disable_specified_optimizers: names.filter((n) => !keep.includes(n)).join(";") },
      },
    });
    const u = process.cpuUsage(c);
    console.log(space, name, "create cpu", (u.user + u.system) / 1000);
    sessions.push([name, s, [], []]);
  }
  for (let i = 0; i < 14; i++)
    for (const [, s, cpu, wall] of sessions) {
      const t = performance.now(),
        c = process.cpuUsage();
      try {
        await s.run(feeds as never, fetches as never);
      } catch (e) {
        if (!String(e).includes("Non tensor")) throw e;
      }
      const u = process.cpuUsage(c);
      if (i > 1) {
        cpu.push((u.user + u.system) / 1000);
        wall.push(performance.now() - t);
      }
    }
  for (const [name, s, cpu, wall] of sessions) {
    cpu.sort((a, b) => a - b);
    wall.sort((a, b) => a - b);
    console.log(
      space,
      name,
      "run cpu median",
      cpu[6]!.toFixed(1),
      "min",
      cpu[0]!.toFixed(1),
      "wall min",
      wall[0]!.toFixed(1),
    );
    await s.release();
  }
}
