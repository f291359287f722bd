import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import type { TestProjectConfiguration } from "vitest/config";
import { LAUNCH, missing } from "./test/browser/chromium.ts";
import { LongestFirst } from "./test/support/order.ts";

/** Examples and documents import the package by its name, as users do; here the name stands for the sources. */
const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url));

/**
 * Files that run at a time. By default vitest leaves a core to itself, which on two cores is one file at a time and half of the machine;
 * it has little to do while a file runs.
 */
const WORKERS = Math.min(availableParallelism(), Math.max(2, availableParallelism() - 1));

const node: TestProjectConfiguration = {
  extends: true,
  test: { name: "node", testTimeout: 120_000, include: ["test/**/*.test.ts"], exclude: ["test/browser/**"] },
};

const browser: TestProjectConfiguration = {
  extends: true,
  // Found while they run, these would make vitest start over.
  optimizeDeps: {
    include: [
      "@bufbuild/protobuf/wire",
      "fast-check",
      "@tensorflow/tfjs",
      "@tensorflow/tfjs-backend-wasm",
      "@tensorflow/tfjs-backend-webgpu",
    ],
  },
  test: {
    name: "browser",
    include: ["test/browser/**/*.test.ts"],
    globalSetup: ["test/browser/chromium.ts"],
    // A software adapter is slow, so after the tests in Node, and one page at a time.
    testTimeout: 60_000,
    fileParallelism: false,
    sequence: { groupOrder: 1 },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: LAUNCH }),
      instances: [{ browser: "chromium" }],
    },
  },
};

const asked = process.env["FLUXION_SEED"] ?? "20261125";
const seed = asked === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(asked);
if (!Number.isSafeInteger(seed)) throw new Error(`FLUXION_SEED is "${asked}": give an integer, or "random".`);

if (missing !== undefined) console.log(`The tests in a browser are left out: ${missing}.`);

export default defineConfig({
  resolve: {
    alias: [
      { find: /^fluxion$/, replacement: source("index.ts") },
      { find: /^fluxion\/node$/, replacement: source("node.ts") },
      { find: /^fluxion\/tfjs$/, replacement: source("tfjs.ts") },
    ],
  },
  test: {
    env: {
      // Not the cache of whoever runs the tests: what `fluxion tune` found on this machine must not change what they compile.
      FLUXION_CACHE: fileURLToPath(new URL(".cache/test", import.meta.url)),
      // As many files run at a time as there are cores, so a second thread of ONNX Runtime would take the core from another file's.
      FLUXION_THREADS: process.env["FLUXION_THREADS"] ?? "1",
    },
    provide: { seed },
    setupFiles: ["test/support/seed.ts"],
    maxWorkers: WORKERS,
    sequence: { sequencer: LongestFirst },
    projects: missing === undefined ? [node, browser] : [node],
  },
});
