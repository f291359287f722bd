/**
 * Group 1, the schedule, in programs: the decoding error by quadrature and by simulated rows, its rate by differentiation, and declared
 * clocks. A clock itself is a function of plain numbers on the host, the same whatever the device: its table, its inverse and its link to
 * Duo are in test/models/flow/clock.test.ts. Group 2, stratified times, is all on the host: test/models/flow/times.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, argmax, cast, div, equal, erf, exp, expandDims, full, iota, jvp, log, maximum, mean, mul, oneHot, onesLike, random, sin, square, sub, sum } from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../src/dsl/index.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { clock as declared } from "../../../src/models/flow/clock-declared.ts";
import { interpolate } from "../../../src/models/flow/fields.ts";
import { column, deviation, distance, list, numbers, openTargets, words } from "./support.ts";

const ROWS = 16;
const VOCABS = [2, 5, 300] as const;
const CLOCKS = VOCABS.map((vocab) => decodingError({ vocab }));
const like = { t: column(Array<number>(ROWS).fill(0)) };

/** Trapezoids of the density of N(0, 1) on [−10, 10], which sum to 1. */
const NODES = 641;
const STEP = 20 / (NODES - 1);

/** τ(t) = V/(V−1) (E[Φ(z + t/(1−t))^(V−1)] − 1/V), [rows]. */
function quadrature(vocab: number, t: Tensor): Tensor {
  const z: Tensor = sub(mul(iota([NODES], "f32"), STEP), 10);
  const weights: Tensor = mul(exp(mul(square(z), -0.5)), STEP / Math.sqrt(2 * Math.PI));
  const shifted: Tensor = add(expandDims(div(t, sub(1, t)) as Tensor, 1), z);
  const below: Tensor = mul(add(erf(mul(shifted, Math.SQRT1_2)), 1), 0.5);
  const wins: Tensor = exp(mul(log(maximum(below, 1e-30)), vocab - 1));
  return mul(sub(sum(mul(weights, wins) as Tensor, 1), 1 / vocab), vocab / (vocab - 1));
}

describe.each(await openTargets())("group 1 on $name", ({ prepare, within }) => {
  it("the decoding error and its rate are those of a quadrature and its derivative; V = 2 has a closed form", async () => {
    const run = await prepare(like, ({ t }) => ({
      curves: VOCABS.map((vocab) => jvp((at: Tensor) => quadrature(vocab, at), [t], [onesLike(t)])),
      closed: erf(mul(div(t, sub(1, t)), 0.5)) as Tensor,
    }));
    await fc.assert(
      fc.asyncProperty(numbers(ROWS, 0, 0.85), async (times) => {
        const { curves, closed } = await run({ t: column(times) });
        CLOCKS.forEach((clock, i) => {
          const { value, tangent } = curves[i] as (typeof curves)[number]; // one curve for each clock
          expect(distance(value.data, times.map((t) => clock.tau(t)))).toBeLessThan(within(1e-12, 1e-5)); // prettier-ignore
          expect(deviation(tangent.data, times.map((t) => clock.dTau(t)))).toBeLessThan(within(1e-10, 1e-4)); // prettier-ignore
        });
        expect(distance(closed.data, times.map((t) => CLOCKS[0]?.tau(t) ?? NaN))).toBeLessThan(within(1e-14, 2e-6)); // prettier-ignore
      }),
      { numRuns: 4 },
    );
  });

  it("it is the share of rows whose largest entry is not their token, whichever token it is", async () => {
    const [vocab, draws] = [5, 6000];
    const times = [0.15, 0.3, 0.45, 0.6].map(Math.fround);
    const inputs = { t: column(times), key: words([2], [26, 2]) };
    const run = await prepare(inputs, ({ t, key }) => ({
      errors: [0, 3].map((token): Tensor => {
        const noise: Tensor = random.normal(random.foldIn(key as random.Key, token), [
          times.length,
          draws,
          vocab,
        ]);
        const tokens = full([times.length, draws], token, "i32");
        const state = interpolate(noise, oneHot(tokens, vocab), t);
        return sub(1, mean(cast(equal(argmax(state, 2), tokens), "f32"), 1)) as Tensor;
      }),
    }));
    const { errors } = await run(inputs);
    times.forEach((t, i) => {
      const expected = ((vocab - 1) / vocab) * (CLOCKS[1]?.remaining(t) ?? NaN);
      const spread = Math.sqrt((expected * (1 - expected)) / draws);
      for (const found of errors)
        expect(Math.abs((found.data[i] ?? NaN) - expected)).toBeLessThan(4 * spread);
    });
  });

  it("a declared clock says in a program what it says on the host, its rate too, and the inverse leads back", async () => {
    const curves = {
      cosine: (t: Tensor): Tensor => square(sin(mul(t, Math.PI / 2))),
      exponential: (t: Tensor): Tensor => mul(sub(exp(t), 1), 1 / (Math.E - 1)),
      wave: (t: Tensor): Tensor => add(t, mul(sin(mul(t, 2 * Math.PI)), 0.1)),
    };
    const clocks = Object.entries(curves).map(([name, tau]) => declared({ name, tau }));
    const run = await prepare(like, ({ t }) =>
      Object.values(curves).map((tau) => jvp((at: Tensor) => tau(at), [t], [onesLike(t)])),
    );
    await fc.assert(
      fc.asyncProperty(numbers(ROWS, 0, 1), async (times) => {
        const found = await run({ t: column(times) });
        clocks.forEach((clock, i) => {
          expect(distance(found[i]?.value.data ?? [], times.map((t) => clock.tau(t)))).toBeLessThan(within(1e-14, 2e-6)); // prettier-ignore
          expect(distance(found[i]?.tangent.data ?? [], times.map((t) => clock.dTau(t)))).toBeLessThan(within(1e-13, 5e-6)); // prettier-ignore
        });
        for (const [i, clock] of clocks.entries()) {
          const back = await run({ t: column(times.map((tau) => clock.time(tau))) });
          expect(distance(list(back[i]?.value ?? like.t), times)).toBeLessThan(within(1e-13, 2e-6));
        }
      }),
      { numRuns: 4 },
    );
  });
});
