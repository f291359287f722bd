/** The page's parts that need no browser: curves, limits, blanks, the exact flow, and the store that hears the engine. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { studio } from "../../studio/src/engine/client.ts";
import { withDeclarations } from "../../studio/src/engine/declared.ts";
import type { Engine, EngineEvent, RunDetail } from "../../studio/src/engine/protocol.ts";
import { exactForming } from "../../studio/src/page/sentence/exact.ts";
import { curvesOf, someRows } from "../../studio/src/page/train/series.ts";
import { EMPTY, mistakes, settingsOf } from "../../studio/src/page/train/settings.ts";
import { isToken, patternOf, spread } from "../../studio/src/page/write/infill.ts";

describe("curves", () => {
  it("lay both trainings one after the other, with measurements at their steps", () => {
    const curves = curvesOf(
      [
        { phase: "flm", step: 0, loss: 3 },
        { phase: "flm", step: 1, loss: 2 },
        { phase: "flm", step: 1, validation: 2.5 },
        { phase: "fmlm", step: 0, loss: 1 },
      ],
      2,
      0,
    );
    expect(curves.step).toEqual([1, 2, 3]);
    expect(curves.flm).toEqual([3, 2, null]);
    expect(curves.fmlm).toEqual([null, null, 1]);
    expect(curves.validation).toEqual([null, 2.5, null]);
    expect(curves.flmSmooth).toEqual(curves.flm);
  });

  it("smooth without a bias: a constant stays itself, and losses that are no numbers are left out", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 9, noNaN: true }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (loss, keep) => {
          const points = Array.from({ length: 20 }, (_, step) => ({ phase: "flm", step, loss }) as const);
          for (const value of curvesOf(
            [...points, { phase: "flm", step: 20, loss: Number.NaN }],
            30,
            keep,
          ).flmSmooth.slice(0, 20))
            expect(value).toBeCloseTo(loss, 9);
        },
      ),
    );
  });

  it("smooth to both sides: a loss that falls evenly stays itself, away from the ends", () => {
    const points = Array.from(
      { length: 201 },
      (_, step) => ({ phase: "flm", step, loss: 5 - step / 50 }) as const,
    );
    const { flmSmooth } = curvesOf(points, 201, 0.9);
    for (let step = 98; step <= 102; step++) expect(flmSmooth[step]).toBeCloseTo(5 - step / 50, 3);
  });

  it("give a table a few rows, the first and the last among them", () => {
    const points = Array.from({ length: 100 }, (_, step) => ({ phase: "flm", step, loss: 1 }) as const);
    const rows = someRows(curvesOf(points, 100, 0.9), 8);
    expect([rows.length, rows[0], rows.at(-1)]).toEqual([8, 0, 99]);
  });

  it("give it the rows with a measurement", () => {
    const points = Array.from({ length: 100 }, (_, step) => ({ phase: "flm", step, loss: 1 }) as const);
    const measured = [24, 25, 49, 74].map((step) => ({ phase: "flm", step, validation: 2 }) as const);
    const curves = curvesOf([...points, ...measured], 100, 0.9);
    const rows = someRows(curves, 8);
    expect(rows.filter((i) => curves.validation[i] !== null)).toEqual([25, 49, 74]);
    expect([new Set(rows).size, ...rows.slice(0, 1), ...rows.slice(-1)]).toEqual([8, 0, 99]);
  });
});

describe("the settings of a new run", () => {
  it("say what is wrong, and nothing of what is right", () => {
    expect(mistakes(EMPTY, "quick")).toEqual({});
    expect(mistakes({ ...EMPTY, length: "16", width: "96", heads: "6", batch: "128" }, "quick")).toEqual({});
    expect(Object.keys(mistakes({ ...EMPTY, seed: "-1" }, "quick"))).toEqual(["seed"]);
    expect(Object.keys(mistakes({ ...EMPTY, seed: "" }, "quick"))).toEqual(["seed"]);
    expect(mistakes({ ...EMPTY, batch: "100" }, "quick").batch).toContain("64");
    expect(mistakes({ ...EMPTY, heads: "5" }, "quick").heads).toContain("10");
    expect(mistakes({ ...EMPTY, width: "40", heads: "8" }, "quick").width).toContain("16");
    for (const text of ["1e3", "12.5", "0", "1000000", "many", "-5"])
      expect(mistakes({ ...EMPTY, length: text }, "default").length, text).toBeDefined();
  });

  it("leave to the preset what is empty", () => {
    expect(settingsOf({ ...EMPTY, seed: "7", flmSteps: " 50 " }, "quick", "words")).toEqual({
      preset: "quick",
      tokens: "words",
      seed: 7,
      flmSteps: 50,
    });
  });
});

describe("blanks", () => {
  it("take words as texts are folded, and no others", () => {
    const known = new Set(["<sep>", "strasse", "fruh"]);
    const typed = ["", "|", "Straße", "FRÜH", "Zebra", "früher"];
    expect(typed.filter((word) => isToken(word, known))).toEqual(["", "|", "Straße", "FRÜH"]);
  });

  it("become what `fluxion sample --infill` takes", () => {
    expect(patternOf(["", "", ""], false)).toBeUndefined();
    expect(patternOf(["", "old", "", "house", ""], false)).toBe("_ old _ house");
    expect(patternOf(["", "a", " ", ""], true)).toBe("_a ");
  });

  it("take words that are pasted, and forget those that do not fit", () => {
    expect(spread(["", "", "", ""], 1, "the _ house of mine", false)).toEqual(["", "the", "", "house"]);
    expect(spread(["a", "b"], 0, "", false)).toEqual(["", "b"]);
  });
});

describe("the exact flow that is shown before a training", () => {
  it("is a distribution at every place, ends decided, and its map jumps to where its steps go", () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { flm, fmlm } = exactForming(seed, 256);
      expect(fmlm.text).toBe(flm.text);
      expect(fmlm.moments).toHaveLength(2);
      expect(flm.moments).toHaveLength(257);
      for (const { top, entropy } of flm.moments) {
        top.forEach((tokens, i) => {
          const seen = tokens.reduce((sum, { probability }) => sum + probability, 0);
          expect(seen).toBeLessThan(1 + 1e-9);
          expect(entropy[i]).toBeLessThan(Math.log(8) + 1e-9);
        });
      }
      expect(flm.moments.at(-1)?.entropy.every((h) => h === 0)).toBe(true);
      expect(flm.moments[0]?.plane).toHaveLength(flm.text.split(" ").length);
    }
  });
});

const RUN: RunDetail = {
  id: "a",
  created: "2026-01-01T00:00:00Z",
  state: "training",
  text: "a text",
  models: [],
  done: 0,
  steps: 4,
  bytes: 1,
  settings: {
    seed: 1,
    vocabulary: 3,
    length: 2,
    width: 8,
    depth: 1,
    heads: 1,
    batch: 64,
    flmSteps: 3,
    fmlmSteps: 1,
  },
  history: [],
  tokens: [],
  clock: [0, 1],
  labels: { flm: "FLM", fmlm: "FMLM" },
  published: true,
};

/** An engine of which each test says what it does. */
function engineOf(parts: Partial<Engine>): { readonly engine: Engine; tell(event: EngineEvent): void } {
  let hear: (event: EngineEvent) => void = () => undefined;
  const nothing = (): Promise<never> => Promise.reject(new Error("not asked for here"));
  const names = [
    "runs",
    "run",
    "start",
    "pause",
    "resume",
    "remove",
    "importRun",
    "exportRun",
    "sample",
    "form",
    "explain",
  ];
  const engine = {
    ...Object.fromEntries(names.map((name) => [name, nothing])),
    open: async (listener: (event: EngineEvent) => void) => {
      hear = listener;
      return { device: { name: "none", detail: "", passedOver: [] }, runs: [] };
    },
    ...parts,
  } as Engine; // all names are there
  return { engine, tell: (event) => hear(event) };
}

