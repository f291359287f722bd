import { flmStep, initFlm } from "../src/models/training/programs.ts";
import { outputSpec, trace } from "../src/dsl/fn.ts";
import { PASSES } from "../src/compiler/passes/pipeline.ts";
import { inlineCalls } from "../src/compiler/passes/inline.ts";
import { toOnnx } from "../src/compiler/onnx/to-onnx.ts";
import { hashProgram } from "../src/dsl/program/hash.ts";
import { openCpu } from "../src/runtime/onnx/cpu-device.ts";
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
const time = <T>(name: string, f: () => T): T => {
  const t = performance.now();
  const c = process.cpuUsage();
  const r = f();
  const u = process.cpuUsage(c);
  console.log(
    name.padEnd(20),
    (performance.now() - t).toFixed(0),
    "cpu",
    ((u.user + u.system) / 1000).toFixed(0),
  );
  return r;
};
for (let k = 0; k < Number(process.argv[2] ?? 2); k++) {
  const spec = time("init spec", () => outputSpec(initFlm(options) as never));
  const step = flmStep(options, spec as never);
  const traced = time("trace", () => trace(step as never));
  console.log("equations", traced.program.equations.length);
  let p = time("inline", () => inlineCalls(traced.program));
  for (let round = 0; round < 3; round++)
    for (const [name, pass] of Object.entries(PASSES)) {
      p = time(`${round} ${name}`, () => pass(p));
      if (name === "dce") {
        time("hash", () => hashProgram(p));
        console.log(p.equations.length);
      }
    }
  const m = time("onnx", () =>
    toOnnx(p, { inputNames: traced.inputNames, outputNames: traced.outputNames.map((n) => `${n}.o`) }),
  );
  console.log(m.bytes.length);
  if (process.argv[3]) {
    const d = await openCpu();
    const t = performance.now();
    const c = process.cpuUsage();
    const e = await d.compile(p, { inputNames: traced.inputNames, outputNames: traced.outputNames });
    const u = process.cpuUsage(c);
    console.log(
      "compile(onnx+session)",
      (performance.now() - t).toFixed(0),
      "cpu",
      u.user / 1000 + u.system / 1000,
    );
    await e.dispose();
  }
}
