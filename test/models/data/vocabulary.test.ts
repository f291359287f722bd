import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  charVocabulary,
  closedWords,
  countEdges,
  cutLine,
  decode,
  encodeLine,
  frequentWords,
  vocabularyFromJson,
  wordVocabulary,
} from "../../../src/models/data/index.ts";

const words = (text: string): string[] => text.split(" ");

describe("vocabularies", () => {
  it("encode words, the unknown one included, and decode them", () => {
    const vocabulary = wordVocabulary(["the", "cat"]);
    expect(vocabulary.tokens).toEqual(["<sep>", "<unk>", "the", "cat"]);
    const ids = encodeLine(vocabulary, words("the dog cat"));
    expect([...ids]).toEqual([2, 1, 3]);
    expect(decode(vocabulary, [...ids, vocabulary.separator, 2])).toBe("the <unk> cat | the");
    expect(decode(vocabulary, [0, 2], { separator: "/" })).toBe("/ the");
  });

  it("refuse what they cannot express", () => {
    const closed = wordVocabulary(["the", "cat"], { unknown: false });
    expect([...encodeLine(closed, words("the cat"))]).toEqual([1, 2]);
    expect(() => encodeLine(closed, words("the dog"))).toThrow('"dog" is not in the vocabulary of 3 tokens');
    expect(() => decode(closed, [3])).toThrow("token id 3 is outside [0, 3)");
    expect(() => wordVocabulary(["a", "a"])).toThrow('"a" twice');
    expect(() => wordVocabulary(["<sep>"])).toThrow("twice");
  });

  it("has 27 characters that round-trip", () => {
    const vocabulary = charVocabulary();
    expect(vocabulary.tokens).toHaveLength(27);
    const text = fc.string({ unit: fc.constantFrom(..." abcdefghijklmnopqrstuvwxyz") });
    fc.assert(
      fc.property(text, (line) => {
        expect(decode(vocabulary, encodeLine(vocabulary, line))).toBe(line);
      }),
    );
  });

  it("survive JSON, and bad JSON is named", () => {
    for (const vocabulary of [
      charVocabulary(),
      wordVocabulary(["x"]),
      wordVocabulary(["x"], { unknown: false }),
    ]) {
      expect(vocabularyFromJson(JSON.parse(JSON.stringify(vocabulary)))).toEqual(vocabulary);
    }
    const good = { kind: "words", tokens: ["<sep>", "x"], separator: 0, unknown: null };
    for (const [bad, message] of [
      [null, "object"],
      [{ ...good, kind: "bytes" }, "kind"],
      [{ ...good, tokens: ["<sep>", 3] }, "list of strings"],
      [{ ...good, tokens: ["<sep>", "<sep>"] }, "twice"],
      [{ ...good, tokens: ["<sep>", ""] }, "empty token"],
      [{ ...good, separator: 2 }, "outside [0, 2)"],
      [{ ...good, unknown: "x" }, "unknown"],
      [{ ...good, unknown: 0.5 }, "outside"],
    ] as const) {
      expect(() => vocabularyFromJson(bad)).toThrow(message);
    }
  });
});

describe("choosing words", () => {
  it("takes the most frequent, ties in alphabetical order", () => {
    expect(frequentWords([words("b a b"), words("c a d")], 3)).toEqual(["a", "b", "c"]);
    expect(frequentWords([words("a b")], 10)).toEqual(["a", "b"]);
  });

  it("peels the words that stand beside rare ones, and so keeps more whole lines", () => {
    // "genus" is the most frequent word, but never in a line without a word that occurs once.
    const lines = [
      "genus q1",
      "genus q2",
      "genus q3",
      "genus q4",
      "a big cat",
      "a big dog",
      "a dog",
      "cat",
    ].map(words);
    expect(frequentWords(lines, 4)).toContain("genus");
    expect([...closedWords(lines, 4)].sort()).toEqual(["a", "big", "cat", "dog"]);
  });

  it("does not depend on the order of the lines, and never exceeds the size", () => {
    const line = fc.array(fc.constantFrom(..."abcdefgh"), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), fc.integer({ min: 1, max: 8 }), (lines, size) => {
        const chosen = closedWords(lines, size);
        expect(chosen.length).toBeLessThanOrEqual(size);
        expect(closedWords([...lines].reverse(), size)).toEqual(chosen);
      }),
    );
  });
});

describe("cutting lines at unknown words", () => {
  const lines = ["in the south", "the town", "a town", "a river of the south", "town of the north"].map(
    words,
  );
  const edges = countEdges(lines);
  const cut = (line: string, known: string): string[] =>
    cutLine(words(line), new Set(words(known)), edges).map((run) => run.join(" "));

  it("keeps the runs of known words, without words that never begin or end a line at the cut", () => {
    expect(cut("a town of the gorn", "a town of the")).toEqual(["a town"]);
    expect(cut("gorn of the south in the town", "of the south in town")).toEqual(["the south in the town"]);
    expect(cut("a town gorn of gorn a river", "a town of river")).toEqual(["a town", "a river"]);
  });

  it("leaves a line without unknown words, and the ends of every line, as they are", () => {
    expect(cut("of the town of the", "of the town")).toEqual(["of the town of the"]);
    expect(cut("of the town gorn a river of the", "of the town a river")).toEqual([
      "of the town",
      "a river of the",
    ]);
    expect(cut("gorn", "a")).toEqual([]);
  });
});
