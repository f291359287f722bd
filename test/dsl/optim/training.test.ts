// Schedules, averages, clipping, loss scaling: against the official golden numbers where there are some,
// PyTorch's clipping (torch.nn.utils.clip_grad_norm_, version 2.15) and closed forms.

import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { mapTreeWithPath, mul, neg, optim, treeLeaves } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { compiled, distance, evaluate, floats, ints, list, scalarOf } from "../../support/evaluate.ts";
import { at, goldenCase, numbers, scalar, tensor } from "../../golden/golden.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Values of a schedule at the given steps; the step is data. */
function factors(schedule: optim.Schedule, steps: readonly number[]): number[] {
  const run = compiled({ step: ints([], [0]) }, (x) => schedule(x.step as Tensor<[], "i32">));
  return steps.map((step) => run({ step: ints([], [step]) }).data[0] as number);
}

describe("schedules", () => {
  const golden = goldenCase("common", "h_warmup");

  it("warm up like the official run", () => {
    const rate = scalar(golden.inputs, "lr");
    const rates = (steps: number): number[] =>
      factors(optim.warmup(steps), range(6)).map((factor) => factor * rate);
    expect(distance(rates(3), numbers(golden.outputs, "warmup3"))).toBeLessThan(1e-18);
    expect(distance(rates(2500), numbers(golden.outputs, "warmup2500"))).toBeLessThan(1e-18);
    expect(factors(optim.warmup(0), [0, 1])).toEqual([1, 1]);
  });

  it("halve like the official schedule", () => {
    const expected = at(golden.outputs, "halving_factor_500_10000");
    const steps = Object.keys(expected).map(Number);
    const schedule = optim.product(optim.warmup(500), optim.after(500, optim.halving(10_000)));
    expect(steps.length).toBeGreaterThan(5);
    expect(
      distance(
        factors(schedule, steps),
        steps.map((step) => scalar(expected, step)),
      ),
    ).toBeLessThan(1e-12);
  });

  it("follow a cosine, a line, a constant", () => {
    expect(
      distance(factors(optim.cosine({ steps: 100, final: 0.1 }), [0, 25, 50, 100, 200]), [
        1,
        0.1 + 0.45 * (1 + Math.SQRT1_2),
        0.55,
        0.1,
        0.1,
      ]),
    ).toBeLessThan(1e-15);
    expect(distance(factors(optim.linearDecay({ steps: 4 }), [0, 1, 4, 9]), [1, 0.75, 0, 0])).toBeLessThan(
      1e-15,
    );
    expect(factors(optim.constant(0.3), [0, 7])).toEqual([0.3, 0.3]);
    expect(() => optim.cosine({ steps: 0 })).toThrow(/steps must be positive, got 0/);
  });
});

describe("ema", () => {
  it("averages like the official run", () => {
    const golden = goldenCase("common", "h_ema");
    const hosted = (value: Parameters<typeof tensor>[0], ...path: (string | number)[]): ExactTensor[] =>
      [0, 1].map((i) => {
        const { shape, data } = tensor(value, ...path, i);
        return floats(shape, data);
      });
    let shadow = hosted(golden.inputs, "initial");
    const decay = scalar(golden.inputs, "decay");
    const update = compiled({ shadow, params: shadow, n: ints([], [0]) }, (x) =>
      optim.ema(x.shadow, x.params, x.n as Tensor<[], "i32">, { decay }),
    );
    for (const k of range(5)) {
      shadow = [...update({ shadow, params: hosted(golden.inputs, "values", k), n: ints([], [k + 1]) })];
      const expected = hosted(golden.outputs, "shadow", k);
      shadow.forEach((x, i) =>
        expect(distance(x.data, (expected[i] as ExactTensor).data)).toBeLessThan(1e-15),
      );
    }
  });

  it("reaches its decay, at once without warm-up", () => {
    const [shadow, params] = [{ x: scalarOf(1) }, { x: scalarOf(0) }];
    const after = (n: number, options: optim.EmaOptions): number =>
      evaluate({ shadow, params, n: ints([], [n]) }, (t) =>
        optim.ema(t.shadow, t.params, t.n as Tensor<[], "i32">, options),
      ).x.data[0] as number;
    expect(after(1, { decay: 0.99, warmup: false })).toBeCloseTo(0.99, 14);
    expect(after(1, { decay: 0.99 })).toBeCloseTo(2 / 11, 14);
    expect(after(10_000, { decay: 0.99 })).toBeCloseTo(0.99, 14);
    expect(() => after(1, { decay: 1.5 })).toThrow(/decay must be in \[0, 1\], got 1.5/);
  });
});

