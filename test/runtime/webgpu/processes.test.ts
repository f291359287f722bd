/** WebGPU in processes of their own: what opening a device leaves behind, and the software adapter that several unpack at once. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, describe, expect, it, vi } from "vitest";
import { ROOT } from "../../support/stage.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A folder of this test file. */
const folder = await mkdtemp(join(tmpdir(), "fluxion-gpu-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A number above those of processes. */
const NO_PROCESS = 2 ** 30;

describe("a process of its own", () => {
  onLinux("says that the environment hides the drivers", async () => {
    const { error } = await inProcess({ env: { VK_ICD_FILENAMES: "/nowhere/icd.json" } });
    expect(error).toMatch(
      /^UserError: No WebGPU adapter was found with VK_ICD_FILENAMES=\/nowhere\/icd\.json, which hides all other drivers\. Install /,
    );
  });

  it("keeps its globals and its environment, and ends by itself", async () => {
    const result = await inProcess({ drivers: "" });
    expect(result).toMatchObject({ answer: 42, globals: [], environment: [] });
  });

  onLinuxX64("is needed for the software adapter, as a thread of it is told", async () => {
    const given = { options: { adapter: "SwiftShader" }, drivers: "" };
    const { error } = await inProcess({ ...given, thread: true });
    // With another adapter there, that one is named instead.
    expect(error).toMatch(/ In a worker thread .* VK_ICD_FILENAMES=\/.*\.json\.$|; there are /);
  });
});

describe("the software adapter of a package", () => {
  onLinuxX64("is unpacked whole, by processes that start at once, over what others left", async () => {
    const cache = await mkdtemp(join(folder, "cache-"));
    const open = () =>
      inProcess({ options: { adapter: "SwiftShader" }, env: { XDG_CACHE_HOME: cache }, drivers: "" });
    for (const result of await Promise.all([open(), open(), open(), open()]))
      expect(result).toMatchObject({ answer: 42, software: true });
    const [name = "", ...others] = await readdir(join(cache, "fluxion"));
    expect([name.replace(/-[0-9a-f]{16}$/, "-HASH"), others]).toEqual(["swiftshader-HASH", []]);
    const files = ["libvk_swiftshader.so", "libvulkan.so.1", "vk_swiftshader_icd.json"];
    const unpacked = join(cache, "fluxion", name);
    expect((await readdir(unpacked)).sort()).toEqual(files);

    // A process that died left a half of one file; a cleaner of old files took others.
    await writeFile(join(unpacked, `libvulkan.so.1.${NO_PROCESS}-0.partial`), "half");
    await rm(join(unpacked, "libvulkan.so.1"));
    await rm(join(unpacked, "libvk_swiftshader.so"));
    for (const result of await Promise.all([open(), open(), open(), open()]))
      expect(result).toMatchObject({ answer: 42 });
    expect((await readdir(unpacked)).sort()).toEqual(files);
  });

  onLinuxX64("is explained where the cache cannot be written", async () => {
    const file = join(folder, "no-folder");
    await writeFile(file, "");
    const { error } = await inProcess({
      options: { adapter: "SwiftShader" },
      env: { XDG_CACHE_HOME: file },
      drivers: "",
    });
    // With another adapter there, that one is named instead.
    expect(error).toMatch(/Cannot write .*no-folder\/fluxion: a part of the path is a file|there are /);
  });
});

/** A test of what is so on Linux only. */
function onLinux(name: string, test: () => Promise<void>): void {
  if (process.platform !== "linux") console.log(`Skipped, since it is about Linux: ${name}.`);
  it.skipIf(process.platform !== "linux")(name, test);
}
function onLinuxX64(name: string, test: () => Promise<void>): void {
  const fits = process.platform === "linux" && process.arch === "x64";
  if (!fits) console.log(`Skipped, since the package has an adapter for linux-x64 only: ${name}.`);
  it.skipIf(!fits)(name, test);
}

let script: Promise<string> | undefined;

interface Answer {
  readonly answer?: number;
  readonly software?: boolean;
  /** Names that are on `globalThis`, or in the environment, since. */
  readonly globals?: readonly string[];
  readonly environment?: readonly string[];
  readonly error?: string;
}

/** Opens a device in a process of its own and computes 6 * 7 there. */
async function inProcess(given: {
  readonly options?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Sets, or with "" removes, the choice of drivers that the tests run under. */
  readonly drivers?: string;
  /** In a worker thread of that process instead. */
  readonly thread?: boolean;
}): Promise<Answer> {
  script ??= bundleScript();
  const { VK_ICD_FILENAMES, VK_DRIVER_FILES, ...rest } = process.env;
  const inherited =
    given.drivers === ""
      ? {}
      : {
          ...(VK_ICD_FILENAMES === undefined ? {} : { VK_ICD_FILENAMES }),
          ...(VK_DRIVER_FILES === undefined ? {} : { VK_DRIVER_FILES }),
        };
  // Caches are where these tests say, not where all others have theirs.
  const env = { ...rest, FLUXION_CACHE: "", ...inherited, ...given.env };
  const path = await script;
  const argument = JSON.stringify(given.options ?? {});
  const worker = `new (require("node:worker_threads").Worker)(process.argv[1], { argv: [process.argv[2]] })`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    given.thread === true ? ["-e", worker, path, argument] : [path, argument],
    { env },
  );
  return JSON.parse(stdout) as Answer; // as the script below prints it
}

async function bundleScript(): Promise<string> {
  const outfile = join(folder, "script.mjs");
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
  const contents = `
    import { openNodeGpu } from "./src/runtime/webgpu/node.ts";
    import { dispatch } from "./test/support/webgpu.ts";
    const before = { globals: Object.getOwnPropertyNames(globalThis), environment: JSON.stringify(process.env) };
    try {
      const gpu = await openNodeGpu(JSON.parse(process.argv[2]));
      const code = "@group(0) @binding(0) var<storage, read_write> x: array<u32>; @compute @workgroup_size(1) fn main() { x[0] *= 7; }";
      const [bytes] = await dispatch(gpu, { code, buffers: [Uint32Array.of(6)], workgroups: 1 });
      console.log(JSON.stringify({
        answer: new Uint32Array(bytes)[0],
        software: gpu.software,
        globals: Object.getOwnPropertyNames(globalThis).filter((name) => !before.globals.includes(name)),
        environment: JSON.stringify(process.env) === before.environment ? [] : Object.keys(process.env),
      }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }`;
  await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
    logLevel: "error",
  });
  return outfile;
}
