/** Streamed vocabularies: the values and gradients of the written programs, without anything of [batch, length, vocab]. */
import { describe, expect, it, vi } from "vitest";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { optimize } from "../../../src/compiler/passes/pipeline.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { trace, valueAndGrad } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { projectedSpace, vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { flmLoss } from "../../../src/models/language/flm.ts";
import { fmlmLoss, fmlmTerms } from "../../../src/models/language/fmlm.ts";
import type { FmlmBatch, FmlmOptions } from "../../../src/models/language/fmlm.ts";
import { decodeStep, samplerStep } from "../../../src/models/language/sampler.ts";
import { ditToTensors } from "../../../src/models/networks/checkpoint.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { streamed } from "../../../src/models/networks/network.ts";
import type { Network } from "../../../src/models/networks/network.ts";
import type { ModelOptions } from "../../../src/models/training/programs.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";
import type { Hosted } from "../../support/evaluate.ts";
import { largestBuffer, largestValue } from "../../support/largest.ts";
import { modelPrograms, runModels, streamedOptions } from "../../support/streamed-runs.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 120_000 });

const VOCAB = 11;
const BATCH = 5;
const config: DitConfig = { vocab: VOCAB, length: 3, width: 8, depth: 1, heads: 2, conditioning: 4 };
const studentConfig: DitConfig = { ...config, targetTime: true };
const [plainTeacher, plainStudent] = [dit(config), dit(studentConfig)];
const SPACES = [projectedSpace(), vocabularySpace] as const;
const CHUNKS = [1, 4, 11] as const;

const draw = normals(5);
const column = (low: number, high: number) =>
  floats(
    [BATCH],
    Array.from({ length: BATCH }, (_, i) => low + ((high - low) * (i + 1)) / (BATCH + 1)),
  );
const states = (dim: number) => floats([BATCH, 3, dim], Array.from({ length: BATCH * 3 * dim }, draw));
const batch = {
  tokens: ints(
    [BATCH, 3],
    Array.from({ length: 3 * BATCH }, (_, i) => (i * 7) % VOCAB),
  ),
  tauS: column(0, 0.3),
  tauU: column(0.3, 0.6),
  tauT: column(0.6, 0.9),
  s: column(0.1, 0.4),
  u: column(0.4, 0.7),
  t: column(0.7, 0.95),
  gamma: column(0.2, 0.8),
};
const params = randomParams(studentConfig, 1);
// States of both mean the same where the table is one.
const teacher = { ...randomParams(config, 2), embedding: params.embedding };

const flat = (tree: Hosted<DitParams>): number[] =>
  ditToTensors(studentConfig, tree).flatMap(([, tensor]) => list(tensor));

/** A network as it is, or streamed. */
type How = (network: Network<DitParams>) => Network<DitParams>;
interface Given {
  readonly noise: Tensor;
  readonly batch: FmlmBatch;
  readonly teacher: DitParams;
}

/** A loss of the student's parameters and its gradient, streamed and written. */
function sameLoss(
  loss: (p: DitParams, how: How, given: Given) => Tensor<[]>,
  dim: number,
  chunk: number,
): void {
  const { ours, right } = evaluate({ params, teacher, batch, noise: states(dim) }, (x) => {
    const rows = { ...x.batch, noise: x.noise } as FmlmBatch;
    const given = { noise: x.noise, teacher: x.teacher as DitParams, batch: rows };
    const of = (how: How) => valueAndGrad((p: DitParams) => loss(p, how, given))(x.params as DitParams);
    return { ours: of((network) => streamed(network, chunk)), right: of((network) => network) };
  });
  expect(distance(ours.value.data, right.value.data)).toBeLessThan(1e-12);
  expect(distance(flat(ours.grad), flat(right.grad))).toBeLessThan(1e-12);
}

