/**
 * Weightings in training losses: FMLM's options are two of them; a residual weighs rows by how far off they are, and rows that learn from
 * draws by nothing; a learned one begins as the plain loss; and what an objective's target forgets to stop is stopped.
 */
import { describe, expect, it, vi } from "vitest";
import { grad, onesLike, stopGradient, treeLeaves } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { bregman, negativeEntropy } from "../../../src/models/flow/bregman.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMap, FlowMapDeclaration } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow, FlowDeclaration } from "../../../src/models/flow/flow.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import type { Objective } from "../../../src/models/flow/objectives/objective.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { gaussian } from "../../../src/models/flow/source.ts";
import { jumpLength, learned, residual, snr } from "../../../src/models/flow/weightings.ts";
import type { LearnedWeights } from "../../../src/models/flow/weightings.ts";
import {
  declaredFlowTokenLoss,
  declaredMapLoss,
  declaredMapParts,
  declaredMapTokenLoss,
} from "../../../src/models/language/declared-loss.ts";
import type { NetworkModel } from "../../../src/models/language/declared-network.ts";
import { fmlmLoss } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch } from "../../../src/models/language/fmlm.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

vi.setConfig({ testTimeout: 60_000 });

const config: DitConfig = { vocab: 5, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const clock = decodingError({ vocab: 5 });
const FLM = flow({ name: "FLM", clock });
const ROWS = 4;
const DIAGONAL = 2;
/** s, u, t of every row; the first two are diagonal. */
const TIMES = [[0.3, 0.3, 0.3], [0.8, 0.8, 0.8], [0.1, 0.4, 0.7], [0, 0.2, 0.9]] as const; // prettier-ignore

const weighting = learned({ hidden: 3, features: 4 });

function inputsOf(seed: number) {
  const draw = normals(seed);
  const column = (pick: (row: (typeof TIMES)[number]) => number) => floats([ROWS], TIMES.map(pick));
  const drawn = (shape: readonly number[]) =>
    floats(shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw));
  return {
    params: randomParams(studentConfig, seed),
    teacher: randomParams(config, seed + 1),
    tokens: ints(
      [ROWS, 2],
      Array.from({ length: 2 * ROWS }, (_, i) => (i * 7 + seed) % 5),
    ),
    noise: drawn([ROWS, 2, 5]),
    one: {
      hidden: { weight: drawn([3, 4]), bias: drawn([3]) },
      out: { weight: drawn([1, 3]), bias: drawn([1]) },
    },
    two: {
      hidden: { weight: drawn([3, 8]), bias: drawn([3]) },
      out: { weight: drawn([1, 3]), bias: drawn([1]) },
    },
    s: column(([s]) => s),
    u: column(([, u]) => u),
    t: column(([, , t]) => t),
    tauS: column(([s]) => clock.tau(s)),
    tauU: column(([, u]) => clock.tau(u)),
    tauT: column(([, , t]) => clock.tau(t)),
    gamma: column(([s, u, t]) => semigroupWeight(s, u, t)),
  };
}
type Leaves = Omit<ReturnType<typeof inputsOf>, "params" | "teacher" | "one" | "two">;
type Inputs = { readonly [K in keyof Leaves]: Tensor } & {
  readonly params: DitParams;
  readonly teacher: DitParams;
  readonly one: LearnedWeights;
  readonly two: LearnedWeights;
};

const model = (params: DitParams, of = studentConfig): NetworkModel<DitParams> => ({
  network: dit(of),
  params,
  space: vocabularySpace,
});
const rowsOf = (i: Inputs) => ({
  tokens: i.tokens,
  noise: i.noise,
  s: { t: i.s, tau: i.tauS, rate: onesLike(i.s) },
  u: { t: i.u, tau: i.tauU, rate: onesLike(i.u) },
  t: { t: i.t, tau: i.tauT, rate: onesLike(i.t) },
});
const teachingOf = (i: Inputs, taught: boolean, own?: LearnedWeights) => ({
  diagonal: DIAGONAL,
  ...(taught ? { teacher: model(i.teacher, config) } : {}),
  ...(own === undefined ? {} : { weighting: own }),
});
const mapOf = (rest: Partial<FlowMapDeclaration> = {}): FlowMap =>
  flowMap({ name: "mine", flow: FLM, objective: semigroup(), ...rest });
const tokenLoss = (map: FlowMap, i: Inputs, own?: LearnedWeights): Tensor =>
  declaredMapTokenLoss(map, model(i.params), rowsOf(i), teachingOf(i, map.teacher !== false, own));

const values = (seed: number, body: (i: Inputs) => Record<string, Tensor>) =>
  evaluate(inputsOf(seed), (input) => body(input as unknown as Inputs));

describe("FMLM's options", () => {
  it.each([
    ["rescale", { weighting: jumpLength }, { rescale: true }],
    ["squared error", { loss: "squared error" }, { squaredError: true }],
  ] as const)("%s", (_name, rest, option) => {
    const { declared, page } = values(1, (i) => ({
      declared: declaredMapLoss(mapOf(rest), model(i.params), rowsOf(i), teachingOf(i, true)),
      page: fmlmLoss(dit(studentConfig), i.params, i as unknown as FmlmBatch, {
        diagonal: DIAGONAL,
        teacher: { network: dit(config), params: i.teacher },
        ...option,
      }),
    }));
    expect(distance(declared?.data ?? [], page?.data ?? [])).toBeLessThan(1e-12);
  });

  it("the loss by the potential of KL is KL", () => {
    const entropy = bregman({ name: "entropy", potential: negativeEntropy, domain: "simplex" });
    const { found, wanted } = values(2, (i) => ({
      found: tokenLoss(mapOf({ loss: entropy }), i),
      wanted: tokenLoss(mapOf({ loss: "KL" }), i),
    }));
    expect(distance(found?.data ?? [], wanted?.data ?? [])).toBeLessThan(1e-12);
  });
});

