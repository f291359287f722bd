/**
 * One Adam step of a multilayer perceptron on mean squared error, the loss read back after every step. Consumed by benchmarks.ts, and
 * by the timing of first calls.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import {
  f32,
  fn,
  mean,
  nn,
  optim,
  outputSpec,
  relu,
  square,
  sub,
  valueAndGrad,
} from "../../src/dsl/index.ts";
import type { Fn, SpecOf, Tensor } from "../../src/dsl/index.ts";
import { compile, disposeTree, uploadTree } from "../../src/runtime/compile.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import type { ComparisonBenchmark, Scale } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { f32Tensor, normal } from "../numbers.ts";
import { ratiosOf } from "../peers.ts";
import type { Peers } from "../peers.ts";

interface Sizes {
  readonly batch: number;
  /** Width of the input, of every hidden layer, and of the output. */
  readonly widths: readonly number[];
}

/** What every contender starts from. */
interface Problem extends Sizes {
  readonly layers: readonly {
    readonly weight: Float32Array;
    readonly bias: Float32Array;
    readonly inputs: number;
    readonly outputs: number;
  }[];
  readonly x: Float32Array;
  readonly y: Float32Array;
}

const ADAM = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 } as const;
/** Steps whose losses are compared. */
const CHECKED_STEPS = 5;

function problem(sizes: Sizes): Problem {
  const { batch, widths } = sizes;
  const layers = widths.slice(1).map((outputs, i) => {
    const inputs = widths[i] as number; // one layer per pair of neighbours
    return {
      inputs,
      outputs,
      weight: normal(i + 1, inputs * outputs, 1 / Math.sqrt(inputs)),
      bias: new Float32Array(outputs),
    };
  });
  return {
    ...sizes,
    layers,
    x: normal(100, batch * (widths[0] ?? 0)),
    y: normal(101, batch * (widths.at(-1) ?? 0)),
  };
}

/** Something that takes a step and tells the loss before it. */
interface Stepper {
  step(): Promise<number>;
  dispose(): Promise<void>;
}

type Params = readonly nn.LinearParams[];

const perceptron = (params: Params, x: Tensor): Tensor =>
  params.reduce<Tensor>((hidden, layer, i) => {
    const y: Tensor = nn.linear(layer, hidden);
    return i < params.length - 1 ? relu(y) : y;
  }, x);

async function fluxion({ batch, widths, layers, x, y }: Problem, device: Device): Promise<Stepper> {
  const optimizer = optim.adam(ADAM);
  const spec = layers.map(({ inputs, outputs }) => ({ weight: f32(outputs, inputs), bias: f32(outputs) }));
  const init = fn({ params: spec }, ({ params }) => ({
    params: params as Params,
    optimizer: optimizer.init(params as Params),
  }));
  const state = outputSpec(init) as SpecOf<{
    readonly params: Params;
    readonly optimizer: optim.OptimizerState<Params>;
  }>;
  const data = { x: f32(batch, widths[0] ?? 0), y: f32(batch, widths.at(-1) ?? 0) };
  const update = fn({ state, ...data, learningRate: f32() }, (input) => {
    // Specifications made from programs have forgotten the number of layers.
    const { params, optimizer: before } = input.state as unknown as {
      readonly params: Params;
      readonly optimizer: optim.OptimizerState<Params>;
    };
    const { value, grad } = valueAndGrad((p: Params): Tensor<[]> =>
      mean(square(sub(perceptron(p, input.x), input.y as Tensor))),
    )(params);
    const next = optimizer.update(grad, before, params, { learningRate: input.learningRate });
    return { state: { params: next.params, optimizer: next.state }, loss: value };
  });
  const start = await compile(init as Fn<never, unknown> as Fn<Record<string, never>, unknown>, { device });
  const weights = layers.map(({ weight, bias, inputs, outputs }) => ({
    weight: f32Tensor([outputs, inputs], transposed(weight, inputs, outputs)),
    bias: f32Tensor([outputs], bias),
  }));
  let current = (await start.run({ params: uploadTree(device, weights) } as never)) as unknown;
  await start.dispose();
  const program = await compile(update as Fn<never, unknown> as Fn<Record<string, never>, unknown>, {
    device,
    donate: ["state"],
    name: "the MLP step",
  });
  const fixed = uploadTree(device, {
    x: f32Tensor([batch, widths[0] ?? 0], x),
    y: f32Tensor([batch, widths.at(-1) ?? 0], y),
    learningRate: f32Tensor([], Float32Array.of(ADAM.learningRate)),
  });
  return {
    step: async () => {
      const { state: next, loss } = (await program.run({ state: current, ...fixed } as never)) as unknown as {
        readonly state: unknown;
        readonly loss: DeviceValue;
      };
      current = next;
      const { data: value } = await loss.read();
      loss.dispose();
      return value[0] ?? Number.NaN;
    },
    dispose: async () => {
      disposeTree(current);
      disposeTree(fixed);
      await program.dispose();
    },
  };
}

/** A weight [in, out] as [out, in]. */
const transposed = (weight: Float32Array, inputs: number, outputs: number): Float32Array =>
  Float32Array.from(weight, (_, n) => weight[(n % inputs) * outputs + Math.floor(n / inputs)] as number);

