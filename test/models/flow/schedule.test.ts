/** Per-token times: what schedules say, that states follow the base interpolant at each token's own time, rates, and refusals. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { constant, div, jvp, mul, onesLike, reshape } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { linear, pointAt, trigonometric } from "../../../src/models/flow/interpolant.ts";
import { jump, moved, semigroupWeights } from "../../../src/models/flow/jump.ts";
import { lagrangian, lagrangianLogits } from "../../../src/models/flow/objectives/lagrangian.ts";
import { semigroup } from "../../../src/models/flow/objectives/semigroup.ts";
import { oracleMap } from "../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../src/models/flow/oracle.ts";
import { anyOrder, blockCausal, positioned } from "../../../src/models/flow/schedule.ts";
import { arrive, byTime, diagonalOf, drift } from "../../../src/models/flow/two-time.ts";
import type { Time } from "../../../src/models/flow/two-time.ts";
import { constants, distance, evaluate, floats, ints, list } from "../../support/evaluate.ts";

const rowsOf = (values: readonly number[], width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));

/** Times of every token of a block-causal schedule, one row per time. */
const timesOf = (
  options: Parameters<typeof blockCausal>[0],
  length: number,
  t: readonly number[],
): number[][] =>
  rowsOf(
    list(evaluate({ t: floats([t.length], t) }, ({ t: at }) => blockCausal(options)(at, length))),
    length,
  );

describe("block-causal", () => {
  it("without overlap, one block follows the other", () => {
    const times = timesOf({ blocks: 2 }, 4, [0, 0.25, 0.5, 0.75, 1]);
    expect(times).toEqual([
      [0, 0, 0, 0],
      [0.5, 0.5, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 0.5, 0.5],
      [1, 1, 1, 1],
    ]);
  });

  it("moves at its full rate from t = 0, and to t = 1", () => {
    const blocks = positioned(linear, blockCausal({ blocks: 2 }), { length: 2 });
    const { betaRate } = evaluate({ t: floats([2], [0, 1]) }, ({ t }) => pointAt(blocks, t));
    expect(list(betaRate)).toEqual([2, 0, 0, 2]);
  });

  it("with full overlap it is the flow's own time", () => {
    for (const [i, row] of timesOf({ blocks: 3, overlap: 1 }, 6, [0, 0.3, 0.7, 1]).entries())
      expect(distance(row, Array(6).fill([0, 0.3, 0.7, 1][i]))).toBeLessThan(1e-15);
  });

  it("blocks start and end where they should, exactly 0 and 1 at the ends (fast-check)", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 6, max: 13 }),
        (blocks, overlap, length) => {
          // Written as starts and ends of blocks, not as the schedule writes it.
          const duration = 1 / (1 + (blocks - 1) * (1 - overlap));
          const starts = Array.from({ length: blocks }, (_, b) => b * duration * (1 - overlap));
          const events = [
            0,
            1,
            ...starts,
            ...starts.map((start) => Math.min(1, start + duration)),
            0.37,
            0.81,
          ];
          const times = timesOf({ blocks, overlap }, length, events);
          events.forEach((t, i) => {
            const wanted = Array.from({ length }, (_, position) => {
              const start = starts[Math.floor((position * blocks) / length)] as number;
              return Math.min(1, Math.max(0, (t - start) / duration));
            });
            expect(distance(times[i] as number[], wanted)).toBeLessThan(1e-13);
          });
          expect(times[0]).toEqual(Array(length).fill(0));
          expect(times[1]).toEqual(Array(length).fill(1));
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each([
    [{ blocks: 0 }, "a whole number of blocks, got 0"],
    [{ blocks: 2.5 }, "a whole number of blocks, got 2.5"],
    [{ blocks: 2, overlap: 1.5 }, "a share in [0, 1], got 1.5"],
    [{ blocks: 5 }, "has 5 blocks, more than the 4 tokens of a text"],
  ])("refuses %o", (options, message) => {
    expect(() => timesOf(options, 4, [0.5])).toThrow(message);
  });
});

