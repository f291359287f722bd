/**
 * Attention, forward and backward: the gradient of Σ w·attention(q, k, v) in q, k and v. Consumed by benchmarks.ts.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { attention, f32, fn, mul, sum, valueAndGrad } from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { compile, disposeTree, readTree, uploadTree } from "../../src/runtime/compile.ts";
import type { DeviceValue } from "../../src/runtime/device.ts";
import type { ComparisonBenchmark } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { f32Tensor, normal, sizeOf } from "../numbers.ts";
import { ratiosOf } from "../peers.ts";
import type { Engine, Peers } from "../peers.ts";

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly depth: number;
}

const NAMES = ["q", "k", "v", "w"] as const;

/** What every contender is given. */
interface Problem extends Sizes {
  readonly shape: readonly [number, number, number, number];
  /** By the order of NAMES. */
  readonly data: readonly Float32Array[];
}

const onEngine = ({ shape, data }: Problem, { name, device }: Engine): Candidate => ({
  name,
  prepare: async () => {
    const spec = f32(...shape);
    const loss = fn({ qkv: { q: spec, k: spec, v: spec }, w: spec }, ({ qkv: { q, k, v }, w }): Tensor<[]> =>
      sum(mul(attention(q, k, v), w)),
    );
    const program = await compile(valueAndGrad(loss, "qkv"), { device, name: "attention" });
    const [q, k, v, w] = data.map((values) => f32Tensor(shape, values)) as [
      HostTensor,
      HostTensor,
      HostTensor,
      HostTensor,
    ];
    const input = uploadTree(device, { qkv: { q, k, v }, w });
    const step = async () => {
      const result = await program.run(input);
      await result.value.read();
      return result;
    };
    return {
      run: async () => disposeTree(await step()),
      values: async () => {
        const result = await step();
        // Keys come in some order of their own.
        const { q, k, v } = result.grad as unknown as Record<"q" | "k" | "v", DeviceValue>;
        const gradients = (await readTree([q, k, v])).map((tensor) => tensor.data);
        disposeTree(result);
        return gradients;
      },
      dispose: async () => {
        disposeTree(input);
        await program.dispose();
      },
    };
  },
});

const onJax = ({ shape, data, depth }: Problem, name: string): Candidate => ({
  name,
  prepare: async () => {
    const np = jax.numpy;
    const scale = 1 / Math.sqrt(depth);
    const arrays = data.map((values) => np.array(values, { shape: [...shape] })) as [
      jax.Array,
      jax.Array,
      jax.Array,
      jax.Array,
    ];
    const gradients = jax.jit(
      jax.valueAndGrad(
        (q: jax.Array, k: jax.Array, v: jax.Array, w: jax.Array): jax.Array => {
          const scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(scale);
          return np.matmul(jax.nn.softmax(scores, -1), v).mul(w).sum();
        },
        { argnums: [0, 1, 2] },
      ),
    );
    const step = async (): Promise<readonly [jax.Array, readonly jax.Array[]]> => {
      const [q, k, v, w] = arrays;
      const [value, grads] = gradients(q.ref, k.ref, v.ref, w.ref);
      await jax.blockUntilReady(grads);
      await value.ref.data();
      return [value, grads];
    };
    return {
      run: async () => {
        const [value, grads] = await step();
        for (const array of [value, ...grads]) array.dispose();
      },
      values: async () => {
        const [value, grads] = await step();
        value.dispose();
        return Promise.all(grads.map((grad) => grad.data()));
      },
      dispose: async () => {
        for (const array of arrays) array.dispose();
      },
    };
  },
});

const onTf = ({ shape, data, depth }: Problem, name: string): Candidate => ({
  name,
  prepare: async () => {
    const scale = 1 / Math.sqrt(depth);
    const tensors = data.map((values) => tf.tensor4d(values, [...shape]));
    const gradients = tf.valueAndGrads((q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
      const scores = tf.mul(tf.matMul(q, k, false, true), scale);
      return tf.sum(tf.mul(tf.matMul(tf.softmax(scores), v), tensors[3] as tf.Tensor));
    });
    const step = async () => {
      const { value, grads } = gradients(tensors.slice(0, 3));
      await value.data();
      return { value, grads };
    };
    return {
      run: async () => {
        const { value, grads } = await step();
        tf.dispose([value, ...grads]);
      },
      values: async () => {
        const { value, grads } = await step();
        const values = await Promise.all(grads.map((grad) => grad.data()));
        tf.dispose([value, ...grads]);
        return values;
      },
      dispose: async () => tf.dispose(tensors),
    };
  },
});

async function prepare(sizes: Sizes, peers: Peers): Promise<Comparison> {
  const { batch, heads, length, depth } = sizes;
  const shape = [batch, heads, length, depth] as const;
  const problem: Problem = {
    ...sizes,
    shape: [...shape],
    data: NAMES.map((_, i) => normal(i + 1, sizeOf(shape))),
  };
  return compare(peers, {
    name: "attention",
    what: `forward and backward, batch ${batch}, heads ${heads}, length ${length}, depth ${depth}; the value is read back`,
    candidates: [
      ...[...peers.ours, ...peers.engines].map((engine) => onEngine(problem, engine)),
      onJax(problem, peers.jax),
      onTf(problem, peers.tfjs.name),
    ],
    checks: ["q", "k", "v"].map((input) => ({ what: `the gradient in ${input}`, tolerance: 1e-5 })),
    ratios: ratiosOf(peers),
    bounds: { submits: 1 },
  });
}

export const attentionBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "attention",
  comparisons: (scale, peers) => [
    () =>
      prepare(
        scale === "full"
          ? { batch: 2, heads: 4, length: 256, depth: 32 }
          : { batch: 1, heads: 2, length: 5, depth: 4 },
        peers,
      ),
  ],
};
