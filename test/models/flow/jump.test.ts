/** Jumps and weights of any interpolant: FMLM's formulas on the straight line, the same as plain numbers, weights, and limits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Tensor } from "../../../src/dsl/index.ts";
import {
  flowMapCoefficients,
  interpolantJump,
  semigroupComplement,
  semigroupWeight,
} from "../../../src/models/flow/algebra.ts";
import { flowMap } from "../../../src/models/flow/fields.ts";
import {
  linear,
  pointAt,
  trigonometric,
  variancePreservingLinear,
} from "../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../src/models/flow/interpolant.ts";
import {
  denoisedOf,
  eulerianWeight,
  jump,
  lagrangianWeight,
  moved,
  semigroupWeights,
  wronskian,
} from "../../../src/models/flow/jump.ts";
import { distance, evaluate, floats, list } from "../../support/evaluate.ts";

type Times = readonly (readonly [s: number, u: number, t: number])[];

/** Everything that depends on times alone, in columns. */
function weightsOf(interpolant: Interpolant, times: Times) {
  const column = (i: 0 | 1 | 2) =>
    floats(
      [times.length],
      times.map((row) => row[i]),
    );
  const result = evaluate({ s: column(0), u: column(1), t: column(2) }, ({ s, u, t }) => {
    const [from, middle, to] = [pointAt(interpolant, s), pointAt(interpolant, u), pointAt(interpolant, t)];
    return {
      ...jump(from, to),
      ...semigroupWeights(from, middle, to),
      lagrangian: lagrangianWeight(from, to),
      eulerian: eulerianWeight(from, to),
      wronskian: wronskian(to),
      ends: [from.alpha, from.beta, to.alpha, to.beta] as const,
    };
  });
  const { ends, ...columns } = result;
  const named = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, list(values)]));
  return { ...named, ends: ends.map(list) } as Record<keyof typeof columns, number[]> & {
    readonly ends: number[][];
  };
}

const ordered = fc
  .tuple(...[0, 1, 2].map(() => fc.double({ min: 0, max: 0.97, noNaN: true })))
  .map((times) => times.toSorted((a, b) => a - b) as [number, number, number])
  .filter(([s, , t]) => t - s > 1e-3);
const rows = fc.array(ordered, { minLength: 4, maxLength: 4 });
const close = (found: readonly number[], wanted: readonly number[], bound = 1e-11): void =>
  found.forEach((value, i) =>
    expect(Math.abs(value - (wanted[i] as number))).toBeLessThan(bound * (1 + Math.abs(wanted[i] as number))),
  );

describe("the straight line", () => {
  it("has the coefficients of algebra.ts and the weights of FMLM (fast-check)", () => {
    fc.assert(
      fc.property(rows, (times) => {
        const found = weightsOf(linear, times);
        close(
          found.kept,
          times.map(([s, , t]) => flowMapCoefficients(s, t).state),
        );
        close(
          found.jumped,
          times.map(([s, , t]) => flowMapCoefficients(s, t).denoiser),
        );
        close(
          found.first,
          times.map(([s, u, t]) => semigroupWeight(s, u, t)),
        );
        close(
          found.second,
          times.map(([s, u, t]) => semigroupComplement(s, u, t)),
        );
        close(
          found.lagrangian,
          times.map(([s, , t]) => ((t - s) * (1 - t)) / (1 - s)),
        );
        close(
          found.eulerian,
          times.map(([s, , t]) => ((t - s) * (1 - s)) / (1 - t)),
        );
        close(found.wronskian, [1, 1, 1, 1]);
      }),
      { numRuns: 15 },
    );
  });

  it("moves states as fields.ts does", () => {
    const inputs = {
      x: floats([2, 1, 3], [0.3, -0.2, 0.6, 1, 0, -1]),
      psi: floats([2, 1, 3], [0.2, 0.7, 0.1, 0.5, 0.5, 0]),
      s: floats([2], [0.1, 0.4]),
      t: floats([2], [0.7, 1]),
    };
    const { mine, known } = evaluate(inputs, ({ x, psi, s, t }) => ({
      mine: moved(x, psi, jump(pointAt(linear, s), pointAt(linear, t))),
      known: flowMap(x, psi, s, t),
    }));
    expect(distance(mine.data, known.data)).toBeLessThan(1e-14);
  });
});

