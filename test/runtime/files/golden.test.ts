/**
 * The golden files were written by another implementation: names, shapes, dtypes and finite values must come
 * out.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openSafetensors, readSafetensors } from "../../../src/runtime/files/safetensors.ts";
import { serializeSafetensors } from "../../../src/runtime/safetensors/format.ts";
import type { StoredTensor } from "../../../src/runtime/safetensors/tensor.ts";

const golden = (name: string): string => fileURLToPath(new URL(`../../golden/tiny/${name}`, import.meta.url));
const numbers = (tensor: StoredTensor | undefined): number[] => Array.from(tensor?.data ?? [], Number);

describe("golden files of the official code", () => {
  it.each([
    ["weights.safetensors", "F32"],
    ["weights.fmlm.safetensors", "F32"],
    ["weights.teacher.safetensors", "F32"],
    ["weights.ar.safetensors", "F32"],
    ["grads.flm_loss.safetensors", "F64"],
    ["grads.fmlm_psd.safetensors", "F64"],
    ["train5.weights.safetensors", "F64"],
    ["train5.ema.safetensors", "F64"],
  ])("%s holds finite %s values, and serialises to a file of the same tensors", async (name, dtype) => {
    const { tensors, metadata } = await readSafetensors(golden(name));
    expect(tensors.size).toBeGreaterThan(10);
    for (const tensor of tensors.values()) {
      expect(tensor.dtype).toBe(dtype);
      expect(tensor.data).toHaveLength(tensor.shape.reduce((product, dim) => product * dim, 1));
      expect(numbers(tensor).every(Number.isFinite)).toBe(true);
    }
    // The layouts may differ in header order and padding only; the data section has the same size.
    const file = await readFile(golden(name));
    const dataBytes = (bytes: Uint8Array): number =>
      bytes.length - 8 - Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    expect(dataBytes(serializeSafetensors(tensors, metadata))).toBe(dataBytes(file));
  });

  it("has the documented shapes, and one time embedder more in the student", async () => {
    const weights = await openSafetensors(golden("weights.safetensors"));
    const student = await openSafetensors(golden("weights.fmlm.safetensors"));
    expect(weights.entries.get("backbone.vocab_embed.embedding")?.shape).toEqual([11, 16]);
    expect(weights.entries.get("backbone.blocks.1.adaLN_modulation.weight")?.shape).toEqual([96, 8]);
    expect([...student.entries.keys()].filter((name) => !weights.entries.has(name)).length).toBe(4);
    await Promise.all([weights.close(), student.close()]);
  });

  it("the rotary buffer holds 10000^(-i/4), the sums those of the recorded case", async () => {
    const { tensors } = await readSafetensors(golden("weights.safetensors"));
    const frequencies = [0, 1, 2, 3].map((i) => Math.fround(10_000 ** (-i / 4)));
    numbers(tensors.get("backbone.rotary_emb.inv_freq")).forEach((value, i) => {
      expect(value).toBeCloseTo(frequencies[i] ?? NaN, 6);
    });
    const { cases } = JSON.parse(await readFile(golden("cases.json"), "utf8"));
    const recorded = cases.h_train_five_steps.outputs.weights["output_layer.linear.bias"].data;
    const trained = await readSafetensors(golden("train5.weights.safetensors"));
    const bias = [...trained.tensors].find(([name]) => name.endsWith("output_layer.linear.bias"))?.[1];
    expect(numbers(bias)).toEqual(recorded);
  });
});
