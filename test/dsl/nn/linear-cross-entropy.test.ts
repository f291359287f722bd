// Cross-entropy of a linear layer's softmax, streamed: the plain composition under every transform, for every kind of target, and nothing
// of the size of its logits.

import { describe, expect, expectTypeOf, it } from "vitest";
import {
  add,
  cast,
  expandDims,
  logSoftmax,
  maximum,
  minimum,
  mul,
  neg,
  nn,
  oneHot,
  softcap,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { outputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { evaluate, floats, ints, list } from "../../support/evaluate.ts";
import { of } from "../transforms/differentiates.ts";
import { stream, vjpOf } from "../transforms/harness.ts";
import { neverHolds, sameUnderTransforms } from "./same-derivatives.ts";

const CAP = 2;

/** −Σ target · log softmax of capped logits, written down; the target [..., vocab] is a constant. */
function plain(h: Tensor, w: Tensor, b: Tensor | undefined, target: Tensor, cap: number): Tensor {
  const raw: Tensor = nn.linear(b === undefined ? { weight: w } : { weight: w, bias: b }, h);
  const logProbs: Tensor = logSoftmax(cap > 0 ? softcap(raw, cap) : raw);
  return neg(sum(mul(stopGradient(target), logProbs) as Tensor, -1) as Tensor);
}

interface Case {
  /** Types of hidden, weight, bias, then of whatever the target is made of, for a vocabulary and the shape of the rows. */
  readonly types: (vocab: number, rows: string) => readonly string[];
  readonly targets: (chunk: number, ...parts: readonly Tensor[]) => Tensor | readonly nn.SoftmaxTarget[];
  readonly written: (vocab: number, ...parts: readonly Tensor[]) => Tensor;
}

const layer = (vocab: number, rows: string): readonly string[] => [
  `f32[${rows}5]`,
  `f32[${vocab},5]`,
  `f32[${vocab}]`,
];

const CASES: Readonly<Record<string, Case>> = {
  tokens: {
    types: (vocab, rows) => [...layer(vocab, rows), `i32[${rows.slice(0, -1)}]`],
    targets: (_chunk, tokens) => tokens as Tensor,
    // Random tokens are 0 to 4, some beyond a small vocabulary.
    written: (vocab, tokens) => oneHot(maximum(0, minimum(vocab - 1, tokens as Tensor)) as Tensor, vocab),
  },
  "a distribution": {
    types: (vocab, rows) => [...layer(vocab, rows), `f32[${rows}${vocab}]`],
    targets: (_chunk, distribution) => square(distribution as Tensor), // not one that sums to 1
    written: (_vocab, distribution) => square(distribution as Tensor),
  },
  "another softmax": {
    types: (vocab, rows) => [...layer(vocab, rows), `f32[${rows}3]`, `f32[${vocab},3]`],
    targets: (_chunk, hidden, weight) => [{ params: { weight: weight as Tensor }, hidden: hidden as Tensor }],
    written: (_vocab, hidden, weight) => softmax(nn.linear({ weight: weight as Tensor }, hidden as Tensor)),
  },
  "two softmaxes, shared": {
    types: (vocab, rows) => [
      ...layer(vocab, rows),
      `f32[${rows}3]`,
      `f32[${vocab},3]`,
      `f32[${vocab}]`,
      `f32[${rows}5]`,
      `f32[${vocab},5]`,
      `f32[${rows.slice(0, -1)}]`,
    ],
    targets: (chunk, h1, w1, b1, h2, w2, share) => {
      const first = {
        params: { weight: w1 as Tensor, bias: b1 as Tensor },
        hidden: h1 as Tensor,
        softcap: CAP,
      };
      const { logSumExp } = nn.linearSoftmax(first.params, first.hidden, { softcap: CAP, chunk });
      return [
        { ...first, logSumExp, share: share as Tensor },
        { params: { weight: w2 as Tensor }, hidden: h2 as Tensor, share: sub(1, share as Tensor) as Tensor },
      ];
    },
    written: (_vocab, h1, w1, b1, h2, w2, share) => {
      const [g, p] = [
        expandDims(share as Tensor, -1) as Tensor,
        nn.linear({ weight: w1 as Tensor, bias: b1 as Tensor }, h1 as Tensor) as Tensor,
      ];
      const first: Tensor = mul(g, softmax(softcap(p, CAP)));
      return add(
        first,
        mul(
          sub(1, g) as Tensor,
          softmax(nn.linear({ weight: w2 as Tensor }, h2 as Tensor) as Tensor),
        ) as Tensor,
      );
    },
  },
};

/** Both, of hidden, weight, bias and what the target is made of. */
function pair(
  { types, targets, written }: Case,
  vocab: number,
  rows: string,
  cap: number,
  chunk: number,
): readonly [Program, Program] {
  const inputs = types(vocab, rows);
  return [
    of(inputs, (h: Tensor, w: Tensor, b: Tensor, ...parts: readonly Tensor[]) => [
      nn.linearCrossEntropy({ weight: w, bias: b }, h, targets(chunk, ...parts), { softcap: cap, chunk }),
    ]),
    of(inputs, (h: Tensor, w: Tensor, b: Tensor, ...parts: readonly Tensor[]) => [
      plain(h, w, b, written(vocab, ...parts), cap),
    ]),
  ];
}

const next = stream(37);
const randoms = (shape: readonly number[]) =>
  floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * next() - 1),
  );

