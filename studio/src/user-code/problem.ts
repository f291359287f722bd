/**
 * What goes wrong with code of the user's, and the code that it is about: plain data, so that workers can say it. Consumed by the
 * playground, and by the engine for declarations in users' files.
 */

/** A sentence, and where in the user's text it is about: line and column from 1. */
export interface Problem {
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
}

/** JavaScript made of the user's TypeScript. */
export interface Transpiled {
  readonly code: string;
  /** Of the source map, version 3. */
  readonly mappings: string;
  /** What TypeScript could not read; there is nothing to run then. */
  readonly problems: readonly Problem[];
}

/** Either what was asked for, or what went wrong; lines are of the code that runs until they are looked up in the text. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

/** A problem with its line, as a sentence. @param file what the user's text is called */
export const sentenceOf = ({ message, line }: Problem, file: string): string =>
  line === undefined ? message : `${file}:${line}: ${message}`;
