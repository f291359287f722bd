/**
 * The command line as a user runs it: bundled once for each test file, started as a process of its own, watched and signalled.
 * Consumed by every test that starts `fluxion`.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folders: string[] = [];
afterAll(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

/** A folder of this test file, removed after its last test. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fluxion-cli-"));
  folders.push(folder);
  return folder;
}

let bundled: Promise<string> | undefined;

/** Path of the program. A bundle starts as `dist` does, and is made in a fraction of the time. */
export async function cliPath(): Promise<string> {
  bundled ??= bundle();
  return bundled;
}

async function bundle(): Promise<string> {
  const folder = await testFolder();
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await build({
    absWorkingDir: root,
    entryPoints: { "cli/main": "src/cli/main.ts", index: "src/index.ts" },
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
    logLevel: "error",
  });
  return join(folder, "cli", "main.js");
}

/** Address of the package's main entry, of the same copy that the program is made of: what a user's file imports. */
export const packageUrl = async (): Promise<string> =>
  pathToFileURL(join(dirname(await cliPath()), "..", "index.js")).href;

export interface Outcome {
  /** The exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  /** Resolves once standard output or standard error matches; rejects if the process ends without. */
  saw(pattern: RegExp): Promise<void>;
  readonly done: Promise<Outcome>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Arguments of Node itself. */
  readonly node?: readonly string[];
  /** A shell's words before the command, such as `ulimit -f 64;`. */
  readonly shell?: string;
}

/** Starts `fluxion ...args`, with its output in pipes. */
export async function start(args: readonly string[], options: StartOptions = {}): Promise<Started> {
  const main = await cliPath();
  const command = [process.execPath, ...(options.node ?? []), main, ...args];
  // Whatever the tests run under, the program sees none of it.
  const { CI: _ci, NO_COLOR: _plain, FORCE_COLOR: _colour, NODE_OPTIONS: _options, ...env } = process.env;
  const [file, ...rest] =
    options.shell === undefined ? command : ["sh", "-c", `${options.shell} exec "$@"`, "sh", ...command];
  const child = spawn(file ?? process.execPath, rest, {
    cwd: options.cwd ?? root,
    env: { ...env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  const waiting = new Set<() => void>();
  const changed = (): void => waiting.forEach((check) => check());
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    changed();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    changed();
  });
  const done = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const saw = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!pattern.test(stdout) && !pattern.test(stderr)) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
      void done.then(
        () => reject(new Error(`fluxion ended without ${pattern}:\n${stdout}${stderr}`)),
        reject,
      );
    });
  return { child, saw, done };
}

/** Runs `fluxion ...args` to its end. */
export async function fluxion(args: readonly string[], options: StartOptions = {}): Promise<Outcome> {
  return (await start(args, options)).done;
}

/** Options of a model that trains in a second. */
export const TINY = ["--quick", "--vocab", "60", "--length", "6", "--width", "16", "--depth", "1", "--heads", "2", "--batch", "64", "--samples", "16"]; // prettier-ignore

/** Options of Node that make standard error look like a terminal, 100 columns wide. */
export const TERMINAL = [
  "--import",
  "data:text/javascript,Object.assign(process.stderr,{isTTY:true,columns:100})",
];
