/**
 * What a benchmark finds: contenders that compute the same thing, proof that their values agree, and the ratios worth reporting; or times
 * of phases. Consumed by every file in cases/, by what they are made with, and by what times and reports them.
 */

/** One way of computing the thing. */
export interface Contender {
  readonly name: string;
  /**
   * Computes it once, with the result ready (and, where the comparison says so, read back) when the promise resolves. With `settle`,
   * only asks for it. Milliseconds that it returns are taken off its time.
   */
  run(): Promise<number | void>;
  /** Waits for what `run` asked for; not timed. */
  settle?(): Promise<void>;
  /** Milliseconds of processor time until now, where it computes in other processes too. By default this process counts. */
  processorTime?(): number;
  /** What is to be known of it. */
  readonly note?: string;
}

/** Somebody who does not take part, or no longer. */
export interface Absent {
  readonly name: string;
  readonly error: string;
  /** Whether it computed something else than the others. */
  readonly wrong: boolean;
}

/** A quotient of times to report: `of` over `to`, so that less than 1 means `of` is faster. */
export interface Ratio {
  readonly of: string;
  readonly to: string;
  /** What is aimed at, if anything: at most this. */
  readonly aim?: number;
  /** What is to be known when the two do not do the same arithmetic. */
  readonly note?: string;
}

/** What a run may cost the host, at most. */
export interface Bounds {
  /** Submits that have kernels in them. */
  readonly submits?: number;
  /** Time of a run over its dispatches, in microseconds. */
  readonly microsecondsPerDispatch?: number;
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
  /** Tokens that a run trains on, to report tokens per second. */
  readonly tokens?: number;
  readonly contenders: readonly Contender[];
  readonly ratios: readonly Ratio[];
  /** Whether times are to be reported per dispatch too. */
  readonly perDispatch?: true;
  /** What is aimed at for the first contender, where calls to the GPU are counted. */
  readonly bounds?: Bounds;
  readonly agreements: readonly Agreement[];
  /** Who could not be prepared, or was wrong. */
  readonly absent?: readonly Absent[];
  dispose(): Promise<void>;
}

/** Milliseconds of the phases of something that is done once, in order. */
export interface Phases {
  readonly name: string;
  readonly what: string;
  /** One list of phases per repetition, each in a fresh process that finds nothing compiled. */
  readonly first: readonly (readonly Phase[])[];
  /** The same where something is there already, as `what` says. */
  readonly later: readonly (readonly Phase[])[];
  /** A bound on the sum the first time, in milliseconds. */
  readonly aim?: number;
  readonly facts: Readonly<Record<string, number>>;
}

export interface Phase {
  readonly name: string;
  readonly wallMs: number;
  /** User and system time of all threads. */
  readonly cpuMs: number;
}

/** Two computed different things. */
export class DisagreementError extends Error {}

/**
 * Compares values with a reference.
 * @throws DisagreementError naming the place of the greatest difference when that exceeds the tolerance, or when a value is not finite
 */
export function agree(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): Agreement {
  if (actual.length !== expected.length)
    throw new DisagreementError(`${what}: ${actual.length} values against ${expected.length}`);
  let [difference, place] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [actual[i] as number, expected[i] as number];
    if (!Number.isFinite(a) || !Number.isFinite(b))
      throw new DisagreementError(`${what}: value ${i} is ${a}, against ${b}`);
    const d = Math.abs(a - b) / (1 + Math.abs(b));
    if (d > difference) [difference, place] = [d, i];
  }
  if (difference > tolerance) {
    throw new DisagreementError(
      `${what}: the contenders disagree; value ${place} is ${actual[place]}, against ${expected[place]} (tolerance ${tolerance})`,
    );
  }
  return { what, difference, tolerance };
}
