/**
 * The Chromium of the browser tests: a headless one out of `@sparticuz/chromium`, unpacked once into `.cache`, with WebGPU on the
 * software adapter beside it. Nothing is downloaded, and nothing need be installed on the system.
 *
 * Consumed by vitest.config.ts, and by vitest itself, which calls {@link setup} before the browser is started.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { errorCode } from "../../src/runtime/files/errors.ts";
import { isAlive } from "../../src/runtime/files/atomic.ts";
import { readTar } from "../../src/runtime/webgpu/tar.ts";

/** The package's archives. It exports its entry only, two folders below its own. */
const archives = (): string =>
  join(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "../../bin");

/** Of the checkout, also where this file was compiled to another place in it. */
const CACHE = join(dirname(createRequire(import.meta.url).resolve("fluxion/package.json")), ".cache");
/** The version is a part of the name: it is the one that package.json asks for. */
const FOLDER = join(CACHE, "chromium-147.0.0");

/** Why there is no browser for the tests here, or undefined. */
export const missing: string | undefined =
  process.platform === "linux" && process.arch === "x64"
    ? undefined
    : `the Chromium of @sparticuz/chromium is for linux-x64, and this is ${process.platform}-${process.arch}`;

/** How to start it, as Playwright takes it. */
export const LAUNCH = {
  executablePath: join(FOLDER, "chromium"),
  args: [
    "--no-sandbox", // containers do not have what a sandbox is made of
    // Chromium does not trust WebGPU on Linux yet, and gives the software adapter only to those who ask.
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    // Nor WebGL without a GPU.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    // Nothing that would go to a network.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
  // Libraries that a bare Linux does not have.
  env: {
    ...process.env,
    LD_LIBRARY_PATH: [join(FOLDER, "lib"), FOLDER, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":"),
  },
};

/**
 * Unpacks it, unless it was before. The folder appears whole under its name: so processes may do this at the same time, or die
 * meanwhile.
 */
export async function setup(): Promise<void> {
  if (existsSync(FOLDER)) return;
  await removeLeftovers();
  const partial = `${FOLDER}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  const read = async (name: string): Promise<Uint8Array> =>
    promisify(brotliDecompress)(await readFile(join(archives(), `${name}.br`)));
  const [chromium, ...tars] = await Promise.all([
    read("chromium"),
    read("al2023.tar"),
    read("swiftshader.tar"),
  ]);
  const files = [["chromium", chromium], ...tars.flatMap((tar) => [...readTar(tar)])] as const;
  for (const [name, content] of files) {
    const path = join(partial, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { mode: 0o755 });
  }
  await rename(partial, FOLDER).catch(async (error: unknown) => {
    await rm(partial, { recursive: true });
    // Another process was faster, with the same files.
    if (!["ENOTEMPTY", "EEXIST"].includes(errorCode(error) ?? "")) throw error;
  });
}

/** Removes what processes left that died while they unpacked. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(CACHE).catch(() => [])) {
    const pid = /^chromium-.*\.(\d+)\.partial$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(CACHE, name), { recursive: true, force: true });
  }
}
