/**
 * Variants that are right raise no alarm, whatever their interpolant, clock, source, prediction and objective; what does not apply
 * to them is said to be left out; and a report is plain data.
 */
import { describe, expect, it } from "vitest";
import { mul, square, sub } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { mixtureClock } from "../../../src/models/flow/clock.ts";
import * as clocks from "../../../src/models/flow/clocks.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import {
  interpolant,
  linear,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import { consistency, continuousConsistency } from "../../../src/models/flow/objectives/consistency.ts";
import { eulerian, eulerianLogits } from "../../../src/models/flow/objectives/eulerian.ts";
import { lagrangian, lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { dirichlet } from "../../../src/models/flow/source-dirichlet.ts";
import { maskedGaussian, pointMass } from "../../../src/models/flow/source-masked.ts";
import { uniformOnSphere } from "../../../src/models/flow/source-sphere.ts";
import { gaussian, logistic, uniform } from "../../../src/models/flow/source.ts";
import { frozenEmbedding } from "../../../src/models/flow/states.ts";
import type { Family } from "../../../src/models/flow/verify/identity.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";

const clock = decodingError({ vocab: 50_000 });
const smooth = interpolant({
  name: "smooth",
  alpha: (t) => square(sub(1, t)),
  beta: (t) => mul(square(t), sub(3, mul(t, 2))),
});

const variants: readonly (readonly [Flow | FlowMap, readonly Family[] | undefined])[] = [
  [flowMap({ name: "FMLM", flow: flow({ name: "FLM", clock }), objective: semigroup() }), undefined],
  [
    flowMap({
      name: "Lagrangian logits, variance-preserving, logistic noise",
      flow: flow({ name: "", interpolant: variancePreservingLinear, source: logistic(), clock }),
      objective: lagrangianLogits(),
    }),
    undefined,
  ],
  [
    flowMap({
      name: "Eulerian velocities on a quarter circle, little noise",
      flow: flow({
        name: "",
        interpolant: trigonometric,
        source: gaussian({ scale: 0.4 }),
        predicts: "velocity",
      }),
      objective: eulerian(),
    }),
    undefined,
  ],
  [
    flowMap({
      name: "Lagrangian, much noise",
      flow: flow({ name: "", source: gaussian({ scale: 2.5 }), clock, loss: "squared error" }),
      objective: lagrangian(),
      teacher: false,
    }),
    ["objective", "loss"],
  ],
  [
    flowMap({
      name: "Eulerian logits, smooth",
      flow: flow({ name: "", interpolant: smooth, clock: mixtureClock({ base: clock, weight: 0.9 }) }),
      objective: eulerianLogits(),
      loss: "KL",
    }),
    ["objective", "flow map", "clock"],
  ],
  [
    flowMap({
      name: "mean velocities of tokens on a quarter circle",
      flow: flow({ name: "", interpolant: trigonometric, clock }),
      objective: semigroup(),
      parameterization: "mean velocity",
    }),
    ["flow map"],
  ],
  [
    flowMap({
      name: "a corrected velocity, variance-preserving, logistic noise",
      flow: flow({ name: "", interpolant: variancePreservingLinear, source: logistic(), clock }),
      objective: consistency(),
      parameterization: "corrected velocity",
    }),
    ["flow map", "objective"],
  ],
  [
    flowMap({
      name: "a direct map, smooth, little noise, continuous consistency",
      flow: flow({
        name: "",
        interpolant: smooth,
        source: gaussian({ scale: 0.4 }),
        predicts: "clean point",
      }),
      objective: continuousConsistency(),
      parameterization: "direct map",
    }),
    ["flow map", "objective"],
  ],
  [
    flow({
      name: "score, weighted",
      interpolant: smooth,
      predicts: "score",
      weighting: (_t, { alpha }) => square(alpha),
    }),
    undefined,
  ],
  [
    flow({
      name: "tokens in blocks",
      clock,
      interpolant: positioned(linear, blockCausal({ blocks: 2 }), { length: 4 }),
    }),
    undefined,
  ],
  [flow({ name: "bounded noise", source: uniform() }), undefined],
  [flow({ name: "from a sphere", source: uniformOnSphere({ radius: 2 }) }), undefined],
  [flow({ name: "from a mask", source: pointMass((i) => i) }), undefined],
  [
    flow({
      name: "score around a mask",
      source: maskedGaussian({ mask: (i) => i, scale: 0.7 }),
      predicts: "score",
    }),
    undefined,
  ],
  [
    flowMap({
      name: "on the simplex",
      flow: flow({ name: "", source: dirichlet({ concentration: 3 }) }),
      objective: semigroup(),
    }),
    undefined,
  ],
  [
    flow({
      name: "velocities of a frozen embedding",
      states: frozenEmbedding({ norm: 2 }),
      predicts: "velocity",
    }),
    undefined,
  ],
];

describe("no alarm", () => {
  it.each(variants.map(([variant, families]) => [variant.name, variant, families] as const))(
    "%s",
    async (_name, variant, families) => {
      for (const seed of [0, 1]) {
        const report = await verifyFlow(variant, {
          cases: 6,
          seed,
          ...(families === undefined ? {} : { families }),
        });
        expect(report.results.filter(({ passed }) => !passed)).toEqual([]);
        expect(report.passed).toBe(true);
        expect(report.results.length).toBeGreaterThan(4);
      }
    },
  );
});

describe("clocks", () => {
  const times = [0, 0.25, 0.5, 0.75, 1];
  it.each([
    clocks.cosineClock(),
    clocks.logSnrClock(),
    clocks.entropicClock({ times, entropies: [5.1, 5, 3.2, 0.6, 0] }),
    clocks.accumulatedLossClock({ times, losses: [0, 1, 4, 2, 0.1] }),
    {
      name: "square root, of infinite rate at 0",
      tau: Math.sqrt,
      remaining: (t: number) => 1 - Math.sqrt(t),
      time: (tau: number) => tau ** 2,
      dTau: (t: number) => 0.5 / Math.sqrt(t),
    },
    clock,
  ])("$name raises no alarm", async (given) => {
    for (const seed of [0, 1, 2]) {
      const { results } = await verifyFlow(flow({ name: "", clock: given }), {
        cases: 16,
        seed,
        families: ["clock"],
      });
      expect(results.filter(({ passed }) => !passed)).toEqual([]);
    }
  });
});

describe("what is left out", () => {
  const reasons = async (variant: Flow | FlowMap): Promise<string> =>
    (await verifyFlow(variant, { cases: 1, families: ["source", "flow", "objective", "sampler"] })).leftOut
      .map(({ name, reason }) => `${name}: ${reason}`)
      .join("\n");

  it("is said, with the reason", { timeout: 60_000 }, async () => {
    expect(await reasons(flow({ name: "bounded noise", source: uniform() }))).toBe(
      [
        'density of the source: the source "uniform" declares no density',
        "score: the score follows from the noise for Gaussian sources only, and the source is uniform",
        'all that is compared with the exact flow: the source "uniform" has no density, so the flow of a corpus is not known',
      ].join("\n"),
    );
    const simplex = 'the source "Dirichlet of concentration 2"';
    const kinks = `the density of the source "Dirichlet of concentration 2" has kinks where noise ends, and the flow no derivative there`;
    const fresh =
      "it mixes the noise of a state with fresh noise, which is Gaussian around 0 then, and the source is";
    const mapped = flowMap({
      name: "",
      flow: flow({ name: "", source: dirichlet({ concentration: 2 }) }),
      objective: semigroup(),
    });
    const { leftOut, passed } = await verifyFlow(mapped, { cases: 4 });
    expect(passed).toBe(true);
    expect(leftOut.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
      "score: the score follows from the noise for Gaussian sources only, and the source is Dirichlet of concentration 2",
      `embedded tokens: ${simplex} is on the simplex of one-hot states, and rows of an embedding are on none`,
      ...["bridge", "resampling"].map((name) => `law of ${name}: ${fresh} Dirichlet of concentration 2`),
      ...["exponential", "Euler", "Heun", "midpoint"].map((name) => `order of ${name}: ${kinks}`),
      `Lagrangian: ${kinks}`,
      `Eulerian: ${kinks}`,
      `derivatives: ${kinks}`,
    ]);
    expect(
      await reasons(
        flowMap({ name: "", flow: flow({ name: "", source: logistic() }), objective: eulerian() }),
      ),
    ).toBe(
      [
        "score: the score follows from the noise for Gaussian sources only, and the source is logistic",
        ...["bridge", "resampling"].map((name) => `law of ${name}: ${fresh} logistic`),
        "target for u near s and near t: the Eulerian objective uses no middle time",
        "target at the data: the Eulerian objective says nothing of jumps that end at t = 1",
        "target on the simplex: the Eulerian objective does not claim that its target is a distribution",
      ].join("\n"),
    );
    expect(await reasons(flowMap({ name: "", flow: flow({ name: "" }), objective: consistency() }))).toBe(
      [
        "target, and target on the diagonal: the consistency objective says something of jumps to t = 1 alone",
        "target at its own step: the consistency objective holds as u → s, and is looked at there: " +
          "what its target is off with u = s + 0.015625 on the clock is not",
      ].join("\n"),
    );
  });
});

