/**
 * Linear regression, y = x·w + b, with Adam. One training step is one program: loss, gradient and update. Its state, the
 * parameters and what Adam remembers, stays on the device and is donated to the next step, which writes over it.
 */
import {
  add,
  f32,
  fn,
  matmul,
  mean,
  models,
  optim,
  outputSpec,
  random,
  square,
  squeeze,
  sub,
  u32,
  valueAndGrad,
  zeros,
} from "fluxion";
import type { DeviceValue, Tensor } from "fluxion";
import { compile, openDevice } from "fluxion/node";

const BATCH = 64;
const WEIGHTS = [2, -1, 0.5];
const BIAS = 3;

interface Params {
  readonly w: Tensor<[3, 1]>;
  readonly b: Tensor<[1]>;
}

const adam = optim.adam();
const init = fn({ key: u32(2) }, ({ key }) => {
  const params = { w: random.normal(key, [3, 1]), b: zeros([1]) };
  return { params, adam: adam.init(params) };
});

const predict = ({ w, b }: Params, x: Tensor<["batch", 3]>) => squeeze(add(matmul(x, w), b), 1);

const train = fn(
  { state: outputSpec(init), x: f32("batch", 3), y: f32("batch"), rate: f32() },
  ({ state, x, y, rate }) => {
    const loss = (params: Params) => mean(square(sub(predict(params, x), y)));
    const { value, grad } = valueAndGrad(loss)(state.params);
    const next = adam.update(grad, state.adam, state.params, { learningRate: rate });
    return { loss: value, state: { params: next.params, adam: next.state } };
  },
);

/** Points near the true plane, other ones in every step. Draws are functions of keys, so every run sees the same. */
function batchOf(step: number): { readonly x: Float32Array; readonly y: Float32Array } {
  const { fold, key, normals } = models.hostRandom;
  const x = Float32Array.from(normals(fold(key(1), step), BATCH * 3));
  const noise = normals(fold(key(2), step), BATCH);
  return {
    x,
    y: Float32Array.from(noise, (e, i) =>
      WEIGHTS.reduce((sum, w, k) => sum + w * (x[3 * i + k] ?? 0), BIAS + 0.01 * e),
    ),
  };
}

const device = await openDevice();
const start = await compile(init, { device });
const step = await compile(train, { device, sizes: { batch: BATCH }, donate: ["state"] });

let state = await start.run({ key: [0, 1] });
for (let i = 0; i < 400; i++) {
  const { loss, state: next } = await step.run({ state, ...batchOf(i), rate: 0.05 });
  if (i % 100 === 99) console.log(`step ${i + 1}: loss ${(await loss.read()).data[0]?.toFixed(5)}`);
  loss.dispose();
  state = next;
}
const numbers = async (value: DeviceValue): Promise<string> =>
  Array.from((await value.read()).data, (x) => x.toFixed(2)).join(", ");
console.log(`w = ${await numbers(state.params.w)}; b = ${await numbers(state.params.b)}`);
await device.dispose();
