/**
 * What a kernel costs the host. Only the asking is timed, from the call until it returns, with an idle GPU at its beginning. Once without
 * the submits, in which the browser's or Dawn's own code and the driver do their part: that is what JavaScript costs. And once with them.
 *
 * Asked for are a chain of products of tiny matrices, of which each needs the one before, so nothing can be fused; and, of Fluxion alone,
 * the demo's FLM step: on the GPU, and where none computes.
 *
 * Consumed by benchmarks.ts.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { f32Tensor } from "../numbers.ts";
import { FLUXION } from "../fluxion.ts";
import { first, ratiosOf } from "../peers.ts";
import type { Peers } from "../peers.ts";
import type { WebGpuDevice } from "../../src/runtime/webgpu/device.ts";
import { openNullDevice } from "../webgpu/null-device.ts";
import { CHAIN_SIZE, chainOf, ROTATION } from "../webgpu/chain.ts";
import {
  initialState,
  loadStep,
  rowsOf,
  sizesOf,
  stepOptions,
  traceStep,
  trainingOf,
} from "../webgpu/flm-step.ts";

type Gpu = NonNullable<Peers["gpu"]>;

/** What JavaScript may cost, in microseconds. */
const AIM = 3;

function gpuOf({ gpu }: Peers): Gpu {
  if (gpu === undefined) throw new Error("Calls to a GPU are counted where there is one.");
  return gpu;
}

/**
 * Something that is asked for. `ask` gives what has to be let go of once it is there.
 * @param submits whether the time of submits counts
 */
function asking(
  { submitMs }: Gpu,
  submits: boolean,
  ask: () => (() => void | Promise<void>) | Promise<() => void | Promise<void>>,
): Pick<Awaited<ReturnType<Candidate["prepare"]>>, "run" | "settle"> {
  const results: (() => void | Promise<void>)[] = [];
  const work = async (): Promise<void> => void results.push(await ask());
  return {
    run: () => (submits ? work() : submitMs(work)),
    settle: async () => {
      for (const release of results.splice(0)) await release();
    },
  };
}

async function prepareChain(length: number, submits: boolean, peers: Peers): Promise<Comparison> {
  const gpu = gpuOf(peers);
  const shape = [CHAIN_SIZE, CHAIN_SIZE];
  const ours: Candidate = {
    name: FLUXION,
    prepare: async () => {
      const { device, finished } = first(peers);
      const executable = await device.compile(chainOf(length), { name: "the chain" });
      const rotation = device.upload(f32Tensor(shape, ROTATION));
      const run = async () => {
        const [result] = await executable.run([rotation]);
        if (result === undefined) throw new Error("The chain has no result.");
        return result;
      };
      return {
        ...asking(gpu, submits, async () => {
          const result = await run();
          return async () => {
            await finished();
            result.dispose();
          };
        }),
        values: async () => {
          const result = await run();
          const { data } = await result.read();
          result.dispose();
          return [data];
        },
        dispose: async () => {
          rotation.dispose();
          await executable.dispose();
        },
      };
    },
  };
  const onJax: Candidate = {
    name: peers.jax,
    prepare: async () => {
      const np = jax.numpy;
      const w = np.array(ROTATION, { shape });
      const chain = jax.jit((w: jax.Array) => {
        let x = w.ref;
        for (let i = 0; i < length; i++) x = np.matmul(x, w.ref);
        w.dispose();
        return x;
      });
      return {
        ...asking(gpu, submits, async () => {
          // It puts everything off until a result is waited for, and then submits all of it before anything else can run.
          const result = chain(w.ref).blockUntilReady();
          await new Promise((resolve) => setImmediate(resolve));
          return async () => (await result).dispose();
        }),
        values: async () => [await chain(w.ref).data()],
        dispose: async () => w.dispose(),
      };
    },
  };
  const onTf: Candidate = {
    name: peers.tfjs.name,
    prepare: async () => {
      const matrix = tf.tensor2d(ROTATION, [CHAIN_SIZE, CHAIN_SIZE]);
      const run = (): tf.Tensor2D =>
        tf.tidy(() => {
          let x = matrix;
          for (let i = 0; i < length; i++) x = tf.matMul(x, matrix);
          return x;
        });
      return {
        ...asking(gpu, submits, () => {
          const result = run();
          return async () => {
            await peers.tfjs.finished();
            result.dispose();
          };
        }),
        values: async () => {
          const result = run();
          const values = await result.data();
          result.dispose();
          return [values];
        },
        dispose: async () => matrix.dispose(),
      };
    },
  };
  return compare(peers, {
    name: submits ? "dispatch and submit" : "dispatch",
    what: `asking for ${length} products of [${CHAIN_SIZE},${CHAIN_SIZE}] matrices, one after the other; their computation is not timed${submits ? "" : ", and neither are submits"}`,
    candidates: [ours, onJax, onTf],
    checks: [{ what: "the product", tolerance: 1e-4 }],
    ratios: ratiosOf({ ...peers, engines: [] }),
    bounds: submits ? { submits: 1 } : { submits: 1, microsecondsPerDispatch: AIM },
    perDispatch: true,
  });
}

