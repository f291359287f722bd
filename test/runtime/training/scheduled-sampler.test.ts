/** What a flow does not allow when it is sampled, for whoever asked. */
import { expect, it } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { openInterpreter } from "../../../src/runtime/interpreter-device.ts";
import { PRESETS } from "../../../src/runtime/training/config.ts";
import { flmNetwork, paramsSpec, phaseOptions } from "../../../src/runtime/training/phases.ts";
import { openScheduledSampler } from "../../../src/runtime/training/scheduled-sampler.ts";
import { stockVariant, subjectOf } from "../../../src/runtime/training/subject.ts";

const vocab = 12;
const config = { ...PRESETS.quick, space: "vocabulary" as const };
const options = { ...phaseOptions(config, "flm", vocab), network: flmNetwork(config, vocab), batch: 2 };

it.each(["simplex-flow", "masked-hybrid"])("refuses to scale the first noise of %s", async (name) => {
  const { flow } = subjectOf(stockVariant(name, vocab, config.network.length));
  const opened = openScheduledSampler(openInterpreter(), options, paramsSpec(options, "flm"), {
    flow,
    schedule: { draws: 2 },
    priorScale: 0.5,
  });
  await expect(opened).rejects.toThrow(UserError);
  await expect(opened).rejects.toThrow("leave the prior scale out");
});
