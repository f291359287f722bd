/** The main entry in a browser: everything it pulls in, without a Node module, in one file of known size. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/stage.ts";

/** Platform "browser" resolves no Node module: an import of one fails the build. */
async function bundle(contents: string, format: "esm" | "iife" = "esm", external: string[] = []) {
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
    external,
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    absWorkingDir: ROOT,
  });
}

const codeOf = (built: Awaited<ReturnType<typeof bundle>>): string => built.outputFiles[0]?.text ?? "";
const importsOf = (built: Awaited<ReturnType<typeof bundle>>): readonly string[] =>
  Object.values(built.metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));

/** Bytes of a bundle by the file that they come from. */
const bytesOf = (built: Awaited<ReturnType<typeof bundle>>): ReadonlyMap<string, number> =>
  new Map(
    Object.values(built.metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).map(([path, { bytesInOutput }]) => [path, bytesInOutput] as const),
    ),
  );

const EXAMPLE = readFileSync(join(ROOT, "examples/browser.ts"), "utf8");
const ON_TFJS = EXAMPLE.replace(/await openWebGpu\(\)[^]*?\n\}\);/, 'await openTfjs("webgl");').replace(
  'from "fluxion";',
  'from "fluxion";\nimport { openTfjs } from "fluxion/tfjs";',
);
const ON_INTERPRETER = EXAMPLE.replace(/await openWebGpu\(\)[^]*?\n\}\);/, "openInterpreter();");

/** Optional packages, which are loaded when a device of theirs is opened. */
const TFJS = ["@tensorflow/*"];

/** What docs/browser.md gives sizes of, in the order of its table. */
const SIZED: readonly (readonly [row: string, contents: string])[] = [
  ["All of the package", 'export * from "fluxion";'],
  ["The example above: autodiff, WebGPU and an interpreter", EXAMPLE],
  ["The same on the interpreter alone", ON_INTERPRETER],
  ["The same on TensorFlow.js, which comes on top", ON_TFJS],
];

describe("the main entry", () => {
  it("bundles for a browser with the WebGPU device and without a Node module", async () => {
    const built = await bundle('export * from "fluxion";');
    expect(importsOf(built)).toEqual([]);
    const bytes = bytesOf(built);
    for (const part of ["schedule/schedule.ts", "wgsl/print.ts"])
      expect(bytes.get(`src/compiler/${part}`), part).toBeGreaterThan(500);
    for (const part of ["device.ts", "executable.ts"])
      expect(bytes.get(`src/runtime/webgpu/${part}`), part).toBeGreaterThan(500);
    const packages = [...bytes.keys()].filter((path) => !path.startsWith("src/") && path !== "<stdin>");
    expect(packages.filter((path) => !path.includes("node_modules/@bufbuild/protobuf/"))).toEqual([]);
  });

  it("trains, samples and keeps runs without a Node module, in storage that the page brings", async () => {
    const parts = ["training/trainer", "training/texts", "training/load-model", "training/teacher", "run/format", "run/vocabulary", "text/documents"]; // prettier-ignore
    const built = await bundle(parts.map((part) => `export * from "./src/runtime/${part}.ts";`).join("\n"));
    expect(importsOf(built)).toEqual([]);
    for (const part of parts) expect([...bytesOf(built).keys()]).toContain(`src/runtime/${part}.ts`);
  });

  it("is as small as docs/browser.md says", async () => {
    const page = await readFile(join(ROOT, "docs/browser.md"), "utf8");
    const rows = [...page.matchAll(/^\| (.+?) +\| (\d+) kB +\|$/gm)];
    expect(rows.map(([, row]) => row)).toEqual(SIZED.map(([row]) => row));
    for (const [i, [row, contents]] of SIZED.entries()) {
      const code = codeOf(await bundle(contents, "esm", TFJS));
      const kilobytes = gzipSync(code).length / 1024;
      console.log(
        `${row}: ${(code.length / 1024).toFixed(0)} kB minified, ${kilobytes.toFixed(0)} kB gzipped`,
      );
      expect(kilobytes, row).toBeLessThan(Number(rows[i]?.[2]));
    }
  });

  it("leaves out what is not used", async () => {
    const [all, few, example, interpreted] = await Promise.all([
      bundle('export * from "fluxion";'),
      bundle('export { hostTensor } from "fluxion";'),
      bundle(EXAMPLE),
      bundle(ON_INTERPRETER),
    ]);
    expect(codeOf(few).length).toBeLessThan(codeOf(all).length / 10);
    const own = (path: string): boolean => path.startsWith("src/") || path === "<stdin>";
    expect([...bytesOf(example).keys()].filter((path) => !own(path))).toEqual([]); // no ONNX writer
    const bytes = [...bytesOf(interpreted)].filter(([, count]) => count > 0).map(([path]) => path);
    expect(bytes).toContain("src/compiler/interpret/interpret.ts");
    expect(bytes.filter((path) => /\/(webgpu|wgsl|schedule|kernel|onnx)\//.test(path))).toEqual([]);
  });

  it("has nothing that runs TensorFlow.js: that is in the entry fluxion/tfjs", async () => {
    const has = async (contents: string, external?: string[]): Promise<readonly string[]> =>
      [...bytesOf(await bundle(contents, "esm", external)).keys()].filter((path) => /tfjs/.test(path));
    expect(await has(EXAMPLE)).toEqual([]);
    const all = await has('export * from "fluxion";');
    expect(all.filter((path) => !path.startsWith("src/compiler/tfjs/"))).toEqual([]); // exportTfjs
    expect(await has('export * from "fluxion/tfjs";', TFJS)).toContain("src/runtime/tfjs/tfjs-device.ts");
    // All that is imported from it is imported when it is needed.
    const built = await bundle('export * from "fluxion/tfjs";', "esm", TFJS);
    const imports = Object.values(built.metafile.outputs).flatMap(({ imports }) => imports);
    expect(imports.map(({ kind }) => kind)).toEqual(["dynamic-import", "dynamic-import", "dynamic-import"]);
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
