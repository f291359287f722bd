/**
 * All benchmarks, in the order in which they run. Consumed by run.ts and by the test. To add one: a line here.
 */
import { attentionBenchmark } from "./cases/attention.ts";
import { ditCompileBenchmark } from "./cases/dit-compile.ts";
import { flmBenchmark } from "./cases/flm.ts";
import { matmulBenchmark } from "./cases/matmul.ts";
import { mlpBenchmark } from "./cases/mlp.ts";
import type { Benchmark } from "./case.ts";

/** Compilation first: it is measured in a fresh process. */
export const BENCHMARKS: readonly Benchmark[] = [
  ditCompileBenchmark,
  matmulBenchmark,
  mlpBenchmark,
  attentionBenchmark,
  flmBenchmark,
];
