/**
 * Builds the studio: `npm run studio` serves it while it is worked on, `npm run build:studio` makes static files for any web server.
 * What is not needed for the first view (curves, editor, tfjs) is imported where it is used, and so becomes a file of its own.
 */
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { bundledText } from "./vite/bundled-text.ts";
import { typescriptAssets } from "./vite/typescript-assets.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Files that are made from packages when the studio is built. */
const assets = () => [bundledText(), typescriptAssets()];

/** While it is worked on, Vite puts styles of scripts into the page itself; in a build they are files. */
const inlineStylesWhileServed: Plugin = {
  name: "inline-styles-while-served",
  apply: "serve",
  transformIndexHtml: (html) => html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
};

export default defineConfig({
  root: here("."),
  // Static files work from any folder of any server.
  base: "./",
  resolve: {
    alias: [
      { find: /^fluxion$/, replacement: here("../src/index.ts") },
      // The language service in the page is the JavaScript one; "typescript" is the native compiler, which has none.
      { find: /^typescript$/, replacement: "typescript-js" },
      // By name, so that a build for tests can put another engine in its place.
      { find: /^studio-engine(?=\?|$)/, replacement: here("./src/engine/worker.ts") },
    ],
  },
  plugins: [...assets(), inlineStylesWhileServed],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es", plugins: assets },
  build: {
    outDir: here("../dist-studio"),
    emptyOutDir: true,
    target: "es2022",
    // light-dark() is used as it is written.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Files that a policy of same-origin scripts loads, and no data: URLs.
    assetsInlineLimit: 0,
  },
});
