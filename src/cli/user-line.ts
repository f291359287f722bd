/**
 * The line of a user's own code in an error's stack: of a file that was given, or of what it imports. Consumed by user-module.ts, for
 * what is thrown while a file is loaded, and by main.ts, for what its functions throw later.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { placeOf } from "../dsl/trace/callsite.ts";

/** This module, or the program that it is bundled into, in the folder of the package's code. */
const OWN_MODULE = /cli\/[^/]+\.[jt]s:\d+:\d+$/;

const framesOf = (stack: string | undefined): readonly string[] =>
  (stack ?? "").split("\n").flatMap((line) => placeOf(line) ?? []);

/** Neither Node's, nor of a hook of Node's loader, which has no file. */
const isOfFile = (place: string): boolean => !/^(?:node|data):/.test(place);

const isUsers = (place: string): boolean => {
  // Read off a stack, so that it is written as the engine writes it in the other one.
  const [own = ""] = framesOf(new Error("where this is").stack);
  return !place.includes("node_modules") && !place.startsWith(own.replace(OWN_MODULE, ""));
};

/** `file:line` as one would write it here. */
function written(place: string): string {
  const [, file = place, line = ""] = /^(.*?):(\d+)(?::\d+)?$/.exec(place) ?? [];
  const path = file.startsWith("file:") ? fileURLToPath(file) : file;
  const near = relative(".", path);
  return `${near.startsWith("..") ? path : near}:${line}`;
}

/** The innermost line of the user's that an error came by, as `file:line`; undefined where there is none. */
export function userLine(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Of an import that is missing, Node writes the place alone above the message.
  const linked = /^(\S.*:\d+)\n/.exec(error.stack ?? "")?.[1];
  const place = linked ?? framesOf(error.stack).find((frame) => isOfFile(frame) && isUsers(frame));
  return place === undefined ? undefined : written(place);
}

/** The same where the user's own code threw; undefined where it was the package's, which may be at fault. */
export function thrownByUser(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const [innermost] = framesOf(error.stack).filter(isOfFile);
  return innermost !== undefined && isUsers(innermost) ? written(innermost) : undefined;
}
