/**
 * Evaluation of language models: the n-gram judge, likelihoods, entropy, intervals. Pure and safe in a browser.
 */

export {
  nextTokenDistribution,
  perplexity,
  scoreBlocks,
  trainKneserNey,
  type KneserNeyModel,
  type KneserNeyOptions,
} from "./kneser-ney.ts";
export {
  bootstrapInterval,
  distinctN,
  likelihood,
  sampleEntropy,
  scoredPositions,
  unigramEntropy,
  type Interval,
  type Likelihood,
  type NllSum,
} from "./metrics.ts";
