import { f32, fn, matmul, mean, square, sub, valueAndGrad } from "fluxion";
import { compile, openDevice } from "fluxion/node";

const loss = fn({ w: f32("in", "out"), x: f32("batch", "in"), y: f32("batch", "out") }, ({ w, x, y }) =>
  mean(square(sub(matmul(x, w), y))),
);
const device = await openDevice(); // a GPU if there is one, else ONNX Runtime on the CPU
const step = await compile(valueAndGrad(loss, "w"), { device, sizes: { batch: 2, in: 2, out: 1 } });
const { value, grad } = await step.run({ w: [1, 2], x: [1, 0, 0, 1], y: [0, 0] });
console.log((await value.read()).data, (await grad.read()).data); // loss 2.5, gradient [1, 2]
await device.dispose();
