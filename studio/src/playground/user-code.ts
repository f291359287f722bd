/**
 * The user's module in the worker that runs it: what it is given, what it exports, and where in it an error came from.
 *
 * It comes as a function, see sandbox.ts: TypeScript has made imports calls of `require` and exports properties of `exports`. So "fluxion"
 * is the library that the page itself is made of, and no module has to be found by its name.
 */
import * as fluxion from "fluxion";
import { placeOf } from "../../../src/dsl/trace/callsite.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import type { Exports } from "../../../src/runtime/user-exports.ts";
import type { Problem } from "./messages.ts";

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

function required(name: string): unknown {
  if (name === "fluxion") return library;
  throw new UserError(
    name.startsWith(".")
      ? `"${name}" cannot be imported: the playground has one file; write it here`
      : `"${name}" cannot be imported: in the playground there is "fluxion" alone`,
  );
}

/** Runs the module. Its exports are in the order of their names, as those of a module are. */
export async function exportsOf(module: UserModule): Promise<Exports> {
  const exports: Record<string, unknown> = {};
  await module(exports, required);
  return Object.fromEntries(Object.entries(exports).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A blob is what the user's code runs from, and nothing else in this worker does. */
const USERS = /^blob:.*?:(\d+):(\d+)$/;

/** What an error says, and the innermost of the user's lines that it came by: of the code that runs. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof Error)) return { message: `The code threw ${String(error)}, which is no error.` };
  const frames = (error.stack ?? "").split("\n").flatMap((line) => placeOf(line) ?? []);
  const [, line, column] = frames.map((frame) => USERS.exec(frame)).find((frame) => frame !== null) ?? [];
  return {
    message: messageOf(error),
    ...(line === undefined ? {} : { line: Number(line), column: Number(column) }),
  };
}

/** The message without what is not the user's: how TypeScript calls what was imported, and addresses of blobs. */
const messageOf = ({ message }: Error): string =>
  message.replace(/\(0 , \w+\.(\w+)\)/g, "$1").replace(/\n\s+at blob:\S+/g, "");
