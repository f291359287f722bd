/** The code blocks of the documents, with where they stand. Consumed by the tests of this folder. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/stage.ts";

export interface Block {
  /** What stands after the opening fence: "ts", "sh", "text". */
  readonly language: string;
  readonly code: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

export interface Page {
  /** Path from the repository's root. */
  readonly path: string;
  readonly lines: number;
  readonly blocks: readonly Block[];
}

/** The fenced blocks of a document. @throws Error for a fence that is never closed */
export function blocksOf(path: string, text: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { readonly language: string; readonly line: number; readonly code: string[] } | undefined;
  text.split("\n").forEach((line, i) => {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) open?.code.push(line);
    else if (open === undefined) open = { language: (fence[1] ?? "").trim(), line: i + 1, code: [] };
    else {
      blocks.push({ ...open, code: open.code.join("\n") });
      open = undefined;
    }
  });
  if (open !== undefined) throw new Error(`${path}:${open.line}: the code block is not closed`);
  return blocks;
}

/** The README and every page of docs. */
export function pages(): readonly Page[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".md"),
  );
  return ["README.md", ...docs.sort().map((name) => `docs/${name}`)].map((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    return { path, lines: text.split("\n").length, blocks: blocksOf(path, text) };
  });
}
