/** The WebGPU device without the part that is Node's: what a browser program bundles. */
import { build } from "esbuild";
import { expect, it } from "vitest";
import { ROOT } from "../../support/stage.ts";

it("bundles for a browser without a Node module", async () => {
  const built = await build({
    stdin: { contents: 'export { openWebGpu } from "./src/runtime/webgpu/device.ts";', resolveDir: ROOT },
    absWorkingDir: ROOT,
    bundle: true,
    platform: "browser", // an import of a Node module fails the build
    format: "esm",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  expect(Object.values(built.metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
  const inputs = Object.keys(built.metafile.inputs);
  expect(inputs).toContain("src/runtime/webgpu/executable.ts");
  expect(inputs.filter((path) => path.includes("node_modules"))).toEqual([]);
});
