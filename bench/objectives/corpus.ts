/**
 * Two hundred sentences of a small grammar: subject, verb, object. Subject and object are phrases of an adjective and a noun that belong together,
 * the same words in other pairs, so a sampler that knows each word's probabilities alone writes one known sentence in forty. A sentence
 * is known if it is one of these. Which words make up a phrase is drawn from a seed.
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

const ADJECTIVES = ["old", "small", "quiet", "red", "young", "tall", "happy", "cold"];
const NOUNS = ["dog", "king", "farmer", "teacher", "horse", "river", "house", "garden"];
const VERBS = ["saw", "heard", "liked", "painted", "remembered"];

/** Numbers of subjects, verbs and objects. */
const [SUBJECTS, ACTIONS, OBJECTS] = [5, 5, 8];

/** How many nouns on from its noun as a subject an adjective has its noun as an object. */
const APART = 3;

/** "small teacher saw quiet garden", and all others of the grammar. */
export function sentenceCorpus(seed = 1): SentenceCorpus {
  const shuffled = (list: readonly string[], n: number): readonly string[] =>
    Array.from(permutation(fold(key(seed), n), list.length), (i) => list[i] as string); // a permutation of its places
  const [adjectives, nouns, verbs] = [shuffled(ADJECTIVES, 1), shuffled(NOUNS, 2), shuffled(VERBS, 3)];
  const take = (list: readonly string[], i: number): string => list[i % list.length] as string; // never empty
  const phrases = [
    Array.from({ length: SUBJECTS }, (_, i) => [take(adjectives, i), take(nouns, i)]),
    Array.from({ length: ACTIONS }, (_, i) => [take(verbs, i)]),
    Array.from({ length: OBJECTS }, (_, i) => [take(adjectives, i), take(nouns, i + APART)]),
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