describe("any order", () => {
  it("tokens appear by their rank, an order per row", () => {
    const times = evaluate(
      { t: floats([2], [0.5, 0.5]), rank: ints([2, 4], [3, 1, 0, 2, 0, 1, 2, 3]) },
      ({ t, rank }) => anyOrder({ rank })(t, 4),
    );
    expect(rowsOf(list(times), 4)).toEqual([
      [0, 1, 1, 0],
      [1, 1, 0, 0],
    ]);
  });

  it("of the identity in blocks, it is block-causal", () => {
    for (const [blocks, overlap, length] of [
      [2, 0.5, 7],
      [3, 0.2, 8],
      [5, 0, 5],
    ] as const) {
      const t = [0, 0.2, 0.55, 0.9, 1];
      const rank = Array.from({ length }, (_, i) => i);
      const times = evaluate({ t: floats([5], t) }, ({ t: at }) =>
        anyOrder({ rank: constant(rank, [length], "i32"), blocks, overlap })(at, length),
      );
      expect(list(times)).toEqual(timesOf({ blocks, overlap }, length, t).flat());
    }
  });

  it("refuses ranks of another length", () => {
    expect(() =>
      constants(() => anyOrder({ rank: constant([0, 1], [2], "i32") })(constant([0.5], [1]), 3)),
    ).toThrow("ranks [2] for a text of 3 tokens");
  });
});

describe.each([linear, trigonometric])("positioned on the $name interpolant", (base) => {
  const [LENGTH, DIM] = [4, 3];
  const schedule = blockCausal({ blocks: 2, overlap: 0.4 });
  const t = [0, 0.2, 0.5, 0.71, 1];
  const inputs = {
    t: floats([5], t),
    noise: floats(
      [5, LENGTH, DIM],
      Array.from({ length: 60 }, (_, i) => Math.sin(3 * i)),
    ),
    clean: floats(
      [5, LENGTH, DIM],
      Array.from({ length: 60 }, (_, i) => Math.cos(7 * i)),
    ),
  };
  const declared = flow({ name: "blocks", interpolant: positioned(base, schedule, { length: LENGTH }) });

  it("each token's state is the base interpolant's at its own time", () => {
    const own = timesOf({ blocks: 2, overlap: 0.4 }, LENGTH, t);
    const states = evaluate(inputs, ({ noise, clean, t: at }) => declared.state(noise, clean, at));
    const single = flow({ name: "one token", interpolant: base });
    // Every token as a row of its own, with one time.
    const alone = evaluate({ ...inputs, t: floats([5 * LENGTH], own.flat()) }, ({ noise, clean, t: at }) =>
      single.state(reshape(noise, [5 * LENGTH, 1, DIM]), reshape(clean, [5 * LENGTH, 1, DIM]), at),
    );
    expect(distance(states.data, alone.data)).toBeLessThan(1e-15);
    expect(list(states).slice(0, 12)).toEqual(list(inputs.noise).slice(0, 12));
    expect(list(states).slice(48)).toEqual(list(inputs.clean).slice(48));
  });

  it("rates are the chain rule's, and 0 where a token stands still", () => {
    const { point, own } = evaluate({ t: floats([3], [0.1, 0.45, 0.9]) }, ({ t: at }) => {
      const { value, tangent } = jvp((now: Tensor) => schedule(now, LENGTH), [at], [onesLike(at)]);
      const there = pointAt(base, value);
      return {
        point: pointAt(declared.interpolant, at),
        own: { alphaRate: mul(there.alphaRate, tangent), betaRate: mul(there.betaRate, tangent) },
      };
    });
    expect(distance(point.alphaRate.data, own.alphaRate.data)).toBeLessThan(1e-14);
    expect(distance(point.betaRate.data, own.betaRate.data)).toBeLessThan(1e-14);
    // The second block has not begun at 0.1, and the first has ended at 0.9.
    const rates = rowsOf(list(point.betaRate), LENGTH);
    expect(rates[0]?.slice(2)).toEqual([0, 0]);
    expect(rates[2]?.slice(0, 2)).toEqual([0, 0]);
    expect(Math.min(...(rates[0] ?? []).slice(0, 2), ...(rates[2] ?? []).slice(2))).toBeGreaterThan(0);
  });

  it("two jumps are one, also for tokens that wait or are finished", () => {
    const result = evaluate(inputs, ({ noise: x, clean: psi, t: all }) => {
      const [s, u, end]: [Tensor, Tensor, Tensor] = [mul(all, 0.9), mul(all, 0.95), all];
      const [from, middle, to] = [s, u, end].map((at) => pointAt(declared.interpolant, at)) as [
        ReturnType<typeof pointAt>,
        ReturnType<typeof pointAt>,
        ReturnType<typeof pointAt>,
      ];
      const far = div(psi, 2) as Tensor;
      const { first, second } = semigroupWeights(from, middle, to);
      const weights = { ...jump(from, to) };
      const target = moved(psi, far, { kept: first, jumped: second });
      return {
        one: moved(x, target, weights),
        two: moved(moved(x, psi, jump(from, middle)), far, jump(middle, to)),
        rest: moved(x, psi, jump(to, to)),
      };
    });
    expect(distance(result.one.data, result.two.data)).toBeLessThan(1e-13);
    expect(list(result.rest)).toEqual(list(inputs.noise));
  });
});

