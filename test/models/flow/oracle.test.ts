/**
 * The finite-corpus oracle: the vectors of the specification, and (group 10) the identities of an exact flow map: semigroup,
 * Lagrangian, Eulerian, the mean-denoiser integral, and the order of the Euler integrator.
 */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  add,
  broadcastTo,
  constant,
  div,
  grad,
  jvp,
  mul,
  scan,
  slice,
  square,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { perRow, semigroup, semigroupWeights, velocity } from "../../../src/models/flow/fields.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import type { Oracle } from "../../../src/models/flow/oracle.ts";
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
const uneven = corpusOracle({
  vocab: 5,
  sequences: [
    [0, 1, 2],
    [2, 3, 0],
    [2, 3, 4],
    [1, 1, 1],
  ],
  weights: [4, 1, 2, 3],
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

const ROWS = 8;

/** A corpus, and rows of states and times 0 <= s < u < t <= 0.95. */
const cases = (which: Oracle) => {
  const numbers = (count: number, min: number, max: number) =>
    fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });
  return fc
    .record({
      state: numbers(ROWS * which.length * which.vocab, -2, 2),
      s: numbers(ROWS, 0, 0.6),
      length: numbers(ROWS, 0.05, 0.5),
      share: numbers(ROWS, 0.05, 0.9),
    })
    .map(({ state, s, length, share }) => {
      const t = s.map((from, i) => Math.min(0.95, from + (length[i] ?? NaN)));
      const u = s.map((from, i) => from + (share[i] ?? NaN) * ((t[i] ?? NaN) - from));
      return {
        x: floats([ROWS, which.length, which.vocab], state),
        s: times(...s),
        u: times(...u),
        t: times(...t),
      };
    });
};

/** A property of every corpus. */
/**
 * Whether the integration has converged. Near a tie between sequences the flow itself tears states apart, by e^{m²/2} up to
 * signal to noise m, and no number of steps would resolve it.
 */
function resolved(which: Oracle, inputs: Case): boolean {
  const { change } = evaluate(inputs, ({ x, s, t }) => ({
    change: sub(which.flowMap(x, s, t, STEPS), which.flowMap(x, s, t, { steps: 2 * STEPS.steps })),
  }));
  return largest(change) < 1e-8;
}

function property(runs: number, holds: (which: Oracle, inputs: Case) => void): void {
  for (const which of [single, phrases, uneven]) {
    fc.assert(
      fc.property(cases(which), (inputs) => {
        fc.pre(resolved(which, inputs));
        holds(which, inputs);
      }),
      { numRuns: runs, endOnFailure: true },
    );
  }
}
interface Case {
  readonly x: ExactTensor;
  readonly s: ExactTensor;
  readonly u: ExactTensor;
  readonly t: ExactTensor;
}

/** Runge-Kutta steps of most tests. */
const STEPS = { steps: 128 };

const largest = (tensor: ExactTensor): number => Math.max(...list(tensor).map(Math.abs));

