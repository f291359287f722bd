/**
 * Losses by potentials and weightings: those that are right raise no alarm, and of planted mistakes each is caught, by the identity that
 * says what is wrong.
 */
import { describe, expect, it } from "vitest";
import { add, div, exp, log, mul, neg, pow, square, stopGradient, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { bregman, negativeEntropy, squaredNorm } from "../../../src/models/flow/bregman.ts";
import type { Potential } from "../../../src/models/flow/bregman.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import { linear, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { lagrangian } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { jumpLength, learned, residual, snr } from "../../../src/models/flow/weightings.ts";
import type { LearnedWeighting } from "../../../src/models/flow/weighting-learned.ts";
import type {
  ResidualWeighting,
  TimeWeighting,
  Weighting,
  WeightOfTime,
} from "../../../src/models/flow/weighting.ts";
import { failures } from "../../support/verify-failures.ts";

const logCosh: Potential = (x) =>
  sum(log(mul(add(exp(x), exp(neg(x)) as Tensor) as Tensor, 0.5) as Tensor), -1);
const entropy = bregman({ name: "entropy", potential: negativeEntropy, domain: "simplex" });
const plain = flow({ name: "plain" });
const velocities = flow({
  name: "velocities",
  interpolant: trigonometric,
  predicts: "velocity",
  loss: bregman({ name: "log cosh", potential: logCosh }),
  weighting: snr({ cap: 5 }),
});

describe("no alarm of", () => {
  it.each<readonly [string, Flow | FlowMap]>([
    ["noise, min-SNR", flow({ name: "", predicts: "noise", weighting: snr({ cap: 5 }) })],
    ["tokens by entropy, learned", flow({ name: "", loss: entropy, weighting: learned() })],
    [
      "learned, with surgery",
      flowMap({ name: "", flow: plain, objective: semigroup(), weighting: learned(), surgery: true }),
    ],
    [
      "jumps by their length",
      flowMap({ name: "", flow: plain, objective: semigroup(), weighting: jumpLength }),
    ],
  ])("%s", async (_name, variant) => {
    expect(await failures(variant, ["loss"])).toEqual([]);
  });

  it.each<readonly [string, FlowMap]>([
    ["velocities by log cosh", flowMap({ name: "", flow: velocities, objective: lagrangian() })],
    [
      "residuals, by the potential of KL",
      flowMap({ name: "", flow: plain, objective: semigroup(), loss: entropy, weighting: residual() }),
    ],
  ])("the flow map of %s", async (_name, variant) => {
    expect(await failures(variant, ["loss", "objective"])).toEqual([]);
  });
});

describe("a weight per token, where tokens have times of their own", () => {
  const blocks = positioned(linear, blockCausal({ blocks: 2 }), { length: 4 });
  const weighted = (weighting: WeightOfTime | TimeWeighting): Flow =>
    flow({ name: "blocks", interpolant: blocks, weighting });

  it("may be 0 of a token that waits, as by signal-to-noise", async () => {
    expect(await failures(weighted(snr({ cap: 5 })), ["loss"])).toEqual([]);
  });

  it.each<[string, WeightOfTime]>([
    ["is negative of one of them", (_t, { beta }) => sub(beta, 0.3)],
    ["is infinite of one that is finished", (_t, { alpha }) => div(1, alpha)],
    ["is nothing of one that moves", (_t, { alpha, beta }) => mul(sub(alpha, alpha), beta)],
  ])("%s", async (_what, weighting) => {
    expect((await failures(weighted(weighting), ["loss"]))[0]).toBe("weighting");
  });
});

describe("a potential that", () => {
  it.each<readonly [string, Potential]>([
    ["is concave", (x) => neg(squaredNorm(x)) as Tensor],
    ["has the sign of the entropy", (p) => neg(negativeEntropy(p)) as Tensor],
    ["is concave in places", (x) => sum(pow(square(x), 0.25) as Tensor, -1)],
    ["is a straight line", (x) => mul(sum(x, -1), 3)],
    ["is not finite at the tokens", (p) => neg(sum(log(p), -1)) as Tensor],
  ])("%s", async (_what, potential) => {
    const loss = bregman({ name: "mistaken", potential });
    expect((await failures(flow({ name: "mistaken", loss }), ["loss"]))[0]).toBe(
      "loss that is least at its target",
    );
    const map = flowMap({ name: "mistaken", flow: plain, objective: semigroup(), loss });
    expect(await failures(map, ["loss"])).toContain("loss that is least at its target");
  });

  it("judges points as if they were distributions", async () => {
    const loss = bregman({ name: "mistaken", potential: (p) => sum(pow(p, 1.5), -1) });
    const failed = await failures(flow({ name: "mistaken", predicts: "clean point", loss }), ["loss"]);
    expect(failed[0]).toBe("loss that is least at its target");
  });
});

const byResidual = (weighted: ResidualWeighting["weighted"]): Weighting => ({ ...residual(), weighted });
const learning = (weighted: LearnedWeighting["weighted"]): Weighting => ({ ...learned(), weighted });

describe("a weighting that", () => {
  // As no declaration gives them: what is refused where it is declared may still be put into one.
  it.each<[string, (t: Tensor) => Tensor]>([
    ["is negative", (t) => sub(0.3, t)],
    ["is infinite", (t) => div(1, sub(t, t))],
    ["is nothing", (t) => sub(t, t)],
  ])("%s", async (_what, weighting) => {
    expect((await failures({ ...plain, weighting }, ["loss"]))[0]).toBe("weighting");
    const map = flowMap({ name: "mistaken", flow: plain, objective: semigroup() });
    expect(await failures({ ...map, weighting }, ["loss"])).toContain("weighting of the flow map");
  });

  it.each<readonly [string, string, Weighting]>([
    [
      "has a gradient through the residual",
      "weight without a gradient of the flow map",
      byResidual((loss, distance) => mul(loss, pow(add(distance, 0.01), -0.5))),
    ],
    ["learns without + w", "learned weight", learning((loss, w) => mul(exp(neg(w)), loss))],
    ["learns with − w", "learned weight", learning((loss, w) => sub(mul(exp(neg(w)), loss), w))],
    ["grows with w where it should fall", "learned weight", learning((loss, w) => add(mul(exp(w), loss), w))],
    [
      "has the residual itself with a minus sign",
      "weighting of the flow map",
      byResidual((loss, distance) => mul(loss, stopGradient(neg(distance)) as Tensor)),
    ],
  ])("%s", async (_what, name, weighting) => {
    const map = flowMap({ name: "mistaken", flow: plain, objective: semigroup(), weighting });
    expect(await failures(map, ["loss"])).toEqual([name]);
  });
});
