// Softmax of a linear layer, streamed: the plain composition under every transform, and nothing of the size of its logits.

import { describe, expect, expectTypeOf, it } from "vitest";
import {
  add,
  argmax,
  cast,
  cumsum,
  div,
  expandDims,
  lessEqual,
  logSumExp,
  max,
  minimum,
  nn,
  softcap,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
  transpose,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { outputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { evaluate, floats, list } from "../../support/evaluate.ts";
import { of } from "../transforms/differentiates.ts";
import { stream, vjpOf } from "../transforms/harness.ts";
import { neverHolds, sameUnderTransforms } from "./same-derivatives.ts";

interface Options {
  readonly softcap?: number;
  readonly temperature?: number | Tensor;
}

const paramsOf = (weight: Tensor, bias?: Tensor) => (bias === undefined ? { weight } : { weight, bias });

/** The logits, written down. */
function logitsOf(
  h: Tensor,
  w: Tensor,
  b: Tensor | undefined,
  { softcap: cap = 0, temperature }: Options,
): Tensor {
  const raw: Tensor = nn.linear(paramsOf(w, b), h);
  const capped: Tensor = cap > 0 ? softcap(raw, cap) : raw;
  return temperature === undefined ? capped : div(capped, temperature);
}

/** The definition of a pass, of h, W, values and bias. */
function plain(options: Options, h: Tensor, w: Tensor, v: Tensor, b?: Tensor): readonly Tensor[] {
  const logits = logitsOf(h, w, b, options);
  const p: Tensor = softmax(logits);
  return [product(p, v), logSumExp(logits, -1), argmax(p, -1), stopGradient(max(p, -1) as Tensor)];
}

/** p·v for p of any rank. */
const product = (p: Tensor, v: Tensor): Tensor => nn.linear({ weight: transpose(v) as Tensor }, p);

function streamed(
  options: Options & { readonly chunk?: number },
  h: Tensor,
  w: Tensor,
  v: Tensor,
  b?: Tensor,
): readonly Tensor[] {
  const found = nn.linearSoftmaxExpectation(paramsOf(w, b), h, v, options);
  return [found.expectation, found.logSumExp, found.mode, found.probability];
}

/** Both. */
const pair = (types: readonly string[], options: Options, chunk: number): readonly [Program, Program] => [
  of(types, (h: Tensor, w: Tensor, v: Tensor, b?: Tensor) => streamed({ ...options, chunk }, h, w, v, b)),
  of(types, (h: Tensor, w: Tensor, v: Tensor, b?: Tensor) => plain(options, h, w, v, b)),
];

const next = stream(31);
const randoms = (shape: readonly number[], size = 1) =>
  floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => size * (2 * next() - 1)),
  );

