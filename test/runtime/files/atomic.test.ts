import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appendLines,
  isTemporaryName,
  removeLeftovers,
  writeAll,
  writeAtomically,
  writeFileAtomic,
} from "../../../src/runtime/files/atomic.ts";
import { jsonLines } from "../../../src/runtime/files/json-lines.ts";
import { fileError, UserError } from "../../../src/runtime/files/errors.ts";
import { scratchFolder, userErrorOf } from "./scratch.ts";

/** An error as Node makes it. */
const systemError = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/** Fails as a full disk does: the real device where the system has one, else the same error. */
async function writeToFullDisk(): Promise<void> {
  if (!existsSync("/dev/full")) throw systemError("ENOSPC");
  const full = await open("/dev/full", "w");
  try {
    await writeAll(full, Uint8Array.of(1));
  } finally {
    await full.close();
  }
}

describe("writeFileAtomic", () => {
  it("creates and replaces, text as UTF-8, bytes as they are, and leaves nothing else", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "a.txt");
    await writeFileAtomic(path, "grün ✓");
    expect(await readFile(path, "utf8")).toBe("grün ✓");
    await writeFileAtomic(path, Uint8Array.of(0, 255));
    expect([...(await readFile(path))]).toEqual([0, 255]);
    expect(await readdir(dir)).toEqual(["a.txt"]);
  });

  it("many writers at once: one of their texts, whole", async () => {
    const dir = await scratchFolder();
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
    await Promise.all(texts.map((text) => writeFileAtomic(join(dir, "a"), text)));
    expect(texts).toContain(await readFile(join(dir, "a"), "utf8"));
    expect(await readdir(dir)).toEqual(["a"]);
  });

  it("the old content is there until the new one is complete", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "a");
    await writeFileAtomic(path, "old");
    await writeAtomically(path, async (sink) => {
      await sink(new TextEncoder().encode("new"));
      expect(await readFile(path, "utf8")).toBe("old");
      expect((await readdir(dir)).filter(isTemporaryName)).toHaveLength(1);
    });
    expect(await readFile(path, "utf8")).toBe("new");
  });

  it("a full disk: a clear error, the old file untouched, no temporary file", async () => {
    const dir = await scratchFolder();
    const path = join(dir, "a");
    await writeFileAtomic(path, "old");
    const message = await userErrorOf(() =>
      writeAtomically(path, async (sink) => {
        await sink(new Uint8Array(1000));
        await writeToFullDisk();
      }),
    );
    expect(message).toBe(
      `Cannot write ${path}: the disk is full; free some space or choose another folder (ENOSPC).`,
    );
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(dir)).toEqual(["a"]);
  });

  it("a folder in the way, a missing folder, a file as folder, a name too long", async () => {
    const dir = await scratchFolder();
    await mkdir(join(dir, "folder"));
    await writeFile(join(dir, "file"), "");
    const messageFor = (...parts: string[]): Promise<string> =>
      userErrorOf(() => writeFileAtomic(join(dir, ...parts), "x"));
    expect(await messageFor("folder")).toMatch(
      /Cannot write .*: it is a folder, and a file is needed.* \(EISDIR\)/,
    );
    expect(await messageFor("none", "a")).toMatch(/it does not exist; check the path \(ENOENT\)/);
    expect(await messageFor("file", "a")).toMatch(/a part of the path is a file.*\(ENOTDIR\)/);
    expect(await messageFor("n".repeat(300))).toMatch(/the name is too long/);
    expect((await readdir(dir)).sort()).toEqual(["file", "folder"]);
  });

  it("replaces a symbolic link rather than writing through it", async () => {
    const dir = await scratchFolder();
    await writeFile(join(dir, "target"), "precious");
    await symlink(join(dir, "target"), join(dir, "link"));
    await writeFileAtomic(join(dir, "link"), "new");
    expect(await readFile(join(dir, "target"), "utf8")).toBe("precious");
    expect(await readFile(join(dir, "link"), "utf8")).toBe("new");
  });
});

