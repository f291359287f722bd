/**
 * Two hundred sentences of a small grammar: subject, verb, place. Each part is a whole phrase, whose words belong together, so a sampler that
 * knows each word's probabilities alone writes next to nothing of it; and the same few determiners and prepositions stand in several
 * phrases. A sentence is known if it is one of these. Which words make up a phrase is drawn from a seed.
 *
 * Consumed by the script of this folder, by the benchmark of training steps, and by tests.
 */
import { fold, key, permutation } from "../../src/models/flow/host-random.ts";

export interface SentenceCorpus {
  readonly words: readonly string[];
  /** Words of every sentence. */
  readonly length: number;
  /** The sentences as ids of `words`, all different. */
  readonly sequences: readonly (readonly number[])[];
}

const ADJECTIVES = [
  "old",
  "small",
  "quiet",
  "red",
  "young",
  "tall",
  "happy",
  "cold",
  "bright",
  "heavy",
  "clever",
  "tired",
  "wet",
];
const NOUNS = [
  "dog",
  "king",
  "farmer",
  "teacher",
  "horse",
  "river",
  "house",
  "garden",
  "road",
  "tree",
  "lamp",
  "train",
  "bird",
];
const VERBS = ["slept", "waited", "stood", "sang", "fell"];
const DETERMINERS = ["the", "a", "this", "every"];
const PREPOSITIONS = ["near", "behind", "under", "beside", "above"];

/** Numbers of subjects, verbs and places. */
const [SUBJECTS, ACTIONS, PLACES] = [5, 5, 8];

/** "every old king sang near the wet road", and all others of the grammar. */
export function sentenceCorpus(seed = 1): SentenceCorpus {
  const shuffled = (list: readonly string[], n: number): readonly string[] =>
    Array.from(permutation(fold(key(seed), n), list.length), (i) => list[i] as string); // a permutation of its places
  const [adjectives, nouns, verbs] = [shuffled(ADJECTIVES, 1), shuffled(NOUNS, 2), shuffled(VERBS, 3)];
  const take = (list: readonly string[], i: number): string => list[i % list.length] as string; // never empty
  const named = (i: number): readonly string[] => [take(DETERMINERS, i), take(adjectives, i), take(nouns, i)];
  const phrases = [
    Array.from({ length: SUBJECTS }, (_, i) => named(i)),
    Array.from({ length: ACTIONS }, (_, i) => [take(verbs, i), take(PREPOSITIONS, i)]),
    Array.from({ length: PLACES }, (_, i) => named(SUBJECTS + i)),
  ];
  const sentences = phrases.reduce<readonly (readonly string[])[]>(
    (begun, next) => begun.flatMap((words) => next.map((more) => [...words, ...more])),
    [[]],
  );
  const words = [...new Set(sentences.flat())];
  const ids = new Map(words.map((word, id) => [word, id]));
  const sequences = sentences.map((sentence) => sentence.map((word) => ids.get(word) ?? 0));
  return { words, length: sequences[0]?.length ?? 0, sequences };
}

/** The corpus of examples/two-phrases.ts. */
export const twoPhrases: SentenceCorpus = {
  words: ["New", "York", "San", "Diego"],
  length: 2,
  sequences: [
    [0, 1],
    [2, 3],
  ],
};