describe("group 10: identities of the oracle's flow map", () => {
  it("semigroup, as maps and as denoisers", () => {
    property(1, (which, inputs) => {
      const residuals = evaluate(inputs, ({ x, s, u, t }) => {
        const middle = which.flowMap(x, s, u, STEPS);
        const composed = which.flowMap(middle, u, t, STEPS);
        const target = semigroup(
          which.twoTimeDenoiser(x, s, u, STEPS),
          which.twoTimeDenoiser(middle, u, t, STEPS),
          semigroupWeights(s, u, t),
        );
        return {
          maps: sub(composed, which.flowMap(x, s, t, STEPS)),
          denoisers: sub(target, which.twoTimeDenoiser(x, s, t, STEPS)),
        };
      });
      expect(largest(residuals.maps)).toBeLessThan(1e-7);
      expect(largest(residuals.denoisers)).toBeLessThan(1e-7);
    });
  });

  it("Lagrangian: ∂_t X = b_t(X), and for δ", () => {
    property(1, (which, inputs) => {
      const residuals = evaluate(inputs, ({ x, s, t }) => {
        const one: Tensor = add(mul(t, 0), 1);
        const X = jvp((time: Tensor) => which.flowMap(x, s, time, STEPS), [t], [one]);
        const delta = jvp((time: Tensor) => which.twoTimeDenoiser(x, s, time, STEPS), [t], [one]);
        const factor: Tensor = div(mul(sub(1, t), sub(t, s)), sub(1, s));
        const D = which.denoiser(X.value, t);
        return {
          map: sub(X.tangent, which.velocity(X.value, t)),
          denoiser: sub(delta.value, sub(D, mul(perRow(factor), delta.tangent))),
        };
      });
      expect(largest(residuals.map)).toBeLessThan(1e-6);
      expect(largest(residuals.denoiser)).toBeLessThan(1e-6);
    });
  });

  it("Eulerian: ∂_s X + ∇X·b_s = 0, and for δ", () => {
    property(1, (which, inputs) => {
      const residuals = evaluate(inputs, ({ x, s, t }) => {
        const one: Tensor = add(mul(s, 0), 1);
        const D = which.denoiser(x, s);
        const map = jvp(
          (state: Tensor, time: Tensor) => which.flowMap(state, time, t, STEPS),
          [x, s],
          [velocity(x, D, s), one],
        );
        // (1−s) ∂_s δ + ∇δ·(D_s − x), in one direction.
        const along = jvp(
          (state: Tensor, time: Tensor) => which.twoTimeDenoiser(state, time, t, STEPS),
          [x, s],
          [sub(D, x) as Tensor, sub(1, s) as Tensor],
        );
        const factor: Tensor = div(sub(t, s), sub(1, t));
        return { map: map.tangent, denoiser: sub(along.value, add(D, mul(perRow(factor), along.tangent))) };
      });
      expect(largest(residuals.map)).toBeLessThan(1e-6);
      expect(largest(residuals.denoiser)).toBeLessThan(1e-5);
    });
  });

  it("δ is the average of D along the flow, with weights (1−s)(1−t)/((t−s)(1−r)²) that integrate to 1", () => {
    property(1, (which, inputs) => {
      const count = 200;
      const { integral, total, delta } = evaluate(inputs, ({ x: states0, s: sources, t: targets }) => {
        const [x, s, t] = [states0, sources, targets].map((rows) => slice(rows, 0, 0, 1)) as [
          Tensor,
          Tensor,
          Tensor,
        ];
        // Simpson's rule, one row per node.
        const rows = count + 1;
        const nodes = Array.from({ length: rows }, (_, i) => i / count);
        const simpson = nodes.map((_, i) => (i === 0 || i === count ? 1 : i % 2 === 1 ? 4 : 2) / (3 * count));
        const everyRow = (value: Tensor): Tensor => broadcastTo(value, [rows]);
        const [fractions, weights] = [nodes, simpson].map(
          (values) => add(mul(everyRow(s), 0), constant(values, [rows])) as Tensor,
        ) as [Tensor, Tensor];
        const span: Tensor = sub(everyRow(t), everyRow(s));
        const r: Tensor = add(everyRow(s), mul(span, fractions));
        const density: Tensor = div(mul(sub(1, everyRow(s)), sub(1, everyRow(t))), square(sub(1, r)));
        const states = which.flowMap(broadcastTo(x, [rows, which.length, which.vocab]), everyRow(s), r, {
          steps: 64,
        });
        const share: Tensor = mul(density, weights);
        return {
          integral: sum(mul(perRow(share), which.denoiser(states, r)) as Tensor, 0),
          total: sum(share),
          delta: which.twoTimeDenoiser(x, s, t, STEPS),
        };
      });
      expect(distance(total.data, [1])).toBeLessThan(1e-5);
      expect(distance(integral.data, delta.data)).toBeLessThan(1e-5);
    });
  });

  it("the Euler integrator converges to X with order 1", () => {
    property(1, (which, inputs) => {
      const errorOf = (steps: number): number => {
        const { euler, exact } = evaluate(inputs, ({ x, s, t }) => {
          const step: Tensor = div(sub(t, s), steps);
          const [[moved]] = scan(
            ([state, time]: readonly [Tensor, Tensor]) => [
              [add(state, mul(perRow(step), which.velocity(state, time))), add(time, step)] as const,
              null,
            ],
            [x, s] as readonly [Tensor, Tensor],
            null,
            { length: steps },
          );
          return { euler: moved, exact: which.flowMap(x, s, t, STEPS) };
        });
        return distance(euler.data, exact.data);
      };
      const [coarse, fine] = [errorOf(100), errorOf(400)];
      // An error that is nothing but higher orders may fall faster.
      if (coarse > 1e-7) expect(coarse / fine).toBeGreaterThan(3.4);
      expect(fine).toBeLessThan(0.1);
    });
  });

  it("gradients agree with central differences", () => {
    property(1, (which, inputs) => {
      const f = (x: Tensor, s: Tensor, t: Tensor): Tensor<[]> =>
        sum(square(which.flowMap(x, s, t, { steps: 40 })));
      const slopes = evaluate(inputs, ({ x, s, t }) => grad((state: Tensor) => f(state, s, t))(x));
      const at = (shift: number): number =>
        evaluate(
          { ...inputs, x: { ...inputs.x, data: inputs.x.data.map((v, i) => (i === 0 ? v + shift : v)) } },
          ({ x, s, t }) => f(x, s, t),
        ).data[0] ?? NaN;
      const difference = (at(1e-4) - at(-1e-4)) / 2e-4;
      expect(Math.abs(difference - (slopes.data[0] ?? NaN))).toBeLessThan(1e-5 * (1 + Math.abs(difference)));
    });
  });
});

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
    [{ vocab: 3, sequences: [[0], [1, 2]] }, "Sequence 1 has 2 tokens, the first has 1"],
    [{ vocab: 3, sequences: [[3]] }, "Sequence 0 holds 3, which is no token of a vocabulary of 3"],
    [{ vocab: 3, sequences: [[0], [1]], weights: [1, 0] }, "one positive number for each of the 2 sequences"],
  ])("%o", (corpus, message) => {
    expect(() => corpusOracle(corpus)).toThrow(message);
  });
});
