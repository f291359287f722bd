/** The recomputed time table against the numbers of the published one. */
import { describe, expect, it } from "vitest";
import { goldenCase, numbers, scalar } from "./golden.ts";
import { gaussHermite, publishedTau, timeTable } from "./time-table.ts";

it("the Gauss–Hermite rule has the moments of the normal distribution", () => {
  const nodes = gaussHermite(100);
  expect(nodes).toHaveLength(100);
  const moment = (power: number): number =>
    nodes.reduce((sum, { x, weight }) => sum + weight * (Math.SQRT2 * x) ** power, 0) / Math.sqrt(Math.PI);
  [1, 1, 3, 15, 105, 945].forEach((value, i) => expect(moment(2 * i) / value).toBeCloseTo(1, 13));
});

describe("published time table", () => {
  // Nothing but rounding is left: 1e-15 is the worst of all of them.
  const TOLERANCE = 1e-14;

  it.each([11, 29, 30_522])("of V = %i", (vocab) => {
    const { inputs, outputs } = goldenCase("common", `f_time_table_V${vocab}`);
    const table = timeTable(vocab);
    const compare = (input: string, output: string, f: (x: number) => number): void => {
      const expected = numbers(outputs, output);
      numbers(inputs, input).forEach((x, i) =>
        expect(Math.abs(f(x) - (expected[i] ?? Number.NaN)), `${output}[${i}]`).toBeLessThan(TOLERANCE),
      );
    };
    compare("t", "gh100", (t) => publishedTau(vocab, t));
    compare("t", "lut_tau", table.tau);
    compare("tau", "lut_t", table.time);
    compare("tau_small", "lut_t_small_tau", table.time);
    expect(table.knots).toBe(scalar(outputs, "knots_used_in_inverse"));
    expect([0, 1].map(table.tau)).toEqual(numbers(outputs, "lut_tau_at_ends"));
    expect([0, 1].map(table.time)).toEqual(numbers(outputs, "lut_t_at_ends"));
  });
});
