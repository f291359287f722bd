/**
 * The file that declares what a run trains, as the visitor gave it: kept as a text beside the run, in a file of the page's own, and compared
 * with what the run keeps of its code. Nothing here runs it; that is done by declared-worker.ts.
 *
 * Consumed by runs.ts, import.ts, summary.ts and engine.ts.
 */
import { UserError } from "../../../src/runtime/files/errors.ts";
import { fieldsOf } from "../../../src/runtime/files/fields.ts";
import { isSameSource, recordedHashes, sourceHash } from "../../../src/runtime/run/source.ts";
import { decodeText } from "../../../src/runtime/text/documents.ts";
import { isModuleName, MODULE_EXTENSIONS } from "../../../src/runtime/user-exports.ts";
import { LARGEST_DECLARATION } from "./protocol.ts";
import type { Declared } from "./protocol.ts";
import { storageError } from "./storage/folder.ts";
import type { StoredRun } from "./storage/run.ts";

/** The file that keeps it. */
export const KEPT = "declaration.json";

export interface KeptDeclaration {
  /** The file's name. */
  readonly name: string;
  /** Of its bytes; see `sourceHash`. */
  readonly hash: string;
  readonly text: string;
}

/** What is in a file that was given. @throws UserError for what is too large, no text, or no module by its name */
export async function declarationIn(file: File): Promise<KeptDeclaration> {
  const { name, size } = file;
  if (!isModuleName(name))
    throw new UserError(
      `${name} is no module; give the file that declares it, which ends in ${MODULE_EXTENSIONS.join(", ")}.`,
    );
  if (size > LARGEST_DECLARATION)
    throw new UserError(
      `${name} has ${Math.ceil(size / 2 ** 20)} MiB, and a declaration may have ${LARGEST_DECLARATION / 2 ** 20} MiB here.`,
    );
  const bytes = new Uint8Array(
    await file.arrayBuffer().catch((error: unknown) => {
      throw storageError(error, "read", name);
    }),
  );
  return { name, hash: sourceHash(bytes), text: decodeText(bytes, name) };
}

/** What is kept of it. */
export const declarationFile = ({ name, hash, text }: KeptDeclaration): Blob =>
  new Blob([
    `${JSON.stringify({ format: "fluxion-studio-declaration", version: 1, name, hash, text }, null, 1)}\n`,
  ]);

/** The declaration that was given for a run. @throws UserError when it is damaged */
export async function keptDeclaration(run: StoredRun): Promise<KeptDeclaration | undefined> {
  const content = await (await run.folder.read(KEPT))?.text();
  if (content === undefined) return undefined;
  const path = run.path(KEPT);
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    throw new UserError(`${path} is damaged; give the run's declaration again.`);
  }
  const fields = fieldsOf(json, path);
  return { name: fields.string("name"), hash: fields.string("hash"), text: fields.string("text") };
}

/** What the page is told of a run's declaration; undefined for a run of the package's own. */
export function declaredOf(run: StoredRun, kept: KeptDeclaration | undefined): Declared | undefined {
  const { variant } = run.config;
  if (variant?.file === undefined) return undefined;
  const given = kept && { name: kept.name, same: isSameSource([kept.hash], recordedHashes(run)) };
  return {
    file: variant.file,
    export: variant.export ?? "default",
    ...(given === undefined ? {} : { given }),
  };
}
