/**
 * Verifies a declared flow, flow map or spherical flow on the exact flow of a small corpus, on a device: every identity that applies, the worst case, and
 * for what fails a simple counterexample and the usual cause. Browser-safe.
 *
 * Consumed by users as `verifyFlow`, and by `fluxion verify`.
 */
import type { FlowMap } from "../../models/flow/flow-map.ts";
import type { Flow } from "../../models/flow/flow.ts";
import { sphericalLooks } from "../../models/flow/sphere/verify/looks.ts";
import type { Variant } from "../../models/flow/variant.ts";
import { agreementValues } from "../../models/flow/verify/agreement.ts";
import { identitiesOf } from "../../models/flow/verify/identities.ts";
import type { ClaimedSampler } from "../../models/flow/verify/identities.ts";
import type { Family, Identity, Looks, Place, World } from "../../models/flow/verify/identity.ts";
import { REGIMES } from "../../models/flow/verify/regimes.ts";
import { endOf, viewOf } from "../../models/flow/verify/view.ts";
import { worldsOf } from "../../models/flow/verify/world.ts";
import type { Device } from "../device.ts";
import { openInterpreter } from "../interpreter-device.ts";
import { DeviceLostError, OutOfMemoryError } from "../webgpu/errors.ts";
import { drawCases } from "./cases.ts";
import { hostPath } from "./path.ts";
import type { IdentityResult, VerifyReport } from "./report.ts";
import { compileRows, isExact, keyOfIdentity, runDraws, runNumbers, runStates } from "./run.ts";
import type { Bench, Outcome } from "./run.ts";

export interface VerifyOptions {
  /** Where residuals are computed: by default in the interpreter, in double precision. */
  readonly device?: Device;
  /** Cases of each identity in each of two worlds; 16 by default. */
  readonly cases?: number;
  /** Whole number from 0; 0 by default. The same seed draws the same cases. */
  readonly seed?: number;
  /** Families to look at; all by default. */
  readonly families?: readonly Family[];
  /** Samplers that claim an order of convergence, or to keep the law of states, to be looked at besides those that come with the project. */
  readonly samplers?: readonly ClaimedSampler[];
  /** Called before each identity. */
  readonly onIdentity?: (name: string, index: number, total: number) => void;
  /** Called with what made it impossible to compute an identity: the report has its message alone, and an error has a stack. */
  readonly onError?: (name: string, error: Error) => void;
}

/** A device's numbers and the interpreter's, as a share of 1 + the larger. */
const AGREEMENT = 2e-2;

/**
 * Checks a variant. What does not apply to it is listed with the reason.
 * @throws RangeError unless cases is a whole number of at least 1 and seed one of at least 0; DeviceLostError and OutOfMemoryError as
 *   the device does
 */
export async function verifyFlow(variant: Variant, options: VerifyOptions = {}): Promise<VerifyReport> {
  return variant.kind === "spherical flow"
    ? verified(variant, sphericalLooks(variant), options)
    : verified(variant, straightLooks(variant, options.samplers), options);
}

function straightLooks(variant: Flow | FlowMap, samplers: VerifyOptions["samplers"]): Looks<World> {
  const view = viewOf(variant, hostPath);
  const flow = view.variant.kind === "flow" ? view.variant : view.variant.flow;
  return {
    checks: identitiesOf(view, samplers),
    flow,
    worlds: worldsOf(flow, view.breaks),
    latest: view.latest,
    agreement: (cases, world) => agreementValues(view.variant, cases, world),
  };
}

