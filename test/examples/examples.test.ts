/** Every example is run, and prints what its text promises. A new example needs a line in EXPECTED. */
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { expectCustomInterpolant, expectTwoPhrases } from "./flows.ts";

const FOLDER = fileURLToPath(new URL("../../examples", import.meta.url));

/** What an example must print, by name. */
const EXPECTED: Readonly<Record<string, (printed: string) => void>> = {
  quickstart: (printed) => expect(printed).toBe("Float32Array(1) [ 2.5 ] Float32Array(2) [ 1, 2 ]"),
  "linear-regression": (printed) =>
    expect(printed).toMatch(/^step 100: [^]*w = 2\.00, -1\.00, 0\.50; b = 3\.00$/),
  "custom-interpolant": expectCustomInterpolant,
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
