import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { documentLines, foldText, lineCharacters, lineWords } from "../../../src/models/data/index.ts";

describe("normalization", () => {
  it("folds case, accents, ligatures, quotes and dashes, and leaves other scripts their marks", () => {
    expect(foldText("Ångström’s Œuvre — “naïve” Straße ﬁn")).toBe('angstrom\'s oeuvre - "naive" strasse fin');
    expect(foldText("Йод हिन्दी")).toBe("йод हिन्दी".normalize("NFC"));
  });

  it("cuts at sentence ends and line breaks, not at abbreviations, initials or decimal points", () => {
    expect(documentLines('Mr. J. Smith paid 3.5 pounds. He left; "why?" nobody knew\nthe end')).toEqual([
      "mr. j. smith paid 3.5 pounds.",
      "he left;",
      '"why?"',
      "nobody knew",
      "the end",
    ]);
    expect(documentLines("see e.g. this one")).toEqual(["see e.g. this one"]);
    expect(documentLines(" \n\r\n ")).toEqual([]);
  });

  it("takes words without punctuation, with inner apostrophes, and joins thousands", () => {
    expect(lineWords("don't use the `old' blue-green 25,000, ok?")).toEqual([
      "don't",
      "use",
      "the",
      "old",
      "blue",
      "green",
      "25000",
      "ok",
    ]);
    expect(lineWords("привет, мир")).toEqual(["привет", "мир"]);
    expect(lineWords("...")).toEqual([]);
  });

  it("writes a-z and single spaces, digits spelled out, for any text", () => {
    expect(lineCharacters("route 66, isn't it?")).toBe("route six six isn t it");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        for (const line of documentLines(text)) expect(lineCharacters(line)).toMatch(/^$|^[a-z]+( [a-z]+)*$/);
      }),
    );
  });

  it("folding twice changes nothing more", () => {
    const latin = fc.string({ unit: fc.constantFrom(..."aZéÅß’“—œ1 .") });
    fc.assert(
      fc.property(latin, (text) => {
        expect(foldText(foldText(text))).toBe(foldText(text));
      }),
    );
    expect(foldText("℡ İ")).toBe("tel i");
  });
});
