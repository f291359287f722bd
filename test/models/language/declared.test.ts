/**
 * Declared flows and flow maps as training losses: the declarations of FLM and FMLM are flm.ts and fmlm.ts; targets pass no gradient
 * on; every objective has finite gradients, also at the ends of time; and what the network is told is clock time.
 */
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, div, grad, jvp, mul, onesLike, square, sub, sum, treeLeaves } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
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
import { blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import {
  declaredFlowLoss,
  declaredFlowTokenLoss,
  declaredMapLoss,
  declaredMapTokenLoss,
} from "../../../src/models/language/declared-loss.ts";
import { flowDenoiser, mapDenoiser } from "../../../src/models/language/declared-network.ts";
import type { NetworkModel } from "../../../src/models/language/declared-network.ts";
import { flmLoss } from "../../../src/models/language/flm.ts";
import { fmlmLoss } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch } from "../../../src/models/language/fmlm.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

vi.setConfig({ testTimeout: 60_000 });

const config: DitConfig = { vocab: 5, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const [teacherNetwork, student] = [dit(config), dit(studentConfig)];
const clock = decodingError({ vocab: 5 });
const FLM = flow({ name: "FLM", clock });
const ROWS = 6;
const DIAGONAL = 2;

/** Rows whose times are given as s, u, t; the first two are diagonal. */
const TIMES = [
  [0.3, 0.3, 0.3], [0.8, 0.8, 0.8], [0.1, 0.4, 0.7], [0, 0.2, 0.9], [0.5, 0.6, 0.65], [0.2, 0.5, 0.8],
] as const; // prettier-ignore

function inputsOf(seed: number) {
  const draw = normals(seed);
  const column = (pick: (row: (typeof TIMES)[number]) => number): ExactTensor =>
    floats([ROWS], TIMES.map(pick));
  return {
    params: randomParams(studentConfig, seed),
    given: randomParams(studentConfig, seed + 2),
    teacher: randomParams(config, seed + 1),
    tokens: ints(
      [ROWS, 2],
      Array.from({ length: 2 * ROWS }, (_, i) => (i * 7 + seed) % 5),
    ),
    noise: floats([ROWS, 2, 5], Array.from({ length: 10 * ROWS }, draw)),
    s: column(([s]) => s),
    u: column(([, u]) => u),
    t: column(([, , t]) => t),
    tauS: column(([s]) => clock.tau(s)),
    tauU: column(([, u]) => clock.tau(u)),
    tauT: column(([, , t]) => clock.tau(t)),
    rateS: column(([s]) => clock.dTau(s)),
    rateT: column(([, , t]) => clock.dTau(t)),
    gamma: column(([s, u, t]) => semigroupWeight(s, u, t)),
  };
}
type Inputs = { readonly [K in keyof ReturnType<typeof inputsOf>]: Tensor };

const model = (
  network: typeof student,
  params: unknown,
  space = vocabularySpace,
): NetworkModel<DitParams> => ({
  network,
  params: params as DitParams, // the tree that the network takes
  space,
});

const rowsOf = (i: Inputs) => ({
  tokens: i.tokens,
  noise: i.noise,
  s: { t: i.s, tau: i.tauS, rate: i.rateS },
  u: { t: i.u, tau: i.tauU, rate: onesLike(i.u) },
  t: { t: i.t, tau: i.tauT, rate: i.rateT },
});

const lossOf =
  (map: FlowMap, i: Inputs) =>
  (params: unknown, teacher: unknown): Tensor<[]> =>
    declaredMapLoss(map, model(student, params), rowsOf(i), {
      diagonal: DIAGONAL,
      teacher: model(teacherNetwork, teacher),
      ...(typeof map.teacher === "object" ? { given: model(student, i.given) } : {}),
    });

const sizes = (tree: unknown): readonly Tensor[] => treeLeaves(tree) as readonly Tensor[];
const numbers = (leaves: readonly ExactTensor[]): number[] => leaves.flatMap((leaf) => list(leaf));

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
