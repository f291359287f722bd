/**
 * Runs one identity on a device: draws its cases, finds the worst, and simplifies one that fails. Consumed by verify.ts.
 */
import { exactTensor, hostTensor, toNumbers } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { f32, fn, u32 } from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";
import { fold, key as keyOf, uniforms } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import type { Source } from "../../models/flow/source.ts";
import { STANDARD_ERRORS } from "../../models/flow/verify/identity.ts";
import type {
  Cases,
  DrawnIdentity,
  NumberIdentity,
  Place,
  StateIdentity,
} from "../../models/flow/verify/identity.ts";
import type { HostPath } from "../../models/flow/verify/view.ts";
import { CORPUS, LENGTH } from "../../models/flow/verify/world.ts";
import { compile, disposeTree } from "../compile.ts";
import type { Device, DeviceValue } from "../device.ts";
import { drawCases, simpler } from "./cases.ts";
import type { Case, Drawing } from "./cases.ts";
import type { Counterexample } from "./report.ts";

/** What all identities of a variant share. */
export interface Bench<W extends Place> {
  readonly device: Device;
  readonly flow: Drawing;
  readonly worlds: readonly W[];
  /** The flow's coefficients at plain times. */
  readonly path: HostPath;
  /** The time up to which derivatives are looked at, and the time that stands for the data: see view.ts. */
  readonly latest: number;
  readonly end: number;
  readonly cases: number;
  readonly seed: number;
  /** Compiled residuals, by the function and the world: several identities may share one. */
  readonly compiled: Map<unknown, Map<W, RowFunction>>;
}

/** Numbers of each case, [cases][numbers]. */
export interface RowFunction {
  readonly run: (cases: readonly Case[]) => Promise<readonly (readonly number[])[]>;
  readonly dispose: () => Promise<void>;
}

export interface Outcome {
  readonly cases: number;
  readonly worst: number;
  readonly tolerance: number;
  readonly counterexample?: Counterexample;
}

/** How many batches of candidates a failing case may take to become simple. */
const BATCHES = 12;
/** Candidates are run at least this many at a time, and cases on devices that compile, where a few more cost next to nothing. */
const LEAST_ROWS = 16;

export const isExact = (device: Device): boolean => device.name === "interpreter";

const fails = (residual: number, tolerance: number): boolean => !(residual <= tolerance);
/** The worse of two residuals: what is not a number is worst. */
const worse = (a: number, b: number): boolean => Number.isNaN(a) || a > b;

/** A function of cases on a device, compiled for batches of a fixed size. */
export async function compileRows<W extends Place>(
  bench: Pick<Bench<W>, "device" | "flow" | "cases" | "end">,
  world: W,
  body: (cases: Cases, world: W) => Tensor,
  size: number = isExact(bench.device) ? bench.cases : Math.max(bench.cases, LEAST_ROWS),
): Promise<RowFunction> {
  const { device, flow, end } = bench;
  const time = { t: f32(size), tau: f32(size), rate: f32(size) };
  const spec = {
    x: f32(size, LENGTH, world.dim),
    free: f32(size, LENGTH, CORPUS.vocab),
    s: time,
    u: time,
    t: time,
  };
  const compiled = await compile(
    fn(spec, (cases) => body(cases, world)),
    // The interpreter runs a program once or twice: what the passes save is less than they cost.
    { device, name: "verify", ...(isExact(device) ? { optimize: false } : {}) },
  );
  const make = isExact(device) ? exactTensor : hostTensor;
  const tensor = (shape: readonly number[], numbers: readonly number[]): HostTensor =>
    make("f32", shape, numbers);
  async function run(batch: readonly Case[]): Promise<readonly (readonly number[])[]> {
    const padded = Array.from({ length: size }, (_, i) => batch[i] ?? (batch[0] as Case)); // batches are not empty
    const timesOf = (name: "s" | "u" | "t") => {
      const times = padded.map((each) => (each[name] === 1 ? end : each[name]));
      const rates = times.map((t) => flow.clock.dTau(t));
      return {
        t: tensor([size], times),
        tau: tensor(
          [size],
          times.map((t) => flow.clock.tau(t)),
        ),
        // Where the rate is infinite the clock is not asked for it.
        rate: tensor(
          [size],
          rates.map((rate) => (Number.isFinite(rate) ? rate : 0)),
        ),
      };
    };
    const outputs = await compiled.run({
      x: tensor(
        [size, LENGTH, world.dim],
        padded.flatMap(({ x }) => x),
      ),
      free: tensor(
        [size, LENGTH, CORPUS.vocab],
        padded.flatMap(({ free }) => free),
      ),
      s: timesOf("s"),
      u: timesOf("u"),
      t: timesOf("t"),
    });
    const value: DeviceValue = outputs;
    const numbers = toNumbers(await value.read());
    disposeTree(outputs);
    const width = numbers.length / size;
    if (value.type.shape[0] !== size)
      throw new TypeError(
        `A residual is one number per case, [${size}], and this one is [${value.type.shape.join(", ")}].`,
      );
    return batch.map((_, i) => numbers.slice(i * width, (i + 1) * width));
  }
  return { run, dispose: () => compiled.dispose() };
}

