/**
 * Builds of the studio for tests, and a static server for them: with the engine as it is, or with another in its place. Consumed by the
 * tests beside this folder.
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { build, type Alias } from "vite";

/** Of the checkout, also where this file was compiled to another place in it. */
export const ROOT = dirname(createRequire(import.meta.url).resolve("fluxion/package.json"));
export const FAKE_ENGINE = join(ROOT, "test/studio/support/fake-engine.ts");

/**
 * @param engine the file of the worker that is the engine, by default the studio's own
 * @param root folder of the page, by default the studio's
 */
export async function buildStudio(
  engine?: string,
  root?: string,
): Promise<{ readonly folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "fluxion-studio-"));
  const alias: Alias[] =
    engine === undefined ? [] : [{ find: /^studio-engine(?=\?|$)/, replacement: engine }];
  await build({
    configFile: join(ROOT, "studio/vite.config.ts"),
    logLevel: "error",
    ...(root === undefined ? {} : { root }),
    resolve: { alias },
    build: { outDir: folder, emptyOutDir: true },
  });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

/**
 * Serves a folder under /some/where/, and nothing else: as a plain static server does, with no header but the type. `asked` is what was
 * asked of it by its other name, localhost, which is another origin for a page of its.
 */
export async function serve(
  folder: string,
): Promise<{ readonly url: string; asked(): readonly string[]; close(): Promise<void> }> {
  const prefix = "/some/where/";
  const asked: string[] = [];
  const server = createServer((request, response) => {
    if (request.headers.host?.startsWith("localhost")) asked.push(request.url ?? "");
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname));
    const file = join(folder, path.slice(prefix.length) || "index.html");
    if (!path.startsWith(prefix) || !existsSync(file) || statSync(file).isDirectory()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}${prefix}`,
    asked: () => asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
