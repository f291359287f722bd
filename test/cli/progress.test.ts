import { describe, expect, it } from "vitest";
import { createProgress, durationText, isInteractive } from "../../src/cli/progress.ts";
import type { ProgressOptions } from "../../src/cli/progress.ts";

/** A stream that keeps what is written, and a clock that the test moves. */
function setup(tty: boolean, options: Partial<ProgressOptions> = {}, columns = 200) {
  let written = "";
  let time = 5000;
  const stream = { isTTY: tty, columns, write: (text: string) => (written += text) };
  const progress = createProgress({ label: "FLM", total: 100, env: {}, stream, now: () => time, ...options });
  const take = (): string => {
    const text = written;
    written = "";
    return text;
  };
  return { progress, take, wait: (seconds: number) => void (time += seconds * 1000) };
}

/**
 * What a terminal shows after this output: carriage return overwrites, ESC[K clears to the end of the line.
 */
function screen(output: string): string[] {
  const lines: string[][] = [[]];
  let column = 0;
  for (const part of output.match(/\u001b\[K|[^]/gu) ?? []) {
    const line = lines.at(-1) ?? [];
    if (part === "\r") column = 0;
    else if (part === "\n") column = lines.push([]) * 0;
    else if (part === "\u001b[K") line.length = Math.min(line.length, column);
    else line[column++] = part;
  }
  return lines.map((line) => line.join("")).filter((line) => line !== "");
}

describe("on a terminal", () => {
  it("rewrites one line with bar, values, rate and time left", () => {
    const { progress, take, wait } = setup(true, { unit: { name: "tokens", perStep: 768 } });
    wait(2);
    progress.update(20, { loss: 3.14159265, lr: "3e-4" });
    wait(2);
    progress.update(40, { loss: 2.5 });
    progress.done();
    const output = take();
    expect(screen(output)).toEqual([
      "FLM [########------------] 40/100  loss 2.500  7,680 tokens/s  ETA 0:06",
    ]);
    expect(output).toContain("loss 3.142  lr 3e-4  7,680 tokens/s  ETA 0:08");
    expect(output.endsWith("\n")).toBe(true);
  });

  it("takes 80 columns for a terminal that says 0", () => {
    const { progress, take } = setup(true, {}, 0);
    progress.update(10, { note: "x".repeat(100) });
    expect(screen(take()).map((line) => line.length)).toEqual([79]);
  });

  it("prints notes above the bar and draws the bar again", () => {
    const { progress, take, wait } = setup(true);
    wait(1);
    progress.update(10, { loss: 1.5 });
    progress.note("sample: the cat\nsat down");
    wait(1);
    progress.update(20, { loss: 1.25 });
    const output = take();
    expect(screen(output)).toEqual([
      "sample: the cat",
      "sat down",
      "FLM [####----------------] 20/100  loss 1.250  10 steps/s  ETA 0:08",
    ]);
    progress.done();
    progress.note("late");
    progress.update(30);
    progress.done();
    expect(take()).toBe("\n");
  });

  it("draws at most ten times a second, and the last state in any case", () => {
    const { progress, take, wait } = setup(true);
    for (let step = 1; step <= 100; step++) {
      wait(0.01);
      progress.update(step);
    }
    progress.done();
    const output = take();
    expect(output.split("\r").length - 1).toBeLessThanOrEqual(12);
    expect(screen(output)).toEqual(["FLM [####################] 100/100  100 steps/s"]);
  });

  it("never fills the last column, nor lets control characters through", () => {
    const { progress, take, wait } = setup(true, {}, 12);
    wait(1);
    progress.update(1, { text: "\u001b[2Jx\ry\n" });
    progress.note("a\u001b[31mb\u0007\r😀");
    const output = take();
    expect(screen(output)).toEqual(["a[31mb😀", "FLM [------"]);
    expect(output).not.toMatch(/\u001b\[(2J|31m)|\u0007/);
  });
});

describe("on a pipe", () => {
  it("writes a plain line at most every N seconds, and the last state at the end", () => {
    const { progress, take, wait } = setup(false, { secondsPerLine: 10 });
    for (let step = 1; step <= 45; step++) {
      wait(0.5);
      progress.update(step, { loss: step });
    }
    progress.note("a note");
    progress.done();
    expect(take().split("\n")).toEqual([
      "FLM 1/100  loss 1  2.0 steps/s  ETA 0:50",
      "FLM 21/100  loss 21  2.0 steps/s  ETA 0:40",
      "FLM 41/100  loss 41  2.0 steps/s  ETA 0:30",
      "a note",
      "FLM 45/100  loss 45  2.0 steps/s  ETA 0:28",
      "",
    ]);
  });

  it("does not repeat a state that was just written, nor write anything when nothing happened", () => {
    const { progress, take } = setup(false);
    progress.update(0);
    progress.done();
    expect(take()).toBe("FLM 0/100\n");
    const idle = setup(false);
    idle.progress.done();
    expect(idle.take()).toBe("");
  });
});

describe("rate", () => {
  it("counts from the step that a resumed run starts at", () => {
    const { progress, take, wait } = setup(false, { start: 80 });
    wait(10);
    progress.update(90);
    expect(take()).toBe("FLM 90/100  1.0 steps/s  ETA 0:10\n");
  });

  it("follows a change of speed after the window of ten seconds", () => {
    const { progress, take, wait } = setup(false, { total: 10_000, secondsPerLine: 30 });
    let step = 0;
    const run = (seconds: number, perSecond: number): void => {
      for (let i = 0; i < seconds; i++) {
        wait(1);
        progress.update((step += perSecond));
      }
    };
    run(30, 100);
    run(15, 10);
    progress.done();
    expect(take().trimEnd().split("\n").at(-1)).toBe("FLM 3150/10000  10 steps/s  ETA 11:25");
  });
});

describe("helpers", () => {
  it("isInteractive: only a terminal without TERM=dumb, NO_COLOR or CI", () => {
    const tty = { isTTY: true, write: () => true };
    expect(isInteractive(tty, { TERM: "xterm", NO_COLOR: "", CI: "" })).toBe(true);
    expect(isInteractive({ write: () => true }, { TERM: "xterm" })).toBe(false);
    expect(
      [{ TERM: "dumb" }, { NO_COLOR: "1" }, { CI: "true" }].map((env) => isInteractive(tty, env)),
    ).toEqual([false, false, false]);
  });

  it("durationText", () => {
    expect([0, 0.2, 59.5, 75, 3599, 3725, 360_000].map(durationText)).toEqual([
      "0:00",
      "0:01",
      "1:00",
      "1:15",
      "59:59",
      "1:02:05",
      "100:00:00",
    ]);
  });
});
