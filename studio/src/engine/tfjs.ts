/**
 * TensorFlow.js in the page, for browsers without WebGPU. A file of its own, with the .wasm files beside it, which are fetched from where
 * the page is. One thread: threads need a page that is isolated from all others, which a plain file server does not make it.
 *
 * Consumed by device.ts, by a dynamic import.
 */
import { env } from "@tensorflow/tfjs";
import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import type { Device } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openTfjs } from "../../../src/runtime/tfjs/open.ts";

const absolute = (url: string): string => new URL(url, import.meta.url).href;

export async function openWasm(): Promise<Device> {
  if (typeof WebAssembly === "undefined")
    throw new UserError("This browser has no WebAssembly, or it is switched off.");
  // The flag is the backend's own, and is there once its package is.
  await import("@tensorflow/tfjs-backend-wasm");
  env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  const wasmPaths = {
    "tfjs-backend-wasm.wasm": absolute(plain),
    "tfjs-backend-wasm-simd.wasm": absolute(simd),
    // Is asked for and not fetched.
    "tfjs-backend-wasm-threaded-simd.wasm": absolute(simd),
  };
  return openTfjs("wasm", { wasmPaths });
}

export const openJavaScript = (): Promise<Device> => openTfjs("cpu");
