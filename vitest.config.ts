import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Examples and documents import the package by its name, as users do; here the name stands for the sources. */
const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^fluxion$/, replacement: source("index.ts") },
      { find: /^fluxion\/node$/, replacement: source("node.ts") },
    ],
  },
  test: { include: ["test/**/*.test.ts"] },
});
