// Stratified times (group 2 of the specification) and flow-map batches: strata, counts, splits, order of the times, and parity with the
// published code where it is right. All of it is plain numbers on the host, the same whatever device takes the times as inputs.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import { uniformClock } from "../../../src/models/flow/clock.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { fold, key, permutation, uniforms } from "../../../src/models/flow/host-random.ts";
import { chunk, fmlmTimes, rowCounts, rowTimes, stratifiedTimes } from "../../../src/models/flow/times.ts";
import type { Midpoint, RowKind } from "../../../src/models/flow/times.ts";
import { goldenCase, numbers, scalar } from "../../golden/golden.ts";

const closeTo = (got: readonly number[], want: readonly number[], tolerance: number): void => {
  expect(got).toHaveLength(want.length);
  got.forEach((value, i) => expect(Math.abs(value - (want[i] ?? NaN)), `entry ${i}`).toBeLessThan(tolerance));
};

describe("group 2: stratified times", () => {
  it("hold one time per stratum, with a mean near one half", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 200 }), (seed, n) => {
        const times = stratifiedTimes({
          uniforms: uniforms(fold(key(seed), 0), n),
          permutation: permutation(fold(key(seed), 1), n),
        });
        expect(Array.from(times, (t) => Math.floor(t * n)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
        const mean = times.reduce((a, b) => a + b, 0) / n;
        expect(Math.abs(mean - 0.5)).toBeLessThanOrEqual(0.5 / n);
      }),
    );
  });

  it("match the published sampler on one device and on 2 devices x 2 accumulation steps", () => {
    const { inputs, outputs } = goldenCase("tiny", "c2_stratified_times");
    const one = stratifiedTimes({
      uniforms: numbers(inputs, "uniforms"),
      permutation: numbers(inputs, "perm"),
    });
    closeTo(Array.from(one), numbers(outputs, "tau"), 1e-15);
    const global = stratifiedTimes({
      uniforms: numbers(inputs, "uniforms_global"),
      permutation: numbers(inputs, "perm_global"),
    });
    for (const device of [0, 1]) {
      for (const accumulation of [0, 1]) {
        const piece = chunk(global, { devices: 2, accumulations: 2, device, accumulation });
        closeTo(piece, numbers(outputs, "chunks", `rank${device}_accum${accumulation}`), 1e-15);
      }
    }
  });

  it("refuse a permutation of something else", () => {
    expect(() => stratifiedTimes({ uniforms: [0.1, 0.2], permutation: [0, 0] })).toThrow(
      /each of 0 to 1 once/,
    );
    expect(() => stratifiedTimes({ uniforms: [0.1, 0.2], permutation: [0, 1, 2] })).toThrow(RangeError);
  });
});

describe("chunk", () => {
  it("partitions the batch whatever the split", () => {
    const rows = Array.from({ length: 48 }, (_, i) => i);
    for (const [devices, accumulations] of [
      [1, 1],
      [4, 1],
      [1, 6],
      [2, 3],
      [8, 2],
    ] as const) {
      const joined = Array.from({ length: devices * accumulations }, (_, i) =>
        chunk(rows, {
          devices,
          accumulations,
          device: Math.floor(i / accumulations),
          accumulation: i % accumulations,
        }),
      );
      expect(joined.flat()).toEqual(rows);
    }
  });

  it("refuses an uneven split and a place that does not exist", () => {
    expect(() => chunk([1, 2, 3], { devices: 2, accumulations: 1, device: 0, accumulation: 0 })).toThrow(
      /3 rows/,
    );
    expect(() => chunk([1, 2], { devices: 2, accumulations: 1, device: 2, accumulation: 0 })).toThrow(
      /device 2/,
    );
  });
});