describe("linearSoftmaxExpectation", () => {
  it.each([
    [1, 1],
    [7, 1],
    [7, 3],
    [8, 4],
    [9, 4],
    [31, 32],
    [33, 8],
  ])("of a vocabulary of %d in parts of %d is the composition, under every transform", (vocab, chunk) => {
    const types = ["f32[2,3,5]", `f32[${vocab},5]`, `f32[${vocab},4]`];
    sameUnderTransforms(...pair(types, {}, chunk), vocab, 2);
    sameUnderTransforms(...pair([...types, `f32[${vocab}]`], { softcap: 2 }, chunk), vocab, 2);
  });

  it("takes rows of any rank, and a temperature that is a number or is differentiated", () => {
    sameUnderTransforms(...pair(["f32[5]", "f32[7,5]", "f32[7,4]"], { temperature: 0.7 }, 3), 1);
    const types = ["f32[4,5]", "f32[7,5]", "f32[7,2]", "f32[]"];
    const positive = (t: Tensor): Tensor => add(square(t), 1);
    sameUnderTransforms(
      of(types, (h: Tensor, w: Tensor, v: Tensor, t: Tensor) =>
        streamed({ softcap: 3, temperature: positive(t), chunk: 3 }, h, w, v),
      ),
      of(types, (h: Tensor, w: Tensor, v: Tensor, t: Tensor) =>
        plain({ softcap: 3, temperature: positive(t) }, h, w, v),
      ),
      2,
    );
  });

  it("never holds the logits, nor does any of its derivatives", () => {
    neverHolds(64 * 60, ...pair(["f32[64,4]", "f32[60,4]", "f32[60,3]", "f32[60]"], { softcap: 2 }, 7));
  });

  it("neither overflows nor loses what is far below the largest logit", () => {
    const [h, v] = [floats([1, 1], [1]), floats([4, 1], [1, 2, 3, 4])];
    for (const levels of [
      [-5000, 4000, 3999, -4000],
      [4000, -5000, 1e6, 1e6 - 1],
      [-8000, -8001, -9000, -8000.5],
    ]) {
      const w = floats([4, 1], levels);
      const found = evaluate({ h, w, v }, (x) => {
        const [ours, right] = [streamed({ chunk: 1 }, x.h, x.w, x.v), plain({}, x.h, x.w, x.v)];
        return {
          ours: ours[0] as Tensor,
          right: right[0] as Tensor,
          gap: sub(ours[1] as Tensor, right[1] as Tensor) as Tensor,
        };
      });
      expect(list(found.ours)[0]).toBeCloseTo(list(found.right)[0] as number, 12);
      expect(list(found.gap)).toEqual([0]);
    }
  });

  it("breaks ties as argmax does: the first of the most probable", () => {
    const h = floats([3, 1], [1, 0, -1]);
    const w = floats([6, 1], [0, 2, 1, 2, -3, -3]);
    for (const chunk of [1, 2, 4, 6]) {
      const { mode, probability } = evaluate({ h, w }, (x) =>
        nn.linearSoftmax({ weight: x.w }, x.h, { chunk }),
      );
      expect(list(mode)).toEqual([1, 0, 4]);
      expect(list(probability)[1]).toBeCloseTo(1 / 6, 12);
    }
  });

  it("sums in f32 whatever the layer's dtype, and gives the values' dtype", () => {
    const p = of(["f16[2,4]", "f16[9,4]", "f16[9,3]"], (h: Tensor, w: Tensor, v: Tensor) =>
      streamed({ chunk: 4 }, h, w, v),
    );
    expect(outputTypes(p).map(({ dtype }) => dtype)).toEqual(["f16", "f32", "i32", "f32"]);
    expect(
      outputTypes(vjpOf(p))
        .slice(4)
        .map(({ dtype }) => dtype),
    ).toEqual(["f16", "f16", "f16"]);
  });

  it("carries named dimensions, and says what does not fit", () => {
    const check = (
      h: Tensor<["batch", "length", "in"], "f32">,
      w: Tensor<["vocab", "in"], "f32">,
      v: Tensor<["vocab", 3], "f16">,
      odd: Tensor<["other", 3], "f32">,
    ) => {
      const { expectation, logSumExp: normalizer, mode } = nn.linearSoftmaxExpectation({ weight: w }, h, v);
      expectTypeOf(expectation).toEqualTypeOf<Tensor<["batch", "length", 3], "f16">>();
      expectTypeOf(normalizer).toEqualTypeOf<Tensor<["batch", "length"], "f32">>();
      expectTypeOf(mode).toEqualTypeOf<Tensor<["batch", "length"], "i32">>();
      // @ts-expect-error: the weight has "vocab" rows, there are "other" values
      nn.linearSoftmaxExpectation({ weight: w }, h, odd);
      // @ts-expect-error: the input has 3 features, the weight takes "in"
      nn.linearSoftmax({ weight: w }, odd);
    };
    expect(check).toBeTypeOf("function");
    const [h, w, v] = [randoms([2, 4]), randoms([9, 4]), randoms([8, 3])];
    expect(() =>
      evaluate({ h, w, v }, (x) => nn.linearSoftmaxExpectation({ weight: x.w }, x.h, x.v)),
    ).toThrow("linearSoftmaxExpectation: the weight has 9 rows, there are 8 values");
    expect(() => evaluate({ v, w }, (x) => nn.linearSoftmax({ weight: x.w }, x.v))).toThrow(
      "linearSoftmax: the input has 3 features, the weight takes 4",
    );
    expect(() => evaluate({ h, w }, (x) => nn.linearSoftmax({ weight: x.w }, x.h, { chunk: 0 }))).toThrow(
      "linearSoftmax: a chunk must be a whole number >= 1, got 0",
    );
    expect(() => evaluate({ h, w }, (x) => nn.linearSoftmax({ weight: x.w }, x.h, { softcap: -1 }))).toThrow(
      "linearSoftmax: softcap must be at least 0, got -1",
    );
    expect(() =>
      evaluate({ h, w }, (x) => nn.linearSoftmax({ weight: x.w }, x.h, { temperature: x.h })),
    ).toThrow("linearSoftmax: the temperature must be a scalar, got [2,4]");
  });
});

