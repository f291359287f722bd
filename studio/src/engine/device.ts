/**
 * The device that the page computes on: WebGPU where it passes its check, else TensorFlow.js on WebAssembly or in JavaScript, else the
 * interpreter. Each that was passed over has a sentence. What is not used is not loaded.
 *
 * Consumed by engine.ts. To add a device: an entry in `choicesWith`.
 */
import type { Device } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { openWebGpu } from "../../../src/runtime/webgpu/device.ts";
import { VERSION } from "../../../src/runtime/version.ts";
import { failureOf, selfCheck } from "../../../src/runtime/webgpu/self-check.ts";
import { adapterKey } from "../../../src/runtime/webgpu/tune-table.ts";
import type { DeviceInfo } from "./protocol.ts";

interface Choice {
  readonly name: string;
  /** @throws with a reason when it cannot be used */
  open(): Promise<Device>;
}

/** What is remembered of adapters from one visit to the next. */
export interface Memory {
  has(adapter: string): Promise<boolean>;
  add(adapter: string): Promise<void>;
}

/** The GPU, once hardware passed its check. Software computes as the CPU does, and would only be slow at it. */
async function openChecked(memory: Memory): Promise<Device> {
  const device = await openWebGpu();
  const { software, adapter, matrices } = device.context.gpu;
  const { name } = adapter;
  const key = `${VERSION}/${adapterKey(adapter)}`;
  if (software || (await memory.has(key))) return device;
  const checked = selfCheck(device, {
    f16: device.context.f16,
    matrices: matrices.length > 0,
    stopAtFailure: true,
  });
  const failure = failureOf(
    await checked.catch(async (error: unknown) => {
      await device.dispose(); // another one is opened in its place
      throw error;
    }),
  );
  if (failure === undefined) {
    await memory.add(key);
    return device;
  }
  await device.dispose();
  throw new UserError(
    `The GPU ${name} computes wrongly, so it is left alone: ${failure.replace(/\.$/, "")}.`,
  );
}

/** The best first. */
const choicesWith = (memory: Memory): readonly Choice[] => [
  { name: "webgpu", open: () => openChecked(memory) },
  { name: "tfjs:wasm", open: async () => (await import("./tfjs.ts")).openWasm() },
  { name: "tfjs:cpu", open: async () => (await import("./tfjs.ts")).openJavaScript() },
  { name: "interpreter", open: async () => openInterpreter() },
];

export interface ChosenDevice {
  readonly device: Device;
  readonly info: DeviceInfo;
}

/** Opens the best device that there is. @throws UserError when there is none */
export async function chooseDevice(
  memory: Memory,
  choices: readonly Choice[] = choicesWith(memory),
): Promise<ChosenDevice> {
  const passedOver: string[] = [];
  for (const { name, open } of choices) {
    try {
      const device = await open();
      return { device, info: { name, detail: device.describe(), passedOver } };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      passedOver.push(error instanceof UserError ? reason : `The ${name} device did not start: ${reason}`);
    }
  }
  throw new UserError(`Nothing can compute in this browser. ${passedOver.join(" ")}`);
}
