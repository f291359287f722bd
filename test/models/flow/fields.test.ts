/**
 * The tensor algebra of flows, by the groups of the specification: 3 interpolant and fields, 5 row sums, 6 round trips,
 * 7 semigroup weights, 8 composition, 9 associativity, 18 guidance. Numbers against algebra.ts, fields against the oracle.
 */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import {
  add,
  broadcastTo,
  constant,
  div,
  exp,
  expandDims,
  grad,
  gather,
  log,
  logSumExp,
  mean,
  mul,
  neg,
  random,
  square,
  sub,
  sum,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import {
  flowMapCoefficients,
  noiseFromDenoiser,
  scoreFromDenoiser,
  semigroupWeight,
  velocityFromDenoiser,
} from "../../../src/models/flow/algebra.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import {
  autoguided,
  denoiserOfFlowMap,
  denoiserOfVelocity,
  expectedNoise,
  flowMap,
  interpolate,
  perRow,
  score,
  semigroup,
  semigroupWeights,
  velocity,
} from "../../../src/models/flow/fields.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { eulerSchedule } from "../../../src/models/language/sampler.ts";
import { constants, distance, evaluate, floats, list } from "../../support/evaluate.ts";

// Seconds where many tests run at once.
vi.setConfig({ testTimeout: 60_000 });

const ROWS = 4;
const [LENGTH, VOCAB] = [2, 5];
const SIZE = ROWS * LENGTH * VOCAB;
const values = (count: number, min: number, max: number) =>
  fc.array(fc.double({ min, max, noNaN: true }), { minLength: count, maxLength: count });
const states = values(SIZE, -3, 3).map((data) => floats([ROWS, LENGTH, VOCAB], data));
const column = (data: readonly number[]): ExactTensor => floats([data.length], data);

/** Rows of times 0 <= s < a < b < t < 1, well apart. */
const cuts = fc.array(values(5, 0.1, 1), { minLength: ROWS, maxLength: ROWS }).map((rows) => {
  const at = (n: number): ExactTensor =>
    column(
      rows.map(
        (gaps) => (gaps.slice(0, n).reduce((a, b) => a + b, 0) - 0.1) / gaps.reduce((a, b) => a + b, 0),
      ),
    );
  return { s: at(1), a: at(2), b: at(3), t: at(4) };
});

