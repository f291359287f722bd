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
import type { Absent, Comparison, Contender, Ratio } from "./case.ts";
import { lineOf } from "./contenders.ts";
import type { Calls, CountCalls } from "./peers.ts";

/** Of a list of times or ratios. */
export interface Summary {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly least: number;
}

export interface ContenderResult {
  readonly name: string;
  readonly note?: string;
  readonly ms: Summary;
  /** User and system time of all threads. */
  readonly cpuMs: Summary;
  /** At the median time. */
  readonly gflops?: number;
  readonly tokensPerSecond?: number;
  /** Of one run, where they are counted and it makes any. */
  readonly calls?: Calls;
  /** The median time over the dispatches, where the comparison is about that. */
  readonly microsecondsPerDispatch?: number;
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
  readonly bounds?: Comparison["bounds"];
  readonly agreements: Comparison["agreements"];
  /** Who did not take part, or failed while it was timed. */
  readonly absent: readonly Absent[];
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

/** Milliseconds of processor time of this process. */
function ownTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Times of one contender, one per round. */
interface Times {
  readonly ms: number[];
  readonly cpuMs: number[];
}

/**
 * Times the contenders in turns for about `seconds`, and at least five rounds. One that fails is out, and the others go on.
 * @param count counts the calls of one run of each, before anything is timed
 * @throws what the first contender throws
 */
export async function timeTurns(
  comparison: Comparison,
  seconds: number,
  count?: CountCalls,
): Promise<ComparisonResult> {
  const { bounds } = comparison;
  const absent = [...(comparison.absent ?? [])];
  let contenders = [...comparison.contenders];
  const times = new Map(contenders.map(({ name }): [string, Times] => [name, { ms: [], cpuMs: [] }]));
  const calls = new Map<string, Calls>();
  const everyone = async (turn: (contender: Contender) => Promise<void>, from = 0): Promise<void> => {
    const order = contenders.map((_, i) => contenders[(from + i) % contenders.length] as Contender); // within the list
    for (const contender of order) {
      try {
        await turn(contender);
        await contender.settle?.();
      } catch (error) {
        if (contender === comparison.contenders[0]) throw error;
        absent.push({ name: contender.name, error: lineOf(error), wrong: false });
        contenders = contenders.filter((other) => other !== contender);
      }
    }
  };
  for (let i = 0; i < WARM_UP; i++) await everyone(async (contender) => void (await contender.run()));
  if (count !== undefined) {
    await everyone(async (contender) => {
      const counted = await count(async () => void (await contender.run()));
      if (counted.dispatches > 0) calls.set(contender.name, counted);
    });
  }
  const end = performance.now() + 1000 * seconds;
  let rounds = 0;
  for (; rounds < LEAST_ROUNDS || performance.now() < end; rounds++) {
    await everyone(async (contender) => {
      await pause();
      const { processorTime = ownTime } = contender;
      const cpu = processorTime();
      const start = performance.now();
      const notIts = (await contender.run()) ?? 0;
      const ms = performance.now() - start - notIts;
      times.get(contender.name)?.ms.push(ms);
      times.get(contender.name)?.cpuMs.push(processorTime() - cpu);
    }, rounds);
  }
  const out = new Set(absent.map(({ name }) => name));
  const timesOf = (name: string): Times => {
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
    contenders: contenders.map(({ name, note }) => {
      const [ms, cpuMs] = [summarize(timesOf(name).ms), summarize(timesOf(name).cpuMs)];
      const counted = calls.get(name);
      return {
        name,
        ...(note === undefined ? {} : { note }),
        ms,
        cpuMs,
        ...(comparison.flops === undefined ? {} : { gflops: comparison.flops / ms.median / 1e6 }),
        ...(comparison.tokens === undefined
          ? {}
          : { tokensPerSecond: (1000 * comparison.tokens) / ms.median }),
        ...(counted === undefined ? {} : { calls: counted }),
        ...(counted === undefined || comparison.perDispatch === undefined
          ? {}
          : { microsecondsPerDispatch: (1000 * ms.median) / counted.dispatches }),
      };
    }),
    ratios: comparison.ratios
      .filter(({ of, to }) => !out.has(of) && !out.has(to))
      .map((ratio) => {
        const [of, to] = [timesOf(ratio.of), timesOf(ratio.to)];
        return {
          ...ratio,
          ratio: quotients(of.ms, to.ms),
          cpuRatio: quotients(of.cpuMs, to.cpuMs),
          ofLeast: Math.min(...of.ms) / Math.min(...to.ms),
        };
      }),
    ...(bounds === undefined ? {} : { bounds }),
    agreements: comparison.agreements,
    absent,
  };
}
