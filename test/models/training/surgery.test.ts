/**
 * Gradient surgery: the gradient never works against that of the diagonal rows, is the plain one where the two agree, and costs no second
 * forward pass.
 */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { optimize } from "../../../src/compiler/passes/pipeline.ts";
import {
  add,
  grad,
  mapTree,
  mul,
  optim,
  outputSpec,
  random,
  scalar,
  slice,
  squeeze,
  trace,
  treeLeaves,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { learned } from "../../../src/models/flow/weightings.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { declaredMapLoss, declaredMapParts } from "../../../src/models/language/declared-loss.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { flowMapStep, initFlowMap, learnedOf } from "../../../src/models/training/declared.ts";
import { freshState, weightsLayout } from "../../../src/models/training/state.ts";
import { gradientsOfParts, projected } from "../../../src/models/training/surgery.ts";
import { distance, evaluate, floats, ints, list, words } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

vi.setConfig({ testTimeout: 60_000 });

const numbers = (count: number) =>
  fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: count, maxLength: count });
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, x, i) => total + x * (b[i] as number), 0);

/** `projected` of two gradients in a tree of two leaves. */
function operated(along: readonly number[], other: readonly number[]): readonly number[] {
  const tree = (values: readonly number[]) => ({
    a: floats([2], values.slice(0, 2)),
    b: floats([1, 2], values.slice(2)),
  });
  const found = evaluate({ along: tree(along), other: tree(other) }, (input) =>
    projected(input.along, input.other),
  );
  return [...list(found.a), ...list(found.b)];
}

describe("of two gradients", () => {
  it("the result never works against the first, and is their sum where they agree", () => {
    fc.assert(
      fc.property(numbers(4), numbers(4), (along, other) => {
        const found = operated(along, other);
        const [inner, length] = [dot(other, along), dot(along, along)];
        expect(dot(found, along)).toBeGreaterThanOrEqual(length - 1e-12 * (1 + dot(other, other)));
        const sum = along.map((x, i) => x + (other[i] as number));
        if (inner >= 0) expect(distance(found, sum)).toBeLessThan(1e-12);
        // Only along the first is anything left out.
        else if (length > 1e-6)
          expect(
            distance(
              found,
              sum.map((x, i) => x - (inner / length) * (along[i] as number)),
            ),
          ).toBeLessThan(1e-9);
      }),
      { numRuns: 100 },
    );
  });

  it("without a first there is nothing to work against", () => {
    expect(operated([0, 0, 0, 0], [1, -2, 3, 0])).toEqual([1, -2, 3, 0]);
  });
});

