/**
 * The tensors of a checkpoint as programs take them: what `readSafetensors` gives, as f32 tensors on the host. A tree of them
 * (`models.ditFromTensors`) is an input of a compiled function, or goes to a device by `uploadTree`. Pure, browser-safe.
 *
 * Consumed by whoever loads weights of their own; run folders have their own way, which checks names against a training.
 */
import { hostTensor } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { toFloat32 } from "./tensor.ts";
import type { StoredTensor } from "./tensor.ts";

/**
 * Stored tensors, by name, as f32 tensors on the host: F16 and BF16 exactly, F64 rounded to nearest. The data is a copy.
 * @throws FormatError for a tensor of integers or bools, which names it
 */
export const hostTensors = (tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, HostTensor> =>
  new Map(
    [...tensors].map(([name, tensor]) => [name, hostTensor("f32", tensor.shape, toFloat32(name, tensor))]),
  );
