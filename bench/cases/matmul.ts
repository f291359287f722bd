/**
 * Square matrix products in f32. Consumed by benchmarks.ts.
 */
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";
import { f32, fn, matmul } from "../../src/dsl/index.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { CpuDevice } from "../../src/runtime/onnx/cpu-device.ts";
import { agree } from "../case.ts";
import type { Comparison, ComparisonBenchmark } from "../case.ts";
import { f32Tensor, normal } from "../numbers.ts";
import { FLUXION, FLUXION_SINGLE, JAX, TFJS } from "../peers.ts";
import type { Peers } from "../peers.ts";

async function prepare(size: number, { cpu, single }: Peers): Promise<Comparison> {
  const shape = [size, size];
  const [a, b] = [normal(1, size * size), normal(2, size * size)];

  const product = fn({ a: f32(size, size), b: f32(size, size) }, (input) => matmul(input.a, input.b));
  const ours = async (device: CpuDevice) => {
    const program = await compile(product, { device, name: "matmul" });
    const input = { a: device.upload(f32Tensor(shape, a)), b: device.upload(f32Tensor(shape, b)) };
    return { run: () => program.run(input), dispose: () => program.dispose() };
  };
  const [many, one] = [await ours(cpu), await ours(single)];

  const np = jax.numpy;
  const [x, y] = [np.array(a, { shape }), np.array(b, { shape })];
  const jaxProduct = jax.jit((left: jax.Array, right: jax.Array) => np.matmul(left, right));
  const [u, v] = [tf.tensor(a, [size, size]), tf.tensor(b, [size, size])];

  const inTurn = async (run: typeof many.run): Promise<void> => (await run()).dispose();
  const expected = await (await many.run()).read();
  const jaxValue = await jaxProduct(x.ref, y.ref).data();
  const tfValue = tf.tidy(() => tf.matMul(u, v).dataSync());
  // Entries are about √size, sums of as many rounded products in other orders.
  const tolerance = 4e-6 * Math.sqrt(size);
  return {
    name: `matmul ${size}`,
    what: `[${size},${size}] by [${size},${size}], f32, operands and product in the library's memory`,
    flops: 2 * size ** 3,
    contenders: [
      { name: FLUXION, run: () => inTurn(many.run) },
      { name: FLUXION_SINGLE, run: () => inTurn(one.run) },
      {
        name: JAX,
        run: async () => (await jaxProduct(x.ref, y.ref).blockUntilReady()).dispose(),
      },
      {
        name: TFJS,
        run: () => Promise.resolve(tf.matMul(u, v).dispose()),
      },
    ],
    ratios: [
      { of: FLUXION, to: JAX },
      { of: FLUXION_SINGLE, to: JAX },
      { of: FLUXION, to: TFJS },
      { of: FLUXION_SINGLE, to: TFJS },
    ],
    agreements: [
      agree("product with jax-js's", expected.data, jaxValue, tolerance),
      agree("product with tfjs's", expected.data, tfValue, tolerance),
    ],
    dispose: async () => {
      await many.dispose();
      await one.dispose();
      x.dispose();
      y.dispose();
      tf.dispose([u, v]);
    },
  };
}

export const matmulBenchmark: ComparisonBenchmark = {
  kind: "comparison",
  name: "matmul",
  comparisons: (scale) =>
    (scale === "full" ? [256, 512, 1024] : [8]).map((size) => (peers) => prepare(size, peers)),
};
