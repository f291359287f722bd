/**
 * Declared flows and flow maps as training losses: the declarations of FLM and FMLM are flm.ts and fmlm.ts; targets pass no gradient
 * on; every objective has finite gradients, also at the ends of time; and what the network is told is clock time.
 */
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, grad, jvp, mul, onesLike, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow } from "../../../src/models/flow/flow.ts";
import {
  linear,
  perState,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import { consistency, continuousConsistency } from "../../../src/models/flow/objectives/consistency.ts";
import { distillation } from "../../../src/models/flow/objectives/distillation.ts";
import { eulerian, eulerianLogits } from "../../../src/models/flow/objectives/eulerian.ts";
import { lagrangian, lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { meanFlow } from "../../../src/models/flow/objectives/mean-flow.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import {
  declaredFlowLoss,
  declaredMapLoss,
  declaredMapTokenLoss,
} from "../../../src/models/language/declared-loss.ts";
import { flmLoss } from "../../../src/models/language/flm.ts";
import { fmlmLoss } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch } from "../../../src/models/language/fmlm.ts";
import type { DitParams } from "../../../src/models/networks/dit.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";
import { normals } from "../networks/random-weights.ts";

vi.setConfig({ testTimeout: 60_000 });
import {
  DIAGONAL,
  FLM,
  ROWS,
  TIMES,
  clock,
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

describe("what the published models are", () => {
  it("FLM is flow() with the decoding-error clock", () => {
    const { declared, page } = evaluate(inputsOf(1), (input) => {
      const i = input as unknown as Inputs;
      const rows = { tokens: i.tokens, noise: i.noise, t: { t: i.s, tau: i.tauS, rate: i.rateS } };
      return {
        declared: declaredFlowLoss(FLM, model(teacherNetwork, i.teacher), rows),
        page: flmLoss(teacherNetwork, i.teacher as unknown as DitParams, {
          tokens: i.tokens,
          noise: i.noise,
          tau: i.tauS,
          t: i.s,
        }),
      };
    });
    expect(distance(declared.data, page.data)).toBeLessThan(1e-12);
  });

  it.each([
    ["with a teacher", true],
    ["on its own", false],
  ])("FMLM is flowMap() with the semigroup objective, %s", (_name, taught) => {
    const map = flowMap({ name: "FMLM", flow: FLM, objective: semigroup(), teacher: taught });
    const { declared, page } = evaluate(inputsOf(2), (input) => {
      const i = input as unknown as Inputs;
      const teacher = { network: teacherNetwork, params: i.teacher as unknown as DitParams };
      return {
        declared: declaredMapLoss(map, model(student, i.params), rowsOf(i), {
          diagonal: DIAGONAL,
          ...(taught ? { teacher: model(teacherNetwork, i.teacher) } : {}),
        }),
        page: fmlmLoss(student, i.params as unknown as DitParams, i as unknown as FmlmBatch, {
          diagonal: DIAGONAL,
          ...(taught ? { teacher } : {}),
        }),
      };
    });
    expect(distance(declared.data, page.data)).toBeLessThan(1e-12);
  });

  it("on projected states too", () => {
    const map = flowMap({ name: "FMLM", flow: FLM, objective: semigroup() });
    const inputs = {
      ...inputsOf(3),
      noise: floats([ROWS, 2, 8], Array.from({ length: 16 * ROWS }, normals(3))),
    };
    const { declared, page } = evaluate(inputs, (input) => {
      const i = input as unknown as Inputs;
      const frozen = i.teacher as unknown as DitParams;
      const params = { ...(i.params as unknown as DitParams), embedding: frozen.embedding };
      return {
        declared: declaredMapLoss(map, model(student, params, projectedSpace()), rowsOf(i), {
          diagonal: DIAGONAL,
          teacher: model(teacherNetwork, frozen, projectedSpace()),
        }),
        page: fmlmLoss(
          student,
          params,
          i as unknown as FmlmBatch,
          { diagonal: DIAGONAL, teacher: { network: teacherNetwork, params: frozen } },
          projectedSpace(),
        ),
      };
    });
    expect(distance(declared.data, page.data)).toBeLessThan(1e-12);
  });
});

const velocityFlow = flow({ name: "velocities", interpolant: trigonometric, predicts: "velocity" });
const pointFlow = flow({ name: "points", interpolant: linear, predicts: "clean point" });
const corrected = flowMap({
  name: "corrected velocity",
  flow: FLM,
  objective: semigroup(),
  parameterization: "corrected velocity",
});
const maps: readonly FlowMap[] = [
  corrected,
  flowMap({ name: "distilled", flow: FLM, objective: distillation(), teacher: corrected }),
  flowMap({ name: "mean velocity", flow: FLM, objective: meanFlow(), parameterization: "mean velocity" }),
  flowMap({
    name: "direct map",
    flow: velocityFlow,
    objective: lagrangian(),
    parameterization: "direct map",
  }),
  flowMap({ name: "consistency", flow: FLM, objective: consistency() }),
  flowMap({ name: "consistency of points", flow: pointFlow, objective: continuousConsistency() }),
  flowMap({ name: "semigroup", flow: FLM, objective: semigroup() }),
  flowMap({ name: "semigroup, KL", flow: FLM, objective: semigroup(), loss: "KL" }),
  flowMap({ name: "Lagrangian", flow: FLM, objective: lagrangian() }),
  flowMap({ name: "Lagrangian in logits", flow: FLM, objective: lagrangianLogits() }),
  flowMap({ name: "Eulerian", flow: FLM, objective: eulerian() }),
  flowMap({ name: "Eulerian in logits", flow: FLM, objective: eulerianLogits() }),
  flowMap({ name: "velocities, semigroup", flow: velocityFlow, objective: semigroup() }),
  flowMap({ name: "velocities, Eulerian (mean flow)", flow: velocityFlow, objective: eulerian() }),
  flowMap({ name: "points, Lagrangian", flow: pointFlow, objective: lagrangian() }),
];

describe.each(maps)("$name", (map) => {
  it("has finite gradients, none of which reaches the teacher", () => {
    const result = evaluate(inputsOf(4), (input) => {
      const i = input as unknown as Inputs;
      const loss = lossOf(map, i);
      return {
        student: sizes(
          grad((params: DitParams) => loss(params, i.teacher))(i.params as unknown as DitParams),
        ),
        teacher: sizes(
          grad((frozen: DitParams) => loss(i.params, frozen))(i.teacher as unknown as DitParams),
        ),
      };
    });
    const gradient = numbers(result.student as unknown as readonly ExactTensor[]);
    expect(gradient.every(Number.isFinite)).toBe(true);
    expect(gradient.some((x) => x !== 0)).toBe(true);
    expect(numbers(result.teacher as unknown as readonly ExactTensor[]).every((x) => x === 0)).toBe(true);
  });

  it("is finite where the last jump starts at noise and ends at data", () => {
    if (map.boundary === 0 && !map.objective.atData) return;
    const inputs = inputsOf(5);
    const last = (column: ExactTensor, value: number): ExactTensor =>
      floats(
        [ROWS],
        list(column).map((x, row) => (row === ROWS - 1 ? value : x)),
      );
    const at = { ...inputs, s: last(inputs.s, 0), tauS: last(inputs.tauS, 0), t: last(inputs.t, 1), tauT: last(inputs.tauT, 1), rateT: last(inputs.rateT, clock.dTau(1)) }; // prettier-ignore
    const loss = evaluate(at, (input) => {
      const i = input as unknown as Inputs;
      return declaredMapTokenLoss(map, model(student, i.params), rowsOf(i), {
        diagonal: DIAGONAL,
        teacher: model(teacherNetwork, i.teacher),
        given: model(student, i.given),
      });
    });
    expect(list(loss).every(Number.isFinite)).toBe(true);
  });
});

it("a Lagrangian jump of velocities to the data is finite where the rates of the interpolant are not", () => {
  const velocities = flow({ name: "", interpolant: variancePreservingLinear, predicts: "velocity" });
  const map = flowMap({ name: "", flow: velocities, objective: lagrangian() });
  const inputs = inputsOf(5);
  const all = (value: number): ExactTensor => floats([ROWS], Array<number>(ROWS).fill(value));
  const at = { ...inputs, s: all(0), tauS: all(0), t: all(1), tauT: all(1), rateT: all(1) };
  const loss = evaluate(at, (input) => {
    const i = input as unknown as Inputs;
    return declaredMapTokenLoss(map, model(student, i.params), rowsOf(i), {
      diagonal: 0,
      teacher: model(teacherNetwork, i.teacher),
    });
  });
  expect(list(loss).every(Number.isFinite)).toBe(true);
});

it("mean flow judges average velocities by v = b + (t − s) (∂_s + b·∇) v, also for jumps to the data", () => {
  const velocities = flow({ name: "", predicts: "velocity" });
  const map = flowMap({ name: "", flow: velocities, objective: meanFlow(), teacher: false });
  const inputs = inputsOf(5);
  const t = floats(
    [ROWS],
    TIMES.map(([, , end], row) => (row === ROWS - 1 ? 1 : end)),
  );
  const { loss, wanted } = evaluate({ ...inputs, t, tauT: t, tauS: inputs.s }, (input) => {
    const i = input as unknown as Inputs;
    const rows = { ...rowsOf(i), s: { t: i.s, tau: i.s, rate: onesLike(i.s) } };
    const net = model(student, i.params);
    const x = velocities.state(i.noise, vocabularySpace.clean(i.tokens, student.embedding(net.params)), i.s);
    const v = (at: Tensor, s: Tensor, end: Tensor): Tensor =>
      student.logits(net.params, vocabularySpace.embed(at, student.embedding(net.params)), {
        tau: s,
        target: end,
      });
    const b = v(x, i.s, i.s);
    const { value, tangent } = jvp((at: Tensor, s: Tensor) => v(at, s, i.t), [x, i.s], [b, onesLike(i.s)]);
    const target: Tensor = add(b, mul(perState(sub(i.t, i.s)), tangent));
    return {
      loss: declaredMapTokenLoss(map, net, rows, { diagonal: 0 }),
      wanted: sum(square(sub(value, target)), 2),
    };
  });
  const jumping = (values: ExactTensor): number[] => list(values).slice(2 * DIAGONAL);
  expect(distance(jumping(loss), jumping(wanted))).toBeLessThan(1e-9);
});

it("a diagonal row of velocities whose time rounds to 1 has a finite loss and finite gradients", () => {
  const velocities = flow({ name: "", predicts: "velocity" });
  const map = flowMap({ name: "", flow: velocities, objective: semigroup(), teacher: false });
  const one = floats([ROWS], Array<number>(ROWS).fill(1));
  const at = { ...inputsOf(5), s: one, tauS: one, u: one, tauU: one, t: one, tauT: one };
  const leaves = evaluate(at, (input) => {
    const i = input as unknown as Inputs;
    const loss = (p: unknown): Tensor<[]> =>
      declaredMapLoss(map, model(student, p), rowsOf(i), { diagonal: ROWS });
    return [loss(i.params), ...sizes(grad(loss)(i.params))];
  });
  expect(numbers(leaves).every(Number.isFinite)).toBe(true);
});

const flows: readonly Flow[] = [
  FLM,
  flow({ name: "KL", loss: "KL" }),
  flow({ name: "squared error of tokens", loss: "squared error" }),
  pointFlow,
  velocityFlow,
  flow({ name: "noise", predicts: "noise" }),
  flow({ name: "weighted", interpolant: trigonometric, weighting: (_t, { beta }) => beta }),
];

describe.each(flows)("the flow of $name", (declared) => {
  it("has a finite loss and finite gradients", () => {
    const gradient = evaluate(inputsOf(6), (input) => {
      const i = input as unknown as Inputs;
      const rows = { tokens: i.tokens, noise: i.noise, t: { t: i.u, tau: i.tauU, rate: onesLike(i.u) } };
      return sizes(
        grad((params: DitParams) => declaredFlowLoss(declared, model(teacherNetwork, params), rows))(
          i.teacher as unknown as DitParams,
        ),
      );
    });
    const found = numbers(gradient as unknown as readonly ExactTensor[]);
    expect(found.every(Number.isFinite)).toBe(true);
    expect(found.some((x) => x !== 0)).toBe(true);
  });
});

it.each([
  [flow({ name: "velocity", predicts: "velocity" }), 1],
  [flow({ name: "noise", predicts: "noise" }), 0],
] as const)("a time that rounds to an end has a finite loss and finite gradients (%#)", (declared, end) => {
  const inputs = inputsOf(6);
  const at = { ...inputs, u: floats([ROWS], Array<number>(ROWS).fill(end)) };
  const leaves = evaluate(at, (input) => {
    const i = input as unknown as Inputs;
    const rows = { tokens: i.tokens, noise: i.noise, t: { t: i.u, tau: i.u, rate: onesLike(i.u) } };
    const loss = (params: DitParams) => declaredFlowLoss(declared, model(teacherNetwork, params), rows);
    const params = i.teacher as unknown as DitParams;
    return [loss(params), ...sizes(grad(loss)(params))];
  });
  expect(numbers(leaves).every(Number.isFinite)).toBe(true);
});