describe("row counts", () => {
  const shares = { diagonalFraction: 1 / 2, boundaryFraction: 1 / 64 };

  it("agree with the published code wherever the batch is not split", () => {
    const golden = goldenCase("tiny", "d3_row_counts");
    expect(numbers(golden.inputs, "ratios")).toEqual([shares.diagonalFraction, shares.boundaryFraction]);
    for (const batch of [512, 64, 16]) {
      const counts = rowCounts({ batch, step: 0, ...shares });
      expect([counts.diagonal, counts.boundary, counts.offDiagonal]).toEqual(
        numbers(golden.outputs, `global${batch}_dev1_acc1`, 0),
      );
    }
    // Split over 8 devices, a batch of 512 still holds the same rows in the published code; one of 128 over 4
    // x 2 loses two and holds the boundary rows twice on one device. Ours are the global figures on every
    // split.
    const split = Array.from({ length: 8 }, (_, i) => numbers(golden.outputs, "global512_dev8_acc1", i));
    const total = split.reduce((sum, counts) => sum.map((value, i) => value + (counts[i] ?? 0)), [0, 0, 0]);
    expect(total).toEqual(Object.values(rowCounts({ batch: 512, step: 3, ...shares })));
    expect(rowCounts({ batch: 128, step: 0, ...shares })).toEqual({
      diagonal: 64,
      boundary: 2,
      offDiagonal: 62,
    });
  });

  it("carry fractions from step to step: a batch of 16 has a boundary row in every fourth step", () => {
    const boundary = Array.from(
      { length: 8 },
      (_, step) => rowCounts({ batch: 16, step, ...shares }).boundary,
    );
    expect(boundary).toEqual([0, 0, 0, 1, 0, 0, 0, 1]);
  });

  it("fill every batch, never go negative, and are exact in the long run", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 100 }),
        (batch, a, b) => {
          const diagonalFraction = a / 100;
          const boundaryFraction = (b * (100 - a)) / 10_000;
          const sums = { diagonal: 0, boundary: 0, offDiagonal: 0 };
          for (let step = 0; step < 150; step++) {
            const counts = rowCounts({ batch, step, diagonalFraction, boundaryFraction });
            expect(Math.min(...Object.values(counts))).toBeGreaterThanOrEqual(0);
            expect(counts.diagonal + counts.boundary + counts.offDiagonal).toBe(batch);
            sums.diagonal += counts.diagonal;
            sums.boundary += counts.boundary;
            sums.offDiagonal += counts.offDiagonal;
          }
          expect(Math.abs(sums.boundary - 150 * batch * boundaryFraction)).toBeLessThan(1.001);
          expect(Math.abs(sums.diagonal - 150 * batch * diagonalFraction)).toBeLessThan(2.001);
        },
      ),
    );
  });

  it("stay exact after a million steps", () => {
    const far = Array.from({ length: 64 }, (_, i) =>
      rowCounts({ batch: 30, step: 1_000_000 + i, ...shares }),
    );
    expect(far.reduce((sum, counts) => sum + counts.boundary, 0)).toBe(30);
    expect(far.reduce((sum, counts) => sum + counts.diagonal, 0)).toBe(960);
  });

  it("do not lose a row to the rounding of a product", () => {
    expect(100 * 0.29).toBeLessThan(29);
    expect(rowCounts({ batch: 100, step: 0, diagonalFraction: 0.5, boundaryFraction: 0.29 })).toEqual({
      diagonal: 50,
      boundary: 29,
      offDiagonal: 21,
    });
  });

  it("handle the extremes and refuse impossible shares", () => {
    expect(rowCounts({ batch: 5, step: 2, diagonalFraction: 0, boundaryFraction: 1 })).toEqual({
      diagonal: 0,
      boundary: 5,
      offDiagonal: 0,
    });
    expect(rowCounts({ batch: 5, step: 2, diagonalFraction: 1, boundaryFraction: 0 }).diagonal).toBe(5);
    expect(() => rowCounts({ batch: 8, step: 0, diagonalFraction: 0.6, boundaryFraction: 0.6 })).toThrow(
      /1\.2/,
    );
    expect(() => rowCounts({ batch: 8, step: 0, diagonalFraction: -0.1, boundaryFraction: 0 })).toThrow(
      RangeError,
    );
    expect(() => rowCounts({ batch: 0, step: 0, ...shares })).toThrow(RangeError);
    expect(() => rowCounts({ batch: 8, step: 0.5, ...shares })).toThrow(RangeError);
  });
});