async function rowsOf<W extends Place>(
  bench: Bench<W>,
  world: W,
  residual: StateIdentity<W>["residual"],
): Promise<RowFunction> {
  const known = bench.compiled.get(residual) ?? new Map<W, RowFunction>();
  bench.compiled.set(residual, known);
  const found = known.get(world);
  if (found !== undefined) return found;
  const made = await compileRows(bench, world, residual);
  known.set(world, made);
  return made;
}

/** Numbers of a state in rows of tokens. */
function inRows(numbers: readonly number[]): readonly (readonly number[])[] {
  const width = numbers.length / LENGTH;
  return Array.from({ length: LENGTH }, (_, l) => numbers.slice(l * width, (l + 1) * width));
}

const supportOf = ({ support }: Source) => (support === undefined ? {} : { support });

export async function runStates<W extends Place>(
  bench: Bench<W>,
  identity: StateIdentity<W>,
  key: Key,
): Promise<Outcome> {
  const tolerance = isExact(bench.device) ? identity.tolerance : identity.single;
  const place = { regime: identity.times, latest: bench.latest, path: bench.path };
  const worlds = identity.everywhere ? bench.worlds : bench.worlds.slice(0, 1);
  let worst = 0;
  let failing: { readonly world: W; readonly from: Case } | undefined;
  for (const [index, world] of worlds.entries()) {
    const rows = await rowsOf(bench, world, identity.residual);
    const cases = drawCases(fold(key, index), bench.cases, bench.flow, world, place);
    for (const [i, [residual = NaN]] of (await rows.run(cases)).entries()) {
      if (!worse(residual, worst) || Number.isNaN(worst)) continue;
      worst = residual;
      if (fails(residual, tolerance)) failing = { world, from: cases[i] as Case };
    }
  }
  const outcome = { cases: bench.cases * worlds.length, worst, tolerance };
  if (failing === undefined) return outcome;
  const { world } = failing;
  const size = Math.max(bench.cases, LEAST_ROWS);
  const rows = await compileRows(bench, world, identity.residual, size);
  const smallest = await simplest(rows, failing.from, {
    size,
    candidates: (from) => simpler(from, { ...place, ...supportOf(bench.flow.source) }),
    tolerance,
  });
  const [[residual = NaN] = []] = await rows.run([smallest]);
  await rows.dispose();
  const { x, free, s, u, t } = smallest;
  return {
    ...outcome,
    counterexample: {
      residual,
      world: world.name,
      where: identity.times.where,
      s,
      u,
      t,
      x: inRows(x),
      // Where they play no part they came to 0.
      ...(free.every((value) => value === 0) ? {} : { free: inRows(free) }),
    },
  };
}

interface Search {
  /** Candidates that run at a time. */
  readonly size: number;
  readonly candidates: (from: Case) => readonly Case[];
  readonly tolerance: number;
}

