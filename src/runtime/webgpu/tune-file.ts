/**
 * The table of tuned dots as a file in the user's cache folder. It is never needed: what is missing or damaged is done without, and a
 * damaged one is replaced. Two processes that save at once each leave a whole file; the later one wins.
 *
 * Consumed where the WebGPU device is opened in Node, and by `fluxion tune`. Node only.
 */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../files/atomic.ts";
import { cacheFolder } from "../files/cache.ts";
import { errorCode, fileError } from "../files/errors.ts";
import { makeFolder } from "../files/folder.ts";
import { messageOf } from "./gpu.ts";
import { EMPTY_TABLE, parseTable, SCHEMA, withResults } from "./tune-table.ts";
import type { TunedDot, TuneTable } from "./tune-table.ts";

/** A table is far smaller. */
const MOST_BYTES = 2 ** 22;

export interface TuneFileOptions {
  /** The folder it is in. Default: the user's cache folder. */
  readonly folder?: string | undefined;
  /** Gets the one line on a file that is of no use. Default: standard error. */
  readonly warn?: (line: string) => void;
}

/** Versions have a file each, so that they do not replace each other's. */
export const tuneFile = ({ folder = cacheFolder() }: TuneFileOptions = {}): string =>
  join(folder, `tuned-dots-${SCHEMA}.json`);

/** The table in the file; an empty one where there is none. */
export async function loadTuned(options: TuneFileOptions = {}): Promise<TuneTable> {
  const { warn = (line) => process.stderr.write(`${line}\n`) } = options;
  const path = tuneFile(options);
  const found = await read(path);
  if (typeof found !== "string") return found;
  const replaced = await write(path, EMPTY_TABLE).then(
    () => "it is started anew",
    () => "it is ignored",
  );
  warn(`fluxion: ${path} cannot be used: ${found}; ${replaced}.`);
  return EMPTY_TABLE;
}

/** The table, or what is wrong with the file. */
async function read(path: string): Promise<TuneTable | string> {
  try {
    const status = await stat(path);
    if (!status.isFile()) return "it is not a plain file"; // reading a pipe would wait for its other end
    if (status.size > MOST_BYTES) return `it is larger than ${MOST_BYTES} bytes`;
    return parseTable(await readFile(path, "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return EMPTY_TABLE;
    return messageOf(fileError(error, "read", path)).replace(/\.$/, "");
  }
}

async function write(path: string, table: TuneTable): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(table, null, 2)}\n`);
}

/**
 * Adds results to what the file has by now, and returns it.
 * @throws UserError when it cannot be written
 */
export async function saveTuned(
  adapter: string,
  results: ReadonlyMap<string, TunedDot | undefined>,
  options: TuneFileOptions = {},
): Promise<TuneTable> {
  const path = tuneFile(options);
  const table = withResults(await loadTuned(options), adapter, results);
  await makeFolder(dirname(path)).catch((error: unknown) => {
    throw fileError(error, "write", path);
  });
  await write(path, table);
  return table;
}
