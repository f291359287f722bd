/**
 * Every command in a `sh` block of the documents is run, in a copy of the package, in the order of the page. Commands that train
 * get the options of SMALL added, so that they take seconds. Commands that cannot run inside a test are checked as far as
 * possible, for the reason in CHECKED. Commands that serve a page until they are stopped are asked for it, and stopped.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ROOT, stage, succeed } from "../support/stage.ts";
import { pages } from "./markdown.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

/** Makes training take seconds, whatever the preset. Where the page names no text, only the plain `npm start` reads WordNet. */
const SMALL = "--length 8 --width 16 --depth 1 --heads 2 --batch 64 --samples 16 --steps 4";
/** A run with a teacher from another run has that one's sizes and text. */
const SMALL_TAUGHT = "--batch 64 --samples 16 --steps 4";

/** Commands that are not run, and why. Their script must exist in package.json. */
const CHECKED: readonly (readonly [command: RegExp, why: string])[] = [
  [/^npm ci$/, "it would replace the node_modules that these tests run on"],
  [/^(FLUXION_\w+=\S+ )*npm test\b/, "it would start these tests again"],
  [/^npm run bench\b/, "it takes minutes"],
  [/^python3 bench\/gpu\/peers\.py\b/, "it needs PyTorch and a GPU"],
  [/^npm run screenshots\b/, "it takes minutes, and needs a run that was trained well"],
  [/^npm run check\b/, "it looks at the whole checkout, tests included"],
  [/^\.ci\/run$/, "it would start these tests again"],
  [
    /tfjs-node|tensorflow/,
    "it makes or needs TensorFlow's library, of 1 GB; npm run test:tfjs-node does the same",
  ],
];

/** Commands that serve a page: they print its address, and end only when they are stopped. */
const SERVES = /^npm run studio$/;

/** Starts such a command, asks for its page, and stops it with all that it started. */
async function served(cwd: string, command: string): Promise<string> {
  // A group of its own: npm starts a shell, and that the server.
  const child = spawn("bash", ["-euc", command], { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let printed = "";
      const look = (chunk: unknown): void => {
        printed += String(chunk);
        // Without the codes of colours.
        const [address] = /http:\/\/localhost:\d+\//.exec(printed.replace(/\x1b\[\d+m/g, "")) ?? [];
        if (address !== undefined) resolve(address);
      };
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      child.on("exit", (code) => reject(new Error(`${command} ended with ${code}\n${printed}`)));
    });
    const answer = await fetch(url);
    return `${answer.status} ${await answer.text()}`;
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid);
  }
}

const scripts = (
  JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  }
).scripts;

/** The script of package.json that an npm command runs. */
const scriptOf = (command: string): string | undefined => {
  const [, run, name] = /^npm (run |)(?:--silent )?([\w:]+)/.exec(command) ?? [];
  return run === "" && name !== "test" && name !== "start" ? undefined : name;
};

/** Single commands of a page's `sh` blocks: continued lines joined, comments removed, lists taken apart. */
const commandsOf = (code: string): readonly string[] =>
  code
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "")
    .flatMap((line) => line.split(" && "))
    .map((command) => command.replace(/\s+/g, " ").trim());

/** The command with small options, if it trains. */
function shortened(command: string): string {
  if (/--(help|resume)\b/.test(command)) return command;
  const demo = /^(npm start|npx fluxion demo)\b/.test(command);
  if (!demo && !/^npx fluxion train\b/.test(command)) return command;
  if (/--teacher\b/.test(command)) return `${command} ${SMALL_TAUGHT}`;
  const separator = command.startsWith("npm") && !command.includes(" -- ") ? " --" : "";
  const text = command === "npm start" || command.includes("--data") ? "" : " --data my-text.txt";
  const vocab = command.includes("--tokens chars") ? "" : " --vocab 100"; // the characters are what they are
  return `${command}${separator} ${SMALL}${vocab}${demo ? " --distill-steps 4" : ""}${text}`;
}

const found = pages().map(({ path, blocks }) => ({
  path,
  commands: blocks.filter(({ language }) => language === "sh").flatMap(({ code }) => commandsOf(code)),
}));

let staged: Awaited<ReturnType<typeof stage>>;
beforeAll(async () => {
  staged = await stage();
  await succeed(staged.folder, "npm", ["run", "--silent", "build"]);
  // What pages call "your own text".
  const line = (i: number): string =>
    `${["the", "a", "one", "this"][i % 4]} ${["cat", "dog", "bird"][i % 3]} ${["sees", "hears"][i % 2]} the ${["sun", "rain", "wind", "sea", "moon"][i % 5]}`;
  await writeFile(
    join(staged.folder, "my-text.txt"),
    Array.from({ length: 600 }, (_, i) => `${line(i)} and ${line(7 * i + 1)}.`).join("\n"),
  );
});
afterAll(() => staged?.remove());

describe("the commands of the documents", () => {
  it("are there", () => {
    expect(found.find(({ path }) => path === "README.md")?.commands).toEqual(
      expect.arrayContaining(["npm ci", "npm start", "npm test"]),
    );
  });

  it.each(
    found
      .filter(({ commands }) => commands.length > 0)
      .map(({ path, commands }) => [path, commands] as const),
  )("work in %s", async (path, commands) => {
    for (const command of commands) {
      const script = scriptOf(command);
      if (script !== undefined) expect(Object.keys(scripts), `${path}: ${command}`).toContain(script);
      const checked = CHECKED.find(([pattern]) => pattern.test(command));
      if (checked !== undefined) {
        const [, why] = checked;
        console.log(`${path}: not run: ${command} (${why})`);
        if (command === "npm ci") expect(existsSync(join(ROOT, "package-lock.json"))).toBe(true);
        if (command.startsWith(".")) expect(existsSync(join(ROOT, command))).toBe(true);
      } else if (SERVES.test(command)) {
        expect(await served(staged.folder, command)).toMatch(/^200 <!doctype html>/i);
      } else {
        await succeed(staged.folder, "bash", ["-euc", shortened(command)]);
      }
    }
  });

  it("is not spelt in another language tag", () => {
    const tags = new Set(pages().flatMap(({ blocks }) => blocks.map(({ language }) => language)));
    expect([...tags].sort()).toEqual(["sh", "text", "ts"]);
  });
});