describe("a report", () => {
  const wrong = flowMap({
    name: "half",
    flow: flow({ name: "" }),
    objective: { ...semigroup(), target: (targets, rows) => mul(semigroup().target(targets, rows), 0.5) },
  });

  it("is plain data, the same for the same seed, with a simple counterexample and progress", async () => {
    const seen: string[] = [];
    const run = () =>
      verifyFlow(wrong, {
        cases: 3,
        seed: 7,
        families: ["objective"],
        onIdentity: (name, i, total) => seen.push(`${i}/${total} ${name}`),
      });
    const report = await run();
    expect(seen.slice(0, 2)).toEqual(["0/12 target", "1/12 target on the diagonal"]);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(await run()).toEqual(report);
    expect(report).toMatchObject({
      variant: "half",
      kind: "flow map",
      device: "interpreter",
      seed: 7,
      passed: false,
    });
    const { counterexample, worst, tolerance } = report.results[0] ?? {};
    expect(worst).toBeGreaterThan(tolerance ?? Infinity);
    // Nothing about the state or the times matters here, so nothing of them is left.
    expect(counterexample).toMatchObject({ s: 0 });
    expect([counterexample?.["x"]].flat(3).every((value) => value === 0)).toBe(true);
    expect(String(counterexample?.["t"]).length).toBeLessThanOrEqual(4);
    expect(counterexample).not.toHaveProperty("free");
  });

  it.each([
    [{ cases: 0 }, "verifyFlow needs at least one case, whole, got 0."],
    [{ seed: -1 }, "verifyFlow needs a seed that is a whole number from 0, got -1."],
  ])("is not made with %j", async (options, message) => {
    await expect(verifyFlow(wrong, options)).rejects.toThrow(message);
  });
});

describe("on another device", () => {
  it("residuals are of single precision, and the device agrees with the interpreter", async () => {
    const device = await openDevice("cpu");
    const report = await verifyFlow(
      flowMap({
        name: "FMLM",
        flow: flow({ name: "", interpolant: linear, clock }),
        objective: lagrangianLogits(),
      }),
      { device, cases: 6, families: ["source", "flow", "objective"] },
    );
    await device.dispose();
    expect(report.results.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.results.at(-1)).toMatchObject({ family: "device", name: "device agreement", cases: 6 });
    expect(report.device).toBe("cpu");
  });
});
