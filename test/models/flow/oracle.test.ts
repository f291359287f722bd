/** The finite-corpus oracle: the vectors of the specification, and the ends of time. The identities of its map are in ../groups. */
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { add, grad, jvp, mul, square, sub, sum } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const single = corpusOracle({ vocab: 3, sequences: [[0], [1], [2]], weights: [0.5, 0.3, 0.2] });
const phrases = corpusOracle({
  vocab: 4,
  sequences: [
    [0, 1],
    [2, 3],
  ],
});
const times = (...values: readonly number[]): ExactTensor => floats([values.length], values);
const triple = (x: readonly number[] = [0.3, -0.2, 0.6], rows = 1): ExactTensor =>
  floats([rows, 1, 3], Array(rows).fill(x).flat());

describe("golden vectors", () => {
  it("L = 1, V = 3: denoisers", () => {
    const D = evaluate({ x: triple(undefined, 3), t: times(0, 0.4, 0.7) }, ({ x, t }) =>
      single.denoiser(x, t),
    );
    const expected = [
      0.5, 0.3, 0.2, 0.5256250013, 0.1809474855, 0.2934275131, 0.1946591658, 0.0023905791, 0.802950255,
    ];
    expect(distance(D.data, expected)).toBeLessThan(1e-10);
  });

  it("L = 1, V = 3: two-time denoisers and flow maps", () => {
    const { delta, X } = evaluate(
      { x: triple(undefined, 2), s: times(0, 0.5), t: times(0.5, 0.9) },
      ({ x, s, t }) => ({
        delta: single.twoTimeDenoiser(x, s, t),
        X: single.flowMap(x, s, t),
      }),
    );
    expect(
      distance(
        delta.data,
        [0.5399586857, 0.2333534951, 0.2266878192, 0.1028239238, 0.0072901224, 0.8898859539],
      ),
    ).toBeLessThan(1e-8);
    expect(
      distance(X.data, [0.4199793428, 0.0166767476, 0.4133439096, 0.142259139, -0.0341679021, 0.8319087631]),
    ).toBeLessThan(1e-8);
  });

  it("two phrases: the posterior is shared by both positions", () => {
    const x = floats([1, 2, 4], [0.2, -0.1, 0.4, 0, 0.3, 0.5, -0.2, 0.1]);
    const D = evaluate({ x, t: times(0.3) }, ({ x: state, t }) => phrases.denoiser(state, t));
    expect(
      distance(D.data, [0.5305740528, 0, 0.4694259472, 0, 0, 0.5305740528, 0, 0.4694259472]),
    ).toBeLessThan(1e-10);
  });
});

const largest = (tensor: ExactTensor): number => Math.max(...list(tensor).map(Math.abs));

describe("ends of time", () => {
  it("X_{s,s} = id and δ_{t,t} = D_t, also at 0 and 1; δ_{s,1} = X_{s,1} is a sequence of the corpus", () => {
    const x = floats([4, 1, 3], [0.3, -0.2, 0.6, 2, 1, 0, -1, 0, 3, 0, 0.5, 0.4]);
    const result = evaluate(
      { x, t: times(0, 0.5, 0.99, 1), zero: times(0, 0, 0, 0), one: times(1, 1, 1, 1) },
      ({ x: state, t, zero, one }) => ({
        still: single.flowMap(state, t, t),
        diagonal: sub(single.twoTimeDenoiser(state, t, t), single.denoiser(state, t)),
        delta: single.twoTimeDenoiser(state, zero, one),
        X: single.flowMap(state, zero, one),
        fromEnd: single.flowMap(state, t, one),
      }),
    );
    expect(distance(result.still.data, x.data)).toBeLessThan(1e-12);
    expect(largest(result.diagonal)).toBeLessThan(1e-12);
    expect(distance(result.delta.data, result.X.data)).toBeLessThan(1e-12);
    const rows = Array.from({ length: 4 }, (_, i) => list(result.X).slice(3 * i, 3 * i + 3));
    for (const row of rows)
      expect([...row].sort((a, b) => a - b).map((v) => Math.round(v * 1e9) / 1e9)).toEqual([0, 0, 1]);
    expect(list(result.fromEnd).every(Number.isFinite)).toBe(true);
  });

  it("nothing is NaN near t = 1, derivatives included", () => {
    const x = floats(
      [3, 2, 4],
      Array.from({ length: 24 }, (_, i) => Math.sin(i)),
    );
    const result = evaluate(
      { x, t: times(0.99, 0.9999999, 1), s: times(0, 0.9, 0.9999999) },
      ({ x: state, t, s }) => ({
        denoiser: jvp((time: Tensor) => phrases.denoiser(state, time), [t], [add(mul(t, 0), 1) as Tensor]),
        map: jvp((time: Tensor) => phrases.flowMap(state, time, t), [s], [add(mul(t, 0), 1) as Tensor]),
        slopes: grad((y: Tensor) => sum(square(phrases.flowMap(y, s, t))) as Tensor<[]>)(state),
      }),
    );
    for (const tensor of [
      result.denoiser.value,
      result.denoiser.tangent,
      result.map.value,
      result.map.tangent,
      result.slopes,
    ]) {
      expect(list(tensor).every(Number.isFinite)).toBe(true);
    }
  });
});

describe("a corpus that makes no sense", () => {
  it.each([
    [{ vocab: 3, sequences: [] }, "at least one sequence"],
    [{ vocab: 3, sequences: [[0], [1, 2]] }, "sequence 1 has 2 tokens, the first has 1"],
    [{ vocab: 3, sequences: [[3]] }, "Sequence 0 holds 3, which is no token of a vocabulary of 3"],
    [{ vocab: 3, sequences: [[0], [1]], weights: [1, 0] }, "one positive number for each of the 2 sequences"],
  ])("%o", (corpus, message) => {
    expect(() => corpusOracle(corpus)).toThrow(message);
  });
});
