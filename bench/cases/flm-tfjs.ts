/**
 * The FLM training step in tfjs ops, as a tfjs user would write it: the diffusion transformer of src/models/networks/dit.ts, the
 * FLM loss on states in R^vocab, gradients by `tf.variableGrads`, clipping, `tf.train.adam` and a moving average. Parameters go
 * by the paths that they have in our tree ("blocks.0.attention.qkv.weight").
 *
 * Where its time goes: whichever way weights lie, two of the three products of a linear layer (forward and two gradients) have a
 * transposed operand, and those are about twelve times slower than others on tfjs's WebAssembly backend. `tuned` gets around that
 * by a gradient of its own that writes the transposes out, as somebody who had profiled the step could do.
 *
 * Consumed by flm.ts, which checks that its losses are ours.
 */
import * as tf from "@tensorflow/tfjs";
import type { DitConfig } from "../../src/models/networks/dit.ts";
import { TIME_FEATURES } from "../../src/models/networks/dit.ts";

/** What a step is fed: tokens, clock times and times of every row; noise [batch, length, vocab], or null to draw it. */
export interface TfBatch {
  readonly tokens: tf.Tensor2D;
  readonly tau: tf.Tensor1D;
  readonly t: tf.Tensor1D;
  readonly noise: tf.Tensor3D | null;
}

export interface TfOptions {
  readonly network: DitConfig;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly clip: number;
  readonly emaDecay: number;
  readonly outputSoftcap: number;
  /** Whether products are written so that this backend is fast at them. */
  readonly tuned: boolean;
}

/** A parameter's initial value. */
export interface TfWeight {
  readonly path: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

interface Params {
  (path: string): tf.Tensor;
  /** The product of rows and a weight, x·Wᵀ. */
  readonly product: (x: tf.Tensor2D, weight: tf.Tensor2D) => tf.Tensor2D;
}

const plainProduct: Params["product"] = (x, weight) => tf.matMul(x, weight, false, true);

/** What tfjs hands to a function with a gradient of its own, after its operands: keeps tensors for the gradient. */
type Save = tf.GradSaveFunc;

/** x·Wᵀ with every transpose written out, forward and in the gradients. */
const tunedProduct: Params["product"] = (x, weight) => {
  const product = tf.customGrad<tf.Tensor2D>((...operands) => {
    const [rows, w, save] = operands as unknown as [tf.Tensor2D, tf.Tensor2D, Save]; // two operands are given below
    save([rows, w]);
    return {
      value: tf.matMul(rows, tf.transpose(w)),
      gradFunc: (dy, [savedRows, savedW]) => [
        tf.matMul(dy, savedW as tf.Tensor2D),
        tf.matMul(tf.transpose(dy), savedRows as tf.Tensor2D),
      ],
    };
  });
  return product(x, weight);
};

/** points·E with the transpose written out in the gradient in E; the points have none. */
const tunedEmbedding = (points: tf.Tensor2D, table: tf.Tensor2D): tf.Tensor2D => {
  const product = tf.customGrad<tf.Tensor2D>((...operands) => {
    const [e, save] = operands as unknown as [tf.Tensor2D, Save]; // one operand is given below
    save([points]);
    return {
      value: tf.matMul(points, e),
      gradFunc: (dy, [saved]) => [tf.matMul(tf.transpose(saved as tf.Tensor2D), dy)],
    };
  });
  return product(table);
};

const silu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

/** ½x(1 + tanh u) = x·σ(2u), u = √(2/π)(x + 0.044715x³). */
const gelu = (x: tf.Tensor): tf.Tensor => {
  const inner = tf.mul(
    x,
    tf.add(tf.mul(tf.square(x), 0.044715 * 2 * Math.sqrt(2 / Math.PI)), 2 * Math.sqrt(2 / Math.PI)),
  );
  return tf.mul(x, tf.sigmoid(inner));
};

/** As many tensors as a kernel of the webgpu backend may read. */
const TERMS = 7;

/** The sum of tensors of one shape, few at a time. */
function sumOf(terms: readonly tf.Tensor[]): tf.Tensor {
  if (terms.length <= TERMS) return tf.addN([...terms]);
  return sumOf([sumOf(terms.slice(0, TERMS)), ...terms.slice(TERMS)]);
}

const softcap = (x: tf.Tensor, cap: number): tf.Tensor =>
  cap === 0 ? x : tf.mul(tf.tanh(tf.mul(x, 1 / cap)), cap);

/** Rows through a weight [out, in]; leading axes are kept. */
function linear(params: Params, path: string, x: tf.Tensor, bias = true): tf.Tensor {
  const width = x.shape.at(-1) ?? 0;
  const y = params.product(tf.reshape(x, [-1, width]), params(`${path}.weight`) as tf.Tensor2D);
  const shifted = bias ? tf.add(y, params(`${path}.bias`)) : y;
  return tf.reshape(shifted, [...x.shape.slice(0, -1), y.shape[1] ?? 0]);
}

function layerNorm(params: Params, path: string, x: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), params(`${path}.weight`));
}

