/**
 * Which place of a source a place of the code made from it comes from: the mappings of a source map, version 3, of one source.
 * Consumed by blob.ts, for the lines of errors.
 */

/** A line and a column, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of a segment: base 64, five bits a digit, the sign in the lowest. */
function numbersIn(segment: string): readonly number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const letter of segment) {
    const digit = DIGITS.indexOf(letter);
    value += (digit & 31) << shift;
    if ((digit & 32) > 0) shift += 5;
    else {
      numbers.push((value & 1) > 0 ? -(value >> 1) : value >> 1);
      [value, shift] = [0, 0];
    }
  }
  return numbers;
}

/** Where that place of the code was written; undefined where no line of the source made it. */
export function sourcePlace(mappings: string, { line, column }: Place): Place | undefined {
  let [sourceLine, sourceColumn] = [0, 0];
  let found: Place | undefined;
  for (const [i, text] of mappings.split(";").slice(0, line).entries()) {
    let generated = 0;
    // What is before the first segment of its line belongs to none.
    found = undefined;
    for (const segment of text.split(",")) {
      const [step = 0, , lines, columns] = numbersIn(segment);
      generated += step;
      if (lines === undefined || columns === undefined) continue;
      sourceLine += lines;
      sourceColumn += columns;
      if (i === line - 1 && (generated < column || found === undefined))
        found = { line: sourceLine + 1, column: sourceColumn + 1 };
    }
  }
  return found;
}
