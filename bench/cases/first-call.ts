/**
 * How long the quick demo's FLM step takes on webgpu until it has run once, beyond what it takes from then on; and the same of the MLP step
 * of mlp.ts, by Fluxion and by jax-js. Every call has a process of its own, and they take turns.
 *
 * The first time, the driver must compile every kernel: its cache is off. Later it finds what another process has left there.
 *
 * Consumed by benchmarks.ts.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { PhaseBenchmark, Scale } from "../benchmark.ts";
import { agree } from "../case.ts";
import type { Phases } from "../case.ts";
import { lineOf } from "../contenders.ts";
import { togetherMs } from "../report.ts";
import { firstCall } from "../webgpu/first-call.ts";
import type { FirstCall, FirstCallOf } from "../webgpu/first-call.ts";
import { sizesOf, stepOptions } from "../webgpu/flm-step.ts";

const CALLS: readonly FirstCallOf[] = ["flm", "mlp by jax-js", "mlp"];
/** Of first calls; there is one later call, of the FLM step. */
const REPETITIONS = 3;
/** Milliseconds after which a process is given up. */
const PATIENCE = 300_000;

type Environment = Readonly<Record<string, string>>;

/** Mesa's cache and NVIDIA's, off. */
const NO_CACHE: Environment = { MESA_SHADER_CACHE_DISABLE: "true", __GL_SHADER_DISK_CACHE: "0" };
/** The same in a folder, on. */
const cacheAt = (folder: string): Environment => ({
  MESA_SHADER_CACHE_DISABLE: "false",
  MESA_SHADER_CACHE_DIR: folder,
  __GL_SHADER_DISK_CACHE: "1",
  __GL_SHADER_DISK_CACHE_PATH: folder,
});

async function inProcess(
  of: FirstCallOf,
  adapter: string | undefined,
  environment: Environment,
): Promise<FirstCall> {
  // The compiled file: this runs where the benchmarks are compiled, the tests do not get here.
  const script = fileURLToPath(new URL("../webgpu/first-call-process.js", import.meta.url));
  const args = [script, of, "full", ...(adapter === undefined ? [] : [adapter])];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, ...environment },
    timeout: PATIENCE,
  });
  return JSON.parse(stdout) as FirstCall;
}

/** Calls of one kind, or why there are none. */
interface Calls {
  readonly first: FirstCall[];
  readonly later: FirstCall[];
  error?: string;
}

async function callAll(scale: Scale, adapter: string | undefined): Promise<ReadonlyMap<FirstCallOf, Calls>> {
  const all = new Map(CALLS.map((of): [FirstCallOf, Calls] => [of, { first: [], later: [] }]));
  const turn = async (call: (of: FirstCallOf, calls: Calls) => Promise<void>): Promise<void> => {
    for (const [of, calls] of all) {
      if (calls.error !== undefined) continue;
      await call(of, calls).catch((error: unknown) => {
        if (of !== "mlp by jax-js") throw error;
        calls.error =
          (error as { readonly killed?: boolean }).killed === true
            ? `not done after ${PATIENCE / 1000} s`
            : lineOf(error); // of a process
      });
    }
  };
  if (scale === "tiny") {
    await turn(async (of, { first }) => void first.push(await firstCall(of, scale, adapter)));
    return all;
  }
  for (let i = 0; i < REPETITIONS; i++)
    await turn(async (of, { first }) => void first.push(await inProcess(of, adapter, NO_CACHE)));
  const cache = await mkdtemp(join(tmpdir(), "fluxion-kernels-"));
  try {
    await inProcess("flm", adapter, cacheAt(cache));
    all.get("flm")?.later.push(await inProcess("flm", adapter, cacheAt(cache)));
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
  return all;
}

const LATER = "later: with the driver's compiled kernels of another process";

export const firstCallBenchmark: PhaseBenchmark = {
  kind: "phases",
  name: "first-call",
  async measure(scale, adapter) {
    const all = await callAll(scale, adapter);
    const options = stepOptions(scale === "tiny" ? "tiny" : "quick");
    for (const { loss } of all.get("flm")?.first ?? [])
      agree("the first loss with ln(vocab)", [loss], [Math.log(options.network.vocab)], 1e-5);
    const losses = [...(all.get("mlp")?.first ?? []), ...(all.get("mlp by jax-js")?.first ?? [])];
    for (const { loss } of losses) agree("the first loss of the MLP", [loss], [losses[0]?.loss ?? Number.NaN], 1e-5); // prettier-ignore

    const phasesOf = (calls: readonly FirstCall[]) => calls.map(({ phases }) => phases);
    const theirs = togetherMs(phasesOf(all.get("mlp by jax-js")?.first ?? []));
    return [...all].map(([of, { first, later, error }]): Phases => {
      const what = of === "flm" ? `the quick demo's FLM step, ${sizesOf(options)}` : "the MLP step of `mlp`";
      const ours = togetherMs(phasesOf(first));
      return {
        name: of === "flm" ? "first-call" : `first-call, ${of}`,
        what: `${what}${later.length === 0 ? "" : `; ${LATER}`}${error === undefined ? "" : `; absent: ${error}`}`,
        first: phasesOf(first),
        later: phasesOf(later),
        ...(of === "flm" ? { aim: 20_000 } : {}),
        facts: {
          ...first[0]?.facts,
          ...(of === "mlp by jax-js" || Number.isNaN(theirs)
            ? {}
            : { "times that of the MLP step by jax-js": ours / theirs }),
        },
      };
    });
  },
};
