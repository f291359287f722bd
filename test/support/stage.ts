/**
 * A copy of the package in a folder of its own: sources, settings and documents copied, node_modules linked. Tests build, pack
 * and run commands there, so that they neither need nor disturb what lies in the checkout.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const LEFT_OUT = new Set([".git", "node_modules", "dist", "runs", ".cache", "coverage", "test"]);

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. npm is told to stay off the network. */
export async function execute(cwd: string, file: string, args: readonly string[]): Promise<Result> {
  const env = {
    ...process.env,
    npm_config_offline: "true",
    npm_config_update_notifier: "false",
    NO_COLOR: "1",
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(file, args, { cwd, env, maxBuffer: 2 ** 26 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { readonly code?: unknown } & Result; // what execFile rejects with
    if (typeof code !== "number") throw error;
    return { code, stdout, stderr };
  }
}

/** {@link execute}, for programs that must succeed. @throws Error with what the program printed */
export async function succeed(cwd: string, file: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await execute(cwd, file, args);
  if (code !== 0) throw new Error(`${[file, ...args].join(" ")} ended with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Makes the copy. Call `remove` when done. */
export async function stage(): Promise<{ readonly folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "fluxion-stage-"));
  for (const name of await readdir(ROOT)) {
    if (!LEFT_OUT.has(name)) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
