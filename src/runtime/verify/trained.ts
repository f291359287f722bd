/**
 * Verifies a trained flow map against its own teacher: on held-out text with noise, the residuals of every identity that a flow map has,
 * in ranges of the clock, and beside them those of the teacher held over the whole jump, which is the map that training begins from.
 *
 * A trained map is right or wrong at no tolerance by nature, so nothing is judged unless a tolerance is given. Browser-safe. Consumed by
 * users as `verifyTrained`, and by `fluxion verify RUN`.
 */
import type { Fn } from "../../dsl/index.ts";
import { OpError } from "../../dsl/index.ts";
import type { Clock } from "../../models/flow/clock.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { fold, key as keyOf, uniforms } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import { TRAINED } from "../../models/flow/verify/trained.ts";
import type { TrainedName } from "../../models/flow/verify/trained.ts";
import { flm } from "../../models/language/variants/flm.ts";
import { keyData, randomWindows } from "../../models/training/batches.ts";
import type { ModelOptions } from "../../models/training/programs.ts";
import { residualProgram } from "../../models/training/verifying.ts";
import type { ResidualOptions } from "../../models/training/verifying.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Compiled } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import type { ClockRange, MapResiduals, Residual, TrainedReport, TrainedResult } from "./trained-report.ts";

/** A flow map that was trained, with the flow that taught it. */
export interface TrainedMap {
  /** The flow that the teacher was trained on; FLM by default. */
  readonly flow?: Flow;
  /** Of the teacher: network, state space. */
  readonly options: Pick<ModelOptions, "network" | "space">;
  /** Weights of the student and of the teacher, as trees of tensors or of values on the device. */
  readonly student: unknown;
  readonly teacher: unknown;
  /** Specifications of the two. */
  readonly specs: { readonly student: unknown; readonly teacher: unknown };
  /** Tokens of text that was not trained on, one after the other: at least as many as a sequence has. */
  readonly stream: Int32Array;
}

export interface VerifyTrainedOptions {
  /** Rows in each of the four ranges of the clock; 16 by default. */
  readonly cases?: number;
  /** Whole number from 0; 0 by default. */
  readonly seed?: number;
  /** The largest residual that passes, by the name of a result; of what is not named nothing is asked. */
  readonly tolerances?: Readonly<Record<string, number>>;
  /** Called before each of the `total` parts of the work. */
  readonly onPart?: (what: string, index: number, total: number) => void;
}

const RANGES: readonly ClockRange[] = [0, 1, 2, 3].map((i) => ({ from: i / 4, to: (i + 1) / 4 }));
/** Points of the course from s to t: 32 steps of the teacher. */
const POINTS = 33;
/** Rows that run at a time. */
const ROWS = 16;

/**
 * The residuals of a trained flow map.
 * @throws RangeError unless cases is a whole number of at least 1 and seed one of at least 0; for a tolerance of an unknown name; for
 *   text shorter than a sequence
 */
