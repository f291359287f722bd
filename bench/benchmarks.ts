/**
 * All benchmarks of each target, in the order in which they run. Consumed by run.ts and by the tests. To add one: a line here.
 */
import { attentionBenchmark } from "./cases/attention.ts";
import { dispatchBenchmark } from "./cases/dispatch.ts";
import { ditCompileBenchmark } from "./cases/dit-compile.ts";
import { firstCallBenchmark } from "./cases/first-call.ts";
import { flmBenchmark } from "./cases/flm.ts";
import { flmDevicesBenchmark } from "./cases/flm-devices.ts";
import { limitBenchmark } from "./cases/limit.ts";
import { matmulBenchmark } from "./cases/matmul.ts";
import { mlpBenchmark } from "./cases/mlp.ts";
import { objectivesBenchmark } from "./cases/objectives.ts";
import type { Benchmark } from "./benchmark.ts";
import type { Target } from "./peers.ts";

export const BENCHMARKS: Readonly<Record<Target, readonly Benchmark[]>> = {
  // Compilation first: it is measured in a fresh process.
  cpu: [
    ditCompileBenchmark,
    matmulBenchmark,
    mlpBenchmark,
    attentionBenchmark,
    flmBenchmark,
    objectivesBenchmark,
  ],
  webgpu: [
    firstCallBenchmark,
    limitBenchmark,
    matmulBenchmark,
    mlpBenchmark,
    attentionBenchmark,
    flmBenchmark,
    objectivesBenchmark,
    dispatchBenchmark,
  ],
  tfjs: [flmDevicesBenchmark],
};
