/** Who ends the worker of a user's declaration, and what becomes of the training in it: without a browser, each worker a few lines here. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { studio } from "../../studio/src/engine/client.ts";
import type { Studio } from "../../studio/src/engine/client.ts";
import { withDeclarations } from "../../studio/src/engine/declared.ts";
import type { Engine, EngineEvent, RunDetail } from "../../studio/src/engine/protocol.ts";

const detail = (id: string, parts: Partial<RunDetail> = {}): RunDetail => ({
  id,
  created: `2026-01-01T00:00:0${id.length}Z`,
  state: "idle",
  text: "a text",
  declared: { file: `${id}.ts`, export: "leaps", given: { name: `${id}.ts`, same: true } },
  models: [],
  done: 0,
  steps: 9,
  bytes: 1,
  settings: { seed: 1, vocabulary: 3, length: 2, width: 8, depth: 1, heads: 1, batch: 4, flmSteps: 9, fmlmSteps: 0 }, // prettier-ignore
  history: [],
  tokens: [],
  clock: [0, 1],
  labels: { flm: "FLM", fmlm: "FMLM" },
  published: true,
  ...parts,
});

const refused = (): Promise<never> => Promise.reject(new Error("not asked for here"));
const engineOf = (parts: Partial<Engine>): Engine => ({
  open: refused,
  runs: refused,
  run: refused,
  start: refused,
  pause: async () => undefined,
  resume: refused,
  remove: refused,
  importRun: refused,
  give: refused,
  declaration: refused,
  exportRun: refused,
  sample: refused,
  form: refused,
  explain: refused,
  stopExplaining: async () => undefined,
  ...parts,
});

interface Worker {
  readonly id: string;
  tell(event: EngineEvent): void;
  ended: boolean;
}

/** Runs "a" and "b", as they are saved, and the workers that were started for them. */
interface Around {
  readonly store: Studio;
  readonly workers: Worker[];
  /** Steps that are saved. */
  readonly saved: Map<string, number>;
  readonly log: string[];
  /** As `declarations.run` has it. */
  run(id: string): Promise<RunDetail>;
  /** Makes a worker's training answer nothing from now on. */
  hang(): void;
  /** Makes every run unreadable. */
  damage(): void;
}

async function opened(main: Partial<Engine> = {}): Promise<Around> {
  const saved = new Map<string, number>();
  const log: string[] = [];
  const workers: Worker[] = [];
  const device = { name: "webgpu", detail: "", passedOver: [] };
  let [hangs, damaged] = [false, false];
  const read = async (id: string): Promise<RunDetail> => {
    if (damaged) throw new Error("config.json is damaged");
    return detail(id, { done: saved.get(id) ?? 0 });
  };
  const declarations = withDeclarations(
    engineOf({
      open: async () => ({ device, runs: [] }),
      run: read,
      give: async (id, file, as) => {
        if (file.size > 9) throw new Error(`${file.name} is too large.`);
        log.push(`${id} keeps ${file.name} as ${as}`);
        return read(id);
      },
      declaration: async (id) => ({ name: `${id}.ts`, text: "" }),
      ...main,
    }),
    async ({ name }, onBroken) => {
      const id = name.slice(0, 1);
      let tell: (event: EngineEvent) => void = () => undefined;
      const own: Worker = { id, tell: (event) => tell(event), ended: false };
      workers.push(own);
      return {
        engine: engineOf({
          open: async (hear) => {
            tell = hear;
            return { device, runs: [] };
          },
          run: async () => detail(id),
          resume: async () => {
            if (id === "x") onBroken("late");
            own.tell({ kind: "preparing", run: id, phase: "flm" });
            return detail(id, { state: "training" });
          },
          pause: async () => {
            if (hangs) await new Promise(() => undefined);
            await Promise.resolve();
            saved.set(id, 7);
            log.push(`${id} saves`);
          },
        }),
        end: () => {
          own.ended = true;
          log.push(`${id} ends`);
        },
      };
    },
  );
  const store = studio(declarations);
  await store.open();
  return {
    store,
    workers,
    saved,
    log,
    run: (id) => declarations.run(id),
    hang: () => void (hangs = true),
    damage: () => void (damaged = true),
  };
}

/** Run "a", its declaration running and its training at step 5. @param steps whether it came that far, or is being compiled */
async function training(steps = true): Promise<Around> {
  const around = await opened();
  const { store, workers } = around;
  await store.choose("a");
  await store.declaration.start();
  await store.resume("a");
  expect(store.training.value).toBe("a");
  if (steps)
    workers[0]?.tell({ kind: "step", run: "a", phase: "flm", done: 5, steps: 9, loss: 1, gradientNorm: 1, tokensPerSecond: 1, times: [] }); // prettier-ignore
  return around;
}

const texts = ({ problems }: Studio): readonly string[] => problems.value.map(({ text }) => text);

