// Optimizers against other implementations in double precision. The numbers are those of PyTorch 2.15
// (torch.optim.SGD, Adam, AdamW, Muon; Muon's iteration in float64 in place of its bfloat16) and, for Lion,
// Optax 0.2.8, after four updates with the parameters, gradients and rates below.

import { describe, expect, expectTypeOf, it } from "vitest";
import { constant, grad, optim, scalar, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { compiled, distance, evaluate, floats, ints, list, scalarOf } from "../../support/evaluate.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const WEIGHT = [0.5, -1.25, 0.75, 2, 0.125, -0.375];
const BIAS = [0.25, -0.5];
const RATES = [0.01, 0.02, 0.02, 0.005];

interface Layer {
  readonly weight: ExactTensor;
  readonly bias: ExactTensor;
}

const start: Layer = { weight: floats([2, 3], WEIGHT), bias: floats([2], BIAS) };
const gradient = (k: number): Layer => ({
  weight: floats(
    [2, 3],
    range(6).map((n) => 0.5 * Math.sin(3 * Math.floor(n / 3) + (n % 3) + 5 * k)),
  ),
  bias: floats(
    [2],
    range(2).map((i) => 0.25 * Math.cos(i + 2 * k)),
  ),
});

/** Parameters and state after `steps` updates, by one program that runs once per update. */
function trained(optimizer: optim.Optimizer, params: Layer = start, steps = 4) {
  type State = optim.OptimizerState<{ readonly weight: Tensor; readonly bias: Tensor }>;
  let state = evaluate(params, (p) => optimizer.init(p));
  let current = params;
  const update = compiled({ grads: gradient(0), state, params, learningRate: scalarOf(0) }, (x) =>
    optimizer.update(x.grads, x.state as unknown as State, x.params, {
      learningRate: x.learningRate as Tensor<[], "f32">,
    }),
  );
  for (const k of range(steps)) {
    const next = update({
      grads: gradient(k),
      state,
      params: current,
      learningRate: scalarOf(RATES[k] as number),
    });
    [current, state] = [next.params, next.state];
  }
  return { params: current, state };
}

const EXPECTED: readonly (readonly [
  name: string,
  optimizer: optim.Optimizer,
  weight: readonly number[],
  bias: readonly number[],
])[] = [
  [
    "SGD",
    optim.sgd(),
    [
      0.5134037342551323, -1.2406935395848806, 0.746652869788387, 1.9870766152421295, 0.114382061043016,
      -0.3735504090461808,
    ],
    [0.25164873942874083, -0.4987614820269134],
  ],
  [
    "SGD with momentum 0.9 and weight decay 0.1",
    optim.sgd({ momentum: 0.9, weightDecay: 0.1 }),
    [
      0.5192053896421442, -1.236346379744418, 0.7145518326848267, 1.9487614373819067, 0.12040914333304395,
      -0.346479908045729,
    ],
    [0.24226169576963924, -0.49277418268923834],
  ],
  [
    "SGD with Nesterov momentum 0.8",
    optim.sgd({ momentum: 0.8, nesterov: true }),
    [
      0.5323616938660741, -1.2400578879295663, 0.7283817982876355, 1.9666971594617402, 0.11063099864280296,
      -0.3572243685943721,
    ],
    [0.24881664972076536, -0.497584802272274],
  ],
  [
    "Adam with weight decay 0.1",
    optim.adam({ weightDecay: 0.1 }),
    [
      0.5188046724907399, -1.2461702727642587, 0.7089017220429393, 1.9492604076233433, 0.1289488601993126,
      -0.3383130625136127,
    ],
    [0.2289590666137271, -0.49182855879662796],
  ],
  [
    "AdamW with weight decay 0.1",
    optim.adamW({ weightDecay: 0.1 }),
    [
      0.529803853257691, -1.2539477221174753, 0.7087274646786651, 1.9445193027256236, 0.12980991347125068,
      -0.3385455347974441,
    ],
    [0.23284332150832215, -0.49997616516968973],
  ],
  [
    "AdamW with betas 0.8 and 0.95 and a large eps",
    optim.adamW({ beta1: 0.8, beta2: 0.95, eps: 1e-2 }),
    [
      0.5323711061402897, -1.257510798976141, 0.7158872586558137, 1.9573919509460083, 0.12737558134994323,
      -0.3437773085026743,
    ],
    [0.23737930569271223, -0.5015215379838891],
  ],
  [
    "Lion with weight decay 0.1",
    optim.lion({ weightDecay: 0.1 }),
    [0.532195266001, -1.2081531549825, 0.7409677890215, 1.944125904024, 0.08932885148025, -0.36802635452075],
    [0.2736125830205, -0.512250285981],
  ],
];

describe("optimizers", () => {
  it.each(EXPECTED)("%s", (_name, optimizer, weight, bias) => {
    const { params, state } = trained(optimizer);
    expect(distance(params.weight.data, weight)).toBeLessThan(1e-9);
    expect(distance(params.bias.data, bias)).toBeLessThan(1e-9);
    expect(list(state.step)).toEqual([4]);
  });

  it("decay only what is selected, by path and shape", () => {
    const paths: string[] = [];
    const optimizer = optim.adamW({
      weightDecay: 0.1,
      decays: (path, shape) => {
        paths.push(path);
        return shape.length > 1;
      },
    });
    const { params } = trained(optimizer);
    expect(new Set(paths)).toEqual(new Set(["weight", "bias"]));
    expect(distance(params.weight.data, trained(optim.adamW({ weightDecay: 0.1 })).params.weight.data)).toBe(
      0,
    );
    expect(distance(params.bias.data, trained(optim.adamW()).params.bias.data)).toBe(0);
  });

  it("minimize a quadratic", () => {
    const target = [3, -2];
    const rates: readonly (readonly [optim.Optimizer, number])[] = [
      [optim.sgd({ momentum: 0.9 }), 0.02],
      [optim.adamW(), 0.1],
      [optim.lion(), 0.05],
      [optim.muon(), 0.1],
    ];
    for (const [optimizer, rate] of rates) {
      type State = optim.OptimizerState<{ readonly x: Tensor }>;
      let params: { readonly x: ExactTensor } = { x: floats([2], [0, 0]) };
      let state = evaluate(params, (p) => optimizer.init(p));
      const step = compiled({ params, state }, (s) => {
        const loss = ({ x }: { readonly x: Tensor }): Tensor => sum(square(sub(x, constant(target, [2]))));
        return optimizer.update(grad(loss)(s.params), s.state as unknown as State, s.params, {
          learningRate: scalar(rate),
        });
      });
      for (let i = 0; i < 300; i++) ({ params, state } = step({ params, state }));
      expect(distance(params.x.data, target)).toBeLessThan(0.11);
    }
  });

  it("have a state that is plain data, and types that follow the parameters", () => {
    const state = evaluate(start, (p) => optim.adamW().init(p));
    expect(state.step).toMatchObject({ dtype: "i32", shape: [] });
    expect(Object.keys(state.slots)).toEqual(["mean", "variance"]);
    expect(list((state.slots.mean as Layer).weight)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(Object.keys(evaluate(start, (p) => optim.sgd().init(p)).slots)).toEqual([]);
    type P = { readonly w: Tensor<["out", "in"], "f32"> };
    const check = (params: P, learningRate: Tensor<[], "f32">) => {
      const { init, update } = optim.adamW();
      expectTypeOf(init(params)).toEqualTypeOf<optim.OptimizerState<P>>();
      expectTypeOf(update(params, init(params), params, { learningRate }).params).toEqualTypeOf<P>();
    };
    expect(check).toBeTypeOf("function");
  });

  it("take a number for the learning rate, on trees and on packed parameters", () => {
    type P = { readonly weight: Tensor; readonly bias: Tensor };
    for (const optimizer of [optim.adamW({ weightDecay: 0.1 }), optim.sgd(), optim.lion(), optim.muon()]) {
      const { plain, number, packed } = evaluate({ params: start, grads: gradient(0) }, (x) => {
        const layout = optim.flatLayout(x.params);
        const [params, flat] = [x.params as P, optimizer.flat(layout)];
        const once = (learningRate: optim.Hyperparameters["learningRate"]) =>
          optimizer.update(x.grads as P, optimizer.init(params), params, { learningRate }).params;
        const held = layout.pack(x.params);
        const next = flat.update(layout.pack(x.grads), flat.init(held), held, { learningRate: 0.25 });
        return { plain: once(scalar(0.25)), number: once(0.25), packed: layout.unpack(next.params) };
      });
      for (const name of ["weight", "bias"] as const) {
        const expected = list(plain[name] as ExactTensor);
        expect(list(number[name] as ExactTensor)).toEqual(expected);
        expect(list(packed[name] as ExactTensor)).toEqual(expected);
        expect(expected).not.toEqual(list(start[name]));
      }
    }
    expectTypeOf<string>().not.toExtend<optim.Hyperparameters["learningRate"]>();
    expectTypeOf<Tensor<[2], "f32">>().not.toExtend<optim.Hyperparameters["learningRate"]>();
  });

  it("keep the dtype of their parameters and count in i32", () => {
    const params = evaluate({}, () => ({ w: scalar(1, "f16") }));
    const { state, updated } = evaluate({ params, rate: scalarOf(0.25) }, (x) => {
      const initial = optim.adamW().init(x.params);
      const next = optim
        .adamW()
        .update(x.params, initial, x.params, { learningRate: x.rate as Tensor<[], "f32"> });
      return { state: next.state, updated: next.params };
    });
    expect([updated.w.dtype, (state.slots.mean as { w: ExactTensor }).w.dtype]).toEqual(["f16", "f32"]);
    expect(Math.abs((updated.w.data[0] as number) - 0.75)).toBeLessThan(1e-7);
  });

  it("refuse strange numbers, other structures and states of other optimizers", () => {
    expect(() => optim.adamW({ beta2: 1 })).toThrow(/adamW: beta2 must be in \[0, 1\), got 1/);
    expect(() => optim.sgd({ weightDecay: -1 })).toThrow(/weightDecay must be >= 0/);
    const update = (grads: object, state: object) => () =>
      evaluate({ grads, state, params: start, rate: scalarOf(0) }, (x) =>
        optim.adamW().update(x.grads as never, x.state as never, x.params as never, {
          learningRate: x.rate as Tensor<[], "f32">,
        }),
      );
    const own = evaluate(start, (p) => optim.adamW().init(p));
    expect(update(start, own)).not.toThrow();
    expect(update({ weight: start.weight }, own)).toThrow(
      /gradient and the parameters: the structures differ/,
    );
    expect(update({ ...start, bias: scalarOf(1) }, own)).toThrow(/bias is \[2\], its gradient \[\]/);
    expect(
      update(
        start,
        evaluate(start, (p) => optim.lion().init(p)),
      ),
    ).toThrow(/no variance; it belongs to another optimizer/);
  });
});

describe("adam's bias correction", () => {
  /**
   * One update without eps of a parameter 1 with gradient 1, rate 1 and averages 0, as update number `count`.
   */
  const moved = (count: number): number => {
    const params = { w: floats([1], [1]) };
    const next = evaluate({ params, step: ints([], [count - 1]) }, (x) => {
      const optimizer = optim.adamW({ eps: 0 });
      const state = { ...optimizer.init(x.params), step: x.step as Tensor<[], "i32"> };
      return optimizer.update(x.params, state, x.params, { learningRate: scalar(1) }).params;
    });
    return 1 - (next.w.data[0] as number);
  };

  it("is 1 − βᵗ, early by its series and late by an exponential", () => {
    for (const count of [1, 2, 4, 5, 6, 100, 499, 500, 501, 2000]) {
      const expected = 0.1 / (1 - 0.9 ** count) / Math.sqrt(0.001 / (1 - 0.999 ** count));
      expect(Math.abs(moved(count) / expected - 1)).toBeLessThan(2e-9);
    }
  });
});

describe("muon", () => {
  it.each([
    [
      optim.muon({ weightDecay: 0.1, scale: "original" }),
      [
        0.5068863173726816, -1.2602231941161721, 0.7177895823477051, 1.9692490275723984, 0.09807098633665758,
        -0.38152759596591523,
      ],
    ],
    [
      optim.muon({ momentum: 0.9, nesterov: false }),
      [
        0.5005522244223402, -1.2592053939766092, 0.7395003843936864, 1.989799616013044, 0.11545394582762197,
        -0.37511512617559994,
      ],
    ],
  ] as const)("agrees with PyTorch's on a matrix (%#)", (optimizer, weight) => {
    const { params, state } = trained(optimizer);
    expect(distance(params.weight.data, weight)).toBeLessThan(1e-12);
    expect((state.slots.variance as Layer).weight.shape).toEqual([]);
  });

  it("agrees on a tall matrix", () => {
    const flip = (values: readonly number[]): number[] =>
      range(6).map((n) => values[(n % 2) * 3 + Math.floor(n / 2)] as number);
    const params = { w: floats([3, 2], flip(WEIGHT)) };
    const grads = { w: floats([3, 2], flip(list(gradient(1).weight))) };
    const next = evaluate({ params, grads, rate: scalarOf(0.01) }, (x) => {
      const optimizer = optim.muon({ scale: "original" });
      return optimizer.update(x.grads, optimizer.init(x.params), x.params, {
        learningRate: x.rate as Tensor<[], "f32">,
      }).params;
    });
    const flat = [
      0.5035625239596017, 1.9936985036612256, -1.2553229390133436, 0.11620977361331179, 0.7406854835945884,
      -0.37819726283288674,
    ];
    expect(distance(next.w.data, flat)).toBeLessThan(1e-12);
  });

  it("takes AdamW steps for vectors and for excluded matrices", () => {
    const adam = trained(optim.adamW({ weightDecay: 0.1 })).params;
    expect(distance(trained(optim.muon({ weightDecay: 0.1 })).params.bias.data, adam.bias.data)).toBe(0);
    const excluded = trained(optim.muon({ weightDecay: 0.1, matrices: (path) => path !== "weight" })).params;
    expect(distance(excluded.weight.data, adam.weight.data)).toBe(0);
  });

  it("orthogonalizes stacks of matrices one by one", () => {
    const x = floats([2, 3, 3], [3, 1, 0, -1, 2, 0.5, 0, 0.25, 1, 0.1, 0, 0, 0, -20, 0, 0, 0, 5]);
    const y = evaluate({ x }, (t) => optim.orthogonalize(t.x as Tensor<[2, 3, 3], "f32">));
    const alone = [0, 9].map((from) =>
      list(
        evaluate({ x: floats([3, 3], list(x).slice(from, from + 9)) }, (t) =>
          optim.orthogonalize(t.x as Tensor<[3, 3], "f32">),
        ),
      ),
    );
    expect(distance(y.data, alone.flat())).toBeLessThan(1e-14);
    // The second matrix is diagonal, and so is its result: signs stay, sizes come near 1.
    const second = list(y).slice(9);
    const diagonal = [0, 4, 8].map((i) => second[i] as number);
    expect(diagonal.map(Math.sign)).toEqual([1, -1, 1]);
    for (const value of diagonal) expect(Math.abs(Math.abs(value) - 0.95)).toBeLessThan(0.3);
    expect(Math.max(...[1, 2, 3, 5, 6, 7].map((i) => Math.abs(second[i] as number)))).toBe(0);
  });
});