describe("group 3: interpolant and fields", () => {
  it("I_0 = x₀, I_1 = x₁; coefficients are those of the numbers", () => {
    fc.assert(
      fc.property(states, states, cuts, (x, d, { s, t }) => {
        const result = evaluate(
          { x, d, s, t, zero: column([0, 0, 0, 0]), one: column([1, 1, 1, 1]) },
          (input) => ({
            start: interpolate(input.x, input.d, input.zero),
            end: interpolate(input.x, input.d, input.one),
            flowMap: flowMap(input.x, input.d, input.s, input.t),
            velocity: velocity(input.x, input.d, input.s),
            score: score(input.x, input.d, input.s),
            noise: expectedNoise(input.x, input.d, input.s),
          }),
        );
        expect(distance(result.start.data, x.data)).toBe(0);
        expect(distance(result.end.data, d.data)).toBe(0);
        const combined = (
          coefficients: (row: number) => { readonly state: number; readonly denoiser: number },
        ): number[] =>
          list(x).map((value, i) => {
            const { state, denoiser } = coefficients(Math.floor(i / (LENGTH * VOCAB)));
            return state * value + denoiser * (d.data[i] ?? NaN);
          });
        const time = (tensor: ExactTensor, row: number): number => tensor.data[row] ?? NaN;
        expect(
          distance(
            result.flowMap.data,
            combined((row) => flowMapCoefficients(time(s, row), time(t, row))),
          ),
        ).toBeLessThan(1e-11);
        expect(
          distance(
            result.velocity.data,
            combined((row) => velocityFromDenoiser(time(s, row))),
          ),
        ).toBeLessThan(1e-10);
        expect(
          distance(
            result.score.data,
            combined((row) => scoreFromDenoiser(time(s, row))),
          ),
        ).toBeLessThan(1e-8);
        expect(
          distance(
            result.noise.data,
            combined((row) => noiseFromDenoiser(time(s, row))),
          ),
        ).toBeLessThan(1e-10);
      }),
    );
  });

  const corpus = {
    vocab: VOCAB,
    sequences: [
      [0, 1],
      [2, 3],
      [4, 1],
      [2, 2],
    ],
    weights: [4, 3, 2, 1],
  };
  const oracle = corpusOracle(corpus);
  const total = 10;
  const oneHotSequences = (): Tensor =>
    constant(
      corpus.sequences.flatMap((y) =>
        y.flatMap((id) => Array.from({ length: VOCAB }, (_, v) => Number(v === id))),
      ),
      [4, LENGTH, VOCAB],
    );

  it("the velocity is E[x₁ − x₀ | I_t], the noise E[x₀ | I_t]: by enumeration of the corpus", () => {
    fc.assert(
      fc.property(states, values(ROWS, 0, 0.9), (x, t) => {
        const result = evaluate({ x, t: column(t) }, (input) => ({
          velocity: oracle.velocity(input.x, input.t),
          noise: oracle.noise(input.x, input.t),
        }));
        const expected = t.map((time, row) => {
          const state = list(x).slice(row * LENGTH * VOCAB, (row + 1) * LENGTH * VOCAB);
          const candidates = corpus.sequences.map((sequence, k) => {
            const clean = sequence.flatMap((id) => Array.from({ length: VOCAB }, (_, v) => Number(v === id)));
            const noise = state.map((value, i) => (value - time * (clean[i] ?? NaN)) / (1 - time));
            return {
              clean,
              noise,
              logWeight: Math.log(corpus.weights[k] ?? NaN) - noise.reduce((a, z) => a + z * z, 0) / 2,
            };
          });
          const top = Math.max(...candidates.map(({ logWeight }) => logWeight));
          const mass = candidates.reduce((a, { logWeight }) => a + Math.exp(logWeight - top), 0);
          const average = (pick: (candidate: (typeof candidates)[number], i: number) => number): number[] =>
            state.map((_, i) =>
              candidates.reduce(
                (a, candidate) => a + (Math.exp(candidate.logWeight - top) / mass) * pick(candidate, i),
                0,
              ),
            );
          return {
            velocity: average(({ clean, noise }, i) => (clean[i] ?? NaN) - (noise[i] ?? NaN)),
            noise: average(({ noise }, i) => noise[i] ?? NaN),
          };
        });
        expect(
          distance(
            result.velocity.data,
            expected.flatMap((row) => row.velocity),
          ),
        ).toBeLessThan(1e-8);
        expect(
          distance(
            result.noise.data,
            expected.flatMap((row) => row.noise),
          ),
        ).toBeLessThan(1e-8);
      }),
    );
  });

  it("the score is the gradient of the log density, and the noise −(1 − t) times it", () => {
    fc.assert(
      fc.property(states, values(ROWS, 0, 0.9), (x, t) => {
        const { slope, fields, noise } = evaluate({ x, t: column(t) }, (input) => {
          /** log Σ_k π_k N(x; t y_k, (1−t)²) but for a constant of x. */
          const logDensity = (state: Tensor): Tensor<[]> => {
            const gaps: Tensor = sub(
              expandDims(state, 1),
              mul(expandDims(perRow(input.t), 1), expandDims(oneHotSequences(), 0)),
            );
            const energy: Tensor = div(
              sum(square(gaps), [2, 3]),
              mul(expandDims(square(sub(1, input.t) as Tensor), 1), 2),
            );
            return sum(
              logSumExp(
                sub(
                  constant(
                    corpus.weights.map((w) => Math.log(w / total)),
                    [4],
                  ),
                  energy,
                ) as Tensor,
                1,
              ),
            );
          };
          return {
            slope: grad(logDensity)(input.x),
            fields: oracle.score(input.x, input.t),
            noise: div(neg(oracle.noise(input.x, input.t)), perRow(sub(1, input.t) as Tensor)),
          };
        });
        expect(distance(fields.data, slope.data)).toBeLessThan(1e-7);
        expect(distance(noise.data, slope.data)).toBeLessThan(1e-7);
      }),
    );
  });

  it("E[I_t] = t E[x₁], Var[I_t | x₁] = (1 − t)², and x₁ − x₀ − b_t(I_t) is orthogonal to functions of I_t: by Monte Carlo", () => {
    const count = 20_000;
    const t = 0.45;
    const result = constants(() => {
      const [which, noiseKey] = random.split(random.key(2026), 2);
      const logits = constant(corpus.weights.map(Math.log), [4]);
      const clean: Tensor = gather(
        oneHotSequences(),
        random.categorical(which, broadcastTo(logits, [count, 4]) as Tensor<[number, number], "f32">),
      );
      const noise: Tensor = random.normal(noiseKey, [count, LENGTH, VOCAB]);
      const times: Tensor = add(mul(sum(noise, [1, 2]), 0), t);
      const state = interpolate(noise, clean, times);
      const residual: Tensor = sub(sub(clean, noise) as Tensor, oracle.velocity(state, times));
      const probes: readonly Tensor[] = [
        residual,
        mul(residual, state),
        mul(residual, exp(neg(square(state)))),
      ];
      return {
        mean: mean(sub(state, mul(clean, t)) as Tensor, 0),
        variance: mean(square(sub(state, mul(clean, t)) as Tensor), 0),
        probes: probes.map((probe) => ({ mean: mean(probe, 0), square: mean(square(probe), 0) })),
      };
    });
    const sigma = (1 - t) / Math.sqrt(count);
    for (const value of list(result.mean)) expect(Math.abs(value)).toBeLessThan(5 * sigma);
    for (const value of list(result.variance))
      expect(Math.abs(value / (1 - t) ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    for (const probe of result.probes) {
      list(probe.mean).forEach((value, i) => {
        const error = Math.sqrt(((probe.square.data[i] ?? NaN) - value ** 2) / count);
        expect(Math.abs(value)).toBeLessThan(5 * error);
      });
    }
  });

  it("group 4: cross-entropy minus entropy is the divergence, and at the posterior its gradient averages to 0", () => {
    const count = 20_000;
    const result = constants(() => {
      const [which, noiseKey, timeKey] = random.split(random.key(7), 3);
      const clean: Tensor = gather(
        oneHotSequences(),
        random.categorical(
          which,
          broadcastTo(constant(corpus.weights.map(Math.log), [4]), [count, 4]) as Tensor<
            [number, number],
            "f32"
          >,
        ),
      );
      const times: Tensor = mul(random.uniform(timeKey, [count]), 0.9);
      const state = interpolate(random.normal(noiseKey, [count, LENGTH, VOCAB]), clean, times);
      const posterior = oracle.denoiser(state, times);
      const safe: Tensor = log(add(posterior, 1e-30));
      const crossEntropy = (logits: Tensor): Tensor<[]> =>
        sum(sub(logSumExp(logits, 2), sum(mul(clean, logits) as Tensor, 2)) as Tensor) as Tensor<[]>;
      const slope: Tensor = grad(crossEntropy)(safe);
      return {
        mean: mean(slope, 0),
        square: mean(square(slope), 0),
        weighted: mean(mul(slope, state) as Tensor, 0),
        weightedSquare: mean(square(mul(slope, state) as Tensor), 0),
      };
    });
    for (const [average, squares] of [
      [result.mean, result.square],
      [result.weighted, result.weightedSquare],
    ] as const) {
      list(average).forEach((value, i) =>
        expect(Math.abs(value)).toBeLessThan(5 * Math.sqrt((squares.data[i] ?? NaN) / count) + 1e-12),
      );
    }
    fc.assert(
      fc.property(states, states, (p, q) => {
        const { gap, divergence } = evaluate({ p, q }, (input) => {
          const logP: Tensor = sub(input.p, expandDims(logSumExp(input.p, 2), 2));
          const logQ: Tensor = sub(input.q, expandDims(logSumExp(input.q, 2), 2));
          const target: Tensor = exp(logP);
          const crossEntropy = neg(sum(mul(target, logQ) as Tensor, 2));
          const entropy = neg(sum(mul(target, logP) as Tensor, 2));
          return {
            gap: sub(crossEntropy, entropy),
            divergence: sum(mul(target, sub(logP, logQ) as Tensor) as Tensor, 2),
          };
        });
        expect(distance(gap.data, divergence.data)).toBeLessThan(1e-12);
        expect(Math.min(...list(divergence))).toBeGreaterThanOrEqual(-1e-12);
      }),
    );
  });
});

const sums = (tensor: ExactTensor): number[] =>
  Array.from({ length: tensor.data.length / VOCAB }, (_, i) =>
    list(tensor)
      .slice(i * VOCAB, (i + 1) * VOCAB)
      .reduce((a, b) => a + b, 0),
  );

describe("group 5: the row-sum law 1 − (1 − Σz₀)(1 − t)", () => {
  const oracle = corpusOracle({
    vocab: VOCAB,
    sequences: [
      [0, 1],
      [2, 3],
      [4, 1],
    ],
  });

  it("holds exactly for Euler steps in convex form and for the flow map", () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 1, max: 9 }), (z0, steps) => {
        const schedule = eulerSchedule(uniformClock(), steps);
        let state = z0;
        schedule.forEach((step, i) => {
          state = evaluate(
            { state, tau: column(Array(ROWS).fill(step.tau)) },
            (input) =>
              add(
                mul(input.state, step.state),
                mul(oracle.denoiser(input.state, input.tau), step.denoiser),
              ) as Tensor,
          );
          expect(
            distance(
              sums(state),
              sums(z0).map((sum0) => 1 - (1 - sum0) * (1 - (i + 1) / steps)),
            ),
          ).toBeLessThan(1e-12);
        });
        const t = [0, 0.3, 0.99, 1];
        const jumped = evaluate({ z0, s: column([0, 0, 0, 0]), t: column(t) }, (input) =>
          oracle.flowMap(input.z0, input.s, input.t, { steps: 16 }),
        );
        const expected = sums(z0).map((sum0, i) => 1 - (1 - sum0) * (1 - (t[Math.floor(i / LENGTH)] ?? NaN)));
        expect(distance(sums(jumped), expected)).toBeLessThan(1e-12);
      }),
      { numRuns: 20 },
    );
  });
});

