// Special functions against 17-digit values computed with 30 to 120 digits of precision, and the root finder.

import { describe, expect, it } from "vitest";
import { erf, erfc, erfcx } from "../../../src/dsl/numerics/erf.ts";
import { logNormalCdf, normalCdf, normalPdf, solveIncreasing } from "../../../src/models/flow/numerics.ts";

const relative = (got: number, want: number): number => (got === want ? 0 : Math.abs(got / want - 1));

describe("special functions keep full relative accuracy", () => {
  it.each([
    [-3, 1.9999779095030015],
    [-0.5, 1.5204998778130465],
    [0, 1],
    [1e-20, 1],
    [0.3, 0.6713732405408726],
    [0.9, 0.20309178757716786],
    [1, 0.15729920705028513],
    [1.5, 0.033894853524689274],
    [3, 2.209049699858544e-5],
    [5.3, 6.613081850340811e-14],
    [10, 2.088487583762545e-45],
    [20, 5.395865611607901e-176],
    [26.37, 2.1461136039421266e-304],
    [26.5, 2.2109076642637343e-307],
  ])("erfc(%d)", (x, want) => expect(relative(erfc(x), want)).toBeLessThan(2e-15));

  it.each([
    [1e-300, 1.1283791670955126e-300],
    [1e-9, 1.1283791670955127e-9],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [0.99, 0.8385080695553698],
    [1.01, 0.8468104962282768],
    [2.5, 0.999593047982555],
  ])("erf(%d), an odd function", (x, want) => {
    expect(relative(erf(x), want)).toBeLessThan(1e-15);
    expect(erf(-x)).toBe(-erf(x));
  });

  it.each([
    [-1000, -500007.82669481216],
    [-37.5, -707.6689893175072],
    [-8, -35.01343715991455],
    [-1.5, -2.7059444008238898],
    [-0.5, -1.1759117615936185],
    [0, -0.6931471805599453],
    [0.5, -0.3689464152886564],
    [3, -0.0013508099647481938],
    [8, -6.220960574271786e-16],
    [20, -2.7536241186062337e-89],
  ])("log Phi(%d)", (z, want) => expect(relative(logNormalCdf(z), want)).toBeLessThan(2e-15));

  it.each([
    [-37, 5.725571222524577e-300],
    [-30.71, 2.0927517984371935e-207],
    [-20, 2.7536241186062337e-89],
    [-5, 2.866515718791939e-7],
    [-1, 0.15865525393145705],
    [0, 0.5],
    [0.7, 0.758036347776927],
    [4, 0.9999683287581669],
  ])("Phi(%d)", (z, want) => expect(relative(normalCdf(z), want)).toBeLessThan(2e-15));

  it("limits and wrong input", () => {
    expect(erfc(Infinity)).toBe(0);
    expect(erfc(-Infinity)).toBe(2);
    expect(erf(Infinity)).toBe(1);
    expect(erf(Number.NaN)).toBeNaN();
    expect(normalCdf(-Infinity)).toBe(0);
    expect(normalPdf(0)).toBeCloseTo(0.3989422804014327, 15);
    expect(relative(erfcx(1e9), 1 / (1e9 * Math.sqrt(Math.PI)))).toBeLessThan(1e-15);
    expect(() => erfcx(-1)).toThrow(RangeError);
  });
});

describe("solveIncreasing", () => {
  it("finds a root where Newton alone would diverge", () => {
    const root = solveIncreasing(
      (x) => ({ residual: Math.atan(x - 3), slope: 1 / (1 + (x - 3) ** 2) }),
      [-100, 100],
      90,
    );
    expect(root).toBeCloseTo(3, 12);
  });

  it("falls back on bisection when the derivative is useless", () => {
    const root = solveIncreasing((x) => ({ residual: x ** 3 - 2, slope: 0 }), [0, 2], 0.1);
    expect(root).toBeCloseTo(Math.cbrt(2), 14);
  });

  it("takes an infinite slope for no news, not for having arrived", () => {
    const root = solveIncreasing(
      (x) => ({ residual: 0.7 - Math.sqrt(1 - x), slope: 0.5 / Math.sqrt(1 - x) }),
      [0, 1],
      1,
    );
    expect(root).toBeCloseTo(0.51, 14);
  });

  it("keeps relative accuracy for a tiny root and stays inside the bracket", () => {
    expect(solveIncreasing((x) => ({ residual: 3 * x - 3e-200, slope: 3 }), [0, 1], 0.5)).toBeCloseTo(
      1e-200,
      210,
    );
    expect(solveIncreasing((x) => ({ residual: x + 1e-12, slope: 1 }), [0, 1], 0)).toBe(0);
  });
});
