import { flmStep, initFlm } from "../src/models/training/programs.ts";
import { outputSpec, trace } from "../src/dsl/fn.ts";
import { optimize } from "../src/compiler/passes/pipeline.ts";
import { inlineCalls } from "../src/compiler/passes/inline.ts";
import { toOnnx } from "../src/compiler/onnx/to-onnx.ts";
import * as ort from "onnxruntime-node";
const options = {
  network: { vocab: 2000, length: 64, width: 256, depth: 12, heads: 8, conditioning: 128 },
  batch: 2,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.9999,
} as const;
const spec = outputSpec(initFlm(options) as never);
const traced = trace(flmStep(options, spec as never) as never);
const m = toOnnx(optimize(inlineCalls(traced.program)));
import { writeFileSync } from "node:fs";
writeFileSync(".cache/dit.onnx", m.bytes);
for (let i = 0; i < 3; i++)
  for (const level of ["disabled", "basic", "extended", "layout", "all"] as const) {
    const t = performance.now(),
      c = process.cpuUsage();
    const s = await ort.InferenceSession.create(m.bytes, {
      executionProviders: ["cpu"],
      graphOptimizationLevel: level,
      logSeverityLevel: 4,
    });
    const u = process.cpuUsage(c);
    console.log(level, (performance.now() - t).toFixed(0), "cpu", ((u.user + u.system) / 1000).toFixed(0));
    await s.release();
  }
