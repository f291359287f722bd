// Which line is the user's, wherever the library's code lies: beside theirs, in their bundle, or in an engine that writes stacks
// of another kind.
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { captureSite, formatSite } from "../../../src/dsl/trace/callsite.ts";
import { succeed } from "../../support/stage.ts";

const SURFACE = fileURLToPath(new URL("../../../src/dsl/index.ts", import.meta.url));

const USER = `import { f32, fn, matmul, trace } from ${JSON.stringify(SURFACE)};
import type { Tensor } from ${JSON.stringify(SURFACE)};

const product = (a: Tensor, b: Tensor): Tensor =>
  matmul(a, b);
try {
  trace(fn({ a: f32(2, 3), b: f32(4, 5) }, ({ a, b }) => product(a, b)));
} catch (error) {
  console.log((error as Error).message);
}
`;

const SENTENCE = "matmul: inner dimensions differ: 3 vs 4 ([2,3] by [4,5])";

describe("a bundle of library and user's code", () => {
  it.each([
    ["names the line of the source with a source map", ["--enable-source-maps"], true, false],
    ["also minified", ["--enable-source-maps"], true, true],
    ["names no line where Node does not read the map", [], true, false],
    ["names no line without a map", ["--enable-source-maps"], false, false],
  ])("%s", async (_what, flags, sourcemap, minify) => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), "fluxion my bundle (1)-")));
    try {
      const [source, outfile] = [join(folder, "user.ts"), join(folder, "bundle.mjs")];
      await writeFile(source, USER);
      const options = { bundle: true, platform: "node", format: "esm", logLevel: "silent" } as const;
      await build({ ...options, entryPoints: [source], outfile, sourcemap, minify });
      const printed = (await succeed(folder, process.execPath, [...flags, outfile])).trimEnd();
      const named = sourcemap && flags.length > 0;
      expect(printed).toBe(named ? `${SENTENCE}\n    at ${source}:5:3` : SENTENCE);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("stacks", () => {
  const siteOf = (...lines: readonly string[]): Error =>
    Object.assign(new Error(), { stack: lines.join("\n") });
  const library = "https://host/fluxion/dist";

  it("of V8, Firefox and Safari are read", () => {
    const v8 = siteOf(
      "Error",
      `    at captureSite (${library}/dsl/trace/callsite.js:60:16)`,
      `    at Array.map (<anonymous>)`,
      `    at new Sampler (${library}/models/sampler.js:7:3)`,
      "    at node:internal/modules/esm/loader:1:2",
      "    at other (file:///home/node_modules/other/index.js:3:4)",
      "    at async main (https://host/app.js:8:9)",
    );
    expect(formatSite(v8)).toBe("https://host/app.js:8:9");
    const others = siteOf(
      `captureSite@${library}/dsl/trace/callsite.js?v=1a2b:60:16`,
      `emit@${library}/dsl/trace/builder.js:1:2`,
      "@https://host/@me/app.js:8:9",
      "https://host/elsewhere.js:1:2",
    );
    expect(formatSite(others)).toBe("https://host/@me/app.js:8:9");
  });

  it("of the library alone name its line above the language", () => {
    const own = siteOf(
      "Error",
      `    at captureSite (${library}/dsl/trace/callsite.js:60:16)`,
      `    at matmul (${library}/dsl/surface/linear-algebra.js:1:2)`,
      `    at block (${library}/models/networks/dit.js:88:7)`,
      `    at inspect (${library}/cli/steps.js:9:3)`,
      "    at node:internal/modules/esm/loader:1:2",
    );
    expect(formatSite(own)).toBe(`${library}/models/networks/dit.js:88:7`);
  });

  it("that say nothing give no line", () => {
    expect(formatSite(siteOf())).toBeUndefined();
    expect(formatSite(siteOf("Error", "    at captureSite (<anonymous>)"))).toBeUndefined();
    expect(
      formatSite(siteOf("Error", `    at captureSite (${library}/dsl/trace/callsite.js:60:16)`)),
    ).toBeUndefined();
  });

  it("of this process name this file", () => {
    expect(formatSite(captureSite())).toMatch(
      new RegExp(`^${fileURLToPath(import.meta.url).replaceAll(".", "\\.")}:\\d+:\\d+$`),
    );
  });
});
