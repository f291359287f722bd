/**
 * Every `ts` block of the documents is type-checked and run. The blocks of a page are one program, read from top to bottom;
 * line numbers in messages are those of the page. A `text` block right after a `ts` block is what it prints.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execute, ROOT, succeed } from "../support/stage.ts";
import { pages } from "./markdown.ts";
import type { Page } from "./markdown.ts";

/** In the checkout, so that packages are found from there. */
const FOLDER = join(ROOT, ".cache", `docs-${process.pid}`);

/** Printed before the output of the block that starts at a line. */
const mark = (line: number): string => `\u0000${line}\u0000`;

const programs = pages().filter(({ blocks }) => blocks.some(({ language }) => language === "ts"));
const nameOf = ({ path }: Page): string =>
  path
    .replace(/^docs\//, "")
    .replaceAll("/", "-")
    .replace(/\.md$/, "")
    .toLowerCase();

/** The page with all but its `ts` blocks blank. */
function programOf(page: Page): string {
  const lines: string[] = Array.from({ length: page.lines }, () => "");
  for (const { language, line, code } of page.blocks) {
    if (language !== "ts") continue;
    lines[line - 1] = `console.log(${JSON.stringify(mark(line))});`;
    code.split("\n").forEach((text, i) => (lines[line + i] = text));
  }
  return `${lines.join("\n")}\nexport {};\n`;
}

/** What each `ts` block must print: pairs of its line and the text. */
const expectations = ({ blocks }: Page): readonly (readonly [line: number, text: string])[] =>
  blocks.flatMap(({ language, line }, i) => {
    const next = blocks[i + 1];
    return language === "ts" && next?.language === "text" ? [[line, next.code.trim()] as const] : [];
  });

function printedBy(output: string): ReadonlyMap<number, string> {
  const parts = output.split("\u0000").slice(1);
  return new Map(
    parts.flatMap((part, i) => (i % 2 === 0 ? [[Number(part), (parts[i + 1] ?? "").trim()] as const] : [])),
  );
}

beforeAll(async () => {
  await mkdir(FOLDER, { recursive: true });
  for (const page of programs) await writeFile(join(FOLDER, `${nameOf(page)}.ts`), programOf(page));
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ["*.ts"],
  };
  await writeFile(join(FOLDER, "tsconfig.json"), JSON.stringify(config));
  await build({
    entryPoints: programs.map((page) => join(FOLDER, `${nameOf(page)}.ts`)),
    outdir: join(FOLDER, "out"),
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    logLevel: "silent",
  });
}, 60_000);

afterAll(() => rm(FOLDER, { recursive: true, force: true }));

describe("the TypeScript of the documents", () => {
  it("is there", () => {
    expect(programs.map(({ path }) => path)).toContain("README.md");
  });

  it.each([
    ["README.md", "examples/quickstart.ts"],
    ["docs/browser.md", "examples/browser.ts"],
  ])("of %s begins with %s", async (path, example) => {
    const page = programs.find((page) => page.path === path);
    const [first] = page?.blocks.filter(({ language }) => language === "ts") ?? [];
    expect(`${first?.code}\n`).toBe(await readFile(join(ROOT, example), "utf8"));
  });

  it("of docs/flow-language-models.md has the declarations of examples/own-flow.ts", async () => {
    const page = programs.find(({ path }) => path === "docs/flow-language-models.md");
    const block =
      page?.blocks.find(({ code }) => code.includes("export const lingering"))?.code ?? "no block";
    const example = await readFile(join(ROOT, "examples/own-flow.ts"), "utf8");
    expect(example.endsWith(`${block.slice(block.indexOf("/**"))}\n`)).toBe(true);
  });

  it("type-checks", { timeout: 60_000 }, async () => {
    const { stdout } = await execute(FOLDER, join(ROOT, "node_modules/.bin/tsc"), [
      "-p",
      ".",
      "--pretty",
      "false",
    ]);
    // Errors elsewhere, in "../../src", are for the type check of the whole project to find.
    expect(stdout.split("\n").filter((line) => line !== "" && !line.startsWith("../"))).toEqual([]);
  });

  it.each(programs.map((page) => [page.path, page] as const))(
    "of %s runs and prints what the page says",
    { timeout: 120_000 },
    async (_path, page) => {
      const printed = printedBy(
        await succeed(ROOT, process.execPath, [join(FOLDER, "out", `${nameOf(page)}.mjs`)]),
      );
      for (const [line, text] of expectations(page))
        expect(printed.get(line), `${page.path}:${line}`).toBe(text);
    },
  );
});
