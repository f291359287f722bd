/** Losses of discrete baselines at the ends of the noise level: α = 1, where t = 0 and nothing is lost, and α = 0, where everything is. */
import { describe, expect, it } from "vitest";
import { grad, softmax, sum } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { absorbing, maskedBound, subs } from "../../../../src/models/language/discrete/absorbing.ts";
import { absorbingScore, absorbingScoreLoss } from "../../../../src/models/language/discrete/score.ts";
import { uniform, uniformBound } from "../../../../src/models/language/discrete/uniform.ts";
import { distance, evaluate, floats, ints, list } from "../../../support/evaluate.ts";

const LOGITS = [0.1, 0.2, 0.3, 0.4];
const masks = absorbing({ vocab: 4 });
const tokens4 = uniform({ vocab: 4 });

/** A loss of one text of one token at a level, and its slope in the logits. */
function seen(
  loss: (logits: Tensor, row: Parameters<typeof maskedBound>[2]) => Tensor,
  alpha: number,
  noised: number,
) {
  const inputs = {
    tokens: ints([1, 1], [1]),
    noised: ints([1, 1], [noised]),
    alpha: floats([1], [alpha]),
    rate: floats([1], [-1]),
    logits: floats([1, 1, 4], LOGITS),
  };
  const found = evaluate(inputs, ({ logits, rate, alpha: level, ...row }) => {
    const of = (z: Tensor): Tensor => loss(z, { ...row, level: { alpha: level, rate } });
    return { value: of(logits), slope: grad((z: Tensor) => sum(of(z)) as Tensor)(logits) };
  });
  // 0 of either sign.
  return { value: (list(found.value)[0] ?? NaN) + 0, slope: list(found.slope).map((x) => x + 0) };
}

describe("the uniform-state bound", () => {
  const bound = (logits: Tensor, row: Parameters<typeof uniformBound>[2]): Tensor =>
    uniformBound(tokens4, softmax(logits), row);

  it("at α = 1 is what it tends to, (1/p − 1)/V of the token's probability p", () => {
    const [end, near] = [seen(bound, 1, 1), seen(bound, 1 - 1e-9, 1)];
    const total = LOGITS.reduce((all, z) => all + Math.exp(z), 0);
    expect(end.value).toBeCloseTo((total / Math.exp(LOGITS[1] ?? NaN) - 1) / 4, 12);
    expect(end.value).toBeCloseTo(near.value, 6);
    expect(distance(end.slope, near.slope)).toBeLessThan(1e-6);
  });

  it("at α = 0 is 0", () => {
    expect(seen(bound, 1e-7, 2).value).toBeCloseTo(0, 6);
    expect(seen(bound, 0, 2)).toEqual({ value: 0, slope: [0, 0, 0, 0] });
  });
});

it("losses of masks at α = 1 are 0, and so are their slopes", () => {
  const nothing = { value: 0, slope: [0, 0, 0, 0] };
  expect(seen((z, row) => maskedBound(masks, subs(masks, z, row.noised), row), 1, 1)).toEqual(nothing);
  expect(
    seen(
      (z, row) => absorbingScoreLoss(masks, absorbingScore(masks, z, row.noised, row.level.alpha), row),
      1,
      1,
    ),
  ).toEqual(nothing);
});
