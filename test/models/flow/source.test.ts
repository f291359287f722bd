/** Sources: moments and histogram of what they draw, against their variance and density; refusals. */
import { describe, expect, it } from "vitest";
import { fn, reshape, u32 } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { gaussian, logistic, momentsOf, uniform } from "../../../src/models/flow/source.ts";
import { compile } from "../../../src/runtime/compile.ts";
import { listDevices, openDevice } from "../../../src/runtime/devices.ts";
import { distance, evaluate, floats, list, words } from "../../support/evaluate.ts";

const DRAWS = 40_000;

describe("the ends of the logistic source", () => {
  // Keys whose first word is among the 256 largest, and among the 256 smallest.
  const [top, bottom] = [10_082_300, 14_620_119];
  const program = fn({ key: u32(2) }, ({ key }) => logistic({ scale: 1 }).sample(key, [1]));

  it("are as far from 0, and finite", () => {
    const at = (key: number): number =>
      evaluate({ key: words([2], [0, key]) }, ({ key: one }) =>
        logistic({ scale: 1 }).sample(one as Tensor<[2], "u32">, [1]),
      ).data[0] as number;
    expect(at(bottom)).toBeCloseTo(Math.log(2 ** -25 / (1 - 2 ** -25)), 9);
    expect(at(top)).toBeCloseTo(-at(bottom), 9);
  });

  it("are finite in single precision", async () => {
    const cpu = (await listDevices()).find(({ name, available }) => name === "cpu" && available);
    if (cpu === undefined) return;
    const device = await openDevice("cpu");
    const compiled = await compile(program, { device });
    for (const key of [top, bottom]) {
      const [value = NaN] = (await (await compiled.run({ key: [0, key] })).read()).data;
      expect(Math.abs(value)).toBeCloseTo(25 * Math.LN2, 5);
    }
    await device.dispose();
  });
});

describe.each([
  ["Gaussian", gaussian()],
  ["Gaussian of scale 0.6", gaussian({ scale: 0.6 })],
  ["logistic", logistic()],
  ["logistic of scale 2", logistic({ scale: 2 })],
  ["uniform", uniform()],
  ["uniform on [−0.5, 0.5]", uniform({ halfWidth: 0.5 })],
])("%s", (_name, source) => {
  const drawn = list(
    evaluate({ key: words([2], [3, 14]) }, ({ key }) =>
      source.sample(key as Tensor<[2], "u32">, [DRAWS / 8, 2, 4]),
    ),
  );
  const [[center = NaN], [size = NaN]] = [momentsOf(source.mean, 1), momentsOf(source.variance, 1)];
  const spread = Math.sqrt(size);

  it("draws numbers of its mean and variance, independent between coordinates", () => {
    const mean = drawn.reduce((a, b) => a + b, 0) / DRAWS;
    const squares = drawn.map((x) => (x - center) ** 2);
    const variance = squares.reduce((a, b) => a + b, 0) / DRAWS;
    const fourth = squares.reduce((a, b) => a + b * b, 0) / DRAWS;
    expect(Math.abs(mean - center)).toBeLessThan((4 * spread) / Math.sqrt(DRAWS));
    expect(Math.abs(variance - size)).toBeLessThan(4 * Math.sqrt((fourth - variance ** 2) / DRAWS));
    for (const lag of [1, 4, 8]) {
      const products =
        drawn.slice(lag).reduce((sum, x, i) => sum + x * (drawn[i] as number), 0) / (DRAWS - lag);
      expect(Math.abs(products)).toBeLessThan((4 * size) / Math.sqrt(DRAWS));
    }
  });

  it("has the histogram of its density", () => {
    // Without a density the histogram of the uniform source is known: it is flat up to its half width.
    const half = Math.sqrt(3) * spread;
    const end = source.logDensity === undefined ? half : 8 * spread;
    const cells = 1600;
    const middles = Array.from({ length: cells }, (_, i) => end * ((2 * i + 1) / cells - 1));
    const density =
      source.logDensity === undefined
        ? middles.map(() => 1)
        : list(
            evaluate({ x: floats([cells, 1, 1], middles) }, ({ x }) => source.logDensity?.(x) as Tensor),
          ).map(Math.exp);
    const total = density.reduce((a, b) => a + b, 0);
    // Sixteen bins within two standard deviations, and the two tails.
    const bin = (x: number): number => Math.min(17, Math.max(0, Math.floor((x / spread + 2) * 4) + 1));
    const [found, wanted] = [Array(18).fill(0) as number[], Array(18).fill(0) as number[]];
    for (const x of drawn) found[bin(x)] = (found[bin(x)] as number) + 1;
    middles.forEach(
      (x, i) => (wanted[bin(x)] = (wanted[bin(x)] as number) + (DRAWS * (density[i] as number)) / total),
    );
    found.forEach((count, i) => {
      // Five deviations, and what a cell that lies across the edge of a bin may hold.
      const slack = 5 * Math.sqrt((wanted[i] as number) + 1) + (DRAWS * 2 * end) / (cells * spread);
      expect(Math.abs(count - (wanted[i] as number)), `bin ${i}`).toBeLessThan(slack);
    });
    expect(drawn.every(Number.isFinite)).toBe(true);
  });

  it("adds the logarithms of its coordinates", () => {
    if (source.logDensity === undefined) return expect(source.name).toBe("uniform");
    const x = [0.3, -1, 0.2, 0.7, 2, -0.4];
    const of = (shape: readonly number[]): number[] =>
      list(
        evaluate({ x: floats([6], x) }, ({ x: all }) => source.logDensity?.(reshape(all, shape)) as Tensor),
      );
    const single = of([6, 1, 1]);
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    expect(distance(of([1, 2, 3]), [sum(single)])).toBeLessThan(1e-12);
    expect(distance(of([2, 1, 3]), [sum(single.slice(0, 3)), sum(single.slice(3))])).toBeLessThan(1e-12);
  });
});

describe("sources refuse", () => {
  it.each<readonly [() => unknown, string]>([
    [() => gaussian({ scale: 0 }), "A Gaussian source needs a positive scale, got 0."],
    [() => gaussian({ scale: Infinity }), "A Gaussian source needs a positive scale, got Infinity."],
    [() => logistic({ scale: -1 }), "A logistic source needs a positive scale, got -1."],
    [() => uniform({ halfWidth: Number.NaN }), "A uniform source needs a positive half width, got NaN."],
  ])("case %#", (declare, message) => {
    expect(declare).toThrow(message);
  });

  it("only a Gaussian has a scale", () => {
    expect([gaussian({ scale: 2 }).scale, logistic().scale, uniform().scale]).toEqual([
      2,
      undefined,
      undefined,
    ]);
  });
});
