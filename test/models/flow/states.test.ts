/** States that a flow declares: spaces of embedded states, what fits to them and to sources, and what is refused with one sentence. */
import { describe, expect, it } from "vitest";
import { grad, outputSpec, square, sum, zeros } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import type { Flow, FlowDeclaration } from "../../../src/models/flow/flow.ts";
import { flowMap } from "../../../src/models/flow/flow-map.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { projectedWorld, vocabularyWorld, worldOf } from "../../../src/models/flow/samplers/world.ts";
import { dirichlet } from "../../../src/models/flow/source-dirichlet.ts";
import { maskedGaussian, maskToken, pointMass } from "../../../src/models/flow/source-masked.ts";
import { gaussian } from "../../../src/models/flow/source.ts";
import type { Source } from "../../../src/models/flow/source.ts";
import { spaceFor, tableOf } from "../../../src/models/flow/state-space.ts";
import { frozenEmbedding, learnedEmbedding } from "../../../src/models/flow/states.ts";
import type { States } from "../../../src/models/flow/states.ts";
import { sampledDenoiser } from "../../../src/models/language/declared-network.ts";
import type { Network } from "../../../src/models/networks/network.ts";
import { flowMapStep, flowStep, flowValidation } from "../../../src/models/training/declared.ts";
import { initFlm, initFmlm } from "../../../src/models/training/programs.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { samplingProgram } from "../../../src/models/training/sampling.ts";
import { weightsSpec } from "../../../src/models/training/state.ts";
import { distance, evaluate, floats, ints, list, words } from "../../support/evaluate.ts";
import { randomParams } from "../networks/random-weights.ts";

const E = [
  [3, 4],
  [0, 2],
  [-1, 0],
];
const embedding = floats([3, 2], E.flat());
const UNIT = [0.6, 0.8, 0, 1, -1, 0];
const tokens = ints([1, 2], [2, 0]);

/** Clean states of tokens 2 and 0, the state of a distribution, and the slope of their squares in the network's table. */
const seen = (states: States) =>
  evaluate(
    { embedding, tokens, p: floats([1, 1, 3], [0.5, 0.25, 0.25]) },
    ({ embedding: e, tokens: t, p }) => {
      const space = spaceFor(states);
      return {
        clean: space.clean(t, e),
        expected: space.expected(p, e),
        slope: grad((at: Tensor) => sum(square(space.clean(t, at) as Tensor)) as Tensor)(e),
        table: tableOf(space, e),
      };
    },
  );