export async function verifyTrained(
  trained: TrainedMap,
  device: Device,
  options: VerifyTrainedOptions = {},
): Promise<TrainedReport> {
  const { cases = 16, seed = 0, tolerances = {}, onPart } = options;
  check(cases, seed, tolerances);
  const flow = trained.flow ?? flm(trained.options.network.vocab);
  const batch = Math.min(ROWS, cases);
  const rows = RANGES.map((range, i) => rowsOf(trained, flow.clock, range, cases, fold(keyOf(seed), i)));
  const total = 2 * RANGES.length;
  const found = new Map<ResidualOptions["of"], ReadonlyMap<TrainedName, MapResiduals>>();
  let leftOut: TrainedReport["leftOut"] = [];
  let part = 0;
  for (const of of ["student", "teacher, held"] as const) {
    const program = await programOf(trained, flow, device, { of, points: POINTS, batch });
    leftOut = program.leftOut;
    const ranges: ReadonlyMap<TrainedName, readonly number[]>[] = [];
    try {
      for (const [i, range] of RANGES.entries()) {
        onPart?.(`${of}, τ ${range.from} to ${range.to}`, part++, total);
        ranges.push(await program.run(rows[i] as Rows)); // one for each range
      }
    } finally {
      await program.dispose();
    }
    found.set(of, summed(ranges));
  }
  const results = TRAINED.flatMap(({ name, formula, norm }): readonly TrainedResult[] => {
    const [student, held] = [found.get("student")?.get(name), found.get("teacher, held")?.get(name)];
    if (student === undefined || held === undefined) return [];
    const tolerance = tolerances[name];
    // What is not a number is within no tolerance.
    const judged = tolerance === undefined ? {} : { tolerance, passed: student.worst <= tolerance };
    return [{ name, formula, norm, student, held, ...judged }];
  });
  const missing = Object.keys(tolerances).filter((name) => !results.some((result) => result.name === name));
  return {
    kind: "trained flow map",
    flow: flow.name,
    device: device.name,
    seed,
    cases,
    ranges: RANGES,
    passed: missing.length === 0 && results.every(({ passed }) => passed !== false),
    results,
    leftOut,
  };
}

function check(cases: number, seed: number, tolerances: Readonly<Record<string, number>>): void {
  if (!Number.isSafeInteger(cases) || cases < 1)
    throw new RangeError(`verifyTrained needs at least one case, whole, got ${cases}.`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`verifyTrained needs a seed that is a whole number from 0, got ${seed}.`);
  const names: readonly string[] = TRAINED.map(({ name }) => name);
  for (const [name, value] of Object.entries(tolerances)) {
    if (!names.includes(name))
      throw new RangeError(`There is no residual "${name}"; there are ${names.join("; ")}.`);
    if (!(value >= 0))
      throw new RangeError(`The tolerance of "${name}" is a number that is not negative, got ${value}.`);
  }
}

/** One time of every row. */
interface Times {
  readonly t: readonly number[];
  readonly tau: readonly number[];
  readonly rate: readonly number[];
}

/** What a number of rows is fed. */
interface Rows {
  readonly tokens: Int32Array;
  readonly s: Times;
  readonly u: Times;
  readonly t: Times;
  /** Clock times from s to t, [points][rows]. */
  readonly course: readonly Times[];
  readonly key: Key;
}

function timesOf(clock: Clock, taus: readonly number[]): Times {
  const t = taus.map((tau) => clock.time(tau));
  const rates = t.map((time) => clock.dTau(time));
  // Where the rate is infinite the clock is not asked for it.
  return { t, tau: taus, rate: rates.map((rate) => (Number.isFinite(rate) ? rate : 0)) };
}

/** Rows of a range of the clock: s in the range, t evenly between s and the data, u half-way; even on the clock. */
function rowsOf(
  { stream, options }: TrainedMap,
  clock: Clock,
  { from, to }: ClockRange,
  cases: number,
  key: Key,
): Rows {
  const [a, b] = [uniforms(fold(key, 1), cases), uniforms(fold(key, 2), cases)];
  const s = Array.from(a, (x) => from + (to - from) * x);
  const t = s.map((tau, i) => tau + (1 - tau) * (b[i] ?? 0));
  const between = (share: number): readonly number[] => s.map((tau, i) => tau + ((t[i] ?? 0) - tau) * share);
  return {
    tokens: randomWindows(stream, fold(key, 0), cases, options.network.length),
    s: timesOf(clock, s),
    u: timesOf(clock, between(0.5)),
    t: timesOf(clock, t),
    course: Array.from({ length: POINTS }, (_, i) => timesOf(clock, between(i / (POINTS - 1)))),
    key: fold(key, 3),
  };
}

interface Program {
  readonly leftOut: TrainedReport["leftOut"];
  /** Residuals of all rows, by name. */
  run(rows: Rows): Promise<ReadonlyMap<TrainedName, readonly number[]>>;
  dispose(): Promise<void>;
}

