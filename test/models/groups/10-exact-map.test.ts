/**
 * Groups 10 and 11, the identities of a flow map, which the exact map of a corpus fulfils: semigroup, Lagrangian, Eulerian, the average of
 * denoisers, the order of Euler's method, and the targets in logits of Discrete Flow Maps. What objectives say of the exact map under other
 * interpolants and sources is in test/models/flow/objectives/oracle.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, broadcastTo, constant, div, grad, jvp, log, mul, onesLike, scan, slice, softmax, square, sub, sum } from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../src/dsl/index.ts";
import { flowMap, perRow, semigroup, semigroupWeights, velocity } from "../../../src/models/flow/fields.ts";
import { linear } from "../../../src/models/flow/interpolant.ts";
import { eulerianLogits } from "../../../src/models/flow/objectives/eulerian.ts";
import { lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { oracleMap } from "../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { diagonalOf } from "../../../src/models/flow/two-time.ts";
import type { Time, TwoTimeDenoiser } from "../../../src/models/flow/two-time.ts";
import { column, distance, floats, largest, numbers, openTargets } from "./support.ts";

const ROWS = 8;
const corpora = {
  "one token of three": { vocab: 3, sequences: [[0], [1], [2]], weights: [5, 3, 2] },
  "two phrases": { vocab: 4, sequences: [[0, 1], [2, 3]], weights: [1, 1] },
  "four uneven texts": { vocab: 5, sequences: [[0, 1, 2], [2, 3, 0], [2, 3, 4], [1, 1, 1]], weights: [4, 1, 2, 3] },
} as const; // prettier-ignore
type Name = keyof typeof corpora;

/** A corpus with inputs for its programs: rows of states and times 0 <= s < u < t <= 0.9. */
function worldOf(name: Name) {
  const corpus = corpora[name];
  const oracle = corpusOracle(corpus);
  const [length, vocab] = [oracle.length, oracle.vocab];
  const cases = fc
    .record({
      state: numbers(ROWS * length * vocab, -2, 2),
      s: numbers(ROWS, 0, 0.6),
      length: numbers(ROWS, 0.05, 0.4),
      share: numbers(ROWS, 0.05, 0.9),
    })
    .map(({ state, s, length: lengths, share }) => {
      const t = s.map((from, i) => Math.fround(Math.min(0.9, from + (lengths[i] ?? NaN))));
      const u = s.map((from, i) => Math.fround(from + (share[i] ?? NaN) * ((t[i] ?? NaN) - from)));
      return { x: floats([ROWS, length, vocab], state), s: column(s), u: column(u), t: column(t) };
    });
  const none = column(Array<number>(ROWS).fill(0));
  const like = { x: floats([ROWS, length, vocab], new Float64Array(ROWS * length * vocab)), s: none, u: none, t: none }; // prettier-ignore
  return { oracle, cases, like };
}

/** Runge-Kutta steps: more where doubles show what they are for. */
const stepsOf = (name: string) => ({ steps: name === "interpreter" ? 128 : 32 });