describe.each([linear, trigonometric, variancePreservingLinear])("$name", (interpolant) => {
  it("jumps are those of algebra.ts; weights of the semigroup are not negative and sum to 1 (fast-check)", () => {
    fc.assert(
      fc.property(rows, (times) => {
        const { kept, jumped, first, second, ends } = weightsOf(interpolant, times);
        const [a0, b0, a1, b1] = ends as [number[], number[], number[], number[]];
        const known = times.map((_, i) =>
          interpolantJump(
            { alpha: a0[i] as number, beta: b0[i] as number },
            { alpha: a1[i] as number, beta: b1[i] as number },
          ),
        );
        close(
          kept,
          known.map(({ state }) => state),
        );
        close(
          jumped,
          known.map(({ denoiser }) => denoiser),
        );
        expect(Math.min(...first, ...second)).toBeGreaterThan(-1e-12);
        close(
          first.map((x, i) => x + (second[i] as number)),
          [1, 1, 1, 1],
        );
      }),
      { numRuns: 15 },
    );
  });

  it("two jumps are one with the combined denoiser, whatever the denoisers; ψ comes back from X", () => {
    const values = (seed: number) =>
      floats(
        [3, 2, 2],
        Array.from({ length: 12 }, (_, i) => Math.sin(seed * (i + 1))),
      );
    const inputs = { x: values(1), near: values(2), far: values(3), s: floats([3], [0, 0.2, 0.5]), u: floats([3], [0.3, 0.25, 0.9]), t: floats([3], [0.6, 0.9, 1]) }; // prettier-ignore
    const result = evaluate(inputs, ({ x, near, far, s, u, t }) => {
      const [from, middle, to] = [pointAt(interpolant, s), pointAt(interpolant, u), pointAt(interpolant, t)];
      const { first, second } = semigroupWeights(from, middle, to);
      const target: Tensor = moved(near, far, { kept: first, jumped: second });
      const one = moved(x, target, jump(from, to));
      return {
        one,
        two: moved(moved(x, near, jump(from, middle)), far, jump(middle, to)),
        target,
        back: denoisedOf(x, one, jump(from, to)),
      };
    });
    expect(distance(result.one.data, result.two.data)).toBeLessThan(1e-13);
    expect(distance(result.back.data, result.target.data)).toBeLessThan(1e-12);
  });

  it("limits: u = s and t = 1 give 0, u = t gives 1, and near them nothing breaks", () => {
    const { first, second } = weightsOf(interpolant, [
      [0.2, 0.2, 0.7],
      [0.2, 0.2 + 1e-9, 0.7],
      [0.2, 0.7, 0.7],
      [0.2, 0.7 - 1e-9, 0.7],
      [0.2, 0.5, 1],
      [0, 0.3, 1],
    ]);
    [0, 0, 1, 1, 0, 0].forEach((wanted, i) => {
      expect(Math.abs((first[i] as number) - wanted)).toBeLessThan(i % 2 === 1 && i < 4 ? 1e-7 : 1e-14);
      expect(Math.abs((second[i] as number) + (first[i] as number) - 1)).toBeLessThan(1e-12);
    });
  });

  it("at s = t the state stays, at s = 0, t = 1 it is the denoiser; s = t = 1 included", () => {
    const { kept, jumped, first, second } = weightsOf(interpolant, [
      [0.4, 0.4, 0.4],
      [0, 0, 0],
      [1, 1, 1],
      [0, 0.5, 1],
      [0.6, 0.8, 1],
    ]);
    expect(kept).toEqual([1, 1, 1, 0, 0]);
    expect(jumped).toEqual([0, 0, 0, 1, 1]);
    expect(first.slice(0, 3)).toEqual([1, 1, 1]);
    expect(second.slice(0, 3)).toEqual([0, 0, 0]);
  });
});
