/** The tuned dots in the user's cache folder: written whole, read by the next device, and done without when they are of no use. */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cacheFolder } from "../../../src/runtime/files/cache.ts";
import { openDevice } from "../../../src/runtime/devices.ts";
import { WebGpuDevice } from "../../../src/runtime/webgpu/device.ts";
import { loadTuned, saveTuned, tuneFile } from "../../../src/runtime/webgpu/tune-file.ts";
import { adapterKey, dotKey, EMPTY_TABLE } from "../../../src/runtime/webgpu/tune-table.ts";
import type { TunedDot } from "../../../src/runtime/webgpu/tune-table.ts";

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-tune-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const SHAPE = { batch: 1, rows: 40, columns: 40, inner: 600 };
const LAYOUT = { left: "k", right: "column" } as const;
const RESULTS: ReadonlyMap<string, TunedDot> = new Map([
  [dotKey(SHAPE, LAYOUT), { rung: "direct", slices: 1 }],
]);

describe("the file", () => {
  it("comes back as it was saved, in a folder that is made for it, and keeps other adapters", async () => {
    const options = { folder: join(folder, "deep", "er"), warn: (line: string) => expect.fail(line) };
    expect(await loadTuned(options)).toEqual(EMPTY_TABLE);
    const one = await saveTuned("one", RESULTS, options);
    expect(await loadTuned(options)).toEqual(one);
    await saveTuned("two", RESULTS, options);
    const found = Object.fromEntries(RESULTS);
    expect((await loadTuned(options)).adapters).toEqual({ one: found, two: found });
    expect(await readdir(options.folder)).toEqual(["tuned-dots-3.json"]);
  });

  it.each<[string, string | Uint8Array, string]>([
    ["torn", '{"schema":3,"adapters":{"a":', "it is not JSON"],
    ["not text", Uint8Array.of(0, 255, 254, 1), "it is not JSON"],
    ["of another kind", '{"schema":"3"}', "it is no table of version 3"],
    ["huge", " ".repeat(2 ** 22 + 1), "it is larger than 4194304 bytes"],
    ["deep", "[".repeat(1e5), "it is not JSON"],
  ])("is ignored with one line when it is %s, and started anew", async (_name, content, reason) => {
    const path = tuneFile({ folder });
    await writeFile(path, content);
    const lines: string[] = [];
    const options = { folder, warn: (line: string) => lines.push(line) };
    expect(await loadTuned(options)).toEqual(EMPTY_TABLE);
    expect(lines).toEqual([`fluxion: ${path} cannot be used: ${reason}; it is started anew.`]);
    // The next one has nothing to complain about.
    expect(await loadTuned(options)).toEqual(EMPTY_TABLE);
    expect(lines.length).toBe(1);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual(EMPTY_TABLE);
  });

  it("is ignored where it cannot be replaced", async () => {
    await mkdir(tuneFile({ folder }));
    const lines: string[] = [];
    expect(await loadTuned({ folder, warn: (line) => lines.push(line) })).toEqual(EMPTY_TABLE);
    expect(lines).toEqual([`fluxion: ${tuneFile({ folder })} cannot be used: it is not a plain file; it is ignored.`]); // prettier-ignore
  });

  it("is not waited for when it is a pipe", async () => {
    if (process.platform === "win32") return console.log("Not tested: Windows has no pipes among files.");
    execFileSync("sh", ["-c", 'mkfifo "$0"', tuneFile({ folder })]);
    const lines: string[] = [];
    expect(await loadTuned({ folder, warn: (line) => lines.push(line) })).toEqual(EMPTY_TABLE);
    expect(lines.length).toBe(1);
  });

  it("is where the environment says", () => {
    expect(cacheFolder({ FLUXION_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
    expect(cacheFolder({ FLUXION_CACHE: "", XDG_CACHE_HOME: "/b" })).toBe("/b/fluxion");
    expect(cacheFolder({ XDG_CACHE_HOME: "b" })).toBe(join(homedir(), ".cache", "fluxion"));
    // Tests keep away from the folder of whoever runs them: its results would change what they compile.
    expect(cacheFolder()).toBe(resolve(import.meta.dirname, "../../../.cache/test"));
    vi.stubEnv("FLUXION_CACHE", folder);
    expect(tuneFile()).toBe(join(folder, "tuned-dots-3.json"));
  });
});

describe("a device that is opened by its name", () => {
  it("uses what the file has for its adapter", async () => {
    vi.stubEnv("FLUXION_CACHE", folder);
    const before = (await openDevice("webgpu")) as WebGpuDevice; // the device of that name
    expect(before.dots(SHAPE, LAYOUT)).toBeUndefined();
    await saveTuned(adapterKey(before.context.gpu.adapter), RESULTS);
    await before.dispose();
    const device = (await openDevice("webgpu")) as WebGpuDevice;
    expect(device.dots(SHAPE, LAYOUT)?.rung).toEqual({ kind: "direct" });
    await device.dispose();
  });

  it("opens all the same when the file is damaged", async () => {
    vi.stubEnv("FLUXION_CACHE", folder);
    await writeFile(tuneFile(), "{");
    const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const device = await openDevice("webgpu");
    const lines = written.mock.calls.filter(([text]) => String(text).includes("tuned-dots"));
    written.mockRestore();
    expect(lines.length).toBe(1);
    await device.dispose();
  });
});
