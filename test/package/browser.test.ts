/** The main entry in a browser: everything it pulls in, without a Node module, in one file of known size. */
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/stage.ts";

/** Platform "browser" resolves no Node module: an import of one fails the build. */
async function bundle(contents: string, format: "esm" | "iife" = "esm") {
  const options = {
    bundle: true,
    platform: "browser",
    minify: true,
    write: false,
    metafile: true,
    logLevel: "silent",
  } as const;
  return build({
    ...options,
    format,
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    absWorkingDir: ROOT,
  });
}

const codeOf = (built: Awaited<ReturnType<typeof bundle>>): string => built.outputFiles[0]?.text ?? "";
const importsOf = (built: Awaited<ReturnType<typeof bundle>>): readonly string[] =>
  Object.values(built.metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));

describe("the main entry", () => {
  it("bundles for a browser without a Node module, in less than 150 kB gzipped", async () => {
    const built = await bundle('export * from "fluxion";');
    const gzipped = gzipSync(codeOf(built)).length;
    console.log(
      `fluxion for browsers: ${(codeOf(built).length / 1024).toFixed(0)} kB minified, ${(gzipped / 1024).toFixed(0)} kB gzipped`,
    );
    expect(importsOf(built)).toEqual([]);
    const packages = Object.keys(built.metafile.inputs).filter(
      (path) => !path.startsWith("src/") && path !== "<stdin>",
    );
    expect(packages.filter((path) => !path.includes("node_modules/@bufbuild/protobuf/"))).toEqual([]);
    expect(gzipped).toBeLessThan(150 * 1024);
  });

  it("leaves out what is not used", async () => {
    const [all, few] = await Promise.all([
      bundle('export * from "fluxion";'),
      bundle('export { hostTensor } from "fluxion";'),
    ]);
    expect(codeOf(few).length).toBeLessThan(codeOf(all).length / 10);
  });

  it("would not bundle with the Node entry", async () => {
    const message = await bundle('export * from "fluxion/node";').then(
      () => "it did",
      (error: Error) => error.message,
    );
    expect(message).toContain("Could not resolve");
  });

  it("traces, differentiates, runs and exports where there is nothing of Node", async () => {
    const built = await bundle(
      `
      import { compile, exportOnnx, f32, fn, grad, openInterpreter, square, sum } from "fluxion";
      const f = fn({ x: f32("n") }, ({ x }) => sum(square(x)));
      globalThis.answer = async () => {
        const run = await compile(grad(f, "x"), { device: openInterpreter(), sizes: { n: 2 } });
        const { data } = await (await run.run({ x: [3, 4] })).read();
        return [...data, exportOnnx(f, { sizes: { n: 2 } }).bytes.length > 50];
      };`,
      "iife",
    );
    // A realm with what browsers and Node have in common, and no more.
    const realm: { answer?: () => Promise<readonly unknown[]> } & Record<string, unknown> = {
      TextEncoder,
      TextDecoder,
      URL,
      structuredClone,
    };
    runInNewContext(codeOf(built), realm);
    expect(Array.from((await realm.answer?.()) ?? [])).toEqual([6, 8, true]);
  });
});
