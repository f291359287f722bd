/** Parts that nothing reads, and missing names: refused wherever something is declared, as files are run without their types being checked. */
import { describe, expect, it } from "vitest";
import { partsOf } from "../../../src/models/flow/declared-parts.ts";
import { square, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { bregman } from "../../../src/models/flow/bregman.ts";
import * as clocks from "../../../src/models/flow/clocks.ts";
import * as flows from "../../../src/models/flow/declarations.ts";
import * as objectives from "../../../src/models/flow/objectives/index.ts";
import * as sources from "../../../src/models/flow/sources.ts";
import { greatCircle, sphericalFlow } from "../../../src/models/flow/sphere/index.ts";
import * as weightings from "../../../src/models/flow/weightings.ts";

const { flow, flowMap, linear } = flows;
const circle = flow({ name: "circle", interpolant: flows.trigonometric });
const leap = flowMap({ name: "leap", flow: circle, objective: objectives.semigroup() });

/** As JavaScript may write it. */
const given = (value: object): never => value as never;

describe("a part that is none of what it may be", () => {
  const own = objectives.semigroup();
  it.each<readonly [string, () => unknown]>([
    [
      'The flow "circle" has "squared eror" for its loss, which takes "cross-entropy", "KL", "squared error".',
      () => flow(given({ name: "circle", loss: "squared eror" })),
    ],
    [
      'The flow map "leap" has "l2" for its loss, which takes "cross-entropy", "KL", "squared error".',
      () => flowMap(given({ ...leap, loss: "l2" })),
    ],
    [
      'The flow map "leap" has "mean velocty" for its parameterization, which takes "two-time denoiser", "mean velocity", "corrected velocity", "direct map".',
      () => flowMap(given({ ...leap, parameterization: "mean velocty" })),
    ],
    [
      'The flow map "leap" has "end frist" for its times,',
      () => flowMap(given({ ...leap, times: "end frist" })),
    ],
    ['The flow map "leap" has "t" for its midpoint,', () => flowMap(given({ ...leap, midpoint: "t" }))],
    [
      'The midpoint of "leap" has no part "afer"; "after" is the nearest of its parts.',
      () => flowMap(given({ ...leap, midpoint: { afer: 1 / 64 } })),
    ],
    [
      'The flow map "leap" has its middle time undefined after s on the clock; that lies in (0, 1].',
      () => flowMap(given({ ...leap, midpoint: {} })),
    ],
    [
      'The flow map "leap" has ["to the data"] for its times,',
      () => flowMap(given({ ...leap, times: ["to the data"] })),
    ],
    [
      'The flow "circle" has a value for its weighting that is none: it is a function of t, or one of models.weightings.',
      () => flow(given({ name: "circle", weighting: "snr" })),
    ],
    [
      'The flow map "leap" has a value for its weighting that is none:',
      () => flowMap(given({ ...leap, weighting: { kind: "tme", weight: () => 1 } })),
    ],
    [
      'An embedding has "root of widht" for its norm, which takes "root of width".',
      () => flows.learnedEmbedding(given({ norm: "root of widht" })),
    ],
    [
      'The semigroup objective of "leap" has no part "usesMiddel"; "usesMiddle" is the nearest of its parts.',
      () => flowMap(given({ ...leap, objective: { ...own, usesMiddel: true } })),
    ],
    [
      'The own objective of "leap" has undefined for its formula, which is a text, by which reports call it.',
      () => flowMap(given({ ...leap, objective: { name: "own", target: own.target } })),
    ],
    [
      'The own objective of "leap" has undefined for its usesMiddle, which is true or false.',
      () => flowMap(given({ ...leap, objective: { name: "own", formula: "ψ = ψ", target: own.target } })),
    ],
    [
      'The semigroup objective of "leap" has "data" for its atData, which is true, false or "only".',
      () => flowMap(given({ ...leap, objective: { ...own, atData: "data" } })),
    ],
  ])("%s", (message, declare) => {
    expect(declare).toThrow(message);
  });
});

describe("a part that there is not", () => {
  it.each<readonly [string, () => unknown]>([
    [
      'The flow "circle" has no part "interpolent"; "interpolant" is the nearest of its parts.',
      () => flow(given({ name: "circle", interpolent: linear })),
    ],
    [
      'The flow "circle" has no part "wieghting"; "weighting" is',
      () => flow(given({ name: "circle", wieghting: () => 0 })),
    ],
    [
      'The flow "circle" has no part "colour"; its parts are name, interpolant, clock, source, states, predicts, loss, weighting.',
      () => flow(given({ name: "circle", colour: "red" })),
    ],
    [
      'The flow map "leap" has no part "boundry"; "boundary" is',
      () => flowMap(given({ ...leap, boundry: 1 / 8 })),
    ],
    ['The flow map "leap" has no part "diag"; "diagonal" is', () => flowMap(given({ ...leap, diag: 0.9 }))],
    [
      'The semigroup objective of "leap" has no part "onSimplx"; "onSimplex" is the nearest of its parts.',
      () => flowMap({ ...leap, objective: given({ ...objectives.semigroup(), onSimplx: false }) }),
    ],
    [
      'The own objective of "leap" has no part "needTeacher"; "needsTeacher" is',
      () =>
        flowMap({
          ...leap,
          objective: given({ ...objectives.lagrangian(), name: "own", needTeacher: true }),
        }),
    ],
    [
      'The mean flow objective of "leap" has no part "colour"; its parts are name, formula, usesMiddle, onSimplex, atData, needsTeacher, needsLogits, limit, target.',
      () => flowMap({ ...leap, objective: given({ ...objectives.meanFlow(), colour: "red" }) }),
    ],
    [
      'The spherical flow "ball" has no part "sates"; "states" is',
      () => sphericalFlow(given({ name: "ball", sates: "frozen" })),
    ],
    [
      'The path "way" has no part "kapa"; "kappa" is',
      () => greatCircle(given({ name: "way", kapa: linear.beta })),
    ],
    [
      'The interpolant "half" has no part "betta"; "beta" is',
      () => flows.interpolant(given({ ...linear, name: "half", betta: 1 })),
    ],
    [
      'The clock "mine" has no part "remaning"; "remaining" is',
      () => clocks.clock(given({ name: "mine", tau: linear.beta, remaning: linear.alpha })),
    ],
    [
      'An entropic clock has no part "uniforn"; "uniform" is',
      () => clocks.entropicClock(given({ times: [0, 1], entropies: [1, 0], uniforn: 1 })),
    ],
    [
      'A learned clock has no part "value"; "values" is',
      () => clocks.learnedClock(given({ times: [0, 1], value: [0, 1] })),
    ],
    [
      'An accumulated-loss clock has no part "loses"; "losses" is',
      () => clocks.accumulatedLossClock(given({ times: [0, 1], loses: [0, 1] })),
    ],
    [
      'A mixture clock has no part "wieght"; "weight" is',
      () => clocks.mixtureClock(given({ base: clocks.uniformClock(), wieght: 1 })),
    ],
    [
      'The decoding-error clock has no part "vocabulary"; "vocab" is',
      () => clocks.decodingError(given({ vocabulary: 8 })),
    ],
    ['The log-SNR clock has no part "form"; "from" is', () => clocks.logSnrClock(given({ form: 1 }))],
    ['A Gaussian source has no part "scael"; "scale" is', () => sources.gaussian(given({ scael: 2 }))],
    ['A logistic source has no part "Scale"; "scale" is', () => sources.logistic(given({ Scale: 2 }))],
    [
      'A uniform source has no part "width"; its parts are halfWidth.',
      () => sources.uniform(given({ width: 2 })),
    ],
    [
      'A Dirichlet source has no part "concentrations"',
      () => sources.dirichlet(given({ concentrations: 2 })),
    ],
    [
      'A Gaussian around a mask has no part "masks"; "mask" is',
      () => sources.maskedGaussian(given({ masks: 2 })),
    ],
    [
      'A source on a sphere has no part "radios"; "radius" is',
      () => sources.uniformOnSphere(given({ radios: 2 })),
    ],
    ['A weighting by signal-to-noise has no part "cup"; "cap" is', () => weightings.snr(given({ cup: 2 }))],
    [
      'A residual weighting has no part "floors"; "floor" is',
      () => weightings.residual(given({ floors: 2 })),
    ],
    ['A learned weighting has no part "hiden"; "hidden" is', () => weightings.learned(given({ hiden: 2 }))],
    [
      'A block-causal schedule has no part "block"; "blocks" is',
      () => flows.blockCausal(given({ block: 2 })),
    ],
    ['An any-order schedule has no part "ranks"; "rank" is', () => flows.anyOrder(given({ ranks: [0] }))],
    ['A learned embedding has no part "normal"', () => flows.learnedEmbedding(given({ normal: 1 }))],
    [
      'A frozen embedding has no part "tabel"; "table" is',
      () => flows.frozenEmbedding(given({ tabel: [[1]] })),
    ],
    [
      'The continuous-consistency objective has no part "soft"',
      () => objectives.continuousConsistency(given({ soft: 1 })),
    ],
  ])("%s", (message, declare) => {
    expect(declare).toThrow(RangeError);
    expect(declare).toThrow(message);
  });

  it.each(Object.entries(objectives))("is none of those of the objective %s", (_, objective) => {
    const taught = flowMap({
      name: "by a map",
      flow: circle,
      objective: objectives.distillation(),
      teacher: leap,
    });
    const map = { ...taught, loss: "squared error", boundary: 0, midpoint: { after: 1 / 64 } } as const;
    const { atData } = objective();
    const times = atData === "only" ? "to the data" : "length first";
    expect(() => flowMap({ ...map, objective: objective(), times })).not.toThrow();
  });

  it("may be one of a declared flow or map that another is made of", () => {
    expect(flow(given({ ...circle, name: "again" })).interpolant).toBe(circle.interpolant);
    expect(flowMap({ ...leap, name: "again", diagonal: 0.25 }).diagonal).toBe(0.25);
    const ball = sphericalFlow({ name: "ball", states: "frozen" });
    expect(sphericalFlow({ ...ball, name: "again" }).states).toBe("frozen");
    const squares = bregman({ name: "squares", potential: (x) => sum(square(x), -1) as Tensor });
    expect(bregman({ ...squares, name: "again" }).name).toBe("again");
  });

  it("is told from those of the type, of which a list names all", () => {
    interface Two {
      readonly one: number;
      readonly two?: number;
    }
    expect(partsOf<Two, "one" | "two">("It", { one: 1 }, ["one", "two"])).toEqual({ one: 1 });
    const two: Two = { one: 1, two: 2 };
    // @ts-expect-error: one is left out
    expect(() => partsOf("It", two, ["one"])).toThrow("two");
  });
});

it.each<readonly [string, () => unknown]>([
  [
    "A flow has a name, by which messages and reports call it, and this one's is missing.",
    () => flow(given({})),
  ],
  ["A flow map has a name", () => flowMap(given({ flow: circle, objective: objectives.semigroup() }))],
  [
    'The objective of "leap" has a name',
    () => flowMap({ ...leap, objective: given({ ...objectives.semigroup(), name: undefined }) }),
  ],
  ["A spherical flow has a name", () => sphericalFlow(given({}))],
  ["An interpolant has a name", () => flows.interpolant(given({ alpha: linear.alpha, beta: linear.beta }))],
  ["A clock has a name", () => clocks.clock(given({ tau: linear.beta }))],
  ["A path has a name", () => greatCircle(given({ kappa: linear.beta }))],
])("%s", (message, declare) => {
  expect(declare).toThrow(RangeError);
  expect(declare).toThrow(message);
});
