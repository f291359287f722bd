/**
 * Interruptions of every kind: whatever stops a run, going on with it gives the bytes of a run that nothing stopped; and what
 * cannot go on (a diverged loss, a full disk) stops with a sentence and keeps the last good state.
 */
import { execFile } from "node:child_process";
import { appendFile, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fluxion, start, TERMINAL, testFolder, TINY } from "../support/cli.ts";
import type { Outcome } from "../support/cli.ts";
import { storyText } from "../support/story.ts";

const options = { timeout: 240_000 };
const run = promisify(execFile);
let folder: string;
let data: string;
let undisturbed: string;
/** A run interrupted in FLM. */
let begun: string;

const job = (dir: string, ...more: string[]): string[] => ["demo", ...TINY, "--steps", "40", "--distill-steps", "30", "--data", data, "--out", dir, "--save-every", "0", ...more]; // prettier-ignore
const FLM_DONE = /Compiling and training FMLM/;
const resume = (dir: string): string[] => ["demo", "--resume", dir, "--save-every", "0"];

beforeAll(async () => {
  folder = await testFolder();
  [data, undisturbed, begun] = [
    join(folder, "story.txt"),
    join(folder, "undisturbed"),
    join(folder, "begun"),
  ];
  await writeFile(data, storyText(900));
  expect(
    await fluxion([
      "demo",
      ...TINY,
      "--steps",
      "40",
      "--distill-steps",
      "30",
      "--data",
      data,
      "--out",
      undisturbed,
    ]),
  ).toMatchObject({ code: 0 });
  expect(await stopped(job(begun), /FLM {2}\d+\/40/, "SIGINT", 50)).toMatchObject({ code: 130 });
}, 240_000);

async function copyOfBegun(name: string): Promise<string> {
  await cp(begun, join(folder, name), { recursive: true });
  return join(folder, name);
}

/** Starts, waits for the pattern and so many milliseconds more, and sends the signal. */
async function stopped(
  args: readonly string[],
  pattern: RegExp,
  signal: NodeJS.Signals,
  wait = 0,
  node: readonly string[] = [],
): Promise<Outcome> {
  const started = await start(args, { node, env: { TERM: "xterm" } });
  await started.saw(pattern);
  await new Promise((resolve) => setTimeout(resolve, wait));
  started.child.kill(signal);
  return started.done;
}

async function expectSame(dir: string, files: readonly string[]): Promise<void> {
  for (const file of files)
    expect(
      (await readFile(join(dir, file))).equals(await readFile(join(undisturbed, file))),
      `${file} of ${dir}`,
    ).toBe(true);
}

