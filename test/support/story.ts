/** A small text to train on: sentences of some fifty words. Used by tests that need a corpus of their own. */

const PARTS = [
  ["the small cat", "a large dog", "the old man", "a young woman", "the quiet river", "a red bird"],
  ["sits near", "walks over", "looks at", "runs to", "sleeps under", "sings about"],
  ["the green hill", "a wooden house", "the old bridge", "a bright lamp", "the blue sea", "a stone wall"],
  ["in the morning", "at night", "every day", "with great joy", "without a sound", "for a long time"],
] as const;

/** `count` different sentences, the same ones at every call. @throws RangeError when there are not that many */
export function storyDocuments(count: number): readonly string[] {
  const most = PARTS.reduce((product, part) => product * part.length, 1);
  if (count > most) throw new RangeError(`there are ${most} sentences, not ${count}`);
  return Array.from({ length: count }, (_, i) => {
    // A sentence is a number whose digits choose its parts; the stride has no factor in common, and visits all in a mixed order.
    let rest = (i * 361) % most;
    const chosen = PARTS.map((part) => {
      const words = part[rest % part.length];
      rest = Math.floor(rest / part.length);
      return words;
    });
    return chosen.join(" ");
  });
}

/** The same as the content of a file, a sentence a line. */
export const storyText = (lines: number): string =>
  storyDocuments(lines)
    .map((sentence) => `${sentence}\n`)
    .join("");