/** The compiled program; where a network has no forward derivative, without what needs one. */
async function programOf(
  { options, student, teacher, specs }: TrainedMap,
  flow: Flow,
  device: Device,
  { batch, ...rest }: Omit<ResidualOptions, "derivatives"> & { readonly batch: number },
): Promise<Program> {
  // What concerns training alone plays no part.
  const whole = { ...options, batch } as ModelOptions;
  const make = (derivatives: boolean): Promise<Compiled<Record<string, never>, Record<string, never>>> =>
    compile(
      residualProgram(flow, whole, specs.student as never, specs.teacher as never, {
        ...rest,
        derivatives,
      }) as unknown as Fn<Record<string, never>, Record<string, never>>, // named inputs, named outputs
      { device, name: "residuals" },
    );
  let leftOut: TrainedReport["leftOut"] = [];
  const compiled = await make(true).catch((error: unknown) => {
    if (!(error instanceof OpError)) throw error;
    leftOut = TRAINED.filter(({ differentiates }) => differentiates).map(({ name }) => ({
      name,
      reason: error.message,
    }));
    return make(false);
  });
  const { length } = options.network;
  return {
    leftOut,
    async run(rows) {
      const count = rows.s.t.length;
      const found = new Map<TrainedName, number[]>();
      for (let first = 0; first < count; first += batch) {
        // The last batch may be partly filled: its other rows are those that came before.
        const picked = Array.from({ length: batch }, (_, i) => (first + i) % count);
        const line = (numbers: readonly number[]): readonly number[] => picked.map((i) => numbers[i] ?? NaN);
        const time = ({ t, tau, rate }: Times) => ({
          t: Float32Array.from(line(t)),
          tau: Float32Array.from(line(tau)),
          rate: Float32Array.from(line(rate)),
        });
        const course = (of: keyof Times): Float32Array =>
          Float32Array.from(rows.course.flatMap((point) => line(point[of])));
        const data = timesOf(flow.clock, [1]);
        const input = {
          ...(rest.of === "student" ? { params: student } : {}),
          teacher,
          tokens: Int32Array.from(
            picked.flatMap((i) => [...rows.tokens.subarray(i * length, (i + 1) * length)]),
          ),
          s: time(rows.s),
          u: time(rows.u),
          t: time(rows.t),
          data: {
            t: new Float32Array(batch).fill(1),
            tau: new Float32Array(batch).fill(1),
            rate: new Float32Array(batch).fill(data.rate[0] ?? 0),
          },
          course: { t: course("t"), tau: course("tau"), rate: course("rate") },
          key: keyData(fold(rows.key, first)),
        };
        const outputs = (await compiled.run(input as never)) as unknown as Record<TrainedName, DeviceValue>;
        for (const [name, value] of Object.entries(outputs) as [TrainedName, DeviceValue][]) {
          const numbers = Array.from((await value.read()).data).slice(0, Math.min(batch, count - first));
          found.set(name, [...(found.get(name) ?? []), ...numbers]);
        }
        disposeTree(outputs);
      }
      return found;
    },
    dispose: () => compiled.dispose(),
  };
}

/** NaN where one is. */
const summary = (numbers: readonly number[]): Residual => ({
  mean: numbers.reduce((sum, x) => sum + x, 0) / numbers.length,
  worst: numbers.reduce((most, x) => (Number.isNaN(x) || x > most ? x : most), 0),
});

function summed(
  ranges: readonly ReadonlyMap<TrainedName, readonly number[]>[],
): ReadonlyMap<TrainedName, MapResiduals> {
  const names = [...(ranges[0]?.keys() ?? [])];
  return new Map(
    names.map((name) => {
      const parts = ranges.map((range) => range.get(name) ?? []);
      return [name, { ...summary(parts.flat()), ranges: parts.map(summary) }];
    }),
  );
}
