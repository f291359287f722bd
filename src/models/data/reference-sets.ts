/**
 * Texts that bound a table of sample quality: real tokens in the wrong order, and tokens drawn one by one.
 * Consumed by the evaluation, beside held-out text. Both keep the word frequencies and lose the grammar, so a
 * sampler that scores like them has learned frequencies only.
 * To add a reference set, write a function from blocks or a stream, and a random key, to `TokenBlocks`.
 */

import { fold, permutation, uniforms, type Key } from "../flow/host-random.ts";
import type { TokenBlocks } from "./pack.ts";

/** The same blocks with the tokens inside each in random order: each block keeps its bag of tokens. */
export function shuffledText(blocks: TokenBlocks, key: Key): TokenBlocks {
  const { count, length } = blocks;
  const tokens = new Int32Array(blocks.tokens.length);
  for (let block = 0; block < count; block++) {
    permutation(fold(key, block), length).forEach((from, to) => {
      tokens[block * length + to] = blocks.tokens[block * length + from] ?? 0;
    });
  }
  return { tokens, count, length };
}

/**
 * Blocks whose tokens are drawn independently with the frequencies of a stream (with replacement).
 *
 * @returns shape [count, length]
 * @throws RangeError if the stream is empty
 */
export function unigramSamples(stream: Int32Array, count: number, length: number, key: Key): TokenBlocks {
  if (stream.length === 0) throw new RangeError("unigram samples need a stream of at least one token");
  const places = uniforms(key, count * length);
  const tokens = Int32Array.from(places, (u) => stream[Math.floor(u * stream.length)] ?? 0);
  return { tokens, count, length };
}