const modulate = (x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(x, tf.add(scale, 1)), shift);

/** `count` modulations [batch, 1, width] of the conditioning. */
function modulations(params: Params, path: string, condition: tf.Tensor, count: number): tf.Tensor[] {
  const all = linear(params, path, condition);
  const [batch, width] = [all.shape[0] ?? 0, (all.shape[1] ?? 0) / count];
  return tf.split(all, count, 1).map((part) => tf.reshape(part, [batch, 1, width]));
}

/** The network: hidden [batch, length, width], tau [batch] -> logits [batch, length, vocab]. */
function logits(
  params: Params,
  { network, frequencies, rotary }: Constants,
  hidden: tf.Tensor,
  tau: tf.Tensor1D,
): tf.Tensor {
  const { length, width, depth, heads } = network;
  const [batch, size] = [hidden.shape[0] ?? 0, width / heads];
  const angles = tf.mul(tf.expandDims(tau, 1), frequencies);
  const features = tf.concat([tf.cos(angles), tf.sin(angles)], 1);
  const condition = silu(linear(params, "time.out", silu(linear(params, "time.hidden", features))));

  const rotate = (x: tf.Tensor): tf.Tensor => {
    const [a, b] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
    const { cos, sin } = rotary;
    return tf.concat([tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))], -1);
  };
  const attention = (path: string, x: tf.Tensor): tf.Tensor => {
    const qkv = tf.reshape(linear(params, `${path}.qkv`, x, false), [batch, length, 3, heads, size]);
    const [q, k, v] = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4])) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const scores = softcap(
      tf.mul(tf.matMul(rotate(q), rotate(k), false, true), 1 / Math.sqrt(size)),
      network.attentionSoftcap ?? 50,
    );
    const mixed = tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]);
    return linear(params, `${path}.out`, tf.reshape(mixed, [batch, length, width]), false);
  };

  let x = hidden;
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulations(params, `${block}.modulation`, condition, 6) as [
      tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor,
    ]; // prettier-ignore
    const attended = attention(
      `${block}.attention`,
      modulate(layerNorm(params, `${block}.norm1`, x), shift1, scale1),
    );
    x = tf.add(x, tf.mul(gate1, attended));
    const inner = gelu(
      linear(params, `${block}.mlp.up`, modulate(layerNorm(params, `${block}.norm2`, x), shift2, scale2)),
    );
    x = tf.add(x, tf.mul(gate2, linear(params, `${block}.mlp.down`, inner)));
  }
  const [shift, scale] = modulations(params, "head.modulation", condition, 2) as [tf.Tensor, tf.Tensor];
  return linear(params, "head.linear", modulate(layerNorm(params, "head.norm", x), shift, scale));
}

/** Tables that do not change from step to step. */
interface Constants {
  readonly network: DitConfig;
  readonly frequencies: tf.Tensor2D;
  readonly rotary: { readonly cos: tf.Tensor2D; readonly sin: tf.Tensor2D };
}

