/** What a run keeps of the code that it was trained with, and what can be told by it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { codeHash } from "../../src/cli/code-hash.ts";
import { envelopeText, newEnvelope, readEnvelopeText } from "../../src/runtime/run/format.ts";
import { isSameSource, recordedHashes, sourceHash } from "../../src/runtime/run/source.ts";
import { tinyConfig } from "../support/tiny-training.ts";

it("has the text's hash for a file that is all of its code, and the bundle's, in which comments do not count", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fluxion-hash-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string): string => join(folder, name);
  const text = 'import { sub } from "fluxion";\nexport const a = sub;\n';
  await writeFile(file("alone.ts"), text);
  await writeFile(file("commented.ts"), `// why\n${text}`);
  await writeFile(file("two.ts"), 'export * from "./alone.ts";\n');
  const [alone, commented, two] = [
    await codeHash(file("alone.ts")),
    await codeHash(file("commented.ts")),
    await codeHash(file("two.ts")),
  ];
  expect(alone).toEqual({
    hash: expect.stringMatching(/^bundle:[0-9a-f]{32}$/) as string,
    source: sourceHash(new TextEncoder().encode(text)),
  });
  expect(commented.hash).toBe(alone.hash);
  expect(commented.source).not.toBe(alone.source);
  expect(two).toEqual({ hash: expect.stringMatching(/^bundle:/) as string });
});

it("is the same where one hash is, another where hashes of a kind differ, and else cannot be told", () => {
  expect(isSameSource(["bundle:1", "file:2"], ["bundle:1", "file:3"])).toBe(true);
  expect(isSameSource(["file:2"], ["bundle:1", "file:2"])).toBe(true);
  expect(isSameSource(["bundle:1", "file:2"], ["bundle:3"])).toBe(false);
  expect(isSameSource(["file:2"], ["bundle:1", "file:3"])).toBe(false);
  expect(isSameSource(["file:2"], ["bundle:1"])).toBeUndefined();
  expect(isSameSource(["bundle:1"], [])).toBeUndefined();
});

it("stands in config.json beside the settings, which other versions read alone", () => {
  const variant = { name: "a", kind: "flow", file: "a.ts", export: "a", hash: "bundle:1", teacher: "none", flow: "0" } as const; // prettier-ignore
  const config = { ...tinyConfig(2, 2), variant };
  const text = envelopeText(newEnvelope(config, new Date(0), "file:2"));
  expect(Object.keys(JSON.parse(text) as object)).toEqual([
    "format",
    "version",
    "created",
    "source",
    "config",
  ]);
  const { source = "", config: read } = readEnvelopeText(text, "config.json", "a");
  expect(read).toEqual(config);
  expect(recordedHashes({ source, config })).toEqual(["bundle:1", "file:2"]);
  expect(envelopeText(newEnvelope(config, new Date(0)))).not.toContain("source");
});
