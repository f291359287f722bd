/**
 * A page of the studio's, built and served for a test, in a Chromium with WebGPU on the software adapter.
 * Consumed by the tests of this folder that look at a page.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import type { Browser } from "playwright";
import { build } from "vite";
import { LAUNCH, setup } from "../browser/chromium.ts";

const CONFIG = fileURLToPath(new URL("../../studio/vite.config.ts", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

export interface Served {
  /** Address of the page, in a folder of its server. */
  readonly url: string;
  readonly browser: Browser;
  close(): Promise<void>;
}

/** @param root of the page: the folder with its index.html */
export async function serve(root: string): Promise<Served> {
  const outDir = await mkdtemp(join(tmpdir(), "fluxion-studio-"));
  await build({ configFile: CONFIG, root, logLevel: "error", build: { outDir, emptyOutDir: true } });
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "", "http://localhost").pathname.replace(/^\/folder\//, "/");
    const name = path === "/" ? "index.html" : path;
    readFile(join(outDir, name)).then(
      (body) => response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain" }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await setup();
  const browser = await chromium.launch(LAUNCH as object); // the environment has no undefined values in fact
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/folder/`, // it listens
    browser,
    async close() {
      await browser.close();
      server.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}
