import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { charVocabulary, wordVocabulary } from "../../../src/models/data/index.ts";
import { createRun } from "../../../src/runtime/files/run-folder.ts";
import type { RunFolder } from "../../../src/runtime/files/run-folder.ts";
import { loadVocabulary, saveVocabulary } from "../../../src/runtime/run/vocabulary.ts";
import { scratchFolder, userErrorOf } from "../files/scratch.ts";

const newRun = async (): Promise<RunFolder<object>> => createRun(join(await scratchFolder(), "run"), {});
const path = (run: RunFolder<object>): string => join(run.dir, "vocabulary.json");
const words = wordVocabulary(["the", "cat's", "straße", "नमस्ते", "十"]);
const MEND = "; delete it, and the text of the run gives the vocabulary again.";

describe("the vocabulary in a run folder", () => {
  it.each([words, charVocabulary(), wordVocabulary(["x"], { unknown: false })])(
    "comes back as it was, case %#",
    async (vocabulary) => {
      const run = await newRun();
      expect(await loadVocabulary(run, "t")).toBeUndefined();
      await saveVocabulary(run, vocabulary, "t");
      expect(await loadVocabulary(run, "t")).toEqual(vocabulary);
      expect(await loadVocabulary(run, undefined)).toEqual(vocabulary); // a run that knows no fingerprint
      const bytes = await readFile(path(run));
      await saveVocabulary(run, vocabulary, "t");
      expect(await readFile(path(run))).toEqual(bytes);
      expect((await readdir(run.dir)).toSorted()).toEqual(["config.json", "vocabulary.json"]);
    },
  );

  it("goes when the run is replaced", async () => {
    const run = await newRun();
    await saveVocabulary(run, words, "t");
    await createRun(run.dir, {}, { replace: true });
    expect(await loadVocabulary(run, "t")).toBeUndefined();
  });

  it("of another text is refused, though it fits in size", async () => {
    const run = await newRun();
    await saveVocabulary(run, words, "another");
    expect(await userErrorOf(() => loadVocabulary(run, "t"))).toBe(
      `${path(run)} belongs to another text than the run${MEND}`,
    );
  });

  it("is refused when it was cut, at any length", async () => {
    const run = await newRun();
    await saveVocabulary(run, words, "t");
    const { length } = await readFile(path(run));
    for (let size = length - 2; size >= 0; size -= 7) {
      await truncate(path(run), size);
      expect(await userErrorOf(() => loadVocabulary(run, "t"))).toContain(`${path(run)} is damaged`);
    }
  });

  it("is refused with a sentence when it is hostile", async () => {
    const run = await newRun();
    await saveVocabulary(run, words, "t");
    const good = JSON.parse(await readFile(path(run), "utf8"));
    const { vocabulary } = good;
    const cases: readonly (readonly [unknown, string])[] = [
      [null, "found null where an object with named values is needed."],
      [[], "found a list where an object with named values is needed."],
      [{}, `is no vocabulary: it does not say "format": "fluxion-vocabulary"${MEND}`],
      [{ ...good, version: 2 }, `has version 2, and this program reads version 1${MEND}`],
      [{ ...good, text: 3 }, '"text" is 3; it must be a text.'],
      [{ ...good, hash: undefined }, '"hash" is missing.'],
      [{ ...good, vocabulary: undefined }, '"vocabulary" is missing.'],
      [{ ...good, vocabulary: 7 }, `is damaged: a vocabulary must be an object${MEND}`],
      [{ ...good, vocabulary: { ...vocabulary, tokens: {} } }, `is damaged: a vocabulary's tokens must be a list of strings${MEND}`],
      [{ ...good, vocabulary: { ...vocabulary, separator: 99 } }, `is damaged: a vocabulary's special id 99 is outside [0, 7)${MEND}`],
      [{ ...good, vocabulary: { ...vocabulary, tokens: ["\u001b[2J", "\u001b[2J"] } }, `is damaged: a vocabulary has the token " [2J" twice${MEND}`],
      [{ ...good, vocabulary: { ...vocabulary, tokens: ["<sep>", "<unk>", "dog"] } }, `is damaged or was changed: its words are not those that were written${MEND}`],
      [{ ...good, vocabulary: { ...vocabulary, unknown: null } }, `is damaged or was changed: its words are not those that were written${MEND}`],
    ]; // prettier-ignore
    for (const [content, problem] of cases) {
      await writeFile(path(run), JSON.stringify(content));
      const message = await userErrorOf(() => loadVocabulary(run, "t"));
      expect(message.replace(path(run), "").replace(/^:? /, "")).toBe(problem);
      expect(message).not.toContain("\u001b");
    }
  });

  it.each(["\u001b[31mred", "a b", "a\nb", "\u202egnorw", "\u0007", "\u009b2J"])(
    "is refused with such a word in it, even with the right hash: a terminal would obey it, case %#",
    async (word) => {
      const run = await newRun();
      await saveVocabulary(run, wordVocabulary(["fine", word]), "t");
      expect(await userErrorOf(() => loadVocabulary(run, "t"))).toBe(
        `${path(run)} holds a word with characters that are in no word${MEND}`,
      );
    },
  );

  it("is refused when it is no file to read", async () => {
    const run = await newRun();
    await mkdir(path(run));
    expect(await userErrorOf(() => loadVocabulary(run, "t"))).toBe(
      `${path(run)} is no regular file; remove it.`,
    );
    await rm(path(run), { recursive: true });
    await writeFile(path(run), "");
    await truncate(path(run), 2 ** 28); // sparse
    expect(await userErrorOf(() => loadVocabulary(run, "t"))).toBe(
      `${path(run)} has ${2 ** 28} bytes, which is no vocabulary; delete it.`,
    );
  });
});
