/**
 * Losses by potentials: the squared error and KL are two of them, each is least on average at the expectation of its targets, and what is
 * no potential is refused.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  add,
  div,
  exp,
  f32,
  fn,
  grad,
  log,
  mul,
  neg,
  pow,
  softmax,
  square,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { bregman, divergence, negativeEntropy, squaredNorm } from "../../../src/models/flow/bregman.ts";
import type { Bregman, Potential } from "../../../src/models/flow/bregman.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { judged } from "../../../src/models/flow/judged.ts";
import { lagrangian } from "../../../src/models/flow/objectives/lagrangian.ts";
import { compile } from "../../../src/runtime/compile.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

const squares = bregman({ name: "squares", potential: squaredNorm });
const entropy = bregman({ name: "entropy", potential: negativeEntropy, domain: "simplex" });

/** A number and its slope in the logits, of one loss and of another that should be the same. */
const TOKENS = {
  target: floats([2, 2, 3], [0.2, 0.5, 0.3, 1, 0, 0, 0.9, 0.05, 0.05, 0, 0, 1]),
  logits: floats([2, 2, 3], [0.4, -1, 2, 0.3, 0.2, 0, -1, 3, 0.5, 1, 1, -2]),
};

describe("instances", () => {
  it.each([
    ["the squared error", squares, "squared error"],
    ["KL divergence", entropy, "KL"],
  ] as const)("%s", (_name, declared, loss) => {
    const { own, named } = evaluate(TOKENS, ({ target, logits }) => {
      const both = (by: typeof declared | typeof loss) => {
        const per = (z: Tensor): Tensor => judged(by, target, softmax(z), z);
        return [per(logits), grad((z: Tensor) => sum(per(z)) as Tensor)(logits)] as const;
      };
      return { own: both(declared), named: both(loss) };
    });
    expect(own[0].shape).toEqual([2, 2]);
    // log takes 1e-30 for 0 in both, and the softmax of a logit is not its logarithm.
    for (const i of [0, 1] as const) expect(distance(own[i].data, named[i].data)).toBeLessThan(1e-12);
  });

  it("KL divergence in single precision, of tokens that are all but ruled out", async () => {
    const device = await openDevice("cpu");
    const spec = { target: f32(4, 1, 3), logits: f32(4, 1, 3) };
    const slope = (by: typeof entropy | "KL") =>
      fn(spec, ({ target, logits }) =>
        grad((z: Tensor) => sum(judged(by, target, softmax(z) as Tensor, z)) as Tensor)(logits),
      );
    const inputs = {
      target: Float32Array.from([20, 40, 50, 60].flatMap(() => [0, 1, 0])),
      // Capped logits are at most 60 apart.
      logits: Float32Array.from([20, 40, 50, 60].flatMap((gap) => [gap / 2, -gap / 2, 0])),
    };
    const [own, named] = await Promise.all(
      ([entropy, "KL"] as const).map(async (by) => {
        const found = await (await compile(slope(by), { device })).run(inputs);
        return Array.from((await found.read()).data);
      }),
    );
    expect(distance(own ?? [], named ?? [])).toBeLessThan(1e-5);
    await device.dispose();
  });

  it("of a quadratic form, by hand", () => {
    // φ(x) = x₀² + x₀ x₁ + x₁² is a form with the matrix [[1, ½], [½, 1]]: D(a, b) = φ(a − b).
    const weights: readonly number[] = [1, -1];
    const form: Potential = (x) => {
      const product: Tensor = sub(square(sum(x, -1) as Tensor), sum(square(x), -1) as Tensor);
      return add(sum(square(x), -1), mul(product, 0.5));
    };
    const found = evaluate({ x: floats([1, 1, 2], [3, 4]), y: floats([1, 1, 2], [3, 4].map((v, i) => v - (weights[i] ?? 0))) }, ({ x, y }) =>
      divergence(bregman({ name: "form", potential: form }), x, y),
    ); // prettier-ignore
    expect(list(found)[0]).toBeCloseTo(1 - 1 + 1, 12);
  });
});

/** Convex potentials of all kinds; on the simplex all of them are. */
const POTENTIALS: readonly Bregman[] = [
  squares,
  entropy,
  bregman({
    name: "log cosh",
    potential: (x) => sum(log(mul(add(exp(x), exp(neg(x)) as Tensor) as Tensor, 0.5) as Tensor), -1),
  }),
  bregman({ name: "powers", domain: "simplex", potential: (p) => sum(pow(p, 1.5), -1) }),
  bregman({ name: "norm", potential: (x) => pow(add(sum(square(x), -1), 1), 0.5) as Tensor }),
];

it("of random targets a divergence is least, on average, at their expectation, and grows by D(expectation, value)", () => {
  const numbers = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...POTENTIALS), numbers, (loss, drawn) => {
      const inputs = {
        targets: floats([3, 1, 3], drawn.slice(0, 9)),
        value: floats([1, 1, 3], drawn.slice(9)),
      };
      const { excess, own, slope } = evaluate(inputs, ({ targets, value }) => {
        const each: Tensor = softmax(targets);
        const other: Tensor = softmax(value);
        const expected: Tensor = div(sum(each, 0, { keepDims: true }) as Tensor, 3);
        const average = (at: Tensor): Tensor =>
          div(sum(divergence(loss, each, add(mul(each, 0), at))) as Tensor, 3);
        return {
          excess: sub(average(other), average(expected)),
          own: sum(divergence(loss, expected, other)),
          slope: grad((at: Tensor) => average(at))(expected),
        };
      });
      expect(list(excess)[0]).toBeCloseTo(list(own)[0] as number, 10);
      expect(list(own)[0]).toBeGreaterThan(-1e-12);
      // Along the simplex; ∇φ itself is defined up to that.
      for (const entry of list(slope)) expect(Math.abs(entry)).toBeLessThan(1e-10);
    }),
    { numRuns: 60 },
  );
});

describe("refusals", () => {
  it.each<readonly [Potential, string]>([
    [(x) => square(x), "[2, 3, 5]"],
    [(x) => sum(square(x)), "[]"],
    [(x) => sum(square(x), 1), "[2, 5]"],
  ])("a potential that is not one number per token (%#)", (potential, shape) => {
    expect(() => bregman({ name: "mine", potential })).toThrow(
      `The potential of the loss "mine" is a number per token, [2, 3] of values [2, 3, 5], and gives ${shape}: sum over the last axis alone.`,
    );
  });

  it("a divergence of distributions where there are none", () => {
    expect(() => flow({ name: "mine", predicts: "velocity", loss: entropy as never })).toThrow(
      'The flow "mine" predicts a velocity, which is a point and no distribution: its loss is "squared error", not "entropy".',
    );
    const points = flow({ name: "points", predicts: "clean point", loss: squares });
    expect(points.loss).toBe(squares);
    expect(() => flowMap({ name: "mine", flow: points, objective: lagrangian(), loss: entropy })).toThrow(
      'The flow map "mine" is judged by entropy, and the flow "points" predicts a clean point, which is no distribution.',
    );
    const tokens = flow({ name: "tokens", loss: entropy });
    expect(() => flowMap({ name: "mine", flow: tokens, objective: lagrangian(), loss: entropy })).toThrow(
      'The target of the Lagrangian objective of "mine" may have negative entries, for which there is no entropy: ',
    );
    expect(flowMap({ name: "mine", flow: tokens, objective: lagrangian(), loss: squares }).loss).toBe(
      squares,
    );
  });
});
