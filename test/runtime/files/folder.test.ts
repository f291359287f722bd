/** Folders with those above them: made, found, or refused, and never waited for without end. */
import { existsSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeFolder } from "../../../src/runtime/files/folder.ts";
import { scratchFolder } from "./scratch.ts";

describe("a folder", () => {
  it("is made with those above it, by several at a time, and is left as it is where it is there", async () => {
    const path = join(await scratchFolder(), "a", "b", "c");
    await Promise.all([1, 2, 3].map(() => makeFolder(path)));
    await writeFile(join(path, "kept"), "");
    await makeFolder(path);
    expect((await stat(join(path, "kept"))).isFile()).toBe(true);
  });

  it("is refused below a file, and in the place of one", async () => {
    const file = join(await scratchFolder(), "file");
    await writeFile(file, "");
    await expect(makeFolder(join(file, "a", "b"))).rejects.toMatchObject({ code: "ENOTDIR" });
    await expect(makeFolder(file)).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("is refused where the system has no place for it, at once", async () => {
    if (!existsSync("/proc/self")) return; // there is no such place on this system
    await expect(makeFolder("/proc/nowhere/a")).rejects.toMatchObject({ code: "ENOENT" });
  });
});