describe("flow-map times", () => {
  const batchOf = (seed: number, batch: number, step: number, midpoint: Midpoint) => {
    const stream = (i: number) => uniforms(fold(key(seed), i), batch);
    return {
      batch,
      step,
      midpoint,
      diagonalFraction: 1 / 2,
      boundaryFraction: 1 / 64,
      uniforms: { diagonal: stream(0), difference: stream(1), start: stream(2), midpoint: stream(3) },
      permutation: permutation(fold(key(seed), 4), batch),
    };
  };
  const clock = decodingError({ vocab: 27 });

  it.each(["clock", "time", "random"] as const)(
    "midpoint %s: kinds, order and consistency of the times",
    (midpoint) => {
      const rows = fmlmTimes({ ...batchOf(7, 512, 0, midpoint), clock });
      const count = (kind: RowKind): number => rows.filter((row) => row.kind === kind).length;
      expect([count("diagonal"), count("boundary"), count("off-diagonal")]).toEqual([256, 8, 248]);
      for (const row of rows) {
        expect(row.s).toBeLessThanOrEqual(row.u);
        expect(row.u).toBeLessThanOrEqual(row.t);
        expect(row.tauT).toBeLessThanOrEqual(1);
        for (const [tau, time] of [
          [row.tauS, row.s],
          [row.tauU, row.u],
          [row.tauT, row.t],
        ] as const) {
          expect(clock.tau(time)).toBeCloseTo(tau, 12);
        }
        if (row.kind === "diagonal")
          expect([row.u, row.t, row.tauU, row.tauT]).toEqual([row.s, row.s, row.tauS, row.tauS]);
        if (row.kind === "boundary") expect([row.s, row.tauS, row.t, row.tauT]).toEqual([0, 0, 1, 1]);
        if (midpoint === "clock") expect(row.tauU).toBeCloseTo((row.tauS + row.tauT) / 2, 15);
        if (midpoint === "time") expect(row.u).toBeCloseTo((row.s + row.t) / 2, 15);
      }
      // Diagonal rows are stratified among themselves and the kinds are shuffled over the batch.
      const strata = rows.filter((row) => row.kind === "diagonal").map((row) => Math.floor(row.tauS * 256));
      expect(strata.sort((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, i) => i));
      const early = rows.slice(0, 256).filter((row) => row.kind === "diagonal").length;
      expect(Math.abs(early - 128)).toBeLessThan(40);
    },
  );

  it("random midpoints use their draw", () => {
    const draws = { diagonal: 0, difference: 0.5, start: 0.4, midpoint: 0.1 };
    expect(rowTimes("off-diagonal", draws, uniformClock(), "random")).toEqual({
      kind: "off-diagonal",
      tauS: 0.2,
      tauU: 0.25,
      tauT: 0.7,
      s: 0.2,
      u: 0.25,
      t: 0.7,
    });
  });

  it.each([
    ["length first", { after: 0.25 }, [0.24, 0.49, 0.64]],
    ["end first", { after: 0.25 }, [0.16, 0.4, 0.4]],
    ["to the data", { after: 0.25 }, [0.4, 0.65, 1]],
    ["to the data", "clock", [0.4, 0.7, 1]],
  ] as const)("off the diagonal, %s, with the middle %j", (jumps, midpoint, wanted) => {
    const draws = { diagonal: 0, difference: 0.4, start: 0.4, midpoint: NaN };
    const squared = { ...uniformClock(), time: (tau: number) => tau ** 2 };
    const { tauS, tauU, tauT, s, u, t } = rowTimes("off-diagonal", draws, squared, midpoint, jumps);
    closeTo([tauS, tauU, tauT], wanted, 1e-15);
    // All three are of the clock.
    closeTo(
      [s, u, t],
      wanted.map((tau) => tau ** 2),
      1e-15,
    );
    const boundary = rowTimes("boundary", draws, squared, midpoint, jumps);
    expect([boundary.tauS, boundary.tauT]).toEqual([0, 1]);
  });

  it("keep every row and its kind on any split", () => {
    const rows = fmlmTimes({ ...batchOf(8, 128, 5, "clock"), clock });
    const pieces = Array.from({ length: 8 }, (_, i) =>
      chunk(rows, { devices: 4, accumulations: 2, device: i >> 1, accumulation: i & 1 }),
    );
    expect(pieces.flat()).toEqual(rows);
  });

  it("refuse draws that are not one per row", () => {
    const good = batchOf(9, 16, 0, "random");
    expect(() => fmlmTimes({ ...good, clock, uniforms: { ...good.uniforms, start: [0.5] } })).toThrow(
      /start.*16.*1/,
    );
    const { midpoint: _, ...rest } = good.uniforms;
    expect(() => fmlmTimes({ ...good, clock, uniforms: rest })).toThrow(/midpoint/);
    expect(fmlmTimes({ ...good, clock, uniforms: rest, midpoint: "clock" })).toHaveLength(16);
    expect(() => fmlmTimes({ ...good, clock, permutation: [0] })).toThrow(RangeError);
  });

  it("match the published semigroup loss row by row", () => {
    const { inputs, outputs } = goldenCase("tiny", "d_fmlm_psd");
    const kinds: RowKind[] = Array.from({ length: 7 }, () => "off-diagonal");
    for (const row of numbers(inputs, "idx_diag")) kinds[row] = "diagonal";
    for (const row of numbers(inputs, "idx_boundary")) kinds[row] = "boundary";
    const official = decodingError({ vocab: 11 });
    const rows = kinds.map((kind, i) =>
      rowTimes(
        kind,
        {
          diagonal: numbers(inputs, "tau_diag")[i] ?? NaN,
          difference: numbers(inputs, "tau_d")[i] ?? NaN,
          start: numbers(inputs, "tau_a")[i] ?? NaN,
          midpoint: NaN,
        },
        official,
        "clock",
      ),
    );
    closeTo(
      rows.map((row) => row.tauS),
      numbers(outputs, "tau_s"),
      1e-15,
    );
    closeTo(
      rows.map((row) => row.tauU),
      numbers(outputs, "tau_u"),
      1e-15,
    );
    closeTo(
      rows.map((row) => row.tauT),
      numbers(outputs, "tau_t"),
      1e-15,
    );
    // The official inverse table is within 4e-10 of exact in the middle and 3e-9 near 0 for this vocabulary.
    closeTo(
      rows.map((row) => row.s),
      numbers(outputs, "s"),
      3e-9,
    );
    closeTo(
      rows.map((row) => row.u),
      numbers(outputs, "u"),
      1e-9,
    );
    closeTo(
      rows.map((row) => row.t),
      numbers(outputs, "t"),
      1e-9,
    );
    // The official weight has a floor of 1e-8 in its denominator: up to 5e-6 here.
    const offDiagonal = numbers(outputs, "od_rows").map((row) => rows[row]);
    const weights = offDiagonal.map((row) => semigroupWeight(row?.s ?? NaN, row?.u ?? NaN, row?.t ?? NaN));
    closeTo(weights, numbers(outputs, "gamma_od"), 1e-5);
    expect(weights.at(-1)).toBe(0);
    expect(scalar(outputs, "mean")).toBeGreaterThan(0);
  });
});
