import { describe, expect, it } from "vitest";
import { erf, erfc, erfcx } from "../../../src/dsl/numerics/erf.ts";

// [x, erf(x), erfc(x)], computed with 30 digits.
const TABLE = [
  [1e-300, 1.1283791670955126e-300, 1],
  [1e-9, 1.1283791670955127e-9, 0.9999999988716208],
  [0.1, 0.1124629160182849, 0.887537083981715],
  [0.5, 0.5204998778130465, 0.4795001221869535],
  [0.9999, 0.8426592780487595, 0.15734072195124052],
  [1, 0.8427007929497149, 0.15729920705028513],
  [1.5, 0.9661051464753108, 0.033894853524689274],
  [2, 0.9953222650189527, 0.004677734981047266],
  [3, 0.9999779095030014, 0.00002209049699858544],
  [5, 0.9999999999984626, 1.537459794428035e-12],
  [6, 1, 2.1519736712498913e-17],
  [10, 1, 2.088487583762545e-45],
  [20, 1, 5.395865611607901e-176],
  [26.5, 1, 2.2109076642637343e-307],
] as const;

const ULP = 2 ** -52;

describe("the error function", () => {
  it("has double precision, relative also in the tail", () => {
    for (const [x, wantErf, wantErfc] of TABLE) {
      expect(Math.abs(erf(x) / wantErf - 1)).toBeLessThan(4 * ULP);
      expect(Math.abs(erfc(x) / wantErfc - 1)).toBeLessThan(8 * ULP);
      expect(erf(-x)).toBe(-erf(x));
      expect(erfc(-x)).toBeCloseTo(1 + wantErf, 15);
    }
  });

  it("is exact at zeros and infinities, and NaN at NaN", () => {
    expect([erf(0), erf(-0), erf(Infinity), erf(-Infinity), erf(NaN)]).toEqual([0, -0, 1, -1, NaN]);
    expect([erfc(0), erfc(Infinity), erfc(-Infinity), erfc(NaN), erfc(30)]).toEqual([1, 0, 2, NaN, 0]);
  });

  it("does not underflow in scaled form", () => {
    expect(erfcx(0)).toBeCloseTo(1, 15);
    // The asymptotic series 1/(x√π)·(1 − 1/(2x²) + …).
    expect(Math.abs((erfcx(1e4) * 1e4 * Math.sqrt(Math.PI)) / (1 - 0.5e-8) - 1)).toBeLessThan(1e-15);
    expect(erfcx(1e200)).toBeGreaterThan(0);
    expect(() => erfcx(-1)).toThrow("use erfc");
  });
});
