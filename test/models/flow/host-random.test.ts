// The host's random stream: determinism, separation of streams, and the distributions' moments at fixed
// seeds.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { threefry2x32 } from "../../../src/dsl/random/threefry.ts";
import { fold, key, normals, permutation, uniforms, words } from "../../../src/models/flow/host-random.ts";

const average = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((a, b) => a + b, 0) / values.length;

describe("keys", () => {
  it("are the two halves of a seed and refuse anything but a whole number", () => {
    expect(key(7)).toEqual([0, 7]);
    expect(key(2 ** 32 + 5)).toEqual([1, 5]);
    expect(() => key(-1)).toThrow(RangeError);
    expect(() => key(0.5)).toThrow(RangeError);
    expect(() => fold(key(0), Number.NaN)).toThrow(RangeError);
  });

  it("fold encrypts the number under the key", () => {
    expect(fold([3, 4], 2 ** 33 + 6)).toEqual(threefry2x32(3, 4, 2, 6));
  });

  it("fold to different keys, whose words differ from the parent's draws", () => {
    const parent = key(1);
    const derived = Array.from({ length: 100 }, (_, i) => fold(parent, i).join());
    expect(new Set(derived).size).toBe(100);
    const drawn = new Set(words(parent, 200));
    expect(derived.some((pair) => pair.split(",").some((word) => drawn.has(Number(word))))).toBe(false);
  });
});

describe("draws", () => {
  it("are functions of the key, and an odd count only shortens them", () => {
    expect(uniforms(key(3), 8)).toEqual(uniforms(key(3), 8));
    expect(uniforms(key(3), 8)).not.toEqual(uniforms(key(4), 8));
    expect(normals(key(3), 5)).toEqual(normals(key(3), 6).slice(0, 5));
    expect(uniforms(key(3), 0)).toHaveLength(0);
  });

  it("uniforms lie in [0, 1) with the moments and strata of uniform numbers", () => {
    const draws = uniforms(key(11), 20_000);
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    expect(average(draws)).toBeCloseTo(0.5, 2);
    expect(average(draws.map((u) => (u - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const u of draws) tenths[Math.floor(u * 10)] = (tenths[Math.floor(u * 10)] ?? 0) + 1;
    const chiSquare = tenths.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(27.9); // the 0.1 % point of nine degrees of freedom
  });

  it("normals have mean 0, variance 1, kurtosis 3 and uncorrelated neighbours", () => {
    const draws = normals(key(12), 40_000);
    expect(Math.abs(average(draws))).toBeLessThan(0.02);
    expect(Math.abs(average(draws.map((z) => z * z)) - 1)).toBeLessThan(0.03);
    expect(Math.abs(average(draws.map((z) => z ** 4)) - 3)).toBeLessThan(0.2);
    expect(Math.abs(average(draws.map((z, i) => z * (draws[i ^ 1] ?? 0))))).toBeLessThan(0.02);
  });

  it("permutations hold every number once", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 40 }), (seed, n) => {
        expect(Array.from(permutation(key(seed), n)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
      }),
    );
  });

  it("all six permutations of three are equally frequent", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const name = permutation(fold(key(5), i), 3).join("");
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(20.5); // the 0.1 % point of five degrees of freedom
  });
});
