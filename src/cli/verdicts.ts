/**
 * Sentences about a finished evaluation: whether FMLM is better than FLM at few steps, both at one entropy. They state what
 * was measured, also when it falls short. Consumed by the demo command and the report.
 */
import type { Evaluation } from "./evaluate.ts";
import { MATCHED } from "./matched.ts";
import type { Comparison, Side } from "./matched.ts";

const steps = (n: number): string => `${n} step${n === 1 ? "" : "s"}`;

const side = ({ model, steps: count, perplexity, low, high, temperature }: Side): string =>
  `${model} in ${steps(count)} ${perplexity.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)}${temperature > 0 ? `; last step drawn at temperature ${temperature.toFixed(2)}` : ""})`;

/** One comparison in a sentence. Intervals that overlap decide nothing. */
export function verdict({ fmlm, flm }: Comparison): string {
  const outcome =
    fmlm.high < flm.low ? "FMLM is better" : flm.high < fmlm.low ? "FLM is better" : "No clear difference";
  const gap = Math.abs(fmlm.entropy - flm.entropy);
  const entropy =
    gap <= 2 * MATCHED
      ? `at an entropy of ${fmlm.entropy.toFixed(2)} nats`
      : `at entropies of ${fmlm.entropy.toFixed(2)} (FMLM) and ${flm.entropy.toFixed(2)} (FLM) nats, which no temperature brings together`;
  return `${outcome} ${entropy}: perplexity of ${side(fmlm)}, ${side(flm)}.`;
}

/** What came out, in sentences. */
export const verdicts = ({ comparisons }: Pick<Evaluation, "comparisons">): readonly string[] =>
  comparisons.map(verdict);
