/**
 * The engine in a real Chromium: built with a page that does nothing but hand it out, served from this machine, in browsers that a test
 * asks for. Consumed by the tests of the engine.
 */
import { createReadStream, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import type { Browser, BrowserContext, Page } from "playwright";
import { build } from "vite";
import { afterAll, beforeAll } from "vitest";
import { bundledText } from "../../../studio/vite/bundled-text.ts";
import type { RunDetail, RunSettings } from "../../../studio/src/engine/protocol.ts";
import { LAUNCH, setup } from "../../browser/chromium.ts";
import { storyText } from "../../support/story.ts";

/** A training of seconds. */
export const SETTINGS = {
  preset: "quick",
  seed: 1,
  length: 8,
  width: 16,
  depth: 1,
  heads: 2,
  batch: 16,
  vocabularySize: 60,
  flmSteps: 50,
  fmlmSteps: 20,
} as const satisfies RunSettings;
export const STEPS = SETTINGS.flmSteps + SETTINGS.fmlmSteps;

/** Starts a training on a dropped text. @param then awaited before this returns */
export async function started(
  page: Page,
  then: (page: Page, id: string) => Promise<unknown>,
  settings: Partial<RunSettings> = {},
  text = storyText(900),
): Promise<RunDetail> {
  const run = await page.evaluate(
    ([asked, content]) =>
      window.studio.engine.start(asked, { kind: "file", file: new File([content], "story.txt") }),
    [{ ...SETTINGS, ...settings }, text] as const,
  );
  await then(page, run.id);
  return run;
}

/** The files of a run, as they are exported. */
export async function filesOf(page: Page, id: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = await page.evaluate(async (run) => {
    const exported = await window.studio.engine.exportRun(run);
    return Promise.all(
      exported.map(async ({ name, blob }) => [name, [...new Uint8Array(await blob.arrayBuffer())]] as const),
    );
  }, id);
  return new Map(files.map(([name, bytes]) => [name, Buffer.from(bytes)]));
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

async function built(folder: string): Promise<void> {
  await build({
    configFile: false,
    root: fileURLToPath(new URL("../engine-page", import.meta.url)),
    base: "./",
    logLevel: "error",
    plugins: [bundledText()],
    worker: { format: "es", plugins: () => [bundledText()] },
    // Minifying is most of the time, and tests nothing here.
    build: { outDir: folder, target: "es2022", minify: false, assetsInlineLimit: 0 },
  });
}

/** Files of a folder as any static server gives them. */
async function served(folder: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = path === "/" ? "index.html" : path;
    if (!existsSync(join(folder, file))) response.writeHead(404).end();
    else {
      response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
      createReadStream(join(folder, file)).pipe(response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Pages of the engine, whose `window.studio` is the harness of ../engine-page/page.ts. */
export interface EngineBrowser {
  /** A browser's storage of its own. */
  context(): Promise<BrowserContext>;
  /** The page in a new tab, the engine open. @param without what it lacks; see ../engine-page/tamper.ts */
  tab(context: BrowserContext, without?: string): Promise<Page>;
}

/** Builds and starts it all for the tests of a file, and ends it after them. */
export function engineBrowser(): EngineBrowser {
  let [folder, address] = ["", ""];
  let [server, browser]: [Server | undefined, Browser | undefined] = [undefined, undefined];
  beforeAll(async () => {
    await setup();
    folder = await mkdtemp(join(tmpdir(), "fluxion-studio-"));
    await built(folder);
    server = await served(folder);
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await chromium.launch(LAUNCH);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    async context() {
      if (browser === undefined) throw new Error("the browser starts before the tests");
      return browser.newContext();
    },
    async tab(context, without = "") {
      const page = await context.newPage();
      page.on("console", (message) => {
        if (message.type() === "error") console.error(`page: ${message.text()}`);
      });
      await page.goto(address);
      await page.evaluate((name) => window.studio.open(name), without);
      return page;
    },
  };
}
