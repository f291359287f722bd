import { describe, expect, it } from "vitest";
import { erf, erfc, erfcx } from "../../../src/dsl/numerics/erf.ts";

// [x, erf(x), erfc(x)], computed with 30 digits.
const TABLE = [
  [1e-300, 1.1283791670955126022e-300, 1],
  [1e-9, 1.1283791670955126438e-9, 0.9999999988716208329],
  [0.1, 0.1124629160182848984, 0.8875370839817151016],
  [0.5, 0.52049987781304653768, 0.47950012218695346232],
  [0.9999, 0.84265927804875947799, 0.15734072195124052201],
  [1, 0.84270079294971486934, 0.15729920705028513066],
  [1.5, 0.96610514647531072707, 0.033894853524689272933],
  [2, 0.99532226501895273416, 0.0046777349810472658379],
  [3, 0.99997790950300141456, 0.000022090496998585441373],
  [5, 0.99999999999846254021, 1.5374597944280348502e-12],
  [6, 0.99999999999999997848, 2.1519736712498913117e-17],
  [10, 1, 2.088487583762544757e-45],
  [20, 1, 5.3958656116079009289e-176],
  [26.5, 1, 2.2109076642637342759e-307],
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
