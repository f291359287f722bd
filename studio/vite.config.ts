/** Builds the studio: `npm run studio` serves it while it is worked on, `npm run build:studio` makes static files for any web server. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { bundledText } from "./vite/bundled-text.ts";
import { typescriptAssets } from "./vite/typescript-assets.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Files that are made from packages when the studio is built. */
const assets = () => [bundledText(), typescriptAssets()];

export default defineConfig({
  root: here("."),
  // Static files work from any folder of any server.
  base: "./",
  resolve: {
    alias: [
      { find: /^fluxion$/, replacement: here("../src/index.ts") },
      // The language service in the page is the JavaScript one; "typescript" is the native compiler, which has none.
      { find: /^typescript$/, replacement: "typescript-js" },
    ],
  },
  plugins: assets(),
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es", plugins: assets },
  build: { outDir: here("../dist-studio"), emptyOutDir: true, target: "es2022" },
});
