/**
 * Declared flow maps as training losses: FMLM's first version as it is published, and tokens with times of their own.
 */
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, div, grad, mul, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { linear, perState } from "../../../src/models/flow/interpolant.ts";
import { consistency, continuousConsistency } from "../../../src/models/flow/objectives/consistency.ts";
import { distillation } from "../../../src/models/flow/objectives/distillation.ts";
import { lagrangian, lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { declaredFlowTokenLoss, declaredMapTokenLoss } from "../../../src/models/language/declared-loss.ts";
import { flowDenoiser, mapDenoiser } from "../../../src/models/language/declared-network.ts";
import type { DitParams } from "../../../src/models/networks/dit.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

vi.setConfig({ testTimeout: 60_000 });
import {
  DIAGONAL,
  FLM,
  ROWS,
  inputsOf,
  lossOf,
  model,
  numbers,
  rowsOf,
  sizes,
  student,
  teacherNetwork,
} from "./declared-inputs.ts";
import type { Inputs } from "./declared-inputs.ts";

const corrected = flowMap({
  name: "corrected velocity",
  flow: FLM,
  objective: semigroup(),
  parameterization: "corrected velocity",
});

it("FMLM's first version is the published loss, and its second stage learns the map of the first", () => {
  const distilled = flowMap({ name: "", flow: FLM, objective: distillation(), teacher: corrected });
  const { loss, published, second, wanted } = evaluate(inputsOf(7), (input) => {
    const i = input as unknown as Inputs;
    const rows = rowsOf(i);
    const space = vocabularySpace;
    const x = FLM.state(i.noise, space.clean(i.tokens, student.embedding(i.params as never)), i.s);
    const g = (params: unknown, at: Tensor, tau: Tensor, target: Tensor): Tensor => {
      const weights = params as DitParams;
      return student.logits(weights, space.embed(at, student.embedding(weights)), { tau, target });
    };
    const D = (at: Tensor, t: Tensor, tau: Tensor): Tensor =>
      flowDenoiser(FLM, model(teacherNetwork, i.teacher)).denoiser(at, { t, tau, rate: tau });
    const column = (value: Tensor): Tensor => perState(value);
    /** v̂_{a,b}(x) = v_a(x) + ½ (b − a) g_{a,b}(x), v_a = (D_a − x)/(1 − a). */
    const average = (at: Tensor, a: Tensor, b: Tensor, tauA: Tensor, tauB: Tensor): Tensor =>
      add(
        div(sub(D(at, a, tauA), at), column(sub(1, a))),
        mul(column(mul(sub(b, a), 0.5) as Tensor), g(i.params, at, tauA, tauB)),
      );
    const near = average(x, i.s, i.u, i.tauS, i.tauU);
    const there: Tensor = add(x, mul(column(sub(i.u, i.s)), near));
    const far = average(there, i.u, i.t, i.tauU, i.tauT);
    const moves: Tensor = add(mul(column(sub(i.u, i.s)), near), mul(column(sub(i.t, i.u)), far));
    const boot: Tensor = add(x, div(mul(column(sub(1, i.s)), moves) as Tensor, column(sub(i.t, i.s))));
    const span = mul(mul(sub(i.t, i.s), sub(1, i.s)) as Tensor, 0.5) as Tensor;
    const psi = (params: unknown): Tensor =>
      add(D(x, i.s, i.tauS), mul(column(span), g(params, x, i.tauS, i.tauT)));
    const teaching = {
      diagonal: 0,
      teacher: model(teacherNetwork, i.teacher),
      given: model(student, i.given),
    };
    const learned = mapDenoiser(distilled, model(student, i.params)).denoiser(x, rows.s, rows.t);
    return {
      loss: declaredMapTokenLoss(corrected, model(student, i.params), rows, teaching),
      published: sum(square(sub(boot, psi(i.params)) as Tensor), 2),
      second: declaredMapTokenLoss(distilled, model(student, i.params), rows, teaching),
      wanted: sum(square(sub(learned, psi(i.given)) as Tensor), 2),
    };
  });
  const jumping = (values: ExactTensor): number[] => list(values).slice(2 * DIAGONAL);
  expect(distance(jumping(loss), jumping(published))).toBeLessThan(1e-10);
  expect(distance(second.data, wanted.data)).toBeLessThan(1e-10);
});

describe("times per token", () => {
  const blocks = positioned(linear, blockCausal({ blocks: 2, overlap: 0.5 }), { length: 2 });
  const lossesOf = (interpolant: typeof blocks) =>
    evaluate(inputsOf(4), (input) => {
      const i = input as unknown as Inputs;
      const rows = { tokens: i.tokens, noise: i.noise, t: { t: i.s, tau: i.tauS, rate: i.rateS } };
      const weighting = (_t: Tensor, { beta }: { readonly beta: Tensor }): Tensor => add(beta, 1);
      const plain = flow({ name: "plain", interpolant });
      const weighted = flow({ name: "weighted", interpolant, weighting });
      const net = model(teacherNetwork, i.teacher);
      return {
        plain: declaredFlowTokenLoss(plain, net, rows),
        weighted: declaredFlowTokenLoss(weighted, net, rows),
        beta: mul(interpolant.beta(i.s), 1),
      };
    });

  it("a weight that is made of coefficients is per row, or per token", () => {
    for (const interpolant of [linear, blocks]) {
      const { plain, weighted, beta } = lossesOf(interpolant);
      const perToken = list(beta).flatMap((x) => (interpolant === blocks ? [x] : [x, x]));
      const wanted = list(plain).map((loss, k) => loss * (1 + (perToken[k] as number)));
      expect(distance(weighted.data, wanted)).toBeLessThan(1e-12);
    }
  });

  it.each([semigroup(), lagrangian(), lagrangianLogits(), consistency(), continuousConsistency()])(
    "$name: losses and gradients are finite, with tokens that wait and tokens that are finished",
    (objective) => {
      const map = flowMap({ name: "blocks", flow: flow({ name: "blocks", interpolant: blocks }), objective });
      const leaves = evaluate(inputsOf(5), (input) => {
        const i = input as unknown as Inputs;
        const loss = lossOf(map, i);
        return [loss(i.params, i.teacher), ...sizes(grad((p: unknown) => loss(p, i.teacher))(i.params))];
      });
      expect(numbers(leaves).every(Number.isFinite)).toBe(true);
    },
  );

  it.each([consistency(), continuousConsistency()])(
    "$name: a token that is finished where a jump begins has a finite loss",
    (objective) => {
      const map = flowMap({ name: "blocks", flow: flow({ name: "blocks", interpolant: blocks }), objective });
      const [late, end] = [0.9, 1].map((t) => floats([ROWS], Array<number>(ROWS).fill(t)));
      const at = { ...inputsOf(5), s: late, tauS: late, u: late, tauU: late, t: end, tauT: end, rateT: end };
      const { loss, alpha } = evaluate(at as ReturnType<typeof inputsOf>, (input) => {
        const i = input as unknown as Inputs;
        return { loss: lossOf(map, i)(i.params, i.teacher), alpha: mul(blocks.alpha(i.s), 1) };
      });
      expect(list(alpha)[0]).toBe(0);
      expect(list(loss).every(Number.isFinite)).toBe(true);
    },
  );
});
