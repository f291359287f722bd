/** Noise of covariance EᵀE: the matrix root, the covariance, and gradients whose expectation is that of noise drawn as ε·E. */
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { cos, grad, jvp, matmul, random, sub, sum, transpose } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { matrixRoot, projectedNoise } from "../../../src/models/flow/noise-root.ts";
import { compiled, distance, evaluate, floats, list, words } from "../../support/evaluate.ts";
import { run } from "../golden/support.ts";
import { normals } from "../networks/random-weights.ts";

const table = (seed: number, vocab: number, width: number, stretch = 1): ExactTensor => {
  const draw = normals(seed);
  return floats(
    [vocab, width],
    Array.from({ length: vocab * width }, (_, i) => draw() * stretch ** ((i % width) / (width - 1))),
  );
};

const identity = (n: number): number[] =>
  Array.from({ length: n * n }, (_, i) => Number(Math.floor(i / n) === i % n));

describe("the symmetric root of EᵀE", () => {
  it.each([
    [20, 5, 1],
    [64, 16, 1],
    [6, 6, 1],
    [40, 4, 30],
  ])(
    "vocab %i, width %i, columns stretched by %i: root² = A, root·inverse = 1, root symmetric",
    (vocab, width, stretch) => {
      const result = evaluate({ e: table(vocab, vocab, width, stretch) }, ({ e }) => {
        const gram: Tensor = matmul(transpose(e) as Tensor, e);
        const { root, inverse } = matrixRoot(gram);
        return {
          gram,
          square: matmul(root, root),
          unit: matmul(root, inverse),
          skew: sub(root, transpose(root) as Tensor),
        };
      });
      const size = Math.max(...list(result.gram).map(Math.abs));
      expect(distance(result.square.data, result.gram.data)).toBeLessThan(1e-9 * size);
      expect(distance(result.unit.data, identity(width))).toBeLessThan(1e-6);
      expect(Math.max(...list(result.skew).map(Math.abs))).toBeLessThan(1e-9 * size);
    },
  );
});

describe("in f32 on the cpu device", () => {
  it.each([
    ["well conditioned", 200, 32, 1],
    ["columns that differ ten thousandfold", 200, 32, 1e4],
    ["hardly more rows than columns", 33, 32, 1],
    ["rank deficient", 20, 32, 1],
  ])("%s: projected noise is finite and has the covariance EᵀE", async (_what, vocab, width, stretch) => {
    const e = table(1, vocab, width, stretch);
    const { root, gram } = await run("f32", { e, z: floats([width, width], identity(width)) }, (input) => ({
      root: projectedNoise(input.e, input.z),
      gram: matmul(transpose(input.e) as Tensor, input.e) as Tensor,
    }));
    const norm = Math.sqrt(list(gram).reduce((a, b) => a + b * b, 0));
    const product = identity(width).map((_, n) => {
      const [i, j] = [Math.floor(n / width), n % width];
      return Array.from(
        { length: width },
        (_unused, k) => (root.data[k * width + i] ?? NaN) * (root.data[k * width + j] ?? NaN),
      ).reduce((a, b) => a + b, 0);
    });
    expect(distance(product, gram.data)).toBeLessThan(1e-4 * norm);
  });
});

