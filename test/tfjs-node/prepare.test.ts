/**
 * How `npm run test:tfjs-node` makes its library, with pretended commands: what is kept, two processes at once, and what it says where
 * something cannot be had.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const PREPARE = new URL("prepare.js", import.meta.url).href;
const CALL = `
  import { prepare, Unavailable } from ${JSON.stringify(PREPARE)};
  try {
    prepare(process.argv[1]);
  } catch (error) {
    console.error(error.message);
    process.exitCode = error instanceof Unavailable ? 3 : 1;
  }
`;

const PACKAGE = "node_modules/@tensorflow/tfjs-node/binding";
/** Commands that do what the real ones do, as far as anyone looks. Each notes that it was called. */
const COMMANDS = {
  npm: `mkdir -p ${PACKAGE} node_modules/@tensorflow/tfjs && touch ${PACKAGE}/addon.cc`,
  python3: `
    case "$*" in
      *download*) while [ "$1" != --dest ]; do shift; done; touch "$2/tensorflow.whl" ;;
      -c*) mkdir -p "$4/tensorflow/include" ;;
    esac`,
  "g++": `
    [ "$1" = --version ] && exit
    while [ "$1" != -o ]; do shift; done
    touch "$2"`,
} as const;

let [folder, home] = ["", ""];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fluxion-prepare-"));
  home = join(folder, "home");
  mkdirSync(join(folder, "bin"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param changed other texts of commands */
function prepare(changed: Partial<Record<keyof typeof COMMANDS, string>> = {}) {
  for (const [name, text] of Object.entries({ ...COMMANDS, ...changed }))
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\necho ${name} >> ${folder}/calls\n${text}\n`, { mode: 0o755 }); // prettier-ignore
  const { CXX: _cxx, ...env } = process.env;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", CALL, home], {
    encoding: "utf8",
    env: { ...env, PATH: `${join(folder, "bin")}:${env["PATH"]}`, HOME_OF_TEST: home },
  });
  return { status, stderr: stderr.trim() };
}

const unfinished = (): readonly string[] =>
  readdirSync(home, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("unfinished"));

describe.runIf(process.platform === "linux" && process.arch === "x64")(
  "the library of test:tfjs-node",
  () => {
    it("is made once, and is whole", () => {
      expect(prepare()).toEqual({ status: 0, stderr: "" });
      expect(existsSync(join(home, PACKAGE, "../lib/napi-v8/tfjs_binding.node"))).toBe(true);
      // The package uses the checkout's TensorFlow.js.
      expect(readdirSync(join(home, "node_modules/@tensorflow"))).toEqual(["tfjs-node"]);
      expect(unfinished()).toEqual([]);
      rmSync(join(folder, "calls"));
      expect(prepare()).toEqual({ status: 0, stderr: "" });
      expect(existsSync(join(folder, "calls"))).toBe(false);
    });

    it("starts a part over that was interrupted", () => {
      expect(prepare({ "g++": '[ "$1" = --version ] || kill -9 $PPID' }).status).toBe(null);
      expect(existsSync(join(home, PACKAGE, "../lib"))).toBe(false);
      expect(prepare()).toEqual({ status: 0, stderr: "" });
      expect(existsSync(join(home, PACKAGE, "../lib/napi-v8/tfjs_binding.node"))).toBe(true);
    });

    it("is made by two processes at once", () => {
      // While this one works, another finishes.
      const other = `mkdir -p "$HOME_OF_TEST/${PACKAGE}"\ntouch "$HOME_OF_TEST/${PACKAGE}/addon.cc"`;
      expect(prepare({ npm: `${COMMANDS.npm}\n${other}` })).toEqual({ status: 0, stderr: "" });
      expect(unfinished()).toEqual([]);
    });

    it.each([
      [
        "npm",
        "echo 'npm error code ENOTFOUND' >&2; exit 1",
        3,
        "npm does not reach its registry (ENOTFOUND).",
      ],
      ["npm", "echo 'npm error code EINTEGRITY' >&2; exit 1", 1, "npm error code EINTEGRITY"],
      ["python3", "exit 1", 3, "python3 with pip is needed"],
      ["python3", 'case "$*" in *download*) echo "no route" >&2; exit 1 ;; esac', 3, "from PyPI (no route)"],
      [
        "python3",
        'case "$*" in *download*) echo "THESE PACKAGES DO NOT MATCH THE HASHES" >&2; exit 1 ;; esac',
        1,
        "is not the one that was tested",
      ],
      ["g++", '[ "$1" = --version ] || { echo "no such header" >&2; exit 1; }', 1, "no such header"],
    ] as const)("says when %s fails: %s", (name, text, status, message) => {
      const said = prepare({ [name]: text });
      expect(said.status).toBe(status);
      expect(said.stderr).toContain(message);
      expect(unfinished()).toEqual([]);
    });
  },
);
