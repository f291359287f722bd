/**
 * Logs of one JSON text a line, as bytes. The last line may be torn by a crash: what follows the last newline is no line. Pure, safe in a
 * browser.
 *
 * Consumed by what keeps such logs: atomic.ts in files, the studio in a browser's storage.
 */
import { UserError } from "./errors.ts";

/** A parsed line and the byte range it takes in the file, newline included. */
export interface JsonLine {
  readonly value: unknown;
  readonly begin: number;
  readonly end: number;
}

/**
 * The lines of a log.
 * @throws UserError when a whole line is not JSON (naming the line, counted from 1)
 */
export function jsonLines(bytes: Uint8Array, path: string): readonly JsonLine[] {
  const lines: JsonLine[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let begin = 0, number = 1; ; number++) {
    const newline = bytes.indexOf(0x0a, begin);
    if (newline < 0) return lines;
    try {
      lines.push({
        value: JSON.parse(decoder.decode(bytes.subarray(begin, newline))),
        begin,
        end: newline + 1,
      });
    } catch {
      throw new UserError(`${path}: line ${number} is not valid JSON; correct or delete that line.`);
    }
    begin = newline + 1;
  }
}

/**
 * One line for each value, NaN and infinity as null, since JSON has neither.
 * @throws UserError for values that JSON cannot hold (undefined, functions)
 */
export function jsonLinesText(values: readonly unknown[], path: string): string {
  return values
    .map((value) => {
      const text: string | undefined = JSON.stringify(value);
      if (text === undefined)
        throw new UserError(`Cannot write ${path}: a value of type ${typeof value} is not JSON.`);
      return `${text}\n`;
    })
    .join("");
}
