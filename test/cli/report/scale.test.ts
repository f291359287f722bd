import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixed, intervalText, significant, tickText } from "../../../src/cli/report/numbers.ts";
import { linearScale, logScale, spread, stepScale, tightScale } from "../../../src/cli/report/scale.ts";

const positive = fc.double({ noNaN: true, min: 1e-6, max: 1e9 });

describe("scales", () => {
  it("keep all values and ticks inside the range, in order", () => {
    fc.assert(
      fc.property(fc.array(positive, { maxLength: 12 }), (values) => {
        for (const make of [linearScale, logScale]) {
          const scale = make(values, [0, 100]);
          for (const value of [...values, ...scale.ticks]) {
            expect(scale.at(value)).toBeGreaterThanOrEqual(-1e-6);
            expect(scale.at(value)).toBeLessThanOrEqual(100 + 1e-6);
          }
          expect([...scale.ticks].sort((a, b) => a - b)).toEqual(scale.ticks);
          expect(scale.ticks.length).toBeLessThanOrEqual(12);
        }
      }),
    );
  });

  it("are usable for any numbers at all", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.double(), fc.constantFrom(0, 1, 5e-324, -1e300))), (values) => {
        for (const make of [linearScale, tightScale, logScale])
          expect(Number.isFinite(make(values, [0, 100]).at(1))).toBe(true);
      }),
    );
  });

  it("have finite ends even for values at the ends of what a number can be", () => {
    for (const values of [
      [1e-199, 1e199],
      [5e-324, 1e308],
      [1e-289, 1e289],
    ])
      for (const make of [linearScale, tightScale, logScale]) {
        const { at, ticks } = make(values, [0, 100]);
        expect(Number.isFinite(at(1))).toBe(true);
        expect(ticks.length).toBeLessThanOrEqual(12);
      }
  });

  it("mark round values", () => {
    expect(linearScale([0.3, 9.2], [0, 1]).ticks).toEqual([0, 2, 4, 6, 8, 10]);
    expect(logScale([2.7, 12], [0, 1]).ticks).toEqual([3, 5, 7, 10]);
    expect(logScale([1, 1e5], [0, 1]).ticks).toEqual([1, 10, 100, 1000, 10_000, 100_000]);
    expect(tightScale([1, 7], [0, 1], 12).ticks).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const steps = stepScale([1, 2, 4, 64], [0, 60]);
    expect([1, 2, 4, 64].map(steps.at)).toEqual([0, 10, 20, 60]);
  });
});

describe("spread", () => {
  it("keeps labels apart, in order and inside", () => {
    const labels = fc.array(fc.double({ noNaN: true, min: -50, max: 150 }), { maxLength: 6 });
    fc.assert(
      fc.property(labels, (wanted) => {
        const places = spread(
          wanted.map((place) => ({ wanted: place, height: 10 })),
          0,
          100,
        );
        const sorted = [...places].sort((a, b) => a - b);
        sorted.forEach((place, i) => {
          expect(place).toBeGreaterThanOrEqual(5 - 1e-9);
          expect(place).toBeLessThanOrEqual(95 + 1e-9);
          if (i > 0) expect(place - (sorted[i - 1] ?? 0)).toBeGreaterThanOrEqual(10 - 1e-9);
        });
        wanted.forEach((a, i) => {
          wanted.forEach((b, j) => {
            if (a < b) expect(places[i]).toBeLessThan(places[j] ?? 0);
          });
        });
      }),
    );
  });

  it("leaves labels where they want to be if they fit", () => {
    expect(
      spread(
        [10, 50, 30].map((wanted) => ({ wanted, height: 10 })),
        0,
        100,
      ),
    ).toEqual([10, 50, 30]);
  });
});

describe("numbers", () => {
  it("have the digits asked for and words for what is none", () => {
    expect([3.5123, 11.934, 104.25, 1234.5, 0, -2, NaN, Infinity].map((value) => significant(value))).toEqual(
      ["3.512", "11.93", "104.3", "1235", "0", "−2.000", "n/a", "∞"],
    );
    expect([3.5123, NaN, Infinity].map((value) => fixed(value, 2))).toEqual(["3.51", "n/a", "∞"]);
    expect(intervalText(3.4, 3.6)).toBe("3.40–3.60");
    expect(intervalText(NaN, 3.6)).toBe("n/a");
    expect([1000, 0.25, 2e-7].map(tickText)).toEqual(["1,000", "0.25", "2e-7"]);
  });
});
