/**
 * What a benchmark is: contenders that compute the same thing, proof that their values agree, and the ratios worth reporting.
 * A benchmark prepares itself at given sizes, so that a test can run it tiny.
 *
 * Consumed by run.ts and by every file in cases/. To add a benchmark: a file there that exports a `Benchmark`, a line in
 * benchmarks.ts, and its name is tested by test/bench/bench.test.ts.
 */
import type { Peers } from "./peers.ts";

/** One way of computing the thing. */
export interface Contender {
  readonly name: string;
  /** Computes it once, with the result ready (and, where the comparison says so, read back) when the promise resolves. */
  run(): Promise<void>;
}

/** A quotient of times to report: `of` over `to`, so that less than 1 means `of` is faster. */
export interface Ratio {
  readonly of: string;
  readonly to: string;
  /** What the issue asks for, where it does: at most this. */
  readonly aim?: number;
  /** What is to be known when the two do not do the same arithmetic. */
  readonly note?: string;
}

/** How far apart two contenders' values were. */
export interface Agreement {
  readonly what: string;
  /** Greatest |a − b| / (1 + |b|). */
  readonly difference: number;
  readonly tolerance: number;
}

export interface Comparison {
  readonly name: string;
  /** What is computed, and what a run includes. */
  readonly what: string;
  /** Floating-point operations of a run, to report GFLOP/s. */
  readonly flops?: number;
  readonly contenders: readonly Contender[];
  readonly ratios: readonly Ratio[];
  readonly agreements: readonly Agreement[];
  dispose(): Promise<void>;
}

/** Milliseconds of the phases of something that is done once, in order. */
export interface Phases {
  readonly name: string;
  readonly what: string;
  /** One list of phases per repetition, the first one in a fresh process. */
  readonly repetitions: readonly (readonly Phase[])[];
  /** The bound on the sum, in milliseconds. */
  readonly aim?: number;
  readonly facts: Readonly<Record<string, number>>;
}

export interface Phase {
  readonly name: string;
  readonly wallMs: number;
  /** User and system time of all threads. */
  readonly cpuMs: number;
}

/** The sizes that are reported, or tiny ones for tests. */
export type Scale = "full" | "tiny";

/** A benchmark whose contenders are timed against each other. */
export interface ComparisonBenchmark {
  readonly kind: "comparison";
  readonly name: string;
  /** The comparisons at a scale, to be prepared one after the other; each throws when values do not agree. */
  comparisons(scale: Scale): readonly ((peers: Peers) => Promise<Comparison>)[];
}

/** A benchmark that times phases by itself. */
export interface PhaseBenchmark {
  readonly kind: "phases";
  readonly name: string;
  /** @throws Error when the result is wrong */
  measure(scale: Scale): Promise<Phases>;
}

export type Benchmark = ComparisonBenchmark | PhaseBenchmark;

/**
 * Compares values with a reference.
 * @throws Error naming the place of the greatest difference when that exceeds the tolerance, or when a value is not finite
 */
export function agree(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): Agreement {
  if (actual.length !== expected.length)
    throw new Error(`${what}: ${actual.length} values against ${expected.length}`);
  let [difference, place] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [actual[i] as number, expected[i] as number];
    if (!Number.isFinite(a) || !Number.isFinite(b))
      throw new Error(`${what}: value ${i} is ${a}, against ${b}`);
    const d = Math.abs(a - b) / (1 + Math.abs(b));
    if (d > difference) [difference, place] = [d, i];
  }
  if (difference > tolerance) {
    throw new Error(
      `${what}: the contenders disagree; value ${place} is ${actual[place]}, against ${expected[place]} (tolerance ${tolerance})`,
    );
  }
  return { what, difference, tolerance };
}
