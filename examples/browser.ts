import {
  compile,
  f32,
  fn,
  hostTensor,
  matmul,
  mean,
  mul,
  openInterpreter,
  openWebGpu,
  square,
  sub,
  UserError,
  valueAndGrad,
} from "fluxion";
import type { Device, DeviceValue, Tensor } from "fluxion";

/** One step of gradient descent towards y = x·w. */
const step = fn({ w: f32("in", 1), x: f32("batch", "in"), y: f32("batch", 1) }, ({ w, x, y }) => {
  const squaredError = (w: Tensor<["in", 1], "f32">) => mean(square(sub(matmul(x, w), y)));
  const { value, grad } = valueAndGrad(squaredError)(w);
  return { w: sub(w, mul(grad, 0.3)), loss: value };
});

// The GPU. Where there is none, the interpreter: it gives the same numbers, slowly.
const device: Device = await openWebGpu().catch((error: unknown) => {
  if (error instanceof UserError) return openInterpreter();
  throw error;
});
const compiled = await compile(step, { device, sizes: { batch: 3, in: 2 }, donate: ["w"] });
let w: DeviceValue = device.upload(hostTensor("f32", [2, 1], [0, 0]));
for (let i = 0; i < 100; i++) {
  const out = await compiled.run({ w, x: [1, 0, 0, 1, 1, 1], y: [2, -1, 1] });
  out.loss.dispose();
  w = out.w;
}
console.log("w =", Array.from((await w.read()).data, (x) => x.toFixed(2)).join(", "));
await device.dispose();
