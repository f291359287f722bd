/**
 * Paired timing: the contenders take turns (A B C A B C …), each round starting with another one, so that whatever else the
 * machine does hits all of them alike. Ratios are taken within a round and summarized over rounds.
 *
 * Beside the time on the clock stands the processor time of the whole process: what other programs take does not count in it, but
 * all threads do, also while they wait for each other. On a busy machine it is the number to trust, and between contenders of one
 * thread it is the fair one.
 *
 * Consumed by run.ts.
 */
import type { Comparison, Ratio } from "./case.ts";

/** Of a list of times or ratios. */
export interface Summary {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly least: number;
}

export interface ContenderResult {
  readonly name: string;
  readonly ms: Summary;
  /** User and system time of all threads. */
  readonly cpuMs: Summary;
  /** At the median time. */
  readonly gflops?: number;
}

export interface RatioResult extends Ratio {
  readonly ratio: Summary;
  readonly cpuRatio: Summary;
  /** Quotient of the two least times. */
  readonly ofLeast: number;
}

export interface ComparisonResult {
  readonly name: string;
  readonly what: string;
  readonly rounds: number;
  readonly contenders: readonly ContenderResult[];
  readonly ratios: readonly RatioResult[];
  readonly agreements: Comparison["agreements"];
}

/** Value at a share of the sorted list, interpolated. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}

/** Median, quartiles and minimum. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => quantile(sorted, share);
  return { median: at(0.5), lowerQuartile: at(0.25), upperQuartile: at(0.75), least: at(0) };
}

const WARM_UP = 2;
const LEAST_ROUNDS = 5;
/** Pause before a run, in which threads of the run before go to sleep. */
const PAUSE_MS = 3;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** Times the contenders in turns for about `seconds`, and at least five rounds. */
export async function timeTurns(comparison: Comparison, seconds: number): Promise<ComparisonResult> {
  const { contenders } = comparison;
  const times = new Map(contenders.map(({ name }) => [name, { ms: [] as number[], cpuMs: [] as number[] }]));
  for (let i = 0; i < WARM_UP; i++) for (const contender of contenders) await contender.run();
  const end = performance.now() + 1000 * seconds;
  let rounds = 0;
  for (; rounds < LEAST_ROUNDS || performance.now() < end; rounds++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(rounds + turn) % contenders.length];
      if (contender === undefined) continue;
      await pause();
      const [start, cpu] = [performance.now(), process.cpuUsage()];
      await contender.run();
      const [ms, used] = [performance.now() - start, process.cpuUsage(cpu)];
      times.get(contender.name)?.ms.push(ms);
      times.get(contender.name)?.cpuMs.push((used.user + used.system) / 1000);
    }
  }
  const timesOf = (name: string): { readonly ms: readonly number[]; readonly cpuMs: readonly number[] } => {
    const found = times.get(name);
    if (found === undefined)
      throw new Error(`${comparison.name}: a ratio names "${name}", which is no contender`);
    return found;
  };
  // One time per round on both sides.
  const quotients = (of: readonly number[], to: readonly number[]): Summary =>
    summarize(of.map((ms, round) => ms / (to[round] as number)));
  return {
    name: comparison.name,
    what: comparison.what,
    rounds,
    contenders: contenders.map(({ name }) => {
      const [ms, cpuMs] = [summarize(timesOf(name).ms), summarize(timesOf(name).cpuMs)];
      return {
        name,
        ms,
        cpuMs,
        ...(comparison.flops === undefined ? {} : { gflops: comparison.flops / ms.median / 1e6 }),
      };
    }),
    ratios: comparison.ratios.map((ratio) => {
      const [of, to] = [timesOf(ratio.of), timesOf(ratio.to)];
      return {
        ...ratio,
        ratio: quotients(of.ms, to.ms),
        cpuRatio: quotients(of.cpuMs, to.cpuMs),
        ofLeast: Math.min(...of.ms) / Math.min(...to.ms),
      };
    }),
    agreements: comparison.agreements,
  };
}
