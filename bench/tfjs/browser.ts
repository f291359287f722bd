/**
 * The devices on TensorFlow.js that need a browser: each has a page of its own in the headless Chromium of the tests, on software
 * adapters. A step's time is what passes in the page, and its processor time is that of all processes of the browser.
 *
 * Consumed by peers.ts of this folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright";
import type { Browser, Page } from "playwright";
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { LAUNCH, missing, setup } from "../../test/browser/chromium.ts";
import type { Stepper } from "../cases/flm-step.ts";
import { lineOf } from "../contenders.ts";
import type { BrowserBackend, PageGlobal } from "./page.ts";

const BACKENDS: readonly BrowserBackend[] = ["webgl", "webgpu"];

/** A device in a page. */
export interface InBrowser {
  readonly name: string;
  /** What the device says of itself. */
  readonly note: string;
  prepare(options: ModelOptions): Promise<Stepper>;
}

export interface BrowserPeers {
  readonly engines: readonly InBrowser[];
  readonly absent: ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

/** The script of the page, which is TypeScript or what was made of it, as this file is. */
async function bundled(): Promise<string> {
  const entry = fileURLToPath(new URL(`page${extname(import.meta.url)}`, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "iife",
    platform: "browser",
    external: ["@tensorflow/tfjs-backend-wasm"],
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

/** Ticks of the clock in /proc are hundredths of a second. */
const MS_PER_TICK = 10;

/** Milliseconds of processor time, user and system, of this process and all that descend from it. Linux only, as the browser is. */
export function processorTime(): number {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // a command may have spaces in it
      parents.set(Number(name), Number(fields[1]));
      ticks.set(Number(name), Number(fields[11]) + Number(fields[12]));
    } catch {
      // It ended meanwhile.
    }
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === process.pid || isOurs(parents.get(pid)));
  return [...ticks].reduce((sum, [pid, count]) => (isOurs(pid) ? sum + count * MS_PER_TICK : sum), 0);
}

async function open(browser: Browser, script: string, backend: BrowserBackend): Promise<InBrowser> {
  const page = await browser.newPage();
  // WebGPU is for pages of a secure origin, as localhost is; nobody listens there.
  await page.route("http://localhost/**", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" })); // prettier-ignore
  await page.goto("http://localhost/");
  await page.addScriptTag({ content: script });
  const note = await page.evaluate(
    (name) => (globalThis as unknown as PageGlobal).fluxionBench.open(name), // the script put it there
    backend,
  );
  return {
    name: `tfjs:${backend}`,
    note: `${note}, in Chromium`,
    prepare: (options) => prepare(page, options),
  };
}

async function prepare(page: Page, options: ModelOptions): Promise<Stepper> {
  await page.evaluate(
    (given) => (globalThis as unknown as PageGlobal).fluxionBench.prepare(given), // as above
    options,
  );
  return {
    step: () => page.evaluate(() => (globalThis as unknown as PageGlobal).fluxionBench.step()),
    dispose: () => page.evaluate(() => (globalThis as unknown as PageGlobal).fluxionBench.end()),
    processorTime,
  };
}

/** Opens the devices, those that do not open are named with the reason. */
export async function startBrowserPeers(): Promise<BrowserPeers> {
  const absent = new Map<string, string>();
  const engines: InBrowser[] = [];
  let browser: Browser | undefined;
  try {
    if (missing !== undefined) throw new Error(missing);
    await setup();
    browser = await chromium.launch(LAUNCH);
    const script = await bundled();
    for (const backend of BACKENDS)
      await open(browser, script, backend).then(
        (engine) => engines.push(engine),
        (error: unknown) => absent.set(`tfjs:${backend}`, lineOf(error)),
      );
  } catch (error) {
    for (const backend of BACKENDS) absent.set(`tfjs:${backend}`, lineOf(error));
  }
  return { engines, absent, stop: async () => browser?.close() };
}