describe("embedded states", () => {
  it("are the network's rows, which learn", () => {
    const { clean, expected, slope, table } = seen(learnedEmbedding());
    expect(list(clean)).toEqual([-1, 0, 3, 4]);
    expect(list(expected)).toEqual([1.25, 2.5]);
    expect(list(slope)).toEqual([6, 8, 0, 0, -2, 0]);
    expect(list(table)).toEqual(E.flat());
  });

  it.each<readonly [number | "root of width", number]>([
    [3, 3],
    ["root of width", Math.SQRT2],
  ])("of norm %s have that length", (norm, length) => {
    const { clean, expected, slope, table } = seen(learnedEmbedding({ norm }));
    expect(
      distance(
        table.data,
        UNIT.map((x) => length * x),
      ),
    ).toBeLessThan(1e-12);
    expect(
      distance(
        clean.data,
        [-1, 0, 0.6, 0.8].map((x) => length * x),
      ),
    ).toBeLessThan(1e-12);
    expect(
      distance(
        expected.data,
        [0.05, 0.65].map((x) => length * x),
      ),
    ).toBeLessThan(1e-12);
    // Their length cannot change.
    expect(distance(slope.data, [0, 0, 0, 0, 0, 0])).toBeLessThan(1e-12);
  });

  it("that are frozen have no gradient, and may be given", () => {
    const frozen = seen(frozenEmbedding());
    expect([list(frozen.clean), list(frozen.slope)]).toEqual([[-1, 0, 3, 4], Array(6).fill(0)]);
    const given = seen(frozenEmbedding({ table: UNIT.map((x, i) => [x, i]).slice(0, 3) }));
    expect([list(given.clean), list(given.slope)]).toEqual([[0, 2, 0.6, 0], Array(6).fill(0)]);
  });

  it("have noise of their own space, and samples live where training is", () => {
    const flows = [
      flow({ name: "embedded", states: learnedEmbedding({ norm: 1 }), source: gaussian({ scale: 0.5 }) }),
      flow({ name: "one-hot" }),
    ];
    const [embedded, oneHot] = flows.map((declared) =>
      evaluate({ embedding, keys: words([2, 2], [1, 2, 3, 4]), tokens: ints([2, 1], [2, 0]) }, (i) => {
        const world = worldOf(declared, i.embedding, { length: 1 });
        return { noise: world.noise(i.keys), clean: world.clean(i.tokens) };
      }),
    );
    expect([embedded?.noise.shape, oneHot?.noise.shape]).toEqual([
      [2, 1, 2],
      [2, 1, 3],
    ]);
    expect(distance(embedded?.clean.data ?? [], [-1, 0, 0.6, 0.8])).toBeLessThan(1e-12);
    expect(list(oneHot?.clean ?? floats([0], []))).toEqual([0, 0, 1, 1, 0, 0]);
  });

  it("tell the token of a point by the nearest row, however long rows are", () => {
    const declared = flow({ name: "points", states: frozenEmbedding(), predicts: "clean point" });
    const network: Network<Tensor> = {
      vocab: 3,
      length: 3,
      init: () => zeros([3, 2]),
      embedding: (params) => params,
      // What it says is the state.
      logits: (_params, x) => x,
    };
    const x = floats([1, 3, 2], [0.3, 1.6, 2.2, 2.9, -0.4, 0.1]);
    const { found } = evaluate({ embedding, x, t: floats([1], [0.5]) }, ({ embedding: params, x: at, t }) => {
      const time = { t, tau: t, rate: t };
      const model = { network, params, space: spaceFor(declared.states) };
      return { found: sampledDenoiser(declared, model, "flow").tokens?.(at, time, time) as Tensor };
    });
    expect(list(found)).toEqual([1, 0, 2]);
  });
});

const options: ModelOptions = {
  network: { vocab: 3, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 },
  batch: 2,
  space: "vocabulary",
  beta1: 0.9,
  beta2: 0.99,
  weightDecay: 0,
  clip: 1,
  emaDecay: 0.9,
};

it("noise around a mask is projected with its mask", () => {
  const source = maskedGaussian({ mask: maskToken(1), scale: 0.5 });
  const { seenThrough, whole } = evaluate({ embedding, keys: words([2, 2], [1, 2, 3, 4]) }, (i) => ({
    seenThrough: projectedWorld(i.embedding, { length: 2, source }, "vocabulary").noise(i.keys),
    whole: spaceFor(undefined, "projected").expected(
      vocabularyWorld({ vocab: 3, length: 2, source }).noise(i.keys),
      i.embedding,
    ),
  }));
  expect(distance(seenThrough.data, whole.data)).toBeLessThan(1e-12);
});

it("and so it is in training", () => {
  const declared = flow({ name: "masked", source: maskedGaussian({ mask: maskToken(1), scale: 0.5 }) });
  const inputs = {
    params: randomParams(options.network, 3),
    tokens: ints([2, 2], [0, 1, 2, 0]),
    t: floats([2], [0.2, 0.6]),
    key: words([2], [1, 2]),
  };
  // Of a vocabulary no larger than the width noise is drawn on the vocabulary, so both spaces have the same.
  const [whole, seenThrough] = (["vocabulary", "projected"] as const).map((space) =>
    evaluate(inputs, ({ t, ...rest }) =>
      flowValidation(
        declared,
        { ...options, space },
        weightsSpec(options.network),
      )({ ...rest, t: { t, tau: t, rate: t } } as never),
    ),
  );
  expect(distance(seenThrough?.loss.data ?? [], whole?.loss.data ?? [])).toBeLessThan(1e-9);
});