/** Its sizes do not matter to the host; a software adapter needs small ones to be done. */
const sizeFor = (scale: Scale, { gpu }: Gpu) =>
  stepOptions(scale === "tiny" ? "tiny" : gpu.software ? "quick" : "default");

/** The demo's step on a device, replayed: its state stays on the GPU, and its loss is not read. */
async function trainingOn(device: WebGpuDevice, options: ReturnType<typeof stepOptions>) {
  const state = await initialState(device, options);
  return trainingOf(
    device,
    await loadStep(device, await traceStep(options), { donate: true }),
    state,
    rowsOf(options),
  );
}

/**
 * The demo's step where nothing computes. A software adapter works on the cores that ask it, and leaves nothing of the asking in their
 * caches; a GPU does not.
 */
async function prepareStepAlone(scale: Scale, peers: Peers): Promise<Comparison> {
  const gpu = gpuOf(peers);
  const options = sizeFor(scale, gpu);
  return compare(peers, {
    name: "dispatch, FLM step on no GPU",
    what: `asking Dawn's null backend, which computes nothing, for the demo's FLM step, ${sizesOf(options)}; without submits`,
    candidates: [
      {
        name: FLUXION,
        prepare: async () => {
          const device = await openNullDevice();
          const training = await trainingOn(device, options);
          return {
            ...asking(gpu, false, async () => {
              await training.replay();
              return () => device.context.gpu.device.queue.onSubmittedWorkDone();
            }),
            dispose: async () => {
              await training.dispose();
              await device.dispose();
            },
          };
        },
      },
    ],
    checks: [],
    ratios: [],
    bounds: { submits: 1, microsecondsPerDispatch: AIM },
    perDispatch: true,
  });
}

async function prepareStep(scale: Scale, peers: Peers): Promise<Comparison> {
  const gpu = gpuOf(peers);
  const options = sizeFor(scale, gpu);
  const training = await trainingOn(gpu.device, options);
  const asked = (submits: boolean, ask: () => Promise<void>) =>
    asking(gpu, submits, async () => {
      await ask();
      return () => first(peers).finished();
    });
  return compare(peers, {
    name: "dispatch, FLM step",
    what: `asking for the demo's FLM step, ${sizesOf(options)}; its computation is not timed, and submits only where it says so`,
    candidates: [
      {
        name: FLUXION,
        prepare: async () => ({
          ...asked(false, training.replay),
          values: async () => [[await training.step()]],
          dispose: training.dispose,
        }),
      },
      {
        name: `${FLUXION}, with uploads of a batch and submits`,
        prepare: async () => ({
          ...asked(true, async () => {
            training.upload();
            await training.replay();
          }),
          dispose: async () => undefined,
        }),
      },
    ],
    checks: [{ what: "the first loss", tolerance: 1e-4 }],
    expected: { from: "ln(vocabulary)", values: [[Math.log(options.network.vocab)]] },
    ratios: [],
    bounds: { submits: 1, ...(gpu.gpu.software ? {} : { microsecondsPerDispatch: AIM }) },
    perDispatch: true,
  });
}

export const dispatchBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "dispatch",
  comparisons: (scale, peers) => [
    // A long chain for the price of a dispatch, a short one for that of asking at all.
    () => prepareChain(scale === "full" ? 2048 : 8, false, peers),
    () => prepareChain(scale === "full" ? 256 : 8, true, peers),
    () => prepareStep(scale, peers),
    () => prepareStepAlone(scale, peers),
  ],
};
