// Layers against plain loops over numbers, their derivatives against differences, and the shapes in their
// types.

import { describe, expect, expectTypeOf, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { grad, mul, nn, random, sum } from "../../../src/dsl/index.ts";
import type { ShapeError, Tensor } from "../../../src/dsl/index.ts";
import type { Key } from "../../../src/dsl/random/index.ts";
import { compiled, constants, distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";
import type { Tensors } from "../../support/evaluate.ts";
import { stream } from "../transforms/harness.ts";

const next = stream(17);
const randomFloats = (...shape: number[]): ExactTensor =>
  floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1),
  );
const at = (x: ExactTensor, ...index: number[]): number =>
  x.data[index.reduce((flat, i, axis) => flat * (x.shape[axis] as number) + i, 0)] as number;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Largest deviation of the gradient of Σ w·f(x, rest) from central differences, over every entry of `x`. */
function gradientError<Rest extends object>(
  x: ExactTensor,
  rest: Rest,
  f: (x: Tensor, rest: Tensors<Rest>) => Tensor,
): number {
  const loss = (y: Tensor, others: Tensors<Rest>): Tensor => {
    const output = f(y, others);
    return sum(mul(output, random.normal(random.key(3), output.shape)) as Tensor);
  };
  const value = compiled({ x, rest }, (inputs) => loss(inputs.x, inputs.rest));
  const gradient = evaluate({ x, rest }, (inputs) => grad((y: Tensor) => loss(y, inputs.rest))(inputs.x));
  const h = 1e-5;
  const numeric = range(x.data.length).map((i) => {
    const moved = (by: number): number =>
      value({
        x: floats(
          x.shape,
          list(x).map((v, j) => (i === j ? v + by : v)),
        ),
        rest,
      }).data[0] as number;
    return (moved(h) - moved(-h)) / (2 * h);
  });
  return distance(gradient.data, numeric);
}

describe("linear", () => {
  const [x, weight, bias] = [randomFloats(2, 3, 4), randomFloats(5, 4), randomFloats(5)];
  const expected = (b: ExactTensor | undefined): number[] =>
    range(30).map(
      (n) =>
        total(
          range(4).map((k) => at(x, Math.floor(n / 15), Math.floor(n / 5) % 3, k) * at(weight, n % 5, k)),
        ) + (b === undefined ? 0 : at(b, n % 5)),
    );

  it("is x·Wᵀ + b", () => {
    const y = evaluate({ x, weight, bias }, (t) => nn.linear(t, t.x));
    expect(y.shape).toEqual([2, 3, 5]);
    expect(distance(y.data, expected(bias))).toBeLessThan(1e-14);
    expect(
      distance(evaluate({ x, weight }, (t) => nn.linear(t, t.x)).data, expected(undefined)),
    ).toBeLessThan(1e-14);
  });

  it("carries named dimensions, and says what does not fit", () => {
    const check = (
      w: Tensor<["out", "in"]>,
      b: Tensor<["out"]>,
      a: Tensor<["batch", "length", "in"]>,
      wrong: Tensor<["batch", 7]>,
    ) => {
      expectTypeOf(nn.linear({ weight: w, bias: b }, a)).toEqualTypeOf<Tensor<["batch", "length", "out"]>>();
      expectTypeOf(nn.linear({ weight: w }, a)).toEqualTypeOf<Tensor<["batch", "length", "out"]>>();
      // @ts-expect-error: the input has 7 features, the weight takes "in"
      nn.linear({ weight: w }, wrong);
    };
    expect(check).toBeTypeOf("function");
    expectTypeOf<nn.Linear<[2, 7], [5, 4]>>().toEqualTypeOf<
      ShapeError<"linear: the input has 7 features, the weight takes 4">
    >();
    expect(() => evaluate({ x, weight: randomFloats(5, 3) }, (t) => nn.linear(t, t.x))).toThrow(
      /input has 4 features, the weight takes 3/,
    );
    expect(() => evaluate({ x, weight, bias: randomFloats(4) }, (t) => nn.linear(t, t.x))).toThrow(
      /bias must be \[5\], got \[4\]/,
    );
  });

  it("starts uniform within ±1/√inputs, like PyTorch", () => {
    const { weight: w, bias: b } = constants(() =>
      nn.initLinear(random.key(1), { inputs: 64, outputs: 200 }),
    );
    expect([w.shape, b.shape]).toEqual([[200, 64], [200]]);
    for (const values of [list(w), list(b)]) {
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / 8);
      expect(Math.abs(total(values.map((v) => v * v)) / values.length - 1 / 192)).toBeLessThan(8e-4);
    }
    expect(list(w).slice(0, 3)).not.toEqual(list(b).slice(0, 3));
    constants(() => {
      const typed = nn.initLinear(random.key(1), { inputs: 3, outputs: 5, bias: false });
      expectTypeOf(typed).toEqualTypeOf<{ readonly weight: Tensor<[5, 3], "f32"> }>();
      expectTypeOf(nn.initLinear(random.key(1), { inputs: 3, outputs: 5 }).bias).toEqualTypeOf<
        Tensor<[5], "f32">
      >();
      expect(Object.keys(typed)).toEqual(["weight"]);
      return typed;
    });
  });
});