const config: DitConfig = { vocab: 5, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const map = flowMap({ name: "mine", flow: flow({ name: "plain" }), objective: semigroup(), teacher: false });
const TIMES = [[0.3, 0.3, 0.3], [0.8, 0.8, 0.8], [0.1, 0.4, 0.7], [0, 0.2, 0.9]] as const; // prettier-ignore
const DIAGONAL = 2;
const options = { network: config, batch: 4, space: "vocabulary", beta1: 0.9, beta2: 0.99, weightDecay: 0, clip: 1, emaDecay: 0.99 } as const; // prettier-ignore

/** Gradients of a flow map's two kinds of rows, of its loss, and what is made of the two. */
function gradients(seed: number) {
  const draw = normals(seed);
  const column = (i: 0 | 1 | 2) =>
    floats(
      [4],
      TIMES.map((row) => row[i]),
    );
  const inputs = {
    params: randomParams(studentConfig, seed),
    tokens: ints([4, 2], [0, 1, 2, 3, 4, 0, 1, 2]),
    noise: floats([4, 2, 5], Array.from({ length: 40 }, draw)),
    s: column(0),
    u: column(1),
    t: column(2),
  };
  const found = evaluate(inputs, (input) => {
    const params = input.params as unknown as DitParams; // the tree that the network takes
    const time = (t: Tensor) => ({ t, tau: t, rate: t });
    const given = (weights: DitParams) =>
      [
        map,
        { network: dit(studentConfig), params: weights, space: vocabularySpace },
        { tokens: input.tokens, noise: input.noise, s: time(input.s), u: time(input.u), t: time(input.t) },
        { diagonal: DIAGONAL },
      ] as const;
    const parts = gradientsOfParts((weights: DitParams) => {
      const { diagonal, jumps } = declaredMapParts(...given(weights));
      return [diagonal, jumps];
    }, params);
    const [along, other] = parts.gradients;
    return {
      along: treeLeaves(along),
      other: treeLeaves(other),
      alone: treeLeaves(grad((w: DitParams) => declaredMapParts(...given(w)).diagonal)(params)),
      whole: treeLeaves(grad((w: DitParams) => declaredMapLoss(...given(w)))(params)),
      operated: treeLeaves(projected(along, other)),
    };
  });
  const flat = (leaves: unknown): readonly number[] =>
    (leaves as readonly ExactTensor[]).flatMap((leaf) => list(leaf));
  return {
    along: flat(found.along),
    other: flat(found.other),
    alone: flat(found.alone),
    whole: flat(found.whole),
    operated: flat(found.operated),
  };
}

describe("of a flow map", () => {
  // One seed of each kind, so that both are looked at.
  it.each([
    [1, "agree"],
    [2, "disagree"],
  ] as const)("of a network whose rows (%i) %s", (seed, kind) => {
    const { along, other, alone, whole, operated: found } = gradients(seed);
    expect(distance(along, alone)).toBeLessThan(1e-12);
    expect(
      distance(
        whole,
        along.map((x, i) => x + (other[i] as number)),
      ),
    ).toBeLessThan(1e-12);
    const inner = dot(other, along);
    expect(Math.sign(inner)).toBe(kind === "agree" ? 1 : -1);
    if (kind === "agree") expect(distance(found, whole)).toBeLessThan(1e-12);
    else {
      expect(distance(found, whole)).toBeGreaterThan(1e-4);
      expect(dot(found, along)).toBeCloseTo(dot(along, along), 9);
    }
  });

  it("keeps the whole gradient of the diagonal rows in a step, and not that of the others", () => {
    const inputs = {
      params: randomParams(studentConfig, 2),
      tokens: ints([4, 2], [0, 1, 2, 3, 4, 0, 1, 2]),
      times: floats(
        [3, 4],
        [0, 1, 2].flatMap((i) => TIMES.map((row) => row[i] as number)),
      ),
      key: words([2], [1, 2]),
    };
    const declared = { ...map, surgery: true };
    const step = flowMapStep(declared, options, outputSpec(initFlowMap(declared, options)));
    const found = evaluate(inputs, (input) => {
      const params = input.params as unknown as DitParams; // the tree that the network takes
      const key = input.key as Tensor<[2], "u32">;
      const time = (i: number) => {
        const t = squeeze(slice(input.times, 0, i, i + 1), 0) as Tensor;
        return { t, tau: t, rate: t };
      };
      const rows = { tokens: input.tokens, s: time(0), u: time(1), t: time(2) };
      const noise = declared.flow.source.sample(random.split(key, 3)[0], [4, 2, 5]);
      const { gradients: both } = gradientsOfParts((weights: DitParams) => {
        const given = { network: dit(studentConfig), params: weights, space: vocabularySpace };
        const parts = declaredMapParts(declared, given, { ...rows, noise }, { diagonal: DIAGONAL });
        return [parts.diagonal, parts.jumps];
      }, params);
      const state = freshState(params, weightsLayout(studentConfig), options);
      return {
        step: step({ ...rows, state, key, learningRate: scalar(0) } as never).gradientNorm,
        wanted: optim.globalNorm(projected(both[0], both[1])),
        reversed: optim.globalNorm(projected(both[1], both[0])),
      };
    });
    const [norm, wanted, reversed] = [found.step, found.wanted, found.reversed].map(
      (x) => list(x)[0] as number,
    );
    expect(Math.abs((reversed as number) - (wanted as number))).toBeGreaterThan(1e-3);
    expect(norm).toBeCloseTo(wanted as number, 9);
  });

  it("has a learned weighting keep its whole gradient, which has no part in whether the rows agree", () => {
    const weighting = learned({ hidden: 4, features: 4 });
    const declared = { ...map, weighting, surgery: true };
    const step = flowMapStep(declared, options, outputSpec(initFlowMap(declared, options)));
    const inputs = {
      params: randomParams(studentConfig, 2),
      tokens: ints([4, 2], [0, 1, 2, 3, 4, 0, 1, 2]),
      times: floats(
        [3, 4],
        [0, 1, 2].flatMap((i) => TIMES.map((row) => row[i] as number)),
      ),
      key: words([2], [1, 2]),
    };
    const found = evaluate(inputs, (input) => {
      const key = input.key as Tensor<[2], "u32">;
      const network = input.params as unknown as DitParams; // the tree that the network takes
      // Away from its start, where the weight is 1 whatever the network says.
      const drawn = mapTree(
        (x) => add(x, mul(random.normal(key, x.shape) as Tensor, 0.5)) as Tensor,
        weighting.init(key, 2),
      );
      const time = (i: number) => {
        const t = squeeze(slice(input.times, 0, i, i + 1), 0) as Tensor;
        return { t, tau: t, rate: t };
      };
      const rows = { tokens: input.tokens, s: time(0), u: time(1), t: time(2) };
      const noise = declared.flow.source.sample(random.split(key, 3)[0], [4, 2, 5]);
      const { gradients: both } = gradientsOfParts(
        ({ weighting: weights, ...params }: DitParams & { readonly weighting: typeof drawn }) => {
          const given = { network: dit(studentConfig), params, space: vocabularySpace };
          const parts = declaredMapParts(declared, given, { ...rows, noise }, { diagonal: DIAGONAL, weighting: weights }); // prettier-ignore
          return [parts.diagonal, parts.jumps];
        },
        { ...network, weighting: drawn },
      );
      const [{ weighting: a, ...along }, { weighting: b, ...other }] = both;
      const state = freshState({ ...network, weighting: drawn }, weightsLayout(studentConfig, learnedOf(declared)), options); // prettier-ignore
      const sum = mapTree((x, y) => add(x, y as Tensor) as Tensor, a, b);
      return {
        step: step({ ...rows, state, key, learningRate: scalar(0) } as never).gradientNorm,
        wanted: optim.globalNorm({ network: projected(along, other), weighting: sum }),
        together: optim.globalNorm(projected(both[0], both[1])),
      };
    });
    const [norm, wanted, together] = [found.step, found.wanted, found.together].map(
      (x) => list(x)[0] as number,
    );
    expect(Math.abs((together as number) - (wanted as number))).toBeGreaterThan(1e-4);
    expect(norm).toBeCloseTo(wanted as number, 9);
  });

  it("the step computes the network forwards as often as without", () => {
    const counts = [false, true].map((surgery) => {
      const declared = { ...map, surgery };
      const state = outputSpec(initFlowMap(declared, options));
      const { program } = trace(flowMapStep(declared, options, state));
      const { equations } = optimize(program);
      const of = (op: string): number => equations.filter((equation) => equation.op === op).length;
      return { forward: of("tanh"), attention: of("attention"), dots: of("dot") };
    });
    const [plain, operated] = counts as [(typeof counts)[0], (typeof counts)[0]];
    expect(operated.forward).toBe(plain.forward);
    expect(operated.attention).toBe(plain.attention);
    // What is done again is the way back, less than half of the products.
    expect(operated.dots).toBeGreaterThan(plain.dots);
    expect(operated.dots).toBeLessThan(1.5 * plain.dots);
  });
});
