import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, it, onTestFinished } from "vitest";
import { listenForInterrupt } from "../../src/cli/signal.ts";

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

describe("listenForInterrupt", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"])(
    "first %s asks to stop, the second signal of either kind exits with 130",
    (name) => {
      const source = new FakeProcess();
      let notices = 0;
      const { signal } = listenForInterrupt(() => notices++, source);
      expect(signal.aborted).toBe(false);
      source.emit(name);
      expect([signal.aborted, notices, source.exits]).toEqual([true, 1, []]);
      source.emit("SIGINT");
      expect([notices, source.exits]).toEqual([1, [130]]);
    },
  );

  it("dispose gives the signals back", () => {
    const source = new FakeProcess();
    const { signal, dispose } = listenForInterrupt(() => undefined, source);
    dispose();
    source.emit("SIGINT");
    expect(signal.aborted).toBe(false);
    expect(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM")).toBe(0);
  });
});

describe("a real process", () => {
  /** A child that works until it is asked to stop; `tail` is what it does then. */
  async function child(tail: string): Promise<ReturnType<typeof spawn>> {
    const dir = await mkdtemp(join(tmpdir(), "fluxion-test-"));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const module = fileURLToPath(new URL("../../src/cli/signal.ts", import.meta.url));
    const source = `
      import { listenForInterrupt } from ${JSON.stringify(module)};
      const { signal, dispose } = listenForInterrupt(() => console.log("saving"));
      const work = setInterval(() => { if (signal.aborted) { clearInterval(work); ${tail} } }, 5);
      console.log("ready");`;
    const outfile = join(dir, "child.mjs");
    await build({
      stdin: { contents: source, resolveDir: dir },
      bundle: true,
      outfile,
      format: "esm",
      platform: "node",
      logLevel: "silent",
    });
    return spawn(process.execPath, [outfile], { stdio: ["ignore", "pipe", "inherit"] });
  }

  /** Sends one SIGINT after "ready", and another after "saving" if `twice`; gives the exit code. */
  async function interrupt(tail: string, twice: boolean): Promise<unknown> {
    const running = await child(tail);
    const exit = once(running, "exit");
    let seen = "";
    running.stdout?.on("data", (data: Buffer) => {
      const before = seen;
      seen += data.toString();
      const appeared = (word: string): boolean => !before.includes(word) && seen.includes(word);
      if (appeared("ready") || (twice && appeared("saving"))) running.kill("SIGINT");
    });
    return (await exit)[0];
  }

  it("one Ctrl-C lets the work end by itself", async () => {
    expect(await interrupt("dispose(); process.exitCode = 7;", false)).toBe(7);
  });

  it("a second one ends work that would never stop", async () => {
    expect(await interrupt("setInterval(() => undefined, 1000);", true)).toBe(130);
  });
});
