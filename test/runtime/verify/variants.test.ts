/** Every variant that comes with the project fulfils what verify asks. FLM in full, and flows of other states or noise; of the others what they do not share with it. */
import { describe, expect, it } from "vitest";
import type { Variant } from "../../../src/models/flow/variant.ts";
import { variants } from "../../../src/models/language/variants/index.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";

/** Whether states and noise are FLM's, or those of a flow that is looked at in full. */
const shares = (variant: Variant): boolean =>
  variant.kind === "flow map" ||
  (variant.kind === "flow" && variant.states.kind === "one-hot" && variant.source.name === "Gaussian");

describe("the published variants", () => {
  it.each(variants(30_522).map((variant) => [variant.name, variant] as const))(
    "%s",
    async (name, variant) => {
      const report = await verifyFlow(variant, {
        cases: 5,
        ...(name === "FLM" || !shares(variant) ? {} : { families: ["clock", "loss", "objective"] }),
      });
      expect(report.results.filter(({ passed }) => !passed)).toEqual([]);
      expect(report.results.length).toBeGreaterThan(5);
    },
  );
});