describe("projected noise", () => {
  const [VOCAB, WIDTH] = [7, 3];
  const e = table(5, VOCAB, WIDTH);

  it("has mean 0 and covariance EᵀE", () => {
    const count = 40_000;
    const { noise, gram } = evaluate({ e }, (input) => ({
      noise: projectedNoise(input.e, random.normal(random.key(11), [count, WIDTH])),
      gram: matmul(transpose(input.e) as Tensor, input.e) as Tensor,
    }));
    const at = (row: number, i: number): number => noise.data[row * WIDTH + i] ?? NaN;
    for (let i = 0; i < WIDTH; i++) {
      for (let j = 0; j < WIDTH; j++) {
        const products = Array.from({ length: count }, (_, row) => at(row, i) * at(row, j));
        const mean = products.reduce((a, b) => a + b, 0) / count;
        const error = Math.sqrt(products.reduce((a, b) => a + (b - mean) ** 2, 0) / count / count);
        expect(Math.abs(mean - (gram.data[i * WIDTH + j] ?? NaN))).toBeLessThan(5 * error);
      }
      const mean = Array.from({ length: count }, (_, row) => at(row, i)).reduce((a, b) => a + b, 0) / count;
      expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt((gram.data[i * WIDTH + i] ?? NaN) / count));
    }
  });

  // E cos⟨w, g⟩ = exp(−½ wᵀEᵀE w), so the gradient in E is −(E w wᵀ) exp(−½ |E w|²).
  const direction = [0.3, -0.2, 0.25];
  const through = direction.map((_, i) => i);
  const projections = Array.from({ length: VOCAB }, (_, v) =>
    through.reduce((a, i) => a + (e.data[v * WIDTH + i] ?? NaN) * (direction[i] ?? NaN), 0),
  );
  const height = Math.exp(-projections.reduce((a, p) => a + p * p, 0) / 2);
  const exact = projections.flatMap((p) => direction.map((w) => -p * w * height));

  it("gradients in E have the expectation of those through ε·E, with less variance", () => {
    const [batch, batches] = [400, 60];
    const gradients = compiled({ e, w: floats([WIDTH, 1], direction), key: words([2], [0, 1]) }, (input) => {
      const value = (noise: Tensor): Tensor<[]> =>
        sum(cos(matmul(noise, input.w) as Tensor) as Tensor) as Tensor<[]>;
      const key = input.key as Tensor<[2], "u32">;
      return {
        projected: grad((table_: Tensor) =>
          value(projectedNoise(table_, random.normal(key, [batch, WIDTH]))),
        )(input.e),
        drawn: grad((table_: Tensor) => value(matmul(random.normal(key, [batch, VOCAB]) as Tensor, table_)))(
          input.e,
        ),
      };
    });
    const runs = Array.from({ length: batches }, (_, i) =>
      gradients({ e, w: floats([WIDTH, 1], direction), key: words([2], [9, i]) }),
    );
    const spread = { projected: 0, drawn: 0 };
    for (const kind of ["projected", "drawn"] as const) {
      exact.forEach((expected, i) => {
        const values = runs.map((run) => (run[kind].data[i] ?? NaN) / batch);
        const mean = values.reduce((a, b) => a + b, 0) / batches;
        const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (batches - 1);
        spread[kind] += variance;
        expect(Math.abs(mean - expected)).toBeLessThan(5 * Math.sqrt(variance / batches));
      });
    }
    expect(spread.projected).toBeLessThan(spread.drawn);
  });

  it("the gradient in the draws is exact, and forward mode differentiates the root itself", () => {
    const inputs = {
      e,
      z: floats([2, WIDTH], [1, -0.5, 0.2, 0.7, 0.1, -2]),
      w: floats([WIDTH, 1], direction),
      d: table(8, VOCAB, WIDTH),
    };
    const value = (input: { readonly e: Tensor; readonly z: Tensor; readonly w: Tensor }): Tensor<[]> =>
      sum(cos(matmul(projectedNoise(input.e, input.z), input.w) as Tensor) as Tensor) as Tensor<[]>;
    const { slope, forward } = evaluate(inputs, (input) => ({
      slope: grad((z: Tensor) => value({ ...input, z }))(input.z),
      forward: jvp((table_: Tensor) => value({ ...input, e: table_ }), [input.e], [input.d]).tangent,
    }));
    const at = (change: Partial<typeof inputs>): number =>
      evaluate({ ...inputs, ...change }, value).data[0] ?? NaN;
    const step = 1e-5;
    const moved = (x: ExactTensor, by: ArrayLike<number>, sign: number): ExactTensor =>
      floats(
        x.shape,
        list(x).map((v, i) => v + sign * step * (by[i] ?? 0)),
      );
    const difference = (name: "e" | "z", by: ArrayLike<number>): number =>
      (at({ [name]: moved(inputs[name], by, 1) }) - at({ [name]: moved(inputs[name], by, -1) })) / (2 * step);
    expect(difference("e", inputs.d.data)).toBeCloseTo(forward.data[0] ?? NaN, 6);
    list(slope).forEach((expected, i) =>
      expect(
        difference(
          "z",
          list(slope).map((_, j) => Number(i === j)),
        ),
      ).toBeCloseTo(expected, 7),
    );
  });
});
