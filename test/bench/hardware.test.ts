/**
 * The benchmark of hardware as such a machine gets it: one file and Dawn in a folder of their own, no packages around, tiny sizes. No time
 * is asserted.
 */
import { copyFile, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { softwareVulkan } from "../../src/runtime/webgpu/software.ts";
import { chosenDrivers } from "../../src/runtime/webgpu/vulkan.ts";
import { ROOT, succeed } from "../support/stage.ts";

let folder = "";
let env: NodeJS.ProcessEnv = { ...process.env };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fluxion-gpu-"));
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const [bundle = ""] = (scripts["bench:bundle"] ?? "").split(" && ");
  const to = `--outfile=${join(folder, "hardware.mjs")}`;
  const [, ...args] = bundle.split(" ").map((arg) => (arg.startsWith("--outfile=") ? to : arg));
  await succeed(ROOT, join(ROOT, "node_modules/.bin/esbuild"), args);
  const platform = process.platform === "darwin" ? "darwin-universal" : `${process.platform}-${process.arch}`;
  await copyFile(join(ROOT, "node_modules/webgpu/dist", platform, "dawn.node"), join(folder, "dawn.node"));
  // The adapter of the tests, which such a machine does not have.
  const unpacked = await softwareVulkan();
  if (typeof unpacked === "string" || chosenDrivers() !== undefined) return;
  await symlink(unpacked.loader, join(folder, "libvulkan.so.1"));
  env = { ...env, VK_ICD_FILENAMES: unpacked.driver };
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly report: {
    readonly machine?: { readonly gpu: { readonly adapter: string; readonly driver: string } };
    readonly checks: { readonly passed: number; readonly failed: readonly unknown[] };
    readonly comparisons: readonly { readonly name: string }[];
    readonly steps: Readonly<Record<string, { readonly losses: readonly number[] }>>;
    readonly profiles: Readonly<Record<string, { readonly kernels: readonly unknown[] }>>;
    readonly leftOut: readonly string[];
    readonly failures: Readonly<Record<string, string>>;
  };
}

/** What it prints, which must be one JSON object, and how it ends. */
async function run(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Outcome> {
  const options = { cwd: folder, env: environment };
  const { code, stdout } = await promisify(execFile)(
    process.execPath,
    ["hardware.mjs", ...args],
    options,
  ).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { readonly code: number; readonly stdout: string }) => error,
  );
  return { code, report: JSON.parse(stdout) as Outcome["report"] };
}

describe("the benchmark of hardware", () => {
  it("checks, times and reports with nothing but Node and Dawn", { timeout: 240_000 }, async () => {
    const { code, report } = await run(["--tiny", "--out", "report.json"], env);
    expect(report.failures).toEqual({});
    expect(report.checks.failed).toEqual([]);
    expect(report.checks.passed).toBeGreaterThan(15);
    expect(report.leftOut).toEqual([]);
    expect(report.comparisons.map(({ name }) => name)).toEqual([
      "limit",
      "matmul 64 f32",
      "ways of matmul 64 f32 NN",
      "matmul 64 f16",
      "ways of matmul 64 f16 NN",
      "attention f32 forward",
      "attention f32 forward and backward",
      "attention f16 forward",
      "attention f16 forward and backward",
      "dispatch",
      "dispatch and submit",
      "flm tiny",
      "flm tiny, tuned",
    ]);
    expect(report.steps["tiny"]?.losses).toHaveLength(5);
    expect(report.profiles["tiny"]?.kernels.length).toBeGreaterThan(5);
    expect(report.machine?.gpu.adapter).not.toBe("");
    expect(report.machine?.gpu.driver).not.toBe("");
    expect(code).toBe(0);
    const written = JSON.parse(await readFile(join(folder, "report.json"), "utf8")) as Outcome["report"];
    expect(written.comparisons).toEqual(report.comparisons);
  });

  it("says in the same form that there is no adapter", { timeout: 60_000 }, async () => {
    const { code, report } = await run([], { ...env, VK_ICD_FILENAMES: join(folder, "nothing.json") });
    expect(Object.keys(report.failures)).toEqual(["opening the device"]);
    expect(report.failures["opening the device"]).toContain("No WebGPU adapter was found");
    expect(code).toBe(1);
  });
});
