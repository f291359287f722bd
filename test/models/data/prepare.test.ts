import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cutBlocks,
  decode,
  hashText,
  packLines,
  prepareText,
  shuffledText,
  splitOf,
  unigramSamples,
  windows,
  type PreparedText,
  type SplitName,
} from "../../../src/models/data/index.ts";
import { key } from "../../../src/models/flow/host-random.ts";

const SPLITS: readonly SplitName[] = ["train", "validation", "judge"];

/** 400 documents of two lines from a small grammar; "zyx<n>" words are rare. */
const documents = Array.from({ length: 400 }, (_, i) => {
  const noun = ["cat", "dog", "bird", "fish", "horse"][i % 5] ?? "";
  const verb = ["sees", "eats", "hears"][i % 3] ?? "";
  const place = ["garden", "house", "river", "field", "town", "wood", "valley"][i % 7] ?? "";
  const rare = i % 4 === 0 ? `zyx${i} ` : "";
  const first = `The ${noun} ${verb} a ${rare}small thing in the ${place} number ${i % 9}`;
  return `${first}. It was the ${place} of the ${noun}!`;
});

const linesOf = (prepared: PreparedText, split: SplitName): string[] =>
  decode(prepared.vocabulary, prepared.streams[split], { separator: "|" })
    .split("|")
    .map((line) => line.trim())
    .filter((line) => line !== "");

describe("prepareText", () => {
  it.each(["cut", "drop", "keep"] as const)("puts no line in two splits (%s)", (unknown) => {
    const prepared = prepareText(documents, { vocabularySize: 40, unknown });
    const all = SPLITS.flatMap((split) => linesOf(prepared, split));
    // With unknown tokens, lines that differ can look alike.
    if (unknown !== "keep") expect(new Set(all).size).toBe(all.length);
    expect(all).toHaveLength(prepared.report.keptLines);
    for (const split of SPLITS) {
      expect(prepared.streams[split]).toHaveLength(prepared.report.splits[split].tokens);
      expect(prepared.streams[split].at(-1)).toBe(prepared.vocabulary.separator);
    }
    expect(prepared.vocabulary.tokens.length).toBeLessThanOrEqual(40);
  });

  it("keeps a document whole, in the split of its hash", () => {
    const distinct = Array.from(
      { length: 60 },
      (_, i) => `Alpha beta gamma d${i}. Delta epsilon zeta d${i}.`,
    );
    const prepared = prepareText(distinct, {
      vocabularySize: 200,
      fractions: { train: 0.4, validation: 0.3, judge: 0.3 },
    });
    const splitsOfDocument = new Map<string, Set<SplitName>>();
    for (const split of SPLITS) {
      for (const line of linesOf(prepared, split)) {
        const name = line.split(" ").at(-1) ?? "";
        splitsOfDocument.set(name, (splitsOfDocument.get(name) ?? new Set()).add(split));
      }
    }
    expect(splitsOfDocument.size).toBe(60);
    for (const splits of splitsOfDocument.values()) expect(splits.size).toBe(1);
    expect(prepared.report.splits.train.documents).toBe(prepared.report.splits.train.lines / 2);
  });

  it("does not depend on the order of the documents or on repeated ones", () => {
    const prepared = prepareText(documents, { vocabularySize: 40 });
    expect(prepareText([...documents].reverse(), { vocabularySize: 40 })).toEqual(prepared);
    const doubled = prepareText([...documents, ...documents], { vocabularySize: 40 });
    expect(doubled.streams).toEqual(prepared.streams);
    expect(prepareText(documents, { vocabularySize: 40, salt: 1 }).streams).not.toEqual(prepared.streams);
  });

  it("keeps repeated lines where that is asked, as often as they occur and in one split, and counts them where not", () => {
    const lines = documents.map((document, i) =>
      document.replace(/ number [^]*/, ` by ${["day", "night"][i % 2]}`),
    );
    const often = lines.flatMap((line, i) => Array.from({ length: 1 + (i % 3) }, () => line));
    const distinct = new Set(often).size;
    for (const options of [{ vocabularySize: 400 }, { tokens: "chars" }] as const) {
      const [once, kept] = [prepareText(often, options), prepareText(often, { ...options, repeats: "keep" })];
      expect(once.streams).toEqual(prepareText(lines, options).streams);
      expect(once.report).toMatchObject({ keptLines: distinct, repeatedLines: often.length - distinct });
      expect(kept.report).toMatchObject({ keptLines: often.length, repeatedLines: 0 });
    }
    const kept = prepareText(often, { vocabularySize: 400, repeats: "keep" });
    const found = SPLITS.map((split) => linesOf(kept, split));
    expect(found.flat().sort()).toEqual(often.map((line) => line.toLowerCase()).sort());
    expect(new Set(found.flat()).size).toBe(found.reduce((sum, own) => sum + new Set(own).size, 0));
    expect(() => prepareText(often, { minimumSplitTokens: 1e6 })).toThrow(
      /the text is too short: in tokens its splits are .*, without \d+ repeated lines, and each needs 1000000/,
    );
  });

  it("leaves nothing unknown except where lines with unknown words are kept", () => {
    const cut = prepareText(documents, { vocabularySize: 36 });
    const drop = prepareText(documents, { vocabularySize: 36, unknown: "drop" });
    const keep = prepareText(documents, { vocabularySize: 36, unknown: "keep" });
    expect([cut.report.unknownRate, drop.report.unknownRate]).toEqual([0, 0]);
    expect(cut.vocabulary.unknown).toBeNull();
    expect(keep.report.unknownRate).toBeGreaterThan(0);
    expect(keep.report.keptLines).toBe(keep.report.candidateLines);
    expect(drop.report.keptTokens).toBeLessThan(cut.report.keptTokens);
    expect(cut.report.keptTokens).toBeLessThan(keep.report.keptTokens);
    for (const split of SPLITS)
      for (const line of linesOf(cut, split)) expect(line.split(" ").length).toBeGreaterThan(3);
  });

  it("makes a-z streams with single spaces", () => {
    const prepared = prepareText(documents, { tokens: "chars" });
    expect(prepared.vocabulary.tokens).toHaveLength(27);
    for (const split of SPLITS) {
      expect(decode(prepared.vocabulary, prepared.streams[split])).toMatch(/^([a-z]+ )+$/);
    }
  });

  it("says why a text or an option will not do", () => {
    expect(() => prepareText([])).toThrow("no line of at least 4 words (are there no spaces between");
    expect(() => prepareText(["這是 一個 沒有 拉丁 字母 的 文本"], { tokens: "chars" })).toThrow(
      "no line of at least 8 letters a-z (is it in letters that these tokens do not have?)",
    );
    expect(() => prepareText(["12 34"], { tokens: "chars", minimumLineLength: 40 })).toThrow(
      "no line of at least 40",
    );
    expect(() => prepareText(["one two three four five"])).toThrow("the text is too short");
    const one = Array.from(
      { length: 500 },
      (_, i) => `the cat of house ${"abcdefghij"[i % 10]} sees a dog`,
    ).join(" ");
    expect(() => prepareText([one], { minimumSplitTokens: 8 })).toThrow(
      /^the text has too few documents, 1, and none is divided between the splits, which are .* tokens and need 8 each; give a document on each line/,
    );
    expect(() => prepareText(documents, { minimumSplitTokens: 1e6 })).toThrow(/each needs 1000000/);
    expect(() => prepareText(documents, { vocabularySize: 3 })).toThrow("at least 8 tokens, but 3");
    expect(() => prepareText(documents, { fractions: { train: 1, validation: 0, judge: 0 } })).toThrow(
      "1, 0, 0",
    );
  });
});

