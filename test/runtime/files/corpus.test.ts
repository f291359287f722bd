import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadCorpus, loadTextFile, loadWordNet } from "../../../src/runtime/files/corpus.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import {
  parseGloss,
  prepareCorpus,
  textDocuments,
  textFingerprint,
} from "../../../src/runtime/text/documents.ts";
import { storyDocuments } from "../../support/story.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-corpus-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function complaint(path: string): Promise<string> {
  const error: unknown = await loadTextFile(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof UserError)) throw new Error(`no UserError for ${path}, but ${String(error)}`);
  expect(error.message).not.toContain("\n");
  expect(error.message).toContain(path);
  return error.message;
}

// Reading and preparing 20 MB takes a second, and several on a busy machine.
describe("WordNet", { timeout: 60_000 }, () => {
  it("loads every definition, as text without notation", async () => {
    const { documents } = await loadWordNet();
    expect(documents.length).toBeGreaterThan(117_000);
    expect(documents).toContain("of or relating to immunology");
    expect(documents.filter((text) => /["|]|^\s|\s$/.test(text))).toEqual([]);
    expect(documents.filter((text) => text.includes("Copyright") || text.includes("@ "))).toEqual([]);
    const withExamples = await loadWordNet({ examples: true });
    expect(withExamples.documents.length).toBeGreaterThan(160_000);
    expect(withExamples.documents).toContain("a rubber check");
  });

  it("tells a definition from its examples", () => {
    expect(
      parseGloss('(law) fall short (badly); lose; "a rubber check (unpaid)"; "no; good"--A. Nonymous'),
    ).toEqual({
      definition: "fall short; lose",
      examples: ["a rubber check", "no; good"],
    });
    expect(parseGloss('reward as in "carrot and stick"; "he used it"')).toEqual({
      definition: "reward as in carrot and stick",
      examples: ["he used it"],
    });
    expect(parseGloss("tire out")).toEqual({ definition: "tire out", examples: [] });
  });

  it("makes splits that are large enough to train and judge on", async () => {
    const { report, vocabulary } = prepareCorpus(await loadCorpus());
    expect(vocabulary.tokens).toHaveLength(2000);
    expect(report.splits.train.tokens).toBeGreaterThan(200_000);
    expect(report.splits.judge.tokens).toBeGreaterThan(100_000);
    expect(report.unknownRate).toBe(0);
  });
});

describe("text files", () => {
  it("are one document a line, or paragraphs where blank lines are common", async () => {
    const lines = Array.from({ length: 50 }, (_, i) => `line ${i}`);
    expect(textDocuments(lines.join("\n"))).toEqual(lines);
    expect(textDocuments(`${lines.join("\r\n")}\r\n\r\nlast`)).toEqual([...lines, "last"]);
    expect(textDocuments("one\ntwo\n \nthree\nfour")).toEqual(["one two", "three four"]);
    expect(textDocuments("one\ntwo\n\nthree", "lines")).toEqual(["one", "two", "three"]);
    expect(textDocuments(lines.join("\n"), "paragraphs")).toEqual([lines.join(" ")]);
    const corpus = await loadCorpus({ file: await file("bom.txt", "\ufeffhéllo\nworld\n") });
    expect(corpus).toEqual({ name: "bom.txt", documents: ["héllo", "world"] });
  });

  it("without line breaks are cut at white space, losing nothing", () => {
    const text = "word ".repeat(9000).trim();
    const documents = textDocuments(text);
    expect(documents.length).toBe(5);
    expect(documents.every((document) => document.length <= 10_000)).toBe(true);
    expect(documents.join(" ")).toBe(text);
    expect(textDocuments("x".repeat(25_000)).map((document) => document.length)).toEqual([
      10_000, 10_000, 5000,
    ]);
  });

  it("that are missing, folders, empty, blank, binary or not UTF-8 are refused in one line", async () => {
    expect(await complaint(join(folder, "none.txt"))).toContain("does not exist");
    expect(await complaint(folder)).toContain("is a folder");
    expect(await complaint(await file("empty.txt", ""))).toContain("is empty");
    expect(await complaint(await file("blank.txt", " \n\n "))).toContain("only white space");
    expect(await complaint(await file("nul.bin", "abc\0def"))).toContain("NUL byte at offset 3");
    expect(await complaint(await file("utf16.txt", Buffer.from("text", "utf16le")))).toContain("UTF-16");
    expect(await complaint(await file("latin1.txt", Buffer.from("caf\xe9 noir", "latin1")))).toContain(
      "not valid UTF-8",
    );
    if (process.platform !== "win32") expect(await complaint("/dev/null")).toContain("no regular file");
  });

  it("that are too short for their splits are refused by name", async () => {
    const corpus = await loadTextFile(
      await file("short.txt", "only a few words here\nand some more words there\n"),
    );
    const prepare = () => prepareCorpus(corpus, { minimumSplitTokens: 16 });
    expect(prepare).toThrow(UserError);
    expect(prepare).toThrow(/^short\.txt: the text is too short: .* each needs 16/);
  });
});

describe("textFingerprint", () => {
  it("is the same for the same text in any order, and another for another text or vocabulary", () => {
    const documents = storyDocuments(300);
    const fingerprint = (texts: readonly string[], vocabularySize = 60): string =>
      textFingerprint(prepareCorpus({ name: "story", documents: texts }, { vocabularySize }));
    expect(fingerprint(documents.toReversed())).toBe(fingerprint(documents));
    expect(fingerprint(documents.slice(1))).not.toBe(fingerprint(documents));
    expect(fingerprint(documents.map((text) => text.replaceAll("cat", "cow")))).not.toBe(
      fingerprint(documents),
    );
    expect(fingerprint(documents, 30)).not.toBe(fingerprint(documents));
  });
});
