// Classes, integers and orders: frequencies at fixed seeds by Pearson's statistic, whose bounds are 99.9 %
// quantiles.

import { describe, expect, expectTypeOf, it } from "vitest";
import { broadcastTo, random } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { constants, evaluate, floats, ints, list } from "../../support/evaluate.ts";

/** Σ (count − expected)² / expected. */
function pearson(values: readonly number[], probabilities: readonly number[]): number {
  return probabilities.reduce((sum, p, value) => {
    const expected = p * values.length;
    return sum + (values.filter((x) => x === value).length - expected) ** 2 / expected;
  }, 0);
}

describe("categorical", () => {
  const probabilities = [0.5, 0.25, 0.15, 0.09, 0.01];
  const logits = floats(
    [5],
    probabilities.map((p) => Math.log(p) + 3),
  );

  it("draws with the softmax of the logits", () => {
    const drawn = evaluate({ logits }, (x) =>
      random.categorical(random.key(1), broadcastTo(x.logits, [4000, 5]), -1),
    );
    expect([drawn.dtype, drawn.shape]).toEqual(["i32", [4000]]);
    expect(pearson(list(drawn), probabilities)).toBeLessThan(18.5); // 4 degrees of freedom
  });

  it("takes any axis, and never draws an excluded class", () => {
    const excluded = floats(
      [3, 500],
      Array.from({ length: 1500 }, (_, i) => (i < 500 ? -1e30 : 0)),
    );
    const drawn = evaluate({ excluded }, (x) =>
      random.categorical(random.key(2), x.excluded as Tensor<[3, 500], "f32">, 0),
    );
    expect(drawn.shape).toEqual([500]);
    expect(new Set(list(drawn))).toEqual(new Set([1, 2]));
  });

  it("types its result", () => {
    evaluate({ logits: floats([2, 3], [0, 0, 0, 0, 0, 0]) }, (x) => {
      const typed = x.logits as Tensor<["batch", 3], "f32">;
      expectTypeOf(random.categorical(random.key(0), typed)).toEqualTypeOf<Tensor<["batch"], "i32">>();
      expectTypeOf(random.categorical(random.key(0), typed, 0)).toEqualTypeOf<Tensor<[3], "i32">>();
      return random.categorical(random.key(0), typed);
    });
  });
});

describe("integers", () => {
  it("are uniform in the range", () => {
    const drawn = constants(() => random.integers(random.key(3), [6000], { low: -2, high: 5 }));
    expect(drawn.dtype).toBe("i32");
    expect(
      pearson(
        list(drawn).map((x) => x + 2),
        Array.from({ length: 7 }, () => 1 / 7),
      ),
    ).toBeLessThan(22.5); // 6 degrees
    expect(() => constants(() => random.integers(random.key(3), [1], { high: 0 }))).toThrow(
      /low must be below high/,
    );
  });
});

describe("permutation and shuffle", () => {
  it("hold every number once, in any order", () => {
    const order = list(constants(() => random.permutation(random.key(4), 100)));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(order.filter((x, i) => x === i).length).toBeLessThan(8);
  });

  it("draw all orders of three alike", () => {
    const orders = constants(() =>
      random.split(random.key(5), 1200 as number).map((key) => random.permutation(key, 3)),
    );
    const names = ["0,1,2", "0,2,1", "1,0,2", "1,2,0", "2,0,1", "2,1,0"];
    expect(
      pearson(
        orders.map((order) => names.indexOf(list(order).join())),
        names.map(() => 1 / 6),
      ),
    ).toBeLessThan(20.6); // 5 degrees
  });

  it("move whole slices", () => {
    const x = ints([4, 2], [0, 1, 10, 11, 20, 21, 30, 31]);
    const order = list(constants(() => random.permutation(random.key(6), 4)));
    const rows = list(evaluate({ x }, (input) => random.shuffle(random.key(6), input.x)));
    expect(rows).toEqual(order.flatMap((row) => [10 * row, 10 * row + 1]));
  });
});