describe.each(Object.entries(CASES))("linearCrossEntropy against %s", (name, target) => {
  it.each([
    [1, 1],
    [3, 2],
    [7, 3],
    [8, 4],
    [9, 64],
    [33, 8],
  ])("of %d in parts of %d is the composition, under every transform", (vocab, chunk) => {
    sameUnderTransforms(...pair(target, vocab, "2,3,", 0, chunk), vocab, 2);
    sameUnderTransforms(...pair(target, vocab, "4,", CAP, chunk), vocab, 2);
  });

  // A distribution is of that size itself.
  if (name !== "a distribution")
    it("never holds the logits, nor does any of its derivatives", () => {
      neverHolds(64 * 60, ...pair(target, 60, "8,8,", CAP, 7));
    });
});

describe("linearCrossEntropy", () => {
  it("works without a bias, on a single row, and far outside of what e^x can hold", () => {
    const w = floats([4, 1], [-5000, 4000, 3999, -9000]);
    const loss = (token: number): number =>
      list(
        evaluate({ h: floats([1], [1]), w, t: ints([], [token]) }, (x) =>
          nn.linearCrossEntropy({ weight: x.w }, x.h, x.t, { chunk: 3 }),
        ),
      )[0] as number;
    const tail = Math.log1p(Math.exp(-1));
    [9000 + tail, tail, 1 + tail, 13_000 + tail].forEach((right, token) =>
      expect(loss(token)).toBeCloseTo(right, 9),
    );
  });

  it("finds the largest logit also where all are below -1e30", () => {
    const inputs = {
      h: floats([1], [1]),
      w: floats([5, 1], [-7e37, -4e37, -2e38, -9e37, -5e37]),
      t: ints([], [3]),
    };
    const loss = evaluate(inputs, ({ h, w, t }) => nn.linearCrossEntropy({ weight: w }, h, t, { chunk: 2 }));
    expect(list(loss)[0]).toBeCloseTo(5e37, -30);
  });

  it("sums in f32 whatever the layer's dtype", () => {
    const p = of(
      ["f16[2,4]", "f16[9,4]", "f16[9]", "i32[2]"],
      (h: Tensor, weight: Tensor, bias: Tensor, t: Tensor) => [
        nn.linearCrossEntropy({ weight, bias }, h, t, { chunk: 4 }),
      ],
    );
    expect(outputTypes(p).map(({ dtype }) => dtype)).toEqual(["f32"]);
    expect(outputTypes(vjpOf(p)).map(({ dtype }) => dtype)).toEqual(["f32", "f16", "f16", "f16"]);
  });

  it("carries named dimensions, and says what does not fit", () => {
    const check = (
      h: Tensor<["batch", "length", "in"], "f32">,
      w: Tensor<["vocab", "in"], "f32">,
      tokens: Tensor<["batch", "length"], "i32">,
      distribution: Tensor<["batch", "length", "vocab"], "f32">,
      odd: Tensor<["batch", 7], "i32">,
    ) => {
      const [a, b, c] = [
        nn.linearCrossEntropy({ weight: w }, h, tokens),
        nn.linearCrossEntropy({ weight: w }, h, distribution),
        nn.linearCrossEntropy({ weight: w }, h, [{ params: { weight: w }, hidden: h }]),
      ];
      expectTypeOf(a).toEqualTypeOf<Tensor<["batch", "length"], "f32">>();
      expectTypeOf(b).toEqualTypeOf<Tensor<["batch", "length"], "f32">>();
      expectTypeOf(c).toEqualTypeOf<Tensor<["batch", "length"], "f32">>();
      // @ts-expect-error: the targets must be ["batch", "length"], got ["batch", 7]
      nn.linearCrossEntropy({ weight: w }, h, odd);
      // @ts-expect-error: the targets must be ["batch", "length", "vocab"], got ["vocab", "in"]
      nn.linearCrossEntropy({ weight: w }, h, w);
      // @ts-expect-error: the input has 7 features, the weight takes "in"
      nn.linearCrossEntropy({ weight: w }, cast(odd, "f32"), tokens);
    };
    expect(check).toBeTypeOf("function");

    const inputs = {
      h: randoms([2, 4]),
      w: randoms([9, 4]),
      t: ints([3], [0, 1, 2]),
      d: randoms([2, 8]),
      other: randoms([8, 4]),
    };
    const fails = (
      targets: (x: Record<keyof typeof inputs, Tensor>) => Tensor | readonly nn.SoftmaxTarget[],
      message: string,
    ): void =>
      expect(() => evaluate(inputs, (x) => nn.linearCrossEntropy({ weight: x.w }, x.h, targets(x)))).toThrow(
        message,
      );
    fails(({ t }) => t, "linearCrossEntropy: the targets must be [2], got [3]");
    fails(({ d }) => d, "linearCrossEntropy: the targets must be [2,9], got [2,8]");
    fails(
      ({ t }) => cast(t, "u32"),
      "linearCrossEntropy: the targets must be tokens (i32) or a distribution, got u32",
    );
    fails(() => [], "linearCrossEntropy: an empty list has no softmax to learn from");
    fails(
      ({ h, other }) => [{ params: { weight: other }, hidden: h }],
      "linearCrossEntropy: the weight has 9 rows, that of a target 8",
    );
    fails(
      ({ w }) => [{ params: { weight: w }, hidden: w }],
      "linearCrossEntropy: the input is [2,4], that of a target [9,4]",
    );
    fails(
      ({ h, w, d }) => [{ params: { weight: w }, hidden: h, share: d }],
      "linearCrossEntropy: the share of a target must be [2], got [2,8]",
    );
  });
});
