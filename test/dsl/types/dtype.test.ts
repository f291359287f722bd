// The value side of dtypes.

import { describe, expect, it } from "vitest";
import { byteSize, DTYPES, isFloat, isInteger } from "../../../src/dsl/types/index.ts";

describe("dtypes", () => {
  it("lists five, each once", () => {
    expect([...DTYPES].sort()).toEqual(["bool", "f16", "f32", "i32", "u32"]);
  });

  it("knows floats, integers and sizes in bytes", () => {
    expect(DTYPES.filter(isFloat)).toEqual(["f32", "f16"]);
    expect(DTYPES.filter(isInteger)).toEqual(["i32", "u32"]);
    expect(DTYPES.map(byteSize)).toEqual([4, 2, 4, 4, 1]);
  });
});
