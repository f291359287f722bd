/**
 * Sentences about a finished evaluation: whether FMLM is better than FLM at few steps, with what entropy. They state what
 * was measured, also when it falls short. Consumed by the demo command and the report.
 */
import type { Evaluation } from "./evaluate.ts";
import type { ModelName, QualityCell } from "./report/data.ts";

/** Entropies closer than this, in nats, count as matched. */
const MATCHED = 0.1;

const find = ({ quality }: Evaluation, model: ModelName, steps: number): QualityCell | undefined => quality.find((cell) => cell.model === model && cell.steps === steps);

const cell = ({ perplexity, low, high, entropy }: QualityCell): string => `${perplexity.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)}), entropy ${entropy.toFixed(2)}`;

/** One model against the other: better if the intervals are apart, and fairly so if its entropy is not lower. */
function compare(better: QualityCell, worse: QualityCell): string {
  const what = `FMLM in ${better.steps} step${better.steps === 1 ? "" : "s"}: ${cell(better)}; FLM in ${worse.steps}: ${cell(worse)}.`;
  if (better.high >= worse.low) {
    return `${better.perplexity < worse.perplexity ? "Not clearly better" : "Not better"}: ${what}`;
  }
  const gap = better.entropy - worse.entropy;
  if (gap < -MATCHED) return `Better perplexity at ${(-gap).toFixed(2)} nats less entropy, so not a fair win: ${what}`;
  return `${gap > MATCHED ? "Better, with more entropy" : "Better at matched entropy"}: ${what}`;
}

/** What came out, in sentences. */
export function verdicts(evaluation: Evaluation): readonly string[] {
  const lines = [1, 2, 4].flatMap((steps) => {
    const [fmlm, flm] = [find(evaluation, "FMLM", steps), find(evaluation, "FLM", steps)];
    return fmlm === undefined || flm === undefined ? [] : [compare(fmlm, flm)];
  });
  const [one, eight] = [find(evaluation, "FMLM", 1), find(evaluation, "FLM", 8)];
  return one === undefined || eight === undefined ? lines : [...lines, compare(one, eight)];
}