describe("writeAll", () => {
  it("goes on after partial writes", async () => {
    const written: number[] = [];
    const handle = {
      // A handle that takes at most three bytes a call; the real signature has overloads that are not used
      // here.
      write: (bytes: Uint8Array, offset: number, length: number) => {
        const part = bytes.subarray(offset, offset + Math.min(3, length));
        written.push(...part);
        return Promise.resolve({ bytesWritten: part.length, buffer: bytes });
      },
    } as Parameters<typeof writeAll>[0];
    await writeAll(handle, Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
    expect(written).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

describe("fileError", () => {
  it.each([
    ["ENOSPC", /disk is full/],
    ["EACCES", /permission was denied/],
    ["EROFS", /read-only/],
    ["EDQUOT", /quota/],
    ["EXYZ", /the system refused it \(EXYZ\)/],
  ])("%s", (code, message) => {
    const error = fileError(systemError(code), "write", "runs/a");
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toMatch(message);
    expect(String(error)).toMatch(/runs\/a/);
  });

  it("leaves bugs and user errors as they are", () => {
    const bug = new TypeError("bug");
    const user = new UserError("said already", { exitCode: 3 });
    const nodeBug = systemError("ERR_OUT_OF_RANGE");
    expect(fileError(bug, "read", "a")).toBe(bug);
    expect(fileError(user, "read", "a")).toBe(user);
    expect(fileError(nodeBug, "read", "a")).toBe(nodeBug);
    expect([user.exitCode, new UserError("x").exitCode]).toEqual([3, 2]);
  });
});

describe("removeLeftovers", () => {
  it("removes those of dead processes, keeps those of living ones and other files", async () => {
    const dir = await scratchFolder();
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    const dead = `a.${child.pid}-0.partial`;
    const ownOld = `a.${process.pid}-999999.partial`; // the same process id, as in a restarted container
    const alive = `a.${process.ppid}-0.partial`;
    for (const name of [dead, ownOld, alive, "a", "b.partial"]) await writeFile(join(dir, name), "");
    await writeAtomically(join(dir, "a"), async () => {
      expect([...(await removeLeftovers(dir))].sort()).toEqual([dead, ownOld].sort());
    });
    expect((await readdir(dir)).sort()).toEqual(["a", alive, "b.partial"].sort());
  });

  it("a missing folder is no problem", async () => {
    expect(await removeLeftovers(join(await scratchFolder(), "none"))).toEqual([]);
  });
});

describe("JSON lines", () => {
  const read = async (path: string): Promise<ReturnType<typeof jsonLines>> =>
    jsonLines(await readFile(path), path);
  const values = async (path: string): Promise<unknown[]> => (await read(path)).map(({ value }) => value);

  it("reads what was appended, in order", async () => {
    const path = join(await scratchFolder(), "m.jsonl");
    await appendLines(path, [{ step: 1, loss: 0.1 }, { text: "a\nb\u2028" }]);
    await appendLines(path, []);
    await appendLines(path, [[3]]);
    expect(await values(path)).toEqual([{ step: 1, loss: 0.1 }, { text: "a\nb\u2028" }, [3]]);
  });

  it("cut anywhere: the reader drops the torn line, and the next append does not merge with it", async () => {
    const dir = await scratchFolder();
    const line = fc.dictionary(fc.string(), fc.oneof(fc.string({ maxLength: 6000 }), fc.integer()), {
      maxKeys: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (lines, part) => {
          const path = join(dir, "m.jsonl");
          await writeFile(path, "");
          await appendLines(path, lines);
          const bytes = await readFile(path);
          const cut = bytes.subarray(0, Math.floor(part * bytes.length));
          await writeFile(path, cut);
          const whole = lines.slice(0, cut.filter((byte) => byte === 0x0a).length);
          const plain = JSON.parse(JSON.stringify(whole));
          expect(await values(path)).toEqual(plain);
          await appendLines(path, [{ after: 1 }]);
          expect(await values(path)).toEqual([...plain, { after: 1 }]);
        },
      ),
      { numRuns: 80 },
    );
  });

  it("names a bad line in the middle and a value that JSON cannot hold", async () => {
    const path = join(await scratchFolder(), "m.jsonl");
    await writeFile(path, '{"a":1}\n{"a":\n{"a":3}\n');
    expect(await userErrorOf(() => read(path))).toBe(
      `${path}: line 2 is not valid JSON; correct or delete that line.`,
    );
    expect(await userErrorOf(() => appendLines(path, [undefined]))).toMatch(
      /a value of type undefined is not JSON/,
    );
  });

  it("gives byte ranges that cover the file", async () => {
    const path = join(await scratchFolder(), "m.jsonl");
    await appendLines(path, ["ü", 2]);
    expect((await read(path)).map(({ begin, end }) => [begin, end])).toEqual([
      [0, 5],
      [5, 7],
    ]);
  });
});
