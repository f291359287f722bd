/**
 * Sentences about a finished evaluation: whether FMLM is better than FLM at few steps, as drawn and at one entropy. They state
 * what was measured, also when it falls short. Consumed by the demo command and the report.
 */
import type { Evaluation } from "./evaluate.ts";
import { MATCHED } from "./matched.ts";
import type { Comparison, Side } from "./matched.ts";

type Sides = Pick<Comparison, "fmlm" | "flm">;

const steps = (n: number): string => `${n} step${n === 1 ? "" : "s"}`;

/** Perplexities differ where their intervals are apart. */
function outcome({ fmlm, flm }: Sides): string {
  if (fmlm.high < flm.low) return "FMLM is better";
  return flm.high < fmlm.low ? "FLM is better" : "no clear difference";
}

const numbers = ({ perplexity, low, high }: Side): string =>
  `${perplexity.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)})`;

const heated = ({ fmlm, flm }: Sides): Side | undefined =>
  [fmlm, flm].find(({ temperature }) => temperature > 0);

/** One comparison: the outcome at one entropy first, then the samples as they were drawn. */
export function verdict({ drawn, fmlm, flm }: Comparison): string {
  const who = `FMLM in ${steps(fmlm.steps)}, FLM in ${flm.steps}`;
  const hot = heated({ fmlm, flm });
  const met = Math.abs(fmlm.entropy - flm.entropy) <= 2 * MATCHED;
  const at = met
    ? `at an entropy of ${fmlm.entropy.toFixed(2)} nats`
    : `at entropies of ${fmlm.entropy.toFixed(2)} and ${flm.entropy.toFixed(2)} nats, which no temperature brings together`;
  const how =
    hot === undefined
      ? ""
      : ` (last step of ${hot.model} drawn at temperature ${hot.temperature.toFixed(2)})`;
  const matched = `${who}: ${outcome({ fmlm, flm })} ${at}, perplexity ${numbers(fmlm)} against ${numbers(flm)}${how}.`;
  if (hot === undefined) return matched;
  return `${matched} As drawn, ${numbers(drawn.fmlm)} at ${drawn.fmlm.entropy.toFixed(2)} nats against ${numbers(drawn.flm)} at ${drawn.flm.entropy.toFixed(2)}.`;
}

/** What came out, in sentences. */
export const verdicts = ({ comparisons }: Pick<Evaluation, "comparisons">): readonly string[] =>
  comparisons.map(verdict);
