import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { VERSION } from "../../src/runtime/version.ts";

it("the version in the code is that of the package", async () => {
  const { version } = JSON.parse(await readFile("package.json", "utf8")) as { readonly version: string };
  expect(VERSION).toBe(version);
});