async function verified<W extends Place>(
  variant: Variant,
  looks: Looks<W>,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { cases = 16, seed = 0, families } = options;
  if (!Number.isSafeInteger(cases) || cases < 1)
    throw new RangeError(`verifyFlow needs at least one case, whole, got ${cases}.`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`verifyFlow needs a seed that is a whole number from 0, got ${seed}.`);
  const { identities: all, leftOut } = looks.checks;
  const wanted = (family: Family): boolean => families === undefined || families.includes(family);
  const identities = all.filter(({ family }) => wanted(family));
  const device = options.device ?? openInterpreter();
  const path = hostPath(looks.flow.interpolant);
  const bench: Bench<W> = {
    device,
    flow: looks.flow,
    worlds: looks.worlds,
    path,
    latest: looks.latest,
    end: endOf(path),
    cases,
    seed,
    compiled: new Map(),
  };
  const compares = !isExact(device);
  const total = identities.length + (compares ? 1 : 0);
  const results: IdentityResult[] = [];
  try {
    for (const [i, identity] of identities.entries()) {
      options.onIdentity?.(identity.name, i, total);
      results.push(await guarded(identity, options, () => outcomeOf(bench, identity)));
    }
    if (compares) {
      options.onIdentity?.(AGREES.name, identities.length, total);
      results.push(await guarded(AGREES, options, () => agreement(bench, looks)));
    }
  } finally {
    for (const byWorld of bench.compiled.values()) for (const rows of byWorld.values()) await rows.dispose();
    if (options.device === undefined) await device.dispose();
  }
  return {
    variant: variant.name,
    kind: variant.kind,
    device: device.name,
    seed,
    passed: results.every(({ passed }) => passed),
    results,
    leftOut: leftOut.filter(({ family }) => wanted(family)),
  };
}

type About = Pick<IdentityResult, "family" | "name" | "formula"> & { readonly cause: string };

const AGREES: About = {
  family: "device",
  name: "device agreement",
  formula: "ψ, b and the target on the device = in the interpreter",
  cause:
    "Values too large or too small for single precision, or a mistake in the device: please report it with the variant.",
};

/** An identity that cannot be computed fails, with what the declaration threw. */
async function guarded(
  about: About,
  { onError }: VerifyOptions,
  run: () => Promise<Outcome>,
): Promise<IdentityResult> {
  const { family, name, formula, cause } = about;
  try {
    const { cases, worst, tolerance, counterexample } = await run();
    const passed = worst <= tolerance;
    return {
      family,
      name,
      formula,
      cases,
      worst,
      tolerance,
      passed,
      ...(passed ? {} : { cause }),
      ...(counterexample === undefined ? {} : { counterexample }),
    };
  } catch (error) {
    if (!(error instanceof Error) || error instanceof DeviceLostError || error instanceof OutOfMemoryError)
      throw error;
    onError?.(name, error);
    return {
      family,
      name,
      formula,
      cases: 0,
      worst: null,
      tolerance: 0,
      passed: false,
      // What was thrown says why; what usually is the cause of a wrong number is not the cause of it.
      error: error.message,
    };
  }
}

function outcomeOf<W extends Place>(bench: Bench<W>, identity: Identity<W>): Promise<Outcome> {
  const key = keyOfIdentity(bench.seed, identity.name);
  switch (identity.kind) {
    case "states":
      return runStates(bench, identity, key);
    case "numbers":
      // A promise even where it throws.
      return new Promise((resolve) => resolve(runNumbers(bench, identity, key)));
    case "draws":
      return runDraws(bench, identity, key);
  }
}

/** The same programs on the device and in the interpreter. */
async function agreement<W extends Place>(bench: Bench<W>, looks: Looks<W>): Promise<Outcome> {
  const world = bench.worlds[0];
  if (world === undefined) throw new Error("There is no world to compare devices in.");
  const cases = drawCases(keyOfIdentity(bench.seed, AGREES.name), bench.cases, bench.flow, world, {
    regime: REGIMES.apart,
    latest: bench.latest,
    path: bench.path,
  });
  const interpreter = openInterpreter();
  const values: (readonly (readonly number[])[])[] = [];
  for (const device of [bench.device, interpreter]) {
    const rows = await compileRows({ ...bench, device }, world, (given) => looks.agreement(given, world));
    values.push(await rows.run(cases));
    await rows.dispose();
  }
  await interpreter.dispose();
  const [found = [], expected = []] = values;
  const gaps = expected.map((row, i) => {
    const size = 1 + Math.max(...row.map(Math.abs));
    return Math.max(...row.map((value, j) => Math.abs(value - (found[i]?.[j] ?? NaN)))) / size;
  });
  const worst = gaps.reduce((most, gap) => (Number.isNaN(gap) || gap > most ? gap : most), 0);
  return { cases: cases.length, worst, tolerance: AGREEMENT };
}
