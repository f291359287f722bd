/**
 * What the files of a run look like, wherever they are kept: config.json, the metadata of checkpoints, the lines of metrics.jsonl.
 * Texts and bytes in, checked values out. Pure, safe in a browser.
 *
 * Consumed by what keeps runs: ../files/run-folder.ts, and the studio's storage.
 */
import { UserError } from "../files/errors.ts";
import { fieldsOf } from "../files/fields.ts";
import type { Fields } from "../files/fields.ts";
import { jsonLines } from "../files/json-lines.ts";
import { checkTensors, FormatError } from "../safetensors/tensor.ts";
import type { ExpectedTensor } from "../safetensors/tensor.ts";
import type { SafetensorsContent } from "../safetensors/format.ts";
import { runVersion } from "./store.ts";
import type {
  AskedIntervals,
  Checkpoint,
  CheckpointMeta,
  CheckpointName,
  JsonValue,
  MetricsLine,
  RunConfig,
} from "./store.ts";

/** A new run's settings with what is around them. */
export const newEnvelope = <T>(
  config: T,
  now: Date,
  source?: string,
  intervals?: AskedIntervals,
): RunConfig<T> => ({
  format: "fluxion-run",
  version: runVersion,
  created: now.toISOString(),
  ...(source === undefined ? {} : { source }),
  ...(intervals === undefined || Object.keys(intervals).length === 0 ? {} : { intervals }),
  config,
});

/** The text of config.json. */
export const envelopeText = ({
  format,
  version,
  created,
  source,
  intervals,
  config,
}: RunConfig<unknown>): string =>
  `${JSON.stringify({ format, version, created, source, intervals, config }, null, 2)}\n`;

/** What is read off config.json, its settings not looked at. */
export type Envelope = Pick<RunConfig<unknown>, "created" | "source" | "intervals" | "config">;

/**
 * What config.json says.
 * @param path what messages call the file, `place` the run
 * @throws UserError when it is damaged, of something else, or of another version
 */
export function readEnvelopeText(text: string, path: string, place: string): Envelope {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UserError(
      `${path} is damaged: its ${text.length} characters are not JSON. ` +
        "Restore it, or start a new run in another folder.",
    );
  }
  const fields = fieldsOf(json, path);
  if (!fields.has("format") || fields.value("format") !== "fluxion-run") {
    throw new UserError(
      `${place} is not a run folder: its config.json does not say "format": "fluxion-run".`,
    );
  }
  checkVersion(fields.number("version", { integer: true, min: 1 }), path);
  return {
    created: fields.string("created"),
    ...(fields.has("source") ? { source: fields.string("source") } : {}),
    ...(fields.has("intervals") ? { intervals: intervalsOf(fields.object("intervals")) } : {}),
    config: fields.value("config"),
  };
}

const intervalsOf = (fields: Fields): AskedIntervals => ({
  ...(fields.has("save") ? { save: fields.number("save", { min: 0 }) } : {}),
  ...(fields.has("sample") ? { sample: fields.number("sample", { min: 0 }) } : {}),
});

function checkVersion(version: number, path: string): void {
  if (version === runVersion) return;
  throw new UserError(
    `${path} has layout version ${version}, and this program reads version ${runVersion}; ` +
      `use the version of fluxion that wrote it${version > runVersion ? " or a newer one" : ""}.`,
  );
}

/** The metadata of a checkpoint's file. @throws RangeError for a number that JSON cannot hold */
export const checkpointMetadata = (meta: CheckpointMeta): ReadonlyMap<string, string> =>
  new Map([
    ["format", "fluxion-checkpoint"],
    ["version", String(runVersion)],
    ["meta", JSON.stringify(meta, refuseNonFinite)],
  ]);

/** JSON would turn NaN and infinity into null, and the resumed run would silently differ. */
function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  throw new RangeError(`checkpoint metadata ${JSON.stringify(key)} is ${value}; JSON cannot hold that.`);
}

/** What a checkpoint's metadata says. @throws UserError when it is not of a run, of another version, or damaged */
export function checkpointMetaOf(metadata: ReadonlyMap<string, string>, path: string): CheckpointMeta {
  if (metadata.get("format") !== "fluxion-checkpoint") {
    throw new UserError(
      `${path} is a safetensors file, but not a checkpoint of a run: its metadata lacks the format.`,
    );
  }
  checkVersion(Number(metadata.get("version")), path);
  let json: { readonly [key: string]: JsonValue };
  try {
    json = JSON.parse(metadata.get("meta") ?? "");
  } catch {
    throw new UserError(`${path} is damaged: the "meta" in its metadata is not JSON.`);
  }
  const fields = fieldsOf(json, `${path}: meta`);
  return { ...json, step: fields.number("step", { integer: true, min: 0 }), phase: fields.string("phase") };
}

/** A file's content as a checkpoint. @throws UserError as `RunStore.loadCheckpoint` does */
export function checkpointOf(
  { tensors, metadata }: SafetensorsContent,
  path: string,
  expected?: ReadonlyMap<string, ExpectedTensor>,
): Checkpoint {
  const meta = checkpointMetaOf(metadata, path);
  try {
    if (expected !== undefined) checkTensors(tensors, expected);
  } catch (error) {
    if (error instanceof FormatError) throw new UserError(`${path} does not fit the model: ${error.message}`);
    throw error;
  }
  return { tensors, meta };
}

/** That a run has no such checkpoint. */
export const noCheckpoint = (place: string, name: CheckpointName): UserError =>
  new UserError(
    `The run ${place} has no ${name}.safetensors: its training has not come that far. ` +
      (name === "state" ? "Start it again." : "Resume it, and try again when it is done."),
  );

interface PlacedLine {
  readonly line: MetricsLine;
  readonly begin: number;
  readonly end: number;
}

/** The lines of metrics.jsonl with their places in it, without a torn last line. @throws UserError naming a bad line */
export const metricsLines = (bytes: Uint8Array, path: string): readonly PlacedLine[] =>
  jsonLines(bytes, path).map(({ value, begin, end }, index) => {
    const step = fieldsOf(value, `${path}: line ${index + 1}`).number("step", { integer: true, min: 0 });
    // JSON.parse gives JSON values, and fieldsOf has just made sure that this one is an object.
    return { line: { ...(value as { readonly [key: string]: JsonValue }), step }, begin, end };
  });

/** How many bytes of metrics.jsonl are of lines up to a step. @throws UserError naming a bad line */
export function metricsLength(bytes: Uint8Array, path: string, step: number): number {
  const lines = metricsLines(bytes, path);
  return lines.find(({ line }) => line.step > step)?.begin ?? lines.at(-1)?.end ?? 0;
}
