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

/** Where this library's own modules lie; frames inside it are never the user's. Undefined where modules have no folder (a data URL, a classic script). */
function folderOfLibrary(): string | undefined {
  try {
    return new URL("../../", import.meta.url).href;
  } catch {
    return undefined;
  }
}

const libraryRoot = folderOfLibrary();
const libraryPath =
  libraryRoot === undefined ? undefined : decodeURIComponent(libraryRoot.replace(/^file:\/\//, ""));

/** Captures the current stack; V8 formats it only when it is read. */
export function captureSite(): Error {
  const holder = Error as unknown as { stackTraceLimit?: number }; // a V8 extension, absent elsewhere
  const limit = holder.stackTraceLimit;
  holder.stackTraceLimit = 40;
  const site = new Error();
  if (limit !== undefined) holder.stackTraceLimit = limit;
  return site;
}

/** `file:line:column` of the innermost frame outside this library, or undefined when the engine does not tell. */
export function formatSite(site: Error): string | undefined {
  if (libraryRoot === undefined || libraryPath === undefined) return undefined;
  for (const line of (site.stack ?? "").split("\n").slice(1)) {
    const inLibrary = line.includes(libraryRoot) || line.includes(libraryPath);
    if (inLibrary || line.includes("node:internal") || line.includes("node_modules")) continue;
    const match = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?\s*$/.exec(line);
    if (match?.[1] !== undefined) return match[1].replace(/^file:\/\//, "");
  }
  return undefined;
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