/** A case that still fails, and of which nothing simpler was found to fail. */
async function simplest(
  rows: RowFunction,
  from: Case,
  { size, candidates, tolerance }: Search,
): Promise<Case> {
  let found = from;
  let list = candidates(found);
  for (let batches = 0, start = 0; batches < BATCHES && start < list.length; batches++) {
    const batch = list.slice(start, start + size);
    const residuals = await rows.run(batch);
    const next = batch.find((_, i) => fails(residuals[i]?.[0] ?? NaN, tolerance));
    if (next === undefined) start += size;
    else {
      found = next;
      list = candidates(found);
      start = 0;
    }
  }
  return found;
}

/** On the host: the ends and points between. */
export function runNumbers<W extends Place>(bench: Bench<W>, identity: NumberIdentity, key: Key): Outcome {
  const points = [0, 1, ...uniforms(key, Math.max(2, 2 * bench.cases - 2))];
  let worst = 0;
  let failing: number | undefined;
  for (const point of points) {
    const residual = identity.residual(point);
    if (worse(residual, worst) && !Number.isNaN(worst)) worst = residual;
    else continue;
    if (fails(residual, identity.tolerance)) failing = point;
  }
  const outcome = { cases: points.length, worst, tolerance: identity.tolerance };
  if (failing === undefined) return outcome;
  const candidates = [0, 1, 0.5, ...[1, 2, 3, 4].map((digits) => Number((failing ?? 0).toFixed(digits)))];
  const simplest = candidates.find((point) => fails(identity.residual(point), identity.tolerance)) ?? failing;
  return {
    ...outcome,
    counterexample: {
      residual: identity.residual(simplest),
      ...(identity.of === undefined ? {} : { [identity.of]: simplest }),
    },
  };
}

/** Averages of draws, in standard errors. */
export async function runDraws<W extends Place>(
  bench: Bench<W>,
  identity: DrawnIdentity<W>,
  key: Key,
): Promise<Outcome> {
  const world = bench.worlds[0] as W; // there are two
  const compiled = await compile(
    fn({ key: u32(2) }, ({ key }) => identity.averages(key, world)),
    { device: bench.device, name: "verify" },
  );
  try {
    const outputs = await compiled.run({ key: Uint32Array.from(key) });
    const read = async (value: DeviceValue): Promise<readonly number[]> => toNumbers(await value.read());
    const [found, expected, deviation] = [
      await read(outputs.found),
      await read(outputs.expected),
      await read(outputs.deviation),
    ];
    disposeTree(outputs);
    const errors = found.map(
      // Rates are taken by differences, and averages in single precision are rounded.
      (_, i) =>
        (deviation[i] ?? NaN) / Math.sqrt(identity.draws) +
        (isExact(bench.device) ? 1e-6 : 1e-5) * (1 + Math.abs(expected[i] ?? NaN)),
    );
    const residuals = found.map((value, i) => Math.abs(value - (expected[i] ?? NaN)) / (errors[i] ?? NaN));
    const index = residuals.reduce((at, residual, i) => (worse(residual, residuals[at] ?? 0) ? i : at), 0);
    const worst = residuals[index] ?? NaN;
    const outcome = { cases: identity.draws, worst, tolerance: STANDARD_ERRORS };
    if (!fails(worst, STANDARD_ERRORS)) return outcome;
    return {
      ...outcome,
      counterexample: {
        "average of": identity.of[index] ?? "",
        found: found[index] ?? NaN,
        expected: expected[index] ?? NaN,
        "standard error": errors[index] ?? NaN,
      },
    };
  } finally {
    await compiled.dispose();
  }
}

/** The key of an identity: by its name, so that one that is added does not change the others' cases. */
export function keyOfIdentity(seed: number, name: string): Key {
  const code = Array.from(name).reduce(
    (hash, letter) => (hash * 31 + (letter.codePointAt(0) ?? 0)) % 2 ** 31,
    7,
  );
  return fold(keyOf(seed), code);
}
