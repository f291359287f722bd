/**
 * The package as others get it: built, packed, unpacked into an empty project, and used there from JavaScript, from TypeScript
 * and from the command line. Dependencies are linked from this checkout, so nothing is fetched.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { execute, ROOT, stage, succeed } from "../support/stage.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 240_000 }); // the hook builds the package, which takes long on a busy machine

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let staged: Awaited<ReturnType<typeof stage>>;
let packed: Packed;
let tarball = "";
/** An empty project with the package installed. */
let consumer = "";

const bin = (name: string): string => join(ROOT, "node_modules/.bin", name);

async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

beforeAll(async () => {
  staged = await stage();
  // Which builds first, by the script "prepack".
  [packed] = JSON.parse(await succeed(staged.folder, "npm", ["pack", "--json"])) as [Packed];
  tarball = join(staged.folder, packed.filename);
  consumer = await mkdtemp(join(tmpdir(), "fluxion-consumer-"));
  const modules = join(consumer, "node_modules");
  await mkdir(join(modules, "fluxion"), { recursive: true });
  await succeed(consumer, "tar", ["-xzf", tarball, "-C", join(modules, "fluxion"), "--strip-components=1"]);
  const installed = JSON.parse(await readFile(join(modules, "fluxion/package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly optionalDependencies: Readonly<Record<string, string>>;
    readonly bin: Readonly<Record<string, string>>;
  };
  // What npm does with dependencies and commands.
  for (const name of Object.keys({ ...installed.dependencies, ...installed.optionalDependencies }))
    await link(join(ROOT, "node_modules", name), join(modules, name));
  for (const [name, path] of Object.entries(installed.bin)) {
    await chmod(join(modules, "fluxion", path), 0o755);
    await link(join("../fluxion", path), join(modules, ".bin", name));
  }
  await writeFile(
    join(consumer, "package.json"),
    JSON.stringify({ name: "consumer", private: true, type: "module" }),
  );
});

afterAll(async () => {
  await staged?.remove();
  await rm(consumer, { recursive: true, force: true });
});

const SCRIPT = `
import { f32, fn, matmul, mean, square, sub, valueAndGrad } from "fluxion";
import { compile, openDevice } from "fluxion/node";

const loss = fn({ w: f32("in", "out"), x: f32("batch", "in"), y: f32("batch", "out") }, ({ w, x, y }) => mean(square(sub(matmul(x, w), y))));
for (const name of ["cpu", "interpreter"]) {
  const device = await openDevice(name);
  const step = await compile(valueAndGrad(loss, "w"), { device, sizes: { batch: 2, in: 2, out: 1 } });
  const { value, grad } = await step.run({ w: [1, 2], x: [1, 0, 0, 1], y: [0, 0] });
  console.log(name, (await value.read()).data[0], ...(await grad.read()).data);
  await device.dispose();
}
const wrong = fn({ a: f32(2, 3), b: f32(4, 5) }, ({ a, b }) => matmul(a, b));
await compile(wrong, { device: await openDevice() }).catch((error) => console.log(error.message));
`;

const TYPED = `
import { f32, fn, matmul, models, type Tensor } from "fluxion";

export const product = fn({ a: f32("rows", 3), b: f32(3, 4) }, ({ a, b }): Tensor<["rows", 4], "f32"> => matmul(a, b));
// @ts-expect-error 3 and 4 differ: the shapes are in the installed types
export const wrong = fn({ a: f32("rows", 3), b: f32(4, 4) }, ({ a, b }) => matmul(a, b));
export const clock: models.Clock = models.decodingError({ vocab: 1000 });
`;

const TYPED_NODE = `
import { product } from "./main.js";
import { compile, openDevice } from "fluxion/node";

const device = await openDevice("cpu");
const compiled = await compile(product, { device, sizes: { rows: 1 } });
const output = await compiled.run({ a: [1, 2, 3], b: new Float32Array(12) });
export const read: ArrayLike<number> = (await output.read()).data;
// @ts-expect-error b is missing
export const missing = () => compiled.run({ a: [1, 2, 3] });
`;

describe("the packed package", () => {
  it("holds the built code, the licence, the readme and nothing else", () => {
    const paths = packed.files.map(({ path }) => path);
    const others = paths.filter((path) => !/^dist\/.+\.(js|d\.ts|js\.map)$/.test(path));
    expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
    expect(paths).toContain("dist/index.d.ts");
    expect(packed.size).toBeLessThan(2_300_000);
  });

  it("runs from an ESM script and blames the user's line", async () => {
    const path = join(consumer, "script.js");
    await writeFile(path, SCRIPT);
    const lines = (await succeed(consumer, process.execPath, [path])).trim().split("\n");
    expect(lines.slice(0, 2)).toEqual(["cpu 2.5 1 2", "interpreter 2.5 1 2"]);
    expect(lines[2]).toContain("matmul");
    expect(lines[3]).toMatch(/^ {4}at .*script\.js:13:\d+$/);
  });

  it("leaves nothing in the user's folders: ONNX Runtime keeps no telemetry", async () => {
    const [path, home] = [join(consumer, "script.js"), await mkdtemp(join(tmpdir(), "fluxion-home-"))];
    await writeFile(path, SCRIPT);
    vi.stubEnv("HOME", home);
    vi.stubEnv("XDG_CACHE_HOME", undefined);
    vi.stubEnv("ORT_DISABLE_TELEMETRY", undefined); // which this process has, if it opened the device before
    try {
      const worker = join(consumer, "worker.js"); // what a worker sets in its environment, the engine does not see
      await writeFile(
        worker,
        `import "fluxion/node";\nimport { Worker } from "node:worker_threads";\nnew Worker(new URL("./script.js", import.meta.url));\n`,
      );
      for (const file of [path, worker])
        expect(await succeed(consumer, process.execPath, [file])).toContain("cpu 2.5 1 2");
      expect(await readdir(home, { recursive: true })).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      await rm(home, { recursive: true });
    }
  });

  it("type-checks in a strict NodeNext project, the main entry without Node's types", async () => {
    await writeFile(join(consumer, "main.ts"), TYPED);
    await writeFile(join(consumer, "node.ts"), TYPED_NODE);
    const options = {
      module: "NodeNext",
      target: "ES2022",
      lib: ["ES2022"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: false,
    };
    await writeFile(
      join(consumer, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...options, types: [] }, files: ["main.ts"] }),
    );
    expect(await execute(consumer, bin("tsc"), ["-p", "."])).toMatchObject({ code: 0, stdout: "" });
    await link(join(ROOT, "node_modules/@types/node"), join(consumer, "node_modules/@types/node"));
    await link(join(ROOT, "node_modules/undici-types"), join(consumer, "node_modules/undici-types"));
    await writeFile(
      join(consumer, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...options, types: ["node"] }, files: ["node.ts"] }),
    );
    expect(await execute(consumer, bin("tsc"), ["-p", "."])).toMatchObject({ code: 0, stdout: "" });
  });

  it("gives the command fluxion", async () => {
    const help = await succeed(consumer, "npx", ["--no-install", "fluxion", "--help"]);
    expect(help).toContain("Usage: fluxion COMMAND");
    expect(await succeed(consumer, "npx", ["--no-install", "fluxion", "devices"])).toMatch(
      /^cpu +available/m,
    );
    expect(await readdir(consumer)).not.toContain("runs");
  });

  it("is what publint and arethetypeswrong expect of an ESM package", async () => {
    const lint = await execute(staged.folder, bin("publint"), ["--strict", "--pack", "npm", staged.folder]);
    expect(lint.stdout + lint.stderr).toContain("All good!");
    expect(lint.code).toBe(0);
    const types = await execute(staged.folder, bin("attw"), [
      tarball,
      "--profile",
      "esm-only",
      "--no-color",
      "--no-emoji",
    ]);
    // A row for each entry: as Node resolves it, and as bundlers do.
    for (const entry of ["fluxion", "fluxion/node", "fluxion/tfjs"])
      expect(types.stdout).toMatch(new RegExp(`"${entry}" *│ OK \\(ESM\\) *│ OK `));
    expect(types.code).toBe(0);
  });
});
