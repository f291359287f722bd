/**
 * The safetensors format on bytes: 8 bytes little-endian header length, a JSON header `{"__metadata__":
 * {string: string}, name: {"dtype", "shape", "data_offsets": [begin, end]}}`, then the data, in which the
 * tensors lie without gap or overlap. Pure, browser-safe: nothing here touches a file.
 *
 * Consumed by runtime/files/safetensors.ts (ranged reads, streaming writes) and by browsers
 * (`parseSafetensors`). Every check on hostile input lives in `parseHeader`, so that both paths share it.
 */
import {
  byteSize,
  decodeTensor,
  dtypeNames,
  encodeTensor,
  FormatError,
  isFileDType,
  itemSize,
  quote,
  shapeText,
} from "./tensor.ts";
import type { FileDType, StoredTensor } from "./tensor.ts";

/** The reference implementation refuses longer headers; so do we, before allocating anything. */
export const maxHeaderBytes = 100_000_000;

/** Where a tensor lies: bytes [begin, end) of the data section. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** By name. The order means nothing: the data is laid out by offsets. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
}

/**
 * Length of the JSON header, from the first 8 bytes of a file of `fileSize` bytes.
 * @throws FormatError when the file is too short for it or the length is over `maxHeaderBytes`.
 */
export function headerLength(start: Uint8Array, fileSize: number): number {
  if (fileSize < 8 || start.length < 8) {
    throw new FormatError(
      `the file has ${fileSize} bytes; a safetensors file has at least 8. It is empty or cut short.`,
    );
  }
  // BigInt, because a hostile length such as 2^63 must be reported and compared exactly.
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw new FormatError(
      `the header claims ${length} bytes, over the limit of ${maxHeaderBytes}; ` +
        "this is not a safetensors file.",
    );
  }
  if (length > BigInt(fileSize - 8)) {
    throw new FormatError(
      `the header claims ${length} bytes but only ${fileSize - 8} follow; the file is cut short.`,
    );
  }
  return Number(length);
}

/**
 * Parses and checks a header against the `dataLength` bytes that follow it.
 * @throws FormatError for bad UTF-8 or JSON, duplicate names, unknown dtypes, bad shapes, offsets that do not
 * fit shape and dtype, overlaps, gaps, data missing at the end or left over, and metadata that is not
 * strings.
 */
export function parseHeader(header: Uint8Array, dataLength: number): Header {
  const json = parseJsonObject(header);
  const entries = new Map<string, TensorEntry>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = parseMetadata(value);
    else entries.set(name, parseEntry(name, value));
  }
  checkLayout(entries.values(), dataLength);
  return { entries, metadata };
}

function parseJsonObject(header: Uint8Array): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    throw new FormatError("the header is not UTF-8 text; the file is damaged or not a safetensors file.");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new FormatError(`the header of ${header.length} bytes is not JSON; the file is damaged.`);
  }
  if (!text.startsWith("{") || !isRecord(json)) throw new FormatError("the header is not a JSON object.");
  refuseDuplicateKeys(text);
  return json;
}

/**
 * `JSON.parse` silently keeps the last of two equal keys, so two readers could see different tensors in one
 * file. Walks `text`, which is already known to be valid JSON, and compares the keys of each object.
 * Iterative: depth is hostile too.
 */
function refuseDuplicateKeys(text: string): void {
  const open: (Set<string> | undefined)[] = []; // one entry per open bracket; arrays have no keys
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "{") open.push(new Set());
    else if (char === "[") open.push(undefined);
    else if (char === "}" || char === "]") open.pop();
    else if (char === '"') {
      const start = at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      let after = at + 1;
      while (/\s/.test(text[after] ?? "")) after++;
      if (text[after] !== ":") continue;
      const key = String(JSON.parse(text.slice(start, at + 1)));
      if (open.at(-1)?.has(key) === true)
        throw new FormatError(`the header has the key ${quote(key)} twice.`);
      open.at(-1)?.add(key);
    }
  }
}

function parseMetadata(value: unknown): ReadonlyMap<string, string> {
  if (!isRecord(value)) throw new FormatError("__metadata__ is not an object of strings.");
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      throw new FormatError(`__metadata__ ${quote(key)} is a ${typeof text}, not a string.`);
    metadata.set(key, text);
  }
  return metadata;
}