describe("splits", () => {
  it("have stable hashes that fill the range evenly", () => {
    // Recorded once: a changed hash would move documents of existing runs between the splits.
    expect([hashText("fluxion"), hashText("fluxion", 1)]).toEqual([710519492, 1900275643]);
    const counts = { train: 0, validation: 0, judge: 0 };
    for (let i = 0; i < 10_000; i++) counts[splitOf(hashText(`document ${i}`))]++;
    expect(Math.abs(counts.train - 6000)).toBeLessThan(200);
    expect(Math.abs(counts.validation - 1000)).toBeLessThan(150);
  });
});

describe("packing", () => {
  const lines = [Int32Array.of(5, 6), Int32Array.of(7), Int32Array.of(8, 9, 5)];

  it("puts a separator after each line and cuts whole blocks", () => {
    const stream = packLines(lines, 0);
    expect([...stream]).toEqual([5, 6, 0, 7, 0, 8, 9, 5, 0]);
    expect(cutBlocks(stream, 4)).toEqual({ tokens: stream.slice(0, 8), count: 2, length: 4 });
    expect([...cutBlocks(stream, 4, { offset: 5 }).tokens]).toEqual([8, 9, 5, 0]);
    expect([...cutBlocks(stream, 2, { limit: 2 }).tokens]).toEqual([5, 6, 0, 8]);
    expect(cutBlocks(stream, 10).count).toBe(0);
  });

  it("gathers windows anywhere inside the stream only", () => {
    const stream = packLines(lines, 0);
    expect([...windows(stream, [6, 1], 3).tokens]).toEqual([9, 5, 0, 6, 0, 7]);
    expect(() => windows(stream, [7], 3)).toThrow("window 7..10 is outside the stream of 9 tokens");
    expect(() => windows(stream, [-1], 3)).toThrow("outside");
  });
});

describe("reference sets", () => {
  const blocks = cutBlocks(
    Int32Array.from({ length: 240 }, (_, i) => (i * i) % 23),
    12,
  );

  it("shuffle inside each block, by the key", () => {
    const shuffled = shuffledText(blocks, key(1));
    expect(shuffled).toEqual(shuffledText(blocks, key(1)));
    expect(shuffled.tokens).not.toEqual(blocks.tokens);
    expect(shuffled.tokens).not.toEqual(shuffledText(blocks, key(2)).tokens);
    for (let row = 0; row < blocks.count; row++) {
      const own = (tokens: Int32Array) => tokens.slice(12 * row, 12 * row + 12);
      expect(own(shuffled.tokens).sort()).toEqual(own(blocks.tokens).sort());
      if (row > 0) expect(own(shuffled.tokens)).not.toEqual(own(blocks.tokens));
    }
  });

  it("draw tokens with the frequencies of the stream", () => {
    const stream = Int32Array.of(0, 1, 1, 1, 2, 2, 2, 2, 2, 2);
    const { tokens, count, length } = unigramSamples(stream, 500, 20, key(3));
    expect([tokens.length, count, length]).toEqual([10_000, 500, 20]);
    [0.1, 0.3, 0.6].forEach((share, id) => {
      const seen = tokens.filter((token) => token === id).length / 10_000;
      expect(Math.abs(seen - share)).toBeLessThan(0.03);
    });
    expect(() => unigramSamples(new Int32Array(0), 1, 1, key(0))).toThrow("at least one token");
  });

  it("have the asked size for any counts", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(7), fc.nat(99), (count, length, seed) => {
        expect(unigramSamples(Int32Array.of(4), count, length, key(seed)).tokens).toEqual(
          new Int32Array(count * length).fill(4),
        );
      }),
    );
  });
});
