/**
 * The user's module in the worker that runs it: what it is given, what it exports, and where in it an error came from.
 *
 * It comes as a function, see blob.ts: TypeScript has made imports calls of `require` and exports properties of `exports`. So "fluxion"
 * is the library that the page itself is made of, and no module has to be found by its name.
 */
import * as fluxion from "fluxion";
import { placeOf } from "../../../src/dsl/trace/callsite.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { Exports } from "../../../src/runtime/user-exports.ts";
import type { Problem } from "./problem.ts";

/** The user's code as a function. */
export type UserModule = (
  exports: Record<string, unknown>,
  require: (name: string) => unknown,
) => Promise<void>;

/** Named imports that are missing are said to be, as where modules are linked. */
const library: unknown = new Proxy(fluxion, {
  get(target, name) {
    if (typeof name === "symbol" || name === "__esModule" || name in target)
      return Reflect.get(target, name) as unknown;
    throw new UserError(`"fluxion" exports no "${name}"`);
  },
});

/** The code that a worker was begun with. */
export interface GivenCode {
  readonly module: UserModule;
  /** What whoever began it says of it. */
  readonly about: unknown;
}

/** Takes the code, which comes once the scripts that the blob imports have run. To be called by one of them. */
export function givenCode(): Promise<GivenCode> {
  // The user's line may lie below many of the language's.
  (Error as { stackTraceLimit?: number }).stackTraceLimit = 60; // an extension of V8, ignored elsewhere
  return new Promise((resolve) => {
    Object.assign(globalThis, {
      fluxionUserCode: (module: UserModule, about: unknown) => resolve({ module, about }),
    });
  });
}

/** What is said of an import that is not there: of another file, or of a package. */
export interface Refusals {
  readonly file: string;
  readonly package: string;
}

/** Runs the module. Its exports are in the order of their names, as those of a module are. */
export async function exportsOf(module: UserModule, refusals: Refusals): Promise<Exports> {
  const exports: Record<string, unknown> = {};
  await module(exports, (name) => {
    if (name === "fluxion") return library;
    const reason = /^(\.|\/|file:)/.test(name) ? refusals.file : refusals.package;
    throw new UserError(`"${name}" cannot be imported: ${reason}`);
  });
  return Object.fromEntries(Object.entries(exports).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A blob is what the user's code runs from, and nothing else in this worker does. */
const USERS = /^blob:.*?:(\d+):(\d+)$/;

/** The innermost of the user's lines that an error came by, or what caused it. */
function placeIn(error: unknown): { readonly line: number; readonly column: number } | undefined {
  if (!(error instanceof Error)) return undefined;
  const frames = (error.stack ?? "").split("\n").flatMap((line) => placeOf(line) ?? []);
  const found = frames.map((frame) => USERS.exec(frame)).find((frame) => frame !== null);
  return found === undefined ? placeIn(error.cause) : { line: Number(found[1]), column: Number(found[2]) };
}

/** What an error says, and where in the code that runs it is from. */
export const problemOf = (error: unknown): Problem =>
  error instanceof Error
    ? { message: messageOf(error), ...placeIn(error) }
    : { message: `The code threw ${String(error)}, which is no error.` };

/** The message without what is not the user's: how TypeScript calls what was imported, and addresses of blobs. */
const messageOf = ({ message }: Error): string =>
  message.replace(/\(0 , \w+\.(\w+)\)/g, "$1").replace(/\n\s+at blob:\S+/g, "");
