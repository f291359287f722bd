/**
 * What a user's module declares, by its exports: all that can be verified, or the one that is trained. Pure: how the module was loaded is
 * another matter, so that the command line and a page take the same files and say the same of them.
 *
 * Consumed by `fluxion verify`, by the commands that are given a variant (src/cli/variants.ts), and by the studio's playground.
 */
import type { FlowMap } from "../models/flow/flow-map.ts";
import type { Flow } from "../models/flow/flow.ts";
import { isVariant } from "../models/flow/variant.ts";
import type { Variant } from "../models/flow/variant.ts";
import { UserError } from "./files/errors.ts";

/** How the names of files end that may be such a module. */
export const MODULE_EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];

/** Whether a name is that of a file that could be a module. */
export const isModuleName = (file: string): boolean => /[^/\\]\.m?[jt]s$/.test(file);

/** A module's exports by name; a default export is one of them. */
export type Exports = Readonly<Record<string, unknown>>;

/**
 * What verify looks at: every variant that is exported, and what is exported under two names once.
 * @param file its name, for messages
 * @throws UserError when there is none
 */
export function verifiableIn(exports: Exports, file: string): readonly Variant[] {
  const variants = [...new Set(Object.values(exports).filter(isVariant))];
  if (variants.length > 0) return variants;
  const functions = Object.values(exports).some((value) => typeof value === "function");
  throw new UserError(
    functions
      ? `${file} exports no flow, flow map or spherical flow, and functions that declare one are not called; export what one of them returns`
      : `${file} exports no flow, flow map or spherical flow; export what flow(), flowMap() or sphericalFlow() returns`,
  );
}

/** An export that declares something to train, or a function that does. */
export interface ChosenExport {
  readonly name: string;
  readonly value: unknown;
}

/**
 * The export that is trained: the one of that name, or the default export, or the only flow or flow map.
 * @param how a name is chosen, for the message where there are several
 * @throws UserError when there is none, or no telling which
 */
export function trainableIn(
  exports: Exports,
  file: string,
  name?: string,
  how = "--export NAME",
): ChosenExport {
  const names = Object.keys(exports);
  if (name !== undefined) {
    if (Object.hasOwn(exports, name)) return { name, value: exports[name] };
    throw new UserError(`${file} has no export "${name}"; it exports ${names.join(", ") || "nothing"}.`);
  }
  if (isTrainable(exports["default"])) return { name: "default", value: exports["default"] };
  const candidates = trainableNames(exports);
  const [first] = candidates;
  if (first === undefined)
    throw new UserError(`${file} exports no flow and no flow map; export what flow() or flowMap() returns`);
  if (candidates.length > 1)
    throw new UserError(`${file} exports ${candidates.join(", ")}; choose one with ${how}.`);
  return { name: first, value: exports[first] };
}

const isTrainable = (value: unknown): boolean => isVariant(value) || typeof value === "function";

/** Names of what might be trained: of variants, and where there is none, of functions, which may be anything. */
function trainableNames(exports: Exports): readonly string[] {
  const names = Object.keys(exports);
  const found = names.filter((one) => isVariant(exports[one]));
  return found.length > 0 ? found : names.filter((one) => isTrainable(exports[one]));
}

/**
 * The flow or flow map that an export is, or that the function it is declares for a vocabulary and texts of a length.
 * @throws UserError when it is none, or one that is not trained
 */
export function declaredIn(
  { name, value }: ChosenExport,
  file: string,
  vocab: number,
  length: number,
): Flow | FlowMap {
  const what = `The export "${name}" of ${file}`;
  const found = typeof value === "function" ? declaredBy(value, vocab, length, what) : value;
  if (isVariant(found)) {
    if (found.kind !== "spherical flow") return found;
    throw new UserError(
      `${what} is a flow on the sphere, which fluxion train does not train: models.training.sphericalStep is its step.`,
    );
  }
  throw new UserError(
    `${what} is ${typeof value === "function" ? "a function that returns " : ""}no flow and no flow map; export what flow() or flowMap() returns, or a function of the vocabulary's size that returns it.`,
  );
}

/** What a function of the user's declares. @throws UserError with its message */
function declaredBy(declare: unknown, vocab: number, length: number, what: string): unknown {
  try {
    return (declare as (vocab: number, length: number) => unknown)(vocab, length); // a function, as asked
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${what}, called with a vocabulary of ${vocab} and a length of ${length}: ${message}`,
      { cause: error },
    );
  }
}
