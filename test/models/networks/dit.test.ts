/** The DiT at sizes other than the golden ones, against plain loops; what its initial values promise; its refusals. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, logSoftmax, mul, ones, random } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { ditFromTensors } from "../../../src/models/networks/checkpoint.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig } from "../../../src/models/networks/dit.ts";
import { OFFICIAL_PREFIX, officialParameters } from "../../../src/models/networks/official-names.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { constants, distance, evaluate, floats } from "../../support/evaluate.ts";
import { plainLogits } from "./plain-dit.ts";
import { normals, randomWeights } from "./random-weights.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const SIZES: readonly DitConfig[] = [
  { vocab: 29, length: 8, width: 24, depth: 3, heads: 3, conditioning: 12, targetTime: true },
  { vocab: 29, length: 8, width: 24, depth: 3, heads: 2, conditioning: 12 },
  { vocab: 5, length: 3, width: 16, depth: 1, heads: 8, conditioning: 4, mlpRatio: 2, targetTime: true },
  { vocab: 3, length: 1, width: 6, depth: 2, heads: 1, conditioning: 1, mlpRatio: 1 },
];

describe("a DiT of any size", () => {
  it.each(SIZES)("gives the logits of plain loops: %o", (config) => {
    const { vocab, length, targetTime = false } = config;
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const draw = normals(seed);
        const weights = randomWeights(config, draw);
        const params = ditFromTensors(config, weights);
        const state = floats([2, length, vocab], Array.from({ length: 2 * length * vocab }, draw));
        const [tau, target] = [floats([2], [0.2, 0.9]), floats([2], [0.7, 1])];
        const logits = evaluate({ params, state, tau, target }, (input): Tensor => {
          const network = dit(config);
          const hidden = vocabularySpace.embed(input.state, network.embedding(input.params));
          return network.logits(
            input.params,
            hidden,
            targetTime ? { tau: input.tau, target: input.target } : { tau: input.tau },
          );
        });
        const named = (name: string): readonly number[] =>
          Array.from(weights.get(OFFICIAL_PREFIX + name)?.data ?? []);
        const expected = [0, 1].flatMap((row) => {
          const rows = Array.from({ length }, (_, l) =>
            Array.from(state.data.subarray((row * length + l) * vocab, (row * length + l + 1) * vocab)),
          );
          return plainLogits(
            named,
            config,
            rows,
            tau.data[row] ?? NaN,
            targetTime ? target.data[row] : undefined,
          ).flat();
        });
        expect(distance(logits.data, expected)).toBeLessThan(1e-10);
      }),
      { numRuns: 3 },
    );
  });

  const tiny: DitConfig = { vocab: 6, length: 4, width: 8, depth: 2, heads: 2, conditioning: 4 };

  it("starts as the uniform distribution, with parameters of the official shapes", () => {
    const network = dit({ ...tiny, targetTime: true });
    const { params, logProbs } = constants(() => {
      const drawn = network.init(random.key(3));
      const state = random.normal(random.key(4), [2, 4, 6]);
      const tau: Tensor = random.uniform(random.key(5), [2]);
      const logits = network.logits(drawn, vocabularySpace.embed(state, drawn.embedding), {
        tau,
        target: tau,
      });
      return { params: drawn, logProbs: logSoftmax(logits) };
    });
    expect(distance(logProbs.data, Array(48).fill(-Math.log(6)))).toBeLessThan(1e-12);
    for (const { path, shape } of officialParameters({ ...tiny, targetTime: true })) {
      let here: unknown = params;
      for (const key of path.split(".")) here = Reflect.get(here as object, key);
      expect((here as ExactTensor).shape, path).toEqual(shape);
    }
    expect(distance(params.targetTime?.out.weight.data ?? [1], Array(16).fill(0))).toBe(0);
  });

  it("drops what attention and MLP add, by the key, only when there is one", () => {
    const network = dit({ ...tiny, dropout: 0.5 });
    const weights = ditFromTensors(tiny, randomWeights(tiny, normals(1)));
    const [a, b, c, none, plain] = evaluate({ weights }, (input) => {
      const hidden = random.normal(random.key(1), [2, 4, 8]);
      const tau: Tensor = random.uniform(random.key(2), [2]);
      const at = (seed?: number, which = network): Tensor =>
        which.logits(
          input.weights,
          hidden,
          seed === undefined ? { tau } : { tau, dropoutKey: random.key(seed) },
        );
      return [at(1), at(1), at(2), at(), at(1, dit(tiny))] as const;
    });
    expect(distance(a.data, b.data)).toBe(0);
    expect(distance(a.data, c.data)).toBeGreaterThan(0.1);
    expect(distance(none.data, plain.data)).toBe(0);
    expect(distance(a.data, none.data)).toBeGreaterThan(0.1);
  });

  it("tells positions apart where it learns a vector for each", () => {
    const config = { ...tiny, positions: true };
    const same = evaluate({ weights: ditFromTensors(tiny, randomWeights(tiny, normals(1))) }, (input) => {
      // Every token sees the same around it, whoever far away.
      const hidden: Tensor = mul(random.normal(random.key(1), [1, 1, 8]), ones([1, 4, 8]));
      const tau: Tensor = random.uniform(random.key(2), [1]);
      const { position } = dit(config).init(random.key(3));
      const shifted: Tensor = position === undefined ? hidden : add(hidden, position);
      const placed = { ...input.weights, ...(position === undefined ? {} : { position }) };
      return {
        without: dit(tiny).logits(input.weights, hidden, { tau }),
        placed: dit(config).logits(placed, hidden, { tau }),
        byHand: dit(tiny).logits(input.weights, shifted, { tau }),
      };
    });
    const rows = (data: ArrayLike<number>): readonly (readonly number[])[] =>
      Array.from({ length: 4 }, (_, l) => Array.from(data).slice(6 * l, 6 * l + 6));
    const [first, ...others] = rows(same.without.data);
    const [placed, ...elsewhere] = rows(same.placed.data);
    for (const row of others) expect(distance(row, first ?? [])).toBeLessThan(1e-12);
    for (const row of elsewhere) expect(distance(row, placed ?? [])).toBeGreaterThan(1e-3);
    expect(distance(same.placed.data, same.byHand.data)).toBe(0);
  });

  it.each([
    [{ width: 6 }, "width 6 must be a multiple of twice the 2 heads"],
    [{ depth: 0 }, "depth must be a whole number >= 1, got 0"],
    [{ vocab: 2.5 }, "vocab must be a whole number >= 1, got 2.5"],
  ])("refuses sizes %o", (change, message) => {
    expect(() => dit({ ...tiny, ...change })).toThrow(message);
  });

  it("refuses a target time where it has no embedding of one", () => {
    const network = dit(tiny);
    const call = () =>
      constants(() => {
        const params = network.init(random.key(0));
        const tau: Tensor = random.uniform(random.key(1), [1]);
        return network.logits(params, random.normal(random.key(2), [1, 4, 8]), { tau, target: tau });
      });
    expect(call).toThrow("a target time was given to a network of one time");
  });
});