describe("embedding", () => {
  const embedding = randomFloats(6, 3);

  it("takes rows, and maps points: a unit vector gives its row", () => {
    const ids = ints([2, 2], [5, 0, 3, 3]);
    const rows = evaluate({ embedding, ids }, (t) => nn.embed(t, t.ids));
    expect(rows.shape).toEqual([2, 2, 3]);
    expect(list(rows)).toEqual([5, 0, 3, 3].flatMap((id) => range(3).map((k) => at(embedding, id, k))));
    const points = floats(
      [4, 6],
      [5, 0, 3, 3].flatMap((id) => range(6).map((v) => (v === id ? 1 : 0))),
    );
    expect(list(evaluate({ embedding, points }, (t) => nn.embedPoints(t, t.points)))).toEqual(list(rows));
  });

  it("says of ids that are not i32 what they must be, and what floats are for", () => {
    const points = floats([1, 6], [1, 0, 0, 0, 0, 0]);
    // As from plain JavaScript, where no type says so first.
    const wrong = (): unknown => evaluate({ embedding, points }, (t) => nn.embed(t, t.points as never));
    expect(wrong).toThrow(
      /^embed: ids must be i32 \(embedPoints takes points\), got f32\n.*layers\.test\.ts/,
    );
    expect(() => nn.embed({ embedding: {} as Tensor }, 2.5 as never)).toThrow(
      "embed: expected a tensor, got number",
    );
  });

  it("carries named dimensions", () => {
    const check = (
      e: Tensor<["vocab", 8], "f32">,
      ids: Tensor<["batch", "length"], "i32">,
      x: Tensor<["batch", "length", "vocab"], "f32">,
    ) => {
      expectTypeOf(nn.embed({ embedding: e }, ids)).toEqualTypeOf<Tensor<["batch", "length", 8], "f32">>();
      expectTypeOf(nn.embedPoints({ embedding: e }, x)).toEqualTypeOf<
        Tensor<["batch", "length", 8], "f32">
      >();
      // @ts-expect-error: ids are i32
      nn.embed({ embedding: e }, x);
      // @ts-expect-error: inner dimensions differ
      nn.embedPoints({ embedding: e }, e);
    };
    expect(check).toBeTypeOf("function");
    expect(constants(() => nn.initEmbedding(random.key(0), { count: 7, width: 2 }).embedding).shape).toEqual([
      7, 2,
    ]);
  });
});

describe("norms", () => {
  const [x, weight, bias] = [randomFloats(3, 2, 5), randomFloats(5), randomFloats(5)];
  const rows = range(6).map((r) => list(x).slice(5 * r, 5 * r + 5));

  it("layerNorm takes off the mean and divides by the biased deviation", () => {
    const expected = (b: boolean): number[] =>
      rows.flatMap((row) => {
        const mean = total(row) / 5;
        const deviation = Math.sqrt(total(row.map((v) => (v - mean) ** 2)) / 5 + 1e-5);
        return row.map((v, k) => ((v - mean) / deviation) * at(weight, k) + (b ? at(bias, k) : 0));
      });
    expect(
      distance(evaluate({ x, weight, bias }, (t) => nn.layerNorm(t, t.x)).data, expected(true)),
    ).toBeLessThan(1e-14);
    expect(distance(evaluate({ x, weight }, (t) => nn.layerNorm(t, t.x)).data, expected(false))).toBeLessThan(
      1e-14,
    );
  });

  it("rmsNorm divides by the root of the mean square", () => {
    const expected = rows.flatMap((row) =>
      row.map((v, k) => (v / Math.sqrt(total(row.map((u) => u * u)) / 5 + 1e-3)) * at(weight, k)),
    );
    expect(
      distance(evaluate({ x, weight }, (t) => nn.rmsNorm(t, t.x, { eps: 1e-3 })).data, expected),
    ).toBeLessThan(1e-14);
  });

  it("differentiate like differences", () => {
    for (const norm of [nn.layerNorm, nn.rmsNorm]) {
      expect(gradientError(x, { weight, bias }, (y, layer) => norm(layer, y))).toBeLessThan(1e-8);
      expect(gradientError(weight, { x }, (w, rest) => norm({ weight: w }, rest.x))).toBeLessThan(1e-8);
    }
  });

  it("keep the type of their input and refuse other widths", () => {
    expect(() => evaluate({ x, weight: randomFloats(4) }, (t) => nn.layerNorm(t, t.x))).toThrow(
      /must be \[5\], got \[4\]/,
    );
    const check = (y: Tensor<["batch", 5], "f32">) =>
      expectTypeOf(nn.layerNorm({ weight: y }, y)).toEqualTypeOf<Tensor<["batch", 5], "f32">>();
    expect(check).toBeTypeOf("function");
    const named = () =>
      expectTypeOf(nn.initNorm("width")).toEqualTypeOf<{ readonly weight: Tensor<["width"], "f32"> }>();
    expect(named).toBeTypeOf("function");
    expect(constants(() => nn.initNorm(3, { bias: true }))).toMatchObject({
      weight: floats([3], [1, 1, 1]),
      bias: floats([3], [0, 0, 0]),
    });
  });
});

