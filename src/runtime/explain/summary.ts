/**
 * What `fluxion explain` explains, and the sentences about the whole of it. Pure.
 *
 * Consumed by the terminal's and the page's renderers in cli/explain, and by the studio's explain view.
 */
import type { Explanation } from "../../compiler/explain/explanation.ts";
import type { TargetLimits } from "../../compiler/kernel/plan.ts";
import { bytesText, countText, flopsText, plural, timeText } from "./units.ts";

export interface Explained {
  /** Name of the step, or of the file with the program. */
  readonly name: string;
  readonly limits: TargetLimits;
  /** Whose limits these are. */
  readonly limitsOf: string;
  /** The GPU that was asked for its limits or ran it. */
  readonly gpu: string | null;
  /** How often it ran for its times; null where it did not. */
  readonly timedRuns: number | null;
  readonly explanation: Explanation;
}

/** A sentence a line: limits, fusion, cost, loops. */
export function summary({
  name,
  limits,
  limitsOf,
  gpu,
  timedRuns,
  explanation,
}: Explained): readonly string[] {
  const { totals, fusion, control } = explanation;
  const loops = control.filter(({ kind }) => kind === "loop");
  const asked = control.length - loops.length;
  const when = (condition: boolean, text: string): string => (condition ? text : "");
  return [
    `${name} on WebGPU, within ${limitsOf}: ${plural(limits.buffers, "buffer")}, ${plural(limits.lanes, "lane")}, ` +
      `${countText(limits.sharedBytes / 1024)} KiB shared`,
    when(gpu !== null, `GPU: ${gpu}`),
    when(fusion.equations !== null, `${plural(fusion.equations ?? 0, "equation")} in `) +
      `${plural(totals.dispatches, "dispatch", "dispatches")} of ${plural(totals.pipelines, "pipeline")}; ${fusionText(explanation)}`,
    `${flopsText(totals.flops)}, ${bytesText(totals.bytesRead)} read and ${bytesText(totals.bytesWritten)} written per run` +
      when(totals.copies > 0, `, with ${plural(totals.copies, "copy", "copies")}`) +
      when(
        totals.dispatchesPerRun !== totals.dispatches,
        `; loops make ${countText(totals.dispatchesPerRun)} dispatches of them`,
      ),
    when(fusion.regions.length > 0, `Ops per dispatch: ${regionsText(explanation)}`),
    when(
      totals.nanoseconds !== null,
      `${timeText(totals.nanoseconds ?? 0)} on the GPU: each dispatch alone, the median of ${plural(timedRuns ?? 0, "run")}` +
        when(totals.copies > 0, "; copies are not timed"),
    ),
    when(
      loops.length > 0,
      `Loops: ${loops.map(({ length, first, last }) => `${countText(length ?? 0)} times steps ${first} to ${last}`).join("; ")}`,
    ),
    when(
      asked > 0,
      `${plural(asked, "place")} where the host reads a flag: the body of a while counts once, and both sides of a branch`,
    ),
  ].filter((line) => line !== "");
}

const fusionText = ({ fusion, totals }: Explanation): string => {
  if (!fusion.on) return "fusion is off";
  const { unfusedDispatches: without } = fusion;
  return without === null
    ? "fused"
    : `${plural(without, "dispatch", "dispatches")} without fusion${totals.dispatches === 0 ? "" : `, ${(without / totals.dispatches).toFixed(1)} times as many`}`;
};

/** How many dispatches compute how many ops, in few steps. */
function regionsText({ fusion }: Explanation): string {
  const ranges: readonly (readonly [low: number, high: number])[] = [
    [0, 1], [2, 3], [4, 7], [8, 15], [16, Infinity],
  ]; // prettier-ignore
  return ranges
    .map(([low, high]) => {
      const found = fusion.regions.filter(({ ops }) => ops >= low && ops <= high);
      const count = found.reduce((sum, { dispatches }) => sum + dispatches, 0);
      const range = high === 1 ? "1" : high === Infinity ? `${low} or more` : `${low} to ${high}`;
      return count === 0 ? "" : `${range} in ${countText(count)}`;
    })
    .filter((part) => part !== "")
    .join(", ");
}
