/**
 * Attention, forward and backward: the gradient of Σ w·attention(q, k, v) in q, k and v. Consumed by benchmarks.ts.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { attention, f32, fn, mul, sum, valueAndGrad } from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { compile, disposeTree, readTree, uploadTree } from "../../src/runtime/compile.ts";
import type { CpuDevice } from "../../src/runtime/onnx/cpu-device.ts";
import { agree } from "../case.ts";
import type { Comparison, ComparisonBenchmark } from "../case.ts";
import { f32Tensor, normal, sizeOf } from "../numbers.ts";
import { FLUXION, FLUXION_SINGLE, JAX, TFJS } from "../peers.ts";
import type { Peers } from "../peers.ts";

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly depth: number;
}

const NAMES = ["q", "k", "v", "w"] as const;

async function prepare({ batch, heads, length, depth }: Sizes, { cpu, single }: Peers): Promise<Comparison> {
  const shape = [batch, heads, length, depth] as const;
  const data = NAMES.map((_, i) => normal(i + 1, sizeOf(shape)));

  const spec = f32(...shape);
  const loss = fn({ qkv: { q: spec, k: spec, v: spec }, w: spec }, ({ qkv: { q, k, v }, w }): Tensor<[]> =>
    sum(mul(attention(q, k, v), w)),
  );
  const gradients = valueAndGrad(loss, "qkv");
  const ours = async (device: CpuDevice) => {
    const program = await compile(gradients, { device, name: "attention" });
    const [q, k, v, w] = data.map((values) => f32Tensor(shape, values)) as [
      HostTensor,
      HostTensor,
      HostTensor,
      HostTensor,
    ];
    const input = uploadTree(device, { qkv: { q, k, v }, w });
    return {
      run: async () => {
        const { value, grad } = await program.run(input);
        await value.read();
        return { value, grad };
      },
      dispose: () => program.dispose(),
    };
  };
  const [many, one] = [await ours(cpu), await ours(single)];

  const np = jax.numpy;
  const scale = 1 / Math.sqrt(depth);
  const arrays = data.map((values) => np.array(values, { shape: [...shape] })) as [
    jax.Array,
    jax.Array,
    jax.Array,
    jax.Array,
  ];
  const jaxStep = jax.jit(
    jax.valueAndGrad(
      (q: jax.Array, k: jax.Array, v: jax.Array, w: jax.Array): jax.Array => {
        const scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(scale);
        return np.matmul(jax.nn.softmax(scores, -1), v).mul(w).sum();
      },
      { argnums: [0, 1, 2] },
    ),
  );
  const runJax = async (): Promise<readonly [jax.Array, readonly jax.Array[]]> => {
    const [q, k, v, w] = arrays;
    const [value, grads] = jaxStep(q.ref, k.ref, v.ref, w.ref);
    await jax.blockUntilReady(grads);
    await value.ref.data();
    return [value, grads];
  };

  const tensors = data.map((values) => tf.tensor4d(values, [batch, heads, length, depth]));
  const tfStep = tf.valueAndGrads((q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
    const scores = tf.mul(tf.matMul(q, k, false, true), scale);
    return tf.sum(tf.mul(tf.matMul(tf.softmax(scores), v), tensors[3] as tf.Tensor));
  });
  const runTf = async () => {
    const { value, grads } = tfStep(tensors.slice(0, 3));
    await value.data();
    return { value, grads };
  };

  const mine = await many.run();
  const expected = (await readTree(mine.grad)).map((tensor) => tensor.data); // keys in order: k, q, v or as declared
  const order = Object.keys(mine.grad as object);
  const pick = <T>(list: readonly T[]): readonly T[] =>
    order.map((name) => list[NAMES.indexOf(name as "q")] as T);
  const [jaxValue, jaxGrads] = await runJax();
  const fromJax = await Promise.all(pick(jaxGrads).map((grad) => grad.data()));
  jaxValue.dispose();
  const theirs = await runTf();
  const fromTf = pick(theirs.grads).map((grad) => grad.dataSync());
  tf.dispose([theirs.value, ...theirs.grads]);
  disposeTree(mine);
  const agreements = order.flatMap((name, i) => [
    agree(
      `gradient in ${name} with jax-js's`,
      expected[i] as ArrayLike<number>,
      fromJax[i] as ArrayLike<number>,
      1e-5,
    ),
    agree(
      `gradient in ${name} with tfjs's`,
      expected[i] as ArrayLike<number>,
      fromTf[i] as ArrayLike<number>,
      1e-5,
    ),
  ]);

  return {
    name: "attention",
    what: `forward and backward, batch ${batch}, heads ${heads}, length ${length}, depth ${depth}; the value is read back`,
    contenders: [
      { name: FLUXION, run: async () => disposeTree(await many.run()) },
      { name: FLUXION_SINGLE, run: async () => disposeTree(await one.run()) },
      {
        name: JAX,
        run: async () => {
          const [value, grads] = await runJax();
          for (const array of [value, ...grads]) array.dispose();
        },
      },
      {
        name: TFJS,
        run: async () => {
          const { value, grads } = await runTf();
          tf.dispose([value, ...grads]);
        },
      },
    ],
    ratios: [
      { of: FLUXION, to: JAX },
      { of: FLUXION_SINGLE, to: JAX },
      { of: FLUXION, to: TFJS },
      { of: FLUXION_SINGLE, to: TFJS },
    ],
    agreements,
    dispose: async () => {
      await many.dispose();
      await one.dispose();
      for (const array of arrays) array.dispose();
      tf.dispose(tensors);
    },
  };
}

export const attentionBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "attention",
  comparisons: (scale) => [
    (peers) =>
      prepare(
        scale === "full"
          ? { batch: 2, heads: 4, length: 256, depth: 32 }
          : { batch: 1, heads: 2, length: 5, depth: 4 },
        peers,
      ),
  ],
};