function parseEntry(name: string, value: unknown): TensorEntry {
  const where = `tensor ${quote(name)}`;
  if (!isRecord(value)) throw new FormatError(`${where}: its header entry is not an object.`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isFileDType(dtype)) {
    // Only a string is shown: turning a hostile object into text could itself fail.
    const found = typeof dtype === "string" ? quote(dtype) : `of type ${typeof dtype}`;
    throw new FormatError(`${where}: dtype ${found} is unknown; known are ${dtypeNames}.`);
  }
  if (!isNumbers(shape)) throw new FormatError(`${where}: shape is not a list of numbers.`);
  const size = byteSize(name, dtype, shape);
  const pair: readonly number[] = isNumbers(offsets) ? offsets : [];
  const [begin, end] = pair;
  if (pair.length !== 2 || !isOffset(begin) || !isOffset(end)) {
    throw new FormatError(`${where}: data_offsets is not a pair of whole numbers >= 0.`);
  }
  if (end - begin !== size) {
    throw new FormatError(
      `${where}: data_offsets [${begin}, ${end}] span ${end - begin} bytes, ` +
        `but ${dtype} ${shapeText(shape)} needs ${size}.`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Sorted by position, each tensor must begin where the one before ended, and the last end with the file. */
function checkLayout(entries: Iterable<TensorEntry>, dataLength: number): void {
  let previous = "";
  let position = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < position) {
      throw new FormatError(
        `tensor ${quote(name)} begins at byte ${begin}, ` +
          `inside tensor ${quote(previous)}, which ends at ${position}.`,
      );
    }
    if (begin > position) {
      throw new FormatError(
        `tensor ${quote(name)} begins at byte ${begin} and leaves a gap after byte ${position}.`,
      );
    }
    if (end > dataLength) {
      throw new FormatError(
        `tensor ${quote(name)} ends at byte ${end} of ${dataLength} data bytes; the file is cut short.`,
      );
    }
    previous = name;
    position = end;
  }
  if (position !== dataLength) {
    throw new FormatError(
      `the tensors fill ${position} bytes, but ${dataLength} bytes of data follow the header.`,
    );
  }
}

/**
 * A header ready to write: `bytes` is length prefix and JSON; `entries` is the order in which the data must
 * follow.
 */
export interface HeaderPlan {
  readonly bytes: Uint8Array;
  readonly entries: readonly TensorEntry[];
}

/**
 * Lays tensors out for writing: wide dtypes first (else in the given order), so that every tensor is aligned
 * to its element size, and the JSON padded with spaces so that the data begins at a multiple of 8.
 * @throws FormatError for duplicate or reserved names, bad shapes, text that is not Unicode, and a header
 * over the limit.
 */
export function planHeader(
  specs: Iterable<TensorSpec>,
  metadata: ReadonlyMap<string, string> = new Map(),
): HeaderPlan {
  const names = new Set<string>();
  const entries: TensorEntry[] = [];
  let position = 0;
  for (const { name, dtype, shape } of [...specs].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype))) {
    if (name === "__metadata__")
      throw new FormatError('a tensor cannot have the reserved name "__metadata__".');
    if (names.has(name)) throw new FormatError(`the tensor name ${quote(name)} is used twice.`);
    names.add(name);
    const end = position + byteSize(name, dtype, shape);
    if (end > Number.MAX_SAFE_INTEGER)
      throw new FormatError(`tensor ${quote(name)} ends beyond byte 2^53 - 1.`);
    entries.push({ name, dtype, shape, begin: position, end });
    position = end;
  }
  // Built as text, not as an object: names such as "__proto__" or "1" would be lost or reordered.
  const members = entries.map(
    ({ name, dtype, shape, begin, end }) =>
      `${jsonText(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`,
  );
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${jsonText(key)}:${jsonText(value)}`);
    members.unshift(`"__metadata__":{${pairs.join(",")}}`);
  }
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeaderBytes) {
    throw new FormatError(`the header would have ${length} bytes, over the limit of ${maxHeaderBytes}.`);
  }
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return { bytes, entries };
}

function jsonText(text: string): string {
  if (/\p{Cs}/u.test(text))
    throw new FormatError(`the name or metadata ${quote(text)} is not valid Unicode.`);
  return JSON.stringify(text);
}

export interface SafetensorsContent {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Parses a whole file held in memory; the values are copied out of `file`. @throws FormatError as
 * `parseHeader` does.
 */
export function parseSafetensors(file: Uint8Array): SafetensorsContent {
  const length = headerLength(file.subarray(0, 8), file.length);
  const data = file.subarray(8 + length);
  const { entries, metadata } = parseHeader(file.subarray(8, 8 + length), data.length);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of entries.values()) {
    tensors.set(name, decodeTensor(name, dtype, shape, Uint8Array.from(data.subarray(begin, end))));
  }
  return { tensors, metadata };
}

/** The bytes of a file with these tensors. @throws FormatError as `planHeader` and `encodeTensor` do. */
export function serializeSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata?: ReadonlyMap<string, string>,
): Uint8Array {
  const specs = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const { bytes, entries } = planHeader(specs, metadata);
  const file = new Uint8Array(bytes.length + (entries.at(-1)?.end ?? 0));
  file.set(bytes);
  for (const { name, begin } of entries) {
    const tensor = tensors.get(name);
    if (tensor !== undefined) {
      file.set(encodeTensor(name, tensor.dtype, tensor.shape, tensor.data), bytes.length + begin);
    }
  }
  return file;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

const isOffset = (value: number | undefined): value is number =>
  value !== undefined && Number.isSafeInteger(value) && value >= 0;