describe("what cannot be is refused:", () => {
  it.each<readonly [FlowDeclaration, string]>([
    [
      { name: "mine", source: dirichlet(), states: learnedEmbedding() },
      'The flow "mine" begins on the simplex, with a Dirichlet of concentration 1 source, and its states are rows of a learned embedding, which are on none: take one-hot states.',
    ],
    [
      { name: "mine", states: learnedEmbedding(), predicts: "velocity" },
      'The flow "mine" predicts a velocity by its squared error, and its states are rows of a learned embedding, which would learn to be all the same: predict the clean token, or take a frozen embedding.',
    ],
    [
      { name: "mine", source: pointMass(), predicts: "noise" },
      'The flow "mine" predicts the noise, and begins at a point mass, whose noise is always the same: predict the clean token.',
    ],
  ])("declaration %#", (declared, message) => {
    expect(() => flow(declared)).toThrow(message);
  });

  it("flow maps of a point mass, norms that are none, tables that are none", () => {
    expect(() =>
      flowMap({ name: "mine", flow: flow({ name: "", source: pointMass() }), objective: semigroup() }),
    ).toThrow(
      'The flow map "mine" follows a flow that begins at a point mass, and from one state one path leads to one text',
    );
    expect(() => learnedEmbedding({ norm: 0 })).toThrow(
      "Rows of an embedding are brought to a positive length, got 0.",
    );
    expect(() => frozenEmbedding({ table: [[1, 2], [3]] })).toThrow("all of one length that is not 0");
    const table = [[1, 2], [0, 0]]; // prettier-ignore
    expect(() => frozenEmbedding({ table, norm: 1 })).toThrow(
      "Rows of an embedding are brought to one length, and row 1 of the given table is 0, which has no direction.",
    );
    expect(frozenEmbedding({ table }).table).toBe(table);
  });

  const trace = (declared: Flow, of: ModelOptions) => () =>
    outputSpec(flowStep(declared, of, outputSpec(initFlm(of))) as never);
  const points = flow({ name: "points", states: frozenEmbedding({ norm: 1 }), predicts: "velocity" });

  it("a student whose table would not stay its teacher's", () => {
    const map = (norm?: 1) =>
      flowMap({
        name: "",
        flow: flow({ name: "taught", states: learnedEmbedding(norm === undefined ? {} : { norm }) }),
        objective: semigroup(),
      });
    const step = (norm: 1 | undefined, weightDecay: number) => () => {
      const of = { ...options, weightDecay };
      const teacher = weightsSpec(of.network);
      return outputSpec(flowMapStep(map(norm), of, outputSpec(initFmlm(of)), teacher) as never);
    };
    expect(step(undefined, 0.1)).toThrow('The flow "taught" keeps the embedding as it is');
    expect(step(undefined, 0)).not.toThrow();
    expect(step(1, 0.1)).not.toThrow();
  });

  it("a network that puts out other points than the states are, and no other", () => {
    const wide = { ...options, network: { ...options.network, outputs: 8 } };
    expect(trace(points, options)).toThrow(
      'The flow "points" predicts a velocity, 8 numbers for a token, and the network puts out 3: give the network outputs: 8.',
    );
    expect(trace(points, wide)).not.toThrow();
    const jumps = flowMap({ name: "jumps", flow: points, objective: semigroup() });
    const teacher = weightsSpec(wide.network);
    expect(() =>
      outputSpec(flowMapStep(jumps, wide, outputSpec(initFmlm(wide)), teacher) as never),
    ).not.toThrow();
    expect(trace(flow({ name: "tokens", states: learnedEmbedding() }), wide)).toThrow(
      'The flow "tokens" predicts a clean token, 3 numbers for a token, and the network puts out 8: give the network outputs: 3.',
    );
  });

  it("a prior scale of noise that is not around 0", () => {
    const program = (source: Source) => () =>
      samplingProgram(options, weightsSpec(options.network), {
        flow: flow({ name: "mine", source }),
        schedule: { draws: 2 },
        priorScale: 0.8,
      });
    for (const source of [dirichlet(), pointMass(), maskedGaussian()])
      expect(program(source)).toThrow(
        `The flow "mine" begins with a ${source.name} source, whose noise is not around 0, and a prior scale would move it`,
      );
    expect(program(gaussian())).not.toThrow();
  });

  it("weight decay of frozen rows, and a table of another size", () => {
    const kept = flow({ name: "kept", states: frozenEmbedding() });
    expect(trace(kept, options)).not.toThrow();
    expect(trace(kept, { ...options, weightDecay: 0.1 })).toThrow(
      'The flow "kept" keeps the embedding as it is, and weight decay would shrink it',
    );
    expect(trace(flow({ name: "given", states: frozenEmbedding({ table: E }) }), options)).toThrow(
      "The given table of embeddings is [3, 2], and the network has 3 tokens and the width 8.",
    );
  });
});