describe("the training of a user's declaration", () => {
  it("is saved before another declaration runs", async () => {
    const { store, log, workers } = await training();
    await store.choose("b");
    await store.declaration.start();
    expect(log).toEqual(["a saves", "a ends"]);
    expect(store.declaration.phase.value).toBe("running");
    expect(workers.map(({ id, ended }) => [id, ended])).toEqual([["a", true], ["b", false]]); // prettier-ignore
    expect(store.training.value).toBeUndefined();
    expect(store.runs.value.find(({ id }) => id === "a")).toMatchObject({ state: "idle", done: 7 });
  });

  it("is saved when it is stopped, which is said with its step", async () => {
    const { store, log } = await training();
    await store.declaration.stop();
    expect(log).toEqual(["a saves", "a ends"]);
    expect(store.note.value).toBe("The training is paused at step 7 of 9.");
    expect(store.declaration.phase.value).toBe("kept");
  });

  it("is ended all the same where it does not answer, and what is kept is said", async () => {
    const { store, log, saved, hang } = await training();
    saved.set("a", 3);
    hang();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const stopped = store.declaration.stop();
    expect(log).toEqual([]);
    await vi.advanceTimersByTimeAsync(2000);
    await stopped;
    expect(log).toEqual(["a ends"]);
    expect(texts(store)).toEqual([
      "The training did not answer and was ended; what is kept is its step 3 of 9.",
    ]);
    expect(store.training.value).toBeUndefined();
  });

  it("goes on when a file that was given is not taken", async () => {
    const { store, log, workers } = await training();
    await store.declaration.give(new File(["0123456789"], "a.ts"));
    expect(texts(store)).toEqual(["a.ts could not be taken: a.ts is too large."]);
    expect([log, workers[0]?.ended, store.declaration.phase.value]).toEqual([[], false, "running"]);
    await store.declaration.give(new File(["x"], "a.ts"));
    expect(log).toEqual(["a keeps a.ts as declaration", "a saves", "a ends"]);
    expect(workers).toHaveLength(2); // it is the run's, and runs
  });

  it("runs from the file that is being taken, not from the one before", async () => {
    const order: string[] = [];
    const { store } = await opened({
      give: async (id) => {
        await new Promise((resolve) => setTimeout(resolve));
        order.push("taken");
        return detail(id, {
          declared: { file: "a.ts", export: "leaps", given: { name: "b.ts", same: false } },
        });
      },
      declaration: async () => {
        order.push("run");
        return { name: "a.ts", text: "" };
      },
    });
    await store.choose("a");
    await Promise.all([store.declaration.give(new File(["x"], "b.ts")), store.declaration.start()]);
    expect([order, store.declaration.phase.value]).toEqual([["taken", "run"], "running"]);
  });

  it("is paused, and ended, while it is being compiled", async () => {
    const first = await training(false);
    await first.store.pause();
    expect(first.log).toEqual(["a saves"]);
    const { store, log, workers } = await training(false);
    await store.declaration.stop();
    expect([log, store.training.value]).toEqual([["a saves", "a ends"], undefined]);
    await store.choose("b");
    await store.declaration.start();
    await store.choose("c");
    expect(workers.map(({ ended }) => ended)).toEqual([true, true]);
  });

  it("takes its worker with it when it ends while another run is looked at", async () => {
    const { store, workers } = await training();
    await store.choose("b");
    expect(workers[0]?.ended).toBe(false);
    workers[0]?.tell({ kind: "state", run: detail("a", { state: "finished" }) });
    expect(store.training.value).toBeUndefined();
    expect(workers[0]?.ended).toBe(true);
  });

  it("is given its text by whoever says that it is one, whatever it is called", async () => {
    const { store, log } = await opened();
    await store.choose("a");
    await store.resumeWith("a", new File(["x"], "story.js"));
    expect(log).toEqual(["a keeps story.js as text"]);
  });

  it("runs in one worker at a time, the one that was asked for last, also where a run cannot be read", async () => {
    const { run, workers, damage, store, log } = await training();
    damage();
    const asked = await Promise.allSettled([run("b"), run("c"), run("d")]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
    expect(workers.filter(({ ended }) => !ended).map(({ id }) => id)).toEqual(["d"]);
    expect(log.filter((line) => line.endsWith("ends"))).toEqual(["a ends"]);
    expect(log.at(-1)).toBe("a ends");
    expect(store.training.value).toBeUndefined();
    expect(texts(store)).toEqual(["The training stopped: config.json is damaged."]);
  });

  it("tells of its device, and of errors that nobody waits for", async () => {
    const { store, workers } = await opened();
    await store.choose("x");
    await store.declaration.start();
    await store.resume("x");
    expect(texts(store)).toEqual(["late."]);
    workers[0]?.tell({ kind: "note", text: "The device was lost." });
    workers[0]?.tell({ kind: "device", device: { name: "tfjs:wasm", detail: "", passedOver: [] } });
    expect([store.note.value, store.device.value?.name]).toEqual(["The device was lost.", "tfjs:wasm"]);
    await store.declaration.stop();
    expect(store.device.value?.name).toBe("webgpu");
  });
});
