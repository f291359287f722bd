/**
 * Rates of tokens with times of their own against differences: no alarm where the rate of one is infinite, and hardly any time at which a rate
 * that is wrong is not seen.
 */
import { describe, expect, it } from "vitest";
import { exactTensor } from "../../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../../src/compiler/interpret/interpret.ts";
import { customJvp, f32, fn, mul, trace } from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { linear, variancePreservingLinear } from "../../../../src/models/flow/interpolant.ts";
import type { Interpolant } from "../../../../src/models/flow/interpolant.ts";
import { blockCausal, positioned } from "../../../../src/models/flow/schedule.ts";
import type { Cases, World } from "../../../../src/models/flow/verify/identity.ts";
import { positionedIdentities } from "../../../../src/models/flow/verify/positions.ts";

const TIMES = 1000;
const ENDS = 200;

/** Residuals of "rates of the interpolant" at even times, and at times ever nearer to `end`, with the tolerance. */
function residuals(interpolant: Interpolant, end: number): readonly [readonly number[], number] {
  const identity = positionedIdentities(interpolant).find(({ name }) => name === "rates of the interpolant");
  if (identity === undefined) throw new Error("There is no such identity.");
  const times = [
    ...Array.from({ length: TIMES }, (_, i) => (0.99 * (i + 0.37)) / TIMES),
    ...Array.from({ length: ENDS }, (_, i) => end - 10 ** (-9 + (7 * i) / ENDS)),
  ];
  const { program } = trace(
    // Of a case this identity asks for s.t alone.
    fn({ t: f32(times.length) }, ({ t }) => identity.residual({ s: { t } } as unknown as Cases, {} as World)),
  );
  const [found] = interpret(program, [exactTensor("f32", [times.length], times)]);
  return [Array.from(found?.data as Float64Array), identity.tolerance]; // floats
}

/** t, whose derivative is said to be 2 % larger. */
const hasty = customJvp(
  (t: Tensor) => mul(t, 1),
  ([t], [tangent]) => [mul(t, 1) as Tensor, mul(tangent as Tensor, 1.02) as Tensor] as const,
);

describe.each([
  // The first token ends at 1/2, where the rate of √(1 − (2t)²) is infinite.
  ["infinite where a token ends", positioned(variancePreservingLinear, blockCausal({ blocks: 2 }), { length: 3 }), 0.5], // prettier-ignore
  ["different before and after", positioned(linear, blockCausal({ blocks: 4 }), { length: 4 }), 0.25],
  ["large, of many tokens", positioned(linear, blockCausal({ blocks: 24 }), { length: 24 }), 0.25],
] as const)("rates that are %s", (_what, interpolant, end) => {
  it("raise no alarm", () => {
    const [found, tolerance] = residuals(interpolant, end);
    expect(found.filter((residual) => !(residual <= tolerance / 10))).toEqual([]);
  });

  it("are seen to be wrong by 2 % nearly everywhere", () => {
    const wrong = { ...interpolant, beta: (t: Tensor) => interpolant.beta(hasty(t)) };
    const [found, tolerance] = residuals(wrong, end);
    const missed = found.slice(0, TIMES).filter((residual) => residual <= tolerance);
    expect(missed.length / TIMES).toBeLessThan(0.03);
  });
});
