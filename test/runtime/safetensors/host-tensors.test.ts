// Stored tensors as programs take them: values by dtype, names kept, data copied, integers refused.

import { expect, it } from "vitest";
import { hostTensors } from "../../../src/runtime/safetensors/host-tensors.ts";
import type { StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";

it("gives every floating dtype as f32 tensors under the same names", () => {
  const stored = new Map<string, StoredTensor>([
    ["single", { dtype: "F32", shape: [2, 1], data: Float32Array.of(1.5, -2) }],
    ["double", { dtype: "F64", shape: [1], data: Float64Array.of(0.1) }],
    ["half", { dtype: "F16", shape: [2], data: Uint16Array.of(0x3c00, 0xc100) }],
    ["brain", { dtype: "BF16", shape: [], data: Uint16Array.of(0x4049) }],
  ]);
  const found = hostTensors(stored);
  expect(Object.fromEntries(found)).toEqual({
    single: { dtype: "f32", shape: [2, 1], data: Float32Array.of(1.5, -2) },
    double: { dtype: "f32", shape: [1], data: Float32Array.of(0.1) },
    half: { dtype: "f32", shape: [2], data: Float32Array.of(1, -2.5) },
    brain: { dtype: "f32", shape: [], data: Float32Array.of(3.140625) },
  });
  expect(found.get("single")?.data).not.toBe(stored.get("single")?.data);
});

it("refuses integers by name", () => {
  const stored = new Map<string, StoredTensor>([
    ["step", { dtype: "I32", shape: [1], data: Int32Array.of(1) }],
  ]);
  expect(() => hostTensors(stored)).toThrow('tensor "step": expected a floating dtype, found I32.');
});