describe.each(await openTargets())("on $name", ({ name: device, prepare, within }) => {
  const STEPS = stepsOf(device);
  // Devices get the corpus that has the most to it; programs of the others differ in sizes alone.
  const names: readonly Name[] =
    device === "interpreter" ? (Object.keys(corpora) as Name[]) : ["four uneven texts"];

  describe.each(names)("group 10: the exact map of %s", (name) => {
    const { oracle, cases, like } = worldOf(name);
    /**
     * Cases whose integration has converged. Near a tie between sequences the flow itself tears states apart, by e^{m²/2} up to
     * signal to noise m, and no number of steps would resolve it.
     */
    const resolution = ({ x, s, t }: { readonly [K in "x" | "s" | "t"]: Tensor }): Tensor =>
      sub(oracle.flowMap(x, s, t, STEPS), oracle.flowMap(x, s, t, { steps: 2 * STEPS.steps }));
    const RUNS = { numRuns: device === "interpreter" ? 1 : 2, endOnFailure: true };
    const resolved = within(1e-8, 3e-5);

    it("semigroup, as maps and as denoisers", async () => {
      const run = await prepare(like, (inputs) => {
        const { x, s, u, t } = inputs;
        const middle = oracle.flowMap(x, s, u, STEPS);
        const [first, second] = [
          oracle.twoTimeDenoiser(x, s, u, STEPS),
          oracle.twoTimeDenoiser(middle, u, t, STEPS),
        ];
        const target = semigroup(first, second, semigroupWeights(s, u, t));
        const direct = oracle.twoTimeDenoiser(x, s, t, STEPS);
        return {
          change: resolution(inputs),
          maps: sub(flowMap(middle, second, u, t), flowMap(x, direct, s, t)) as Tensor,
          denoisers: sub(target, direct) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, maps, denoisers } = await run(inputs);
          fc.pre(largest(change) < resolved);
          expect(largest(maps)).toBeLessThan(within(1e-7, 1e-4));
          expect(largest(denoisers)).toBeLessThan(within(1e-7, 2e-4));
        }),
        RUNS,
      );
    });

    it("Lagrangian: ∂_t X = b_t(X), and for δ", async () => {
      const run = await prepare(like, (inputs) => {
        const { x, s, t } = inputs;
        const delta = jvp((time: Tensor) => oracle.twoTimeDenoiser(x, s, time, STEPS), [t], [onesLike(t)]);
        const X = jvp((time: Tensor, d: Tensor) => flowMap(x, d, s, time), [t, delta.value], [onesLike(t), delta.tangent]); // prettier-ignore
        const factor: Tensor = div(mul(sub(1, t), sub(t, s)), sub(1, s));
        return {
          change: resolution(inputs),
          map: sub(X.tangent, oracle.velocity(X.value, t)) as Tensor,
          denoiser: sub(
            delta.value,
            sub(oracle.denoiser(X.value, t), mul(perRow(factor), delta.tangent)),
          ) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, map, denoiser } = await run(inputs);
          fc.pre(largest(change) < resolved);
          expect(largest(map)).toBeLessThan(within(1e-6, 1e-2));
          expect(largest(denoiser)).toBeLessThan(within(1e-6, 2e-3));
        }),
        RUNS,
      );
    });

    it("Eulerian: ∂_s X + ∇X·b_s = 0, and for δ", async () => {
      const run = await prepare(like, (inputs) => {
        const { x, s, t } = inputs;
        const D = oracle.denoiser(x, s);
        // (1−s) ∂_s δ + ∇δ·(D_s − x), in one direction, which is 1 − s times that of the flow.
        const along = jvp(
          (state: Tensor, time: Tensor) => oracle.twoTimeDenoiser(state, time, t, STEPS),
          [x, s],
          [sub(D, x) as Tensor, sub(1, s) as Tensor],
        );
        const map = jvp(
          (state: Tensor, time: Tensor, d: Tensor) => flowMap(state, d, time, t),
          [x, s, along.value],
          [velocity(x, D, s), onesLike(s), div(along.tangent, perRow(sub(1, s) as Tensor)) as Tensor],
        );
        const factor: Tensor = div(sub(t, s), sub(1, t));
        return {
          change: resolution(inputs),
          map: map.tangent,
          denoiser: sub(along.value, add(D, mul(perRow(factor), along.tangent))) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, map, denoiser } = await run(inputs);
          fc.pre(largest(change) < resolved);
          expect(largest(map)).toBeLessThan(within(1e-6, 1e-2));
          expect(largest(denoiser)).toBeLessThan(within(1e-5, 1e-2));
        }),
        RUNS,
      );
    });

    it("δ is the average of D along the flow, with weights (1−s)(1−t)/((t−s)(1−r)²) that integrate to 1", async () => {
      const count = device === "interpreter" ? 200 : 64;
      const run = await prepare(like, (inputs) => {
        const [x, s, t] = [inputs.x, inputs.s, inputs.t].map((rows) => slice(rows, 0, 0, 1)) as [
          Tensor,
          Tensor,
          Tensor,
        ];
        // Simpson's rule, one row per node.
        const rows = count + 1;
        const nodes = Array.from({ length: rows }, (_, i) => i / count);
        const simpson = nodes.map((_, i) => (i === 0 || i === count ? 1 : i % 2 === 1 ? 4 : 2) / (3 * count));
        const everyRow = (value: Tensor): Tensor => broadcastTo(value, [rows]);
        const span: Tensor = sub(everyRow(t), everyRow(s));
        const r: Tensor = add(everyRow(s), mul(span, constant(nodes, [rows])));
        const density: Tensor = div(mul(sub(1, everyRow(s)), sub(1, everyRow(t))), square(sub(1, r)));
        const states = oracle.flowMap(broadcastTo(x, [rows, oracle.length, oracle.vocab]), everyRow(s), r, {
          steps: device === "interpreter" ? 64 : 16,
        });
        const share: Tensor = mul(density, constant(simpson, [rows]));
        return {
          change: resolution(inputs),
          integral: sum(mul(perRow(share), oracle.denoiser(states, r)) as Tensor, 0),
          total: sum(share) as Tensor,
          delta: oracle.twoTimeDenoiser(x, s, t, STEPS),
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, integral, total, delta } = await run(inputs);
          fc.pre(largest(change) < resolved);
          expect(distance(total.data, [1])).toBeLessThan(within(1e-5, 3e-4));
          expect(distance(integral.data, delta.data)).toBeLessThan(within(1e-5, 1e-3));
        }),
        RUNS,
      );
    });

    it("the Euler integrator converges to X with order 1", async () => {
      const run = await prepare(like, (inputs) => {
        const { x, s, t } = inputs;
        const euler = (steps: number): Tensor => {
          const step: Tensor = div(sub(t, s), steps);
          const [[moved]] = scan(
            ([state, time]: readonly [Tensor, Tensor]) => [
              [add(state, mul(perRow(step), oracle.velocity(state, time))), add(time, step)] as const,
              null,
            ],
            [x, s] as readonly [Tensor, Tensor],
            null,
            { length: steps },
          );
          return moved;
        };
        const exact = oracle.flowMap(x, s, t, STEPS);
        return {
          change: resolution(inputs),
          coarse: sub(euler(24), exact) as Tensor,
          fine: sub(euler(96), exact) as Tensor,
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, coarse, fine } = await run(inputs);
          fc.pre(largest(change) < resolved);
          // An error that is nothing but higher orders may fall faster.
          if (largest(coarse) > within(1e-7, 1e-3))
            expect(largest(coarse) / largest(fine)).toBeGreaterThan(3);
          expect(largest(fine)).toBeLessThan(0.2);
        }),
        RUNS,
      );
    });

    if (device === "interpreter")
      it("gradients agree with central differences", async () => {
        const norm = (x: Tensor, s: Tensor, t: Tensor): Tensor<[]> =>
          sum(square(oracle.flowMap(x, s, t, { steps: 40 })));
        const slopes = await prepare(like, ({ x, s, t }) => ({
          value: norm(x, s, t) as Tensor,
          slope: grad((state: Tensor) => norm(state, s, t))(x),
        }));
        await fc.assert(
          fc.asyncProperty(cases, async (inputs) => {
            const shifted = async (by: number): Promise<number> => {
              const x = { ...inputs.x, data: inputs.x.data.map((v, i) => (i === 0 ? v + by : v)) };
              return (await slopes({ ...inputs, x })).value.data[0] ?? NaN;
            };
            const difference = ((await shifted(1e-4)) - (await shifted(-1e-4))) / 2e-4;
            const slope = (await slopes(inputs)).slope.data[0] ?? NaN;
            expect(Math.abs(difference - slope)).toBeLessThan(1e-5 * (1 + Math.abs(difference)));
          }),
          RUNS,
        );
      });
  });

  describe("group 11: targets in logits", () => {
    const { oracle, cases: wide, like } = worldOf("one token of three");
    // Where the flow has decided, D/δ is 0 to rounding for the tokens that lost, and the formulas divide 0 by it.
    const cases = wide.map(({ x, s, u, t }) => {
      const halved = <T extends typeof x>(values: T): T => ({
        ...values,
        data: values.data.map((v) => v / 2),
      });
      return { x: halved(x), s: halved(s), u: halved(u), t: halved(t) };
    });
    const time = (t: Tensor): Time => ({ t, tau: t, rate: onesLike(t) });

    it("LSD, ESD and its stable form give δ; so do the objectives", async () => {
      const map = oracleMap(oracle, linear, STEPS);
      const run = await prepare(like, (inputs) => {
        const { x, s, u, t } = inputs;
        /** A number per row that moves with everything: logits mean the same with it, and their derivatives do not. */
        const shift = (state: Tensor, from: Tensor, to: Tensor): Tensor =>
          perRow(add(sub(mul(to, 2), mul(from, 3)), sum(state, [1, 2])) as Tensor);
        const logits = (state: Tensor, from: Tensor, to: Tensor): Tensor =>
          add(log(oracle.twoTimeDenoiser(state, from, to, STEPS)), shift(state, from, to));
        const centered = (rate: Tensor, delta: Tensor): Tensor =>
          sub(rate, sum(mul(delta, rate) as Tensor, 2, { keepDims: true }));
        // LSD: softmax(z_{t,t}(X) − log(1 + c (ż − ⟨δ, ż⟩))), c = (t−s)(1−t)/(1−s), ż = ∂_t z.
        const forward = jvp((to: Tensor) => logits(x, s, to), [t], [onesLike(t)]);
        const delta: Tensor = softmax(forward.value);
        const c: Tensor = div(mul(sub(t, s), sub(1, t)), sub(1, s));
        const there = log(oracle.denoiser(flowMap(x, delta, s, t), t));
        const lsd = softmax(
          sub(there, log(add(1, mul(perRow(c), centered(forward.tangent, delta))))) as Tensor,
        );
        // ESD: softmax(z_{s,s} − log(1 − κ⁻¹ (Dz − ⟨δ, Dz⟩))), κ = (1−t)/((1−s)(t−s)), D = ∂_s + b_s·∇.
        const D = oracle.denoiser(x, s);
        const along = jvp(
          (state: Tensor, from: Tensor) => logits(state, from, t),
          [x, s],
          [velocity(x, D, s), onesLike(s)],
        ).tangent;
        const kappa: Tensor = div(sub(1, t), mul(sub(1, s), sub(t, s)));
        const moved = centered(along, delta);
        const esd = softmax(sub(log(D), log(sub(1, div(moved, perRow(kappa))))) as Tensor);
        const rest: Tensor = sub(
          perRow(sub(1, t) as Tensor),
          mul(perRow(mul(sub(1, s), sub(t, s)) as Tensor), moved),
        );
        const stable = softmax(sub(log(D), log(rest)) as Tensor);
        const rows = { x, s: time(s), u: time(u), t: time(t) };
        const student: TwoTimeDenoiser = { ...map, logits: (y, from, to) => logits(y, from.t, to.t) };
        const targets = { student, instant: diagonalOf(map) };
        return {
          change: sub(delta, oracle.twoTimeDenoiser(x, s, t, { steps: 2 * STEPS.steps })) as Tensor,
          gaps: [lsd, esd, stable].map((target): Tensor => sub(target, delta)),
          objectives: [lagrangianLogits(), eulerianLogits()].map((objective): Tensor =>
            sub(objective.target(targets, rows), delta),
          ),
        };
      });
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { change, gaps, objectives } = await run(inputs);
          fc.pre(largest(change) < within(1e-8, 3e-5));
          for (const gap of gaps) expect(largest(gap)).toBeLessThan(within(1e-6, 1e-3));
          for (const gap of objectives) expect(largest(gap)).toBeLessThan(within(1e-6, 1e-3));
        }),
        { numRuns: 2, endOnFailure: true },
      );
    });
  });
});
