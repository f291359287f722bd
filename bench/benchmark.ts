/**
 * What a benchmark is: it prepares itself at given sizes, so that a test can run it tiny. What it finds is in case.ts.
 *
 * Consumed by run.ts and by every file in cases/. To add a benchmark: a file there that exports a `Benchmark`, a line in
 * benchmarks.ts; the tests in test/bench run it.
 */
import type { Comparison, Phases } from "./case.ts";
import type { Peers } from "./peers.ts";

/** The sizes that are reported, or tiny ones for tests. */
export type Scale = "full" | "tiny";

/** A benchmark whose contenders are timed against each other. */
export interface ComparisonBenchmark {
  readonly kind: "comparison";
  readonly name: string;
  /** The comparisons at a scale, to be prepared one after the other; each throws when ours fails or is wrong. */
  comparisons(scale: Scale, peers: Peers): readonly (() => Promise<Comparison>)[];
}

/** A benchmark that times phases by itself. */
export interface PhaseBenchmark {
  readonly kind: "phases";
  readonly name: string;
  /**
   * @param adapter part of the name of the wanted WebGPU adapter
   * @throws Error when the result is wrong
   */
  measure(scale: Scale, adapter?: string): Promise<readonly Phases[]>;
}

export type Benchmark = ComparisonBenchmark | PhaseBenchmark;
