/**
 * Text normalization: raw documents to clean lines of lower-case words, or of the letters a-z and space.
 * Consumed by `prepare.ts`. Pure string functions.
 * Policy: everything is folded to lower case, accents on Latin letters are dropped, a sentence or clause end
 * starts a new line, and all other punctuation disappears, so that a small vocabulary covers the text.
 * To add a rule, put it in `foldText` if it is about characters and in `documentLines` if it is about lines.
 */

/** Letters that no canonical decomposition reduces to ASCII. */
const LETTER_FOLDS: Readonly<Record<string, string>> = {
  æ: "ae",
  œ: "oe",
  ø: "o",
  ß: "ss",
  ł: "l",
  đ: "d",
  ð: "d",
  þ: "th",
  ı: "i",
};

/** A full stop after one of these words, or after a single letter, ends no sentence. */
const ABBREVIATIONS: ReadonlySet<string> = new Set(["mr", "mrs", "ms", "dr", "prof", "st", "vs", "jr", "sr"]);

const DIGIT_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"] as const;

/**
 * Lower case, without accents on Latin letters, typographic quotes and dashes as ASCII. Other scripts keep
 * their marks (a vowel sign in Devanagari is no accent). The result is in NFC.
 */
export function foldText(text: string): string {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/(\p{Script=Latin})\p{Mn}+/gu, "$1")
    .replace(/[æœøßłđðþı]/g, (letter) => LETTER_FOLDS[letter] ?? letter)
    .replace(/[\u2018\u2019\u201b\u02bc`´]/g, "'")
    .replace(/[\u201c\u201d\u201e\u00ab\u00bb]/g, '"')
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .normalize("NFC");
}

/**
 * The lines of a document: it is cut at line breaks, and after `. ! ? ; :` when white space or the end
 * follows. Lines are folded (`foldText`) but still carry punctuation; `lineWords` and `lineCharacters` remove
 * it.
 */
export function documentLines(document: string): readonly string[] {
  const lines: string[] = [];
  for (const row of foldText(document).split(/[\r\n\u2028\u2029]+/)) {
    let start = 0;
    for (const match of row.matchAll(/(?<![.!?;:])[.!?;:]+["')\]]*(?=\s|$)/g)) {
      const end = match.index + match[0].length;
      if (match[0] === "." && endsInAbbreviation(row.slice(start, match.index))) continue;
      lines.push(row.slice(start, end));
      start = end;
    }
    lines.push(row.slice(start));
  }
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

/**
 * The words of a folded line: runs of letters and digits, apostrophes kept inside words, hyphens as spaces.
 */
export function lineWords(line: string): readonly string[] {
  return line.replace(/(?<=\d),(?=\d{3})/g, "").match(/[\p{L}\p{N}\p{M}]+(?:'[\p{L}\p{M}]+)*/gu) ?? [];
}

/**
 * A folded line in the 27 symbols a-z and space, as the text8 corpus has it: digits are spelled out one by
 * one, every other character becomes a space, and runs of spaces collapse. No space at either end.
 */
export function lineCharacters(line: string): string {
  return line
    .replace(/[0-9]/g, (digit) => ` ${DIGIT_NAMES[Number(digit)] ?? ""} `)
    .replace(/[^a-z]+/g, " ")
    .trim();
}

function endsInAbbreviation(text: string): boolean {
  const word = /\p{L}+$/u.exec(text)?.[0] ?? "";
  return word.length === 1 || ABBREVIATIONS.has(word);
}
