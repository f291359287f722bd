/** Builds the studio: `npm run studio` serves it while it is worked on, `npm run build:studio` makes static files for any web server. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { bundledText } from "./vite/bundled-text.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("."),
  // Static files work from any folder of any server.
  base: "./",
  resolve: { alias: [{ find: /^fluxion$/, replacement: here("../src/index.ts") }] },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [bundledText()],
  worker: { format: "es", plugins: () => [bundledText()] },
  build: { outDir: here("../dist-studio"), emptyOutDir: true, target: "es2022" },
});
