/**
 * Planted mistakes in interpolants, clocks and sources: each is caught, and by the identity that says what is wrong.
 * Everything else about the variants is right.
 */
import { describe, expect, it } from "vitest";
import { add, customJvp, mul, random, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import type { Clock } from "../../../src/models/flow/clock.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { interpolant, linear } from "../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../src/models/flow/interpolant.ts";
import { dirichlet } from "../../../src/models/flow/source-dirichlet.ts";
import { maskedGaussian } from "../../../src/models/flow/source-masked.ts";
import { gaussian, logistic } from "../../../src/models/flow/source.ts";
import type { Source } from "../../../src/models/flow/source.ts";
import { failures } from "../../support/verify-failures.ts";

describe("interpolants", () => {
  const of = (parts: Partial<Interpolant>): Flow =>
    flow({ name: "mistaken", interpolant: { ...linear, ...parts } });
  const cut = (t: Tensor): Tensor => mul(t, 0.98);

  it("that do not reach the data are refused where they are declared", () => {
    expect(() => interpolant({ ...linear, name: "cut", beta: cut })).toThrow(
      'The interpolant "cut" needs β(1) = 1: the weight of the data is 0.98 there.',
    );
  });

  it.each<[string, string, Partial<Interpolant>]>([
    ["do not reach the data", "ends of the interpolant", { beta: cut }],
    ["turn back", "monotone interpolant", { beta: (t) => mul(t, sub(2.5, mul(t, 1.5))) }],
  ])("that %s", async (_what, name, parts) => {
    expect(await failures(of(parts), ["interpolant"])).toEqual([name]);
  });

  it("whose β̇ is off by a factor", async () => {
    const beta = customJvp(
      (t: Tensor) => mul(t, 1),
      ([t], [tangent]) => [mul(t, 1) as Tensor, mul(tangent as Tensor, 2) as Tensor] as const,
    );
    const failed = await failures(of({ beta }), ["interpolant", "flow"]);
    expect(failed[0]).toBe("rates of the interpolant");
    expect(failed).toContain("drift of what is drawn");
  });
});

describe("clocks", () => {
  const squared: Clock = {
    ...uniformClock(),
    tau: (t) => t ** 2,
    remaining: (t) => 1 - t ** 2,
    time: Math.sqrt,
    dTau: (t) => 2 * t,
  };
  const wave = (t: number): number => t + 0.3 * Math.sin(2 * Math.PI * t);

  it("that are right pass", async () => {
    expect(await failures(flow({ name: "squared", clock: squared }), ["clock"])).toEqual([]);
  });

  it.each<[string, readonly string[], Partial<Clock>]>([
    [
      "are not normalized",
      ["ends of the clock"],
      {
        tau: (t) => 0.9 * t ** 2,
        remaining: (t) => 1 - 0.9 * t ** 2,
        time: (tau) => Math.sqrt(tau / 0.9),
        dTau: (t) => 1.8 * t,
      },
    ],
    [
      "turn back",
      ["increasing clock"],
      {
        tau: wave,
        remaining: (t) => 1 - wave(t),
        dTau: (t) => 1 + 0.6 * Math.PI * Math.cos(2 * Math.PI * t),
        time: (tau) => {
          let [low, high] = [0, 1];
          for (let i = 0; i < 60; i++) {
            const middle = (low + high) / 2;
            if (wave(middle) < tau) low = middle;
            else high = middle;
          }
          return low;
        },
      },
    ],
    ["have another clock's inverse", ["inverse of the clock"], { time: (tau) => tau }],
    ["have a derivative that lost a factor", ["rate of the clock"], { dTau: (t) => t }],
    ["kept another clock's remaining time", ["what remains on the clock"], { remaining: (t) => 1 - t }],
  ])("that %s", async (_what, names, parts) => {
    expect(await failures(flow({ name: "mistaken", clock: { ...squared, ...parts } }), ["clock"])).toEqual(
      names,
    );
  });
});

describe("sources", () => {
  const half = gaussian({ scale: 0.5 });
  const { scale: _scale, ...unscaled } = half;
  const density = ({ logDensity }: Source) => logDensity as NonNullable<Source["logDensity"]>;
  const whole = (x: Tensor): Tensor =>
    mul(sum(square(x), [x.shape.length - 2, x.shape.length - 1]) as Tensor, -0.5);

  it.each<[string, readonly string[], Source]>([
    [
      "declare the scale as the variance",
      ["moments of the source", "scale of the source", "moments of the interpolant"],
      { ...half, variance: 0.5 },
    ],
    [
      "have the density of another scale",
      ["density of the source", "drift of what is drawn"],
      { ...unscaled, logDensity: whole },
    ],
    [
      "have a density that contradicts their scale",
      ["density of the source", "Gaussian density", "score"],
      { ...half, logDensity: whole },
    ],
    [
      "are not centred where they say",
      ["moments of the source", "density of the source", "moments of the interpolant"],
      { ...half, sample: (key, shape) => add(half.sample(key, shape), 0.2) },
    ],
    [
      "on the simplex have the density of another concentration",
      ["density of the source", "drift of what is drawn"],
      { ...dirichlet({ concentration: 3 }), logDensity: density(dirichlet({ concentration: 4 })) },
    ],
    [
      "on the simplex are not normalized",
      ["moments of the source", "support of the source"],
      {
        ...dirichlet({ concentration: 3 }),
        sample: (key, shape) => mul(dirichlet({ concentration: 3 }).sample(key, shape), 1.1),
      },
    ],
    [
      "are around another mask than they say",
      ["moments of the source", "moments of the interpolant", "drift of what is drawn"],
      { ...maskedGaussian(), sample: maskedGaussian({ mask: (i) => Number(i === 0) }).sample },
    ],
    [
      "have a mean that their density has not",
      ["density of the source", "Gaussian density", "score"],
      { ...maskedGaussian(), logDensity: density(maskedGaussian({ mask: 0 })) },
    ],
    [
      "have the density of another family",
      ["density of the source"],
      { ...logistic(), sample: (key, shape) => random.normal(key, shape) as Tensor },
    ],
  ])("that %s", async (_what, names, source) => {
    const failed = await failures(flow({ name: "mistaken", source }), ["source", "flow"]);
    expect(failed).toEqual(expect.arrayContaining([...names]));
    expect(failed[0]).toBe(names[0]);
  });
});
