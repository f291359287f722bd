import { describe, expect, it } from "vitest";
import { exactTensor, hostTensor, toExact, toNumbers, toStorage } from "../../src/compiler/host-tensor.ts";

describe("host tensors", () => {
  it("hold each dtype in its array, wrapped or rounded", () => {
    expect(hostTensor("f32", [1], [0.1]).data).toEqual(Float32Array.of(0.1));
    expect(hostTensor("f16", [2], [1, 65520]).data).toEqual(Uint16Array.of(0x3c00, 0x7c00));
    expect(hostTensor("i32", [1], [2 ** 31]).data).toEqual(Int32Array.of(-(2 ** 31)));
    expect(hostTensor("u32", [1], [-1]).data).toEqual(Uint32Array.of(2 ** 32 - 1));
    expect(hostTensor("bool", [3], [0, 0.5, 256]).data).toEqual(Uint8Array.of(0, 1, 1));
    expect(hostTensor("f32", [], [3]).data.length).toBe(1);
    expect(hostTensor("f32", [0, 4], []).data.length).toBe(0);
    expect(exactTensor("f16", [1], [0.1]).data).toEqual(Float64Array.of(0.1));
  });

  it("convert between storage and exact form", () => {
    const half = hostTensor("f16", [2], [0.5, -3]);
    expect(toExact(half).data).toEqual(Float64Array.of(0.5, -3));
    expect(toStorage(toExact(half))).toEqual(half);
    expect(toNumbers(half)).toEqual([0.5, -3]);
    const single = hostTensor("f32", [1], [0.1]);
    expect(toExact(single).data).toEqual(Float64Array.of(Math.fround(0.1)));
    expect(toStorage(toExact(single))).toEqual(single);
    const whole = hostTensor("i32", [2], [1, 2]);
    expect(toExact(whole).data).toBe(whole.data);
    expect(toStorage(whole)).toBe(whole);
  });

  it("say what does not fit", () => {
    expect(() => hostTensor("f32", [2, 3], [1])).toThrow("f32[2,3] holds 6 values, got 1");
    expect(() => toExact({ shape: [2], dtype: "f32", data: new Float64Array(3) })).toThrow(
      "f32[2] holds 2 values, got 3",
    );
    expect(() => toExact({ shape: [1], dtype: "f32", data: new Uint16Array(1) })).toThrow(
      "f32[1] is not stored in a Uint16Array",
    );
    expect(() => toExact({ shape: [1], dtype: "u32", data: new Int32Array(1) })).toThrow(
      "u32[1] is not stored in a Int32Array",
    );
    expect(() => toExact({ shape: [1], dtype: "bool", data: new Int32Array(1) })).toThrow(
      "bool[1] is not stored",
    );
  });
});
