/**
 * Packed streams and the fixed-length blocks cut from them. Short lines are packed end to end with a
 * separator, never padded: with padding, a network that has learned little finds that emitting the pad is an
 * easy win.
 * Consumed by `prepare.ts`, the training loops and the evaluation.
 */

/** Token ids of `count` sequences of `length` tokens, row after row: shape [count, length]. */
export interface TokenBlocks {
  readonly tokens: Int32Array;
  readonly count: number;
  readonly length: number;
}

/** One stream: every line followed by a separator. */
export function packLines(lines: readonly Int32Array[], separator: number): Int32Array {
  const stream = new Int32Array(lines.reduce((total, line) => total + line.length + 1, 0));
  let at = 0;
  for (const line of lines) {
    stream.set(line, at);
    at += line.length;
    stream[at++] = separator;
  }
  return stream;
}

/**
 * The stream cut into blocks of `length` tokens, end to end; a remainder shorter than a block is left out.
 *
 * @param options.offset where the first block starts (0), so that epochs can cut at different places
 * @param options.limit at most so many blocks, spread evenly over the stream
 */
export function cutBlocks(
  stream: Int32Array,
  length: number,
  options: { readonly offset?: number; readonly limit?: number } = {},
): TokenBlocks {
  const offset = options.offset ?? 0;
  const available = Math.max(0, Math.floor((stream.length - offset) / length));
  const count = Math.min(available, options.limit ?? available);
  const starts = Array.from(
    { length: count },
    (_, i) => offset + Math.floor((i * available) / count) * length,
  );
  return windows(stream, starts, length);
}

/**
 * The windows of `length` tokens that begin at the given positions: a training batch, with random starts.
 *
 * @throws RangeError if a window would leave the stream
 */
export function windows(stream: Int32Array, starts: ArrayLike<number>, length: number): TokenBlocks {
  const tokens = new Int32Array(starts.length * length);
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i] ?? -1;
    if (!Number.isInteger(start) || start < 0 || start + length > stream.length) {
      throw new RangeError(
        `window ${start}..${start + length} is outside the stream of ${stream.length} tokens`,
      );
    }
    tokens.set(stream.subarray(start, start + length), i * length);
  }
  return { tokens, count: starts.length, length };
}