describe("group 6: map, denoiser and velocity determine one another", () => {
  it("X ↔ δ ↔ v round trips", () => {
    fc.assert(
      fc.property(states, states, cuts, (x, d, { s, t }) => {
        const result = evaluate({ x, d, s, t }, (input) => {
          const X = flowMap(input.x, input.d, input.s, input.t);
          const v = velocity(input.x, input.d, input.s);
          return {
            fromMap: denoiserOfFlowMap(input.x, X, input.s, input.t),
            fromVelocity: denoiserOfVelocity(input.x, v, input.s),
            moved: sub(add(input.x, mul(perRow(sub(input.t, input.s) as Tensor), v)) as Tensor, X),
            still: flowMap(input.x, input.d, input.s, input.s),
            end: flowMap(input.x, input.d, input.s, add(mul(input.t, 0), 1) as Tensor),
          };
        });
        expect(distance(result.fromMap.data, d.data)).toBeLessThan(1e-10);
        expect(distance(result.fromVelocity.data, d.data)).toBeLessThan(1e-12);
        expect(distance(result.moved.data, Array(SIZE).fill(0))).toBeLessThan(1e-12);
        expect(distance(result.still.data, x.data)).toBeLessThan(1e-15);
        expect(distance(result.end.data, d.data)).toBeLessThan(1e-15);
      }),
    );
  });

  it("the oracle's δ is a distribution in every row", () => {
    const oracle = corpusOracle({
      vocab: VOCAB,
      sequences: [
        [0, 1],
        [2, 3],
        [4, 1],
      ],
      weights: [1, 2, 5],
    });
    fc.assert(
      fc.property(states, cuts, (x, { s, t }) => {
        const delta = evaluate({ x, s, t }, (input) =>
          oracle.twoTimeDenoiser(input.x, input.s, input.t, { steps: 16 }),
        );
        expect(Math.min(...list(delta))).toBeGreaterThanOrEqual(0);
        expect(distance(sums(delta), Array(ROWS * LENGTH).fill(1))).toBeLessThan(1e-12);
      }),
      { numRuns: 20 },
    );
  });
});

