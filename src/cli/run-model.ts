/**
 * Which of a run's models is meant: of the flow, or of its map. Consumed by the commands that are given a run folder.
 */
import { UserError } from "../runtime/files/errors.ts";
import type { RunFolder } from "../runtime/files/run-folder.ts";
import type { TrainingConfig } from "../runtime/training/config.ts";
import { hasFlow, hasMap } from "../runtime/training/subject.ts";
import type { PhaseName } from "../runtime/training/subject.ts";
import type { Option, Parsed } from "./arguments.ts";

export const MODEL_OPTION: Option = {
  value: "NAME",
  help: "Of a run: flm, the flow, or fmlm, its map; also flow or map (default: the map where it has one).",
};

/** Which model of the run is meant. @throws UserError when the run has no such model */
export async function modelOf(args: Parsed, run: RunFolder<TrainingConfig>): Promise<PhaseName> {
  const asked = args.choice("model", ["flm", "fmlm", "flow", "map"]);
  if (asked === undefined)
    return hasMap(run.config) && (!hasFlow(run.config) || (await run.hasCheckpoint("fmlm"))) ? "fmlm" : "flm";
  const name = asked === "flm" || asked === "flow" ? "flm" : "fmlm";
  if (!(name === "flm" ? hasFlow : hasMap)(run.config))
    throw new UserError(
      `${run.dir} has no model of a ${name === "flm" ? "flow, only one of its map" : "map, only one of the flow itself"}; leave out --model ${asked}.`,
    );
  return name;
}
