/**
 * The runs that the page keeps: made, opened, listed, removed. Consumed by engine.ts and import.ts.
 */
import { UserError } from "../../../src/runtime/files/errors.ts";
import { fieldsOf } from "../../../src/runtime/files/fields.ts";
import { envelopeText, newEnvelope, readEnvelopeText } from "../../../src/runtime/run/format.ts";
import type { Lock, RunConfig } from "../../../src/runtime/run/store.ts";
import { checkConfig } from "../../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../../src/runtime/training/config.ts";
import { KEPT } from "./declaration.ts";
import type { Folder, Storage } from "./storage/folder.ts";
import { lockRun } from "./storage/lock.ts";
import { StoredRun } from "./storage/run.ts";

/** What the page knows of a run that its configuration does not say. */
export interface Origin {
  readonly origin: "trained" | "imported";
  /** Name of the text. */
  readonly text: string;
}

/** A run of the page's. */
export interface KnownRun extends Origin {
  readonly run: StoredRun;
}

/** What makes a folder a run. */
const CONFIG = "config.json";

/** The file of {@link Origin}. */
const ORIGIN = "studio.json";
/** That of a text that was dropped. */
export const TEXT = "text.txt";

/** The name of the file that a run was trained on; undefined for the text that comes with the page. */
export const fileOfText = ({ data }: TrainingConfig): string | undefined => data.file?.split(/[\\/]/).at(-1);

/** A folder of the page's storage that is no run: what the page remembers for itself. */
export const OWN_FOLDER = ".studio";

/** What a new run has besides its settings. */
export interface NewParts {
  readonly vocabulary?: string | undefined;
  readonly text?: Blob | undefined;
}

/** A file of a run, to be kept. */
export interface FileToKeep {
  readonly name: string;
  readonly content: Blob;
}

/** Files that the page keeps for itself: the command line has no use for them. */
export const isOwnFile = (name: string): boolean => [ORIGIN, TEXT, KEPT].includes(name);

export class Runs {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** All runs that can be opened, and a sentence for each that cannot. What a closed tab made or removed half is removed. */
  async list(): Promise<{ readonly runs: readonly KnownRun[]; readonly problems: readonly string[] }> {
    const runs: KnownRun[] = [];
    const problems: string[] = [];
    for (const id of await this.#storage.names()) {
      if (id === OWN_FOLDER) continue;
      try {
        if (!(await this.#swept(id))) runs.push(await this.open(id));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        problems.push(error.message);
      }
    }
    return { runs, problems };
  }

  /**
   * Removes a folder without settings, which are written last and removed first: a tab was closed meanwhile, and nobody could remove it.
   * @returns whether it is no run, or not yet
   */
  async #swept(id: string): Promise<boolean> {
    const isRun = async (): Promise<boolean> =>
      (await (await this.#storage.open(id))?.read(CONFIG)) !== undefined;
    if (await isRun()) return false;
    const lock = await lockUnlessHeld(id);
    if (lock === undefined) return true; // it is being made, or removed
    try {
      if (await isRun()) return false;
      await this.#storage.remove(id);
      return true;
    } finally {
      lock.release();
    }
  }

  /** @throws UserError when there is no such run, or it is damaged */
  async open(id: string): Promise<KnownRun> {
    const folder = await this.#storage.open(id);
    const config = await folder?.read(CONFIG);
    if (folder === undefined || config === undefined)
      throw new UserError(`There is no run ${id} any more; it may have been removed in another tab.`);
    const path = `${id}/${CONFIG}`;
    const envelope = readEnvelopeText(await config.text(), path, id);
    const run = new StoredRun(id, folder, { ...envelope, config: checkConfig(envelope.config, path) });
    return { run, ...(await originOf(folder, id)) };
  }

  /**
   * Makes a run. Its configuration is written last, so that there is no run before all of it is there.
   * @param parts the text of vocabulary.json, and the text that was dropped
   * @throws UserError when it cannot be kept
   */
  async make(config: TrainingConfig, origin: Origin, { vocabulary, text }: NewParts = {}): Promise<KnownRun> {
    return this.#fill(newEnvelope(config, new Date()), origin, [
      ...(vocabulary === undefined ? [] : [{ name: "vocabulary.json", content: new Blob([vocabulary]) }]),
      ...(text === undefined ? [] : [{ name: TEXT, content: text }]),
    ]);
  }

  /** Keeps a run that was made elsewhere. @throws UserError when it cannot be kept */
  async adopt(
    envelope: RunConfig<TrainingConfig>,
    text: string,
    files: readonly FileToKeep[],
  ): Promise<KnownRun> {
    return this.#fill(envelope, { origin: "imported", text }, files);
  }

  async #fill(
    envelope: RunConfig<TrainingConfig>,
    origin: Origin,
    files: readonly FileToKeep[],
  ): Promise<KnownRun> {
    const { id, lock } = await this.#reserved();
    try {
      const folder = await this.#storage.make(id);
      const write = (name: string, content: string): Promise<void> =>
        folder.write(name, [new TextEncoder().encode(content)]);
      for (const { name, content } of files) await folder.write(name, blobPieces(content));
      await write(ORIGIN, `${JSON.stringify({ format: "fluxion-studio", version: 1, ...origin })}\n`);
      await write(CONFIG, envelopeText(envelope));
      return { run: new StoredRun(id, folder, envelope), ...origin };
    } catch (error) {
      await this.#storage.remove(id).catch(() => undefined); // the first error is the one to report
      throw error;
    } finally {
      lock.release();
    }
  }

  /** Removes a run. @throws UserError when a tab works on it */
  async remove(id: string): Promise<void> {
    const lock = await lockRun(id);
    try {
      // First what makes it a run: the rest is removed later if this tab is closed now.
      await (await this.#storage.open(id))?.remove(CONFIG);
      await this.#storage.remove(id);
    } finally {
      lock.release();
    }
  }

  /** The text that was dropped for a run. */
  textOf({ folder }: StoredRun): Promise<Blob | undefined> {
    return folder.read(TEXT);
  }

  /** A name with its lock: the time, and a number where that is taken, or is being taken at the moment. */
  async #reserved(): Promise<{ readonly id: string; readonly lock: Lock }> {
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    for (let n = 1; ; n++) {
      const id = n === 1 ? stamp : `${stamp}-${n}`;
      const lock = await lockUnlessHeld(id);
      if (lock === undefined) continue;
      if ((await this.#storage.open(id)) === undefined) return { id, lock };
      lock.release();
    }
  }
}

const lockUnlessHeld = (id: string): Promise<Lock | undefined> =>
  lockRun(id).catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });

async function originOf(folder: Folder, id: string): Promise<Origin> {
  const path = `${id}/${ORIGIN}`;
  const text = await (await folder.read(ORIGIN))?.text();
  let json: unknown;
  try {
    json = JSON.parse(text ?? "");
  } catch {
    throw new UserError(`${path} is damaged, so the run cannot be opened; remove it.`);
  }
  const fields = fieldsOf(json, path);
  return { origin: fields.choice("origin", ["trained", "imported"]), text: fields.string("text") };
}

/** A blob, a megabyte at a time. */
export async function* blobPieces(blob: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < blob.size; at += 2 ** 20)
    yield new Uint8Array(await blob.slice(at, at + 2 ** 20).arrayBuffer());
}