describe("what the page knows of the engine", () => {
  it("follows a training from its start to its pause", async () => {
    const { engine, tell } = engineOf({ start: async () => RUN, pause: async () => undefined });
    const store = studio(withDeclarations(engine));
    await store.open();
    await store.start({ preset: "quick" }, { kind: "bundled" });
    expect(store.training.value).toBe("a");
    const step = {
      kind: "step",
      run: "a",
      phase: "flm",
      steps: 3,
      gradientNorm: 1,
      tokensPerSecond: 9,
      times: [],
    } as const;
    tell({ kind: "preparing", run: "a", phase: "flm" });
    expect(store.activity.value).toBe("preparing");
    tell({ ...step, done: 1, loss: 3 });
    tell({ ...step, done: 2, loss: 2 });
    tell({ ...step, run: "another", done: 3, loss: 9 });
    await Promise.resolve();
    expect(store.activity.value).toBe("training");
    expect(store.points.value.map(({ loss }) => loss)).toEqual([3, 2]);
    expect(store.progress.value?.done).toBe(2);
    await store.pause();
    expect([store.activity.value, store.training.value]).toEqual([undefined, undefined]);
  });

  it("does not take a training for going on that was over when its start was told", async () => {
    const { engine, tell } = engineOf({
      async start() {
        tell({ kind: "preparing", run: "a", phase: "flm" });
        tell({ kind: "failed", run: "a", message: "The device has no room." });
        return { ...RUN, state: "idle" };
      },
      resume: async () => ({ ...RUN, state: "finished" }),
    });
    const store = studio(withDeclarations(engine));
    await store.open();
    await store.start({ preset: "quick" }, { kind: "bundled" });
    expect([store.activity.value, store.training.value]).toEqual([undefined, undefined]);
    await store.resume("a");
    expect([store.activity.value, store.training.value]).toEqual([undefined, undefined]);
    expect(store.run.value?.state).toBe("finished");
  });

  it("shows the run that was chosen last, with its own points", async () => {
    const slow = new Map<string, (detail: RunDetail) => void>();
    const { engine, tell } = engineOf({ run: (id) => new Promise((resolve) => slow.set(id, resolve)) });
    const store = studio(withDeclarations(engine));
    await store.open();
    const detail = (id: string): RunDetail => ({ ...RUN, id, history: [{ phase: "flm", step: 0, loss: 5 }] });
    const choices = [store.choose("a"), store.choose("b")];
    slow.get("b")?.(detail("b"));
    slow.get("a")?.(detail("a"));
    await Promise.all(choices);
    expect(store.run.value?.id).toBe("b");
    const again = store.choose("c");
    slow.get("c")?.(detail("c"));
    const step = { kind: "step", run: "b", phase: "flm", done: 9, steps: 9, loss: 1, gradientNorm: 1, tokensPerSecond: 1, times: [] } as const; // prettier-ignore
    tell(step);
    await again;
    await Promise.resolve();
    expect(store.points.value.map(({ loss }) => loss)).toEqual([5]);
  });

  it("tells files that could not be read from a run without any", async () => {
    const { engine } = engineOf({ exportRun: () => Promise.reject(new Error("it is not there any more")) });
    const store = studio(withDeclarations(engine));
    expect(await store.exportRun("a")).toBeUndefined();
    expect(store.problems.value).toHaveLength(1);
  });

  it("is given all files of a run that was dropped, its log among them", async () => {
    const taken: string[][] = [];
    const { engine } = engineOf({
      async importRun(files) {
        taken.push(files.map(({ name }) => name));
        return { ...RUN, state: "imported" };
      },
    });
    // What drop.ts needs of a page when it is loaded.
    vi.stubGlobal("location", { hash: "" });
    vi.stubGlobal("addEventListener", () => undefined);
    const { take } = await import("../../studio/src/page/drop.ts");
    vi.unstubAllGlobals();
    const files = ["config.json", "metrics.jsonl", "flm.safetensors"].map((name) => new File(["x"], name));
    await take(studio(withDeclarations(engine)), files);
    expect(taken).toEqual([["config.json", "metrics.jsonl", "flm.safetensors"]]);
  });

  it("keeps what fails as a sentence each until it is dismissed, and goes on", async () => {
    const { engine, tell } = engineOf({ start: () => Promise.reject(new Error("The text has 3 documents")) });
    const store = studio(withDeclarations(engine));
    await store.open();
    expect(await store.start({ preset: "quick" }, { kind: "bundled" })).toBe(false);
    expect(store.activity.value).toBeUndefined();
    await store.start({ preset: "quick" }, { kind: "bundled" });
    tell({ kind: "failed", run: "a", message: "The device was lost." });
    expect(store.problems.value.map(({ text }) => text)).toEqual([
      "The training could not be started: The text has 3 documents.",
      "The training stopped: The device was lost.",
    ]);
    store.dismiss(store.problems.value[0]?.id ?? -1);
    expect(store.problems.value).toHaveLength(1);
  });
});
