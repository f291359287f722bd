/**
 * Data for language models: normalization, vocabularies, splits, packed streams, reference sets.
 * Everything here is pure and safe in a browser; reading files is the runtime's part.
 */

export { countEdges, cutLine, type EdgeCounts } from "./cut-lines.ts";
export { documentLines, foldText, lineCharacters, lineWords } from "./normalize.ts";
export { cutBlocks, packLines, windows, type TokenBlocks } from "./pack.ts";
export {
  prepareText,
  type PreparedText,
  type PrepareOptions,
  type SplitReport,
  type UnknownPolicy,
} from "./prepare.ts";
export { shuffledText, unigramSamples } from "./reference-sets.ts";
export { DEFAULT_FRACTIONS, hashText, splitOf, type SplitFractions, type SplitName } from "./splits.ts";
export {
  charVocabulary,
  decode,
  encodeLine,
  SEPARATOR_TOKEN,
  UNKNOWN_TOKEN,
  vocabularyFromJson,
  wordVocabulary,
  type TokenKind,
  type Vocabulary,
} from "./vocabulary.ts";
export { closedWords, frequentWords } from "./word-selection.ts";
