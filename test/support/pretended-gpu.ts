/**
 * The adapter of this machine under another name, so that it passes for hardware; and one that lies: its device compiles something else
 * than it is given, as a driver with a fault does. Consumed by tests of how devices are chosen.
 */
import type { AdapterSource } from "../../src/runtime/webgpu/gpu.ts";
import { dawnSource } from "../../src/runtime/webgpu/node.ts";

export interface Pretended extends AdapterSource {
  /** Number of pieces of WGSL that its devices compiled so far. */
  readonly compiled: () => number;
}

/** What a lie makes of WGSL. It is given the device too, which it may break. */
export type Lie = (code: string, device: GPUDevice) => string;

/** exp is off by a few percent. */
export const WRONG_EXP: Lie = (code) => code.replaceAll("0.49999994f", "0.45f");

/** @param info what the adapter says of itself, beyond that it is hardware */
export function pretendedGpu(
  lie: Lie = (code) => code,
  info: Partial<GPUAdapterInfo> = {
    vendor: "acme",
    architecture: "a1",
    device: "acme-9000",
    description: "driver 1",
  },
): Pretended {
  let compiled = 0;
  return {
    compiled: () => compiled,
    async find(name) {
      const real = await dawnSource.find(name);
      const requestDevice = async (descriptor: GPUDeviceDescriptor): Promise<GPUDevice> => {
        const device = await real.requestDevice(descriptor);
        const createShaderModule = device.createShaderModule.bind(device);
        device.createShaderModule = ({ code, ...rest }) => {
          compiled++;
          return createShaderModule({ ...rest, code: lie(code, device) });
        };
        return device;
      };
      // As much of an adapter as is looked at.
      const { features, limits } = real;
      return {
        features,
        limits,
        requestDevice,
        info: { isFallbackAdapter: false, ...info },
      } as unknown as GPUAdapter;
    },
  };
}
