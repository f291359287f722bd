/** Every variant that comes with the project fulfils what verify asks. FLM in full; of the others what they do not share with it. */
import { describe, expect, it } from "vitest";
import { variants } from "../../../src/models/language/variants/index.ts";
import { verifyFlow } from "../../../src/runtime/verify/verify.ts";

describe("the published variants", () => {
  it.each(variants(30_522).map((variant) => [variant.name, variant] as const))(
    "%s",
    async (name, variant) => {
      const report = await verifyFlow(variant, {
        cases: 5,
        ...(name === "FLM" ? {} : { families: ["clock", "loss", "objective"] }),
      });
      expect(report.results.filter(({ passed }) => !passed)).toEqual([]);
      expect(report.results.length).toBeGreaterThan(5);
    },
  );
});
