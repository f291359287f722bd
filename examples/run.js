/**
 * Runs an example from its source: `npm run example quickstart`. TypeScript is stripped by esbuild, and "fluxion" is this
 * checkout (the `paths` of tsconfig.json say so). The source map lets errors name lines of the example. In a project of your own,
 * plain Node imports the installed package.
 */
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const name = process.argv[2];
const names = (await readdir(here)).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
if (name === undefined || !names.includes(name)) {
  console.error(`Say which example: npm run example NAME, with NAME one of ${names.join(", ")}.`);
  process.exit(2);
}
const outfile = fileURLToPath(new URL(`../.cache/examples/${name}.js`, import.meta.url));
await build({
  entryPoints: [`${here}${name}.ts`],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  sourcemap: "inline",
  sourcesContent: false,
  logLevel: "error",
});
process.setSourceMapsEnabled(true);
await import(outfile);