function constantsOf(network: DitConfig): Constants {
  const half = TIME_FEATURES / 2;
  const frequencies = tf.tensor2d(
    Float32Array.from({ length: half }, (_, k) => 10_000 ** (-k / half)),
    [1, half],
  );
  const pairs = network.width / network.heads / 2;
  const angles = Float64Array.from(
    { length: network.length * pairs },
    (_, n) => Math.floor(n / pairs) * 10_000 ** (-(n % pairs) / pairs),
  );
  const table = (f: (angle: number) => number): tf.Tensor2D =>
    tf.tensor2d(Float32Array.from(angles, f), [network.length, pairs]);
  return { network, frequencies, rotary: { cos: table(Math.cos), sin: table(Math.sin) } };
}

export interface TfTraining {
  /** One update; the loss and the gradient's norm before it. */
  step(batch: TfBatch): Promise<{ readonly loss: number; readonly gradientNorm: number }>;
  dispose(): void;
}

/** A training that starts at the given weights. */
export function tfTraining(options: TfOptions, weights: readonly TfWeight[]): TfTraining {
  const { network, clip, emaDecay } = options;
  const constants = constantsOf(network);
  const variables = new Map(
    weights.map(({ path, shape, data }) => [path, tf.variable(tf.tensor(data, [...shape]))]),
  );
  const averages = new Map(
    weights.map(({ path, shape, data }) => [path, tf.variable(tf.tensor(data, [...shape]), false)]),
  );
  const lookUp = (path: string): tf.Tensor => {
    const found = variables.get(path);
    if (found === undefined) throw new Error(`the tfjs step has no parameter ${path}`);
    return found;
  };
  const params: Params = Object.assign(lookUp, { product: options.tuned ? tunedProduct : plainProduct });
  // The variables' own names, made up by tfjs, are what gradients and the optimizer go by.
  const optimizer = tf.train.adam(options.learningRate, options.beta1, options.beta2, 1e-8);
  let updates = 0;

  function loss({ tokens, tau, t, noise }: TfBatch): tf.Scalar {
    const { vocab, length, width } = network;
    const batch = tokens.shape[0];
    const clean = tf.oneHot(tokens, vocab).toFloat();
    const drawn = noise ?? tf.randomNormal([batch, length, vocab]);
    const time = tf.reshape(t, [batch, 1, 1]);
    const state = tf.add(tf.mul(tf.sub(1, time), drawn), tf.mul(time, clean));
    const points = tf.reshape(state, [batch * length, vocab]) as tf.Tensor2D;
    const table = params("embedding") as tf.Tensor2D;
    const hidden = options.tuned ? tunedEmbedding(points, table) : tf.matMul(points, table);
    const scores = softcap(
      logits(params, constants, tf.reshape(hidden, [batch, length, width]), tau),
      options.outputSoftcap,
    );
    return tf.losses.softmaxCrossEntropy(tf.reshape(clean, [-1, vocab]), tf.reshape(scores, [-1, vocab]));
  }

  function update(batch: TfBatch): { readonly loss: tf.Scalar; readonly norm: tf.Scalar } {
    const { value, grads } = tf.variableGrads(() => loss(batch), [...variables.values()]);
    const squares = Object.values(grads).map((grad) => tf.sum(tf.square(grad)));
    const norm = tf.sqrt(sumOf(squares)) as tf.Scalar;
    const factor = tf.minimum(tf.div(clip, tf.add(norm, 1e-6)), 1);
    optimizer.applyGradients(
      Object.fromEntries(Object.entries(grads).map(([name, grad]) => [name, tf.mul(grad, factor)])),
    );
    updates += 1;
    const rate = Math.max(9 / (10 + updates), 1 - emaDecay);
    for (const [path, average] of averages)
      average.assign(tf.sub(average, tf.mul(tf.sub(average, params(path)), rate)));
    return { loss: value, norm };
  }

  return {
    step: async (batch) => {
      const result = tf.tidy(() => update(batch));
      const [[loss], [gradientNorm]] = await Promise.all([result.loss.data(), result.norm.data()]);
      tf.dispose([result.loss, result.norm]);
      return { loss: loss ?? Number.NaN, gradientNorm: gradientNorm ?? Number.NaN };
    },
    dispose: () => {
      optimizer.dispose();
      const { frequencies, rotary } = constants;
      tf.dispose([...variables.values(), ...averages.values(), frequencies, rotary.cos, rotary.sin]);
    },
  };
}