describe("group 7: the semigroup weight", () => {
  it("is that of the numbers, within [0, 1], with its limits and its midpoint form", () => {
    fc.assert(
      fc.property(cuts, ({ s, a: u, t }) => {
        const ones = column([1, 1, 1, 1]);
        const result = evaluate({ s, u, t, ones }, (input) => ({
          gamma: semigroupWeights(input.s, input.u, input.t),
          floored: semigroupWeights(input.s, input.u, input.t, 1e-8),
          atStart: semigroupWeights(input.s, input.s, input.t),
          atEnd: semigroupWeights(input.s, input.t, input.t),
          toData: semigroupWeights(input.s, input.u, input.ones),
          middle: semigroupWeights(input.s, mul(add(input.s, input.t), 0.5) as Tensor, input.t),
        }));
        const rows = [0, 1, 2, 3].map(
          (row) => [s.data[row], u.data[row], t.data[row]] as [number, number, number],
        );
        expect(
          distance(
            result.gamma.data,
            rows.map((row) => semigroupWeight(...row)),
          ),
        ).toBeLessThan(1e-13);
        expect(
          distance(
            result.floored.data,
            rows.map((row) => semigroupWeight(...row, 1e-8)),
          ),
        ).toBeLessThan(1e-13);
        expect(list(result.gamma).every((gamma) => gamma >= 0 && gamma <= 1)).toBe(true);
        expect(list(result.floored).every((gamma, i) => gamma < (result.gamma.data[i] ?? NaN))).toBe(true);
        expect(list(result.atStart)).toEqual([0, 0, 0, 0]);
        expect(distance(result.atEnd.data, [1, 1, 1, 1])).toBeLessThan(1e-13);
        expect(list(result.toData)).toEqual([0, 0, 0, 0]);
        expect(
          distance(
            result.middle.data,
            rows.map(([from, , to]) => (1 - to) / (2 - from - to)),
          ),
        ).toBeLessThan(1e-13);
      }),
    );
  });

  it("u → s and u → t: the target becomes δ_{s,t}", () => {
    const oracle = corpusOracle({
      vocab: VOCAB,
      sequences: [
        [0, 1],
        [2, 3],
      ],
    });
    fc.assert(
      fc.property(states, cuts, (x, { s, t }) => {
        const { gaps, unresolved } = evaluate({ x, s, t }, (input) => {
          const delta = (from: Tensor, to: Tensor, state: Tensor): Tensor =>
            oracle.twoTimeDenoiser(state, from, to, { steps: 48 });
          const through = (u: Tensor): Tensor => {
            const target = semigroup(
              delta(input.s, u, input.x),
              delta(u, input.t, oracle.flowMap(input.x, input.s, u, { steps: 48 })),
              semigroupWeights(input.s, u, input.t),
            );
            return sub(target, delta(input.s, input.t, input.x));
          };
          const span: Tensor = sub(input.t, input.s);
          const whole = (steps: number): Tensor =>
            oracle.twoTimeDenoiser(input.x, input.s, input.t, { steps });
          return {
            // Near a tie between the sequences the flow tears states apart, and no number of steps resolves it.
            unresolved: sub(whole(48), whole(96)),
            gaps: [
              through(add(input.s, mul(span, 1e-6)) as Tensor),
              through(sub(input.t, mul(span, 1e-6)) as Tensor),
            ] as const,
          };
        });
        fc.pre(Math.max(...list(unresolved).map(Math.abs)) < 1e-6);
        for (const gap of gaps) expect(Math.max(...list(gap).map(Math.abs))).toBeLessThan(1e-4);
      }),
      { numRuns: 3 },
    );
  });
});