describe("vocabularyChunk", () => {
  it("divides the vocabulary where something of a good size does", () => {
    expect([5, 2048, 50257, 50000, 32768, 30011].map(nn.vocabularyChunk)).toEqual([
      5, 2048, 1733, 2000, 2048, 2048,
    ]);
  });
});

describe("linearSoftmaxDraw", () => {
  /** The tokens whose intervals of the distribution function hold the uniform numbers. */
  function drawn(logits: Tensor, uniforms: Tensor): Tensor {
    const ends: Tensor = cumsum(softmax(logits), -1);
    const below: Tensor = sum(cast(lessEqual(ends, expandDims(uniforms, -1)) as Tensor, "i32"), -1);
    return minimum(below, (logits.shape.at(-1) ?? 0) - 1);
  }

  it.each([1, 3, 4, 11, 64])("in parts of %d draws what the whole distribution function gives", (chunk) => {
    const inputs = { h: randoms([3, 20, 5], 2), w: randoms([11, 5]), b: randoms([11]), t: floats([], [0.6]) };
    const u = floats(
      [3, 20],
      Array.from({ length: 60 }, (_, i) => (i === 7 ? 0 : i === 8 ? 1 - 2 ** -24 : i === 9 ? 1 : next())),
    );
    const { ours, right } = evaluate({ ...inputs, u }, ({ h, w, b, t, ...x }) => ({
      ours: nn.linearSoftmaxDraw(paramsOf(w, b), h, x.u, { softcap: 3, temperature: t, chunk }) as Tensor,
      right: drawn(logitsOf(h, w, b, { softcap: 3, temperature: t }), x.u),
    }));
    expect(list(ours)).toEqual(list(right));
    expect(new Set(list(ours)).size).toBeGreaterThan(5);
  });

  it("never holds the logits", () => {
    const types = ["f32[64,4]", "f32[60,4]", "f32[64]"];
    neverHolds(
      64 * 60,
      of(types, (h: Tensor, w: Tensor, u: Tensor) => [
        nn.linearSoftmaxDraw({ weight: w }, h, u, { chunk: 7 }),
      ]),
      of(types, (h: Tensor, w: Tensor, u: Tensor) => [drawn(logitsOf(h, w, undefined, {}), u)]),
      ["value"],
    );
  });

  it("wants a number per row", () => {
    const inputs = { h: randoms([2, 4]), w: randoms([9, 4]), u: randoms([3]) };
    expect(() => evaluate(inputs, (x) => nn.linearSoftmaxDraw({ weight: x.w }, x.h, x.u))).toThrow(
      "linearSoftmaxDraw: the uniform numbers must be [2], got [3]",
    );
  });
});
