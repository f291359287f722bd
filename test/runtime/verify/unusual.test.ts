/**
 * Correct variants that nobody publishes raise no alarm, on any seed: odd interpolants, clocks, sources, predictions, weightings, losses
 * and orders of tokens. FLUXION_RUNS multiplies the number of seeds, which is one for each variant by default.
 *
 * Residuals of states and times are far below their tolerances or far above; what is drawn is compared within 6 standard errors, which
 * a right variant exceeds about once in 10⁸ averages (normal tails; averages of some thousand draws are nearly so).
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";
import { unusual } from "../../support/unusual-variants.ts";

describe("no alarm on any seed", () => {
  it.each(unusual.map(([variant, families]) => [variant.name, variant, families] as const))(
    "%s",
    async (_name, variant, families) => {
      await fc.assert(
        fc.asyncProperty(fc.nat(1_000_000), async (seed) => {
          const { results } = await verifyFlow(variant, {
            cases: 4,
            seed,
            ...(families === undefined ? {} : { families }),
          });
          expect(results.filter(({ passed }) => !passed)).toEqual([]);
          expect(results.length).toBeGreaterThan(4);
        }),
        { numRuns: Math.ceil(Number(process.env["FLUXION_RUNS"] ?? 1)), endOnFailure: true },
      );
    },
    // Seconds by themselves; hours with many runs on a busy machine.
    24 * 3_600_000,
  );
});
