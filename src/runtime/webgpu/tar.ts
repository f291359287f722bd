/**
 * Reads files out of a tar archive in memory: regular files with names of up to 100 bytes, as archives of a few libraries have.
 * Consumed by `software.ts`.
 */

const BLOCK = 512;
/** Where a header has what: offsets and lengths in bytes. */
const NAME = [0, 100] as const;
const SIZE = [124, 12] as const;
const TYPE = 156;
const decoder = new TextDecoder();

/** The files of an archive by name, as views of it. @throws Error when the archive ends within a file */
export function readTar(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const text = (at: number, [offset, length]: readonly [number, number]): string =>
    decoder.decode(archive.subarray(at + offset, at + offset + length)).replace(/\0.*$/s, "");
  const files = new Map<string, Uint8Array>();
  // Blocks of zeros end the archive.
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const name = text(at, NAME);
    const size = Number.parseInt(text(at, SIZE).trim(), 8);
    const begin = at + BLOCK;
    if (!(begin + size <= archive.length)) throw new Error(`the archive ends within ${name}`);
    const type = archive[at + TYPE];
    // "0", or zero in the oldest form, is a regular file.
    if (type === 0x30 || type === 0)
      files.set(name.replace(/^\.\//, ""), archive.subarray(begin, begin + size));
    at = begin + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
