/**
 * Between tensors of the host and of TensorFlow.js: f32 and f16 lie as float32, i32 and u32 as int32, bool as bool. Arrays are never
 * shared in either direction unless said.
 *
 * Consumed by `execute.ts` and `tfjs-device.ts`.
 */
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { toNumbers } from "../../compiler/host-tensor.ts";
import { storageOf } from "../../compiler/tfjs/plan.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import type { TfArray, TfEngine, TfTensor } from "./engine.ts";

/** The array that TensorFlow.js is given for a tensor: always a new one, as its cpu backend keeps it. */
function stored({ dtype, data }: HostTensor): TfArray {
  switch (dtype) {
    case "f32":
      return Float32Array.from(data);
    case "f16":
      return data instanceof Uint16Array
        ? Float32Array.from(toNumbers({ shape: [data.length], dtype, data }))
        : Float32Array.from(data);
    case "i32":
    case "u32":
      return Int32Array.from(data);
    case "bool":
      return Uint8Array.from(data);
  }
}

/** A new tensor on the selected backend. */
export const toBackend = (engine: TfEngine, tensor: HostTensor): TfTensor =>
  engine.makeTensor(stored(tensor), tensor.shape, storageOf(tensor.dtype));

/**
 * What was read from a backend, as a tensor of the interpreter: f16 in a Float32Array, not rounded. The array may be the backend's
 * own. Converted tensors may lie in the array of the dtype they came from.
 */
export function fromBackend({ shape, dtype }: TensorType, values: TfArray): HostTensor {
  switch (dtype) {
    case "f32":
    case "f16":
      return { shape, dtype, data: values instanceof Float32Array ? values : Float32Array.from(values) };
    case "bool":
      return { shape, dtype, data: values instanceof Uint8Array ? values : Uint8Array.from(values) };
    case "i32":
    case "u32": {
      const words = values instanceof Int32Array ? values : Int32Array.from(values);
      if (dtype === "i32") return { shape, dtype, data: words };
      return { shape, dtype, data: new Uint32Array(words.buffer, words.byteOffset, words.length) };
    }
  }
}