describe("gradient clipping", () => {
  const tree = {
    weight: floats(
      [2, 3],
      range(6).map((n) => 1.5 * Math.sin(3 * Math.floor(n / 3) + (n % 3))),
    ),
    bias: floats([2], [0.75, 0.75 * Math.cos(1)]),
  };

  it("is PyTorch's", () => {
    const { tree: clipped, norm } = evaluate(tree, (x) => optim.clipByGlobalNorm(x, 1));
    expect(norm.data[0]).toBeCloseTo(2.7536656301323603, 13);
    expect(
      distance(
        clipped.weight.data,
        [
          0, 0.4583730156003576, 0.495319994553212, 0.07687205479903207, -0.4122516976237339,
          -0.5223531404473492,
        ],
      ),
    ).toBeLessThan(1e-14);
    expect(distance(clipped.bias.data, [0.2723641241801117, 0.14715896433027073])).toBeLessThan(1e-14);
  });

  it("leaves small gradients alone, and zero ones finite", () => {
    expect(list(evaluate(tree, (x) => optim.clipByGlobalNorm(x, 3)).tree.weight)).toEqual(list(tree.weight));
    const zero = evaluate({ x: floats([2], [0, 0]) }, (t) => optim.clipByGlobalNorm(t, 1));
    expect([list(zero.tree.x), list(zero.norm)]).toEqual([[0, 0], [0]]);
    expect(() => evaluate(tree, (x) => optim.clipByGlobalNorm(x, 0).norm)).toThrow(/must be positive, got 0/);
  });
});

describe("dynamic loss scale", () => {
  const initial = evaluate({}, () => optim.initLossScale(1024));
  const finiteOf = (values: readonly number[]): number =>
    evaluate({ a: floats([values.length], values), b: scalarOf(1) }, (x) => optim.allFinite(x))
      .data[0] as number;

  it("tells finite from infinite and NaN", () => {
    expect(finiteOf([0, -1, 3e38])).toBe(1);
    for (const bad of [Infinity, -Infinity, NaN]) expect(finiteOf([0, bad, 1])).toBe(0);
  });

  it("scales the loss and unscales gradients", () => {
    const { loss, out } = evaluate({ initial, g: { x: floats([2], [512, -2048]) } }, (t) => {
      const state = t.initial as optim.LossScale;
      return { loss: optim.scaleLoss(state, mul(state.scale, 0.5)), out: optim.unscale(state, t.g) };
    });
    expect([list(loss), list(out.grads.x), list(out.finite)]).toEqual([[1024 * 512], [0.5, -2], [1]]);
  });

  it("backs off at once and grows after an interval of finite steps", () => {
    const update = compiled({ state: initial, finite: { ok: scalarOf(1) } }, (t) =>
      optim.updateLossScale(t.state as optim.LossScale, optim.allFinite(t.finite), { interval: 3 }),
    );
    const seen: number[][] = [];
    let state = initial;
    for (const value of [1, 1, Infinity, 1, 1, 1, 1]) {
      state = update({ state, finite: { ok: scalarOf(value) } });
      seen.push([...list(state.scale), ...list(state.goodSteps)]);
    }
    expect(seen).toEqual([
      [1024, 1],
      [1024, 2],
      [512, 0],
      [512, 1],
      [512, 2],
      [1024, 0],
      [1024, 1],
    ]);
  });

  it("skips the update as a whole", () => {
    const tree = (v: number) => ({ a: floats([2], [v, v]), step: ints([], [v]) });
    const chosen = (value: number) =>
      evaluate({ yes: tree(1), no: tree(2), g: { x: scalarOf(value) } }, (t) =>
        optim.selectTree(optim.allFinite(t.g), t.yes, t.no),
      );
    expect([list(chosen(0).a), list(chosen(0).step)]).toEqual([[1, 1], [1]]);
    expect([list(chosen(NaN).a), list(chosen(NaN).step)]).toEqual([[2, 2], [2]]);
  });
});

describe("trees", () => {
  it("map by place, with paths, and list their leaves", () => {
    const tree = { b: [scalarOf(1), scalarOf(2)], a: { w: scalarOf(3) } };
    const paths: string[] = [];
    const out = evaluate(tree, (x) => {
      expect(treeLeaves(x).length).toBe(3);
      return mapTreeWithPath((path, leaf) => {
        paths.push(path);
        return neg(leaf);
      }, x);
    });
    expect(paths).toEqual(["a.w", "b.0", "b.1"]);
    expect([list(out.a.w), ...(out.b as ExactTensor[]).map(list)]).toEqual([[-3], [-1], [-2]]);
    expect(() => evaluate(tree, (x) => mapTreeWithPath((_p, a) => a, x as object, { b: x.b }))).toThrow(
      /structures differ/,
    );
  });
});