describe("the exact flow of a corpus whose tokens have times of their own", () => {
  const oracle = corpusOracle({ vocab: 3, sequences: [[0, 1], [2, 0], [1, 1]], weights: [2, 1, 1] }); // prettier-ignore
  const blocks = positioned(linear, blockCausal({ blocks: 2, overlap: 0.5 }), { length: 2 });
  const time = (t: Tensor): Time => ({ t, tau: t, rate: onesLike(t) });
  const rows = 4;
  const inputs = {
    x: floats(
      [rows, 2, 3],
      Array.from({ length: rows * 6 }, (_, i) => 1.3 * Math.sin(5 * i + 1)),
    ),
    // Both blocks move; the second waits; the first is finished; the second waits all the way.
    s: floats([rows], [0.4, 0.1, 0.45, 0]),
    u: floats([rows], [0.5, 0.3, 0.75, 0.1]),
    t: floats([rows], [0.6, 0.55, 0.9, 0.25]),
  };

  it("with all tokens at one time it is the map that the ratio gives", () => {
    const together = positioned(linear, blockCausal({ blocks: 1 }), { length: 2 });
    const { own, known } = evaluate(inputs, ({ x, s, t }) => ({
      own: oracleMap(oracle, together, { steps: 200 }).denoiser(x, time(s), time(t)),
      known: oracleMap(oracle, linear).denoiser(x, time(s), time(t)),
    }));
    expect(distance(own.data, known.data)).toBeLessThan(2e-5);
  });

  it.each([semigroup(), lagrangian(), lagrangianLogits()])("fulfils the $name identity", (objective) => {
    const map = oracleMap(oracle, blocks, { steps: 200 });
    const { target, value } = evaluate(inputs, ({ x, s, u, t }) => {
      const times = { x, s: time(s), u: time(u), t: time(t) };
      return {
        target: objective.target({ student: map, instant: diagonalOf(map) }, times),
        value: map.denoiser(x, times.s, times.t),
      };
    });
    // Of a token that has not begun at t, ψ is not asked for: the last row's second token.
    const asked = (data: ArrayLike<number>): number[] => Array.from(data).slice(0, (rows * 2 - 1) * 3);
    expect(distance(asked(target.data), asked(value.data))).toBeLessThan(2e-4);
  });

  it("moves with its drift, and finished and waiting tokens do not move", () => {
    const map = oracleMap(oracle, blocks, { steps: 200 });
    const { tangent, expected, value } = evaluate(inputs, ({ x, s, t }) => {
      const along = byTime((now) => arrive(map, x, time(s), now), time(t));
      const denoised = diagonalOf(map).denoiser(along.value, time(t));
      return { ...along, expected: drift(blocks, along.value, denoised, time(t)) };
    });
    expect(distance(tangent.data, expected.data)).toBeLessThan(5e-3);
    // t = 0.9: the first block has ended, in a token; t = 0.25: the second has not begun.
    expect(list(tangent).slice(12, 15)).toEqual([0, 0, 0]);
    expect(
      distance(
        list(value)
          .slice(12, 15)
          .toSorted((a, b) => a - b),
        [0, 0, 1],
      ),
    ).toBeLessThan(1e-9);
    expect(list(tangent).slice(21)).toEqual([0, 0, 0]);
    expect(list(value).slice(21)).toEqual(list(inputs.x).slice(21));
  });
});

describe("positioned refuses", () => {
  it("a length that is none, times that are no rows, and a schedule of another shape", () => {
    expect(() => positioned(linear, blockCausal({ blocks: 1 }), { length: 0 })).toThrow(
      "a whole number, got 0",
    );
    const fine = positioned(linear, blockCausal({ blocks: 2 }), { length: 4 });
    expect(() => constants(() => fine.alpha(constant([0.1, 0.2], [1, 2])))).toThrow(
      'The interpolant "linear, by position" takes a time for every row, [batch], got [1,2].',
    );
    const flat = positioned(linear, (t) => t, { length: 4 });
    expect(() => constants(() => flat.alpha(constant([0.5], [1])))).toThrow(
      'The schedule of "linear, by position" must give times [batch, length] = [1,4], and gives [1].',
    );
  });
});
