/** The device tfjs:webgl when the browser takes its WebGL context away. The context is the page's, so this file has a page of its own. */
import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { compile, f32, fn, hostTensor, matmul } from "fluxion";
import { openTfjs } from "../../src/runtime/tfjs/open.ts";

it("ends reads that wait, reads that come after, runs and uploads with one sentence", async () => {
  const device = await openTfjs("webgl");
  const size = 256;
  const square = fn({ a: f32("n", "n") }, ({ a }) => matmul(matmul(a, a), a));
  const program = await compile(square, { device, sizes: { n: size } });
  const upload = () => device.upload(hostTensor("f32", [size, size], new Float32Array(size * size)));
  const output = await program.run({ a: upload() });
  const reading = output.read();
  // Where TensorFlow.js keeps its context.
  const backend = tf.engine().findBackend("webgl") as unknown as {
    readonly gpgpu: { readonly gl: { getExtension(name: string): { loseContext(): void } | null } };
  };
  backend.gpgpu.gl.getExtension("WEBGL_lose_context")?.loseContext();
  const sentence = /^The tfjs:webgl device was lost: .+ Reload the page, and upload them from the host\.$/;
  await expect(reading).rejects.toThrow(sentence);
  await expect(output.read()).rejects.toThrow(sentence);
  await expect(program.run({ a: output })).rejects.toThrow("The tfjs:webgl device was lost");
  expect(upload).toThrow(sentence);
  await device.dispose();
});