describe("groups 8 and 9: composition, for any denoisers whatever", () => {
  it("the map of the target is the second map after the first", () => {
    fc.assert(
      fc.property(states, states, states, cuts, (x, first, second, { s, a: u, t }) => {
        const gap = evaluate({ x, first, second, s, u, t }, (input) => {
          const middle = flowMap(input.x, input.first, input.s, input.u);
          const target = semigroup(input.first, input.second, semigroupWeights(input.s, input.u, input.t));
          return sub(
            flowMap(input.x, target, input.s, input.t),
            flowMap(middle, input.second, input.u, input.t),
          );
        });
        expect(Math.max(...list(gap).map(Math.abs))).toBeLessThan(1e-12);
      }),
    );
  });

  it("three pieces give one target, whichever way they are bracketed", () => {
    fc.assert(
      fc.property(states, states, states, cuts, (first, second, third, { s, a, b, t }) => {
        const gap = evaluate({ first, second, third, s, a, b, t }, (input) => {
          const left = semigroup(
            semigroup(input.first, input.second, semigroupWeights(input.s, input.a, input.b)),
            input.third,
            semigroupWeights(input.s, input.b, input.t),
          );
          const right = semigroup(
            input.first,
            semigroup(input.second, input.third, semigroupWeights(input.a, input.b, input.t)),
            semigroupWeights(input.s, input.a, input.t),
          );
          return sub(left, right);
        });
        expect(Math.max(...list(gap).map(Math.abs))).toBeLessThan(1e-11);
      }),
    );
  });
});