describe("dropout", () => {
  const x = randomFloats(200, 100);
  const dropped = (rate: number): ExactTensor => evaluate({ x }, (t) => nn.dropout(random.key(5), t.x, rate));

  it("zeroes the share asked for, and keeps the mean of every entry", () => {
    const y = dropped(0.3);
    const kept = list(y).map((v) => (v === 0 ? 0 : 1));
    expect(Math.abs(total(kept) / kept.length - 0.7)).toBeLessThan(4 * Math.sqrt((0.7 * 0.3) / kept.length));
    expect(
      distance(
        y.data,
        list(x).map((v, i) => ((kept[i] as number) * v) / 0.7),
      ),
    ).toBeLessThan(1e-15);
    const ones = evaluate({ x: floats([20_000], new Float64Array(20_000).fill(1)) }, (t) =>
      nn.dropout(random.key(6), t.x, 0.3),
    );
    expect(Math.abs(total(list(ones)) / 20_000 - 1)).toBeLessThan(4 * Math.sqrt(0.3 / 0.7 / 20_000));
  });

  it("is the identity without a key and at rate 0", () => {
    expect(list(evaluate({ x }, (t) => nn.dropout(undefined, t.x, 0.5)))).toEqual(list(x));
    expect(list(dropped(0))).toEqual(list(x));
    expect(() => dropped(1)).toThrow(/rate must be in \[0, 1\), got 1/);
  });

  it("passes gradients through the kept entries alone", () => {
    const gradient = evaluate({ x }, (t) => grad((y: Tensor) => sum(nn.dropout(random.key(5), y, 0.3)))(t.x));
    expect(
      distance(
        gradient.data,
        list(dropped(0.3)).map((v) => (v === 0 ? 0 : 1 / 0.7)),
      ),
    ).toBeLessThan(1e-15);
  });
});

describe("mlp", () => {
  it("is down(gelu(up(x))), of any activation", () => {
    const params = {
      up: { weight: randomFloats(8, 4), bias: randomFloats(8) },
      down: { weight: randomFloats(4, 8), bias: randomFloats(4) },
    };
    const x = randomFloats(3, 4);
    const gelu = (v: number): number =>
      0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    const expected = (activation: (v: number) => number): number[] =>
      range(3).flatMap((row) => {
        const hidden = range(8).map((h) =>
          activation(
            total(range(4).map((k) => at(x, row, k) * at(params.up.weight, h, k))) + at(params.up.bias, h),
          ),
        );
        return range(4).map(
          (out) =>
            total(hidden.map((v, h) => v * at(params.down.weight, out, h))) + at(params.down.bias, out),
        );
      });
    expect(distance(evaluate({ params, x }, (t) => nn.mlp(t.params, t.x)).data, expected(gelu))).toBeLessThan(
      1e-14,
    );
    expect(
      distance(
        evaluate({ params, x }, (t) => nn.mlp(t.params, t.x, { activation: (h) => h })).data,
        expected((v) => v),
      ),
    ).toBeLessThan(1e-14);
    const initial = constants(() => nn.initMlp(random.key(0), { width: 4 }));
    expect([initial.up.weight.shape, initial.down.weight.shape, initial.down.bias?.shape]).toEqual([
      [16, 4],
      [4, 16],
      [4],
    ]);
  });
});