describe("a run that is stopped and resumed", options, () => {
  it("any number of times, in any way and phase, gives the bytes of an undisturbed one", async () => {
    const dir = join(folder, "disturbed");
    const interrupted = await stopped(
      job(dir),
      /\rFLM {2}\[[#-]{20}\] \d+\/40 {2}loss [\d.]+/,
      "SIGINT",
      0,
      TERMINAL,
    );
    // The bar's line was ended before anything else was written.
    expect(interrupted).toMatchObject({ code: 130, signal: null });
    expect(interrupted.stderr).toContain(
      "\nStopping after this step and saving; Ctrl-C again quits at once.\n",
    );
    expect(interrupted.stderr.endsWith("\n")).toBe(true);
    expect(interrupted.stdout).toContain(`Go on with: fluxion demo --resume ${dir}`);

    // As if it had been killed after logging and before saving: lines ahead of the state, and half a line.
    await appendFile(join(dir, "metrics.jsonl"), '{"step":69,"phase":"fmlm","loss":1}\n{"step":70,"ph');

    const moments = Array.from({ length: 3 }, () => Math.floor(Math.random() * 300));
    for (const [i, moment] of moments.entries()) {
      const killed = await stopped(
        resume(dir),
        i < 1 ? /FLM {2}\d+\/40|Compiling and training FMLM/ : /FMLM \d+\/30|Sampling both/,
        "SIGKILL",
        moment,
      );
      expect(killed.signal, `moments ${moments.join(", ")}: ${killed.stderr}`).toBe("SIGKILL");
    }
    const sampling = await stopped(resume(dir), /Sampling \d+\//, "SIGTERM");
    expect(sampling).toMatchObject({
      code: 130,
      stdout: expect.stringContaining("Stopped while sampling; the models are saved."),
    });

    const finished = await fluxion(resume(dir));
    expect(finished.code, finished.stderr).toBe(0);
    await expectSame(dir, ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl", "samples.txt"]);
    expect(await readdir(dir)).toEqual(await readdir(undisturbed));
  });

  it("is saved as often as the run began with, unless it is asked for otherwise", async () => {
    // The state of FLM is removed when FLM is finished, so one that is there later is FMLM's. Half a minute does not pass.
    const savesInFmlm = async (name: string, ...more: readonly string[]): Promise<boolean> => {
      const dir = await copyOfBegun(name);
      const { child, saw, done } = await start(["demo", "--resume", dir, ...more]);
      await saw(/FMLM \d+\/30/);
      let seen = false;
      while (child.exitCode === null && !seen) {
        seen = (await readdir(dir)).includes("state.safetensors");
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      child.kill("SIGKILL");
      await done;
      return seen;
    };
    expect(await savesInFmlm("kept-interval")).toBe(true);
    expect(await savesInFmlm("other-interval", "--save-every", "60")).toBe(false);
  });

  it("is saved when the reader of its output leaves, and goes on with the same bytes", async () => {
    const dir = join(folder, "unread");
    const started = await start(job(dir));
    await started.saw(/FLM {2}\d+\/40/);
    started.child.stdout?.destroy();
    expect(await started.done).toMatchObject({ code: 141, signal: null });
    expect(await readdir(dir)).toContain("flm.safetensors");
    expect(await fluxion(resume(dir))).toMatchObject({ code: 0 });
    await expectSame(dir, ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl", "samples.txt"]);
  });

  it("a second Ctrl-C ends it at once, with code 130 and nothing half-written", async () => {
    const dir = join(folder, "impatient");
    // Steps of seconds, so that the second signal comes within one.
    const started = await start([
      "demo",
      ...TINY,
      "--batch",
      "16384",
      "--width",
      "64",
      "--data",
      data,
      "--out",
      dir,
    ]);
    await started.saw(/Compiling and training FLM/);
    started.child.kill("SIGINT");
    await started.saw(/Ctrl-C again quits at once/);
    started.child.kill("SIGINT");
    const { code, stdout } = await started.done;
    expect(code).toBe(130);
    expect(stdout).not.toContain("Stopped");
    expect(await readdir(dir)).toEqual(["config.json", "vocabulary.json"]);
  });
});

describe("two processes in one run folder", options, () => {
  it("the second is refused in a line, and goes on once the first was killed, with the right bytes", async () => {
    const dir = await copyOfBegun("contested");
    const first = await start(resume(dir), { env: { TERM: "xterm" } });
    await first.saw(/FLM {2}\d+\/40/);
    first.child.kill("SIGSTOP"); // so that it is still there when the second comes
    const before = await readdir(dir);
    expect(before).toContain("run.lock");
    const second = await fluxion(resume(dir));
    expect(second).toMatchObject({
      code: 2,
      stderr: `fluxion: ${dir} is in use by process ${first.child.pid}; wait for its end or stop it (if that is no run of fluxion, delete ${join(dir, "run.lock")}).\n`,
    });
    expect(await fluxion(job(dir))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("already holds a run"),
    });
    expect(await readdir(dir)).toEqual(before);
    first.child.kill("SIGKILL");
    expect((await first.done).signal).toBe("SIGKILL");

    const third = await fluxion(resume(dir));
    expect(third.code, third.stderr).toBe(0);
    expect(third.stdout).toContain(
      `The lock of ${dir} was left behind by process ${first.child.pid}, which is gone; taking it over.\n`,
    );
    expect(third.stderr).not.toContain("lock");
    await expectSame(dir, ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl", "samples.txt"]);
    expect(await readdir(dir)).toEqual(await readdir(undisturbed));
  });
});

/** Writes other learning rates of FLM and FMLM into a run's config.json. */
async function setRates(dir: string, rates: readonly [string, string]): Promise<void> {
  const path = join(dir, "config.json");
  let i = 0;
  await writeFile(
    path,
    (await readFile(path, "utf8")).replace(/"learningRate": [^,]+/g, () => `"learningRate": ${rates[i++]}`),
  );
}

describe("a loss that is not finite", options, () => {
  it("stops with the step and keeps the last good state, from which the right rate gives the right bytes", async () => {
    const wild = join(folder, "wild");
    expect(await fluxion(job(wild, "--lr", "1e300"))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /\nfluxion: Training diverged: the FLM loss is NaN and the norm of its gradient NaN in step 2 of 40\. Nothing before it is worth keeping\. .*\n$/,
      ),
    });
    expect(await readdir(wild)).toEqual(["config.json", "metrics.jsonl", "vocabulary.json"]);

    const dir = await copyOfBegun("diverged");
    const state = await readFile(join(dir, "state.safetensors"));
    const done = Number(/"step\\":(\d+)/.exec(state.subarray(0, 20_000).toString("latin1"))?.[1]) + 1;

    await setRates(dir, ["1e300", "1e-300"]);
    const { code, stderr } = await fluxion(resume(dir));
    expect(code).toBe(1);
    expect(stderr).toContain(
      `in step ${done + 2} of 40. The state after step ${done} is saved. Lower "learningRate" (now 1e+300) under "flm" in ${dir}/config.json and go on with --resume ${dir}, or start a new run with a lower --lr.\n`,
    );
    expect((await readFile(join(dir, "state.safetensors"))).equals(state)).toBe(true);

    const original = JSON.parse(await readFile(join(undisturbed, "config.json"), "utf8")).config;
    await setRates(dir, [String(original.flm.learningRate), String(original.fmlm.learningRate)]);
    await stopped(resume(dir), FLM_DONE, "SIGKILL");
    await expectSame(dir, ["flm.safetensors"]);
  });

  it("in the saved state itself says what to delete; without it the phase begins again", async () => {
    const dir = await copyOfBegun("poisoned");
    const path = join(dir, "state.safetensors");
    const { tensors, metadata } = await readSafetensors(path);
    const poisoned = [...tensors].map(([name, tensor]) => ({ name, ...tensor, data: name.startsWith("params") && tensor.dtype === "F32" ? tensor.data.map(() => Number.NaN) : tensor.data })); // prettier-ignore
    await writeSafetensors(path, poisoned as never, metadata);
    const { code, stderr } = await fluxion(resume(dir));
    expect(code).toBe(1);
    expect(stderr).toMatch(`gives a loss or gradient that is not finite. Delete ${path} and resume`);
  });
});

describe("a saved state that cannot be used", options, () => {
  it("is refused in a line that says how to go on", async () => {
    const dir = await copyOfBegun("half");
    const path = join(dir, "state.safetensors");
    const whole = await readFile(path);
    const complaint = async (): Promise<string> => {
      const { code, stderr } = await fluxion(resume(dir));
      expect(code, stderr).toBe(2);
      expect(stderr.match(/\n/g), stderr).toHaveLength(1);
      return stderr;
    };
    await writeFile(path, whole.subarray(0, whole.length - 100));
    expect(await complaint()).toMatch(
      /^fluxion: The saved state cannot be used: .*state\.safetensors: .*Delete state\.safetensors there to begin the training of FLM again\.$/m,
    );
    const { tensors, metadata } = await readSafetensors(undisturbed.concat("/flm.safetensors"));
    const meta = new Map([...metadata, ["meta", '{"step":3,"phase":"flm"}']]);
    await writeSafetensors(path, [...tensors].map(([name, tensor]) => ({ name, ...tensor })) as never, meta);
    expect(await complaint()).toContain("state.safetensors does not fit the model: tensor ");
    await writeFile(path, whole);
    const config = join(dir, "config.json");
    await writeFile(config, (await readFile(config, "utf8")).replace('"steps": 40', '"steps": 1'));
    expect(await complaint()).toMatch(/state\.safetensors has \d+ steps done, and config\.json asks for 1\./);
  });
});

/** A folder on a file system of `size`; null where mounting is not allowed, and then the reason is printed. */
async function smallDisk(size: string): Promise<string | null> {
  const dir = join(folder, "disk");
  await mkdir(dir);
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "fluxion-test", dir]);
  } catch (error) {
    console.warn(
      `No small disk could be mounted (${error instanceof Error ? error.message.trim() : String(error)}); a limit on the size of files stands in for it.`,
    );
    return null;
  }
  onTestFinished(async () => void (await run("umount", [dir])));
  return dir;
}

describe("a place that cannot be written", options, () => {
  it("a full disk: a clear line, the last state kept, and the same bytes once there is room", async () => {
    const disk = await smallDisk("256k");
    const dir = join(disk ?? folder, "full");
    // A state of FLM takes 300 KiB.
    const first = await fluxion(job(dir), disk === null ? { shell: "ulimit -f 200; trap '' XFSZ;" } : {});
    expect(first.code).toBe(2);
    const line = first.stderr.split("\n").at(-2);
    expect(line).toMatch(
      disk === null
        ? /^fluxion: Cannot write .*: the file would be larger than .* \(EFBIG\)\.$/
        : /^fluxion: Cannot write .*: the disk is full; .* \(ENOSPC\)\.$/,
    );
    expect((await readdir(dir)).filter((name) => name.endsWith(".partial"))).toEqual([]);

    if (disk !== null) await run("mount", ["-o", "remount,size=8m", disk]);
    await stopped(resume(dir), FLM_DONE, "SIGKILL");
    await expectSame(dir, ["flm.safetensors"]);
  });

  it("a read-only place: one line, before anything is trained", async () => {
    const closed = process.getuid?.() === 0 ? "/proc/fluxion" : join(folder, "closed", "run");
    if (process.getuid?.() !== 0) await mkdir(join(folder, "closed"), { mode: 0o555 });
    const { code, stderr, stdout } = await fluxion(job(closed));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^fluxion: Cannot create the run folder .*; .*\.\n$/);
  });
});