describe.each(SPACES.map((space) => [space.kind, space] as const))(
  "a streamed vocabulary, %s states",
  (_kind, space) => {
    const dim = space.kind === "projected" ? config.width : VOCAB;

    it.each(CHUNKS)("in parts of %d: FLM's loss and gradient", (chunk) => {
      sameLoss(
        (p, how, { batch: { tokens, noise, tauS: tau, s: t } }) =>
          flmLoss(how(plainTeacher), p, { tokens, noise, tau, t }, space),
        dim,
        chunk,
      );
    });

    it.each([
      ["from a teacher", 2, {}],
      ["rescaled", 2, { rescale: true }],
      ["squared", 2, { squaredError: true }],
      ["of diagonal rows only", BATCH, {}],
      ["of jumps only", 0, {}],
    ] as const)("FMLM's loss and gradient, %s", (_what, diagonal, option) => {
      for (const chunk of CHUNKS)
        sameLoss(
          (p, how, given) => {
            const options: FmlmOptions<DitParams> = {
              diagonal,
              teacher: { network: how(plainTeacher), params: given.teacher },
              ...option,
            };
            return fmlmLoss(how(plainStudent), p, given.batch, options, space);
          },
          dim,
          chunk,
        );
    });

    it("FMLM from clean tokens, and where only one of student and teacher is streamed", () => {
      sameLoss(
        (p, how, given) => fmlmLoss(how(plainStudent), p, given.batch, { diagonal: 2 }, space),
        dim,
        4,
      );
      const from = (network: Network<DitParams>, given: Given): FmlmOptions<DitParams> => ({
        diagonal: 2,
        teacher: { network, params: given.teacher },
      });
      sameLoss(
        (p, how, given) => fmlmLoss(how(plainStudent), p, given.batch, from(plainTeacher, given), space),
        dim,
        4,
      );
      sameLoss(
        (p, how, given) => fmlmLoss(plainStudent, p, given.batch, from(how(plainTeacher), given), space),
        dim,
        4,
      );
    });

    it("FMLM's terms, written down for inspection", () => {
      const { ours, right } = evaluate({ params, teacher, batch, noise: states(dim) }, (x) => {
        const of = (how: How) => {
          const options = {
            diagonal: 2,
            teacher: { network: how(plainTeacher), params: x.teacher as DitParams },
          };
          const rows = { ...x.batch, noise: x.noise } as FmlmBatch;
          const { jump, ...terms } = fmlmTerms(
            how(plainStudent),
            x.params as DitParams,
            rows,
            options,
            space,
          );
          return { ...terms, ...jump };
        };
        return { ours: of((network) => streamed(network, 4)), right: of((network) => network) };
      });
      const names = Object.keys(right) as (keyof typeof right)[];
      expect(names.toSorted()).toEqual([
        "first",
        "logits",
        "middle",
        "second",
        "state",
        "target",
        "tokenLoss",
      ]);
      for (const name of names)
        expect(distance(ours[name]?.data ?? [], right[name]?.data ?? []), name).toBeLessThan(1e-12);
    });

    it.each(CHUNKS)("in parts of %d: steps of samplers and draws", (chunk) => {
      const inputs = {
        params,
        state: states(dim),
        noise: states(dim),
        tau: column(0.2, 0.7),
        target: column(0.5, 0.9),
        uniforms: floats(
          [BATCH, 3],
          Array.from({ length: 3 * BATCH }, (_, i) => ((i * 7) % 15) / 15),
        ),
        half: floats([], [0.5]),
      };
      const { ours, right } = evaluate(inputs, ({ params: p, half, uniforms, ...x }) => {
        const of = (how: How) => {
          const network = how(plainStudent);
          const step = { ...x, stateWeight: half, denoiserWeight: half };
          const decode = { ...x, temperature: half, uniforms };
          return {
            ...samplerStep(network, p as DitParams, step, space),
            drawn: decodeStep(network, p as DitParams, decode, space),
          };
        };
        return { ours: of((network) => streamed(network, chunk)), right: of((network) => network) };
      });
      expect(list(ours.tokens)).toEqual(list(right.tokens));
      expect(list(ours.drawn)).toEqual(list(right.drawn));
      expect(distance(ours.state.data, right.state.data)).toBeLessThan(1e-12);
      expect(distance(ours.confidence.data, right.confidence.data)).toBeLessThan(1e-12);
    });
  },
);

