/** The lock's narrow moments: another process acts between two system calls of this one. The calls are real; only their order is made. */
import * as fs from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { lockFolder } from "../../../src/runtime/files/lock.ts";
import { scratchFolder, userErrorOf } from "./scratch.ts";

/** What the other process does just before this one opens a path, or writes. */
const before: { open?: ((path: string) => void) | undefined; write?: (() => void) | undefined } = {};
vi.mock("node:fs", async (original) => {
  const actual = await original<typeof fs>();
  return {
    ...actual,
    openSync: (path: string, flags: string) => {
      before.open?.(path);
      return actual.openSync(path, flags);
    },
    writeSync: (file: number, text: string) => {
      before.write?.();
      return actual.writeSync(file, text);
    },
  };
});
afterEach(() => Object.assign(before, { open: undefined, write: undefined }));

/** The lock of a process that is there, our parent, in the place of the present one. */
function takenByParent(path: string): void {
  fs.rmSync(path, { force: true });
  fs.writeFileSync(path, JSON.stringify({ pid: process.ppid, host: hostname(), started: null }));
}

it("a lock that another takes over first stays that one's", async () => {
  const dir = await scratchFolder();
  const path = join(dir, "run.lock");
  fs.writeFileSync(path, JSON.stringify({ pid: 2 ** 30, host: hostname(), started: null }));
  before.open = (opened) => {
    if (!opened.endsWith(".takeover")) return;
    before.open = undefined;
    takenByParent(path);
  };
  expect(await userErrorOf(() => lockFolder(dir))).toContain(`in use by process ${process.ppid};`);
  expect(fs.readdirSync(dir)).toEqual(["run.lock"]);
});

it("a process that was halted before it wrote its name sees that its file was taken for a dead one's", async () => {
  const dir = await scratchFolder();
  before.write = () => {
    before.write = undefined;
    takenByParent(join(dir, "run.lock"));
  };
  expect(await userErrorOf(() => lockFolder(dir))).toContain(`in use by process ${process.ppid};`);
  expect(JSON.parse(fs.readFileSync(join(dir, "run.lock"), "utf8")).pid).toBe(process.ppid);
});
