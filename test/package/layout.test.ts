/** Rules about the source tree that no linter of ours checks: file sizes and headers, and a lock file without addresses. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/stage.ts";

/** Longest file of src, in lines. */
const MOST_LINES = 400;

const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path: `src/${path}`, text: readFileSync(join(ROOT, "src", path), "utf8") }));

describe("the source tree", () => {
  it(`has no file of more than ${MOST_LINES} lines`, () => {
    const long = sources
      .map(({ path, text }) => `${path}: ${text.split("\n").length - 1} lines`)
      .filter((line) => Number(/(\d+) lines/.exec(line)?.[1]) > MOST_LINES);
    expect(long).toEqual([]);
  });

  it("has a comment at the top of every file that says what it is", () => {
    const silent = sources
      .filter(({ text }) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(text))
      .map(({ path }) => path);
    expect(silent).toEqual([]);
  });

  it("has no download addresses in the lock file", () => {
    const lock = readFileSync(join(ROOT, "package-lock.json"), "utf8");
    expect(lock).not.toContain('"resolved"');
    expect(lock).not.toMatch(/https?:\/\/[^"]*\.tgz/);
  });

  it("has a lock file with every optional package, also those of other platforms: npm ci asks for them", () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<
        Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
      >;
    };
    const known = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, "")));
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies),
    );
    expect(wanted.length).toBeGreaterThan(20);
    expect(wanted.filter((name) => !known.has(name))).toEqual([]);
  });

  it("has a lock file that fits package.json", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, unknown>;
    const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, Record<string, unknown>>>;
    };
    for (const field of [
      "name",
      "version",
      "dependencies",
      "devDependencies",
      "optionalDependencies",
      "engines",
      "bin",
    ])
      expect(packages[""]?.[field], field).toEqual(manifest[field]);
  });
});
