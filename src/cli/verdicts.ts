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

/** One comparison in a sentence. */
export function verdict({ drawn, fmlm, flm }: Comparison): string {
  const gap = Math.abs(fmlm.entropy - flm.entropy);
  const hot = heated({ fmlm, flm });
  const as = `FMLM in ${steps(fmlm.steps)} against FLM in ${steps(flm.steps)}: perplexity ${numbers(drawn.fmlm)} against ${numbers(drawn.flm)} at entropies of ${drawn.fmlm.entropy.toFixed(2)} and ${drawn.flm.entropy.toFixed(2)} nats`;
  if (hot === undefined) return `${as}: ${outcome(drawn)}, at matched entropy.`;
  const where =
    gap <= 2 * MATCHED
      ? `At one entropy, ${fmlm.entropy.toFixed(2)}`
      : `No temperature brings the entropies together; at ${fmlm.entropy.toFixed(2)} and ${flm.entropy.toFixed(2)}`;
  return `${as}. ${where}, with the last step of ${hot.model} drawn at temperature ${hot.temperature.toFixed(2)}: ${numbers(fmlm)} against ${numbers(flm)}, ${outcome({ fmlm, flm })}.`;
}

/** What came out, in sentences. */
export const verdicts = ({ comparisons }: Pick<Evaluation, "comparisons">): readonly string[] =>
  comparisons.map(verdict);
