/**
 * Call sites: which line of the user's code made an equation. Errors at trace time, at compile time and on a device name it.
 *
 * Kept beside the program, not in it, so that programs stay plain data. Passes that rewrite an equation call `copySite`.
 */

/**
 * A constructor that makes nothing new: a subclass adds its private field to the object that is given. The cast says what a
 * function that is called with `new` and returns an object does.
 */
const Given = function (object: object): object {
  return object;
} as unknown as new (object: object) => object;

/**
 * Keeps the site in a private field that is added to the equation itself: invisible to whoever copies, compares or prints it, and
 * several times faster than a WeakMap of as many entries as a large program has equations, which every garbage collection walks.
 */
class Sited extends Given {
  #site: Error | undefined;

  static record(equation: object, site: Error): void {
    if (#site in equation) equation.#site = site;
    else new Sited(equation).#site = site;
  }

  static of(equation: object): Error | undefined {
    return #site in equation ? equation.#site : undefined;
  }
}

/** Captures the current stack; V8 formats it only when it is read. */
export function captureSite(): Error {
  const holder = Error as unknown as { stackTraceLimit?: number }; // a V8 extension, absent elsewhere
  const limit = holder.stackTraceLimit;
  holder.stackTraceLimit = 40;
  const site = new Error();
  if (limit !== undefined) holder.stackTraceLimit = limit;
  return site;
}

/** This module's own place in the library's folder; servers of sources may add a query. */
const OWN_MODULE = /dsl\/trace\/callsite\.[jt]s(\?[^:]*)?:\d+:\d+$/;

/**
 * Where a line of a stack says its frame is, as `file:line:column`; undefined for lines that say nothing of the kind. V8 writes
 * `at name (place)` or `at place`, other engines `name@place`.
 */
export function placeOf(line: string): string | undefined {
  const place =
    /^\s*at .*? \((.+)\)$/.exec(line) ?? /^\s*at (?:async )?(.+)$/.exec(line) ?? /@(.+)$/.exec(line);
  return place?.[1] !== undefined && /:\d+:\d+$/.test(place[1]) ? place[1] : undefined;
}

/** Whether a place in the library is in the language itself. */
const isLanguage = (place: string, library: string): boolean => place.startsWith(`${library}dsl/`);

/**
 * `file:line:column` of the innermost frame outside this library, or undefined when the engine does not tell. Where there is none,
 * since the library's own models are traced by its own commands, it is the innermost frame outside the language.
 *
 * The library's folder is read off the stack too: the innermost frame is `captureSite` in this module. So the two agree also
 * where the engine writes places of the sources instead of the running code (source maps), a bundle of library and user's code
 * included. In a bundle without a source map all places are in one file, and no line would mean anything to its author.
 */
export function formatSite(site: Error): string | undefined {
  const [own, ...callers] = (site.stack ?? "").split("\n").flatMap((line) => placeOf(line) ?? []);
  if (own === undefined || !OWN_MODULE.test(own)) return undefined;
  const library = own.replace(OWN_MODULE, "");
  const user = callers.find(
    (place) => !place.startsWith(library) && !place.startsWith("node:") && !place.includes("node_modules"),
  );
  // A program that no one else is the author of, traced by the command line, is blamed on the library's own line above the language.
  const author = user ?? callers.find((place) => place.startsWith(library) && !isLanguage(place, library));
  return author?.replace(/^file:\/\//, "");
}

export function recordSite(equation: object, site: Error): void {
  Sited.record(equation, site);
}

/** Lets a rewritten equation be blamed on the line that made the original. Returns `to`. */
export function copySite<T extends object>(from: object, to: T): T {
  const site = Sited.of(from);
  if (site !== undefined) Sited.record(to, site);
  return to;
}

/** The stack recorded for `equation`, to attribute its descendants to. */
export const rawSite = (equation: object): Error | undefined => Sited.of(equation);
