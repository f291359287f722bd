/**
 * Weightings: what each weight is, by its formula; that none passes a gradient on; and what is refused where it is declared.
 */
import { describe, expect, it } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  constant,
  div,
  exp,
  grad,
  mean,
  mul,
  onesLike,
  sqrt,
  square,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { bregman, negativeEntropy, squaredNorm } from "../../../src/models/flow/bregman.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { FlowDeclaration } from "../../../src/models/flow/flow.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import type { FlowMapDeclaration } from "../../../src/models/flow/flow-map.ts";
import {
  interpolant,
  linear,
  perState,
  pointAt,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../src/models/flow/interpolant.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { conditional } from "../../../src/models/flow/quantities.ts";
import type { Quantity } from "../../../src/models/flow/quantities.ts";
import { dirichlet } from "../../../src/models/flow/source-dirichlet.ts";
import { gaussian } from "../../../src/models/flow/source.ts";
import { jumpLength, learned, none, residual, snr } from "../../../src/models/flow/weightings.ts";
import { exponentOf, weighed, weightOfTime } from "../../../src/models/flow/weighting.ts";
import type { Moment, TimeWeighting, Weighting } from "../../../src/models/flow/weighting.ts";
import { velocityWeight } from "../../../src/models/language/declared-network.ts";
import { distance, evaluate, floats, list, words } from "../../support/evaluate.ts";

const TIMES = [0, 0.1, 0.4, 0.75, 0.95, 1];
const column = (values: readonly number[]): ExactTensor => floats([values.length], values);

const momentOf = (of: Interpolant, t: Tensor): Moment => ({ t, point: pointAt(of, t) });

/** A weight by time at TIMES. */
const weights = (by: TimeWeighting, of: Interpolant, predicts: "clean token" | Quantity, variance = 1) =>
  list(evaluate({ t: column(TIMES) }, ({ t }) => by.weight({ at: momentOf(of, t), predicts, variance })));

/** √t, whose rate is infinite at 0. */
const rootOf = (t: Tensor): Tensor => sqrt(t);

const ratio = (t: number, variance: number): number => t ** 2 / ((1 - t) ** 2 * variance);

describe("signal-to-noise", () => {
  it("of the clean point is min(SNR, cap), finite up to the data", () => {
    for (const variance of [1, 0.25]) {
      const wanted = TIMES.map((t) => Math.min(ratio(t, variance), 5));
      expect(distance(weights(snr({ cap: 5 }), linear, "clean point", variance), wanted)).toBeLessThan(1e-12);
      expect(distance(weights(snr({ cap: 5 }), linear, "clean token", variance), wanted)).toBeLessThan(1e-12);
    }
  });

  it.each(["noise", "velocity", "score"] as const)(
    "of the %s says the same of the error as of the clean point",
    (quantity) => {
      const scale = 0.6;
      for (const of of [linear, trigonometric]) {
        // How far the quantity moves with the clean point of a given state.
        const rate = list(
          evaluate({ t: column(TIMES) }, ({ t }) => {
            const point = pointAt(of, t);
            const one = (x: number): Tensor =>
              constant(Array<number>(TIMES.length).fill(x), [TIMES.length, 1, 1]);
            const noise = sub(0, div(point.beta, point.alpha)) as Tensor;
            const at = (k: number): Tensor =>
              conditional(quantity, { noise: mul(one(k), perState(noise)), clean: one(k) }, point, scale);
            return sub(at(1), at(0));
          }),
        );
        const clean = weights(snr({ cap: 5 }), of, "clean point", scale ** 2);
        const found = weights(snr({ cap: 5 }), of, quantity, scale ** 2);
        expect(found.every(Number.isFinite)).toBe(true);
        TIMES.forEach((t, i) => {
          if (t === 0 || t === 1) return;
          expect((found[i] as number) * (rate[i] as number) ** 2).toBeCloseTo(clean[i] as number, 9);
        });
      }
    },
  );

  it("of the velocity of a jump says the same of the error as of the clean point", () => {
    const inputs = { s: column([0, 0.3, 0.3, 0.6]), t: column([1, 0.9, 0.3, 0.7]) };
    for (const of of [linear, trigonometric]) {
      const declared = flow({ name: "", interpolant: of, predicts: "velocity" });
      const { found, clean } = evaluate(inputs, ({ s, t }) => {
        const [at, target] = [momentOf(of, s), momentOf(of, t)];
        const timeOf = (time: Tensor) => ({ t: time, tau: time, rate: time });
        const by = (predicts: "velocity" | "clean point"): Tensor =>
          snr({ cap: 0.5 }).weight({ at, target, predicts, variance: 1 });
        return {
          found: mul(by("velocity"), velocityWeight(declared, timeOf(s), timeOf(t))),
          clean: by("clean point"),
        };
      });
      expect(distance(found.data, clean.data)).toBeLessThan(1e-12);
    }
  });

  it("is finite where the rates of the interpolant are not", () => {
    const root = interpolant({ name: "root", alpha: (t) => sub(1, t), beta: rootOf });
    for (const of of [variancePreservingLinear, root])
      for (const predicts of ["clean token", "noise", "velocity", "score"] as const)
        expect(weights(snr({ cap: 5 }), of, predicts).every(Number.isFinite)).toBe(true);
  });
});

describe("the length of a jump", () => {
  it("is Ξ², and 1 where nothing moves", () => {
    const found = evaluate({ s: column([0, 0.2, 0.5, 1]), t: column([1, 0.6, 0.5, 1]) }, ({ s, t }) =>
      jumpLength.weight({
        at: momentOf(linear, s),
        target: momentOf(linear, t),
        predicts: "clean token",
        variance: 1,
      }),
    );
    expect(distance(found.data, [1, 0.25, 1, 1])).toBeLessThan(1e-12);
  });

  it("of a velocity makes its error that of the map, too", () => {
    const inputs = { s: column([0, 0.3, 0.6]), t: column([1, 0.9, 0.7]) };
    for (const of of [linear, trigonometric]) {
      const declared = flow({ name: "", interpolant: of, predicts: "velocity" });
      const { found, wanted } = evaluate(inputs, ({ s, t }) => {
        const [at, target] = [momentOf(of, s), momentOf(of, t)];
        const timeOf = (time: Tensor) => ({ t: time, tau: time, rate: time });
        const by = (predicts: "velocity" | "clean point"): Tensor =>
          jumpLength.weight({ at, target, predicts, variance: 1 });
        return {
          found: mul(by("velocity"), velocityWeight(declared, timeOf(s), timeOf(t))),
          wanted: by("clean point"),
        };
      });
      expect(distance(found.data, wanted.data)).toBeLessThan(1e-12);
    }
  });
});

/** What `weighed` makes of losses ‖v − w‖² at s and t, and its gradient in v; and the plain one. */
function applied(
  weighting: Weighting,
  { draws = false, exponent }: { readonly draws?: boolean; readonly exponent?: number } = {},
) {
  const inputs = {
    value: floats([3, 1, 2], [0.3, 0.5, 0.1, 0, 2, -1]),
    wanted: floats([3, 1, 2], [0.3, 0.5, 1, 0, 0.5, 1]),
    s: column([0.2, 0.4, 0.5]),
    t: column([0.7, 0.4, 0.9]),
  };
  return evaluate(inputs, ({ value, wanted, s, t }) => {
    const plain = (v: Tensor): Tensor => sum(square(sub(v, wanted) as Tensor), 2);
    const per = (v: Tensor): Tensor =>
      weighed(weighting, {
        perToken: plain(v),
        value: v,
        wanted,
        at: momentOf(linear, s),
        target: momentOf(linear, t),
        predicts: "clean token",
        variance: 1,
        draws,
        exponent: exponent === undefined ? undefined : mul(onesLike(s), exponent),
      });
    return {
      found: per(value),
      slope: grad((v: Tensor) => sum(per(v)) as Tensor)(value),
      toTarget: grad((w: Tensor) => sum(plain(w)) as Tensor)(value),
    };
  });
}

/** Squared distances of the three rows above. */
const [APART, STILL, FAR] = [0, 0.81, 2.25 + 4];

describe("the residual", () => {
  it("weights by (‖v − w‖² + c)^{−r} without its gradient, with another c where s = t", () => {
    const by = residual({ power: 0.5, floor: 1e-6, diagonal: 0.01 });
    const { found, slope, toTarget } = applied(by);
    const weight = [1e3, 1 / Math.sqrt(STILL + 0.01), 1 / Math.sqrt(FAR + 1e-6)];
    expect(
      distance(
        found.data,
        [APART, STILL, FAR].map((d, i) => d * (weight[i] as number)),
      ),
    ).toBeLessThan(1e-9);
    const wanted = list(toTarget).map((x, i) => x * (weight[Math.floor(i / 2)] as number));
    expect(distance(slope.data, wanted)).toBeLessThan(1e-9);
  });

  it("leaves rows with s = t alone where they learn from draws", () => {
    const { found } = applied(residual(), { draws: true });
    expect(found.data[1]).toBeCloseTo(STILL, 12);
    expect(found.data[2]).toBeCloseTo(FAR / Math.sqrt(FAR + 1e-6), 12);
  });
});

describe("learned", () => {
  it("is e^{−w} L + w", () => {
    const { found, slope, toTarget } = applied(learned(), { exponent: 0.7 });
    expect(
      distance(
        found.data,
        [APART, STILL, FAR].map((d) => Math.exp(-0.7) * d + 0.7),
      ),
    ).toBeLessThan(1e-12);
    expect(
      distance(
        slope.data,
        list(toTarget).map((x) => Math.exp(-0.7) * x),
      ),
    ).toBeLessThan(1e-12);
  });

  it.each([1, 2] as const)("begins as the plain loss, and learns from there, with %d times", (times) => {
    const by = learned({ hidden: 8, features: 6 });
    const { w, slopes, shapes } = evaluate(
      { key: words([2], [3, 4]), tau: column([0.1, 0.9]) },
      ({ key, tau }) => {
        const taus = times === 1 ? ([tau] as const) : ([tau, mul(tau, 0.5) as Tensor] as const);
        const params = by.init(key as Tensor<[2], "u32">, times);
        return {
          w: by.exponent(params, taus),
          slopes: grad((p: typeof params) => sum(exp(by.exponent(p, taus))) as Tensor)(params).out.weight,
          shapes: params.hidden.weight,
        };
      },
    );
    expect(list(w)).toEqual([0, 0]);
    expect(list(slopes).some((x) => x !== 0)).toBe(true);
    expect(shapes.shape).toEqual([8, 6 * times]);
  });

  it("of a flow map may depend on the state's time alone", () => {
    const by = learned({ hidden: 8, features: 6, target: false });
    const inputs = { key: words([2], [3, 4]), tau: column([0.1, 0.9]) };
    const { two, one } = evaluate(inputs, ({ key, tau }) => {
      const params = by.init(key as Tensor<[2], "u32">, 2);
      const heard = { ...params, out: { ...params.out, weight: constant(Array<number>(8).fill(1), [1, 8]) } };
      return { two: by.exponent(heard, [tau, mul(tau, 0.5) as Tensor]), one: by.exponent(heard, [tau]) };
    });
    expect(list(two)).toEqual(list(one));
    expect(list(one)[0]).not.toBe(list(one)[1]);
  });

  it("without its parameters says so", () => {
    const lacking = () =>
      evaluate({ tau: column([0.5]) }, ({ tau }) => exponentOf(learned(), undefined, [tau]) ?? tau);
    expect(lacking).toThrow(
      'The weighting "learned" has parameters of its own, which are part of a training\'s state: give them to the loss.',
    );
  });
});

describe("flow maps", () => {
  const weightedFlow = flow({ name: "weighted", weighting: snr({ cap: 5 }) });
  it("are weighted as their flow, unless they say otherwise", () => {
    const map = (weighting?: Weighting) =>
      flowMap({
        name: "",
        flow: weightedFlow,
        objective: semigroup(),
        ...(weighting === undefined ? {} : { weighting }),
      });
    expect(map().weighting).toBe(weightedFlow.weighting);
    expect(map(none).weighting).toBe(none);
    expect(flowMap({ name: "", flow: flow({ name: "" }), objective: semigroup() }).weighting).toBeUndefined();
  });
});

it("what cannot be does not compile", () => {
  const entropy = bregman({ name: "entropy", potential: negativeEntropy, domain: "simplex" });
  const flows = (): readonly FlowDeclaration[] => [
    // @ts-expect-error: a flow learns from draws
    { name: "wrong", weighting: residual() },
    // @ts-expect-error: a weighting is declared by its function, not by its name
    { name: "wrong", weighting: "min-SNR" },
    // @ts-expect-error: a weight has a value at every time
    { name: "wrong", weighting: { kind: "time", name: "mine" } },
    // @ts-expect-error: a divergence of distributions does not judge points
    { name: "wrong", predicts: "velocity", loss: entropy },
    { name: "right", predicts: "velocity", loss: bregman({ name: "mine", potential: squaredNorm }) },
    { name: "right", loss: entropy, weighting: learned() },
  ];
  const maps = (): readonly Partial<FlowMapDeclaration>[] => [
    // @ts-expect-error: surgery is done or not
    { surgery: "all" },
    { surgery: true, weighting: residual() },
  ];
  // @ts-expect-error: a potential is a function of a tensor
  const potential = () => bregman({ name: "wrong", potential: 2 });
  expect([flows, maps, potential].every((each) => typeof each === "function")).toBe(true);
});

describe("refusals", () => {
  const beyond = (t: Tensor): Tensor => div(1, sub(1, t));
  it.each<readonly [FlowDeclaration, string]>([
    [
      { name: "mine", weighting: beyond },
      'The flow "mine" gives its loss a weight of Infinity at t = 1: bound it, as snr does with a cap, or minimum(w, 100).',
    ],
    [
      { name: "mine", weighting: snr() },
      'The flow "mine" gives its loss a weight of Infinity at t = 1: bound it, as snr does with a cap, or minimum(w, 100).',
    ],
    [
      // The rate of √t is infinite at t = 0.
      {
        name: "mine",
        interpolant: interpolant({ name: "root", alpha: (t) => sub(1, t), beta: rootOf }),
        weighting: (_t, { betaRate }) => betaRate,
      },
      'The flow "mine" gives its loss a weight of Infinity at t = 0: bound it, as snr does with a cap, or minimum(w, 100).',
    ],
    [
      { name: "mine", weighting: (t) => sub(0.25, t) },
      'The flow "mine" gives its loss a weight of -0.015625 at t = 0.265625, and no weight is negative.',
    ],
    [
      { name: "mine", weighting: () => 2 as never },
      "A weighting gives a tensor, with a number for every row, and this one gives a number: write it in ops",
    ],
    [
      { name: "mine", weighting: () => undefined as never },
      "A weighting gives a tensor, with a number for every row, and this one gives nothing",
    ],
    [
      // As JavaScript may declare it.
      { name: "mine", weighting: residual() as never },
      'The flow "mine" has a residual weighting, and learns from draws: their expectation is no longer what is best to predict',
    ],
  ])("of flows (%#)", (declared, message) => {
    expect(() => flow(declared)).toThrow(RangeError);
    expect(() => flow(declared)).toThrow(message);
  });

  it("of all rows at once, where it is traced", () => {
    const { weighting = none } = flow({ name: "mine", weighting: (t) => mean(t) }) as FlowDeclaration;
    const weigh = (t: Tensor): Tensor =>
      weightOfTime(weighting, { at: momentOf(linear, t), predicts: "clean token", variance: 1 }) ?? t;
    expect(() => evaluate({ t: column(TIMES) }, ({ t }) => weigh(t))).toThrow(
      "A weighting gives a number for every row, [6] as its time, and this one gives []: weigh each row by its own times.",
    );
  });

  it.each<readonly [Partial<FlowMapDeclaration>, string]>([
    [
      { weighting: (t, _point, target) => div(1, sub(target?.t ?? 1, t)) },
      'The flow map "mine" gives its loss a weight of Infinity at s = 0.25 and t = 0.25: bound it, as snr does with a cap, or minimum(w, 100).',
    ],
    [
      { weighting: residual(), teacher: false, diagonal: 1, boundary: 0 },
      'The flow map "mine" has a residual weighting, which is for targets that are no draws, and learns from clean tokens alone.',
    ],
    [
      { surgery: true, diagonal: 0 },
      'The flow map "mine" has gradient surgery and no two kinds of rows to compare: its diagonal share is 0.',
    ],
    [
      { surgery: true, diagonal: 1, boundary: 0 },
      'The flow map "mine" has gradient surgery and no two kinds of rows to compare: its diagonal share is 1.',
    ],
  ])("of flow maps (%#)", (rest, message) => {
    const declared = { name: "mine", flow: flow({ name: "plain" }), objective: semigroup(), ...rest };
    expect(() => flowMap(declared)).toThrow(RangeError);
    expect(() => flowMap(declared)).toThrow(message);
  });

  it("of options", () => {
    expect(() => snr({ cap: 0 })).toThrow(
      "The signal-to-noise ratio is capped at a positive number, not at 0.",
    );
    expect(() => residual({ power: -1 })).toThrow(
      "The power of a residual weighting is not negative, and not -1.",
    );
    expect(() => residual({ floor: 0 })).toThrow(
      "The floor of a residual weighting is positive, and not 0: ",
    );
    expect(() => residual({ diagonal: -1 })).toThrow(
      "The floor on the diagonal of a residual weighting is positive, and not -1: ",
    );
    expect(() => learned({ hidden: 1.5 })).toThrow("has a whole number of units >= 1, not 1.5.");
    expect(() => learned({ features: 7 })).toThrow("sees an even number of features >= 2 of a time, not 7.");
  });

  it("of signal-to-noise where there is no one noise", () => {
    for (const source of [dirichlet(), { ...gaussian(), variance: 0 }])
      expect(() => flow({ name: "mine", source, weighting: snr({ cap: 5 }) })).toThrow(
        "A weight by signal-to-noise needs noise of one positive variance in all coordinates, and the source of the flow has none.",
      );
  });

  it("of a Gaussian flow with little noise are none", () => {
    const source = gaussian({ scale: 0.1 });
    for (const predicts of ["clean point", "noise", "velocity", "score"] as const)
      expect(flow({ name: "", source, predicts, weighting: snr({ cap: 20 }) }).weighting).toBeDefined();
  });
});
