/**
 * Train, validation and judge parts of a corpus, decided by a hash of each document: deterministic, the same
 * on every machine, and unchanged for a document when others are added. Consumed by `prepare.ts`.
 */

/**
 * The models learn from `train`, `validation` is for losses and reference numbers, only the judge sees
 * `judge`.
 */
export type SplitName = "train" | "validation" | "judge";

/** The share of documents in each split; positive, summing to 1. */
export type SplitFractions = Readonly<Record<SplitName, number>>;

export const DEFAULT_FRACTIONS: SplitFractions = { train: 0.6, validation: 0.1, judge: 0.3 };

/** A 32-bit hash of a text: FNV-1a over its UTF-16 code units, then a finalizer that spreads every bit. */
export function hashText(text: string, salt = 0): number {
  let hash = (0x811c9dc5 ^ salt) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The split of a document with this hash: [0, 2³²) is cut in proportion to the fractions. */
export function splitOf(hash: number, fractions: SplitFractions = DEFAULT_FRACTIONS): SplitName {
  const u = hash / 2 ** 32;
  if (u < fractions.train) return "train";
  return u < fractions.train + fractions.validation ? "validation" : "judge";
}