describe("modulation", () => {
  it("cuts the conditioning into shifts, scales and gates, in this order", () => {
    const layer = { weight: randomFloats(6, 3), bias: randomFloats(6) };
    const [c, x] = [randomFloats(2, 3), randomFloats(2, 4, 2)];
    const { chunks, y } = evaluate({ layer, c, x }, (t) => {
      const parts = nn.modulations(t.layer, t.c, 3);
      expectTypeOf(parts).toEqualTypeOf<readonly [Tensor, Tensor, Tensor]>();
      return { chunks: parts, y: nn.modulate(t.x, parts[0], parts[1]) };
    });
    const output = (b: number, o: number): number =>
      total(range(3).map((k) => at(c, b, k) * at(layer.weight, o, k))) + at(layer.bias, o);
    chunks.forEach((chunk, i) => {
      expect(chunk.shape).toEqual([2, 1, 2]);
      expect(
        distance(
          chunk.data,
          [0, 1].flatMap((b) => [0, 1].map((k) => output(b, 2 * i + k))),
        ),
      ).toBeLessThan(1e-15);
    });
    const expected = range(16).map((n) => {
      const [b, k] = [Math.floor(n / 8), n % 2];
      return at(x, b, Math.floor(n / 2) % 4, k) * (1 + output(b, 2 + k)) + output(b, k);
    });
    expect(distance(y.data, expected)).toBeLessThan(1e-15);
    expect(() => evaluate({ layer, c }, (t) => nn.modulations(t.layer, t.c, 4))).toThrow(
      /size 6 does not divide into 4 parts/,
    );
  });

  it("starts at zero: the input passes unchanged", () => {
    const x = randomFloats(2, 4, 8);
    const { y, gate } = evaluate({ x, c: randomFloats(2, 3) }, (t) => {
      const [shift, scale, last] = nn.modulations(
        nn.initModulation({ inputs: 3, width: 8, count: 3 }),
        t.c,
        3,
      );
      return { y: nn.modulate(t.x, shift, scale), gate: last };
    });
    expect(list(y)).toEqual(list(x));
    expect(list(gate).every((v) => v === 0)).toBe(true);
  });
});

describe("sinusoids", () => {
  it("are cosines, then sines", () => {
    const t = floats([3], [0, 0.25, 7]);
    const features = evaluate({ t }, (x) => nn.sinusoids(x.t, { count: 6 }));
    const expected = list(t).flatMap((time) =>
      [Math.cos, Math.sin].flatMap((f) => range(3).map((k) => f(time * 10_000 ** (-k / 3)))),
    );
    expect(features.shape).toEqual([3, 6]);
    expect(distance(features.data, expected)).toBeLessThan(1e-15);
    expect(() => evaluate({ t }, (x) => nn.sinusoids(x.t, { count: 5 }))).toThrow(/must be even/);
  });
});

describe("initializers", () => {
  const { initializers } = nn;
  const drawn = (init: nn.Initializer, shape: readonly number[]): number[] =>
    list(constants(() => init(random.key(9), shape)));
  const variance = (values: readonly number[]): number => total(values.map((v) => v * v)) / values.length;

  it("have the variance they state", () => {
    const shape = [300, 100];
    const expected = [
      [initializers.kaimingUniform(), 1 / 300],
      [initializers.kaimingUniform(0), 2 / 100],
      [initializers.xavierUniform(), 2 / 400],
      [initializers.xavierNormal(2), 8 / 400],
      [initializers.normal(0.02), 0.0004],
      [initializers.uniform(0.3), 0.03],
    ] as const;
    for (const [init, size] of expected)
      expect(Math.abs(variance(drawn(init, shape)) / size - 1)).toBeLessThan(0.04);
    expect(new Set(drawn(initializers.ones, [4]))).toEqual(new Set([1]));
    expect(new Set(drawn(initializers.zeros, [4]))).toEqual(new Set([0]));
    expect(() => drawn(initializers.kaimingUniform(), [4])).toThrow(
      /needs a matrix \[out, in\], got shape \[4\]/,
    );
  });

  it("read leading axes as stacked layers", () => {
    expect(Math.max(...drawn(initializers.kaimingUniform(), [2, 50, 16]).map(Math.abs))).toBeLessThanOrEqual(
      0.25,
    );
    const named = (key: Key) =>
      expectTypeOf(initializers.normal(1)(key, ["a", 3])).toEqualTypeOf<Tensor<["a", 3], "f32">>();
    expect(named).toBeTypeOf("function");
  });
});
