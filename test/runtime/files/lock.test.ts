/** The lock of a run folder, held and fought for by processes of their own. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { describe, expect, it, onTestFinished } from "vitest";
import { lockFolder } from "../../../src/runtime/files/lock.ts";
import { createRun } from "../../../src/runtime/files/run-folder.ts";
import { scratchFolder, userErrorOf } from "./scratch.ts";

const source = fileURLToPath(new URL("../../../src/runtime/files/lock.ts", import.meta.url));
const lockPath = (dir: string): string => join(dir, "run.lock");
const lockOf = async (dir: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(lockPath(dir), "utf8"));

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
}

interface Contender {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Resolves with what it printed once it matches. */
  readonly saw: (pattern: RegExp) => Promise<string>;
  readonly done: Promise<Outcome>;
}

/**
 * A process that runs `before`, takes the lock of `dir`, prints what it was told and "held", and goes on with `then`; refused, it
 * prints the message and ends with code 2. Its bundled module is kept in `folder`.
 */
async function contender(dir: string, then: string, folder: string, before = ""): Promise<Contender> {
  const module = join(folder, "lock.mjs");
  if (!existsSync(module))
    await build({ entryPoints: [source], outfile: module, bundle: true, platform: "node", format: "esm", logLevel: "error" }); // prettier-ignore
  const program = `
    const { lockFolder } = await import(${JSON.stringify(pathToFileURL(module).href)});
    const say = (text) => process.stdout.write(text + "\\n");
    ${before}
    try {
      const lock = await lockFolder(${JSON.stringify(dir)}, say);
      say("held");
      ${then}
    } catch (error) {
      say(error.message);
      process.exitCode = 2;
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  const waiting = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    for (const check of waiting) check();
  });
  const done = new Promise<Outcome>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, said })),
  );
  const saw = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!pattern.test(said)) return;
        waiting.delete(check);
        resolve(said);
      };
      waiting.add(check);
      check();
      void done.then(() => reject(new Error(`ended without ${pattern}: ${said}`)), reject);
    });
  return { child, pid: child.pid as number, saw, done };
}

const FOR_EVER = "setInterval(() => {}, 1000);";

describe("a folder's lock", { timeout: 60_000 }, () => {
  it("is held by one, and free after its release, twice as well as once", async () => {
    const dir = await scratchFolder();
    const lock = await lockFolder(dir);
    expect(await lockOf(dir)).toMatchObject({ pid: process.pid, host: hostname() });
    expect(await userErrorOf(() => lockFolder(dir))).toBe(`${dir} is in use by this process already.`);
    // By another name too.
    const link = join(await scratchFolder(), "link");
    await symlink(dir, link, "junction");
    expect(await userErrorOf(() => lockFolder(link))).toBe(`${link} is in use by this process already.`);
    lock.release();
    const next = await lockFolder(dir);
    lock.release();
    expect((await lockOf(dir))["pid"]).toBe(process.pid); // the first one's end is not the second one's
    next.release();
    expect(await readdir(dir)).toEqual([]);
  });

  it("listens to signals only while one is held", async () => {
    const [first, second] = [await scratchFolder(), await scratchFolder()];
    const listeners = (): number => process.listenerCount("SIGTERM") + process.listenerCount("exit");
    const before = listeners();
    const locks = [await lockFolder(first), await lockFolder(second)];
    expect(listeners()).toBe(before + 2);
    for (const lock of locks) lock.release();
    expect(listeners()).toBe(before);
  });

  it("refuses while another process has it, naming that one, and creates no run there", async () => {
    const [dir, tools] = [await scratchFolder(), await scratchFolder()];
    const holder = await contender(dir, FOR_EVER, tools);
    await holder.saw(/^held$/m);
    const sentence = `${dir} is in use by process ${holder.pid}; wait for its end or stop it (if that is no run of fluxion, delete ${lockPath(dir)}).`;
    expect(await userErrorOf(() => lockFolder(dir))).toBe(sentence);
    expect(await userErrorOf(() => createRun(dir, {}))).toBe(sentence);
    const refused = await (await contender(dir, FOR_EVER, tools)).done;
    expect(refused).toMatchObject({ code: 2, said: `${sentence}\n` });
    expect(await readdir(dir)).toEqual(["run.lock"]);
    expect((await lockOf(dir))["pid"]).toBe(holder.pid);
  });

  it("is given back by the end of the program, by process.exit, by an error and by signals", async () => {
    const [dir, tools] = [await scratchFolder(), await scratchFolder()];
    const ends: readonly (readonly [string, NodeJS.Signals | undefined, Partial<Outcome>])[] = [
      ["lock.release();", undefined, { code: 0 }],
      ["", undefined, { code: 0 }],
      ["process.exit(7);", undefined, { code: 7 }],
      ["setTimeout(() => { throw new Error('broken'); });", undefined, { code: 1 }], // prettier-ignore
      ...(["SIGTERM", "SIGINT", "SIGHUP"] as const).map(
        (signal) => [FOR_EVER, signal, { code: null, signal }] as const,
      ),
    ];
    for (const [then, signal, outcome] of ends) {
      const holder = await contender(dir, then, tools);
      await holder.saw(/^held$/m);
      if (signal !== undefined) holder.child.kill(signal);
      expect(await holder.done, `${then} ${signal}`).toMatchObject({ ...outcome, said: "held\n" });
      expect(await readdir(dir), `${then} ${signal}`).toEqual([]);
    }
  });

  it("is kept at a signal that somebody else takes for a wish", async () => {
    const [dir, tools] = [await scratchFolder(), await scratchFolder()];
    const patient = `process.on("SIGINT", () => { say("saving"); setTimeout(() => process.exit(130), 300); }); say("ready"); ${FOR_EVER}`;
    const holder = await contender(dir, patient, tools);
    await holder.saw(/^ready$/m);
    holder.child.kill("SIGINT");
    await holder.saw(/^saving$/m);
    expect(await userErrorOf(() => lockFolder(dir))).toContain(`in use by process ${holder.pid}`);
    expect(await holder.done).toMatchObject({ code: 130 });
    (await lockFolder(dir)).release();
  });

  it("of a killed process is taken over with a line, and of one killed while it took over with a sentence", async () => {
    const [dir, tools] = [await scratchFolder(), await scratchFolder()];
    const holder = await contender(dir, FOR_EVER, tools);
    await holder.saw(/^held$/m);
    holder.child.kill("SIGKILL");
    await holder.done;
    expect(await readdir(dir)).toEqual(["run.lock"]);
    const lines: string[] = [];
    const lock = await lockFolder(dir, (line) => lines.push(line));
    expect(lines).toEqual([
      `The lock of ${dir} was left behind by process ${holder.pid}, which is gone; taking it over.`,
    ]);
    expect((await lockOf(dir))["pid"]).toBe(process.pid);
    lock.release();
    expect(await readdir(dir)).toEqual([]);

    await writeFile(lockPath(dir), JSON.stringify({ pid: holder.pid, host: hostname(), started: null }));
    await writeFile(`${lockPath(dir)}.takeover`, "");
    expect(await userErrorOf(() => lockFolder(dir))).toBe(
      `Another process is about to take ${dir}, or was killed while it did; if there is none, delete ${lockPath(dir)}.takeover.`,
    );
  });

  it("of a stopped process is not taken over", async () => {
    const [dir, tools] = [await scratchFolder(), await scratchFolder()];
    const holder = await contender(dir, FOR_EVER, tools);
    await holder.saw(/^held$/m);
    holder.child.kill("SIGSTOP");
    expect(await userErrorOf(() => lockFolder(dir))).toContain(`in use by process ${holder.pid}`);
  });

  it("of this process's own number, or of one that began at another time, is left behind", async () => {
    const dir = await scratchFolder();
    const { ppid } = process;
    const stale: readonly object[] = [
      { pid: process.pid, host: hostname(), started: "1" },
      // Where the system does not tell when a process began, its number is all there is.
      ...(existsSync("/proc/self/stat") ? [{ pid: ppid, host: hostname(), started: "1" }] : []),
    ];
    for (const holder of stale) {
      await writeFile(lockPath(dir), JSON.stringify(holder));
      const lines: string[] = [];
      (await lockFolder(dir, (line) => lines.push(line))).release();
      expect(lines, JSON.stringify(holder)).toHaveLength(1);
    }
    await writeFile(lockPath(dir), JSON.stringify({ pid: ppid, host: hostname(), started: null }));
    expect(await userErrorOf(() => lockFolder(dir))).toContain(`in use by process ${ppid};`);
  });

  it("of another machine is not judged", async () => {
    const dir = await scratchFolder();
    await writeFile(lockPath(dir), JSON.stringify({ pid: 2 ** 30, host: "elsewhere", started: null }));
    expect(await userErrorOf(() => lockFolder(dir))).toBe(
      `${dir} is in use by process ${2 ** 30} on elsewhere; wait for its end or stop it (if it runs no more, delete ${lockPath(dir)}).`,
    );
  });

  it.each(["", '{"pid":', "null", '{"pid":-1,"host":"x"}'])(
    "that says nothing (%j) is taken over after a while",
    async (content) => {
      const dir = await scratchFolder();
      await writeFile(lockPath(dir), content);
      const lines: string[] = [];
      (await lockFolder(dir, (line) => lines.push(line))).release();
      expect(lines[0]).toContain("left behind by a process, which is gone");
    },
  );

  it("that is just being written is waited for", async () => {
    const dir = await scratchFolder();
    await writeFile(lockPath(dir), "");
    const taking = lockFolder(dir);
    setTimeout(() => void rm(lockPath(dir)), 200);
    (await taking).release();
    await writeFile(lockPath(dir), "");
    const refused = userErrorOf(() => lockFolder(dir));
    await writeFile(lockPath(dir), JSON.stringify({ pid: process.ppid, host: hostname(), started: null }));
    expect(await refused).toContain(`in use by process ${process.ppid};`);
  });

  it("a folder that is missing or a place that cannot be written is a sentence", async () => {
    const dir = await scratchFolder();
    expect(await userErrorOf(() => lockFolder(join(dir, "none")))).toMatch(/^Cannot lock .*\(ENOENT\)\.$/);
    if (process.getuid?.() !== 0) {
      await mkdir(join(dir, "closed"), { mode: 0o555 });
      expect(await userErrorOf(() => lockFolder(join(dir, "closed")))).toMatch(
        /^Cannot write .*\(EACCES\)\.$/,
      );
    } else if (existsSync("/proc/self"))
      expect(await userErrorOf(() => lockFolder("/proc/self"))).toMatch(/^Cannot write .*run\.lock: /);
  });

  it("left behind and wanted by many gets one of them", async () => {
    const tools = await scratchFolder();
    for (let round = 0; round < 3; round++) {
      const dir = await scratchFolder();
      await writeFile(lockPath(dir), JSON.stringify({ pid: 2 ** 30, host: hostname(), started: null }));
      const go = join(tools, `go${round}`);
      // All begin at the same moment, and whoever gets it keeps it.
      const before = `const { existsSync } = await import("node:fs"); say("ready"); while (!existsSync(${JSON.stringify(go)})) ;`;
      const all: Contender[] = [];
      for (let i = 0; i < 6; i++) all.push(await contender(dir, FOR_EVER, tools, before));
      await Promise.all(all.map(({ saw }) => saw(/^ready$/m)));
      await writeFile(go, "");
      const said = await Promise.all(all.map(({ saw }) => saw(/^held$|is in use by process/m)));
      expect(
        said.filter((text) => /^held$/m.test(text)),
        said.join("\n"),
      ).toHaveLength(1);
      expect(said.filter((text) => text.includes("is in use by process"))).toHaveLength(5);
      for (const { child } of all) child.kill("SIGKILL");
    }
  });
});