describe("group 18: autoguidance", () => {
  it("strength 1 is no guidance; of denoisers and of velocities it is the same; it is affine in the strength", () => {
    fc.assert(
      fc.property(
        states,
        states,
        states,
        cuts,
        fc.double({ min: -5, max: 100, noNaN: true }),
        (x, strong, weak, { t }, eta) => {
          const result = evaluate({ x, strong, weak, t }, (input) => {
            const guided = autoguided(input.strong, input.weak, eta);
            const velocities = autoguided(
              velocity(input.x, input.strong, input.t),
              velocity(input.x, input.weak, input.t),
              eta,
            );
            const middle: Tensor = mul(
              add(
                autoguided(input.strong, input.weak, eta - 1),
                autoguided(input.strong, input.weak, eta + 1),
              ) as Tensor,
              0.5,
            );
            return {
              one: autoguided(input.strong, input.weak, 1),
              spaces: sub(velocity(input.x, guided, input.t), velocities),
              affine: sub(guided, middle),
            };
          });
          expect(distance(result.one.data, strong.data)).toBeLessThan(1e-14);
          expect(Math.max(...list(result.spaces).map(Math.abs))).toBeLessThan(1e-9);
          expect(Math.max(...list(result.affine).map(Math.abs))).toBeLessThan(1e-11);
        },
      ),
    );
  });
});
