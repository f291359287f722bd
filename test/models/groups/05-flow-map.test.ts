/**
 * Groups 5 to 9 and 18, the algebra of flow maps on tensors: row sums, conversions, the semigroup weight, composition, and guidance. It
 * holds for any denoisers; where an exact one is asked for, it is that of a corpus. The same for plain numbers is in
 * test/models/flow/algebra.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  add,
  broadcastTo,
  constant,
  mul,
  onesLike,
  scan,
  softmax,
  sub,
  zerosLike,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { autoguided, denoiserOfFlowMap, denoiserOfVelocity, flowMap, perRow, semigroup, semigroupWeights, velocity } from "../../../src/models/flow/fields.ts"; // prettier-ignore
import { uniformClock } from "../../../src/models/flow/clock.ts";
import { eulerSchedule } from "../../../src/models/language/sampler.ts";
import type { SamplerStep } from "../../../src/models/language/sampler.ts";
import { trigonometric } from "../../../src/models/flow/interpolant.ts";
import { autoguided as guidedDenoiser, classifierFree } from "../../../src/models/flow/samplers/guidance.ts";
import { drift } from "../../../src/models/flow/two-time.ts";
import type { TwoTimeDenoiser } from "../../../src/models/flow/two-time.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import {
  column,
  cuts,
  deviation,
  distance,
  floats,
  largest,
  list,
  numbers,
  openTargets,
  rowSums,
} from "./support.ts";

const [ROWS, LENGTH, VOCAB] = [8, 2, 5];
const SIZE = ROWS * LENGTH * VOCAB;
const states = numbers(SIZE, -3, 3).map((data) => floats([ROWS, LENGTH, VOCAB], data));
const zeros = floats([ROWS, LENGTH, VOCAB], new Float64Array(SIZE));
const [zeroTimes, ones] = [0, 1].map((t) => column(Array<number>(ROWS).fill(t))) as [
  ReturnType<typeof column>,
  ReturnType<typeof column>,
];
const oracle = corpusOracle({ vocab: VOCAB, sequences: [[0, 1], [2, 3], [4, 1]], weights: [1, 2, 5] }); // prettier-ignore
const STEPS = { steps: 16 };

describe.each(await openTargets())("on $name", ({ prepare, within }) => {
  describe("group 5: the row-sum law 1 − (1 − Σz₀)(1 − t)", () => {
    it("holds for Euler steps in convex form and for the exact flow map", async () => {
      const schedule = eulerSchedule(uniformClock(), 8);
      const run = await prepare({ z0: zeros, t: zeroTimes }, ({ z0, t }) => {
        const from = zerosLike(t) as Tensor;
        const weights = (pick: (step: SamplerStep) => number): Tensor => constant(schedule.map(pick), [8]);
        const [, euler] = scan(
          (state: Tensor, row: { readonly [K in "tau" | "state" | "denoiser"]: Tensor }) => {
            const D = oracle.denoiser(state, broadcastTo(row.tau, [ROWS]));
            const next: Tensor = add(mul(row.state, state), mul(row.denoiser, D));
            return [next, next] as const;
          },
          z0,
          {
            tau: weights(({ tau }) => tau),
            state: weights(({ state }) => state),
            denoiser: weights(({ denoiser }) => denoiser),
          },
        );
        return { euler, jumped: oracle.flowMap(z0, from, t, STEPS) };
      });
      await fc.assert(
        fc.asyncProperty(states, numbers(ROWS - 2, 0, 0.99), async (z0, some) => {
          const t = [0, 0.99, ...some];
          const { euler, jumped } = await run({ z0, t: column(t) });
          const sumAt = (time: (row: number) => number): number[] =>
            rowSums(z0, VOCAB).map((sum, i) => 1 - (1 - sum) * (1 - time(Math.floor(i / LENGTH))));
          const tolerance = within(1e-12, 2e-5);
          expect(
            distance(
              rowSums(jumped, VOCAB),
              sumAt((row) => t[row] ?? NaN),
            ),
          ).toBeLessThan(tolerance);
          const after = schedule.flatMap((_, i) => sumAt(() => (i + 1) / 8));
          expect(distance(rowSums(euler, VOCAB), after)).toBeLessThan(tolerance);
        }),
        { numRuns: 15 },
      );
    });
  });

  describe("group 6: map, denoiser and velocity determine one another", () => {
    it("X ↔ δ ↔ v round trips; X_{s,s} = id, δ_{s,1} = X_{s,1}, for any δ", async () => {
      const run = await prepare({ x: zeros, d: zeros, s: zeroTimes, t: zeroTimes }, ({ x, d, s, t }) => {
        const X = flowMap(x, d, s, t);
        const v = velocity(x, d, s);
        return {
          fromMap: denoiserOfFlowMap(x, X, s, t),
          fromVelocity: denoiserOfVelocity(x, v, s),
          moved: sub(add(x, mul(perRow(sub(t, s) as Tensor), v)) as Tensor, X) as Tensor,
          still: flowMap(x, d, s, s),
          end: flowMap(x, d, s, onesLike(t) as Tensor),
        };
      });
      await fc.assert(
        fc.asyncProperty(states, states, cuts(ROWS), async (x, d, { s, t }) => {
          const result = await run({ x, d, s, t });
          // Divided by t − s >= 1/50.
          expect(distance(result.fromMap.data, d.data)).toBeLessThan(within(1e-10, 2e-4));
          expect(distance(result.fromVelocity.data, d.data)).toBeLessThan(within(1e-12, 5e-6));
          expect(largest(result.moved)).toBeLessThan(within(1e-12, 5e-6));
          expect(distance(result.still.data, x.data)).toBeLessThan(within(1e-15, 1e-6));
          expect(distance(result.end.data, d.data)).toBeLessThan(within(1e-15, 1e-6));
        }),
        { numRuns: 30 },
      );
    });

    it("of a corpus: δ is a distribution, δ_{t,t} = D_t, δ_{s,1} = X_{s,1}, X_{s,s} = id", async () => {
      const run = await prepare({ x: zeros, s: zeroTimes, t: zeroTimes }, ({ x, s, t }) => ({
        delta: oracle.twoTimeDenoiser(x, s, t, STEPS),
        diagonal: sub(oracle.twoTimeDenoiser(x, t, t, STEPS), oracle.denoiser(x, t)) as Tensor,
        end: sub(
          oracle.twoTimeDenoiser(x, s, onesLike(t) as Tensor, STEPS),
          oracle.flowMap(x, s, onesLike(t) as Tensor, STEPS),
        ) as Tensor,
        still: sub(oracle.flowMap(x, t, t, STEPS), x) as Tensor,
      }));
      await fc.assert(
        fc.asyncProperty(states, cuts(ROWS), async (x, { s, t }) => {
          const { delta, diagonal, end, still } = await run({ x, s, t });
          expect(Math.min(...list(delta))).toBeGreaterThanOrEqual(within(0, -1e-6));
          expect(distance(rowSums(delta, VOCAB), Array<number>(ROWS * LENGTH).fill(1))).toBeLessThan(within(1e-12, 1e-5)); // prettier-ignore
          for (const [gap, f32] of [
            [diagonal, 1e-5],
            [end, 1e-5],
            [still, 1e-5],
          ] as const)
            // prettier-ignore
            expect(largest(gap)).toBeLessThan(within(1e-12, f32));
        }),
        { numRuns: 15 },
      );
    });
  });

  describe("group 7: the semigroup weight", () => {
    it("is that of the numbers, within [0, 1], with its limits and its midpoint form", async () => {
      const run = await prepare(
        { s: zeroTimes, u: zeroTimes, t: zeroTimes, one: ones },
        ({ s, u, t, one }) => ({
          gamma: semigroupWeights(s, u, t),
          floored: semigroupWeights(s, u, t, 1e-8),
          atStart: semigroupWeights(s, s, t),
          atEnd: semigroupWeights(s, t, t),
          toData: semigroupWeights(s, u, one),
          middle: semigroupWeights(s, mul(add(s, t), 0.5) as Tensor, t),
        }),
      );
      await fc.assert(
        fc.asyncProperty(cuts(ROWS), async ({ s, a: u, t }) => {
          const result = await run({ s, u, t, one: ones });
          const rows = list(s).map(
            (from, row) => [from, u.data[row], t.data[row]] as [number, number, number],
          );
          const tolerance = within(1e-13, 1e-5);
          expect(distance(result.gamma.data, rows.map((row) => semigroupWeight(...row)))).toBeLessThan(tolerance); // prettier-ignore
          expect(distance(result.floored.data, rows.map((row) => semigroupWeight(...row, 1e-8)))).toBeLessThan(tolerance); // prettier-ignore
          expect(list(result.gamma).every((gamma) => gamma >= 0 && gamma <= 1)).toBe(true);
          expect(list(result.floored).every((gamma, i) => gamma <= (result.gamma.data[i] ?? NaN))).toBe(true);
          expect(list(result.atStart)).toEqual(list(zeroTimes));
          expect(distance(result.atEnd.data, ones.data)).toBeLessThan(tolerance);
          expect(list(result.toData)).toEqual(list(zeroTimes));
          expect(distance(result.middle.data, rows.map(([from, , to]) => (1 - to) / (2 - from - to)))).toBeLessThan(tolerance); // prettier-ignore
        }),
        { numRuns: 30 },
      );
    });

    it("u → s and u → t: the target becomes δ_{s,t}", async () => {
      const two = corpusOracle({ vocab: VOCAB, sequences: [[0, 1], [2, 3]] }); // prettier-ignore
      const run = await prepare({ x: zeros, s: zeroTimes, t: zeroTimes }, ({ x, s, t }) => {
        const delta = (from: Tensor, to: Tensor, state: Tensor): Tensor =>
          two.twoTimeDenoiser(state, from, to, { steps: 48 });
        const direct = delta(s, t, x);
        const through = (u: Tensor): Tensor => {
          const middle = two.flowMap(x, s, u, { steps: 48 });
          return sub(semigroup(delta(s, u, x), delta(u, t, middle), semigroupWeights(s, u, t)), direct);
        };
        const span: Tensor = sub(t, s);
        const near = within(1e-6, 1e-3);
        return {
          // Near a tie between the sequences the flow tears states apart, and no number of steps resolves it.
          unresolved: sub(direct, two.twoTimeDenoiser(x, s, t, { steps: 96 })) as Tensor,
          gaps: [
            through(add(s, mul(span, near)) as Tensor),
            through(sub(t, mul(span, near)) as Tensor),
          ] as const,
        };
      });
      await fc.assert(
        fc.asyncProperty(states, cuts(ROWS), async (x, { s, t }) => {
          const { gaps, unresolved } = await run({ x, s, t });
          fc.pre(largest(unresolved) < within(1e-6, 1e-4));
          for (const gap of gaps) expect(largest(gap)).toBeLessThan(within(1e-4, 2e-2));
        }),
        { numRuns: 6 },
      );
    });
  });

  describe("groups 8 and 9: composition, for any denoisers whatever", () => {
    it("the map of the target is the second map after the first; three pieces give one target, however bracketed", async () => {
      const like = { x: zeros, d1: zeros, d2: zeros, d3: zeros, s: zeroTimes, a: zeroTimes, b: zeroTimes, t: zeroTimes }; // prettier-ignore
      const run = await prepare(like, ({ x, d1, d2, d3, s, a, b, t }) => {
        const target = semigroup(d1, d2, semigroupWeights(s, a, t));
        const left = semigroup(semigroup(d1, d2, semigroupWeights(s, a, b)), d3, semigroupWeights(s, b, t));
        const right = semigroup(d1, semigroup(d2, d3, semigroupWeights(a, b, t)), semigroupWeights(s, a, t));
        return {
          composed: sub(flowMap(x, target, s, t), flowMap(flowMap(x, d1, s, a), d2, a, t)) as Tensor,
          bracketed: sub(left, right) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(states, states, states, states, cuts(ROWS), async (x, d1, d2, d3, times) => {
          const { composed, bracketed } = await run({ x, d1, d2, d3, ...times });
          expect(largest(composed)).toBeLessThan(within(1e-12, 1e-5));
          expect(largest(bracketed)).toBeLessThan(within(1e-11, 5e-5));
        }),
        { numRuns: 30 },
      );
    });
  });

  describe("group 18: autoguidance", () => {
    it("strength 1 is no guidance; of denoisers and of velocities it is the same; it is affine in the strength", async () => {
      const etas = [-5, 0, 1, 2.5, 50, 100];
      const like = { x: zeros, strong: zeros, weak: zeros, t: zeroTimes };
      const run = await prepare(like, ({ x, strong, weak, t }) => {
        const [fast, slow] = [velocity(x, strong, t), velocity(x, weak, t)];
        return {
          guided: etas.map((eta) => autoguided(strong, weak, eta)),
          spaces: etas.map((eta) => [
            velocity(x, autoguided(strong, weak, eta), t),
            autoguided(fast, slow, eta),
          ]),
        };
      });
      await fc.assert(
        fc.asyncProperty(states, states, states, cuts(ROWS), async (x, strong, weak, { t }) => {
          const { guided, spaces } = await run({ x, strong, weak, t });
          guided.forEach((found, i) => {
            const eta = etas[i] ?? NaN;
            const wanted = list(weak).map((w, j) => w + eta * ((strong.data[j] ?? NaN) - w));
            expect(deviation(found.data, wanted)).toBeLessThan(within(1e-13, 5e-5));
          });
          expect(distance(guided[1]?.data ?? [], weak.data)).toBe(0);
          expect(distance(guided[2]?.data ?? [], strong.data)).toBeLessThan(within(1e-14, 1e-6));
          for (const [a, b] of spaces)
            expect(deviation(a?.data ?? [], list(b ?? zeros))).toBeLessThan(within(1e-11, 2e-3));
        }),
        { numRuns: 30 },
      );
    });

    it("of denoisers as samplers take them, in points and in logits, p ∝ p_weak (p_strong/p_weak)^η", async () => {
      const etas = [0, 1, 3] as const;
      const run = await prepare(
        { x: zeros, strong: zeros, weak: zeros, t: zeroTimes },
        ({ x, strong, weak, t }) => {
          const time = { t, tau: t, rate: onesLike(t) as Tensor };
          /** A denoiser that says the same of every state. */
          const saying = (logits: Tensor): TwoTimeDenoiser => ({
            interpolant: trigonometric,
            point: (value) => value,
            logits: () => logits,
            denoiser: () => softmax(logits),
          });
          const [better, worse] = [saying(strong), saying(weak)];
          const guided = (form: "points" | "logits", eta: number): Tensor =>
            guidedDenoiser(better, worse, eta, { form }).denoiser(x, time, time);
          const moving = (value: Tensor): Tensor => drift(trigonometric, x, value, time);
          return {
            strong: better.denoiser(x, time, time),
            weak: worse.denoiser(x, time, time),
            points: etas.map((eta) => guided("points", eta)),
            logits: etas.map((eta) => guided("logits", eta)),
            same: guided("logits", 7),
            free: sub(
              classifierFree(better, worse, 3).denoiser(x, time, time),
              guided("points", 3),
            ) as Tensor,
            velocities: etas.map((eta) => moving(guided("points", eta))),
            both: [moving(better.denoiser(x, time, time)), moving(worse.denoiser(x, time, time))],
          };
        },
      );
      await fc.assert(
        fc.asyncProperty(states, states, states, cuts(ROWS), async (x, strong, weak, { t }) => {
          const r = await run({ x, strong, weak, t });
          const [p, q] = [list(r.strong), list(r.weak)];
          etas.forEach((eta, i) => {
            const points = q.map((w, j) => w + eta * ((p[j] ?? NaN) - w));
            expect(distance(r.points[i]?.data ?? [], points)).toBeLessThan(within(1e-14, 2e-6));
            const powers = q.map((w, j) => w * ((p[j] ?? NaN) / w) ** eta);
            const sums = rowSums({ ...x, data: Float64Array.from(powers) }, VOCAB);
            const shares = powers.map((w, j) => w / (sums[Math.floor(j / VOCAB)] ?? NaN));
            expect(distance(r.logits[i]?.data ?? [], shares)).toBeLessThan(within(1e-12, 1e-5));
            const [b, c] = r.both.map(list);
            const wanted = (c ?? []).map((w, j) => w + eta * ((b?.[j] ?? NaN) - w));
            expect(deviation(r.velocities[i]?.data ?? [], wanted)).toBeLessThan(within(1e-11, 1e-3));
          });
          expect(distance(rowSums(r.same, VOCAB), Array<number>(ROWS * LENGTH).fill(1))).toBeLessThan(
            within(1e-12, 2e-6),
          );
          expect(largest(r.free)).toBe(0);
        }),
        { numRuns: 20 },
      );
    });
  });
});