/** Elements of the largest value of every program that runs the network, and of the largest buffer of its plan. */
function sizes(options: ModelOptions): Readonly<Record<string, readonly [value: number, buffer: number]>> {
  const { init: _a, initTwo: _b, unpackFlm: _c, unpackFmlm: _d, ...programs } = modelPrograms(options);
  return Object.fromEntries(
    Object.entries(programs).map(([name, declared]) => {
      const program = optimize(inlineCalls(trace(declared as never).program));
      return [name, [largestValue(program), largestBuffer(schedule(program))]];
    }),
  );
}

describe("programs of a model with a streamed vocabulary", () => {
  const vocab = 600;
  // Long enough for every tensor of this kind to be larger than the vector of all weights.
  const length = 24;
  // Half of the batch's rows are jumps, so [2, length, vocab] is the smallest.
  const smallest = 2 * length * vocab;
  const optionsOf = (chunk: number): ModelOptions => {
    const options = streamedOptions(vocab, chunk);
    return { ...options, network: { ...options.network, length } };
  };

  it("hold nothing of [batch, length, vocab], in their values and in their plans", () => {
    const [ours, written] = [sizes(optionsOf(64)), sizes(optionsOf(0))];
    for (const [name, [value, buffer]] of Object.entries(ours)) {
      expect(value, name).toBeLessThan(smallest);
      expect(buffer, name).toBeLessThan(smallest);
    }
    for (const [name, [value, buffer]] of Object.entries(written)) {
      if (name.endsWith("Noise") || name.endsWith("Factor")) continue; // states are projected
      expect(value, name).toBeGreaterThanOrEqual(smallest);
      expect(buffer, name).toBeGreaterThanOrEqual(smallest);
    }
  });

  it("are streamed by default above 8192 tokens, where states are projected", () => {
    const { streamedVocabulary: _, ...options } = streamedOptions(8192, 0);
    const holds = (network: Partial<DitConfig>, more: Partial<ModelOptions> = {}): boolean => {
      const { flmValidation } = modelPrograms({
        ...options,
        ...more,
        network: { ...options.network, ...network },
      });
      const size = network.vocab ?? 8192;
      return largestValue(inlineCalls(trace(flmValidation as never).program)) >= 4 * 6 * size;
    };
    expect(holds({})).toBe(true);
    expect(holds({ vocab: 8193 })).toBe(false);
    expect(holds({ vocab: 8193 }, { space: "vocabulary" })).toBe(true);
    expect(holds({ vocab: 8193 }, { streamedVocabulary: 0 })).toBe(true);
    expect(holds({}, { streamedVocabulary: 512 })).toBe(false);
  });

  it("train and sample as the written ones do", async () => {
    const [ours, right] = [
      await runModels(openInterpreter(), streamedOptions(23, 5), 20),
      await runModels(openInterpreter(), streamedOptions(23, 0), 20),
    ];
    expect(distance(ours.flmLosses, right.flmLosses)).toBeLessThan(1e-9);
    expect(distance(ours.fmlmLosses, right.fmlmLosses)).toBeLessThan(1e-9);
    expect(Math.abs(ours.validation - right.validation)).toBeLessThan(1e-9);
    expect(distance(ours.samples, right.samples)).toBeLessThan(1e-6);
    expect(ours.tokens).toEqual(right.tokens);
    expect(right.flmLosses.at(-1)).toBeLessThan((right.flmLosses[0] as number) - 0.05);
  });
});

it("a network without a linear head says that it cannot be streamed", () => {
  const { head: _, ...rest } = dit(config);
  expect(() => streamed(rest, 4)).toThrow(
    "a network streams its vocabulary only if its last layer is linear",
  );
});
