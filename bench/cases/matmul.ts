/**
 * Square matrix products, in f32 and on adapters that have it in f16; all are compared with sums in float64. On webgpu a kernel written
 * by hand takes part too: what the adapter reaches. Consumed by benchmarks.ts.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { hostTensor, toNumbers } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import { f16, f32, fn, matmul } from "../../src/dsl/index.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { Gpu } from "../../src/runtime/webgpu/gpu.ts";
import type { ComparisonBenchmark } from "../benchmark.ts";
import type { Comparison } from "../case.ts";
import { compare } from "../contenders.ts";
import type { Candidate } from "../contenders.ts";
import { normal } from "../numbers.ts";
import { ratiosOf } from "../peers.ts";
import type { Engine, Peers } from "../peers.ts";
import { sampledProduct } from "../sampled-product.ts";
import { BARE, bareProduct } from "../webgpu/bare-matmul.ts";
import type { Float } from "../webgpu/bare-matmul.ts";

/** On a GPU: one and a half times the rate of the best of the others, from this size on. */
const GPU_AIM = { from: 512, ratio: 1 / 1.5 } as const;

interface Problem {
  readonly size: number;
  readonly dtype: Float;
  readonly a: HostTensor;
  readonly b: HostTensor;
  /** The rows that are compared, of a result in row-major order. */
  sample(data: ArrayLike<number>): ArrayLike<number>;
}

const onEngine = ({ size, dtype, a, b, sample }: Problem, { name, device, finished }: Engine): Candidate => ({
  name,
  prepare: async () => {
    const spec = { f32, f16 }[dtype](size, size);
    const program = await compile(
      fn({ a: spec, b: spec }, (input) => matmul(input.a, input.b)),
      { device, name: "matmul" },
    );
    const input = { a: device.upload(a), b: device.upload(b) };
    const product = async () => {
      const result = await program.run(input);
      await finished();
      return result;
    };
    return {
      run: async () => (await product()).dispose(),
      values: async () => {
        const result = await product();
        const values = toNumbers(await result.read());
        result.dispose();
        return [sample(values)];
      },
      dispose: async () => {
        input.a.dispose();
        input.b.dispose();
        await program.dispose();
      },
    };
  },
});

const onJax = ({ size, dtype, a, b, sample }: Problem, name: string): Candidate => ({
  name,
  prepare: async () => {
    const np = jax.numpy;
    const array = (tensor: HostTensor): jax.Array => {
      const whole = np.array(Float32Array.from(toNumbers(tensor)), { shape: [size, size] });
      return dtype === "f16" ? whole.astype(np.float16) : whole;
    };
    const [x, y] = [array(a), array(b)];
    const product = jax.jit((left: jax.Array, right: jax.Array) => np.matmul(left, right));
    return {
      run: async () => (await product(x.ref, y.ref).blockUntilReady()).dispose(),
      values: async () => [sample(await product(x.ref, y.ref).astype(np.float32).data())],
      dispose: async () => {
        x.dispose();
        y.dispose();
      },
    };
  },
});

const onTf = ({ size, dtype, a, b, sample }: Problem, { name, finished }: Peers["tfjs"]): Candidate => ({
  name,
  prepare: async () => {
    if (dtype === "f16") throw new Error("tfjs has no f16");
    const [u, v] = [a, b].map(({ data }) => tf.tensor2d(data as Float32Array, [size, size])) as [tf.Tensor2D, tf.Tensor2D]; // prettier-ignore
    return {
      run: async () => {
        const result = tf.matMul(u, v);
        await finished();
        result.dispose();
      },
      values: async () => {
        const result = tf.matMul(u, v);
        const values = await result.data();
        result.dispose();
        return [sample(values)];
      },
      dispose: async () => tf.dispose([u, v]),
    };
  },
});

const bare = ({ size, dtype, a, b, sample }: Problem, gpu: Gpu): Candidate => ({
  name: BARE,
  prepare: async () => {
    const stored = [a.data, b.data] as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>]; // or both as bits
    const { run, product, dispose, note } = await bareProduct(gpu, size, dtype, stored);
    return {
      note,
      run: () => run(),
      values: async () => [sample(toNumbers({ ...a, ...(await product()) }))],
      dispose: async () => dispose(),
    };
  },
});

async function prepare(size: number, dtype: Float, peers: Peers): Promise<Comparison> {
  const [a, b] = [1, 2].map((seed) => hostTensor(dtype, [size, size], normal(seed, size * size))) as [HostTensor, HostTensor]; // prettier-ignore
  const { expected, sample } = sampledProduct(size, toNumbers(a), toNumbers(b));
  const problem = { size, dtype, a, b, sample };
  const [ours] = peers.ours;
  return compare(peers, {
    name: `matmul ${size} ${dtype}`,
    what: `[${size},${size}] by [${size},${size}], ${dtype}, operands and product in the library's memory`,
    flops: 2 * size ** 3,
    candidates: [
      ...[...peers.ours, ...peers.engines].map((engine) => onEngine(problem, engine)),
      onJax(problem, peers.jax),
      onTf(problem, peers.tfjs),
      ...(peers.gpu === undefined ? [] : [bare(problem, peers.gpu.gpu)]),
    ],
    // Entries are about √size, sums of as many products; in f16 it is the rounding of the result, and some also sum in f16.
    checks: [{ what: "the product", tolerance: (dtype === "f32" ? 4e-6 : 4e-3) * Math.sqrt(size) }],
    expected: { from: "sums in float64", values: [expected] },
    ratios: [
      ...ratiosOf(peers, () =>
        peers.target === "webgpu" && size >= GPU_AIM.from ? GPU_AIM.ratio : undefined,
      ),
      ...(ours === undefined
        ? []
        : [{ of: ours.name, to: BARE, note: "how far from what the adapter reaches" }]),
    ],
  });
}

export const matmulBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "matmul",
  comparisons: (scale, peers) => {
    const { gpu } = peers.gpu ?? {};
    const sizes = gpu === undefined ? [256, 512, 1024] : gpu.software ? [512, 1024] : [512, 1024, 4096];
    const dtypes: readonly Float[] = gpu?.features.has("shader-f16") === true ? ["f32", "f16"] : ["f32"];
    return dtypes.flatMap((dtype) =>
      (scale === "full" ? sizes : [64]).map((size) => () => prepare(size, dtype, peers)),
    );
  },
};
