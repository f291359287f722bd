/**
 * Whether what a declaration is given has the functions of what it should be, a name, and no parts that nothing reads. Types say the same,
 * but files of users are run without their types being checked: a part that is none would be noticed where nothing names the declaration any
 * more, and a misspelt one not at all, so that another flow would be trained and verified than the one that was meant.
 *
 * Consumed by all functions that declare something from an object: flows and maps, objectives, clocks, sources, states, schedules, weightings. A new one
 * takes its options by `partsOf`.
 */

/**
 * @param of the declaration, as 'The flow "name"'
 * @param part what it is given as, as "interpolant"
 * @throws RangeError naming the declaration, the part, and the function that is missing
 */
export function requirePart<T extends object>(
  of: string,
  part: string,
  given: T,
  functions: readonly (keyof T & string)[],
): void {
  const value: unknown = given; // whatever its type says
  const missing = functions.find(
    (name) => typeof value !== "object" || value === null || typeof Reflect.get(value, name) !== "function",
  );
  if (missing !== undefined)
    throw new RangeError(`${of} has a value for its ${part} that is none: ${missing} is no function there.`);
}

/**
 * What a declaration is given, when it has no other parts than the known ones.
 * @param of the declaration, as 'The flow "name"' or 'A Gaussian source'
 * @param keys all parts of its type
 * @param also parts that nothing reads and that are no mistake, as those of a declared flow that was spread into another one
 * @throws RangeError naming the declaration, the part, and the known one that it resembles, or all
 */
export function partsOf<T extends object, const K extends keyof T & string>(
  of: string,
  given: T,
  keys: readonly K[] & (Exclude<keyof T, K> extends never ? unknown : never), // none may be left out
  also: readonly string[] = [],
): T {
  const all: readonly string[] = keys;
  const stranger = Object.keys(given).find((key) => !all.includes(key) && !also.includes(key));
  if (stranger === undefined) return given;
  const near = nearest(stranger, all);
  throw new RangeError(
    `${of} has no part "${stranger}"; ${near === undefined ? `its parts are ${all.join(", ")}` : `"${near}" is the nearest of its parts`}.`,
  );
}

/**
 * Of a part that is one of a few words. A misspelt word would be taken for the last that code looks for.
 * @throws RangeError naming the declaration, the part, and the words
 */
export function requireWord(of: string, part: string, given: unknown, words: readonly string[]): void {
  if (words.some((word) => word === given)) return;
  throw new RangeError(
    `${of} has ${JSON.stringify(given) ?? String(given)} for its ${part}, which takes ${words.map((word) => `"${word}"`).join(", ")}.`,
  );
}

/** @throws RangeError unless the name is a string */
export function requireName(of: string, name: unknown): void {
  if (typeof name !== "string")
    throw new RangeError(
      `${of} has a name, by which messages and reports call it, and this one's is ${name === undefined ? "missing" : `a ${typeof name}`}.`,
    );
}

/** The name that another was meant to be, if it is one: it is cut short or goes on, or a third of its letters is changed. */
function nearest(word: string, names: readonly string[]): string | undefined {
  const longer = names.find((name) => word.length > 2 && (name.startsWith(word) || word.startsWith(name)));
  if (longer !== undefined) return longer;
  const [best] = names
    .map((name) => ({ name, apart: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.apart - b.apart);
  return best !== undefined && best.apart <= Math.ceil(best.name.length / 3) ? best.name : undefined;
}

/** Letters to insert, leave out or exchange (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const [left = 0, above = 0, diagonal = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(left + 1, above + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
