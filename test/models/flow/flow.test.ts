/** flow() and flowMap(): defaults, what types exclude, and what is refused with one sentence. */
import { describe, expect, it } from "vitest";
import { flow } from "../../../src/models/flow/flow.ts";
import type { FlowDeclaration } from "../../../src/models/flow/flow.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMapDeclaration } from "../../../src/models/flow/flow-map.ts";
import { linear, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { consistency } from "../../../src/models/flow/objectives/consistency.ts";
import { distillation } from "../../../src/models/flow/objectives/distillation.ts";
import { eulerian, eulerianLogits } from "../../../src/models/flow/objectives/eulerian.ts";
import { lagrangian, lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { gaussian, logistic } from "../../../src/models/flow/source.ts";
import { distance, evaluate, floats } from "../../support/evaluate.ts";

const flm = flow({ name: "FLM" });
const blocks = positioned(linear, blockCausal({ blocks: 2 }), { length: 4 });

describe("flow()", () => {
  it("is FLM by default, but for the clock", () => {
    expect(flm).toMatchObject({ predicts: "clean token", loss: "cross-entropy", interpolant: linear });
    expect([flm.source.scale, flm.clock.name, flm.weighting]).toEqual([1, "uniform", undefined]);
    expect(flow({ name: "velocity", predicts: "velocity" }).loss).toBe("squared error");
  });

  it("mixes states and converts by its own interpolant and scale", () => {
    const declared = flow({ name: "mine", interpolant: trigonometric, source: gaussian({ scale: 0.5 }) });
    const inputs = {
      x0: floats([1, 1, 2], [1, -2]),
      x1: floats([1, 1, 2], [0.5, 3]),
      t: floats([1], [1 / 3]),
    };
    const { state, score } = evaluate(inputs, ({ x0, x1, t }) => {
      const state = declared.state(x0, x1, t);
      return { state, score: declared.convert(x1, "clean point", "score", state, t) };
    });
    const [alpha, beta] = [Math.cos(Math.PI / 6), 1 / 2];
    expect(distance(state.data, [alpha + beta / 2, -2 * alpha + 3 * beta])).toBeLessThan(1e-15);
    expect(distance(score.data, [-4 / alpha, 8 / alpha])).toBeLessThan(1e-14);
  });

  it("wrong declarations do not compile", () => {
    const declarations = (): readonly FlowDeclaration[] => [
      // @ts-expect-error: a velocity is a point, and has no cross-entropy
      { name: "wrong", predicts: "velocity", loss: "cross-entropy" },
      // @ts-expect-error: so is a clean point
      { name: "wrong", predicts: "clean point", loss: "KL" },
      // @ts-expect-error: there is no such quantity
      { name: "wrong", predicts: "momentum" },
      // @ts-expect-error: there is no such loss
      { name: "wrong", loss: "hinge" },
      // @ts-expect-error: a flow has a name
      {},
      // @ts-expect-error: an interpolant has α and β
      { name: "wrong", interpolant: { name: "mine", alpha: linear.alpha } },
      { name: "right", predicts: "clean token", loss: "KL" },
      { name: "right", predicts: "score", loss: "squared error" },
    ];
    expect(declarations).toBeTypeOf("function");
    const maps = (): readonly FlowMapDeclaration[] => [
      // @ts-expect-error: an objective is declared by its function, not by its name
      { name: "wrong", flow: flm, objective: "semigroup" },
      // @ts-expect-error: there is no such midpoint
      { name: "wrong", flow: flm, objective: semigroup(), midpoint: "end" },
      // @ts-expect-error: a map follows a flow
      { name: "wrong", objective: semigroup() },
    ];
    expect(maps).toBeTypeOf("function");
  });

  it.each<readonly [FlowDeclaration, string]>([
    [
      { name: "mine", predicts: "score", source: logistic() },
      'The flow "mine" has no score that follows from its noise: that takes a Gaussian source, and its source is logistic.',
    ],
    [
      // As JavaScript may declare it.
      { name: "mine", predicts: "velocity", loss: "cross-entropy" } as unknown as FlowDeclaration,
      'The flow "mine" predicts a velocity, which is a point and no distribution: its loss is "squared error", not "cross-entropy".',
    ],
    [
      { name: "mine", predicts: "momentum" } as unknown as FlowDeclaration,
      'The flow "mine" predicts "momentum", and can predict "clean token", "clean point", "noise", "velocity", "score".',
    ],
    [
      { name: "mine", interpolant: { name: "half", alpha: linear.alpha } } as unknown as FlowDeclaration,
      'The flow "mine" has a value for its interpolant that is none: beta is no function there.',
    ],
    [
      { name: "mine", clock: "uniform" } as unknown as FlowDeclaration,
      'The flow "mine" has a value for its clock that is none: tau is no function there.',
    ],
    [
      { name: "mine", predicts: "velocity", interpolant: blocks },
      'The flow "mine" gives tokens times of their own and predicts a velocity, from which nothing follows for a token that stands still',
    ],
  ])("refuses, case %#", (declared, message) => {
    expect(() => flow(declared)).toThrow(RangeError);
    expect(() => flow(declared)).toThrow(message);
  });

  it("converts no score of a source that is not Gaussian", () => {
    const declared = flow({ name: "mine", source: logistic() });
    const inputs = { x: floats([1, 1, 1], [1]), t: floats([1], [0.5]) };
    const converted = (to: "score" | "noise") => () =>
      evaluate(inputs, ({ x, t }) => declared.convert(x, "clean point", to, x, t));
    expect(converted("score")).toThrow("its source is logistic");
    expect(converted("noise")).not.toThrow();
  });
});

describe("flowMap()", () => {
  const points = flow({ name: "velocities", predicts: "velocity" });
  const declared = (rest: Partial<FlowMapDeclaration>): FlowMapDeclaration => ({
    name: "mine",
    flow: flm,
    objective: semigroup(),
    ...rest,
  });

  it("has the shares and losses of FMLM by default, and none where an objective has nothing to say", () => {
    expect(flowMap(declared({}))).toMatchObject({
      teacher: true,
      loss: "cross-entropy",
      diagonal: 1 / 2,
      boundary: 1 / 64,
      midpoint: "clock",
    });
    expect(flowMap(declared({ objective: lagrangian() }))).toMatchObject({
      loss: "squared error",
      boundary: 1 / 64,
    });
    expect(flowMap(declared({ objective: eulerian() }))).toMatchObject({
      loss: "squared error",
      boundary: 0,
    });
    expect(flowMap(declared({ objective: lagrangianLogits() })).loss).toBe("cross-entropy");
    expect(flowMap(declared({}))).toMatchObject({
      parameterization: "two-time denoiser",
      times: "length first",
    });
    expect(flowMap(declared({ flow: points }))).toMatchObject({ parameterization: "mean velocity" });
    expect(flowMap(declared({ parameterization: "corrected velocity" }))).toMatchObject({
      loss: "squared error",
      diagonal: 0,
    });
    expect(flowMap(declared({ objective: consistency() }))).toMatchObject({
      loss: "cross-entropy",
      times: "to the data",
      midpoint: { after: 1 / 64 },
    });
    expect(flowMap(declared({ flow: points })).loss).toBe("squared error");
  });

  it.each<readonly [Partial<FlowMapDeclaration>, string]>([
    [{ diagonal: 1.2 }, 'The flow map "mine" has a diagonal share of 1.2; a share of rows lies in [0, 1].'],
    [
      { objective: "semigroup" as never },
      'The flow map "mine" has a value for its objective that is none: target is no function there.',
    ],
    [
      { boundary: Number.NaN },
      'The flow map "mine" has a boundary share of NaN; a share of rows lies in [0, 1].',
    ],
    [
      { diagonal: 0.75, boundary: 0.5 },
      'The flow map "mine" gives 0.75 of its rows to the diagonal and 0.5 to the boundary, more than there are.',
    ],
    [
      { objective: { ...semigroup(), name: "distillation", needsTeacher: true }, teacher: false },
      'The distillation objective of "mine" learns from a teacher, and the declaration has none: leave out teacher: false.',
    ],
    [
      { objective: eulerianLogits(), flow: points },
      'The Eulerian in logits objective of "mine" works on logits, and the flow "velocities" predicts a velocity.',
    ],
    [
      { flow: flow({ name: "noises", predicts: "noise" }) },
      'The flow map "mine" needs a flow that predicts tokens, clean points or velocities: "noises" predicts a noise',
    ],
    [
      { flow: points, loss: "KL" },
      'The flow map "mine" is judged by KL, and the flow "velocities" predicts a velocity, which is no distribution.',
    ],
    [
      { objective: lagrangian(), loss: "cross-entropy" },
      'The target of the Lagrangian objective of "mine" may have negative entries, for which there is no cross-entropy: ' +
        'use loss: "squared error", or the objective in logits.',
    ],
    [
      { objective: eulerianLogits(), flow: flow({ name: "blocks", interpolant: blocks }) },
      'The Eulerian in logits objective of "mine" says nothing of tokens that are finished, as the interpolant "linear, by position" has them',
    ],
    [
      { parameterization: "corrected velocity", diagonal: 1 / 2 },
      'The flow map "mine" is a corrected velocity, which at s = t is its teacher and learns nothing there: leave diagonal out, or 0.',
    ],
    [
      { parameterization: "corrected velocity", teacher: false },
      'The flow map "mine" is a corrected velocity, and its declaration has no frozen network of the flow to correct: leave out teacher.',
    ],
    [
      { parameterization: "direct map", objective: lagrangianLogits() },
      'The Lagrangian in logits objective of "mine" works on logits, and its network puts out a direct map.',
    ],
    [
      { parameterization: "mean velocity", loss: "KL" },
      'The flow map "mine" is judged by KL, and its network puts out a mean velocity, which is no distribution.',
    ],
    [
      { parameterization: "direct map", flow: flow({ name: "blocks", interpolant: blocks }) },
      'The flow map "mine" is a direct map, from which nothing follows for a token that stands still, and the interpolant',
    ],
    [
      { objective: distillation() },
      'The distillation objective of "mine" learns from a flow map: declare it as teacher.',
    ],
    [
      { objective: distillation(), teacher: flowMap(declared({ flow: points })) },
      'The flow map "mine" is taught by "mine", which is a map of another flow: declare both with one flow.',
    ],
    [
      { objective: consistency(), times: "end first" },
      'The consistency objective of "mine" says something of jumps to t = 1 alone: leave times out.',
    ],
    [
      { objective: eulerian(), times: "to the data" },
      'The Eulerian objective of "mine" says nothing of jumps that end at t = 1: leave times out.',
    ],
    [
      { objective: consistency(), midpoint: "clock" },
      'The consistency objective of "mine" holds where u is near s: declare midpoint: { after: 1/64 }, or less.',
    ],
    [
      { midpoint: { after: 0 } },
      'The flow map "mine" has its middle time 0 after s on the clock; that lies in (0, 1].',
    ],
    [
      { objective: eulerian(), boundary: 0.1 },
      'The Eulerian objective of "mine" says nothing of jumps that end at t = 1: leave boundary out, or 0.',
    ],
  ])("refuses, case %#", (rest, message) => {
    expect(() => flowMap(declared(rest))).toThrow(RangeError);
    expect(() => flowMap(declared(rest))).toThrow(message);
  });
});
