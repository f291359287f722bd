/**
 * What is said where the packages of TensorFlow's own library are missing, broken, without a GPU or with one: with pretended packages,
 * in a project that the process is taken to run in. The real library is tested by `npm run test:tfjs-node`.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { listDevices, openDevice } from "../../../src/runtime/devices.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";

const installed = fileURLToPath(new URL("../../../node_modules/@tensorflow/tfjs", import.meta.url));
const folders: string[] = [];

/** A project with these packages of one file, in which the process runs from now on. */
function project(packages: Readonly<Record<string, string>>): void {
  const folder = mkdtempSync(join(tmpdir(), "fluxion-project-"));
  folders.push(folder);
  const scope = join(folder, "node_modules", "@tensorflow");
  mkdirSync(scope, { recursive: true });
  symlinkSync(installed, join(scope, "tfjs"));
  for (const [name, source] of Object.entries(packages)) {
    mkdirSync(join(scope, name));
    writeFileSync(join(scope, name, "package.json"), JSON.stringify({ name: `@tensorflow/${name}` }));
    writeFileSync(join(scope, name, "index.js"), source);
  }
  vi.spyOn(process, "cwd").mockReturnValue(folder);
}

/** What the real packages do when they are loaded, but for the kernels. */
const pretended = (facts: { readonly isGPUPackage: boolean; readonly isUsingGpuDevice: boolean }): string => `
  const tf = require("@tensorflow/tfjs");
  class Pretended extends tf.KernelBackend {
    binding = { TF_Version: "2.99.0", override: process.env.NVIDIA_TF32_OVERRIDE };
    dispose() {}
  }
  tf.registerBackend("tensorflow", () => Object.assign(new Pretended(), ${JSON.stringify(facts)}), 3);
  tf.setBackend("tensorflow");
`;
const ON_GPU = pretended({ isGPUPackage: true, isUsingGpuDevice: true });
const IDLE = pretended({ isGPUPackage: true, isUsingGpuDevice: false });
const ON_CPU = pretended({ isGPUPackage: false, isUsingGpuDevice: false });

const listed = async (name: string) => (await listDevices()).find((listing) => listing.name === name);

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  if (tf.engine().findBackendFactory("tensorflow") !== null) tf.removeBackend("tensorflow");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("the devices on TensorFlow's own library", () => {
  it.each(["node", "node-gpu"])("say how to install tfjs-%s", async (name) => {
    project({});
    const opening = openDevice(`tfjs:${name}`);
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow(
      `needs the package @tensorflow/tfjs-${name}, which is not installed; install it with ` +
        `"npm install @tensorflow/tfjs-${name}@4.22.0"`,
    );
  });

  it("say why the library did not load", async () => {
    project({ "tfjs-node": 'throw new Error("libtensorflow.so.2: cannot open shared object file\\nmore")' });
    await expect(openDevice("tfjs:node")).rejects.toThrow(UserError);
    await expect(openDevice("tfjs:node")).rejects.toThrow(
      "TensorFlow's library did not load (libtensorflow.so.2: cannot open shared object file); see",
    );
  });

  it("list a CUDA device when there is one, and round no factors of f32", async () => {
    vi.stubEnv("NVIDIA_TF32_OVERRIDE", undefined);
    project({ "tfjs-node-gpu": ON_GPU });
    expect(await listed("tfjs:node-gpu")).toEqual({
      name: "tfjs:node-gpu",
      available: true,
      detail: `TensorFlow.js ${tf.version_core}, TensorFlow 2.99.0 on a CUDA device`,
    });
    expect(tf.engine().findBackend("tensorflow")).toMatchObject({ binding: { override: "0" } });
  });

  it("leave it to the user whether they are rounded", async () => {
    vi.stubEnv("NVIDIA_TF32_OVERRIDE", "1");
    project({ "tfjs-node-gpu": ON_GPU });
    await openDevice("tfjs:node-gpu");
    expect(tf.engine().findBackend("tensorflow")).toMatchObject({ binding: { override: "1" } });
  });

  it("say that there is no CUDA device", async () => {
    project({ "tfjs-node-gpu": IDLE });
    const listing = await listed("tfjs:node-gpu");
    expect(listing?.available).toBe(false);
    expect(listing?.detail).toMatch(/^The tfjs:node-gpu device finds no CUDA device: /);
  });

  it.each([
    ["node", "node-gpu", ON_GPU, ON_CPU],
    ["node-gpu", "node", ON_CPU, ON_GPU],
  ])("say that tfjs:%s must have a process without tfjs:%s", async (name, first, source, other) => {
    project({ [`tfjs-${first}`]: source, [`tfjs-${name}`]: other });
    await openDevice(`tfjs:${first}`);
    await expect(openDevice(`tfjs:${name}`)).rejects.toThrow(
      `which has loaded TensorFlow's library from @tensorflow/tfjs-${first}; open it in another process.`,
    );
  });

  it("do not change which backend is selected", async () => {
    await tf.setBackend("cpu");
    project({ "tfjs-node": ON_CPU });
    const device = await openDevice("tfjs:node");
    expect(device.describe()).toMatch(/, TensorFlow 2\.99\.0 on the CPU$/);
    expect(tf.getBackend()).toBe("cpu");
  });
});
