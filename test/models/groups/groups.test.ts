/** The table of the groups of identities in docs/testing.md is complete, and each of its files has tests of its group. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const root = new URL("../../../", import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), "utf8");

const rows = [...text("docs/testing.md").matchAll(/^\| (\d+) +\| [^|]+ \| `([^`]+)` +\| (\w+) +\|/gm)].map(
  ([, group, file, where]) => ({ group: Number(group), file: file ?? "", where: where ?? "" }),
);

/** The groups that the titles of a file's tests name. */
const named = (file: string): readonly number[] =>
  [...text(file).matchAll(/["`][^"`\n]*\bgroups? (\d+)(?: and (\d+))?[^"`\n]*["`]/g)].flatMap(([, a, b]) =>
    [a, b].flatMap((n) => (n === undefined ? [] : [Number(n)])),
  );

describe("the groups of identities", () => {
  it("are twenty, each with a file", () => {
    expect([...new Set(rows.map(({ group }) => group))]).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it.each(rows.filter(({ file }) => file.endsWith(".test.ts")))(
    "group $group is tested by $file",
    ({ group, file, where }) => {
      expect(named(file)).toContain(group);
      // What runs on all devices opens them.
      expect(text(file).includes("openTargets()")).toBe(where === "all");
    },
  );

  it("have all files of this folder in the table", () => {
    const files = readdirSync(new URL(".", import.meta.url)).filter((name) => /^\d.*\.test\.ts$/.test(name));
    for (const name of files) expect(rows.map(({ file }) => file)).toContain(`test/models/groups/${name}`);
  });
});
