/**
 * Every example is run, and prints what its text promises. A new example needs a line in EXPECTED. Errors name the line of an
 * example that is run as `npm run example` does.
 */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { execute, stage } from "../support/stage.ts";
import {
  expectNewInterpolant,
  expectLosses,
  expectNewClock,
  expectObjectives,
  expectTwoPhrases,
} from "./flows.ts";

const FOLDER = fileURLToPath(new URL("../../examples", import.meta.url));

/** What an example must print, by name. */
const EXPECTED: Readonly<Record<string, (printed: string) => void>> = {
  quickstart: (printed) => expect(printed).toBe("Float32Array(1) [ 2.5 ] Float32Array(2) [ 1, 2 ]"),
  "linear-regression": (printed) =>
    expect(printed).toMatch(/^step 100: [^]*w = 2\.00, -1\.00, 0\.50; b = 3\.00$/),
  // Here on the interpreter; test/browser runs it on WebGPU.
  browser: (printed) => expect(printed).toBe("w = 2.00, -1.00"),
  "new-interpolant": expectNewInterpolant,
  "new-clock": expectNewClock,
  "new-objective": (printed) =>
    expect(printed).toMatch(/^right: every identity holds\nmistaken: fails by its target, /),
  objectives: expectObjectives,
  losses: expectLosses,
  // For the command line: it exports, and prints nothing.
  "own-flow": (printed) => expect(printed).toBe(""),
  "two-phrases": expectTwoPhrases,
};

async function outputOf(name: string): Promise<string> {
  const lines: string[] = [];
  const log = vi
    .spyOn(console, "log")
    .mockImplementation((...values: readonly unknown[]) => void lines.push(values.map(shown).join(" ")));
  try {
    await import(`../../examples/${name}.ts`);
  } finally {
    log.mockRestore();
  }
  return lines.join("\n");
}

/** As console.log shows what the examples print. */
const shown = (value: unknown): string =>
  value instanceof Float32Array ? `Float32Array(${value.length}) [ ${value.join(", ")} ]` : String(value);

describe("examples", () => {
  it.each(Object.keys(EXPECTED))("%s", { timeout: 300_000 }, async (name) => {
    EXPECTED[name]?.(await outputOf(name));
  });

  it("are all run", async () => {
    const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".ts"));
    expect(files.map((file) => file.slice(0, -3)).sort()).toEqual(Object.keys(EXPECTED).sort());
  });
});

/** An example that errs twice: in an op of the body, and in what it gives to compile. */
const WRONG = `import { compile, f32, fn, matmul, openInterpreter } from "fluxion";
import type { Tensor } from "fluxion";

interface Inputs { readonly a: Tensor; readonly b: Tensor }
const product = fn({ a: f32("n", 3), b: f32(4, 5) }, ({ a, b }: Inputs) =>
  matmul(a, b));
const device = openInterpreter();
for (const sizes of [{ n: 2 }, { m: 2 }])
  await compile(product,
    { device, sizes }).catch(({ message }: Error) => console.log(message));
await compile(product, { device, sizes: { n: 2 } });
`;

describe("npm run example", () => {
  it("names the example's own line in errors", { timeout: 60_000 }, async () => {
    const { folder, remove } = await stage();
    try {
      const path = join(folder, "examples/wrong.ts");
      await writeFile(path, WRONG);
      const { code, stdout, stderr } = await execute(folder, "npm", ["run", "--silent", "example", "wrong"]);
      const sentence = "matmul: inner dimensions differ: 3 vs 4 ([2,3] by [4,5])";
      expect(stdout.trimEnd().split("\n")).toEqual([
        sentence,
        `    at ${path}:6:3`,
        'dimension "n" has no size; bound are "m"',
        `    at ${path}:9:9`,
      ]);
      expect(stderr).toContain(`OpError: ${sentence}\n    at ${path}:6:3\n`);
      expect(code).toBe(1);
    } finally {
      await remove();
    }
  });
});