it("the signal-to-noise ratio is that of the flow's own noise", () => {
  const of = (rest: Partial<FlowDeclaration>) =>
    flow({ name: "quiet", clock, source: gaussian({ scale: 0.5 }), ...rest } as FlowDeclaration);
  const { found, plain } = values(7, (i) => {
    const rows = { tokens: i.tokens, noise: i.noise, t: rowsOf(i).s };
    const loss = (declared: Flow): Tensor => declaredFlowTokenLoss(declared, model(i.teacher, config), rows);
    return { found: loss(of({ weighting: snr({ cap: 5 }) })), plain: loss(of({})) };
  });
  const wanted = list(plain as NonNullable<typeof plain>).map((loss, k) => {
    const [s] = TIMES[Math.floor(k / 2)] as (typeof TIMES)[number];
    return loss * Math.min(s ** 2 / ((1 - s) * 0.5) ** 2, 5);
  });
  expect(distance(found?.data ?? [], wanted)).toBeLessThan(1e-9);
});

describe("residuals", () => {
  const power = 0.5;
  it.each([true, false])("weigh rows by how far off they are (with a teacher: %s)", (teacher) => {
    const rest = { teacher, loss: "squared error" } as const;
    const { found, plain } = values(3, (i) => ({
      found: tokenLoss(mapOf({ ...rest, weighting: residual({ power, floor: 0.02, diagonal: 0.5 }) }), i),
      plain: tokenLoss(mapOf(rest), i),
    }));
    const wanted = list(plain as NonNullable<typeof plain>).map((loss, k) => {
      const diagonal = k < 2 * DIAGONAL;
      if (diagonal && !teacher) return loss;
      return loss * (loss + (diagonal ? 0.5 : 0.02)) ** -power;
    });
    expect(distance(found?.data ?? [], wanted)).toBeLessThan(1e-12);
  });
});

describe("learned", () => {
  it("e^{−w} L + w with w of both times in a flow map, and of one in a flow", () => {
    const learning = flow({ name: "learning", clock, weighting });
    const oneRow = (i: Inputs) => ({ tokens: i.tokens, noise: i.noise, t: rowsOf(i).s });
    const found = values(4, (i) => ({
      map: tokenLoss(mapOf({ weighting }), i, i.two),
      plainMap: tokenLoss(mapOf(), i),
      exponents: weighting.exponent(i.two, [i.tauS, i.tauT]),
      flow: declaredFlowTokenLoss(learning, model(i.teacher, config), oneRow(i), i.one),
      plainFlow: declaredFlowTokenLoss(FLM, model(i.teacher, config), oneRow(i)),
      exponent: weighting.exponent(i.one, [i.tauS]),
    }));
    const read = (name: string): readonly number[] =>
      list(found[name] as NonNullable<(typeof found)[string]>);
    for (const [weighted, plain, w] of [
      ["map", "plainMap", "exponents"],
      ["flow", "plainFlow", "exponent"],
    ] as const) {
      const wanted = read(plain).map((loss, k) => {
        const exponent = read(w)[Math.floor(k / 2)] as number;
        return Math.exp(-exponent) * loss + exponent;
      });
      expect(distance(read(weighted), wanted), weighted).toBeLessThan(1e-12);
    }
  });
});

describe("gradients", () => {
  const gradientOf = (map: FlowMap, i: Inputs): readonly Tensor[] =>
    treeLeaves(
      grad((params: DitParams) => declaredMapLoss(map, model(params), rowsOf(i), teachingOf(i, true)))(
        i.params,
      ),
    );

  it("do not pass through a target that forgets to stop them", () => {
    const stopped: Objective = {
      ...semigroup(),
      target: (targets, rows) => stopGradient(semigroup().target(targets, rows)) as Tensor,
    };
    const { forgotten, right } = evaluate(inputsOf(5), (input) => {
      const i = input as unknown as Inputs;
      return {
        forgotten: gradientOf(mapOf({ weighting: residual() }), i),
        right: gradientOf(mapOf({ weighting: residual(), objective: stopped }), i),
      };
    });
    for (const [k, leaf] of forgotten.entries())
      expect(distance(leaf.data, (right[k] as typeof leaf).data)).toBe(0);
  });

  it("belong to the diagonal rows or to the others, whose losses add up to the mean", () => {
    const found = values(6, (i) => {
      const given = [mapOf(), model(i.params), rowsOf(i), teachingOf(i, true)] as const;
      return { ...declaredMapParts(...given), perToken: declaredMapTokenLoss(...given) };
    });
    const read = (name: string): readonly number[] =>
      list(found[name] as NonNullable<(typeof found)[string]>);
    const share = (from: number, to: number): number =>
      read("perToken")
        .slice(2 * from, 2 * to)
        .reduce((a, b) => a + b, 0) /
      (2 * ROWS);
    expect(read("diagonal")[0]).toBeCloseTo(share(0, DIAGONAL), 12);
    expect(read("jumps")[0]).toBeCloseTo(share(DIAGONAL, ROWS), 12);
  });
});