function jaxJs({ batch, widths, layers, x, y }: Problem): Stepper {
  const np = jax.numpy;
  type Tree = jax.Array[];
  const params: Tree = layers.flatMap(({ weight, bias, inputs, outputs }) => [
    np.array(weight, { shape: [inputs, outputs] }),
    np.array(bias),
  ]);
  const zeros = (): Tree => params.map((p) => np.zeros(p.shape));
  const loss = (p: Tree, input: jax.Array, target: jax.Array): jax.Array => {
    let hidden = input;
    for (let i = 0; i < p.length; i += 2) {
      hidden = np.matmul(hidden, p[i] as jax.Array).add(p[i + 1] as jax.Array);
      if (i < p.length - 2) hidden = jax.nn.relu(hidden);
    }
    return np.square(hidden.sub(target)).mean();
  };
  const step = jax.jit((p: Tree, m: Tree, v: Tree, count: jax.Array, input: jax.Array, target: jax.Array) => {
    const [value, grads] = jax.valueAndGrad(loss)(jax.tree.ref(p), input, target);
    const { beta1, beta2, eps, learningRate } = ADAM;
    const now = count.add(1);
    const [c1, c2] = [np.subtract(1, np.power(beta1, now.ref)), np.subtract(1, np.power(beta2, now.ref))];
    const mean_ = m.map((one, i) => one.mul(beta1).add((grads[i] as jax.Array).ref.mul(1 - beta1)));
    const variance = v.map((one, i) => one.mul(beta2).add(np.square(grads[i] as jax.Array).mul(1 - beta2)));
    const next = p.map((one, i) =>
      one.sub(
        (mean_[i] as jax.Array).ref
          .div(c1.ref)
          .mul(learningRate)
          .div(np.sqrt((variance[i] as jax.Array).ref.div(c2.ref)).add(eps)),
      ),
    );
    c1.dispose();
    c2.dispose();
    return [next, mean_, variance, now, value] as [Tree, Tree, Tree, jax.Array, jax.Array];
  });
  let state: [Tree, Tree, Tree, jax.Array] = [params, zeros(), zeros(), np.array(0, { dtype: np.float32 })];
  const [input, target] = [
    np.array(x, { shape: [batch, widths[0] ?? 0] }),
    np.array(y, { shape: [batch, widths.at(-1) ?? 0] }),
  ];
  return {
    step: async () => {
      const [p, m, v, count, value] = step(...state, input.ref, target.ref);
      state = [p, m, v, count];
      await jax.blockUntilReady(p);
      return (await value.data())[0] ?? Number.NaN;
    },
    dispose: async () => {
      jax.tree.dispose(state);
      input.dispose();
      target.dispose();
    },
  };
}

function tfjs({ batch, widths, layers, x, y }: Problem): Stepper {
  const params = layers.map(({ weight, bias, inputs, outputs }) => ({
    weight: tf.variable(tf.tensor2d(weight, [inputs, outputs])),
    bias: tf.variable(tf.tensor1d(bias)),
  }));
  const optimizer = tf.train.adam(ADAM.learningRate, ADAM.beta1, ADAM.beta2, ADAM.eps);
  const [input, target] = [
    tf.tensor2d(x, [batch, widths[0] ?? 0]),
    tf.tensor2d(y, [batch, widths.at(-1) ?? 0]),
  ];
  const loss = (): tf.Scalar => {
    const output = params.reduce<tf.Tensor>((hidden, { weight, bias }, i) => {
      const next = tf.add(tf.matMul(hidden as tf.Tensor2D, weight), bias);
      return i < params.length - 1 ? tf.relu(next) : next;
    }, input);
    return tf.mean(tf.square(tf.sub(output, target)));
  };
  return {
    step: async () => {
      const value = optimizer.minimize(loss, true);
      if (value === null) throw new Error("tfjs returned no loss");
      const [number] = await value.data();
      value.dispose();
      return number ?? Number.NaN;
    },
    dispose: async () => {
      optimizer.dispose();
      tf.dispose([input, target, ...params.flatMap(({ weight, bias }) => [weight, bias])]);
    },
  };
}

const losses = async (stepper: Stepper): Promise<readonly number[]> => {
  const found: number[] = [];
  for (let i = 0; i < CHECKED_STEPS; i++) found.push(await stepper.step());
  return found;
};

const candidate = (name: string, make: () => Promise<Stepper>): Candidate => ({
  name,
  prepare: async () => {
    const stepper = await make();
    return {
      run: async () => void (await stepper.step()),
      values: async () => [await losses(stepper)],
      dispose: () => stepper.dispose(),
    };
  },
});

async function prepare(sizes: Sizes, peers: Peers): Promise<Comparison> {
  const given = problem(sizes);
  return compare(peers, {
    name: "mlp",
    what: `an Adam step, batch ${sizes.batch}, ${sizes.widths.join("-")}, ReLU, mean squared error; the loss is read back`,
    candidates: [
      ...[...peers.ours, ...peers.engines].map(({ name, device }) =>
        candidate(name, () => fluxion(given, device)),
      ),
      candidate(peers.jax, async () => jaxJs(given)),
      candidate(peers.tfjs.name, async () => tfjs(given)),
    ],
    checks: [{ what: `the losses of ${CHECKED_STEPS} steps`, tolerance: 1e-5 }],
    ratios: ratiosOf(peers, (rival) => (rival === peers.jax ? 0.5 : undefined)),
    bounds: { submits: 1 },
  });
}

const sizesAt = (scale: Scale): Sizes =>
  scale === "full" ? { batch: 64, widths: [256, 512, 512, 256] } : { batch: 3, widths: [4, 6, 6, 4] };

/** The step of Fluxion or of jax-js, to be called once in a process of its own. */
export const mlpStep = async (scale: Scale, on: Device | "jax-js"): Promise<Stepper> => {
  const given = problem(sizesAt(scale));
  return on === "jax-js" ? jaxJs(given) : fluxion(given, on);
};

export const mlpBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "mlp",
  comparisons: (scale, peers) => [() => prepare(sizesAt(scale), peers)],
};
