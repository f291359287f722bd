/**
 * What a backend on a GPU says of tensors that are too large for it, and of a GPU that is gone.
 *
 * Consumed by the tests in a browser. The last test takes the GPU away, so it comes after all others of a file.
 */
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { toNumbers } from "../../src/compiler/host-tensor.ts";
import type { Device, DeviceValue } from "../../src/runtime/device.ts";
import { DeviceLostError } from "../../src/runtime/webgpu/errors.ts";
import { program, tensor } from "./programs.ts";

const none = {};

/** What is used of the backends here. */
interface Backend {
  readonly gpgpu: { readonly gl: { getExtension(name: string): { loseContext(): void } | null } };
  readonly device: GPUDevice;
}
const backendOf = (name: string): Backend => tf.engine().registry[name] as unknown as Backend; // one of the two

/** Pretends that a tensor of this GPU has at most 1,024 numbers. */
const GPU_OF_1024 = {
  webgl: () => {
    const before = tf.env().getNumber("WEBGL_MAX_TEXTURE_SIZE");
    tf.env().set("WEBGL_MAX_TEXTURE_SIZE", 16); // four numbers in each place
    return () => tf.env().set("WEBGL_MAX_TEXTURE_SIZE", before);
  },
  webgpu: () => {
    const limits = {
      maxStorageBufferBindingSize: 4096,
      maxBufferSize: 8192,
      maxComputeWorkgroupsPerDimension: 65535,
      maxComputeWorkgroupSizeX: 256,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 16384,
    };
    const spy = vi.spyOn(GPUDevice.prototype, "limits", "get").mockReturnValue(limits as GPUSupportedLimits); // what is asked for
    return () => spy.mockRestore();
  },
} as const;

/** What takes the GPU away, as a driver's reset does. */
const LOSE = {
  webgl: ({ gpgpu: { gl } }: Backend) => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  webgpu: ({ device }: Backend) => device.destroy(),
} as const;

/** Declares the tests. @param open opens a device of its own */
export function testGpu(name: "webgl" | "webgpu", open: () => Promise<Device>): void {
  describe(`tensors that are too large for ${name}`, () => {
    let restore: (() => void) | undefined;
    afterEach(() => restore?.());

    it("are named when a program is compiled, and when they are uploaded", async () => {
      const device = await open();
      restore = GPU_OF_1024[name]();
      const sum = program(["f32[32,32]", "f32[32]"], (w, x, y) => [
        w.one("concat", [x, w.one("reshape", [y], { shape: [1, 32] })], { axis: 0 }),
      ]);
      const [inputNames, outputNames] = [["x", "y"], ["all"]];
      await expect(device.compile(sum, { name: "stacking", inputNames, outputNames })).rejects.toThrow(
        `output 0 (all) of stacking is f32[33,32], 1,056 numbers, and a tensor of tfjs:${name} has at most 1,024 on this GPU; ` +
          "make it smaller, or use another device.",
      );
      const taken = program(["f32[33,32]"], (w, x) => [w.one("reduceSum", [x], { axes: [0, 1] })]);
      await expect(device.compile(taken, { inputNames: ["x"] })).rejects.toThrow(
        "input 0 (x) of the program is f32[33,32]",
      );
      expect(() => device.upload(tensor("f32[1025]", 0))).toThrow(
        "the upload is f32[1025], 1,025 numbers, and",
      );
      await device.dispose();
    });

    it("are found on the way", async () => {
      const device = await open();
      const outer = program(["f32[40]", "f32[40]"], (w, x, y) => {
        const product = w.one("dot", [x, y], {
          lhsBatch: [],
          rhsBatch: [],
          lhsContract: [],
          rhsContract: [],
        });
        return [w.one("reduceSum", [product], { axes: [0, 1] })];
      });
      restore = GPU_OF_1024[name]();
      const executable = await device.compile(outer, { name: "the outer product" });
      const inputs = [1, 2].map((x) => device.upload(tensor("f32[40]", x)));
      const before = tf.memory().numTensors;
      await expect(executable.run(inputs)).rejects.toThrow(
        /^tfjs:web(gl|gpu): the outer product failed to run: a value on the way (needs a texture of \d+ by \d+, and those of this GPU have at most 16 by 16|is f32\[1,40,40\], 1,600 numbers, and a tensor of tfjs:webgpu has at most 1,024)/,
      );
      expect(tf.memory().numTensors).toBe(before);
      restore();
      const [total] = await executable.run(inputs);
      expect(toNumbers(await (total as DeviceValue).read())).toEqual([3200]);
      await device.dispose();
    });
  });

  it("says that the GPU was lost, and opens it again", async () => {
    const device = await open();
    const doubled = program(["f32[3]"], (w, x) => [w.one("add", [x, x], none)]);
    const executable = await device.compile(doubled);
    const [value, other] = [1, 2].map((x) => device.upload(tensor("f32[3]", x))) as [
      DeviceValue,
      DeviceValue,
    ];
    const [before] = await executable.run([value]);
    const reading = (before as DeviceValue).read().catch((error: unknown) => error);
    LOSE[name](backendOf(name));
    expect(await reading).toBeInstanceOf(DeviceLostError);
    const lost = new RegExp(
      `^The tfjs:${name} device was lost \\(.+\\): its values are gone\\. Open the device again`,
    );
    await expect((before as DeviceValue).read()).rejects.toThrow(lost);
    await expect(executable.run([other])).rejects.toThrow(DeviceLostError);
    await expect(device.compile(doubled)).rejects.toThrow(lost);
    expect(() => device.upload(tensor("f32[3]", 0))).toThrow(lost);
    await device.dispose();

    const again = await open();
    const [sum] = await (await again.compile(doubled)).run([again.upload(tensor("f32[3]", 4))]);
    expect(toNumbers(await (sum as DeviceValue).read())).toEqual([8, 8, 8]);
    await again.dispose();
  });
}
