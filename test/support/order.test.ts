import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { LONG } from "./order.ts";

it("the long files are there", () => {
  const exists = (name: string): boolean =>
    existsSync(fileURLToPath(new URL(`../..${name}`, import.meta.url)));
  expect(LONG.filter((name) => !exists(name))).toEqual([]);
});
