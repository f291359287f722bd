/**
 * A step of FLM's training as our program on one device, as the cases time it: from given weights, with the noise given or drawn.
 *
 * Consumed by flm.ts, flm-devices.ts and, in a browser, tfjs/page.ts: so nothing of Node is imported here.
 */
import { f32, fn, i32, outputSpec, unflatten, valueAndGrad } from "../../src/dsl/index.ts";
import type { Fn, SpecOf } from "../../src/dsl/index.ts";
import { hostTensor } from "../../src/compiler/host-tensor.ts";
import { fold, key, uniforms } from "../../src/models/flow/host-random.ts";
import { flmLoss } from "../../src/models/language/flm.ts";
import { dit } from "../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../src/models/networks/dit.ts";
import { flmStep, initFlm } from "../../src/models/training/programs.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { freshState, updateState, weightsLayout, weightsSpec } from "../../src/models/training/state.ts";
import type { TrainingState } from "../../src/models/training/state.ts";
import { keyData } from "../../src/models/training/batches.ts";
import { compile, disposeTree, uploadTree } from "../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import type { Candidate } from "../contenders.ts";
import { normal } from "../numbers.ts";
import { usedWeights } from "../weights.ts";
import type { NamedWeight } from "../weights.ts";

export const LEARNING_RATE = 1e-3;
/** Steps whose losses and norms are compared. */
const CHECKED_STEPS = 4;
export const CHECK = {
  what: `losses and gradient norms of ${CHECKED_STEPS} steps`,
  tolerance: 1e-4,
} as const;

/** What a step reports. */
export interface Report {
  readonly loss: number;
  readonly gradientNorm: number;
}

export interface Stepper {
  /** With `ms`, it knows better than its caller how long it took. */
  step(): Promise<Report & { readonly ms?: number }>;
  /** As a contender's. */
  processorTime?(): number;
  dispose(): Promise<void>;
}

type AnyFn = Fn<Record<string, never>, Record<string, never>>;
const untyped = (f: unknown): AnyFn => f as AnyFn; // sizes and structure are checked when it is traced

/** The step with its noise as an input; otherwise that of src/models/training/programs.ts. */
function stepFromNoise(options: ModelOptions, state: SpecOf<TrainingState>): AnyFn {
  const { batch, network: config } = options;
  const network = dit(config);
  const layout = weightsLayout(config);
  const rows = {
    tokens: i32(batch, config.length),
    noise: f32(batch, config.length, config.vocab),
    tau: f32(batch),
    t: f32(batch),
  };
  return untyped(
    fn({ state, ...rows, learningRate: f32() }, (input) => {
      const before = input.state as unknown as TrainingState; // made from that program's specification
      const { value, grad } = valueAndGrad((params: DitParams) => flmLoss(network, params, input))(
        layout.unpack(before.params),
      );
      const after = updateState(before, grad, input.learningRate, layout, options);
      return { ...after, loss: value };
    }),
  );
}

interface Batch {
  readonly tokens: Int32Array;
  readonly noise: Float32Array;
  readonly tau: Float32Array;
  readonly t: Float32Array;
}

function batchOf({ vocab, length }: DitConfig, rows: number): Batch {
  const seed = key(7);
  return {
    tokens: Int32Array.from(uniforms(fold(seed, 0), rows * length), (u) => Math.floor(u * vocab)),
    noise: normal(8, rows * length * vocab),
    tau: Float32Array.from(uniforms(fold(seed, 1), rows)),
    t: Float32Array.from(uniforms(fold(seed, 2), rows)),
  };
}

/** What all contenders start from. */
export interface Problem {
  readonly options: ModelOptions;
  readonly batch: Batch;
  readonly spec: SpecOf<TrainingState>;
  readonly weights: readonly NamedWeight[];
}

export function problemOf(options: ModelOptions): Problem {
  const spec = outputSpec(initFlm(options) as Fn<never, TrainingState>);
  return {
    options,
    batch: batchOf(options.network, options.batch),
    spec,
    weights: usedWeights(options.network),
  };
}

/** Which of our steps, see the head of this file. */
export type Variant = "noise given" | "noise drawn" | "projected";

export async function fluxion(
  { options, batch, spec, weights }: Problem,
  device: Device,
  variant: Variant,
): Promise<Stepper> {
  const layout = weightsLayout(options.network);
  const { tree } = layout;
  const start = fn({ params: weightsSpec(options.network) }, (input) =>
    freshState(input.params as unknown as DitParams, layout, options),
  );
  const first = await compile(untyped(start), { device });
  const given: unknown = unflatten(
    tree,
    weights.map(({ shape, data }) => hostTensor("f32", shape, data)),
  );
  let state: unknown = await first.run({ params: uploadTree(device, given) as unknown } as never);
  await first.dispose();
  const space = variant === "projected" ? "projected" : "vocabulary";
  const step =
    variant === "noise given" ? stepFromNoise(options, spec) : untyped(flmStep({ ...options, space }, spec));
  const program = await compile(step, { device, donate: ["state"], name: "the FLM step" });
  const { noise, ...rows } = batch;
  const size = [options.batch, options.network.length, options.network.vocab];
  const held = variant === "noise given" ? { noise: device.upload(hostTensor("f32", size, noise)) } : {};
  let count = 0;
  return {
    step: async () => {
      const random = variant === "noise given" ? held : { key: keyData(fold(key(9), count++)) };
      const output = (await program.run({
        state,
        ...rows,
        ...random,
        learningRate: LEARNING_RATE,
      } as never)) as unknown as Outputs;
      state = output.state;
      const [loss, gradientNorm] = await Promise.all([output.loss.read(), output.gradientNorm.read()]);
      disposeTree([output.loss, output.gradientNorm]);
      return { loss: loss.data[0] ?? Number.NaN, gradientNorm: gradientNorm.data[0] ?? Number.NaN };
    },
    dispose: async () => {
      disposeTree([state, held]);
      await program.dispose();
    },
  };
}

interface Outputs {
  readonly state: unknown;
  readonly loss: DeviceValue;
  readonly gradientNorm: DeviceValue;
}

async function reports(stepper: Stepper): Promise<readonly number[]> {
  const found: number[] = [];
  for (let i = 0; i < CHECKED_STEPS; i++) {
    const { loss, gradientNorm } = await stepper.step();
    found.push(loss, gradientNorm);
  }
  return found;
}

/**
 * @param compared whether it does the same arithmetic as the others, so that it must report the same
 * @param note what is to be known of it
 */
export const stepCandidate = (
  name: string,
  make: () => Promise<Stepper>,
  { compared = true, note }: { readonly compared?: boolean; readonly note?: string } = {},
): Candidate => ({
  name,
  prepare: async () => {
    const stepper = await make();
    return {
      ...(note === undefined ? {} : { note }),
      run: async () => {
        const start = performance.now();
        const { ms } = await stepper.step();
        return ms === undefined ? 0 : performance.now() - start - ms;
      },
      ...(stepper.processorTime && { processorTime: stepper.processorTime }),
      ...(compared ? { values: async () => [await reports(stepper)] } : {}),
      dispose: () => stepper.dispose(),
    };
  },
});
