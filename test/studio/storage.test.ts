/**
 * The page's storage without a browser: files are written whole or not at all, and a run in it has the bytes of a run folder, so that the
 * command line and the page take each other's.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { createRun } from "../../src/runtime/files/run-folder.ts";
import type { RunStore } from "../../src/runtime/run/store.ts";
import { PRESETS } from "../../src/runtime/training/config.ts";
import type { TrainingConfig } from "../../src/runtime/training/config.ts";
import { chooseDevice } from "../../studio/src/engine/device.ts";
import { principalPlane } from "../../studio/src/engine/plane.ts";
import { Runs } from "../../studio/src/engine/runs.ts";
import type { Folder, Storage } from "../../studio/src/engine/storage/folder.ts";
import { adaptersIn } from "../../studio/src/engine/storage/adapters.ts";
import { lockRun } from "../../studio/src/engine/storage/lock.ts";
import { memoryStorage } from "../../studio/src/engine/storage/memory.ts";
import { opfsStorage } from "../../studio/src/engine/storage/opfs.ts";
import { openInterpreter } from "../../src/runtime/interpreter-device.ts";
import { fakeDirectory, noFaults } from "./support/directory.ts";
import type { Faults } from "./support/directory.ts";

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const textIn = async (folder: Folder, file: string): Promise<string | undefined> =>
  (await folder.read(file))?.text();
const messageOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it did not fail",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

async function opened(): Promise<{
  readonly faults: Faults;
  readonly storage: Storage;
  readonly folder: Folder;
  readonly root: FileSystemDirectoryHandle;
}> {
  const faults = noFaults();
  const root = fakeDirectory(faults);
  const storage = opfsStorage(root);
  return { faults, storage, folder: await storage.make("a"), root };
}

describe("files in a browser", () => {
  it("are flushed before they are moved to their names", async () => {
    const { folder, faults } = await opened();
    await folder.write("x", [bytesOf("one "), bytesOf("two")]);
    expect(await textIn(folder, "x")).toBe("one two");
    expect(faults.done).toEqual(["flush", "move to x"]);
    expect(await folder.read("y")).toBeUndefined();
  });

  it("are as they were when writing fails: without room, half way, at the move, or in what makes the bytes", async () => {
    const { folder, faults, root } = await opened();
    await folder.write("x", [bytesOf("old")]);
    const failing = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>> {
      yield bytesOf("ne");
      throw new Error("a tensor is lost");
    };
    const full = /^Cannot write a\/x: the storage that the browser gives to this page is full; remove a run/;
    for (const [fault, pieces, message] of [
      [{ room: 0 }, [bytesOf("new")], full],
      [{ room: 2 }, [bytesOf("new")], full],
      [
        { stuck: true },
        [bytesOf("new")],
        /^Cannot write a\/x: the browser took its storage away; reload the page\.$/,
      ],
      [{}, failing(), /^a tensor is lost$/],
    ] as const) {
      Object.assign(faults, noFaults(), fault);
      expect(await messageOf(folder.write("x", pieces))).toMatch(message);
      expect(await textIn(folder, "x")).toBe("old");
      const left: string[] = [];
      for await (const name of (await root.getDirectoryHandle("a")).keys()) left.push(name);
      expect(left).toEqual(["x"]);
    }
  });

  it("are written whole where each write takes a part only", async () => {
    const { folder, faults } = await opened();
    faults.bite = 3;
    await folder.write("x", [bytesOf("a longer text")]);
    await folder.append("x", 8, bytesOf(" one, which is cut before"));
    expect(await textIn(folder, "x")).toBe("a longer one, which is cut before");
    await folder.append("x", 2, bytesOf("cut"));
    expect(await textIn(folder, "x")).toBe("a cut");
  });

  it("of an interrupted write are not seen, and removed by who has the run", async () => {
    const { folder, root } = await opened();
    const inside = await root.getDirectoryHandle("a");
    await inside.getFileHandle("state.safetensors.1-0.partial", { create: true });
    await folder.write("x", []);
    expect(await folder.names()).toEqual(["x"]);
    await folder.removeLeftovers();
    const left: string[] = [];
    for await (const name of inside.keys()) left.push(name);
    expect(left).toEqual(["x"]);
  });
});

const weights = [
  { name: "w", dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  { name: "step", dtype: "U32", shape: [], data: async () => Uint32Array.of(7) },
] as const;
const expectedTensors = new Map(
  weights.map(({ name, dtype, shape }) => [name, { dtype, shape: [...shape] }]),
);

describe("a run in the page's storage", () => {
  const { quick } = PRESETS;
  async function both(): Promise<
    readonly [RunStore<TrainingConfig>, RunStore<TrainingConfig>, Folder, string]
  > {
    const dir = await mkdtemp(join(tmpdir(), "fluxion-storage-"));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const storage = opfsStorage(fakeDirectory(noFaults()));
    const { run } = await new Runs(storage).make(quick, { origin: "trained", text: "a" });
    return [
      run,
      await createRun(join(dir, "run"), quick, { now: new Date(run.created) }),
      run.folder,
      join(dir, "run"),
    ];
  }

  it("has the bytes of a run folder to which the same was done, and reads them alike", async () => {
    const [stored, files, folder, dir] = await both();
    const kept: unknown[] = [];
    for (const run of [stored, files]) {
      await run.appendMetrics([1, 2, 3].map((step) => ({ step, loss: 1 / step })));
      await run.saveCheckpoint("state", weights, { step: 2, phase: "flm" });
      await run.appendMetrics([{ step: 4, loss: Number.NaN }]);
      await run.rewindMetrics((await run.checkpointMeta("state")).step);
      await run.appendMetrics([]);
      await run.appendMetrics([{ step: 3, note: "again" }]);
      await run.writeText("vocabulary.json", "ünïcode");
      await run.saveCheckpoint("flm", weights, { step: 9, phase: "flm" });
      await run.removeCheckpoint("fmlm");
      kept.push(
        await run.loadCheckpoint("state", expectedTensors),
        await run.readMetrics(),
        await run.readText("vocabulary.json", 100),
      );
    }
    expect(kept.slice(0, 3)).toEqual(kept.slice(3));
    expect(kept[1]).toMatchObject([{ step: 1 }, { step: 2 }, { step: 3, note: "again" }]);
    for (const name of [
      "config.json",
      "flm.safetensors",
      "metrics.jsonl",
      "state.safetensors",
      "vocabulary.json",
    ])
      expect(
        Buffer.from(await ((await folder.read(name)) as Blob).arrayBuffer()).equals(
          await readFile(join(dir, name)),
        ),
        name,
      ).toBe(true);
    await stored.removeCheckpoint("state");
    expect(await stored.hasCheckpoint("state")).toBe(false);
  });

  it("drops the line of its log that a closed tab tore, wherever it was torn", async () => {
    const [run, , folder] = await both();
    const whole = '{"step":1}\n{"step":2}\n';
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length }), async (length) => {
        const cut = whole.slice(0, length);
        await folder.write("metrics.jsonl", [bytesOf(cut)]);
        const lines = cut.split("\n").length - 1;
        expect(await run.readMetrics()).toHaveLength(lines);
        await run.appendMetrics([{ step: 3 }]);
        expect((await run.readMetrics()).map(({ step }) => step)).toEqual([...[1, 2].slice(0, lines), 3]);
      }),
    );
  });

  it("says what is wrong with a checkpoint as a run folder does", async () => {
    const [run, , folder] = await both();
    expect(await messageOf(run.loadCheckpoint("flm"))).toMatch(/^The run .* has no flm.safetensors/);
    await run.saveCheckpoint("flm", weights, { step: 9, phase: "flm" });
    expect(await messageOf(run.loadCheckpoint("flm", new Map([["w", { shape: [3, 2] }]])))).toMatch(/flm.safetensors does not fit the model: tensor "w" has shape \[2, 2\], expected \[3, 2\]/); // prettier-ignore
    await folder.write("flm.safetensors", [bytesOf("short")]);
    expect(await messageOf(run.checkpointMeta("flm"))).toMatch(/flm.safetensors: the file has 5 bytes/);
  });

  it("is locked once at a time, and without room nothing of a new run is left", async () => {
    const [run] = await both();
    const lock = await run.lock();
    expect(await messageOf(run.lock())).toMatch(/^The run .* is being worked on in this tab already\.$/);
    lock.release();
    lock.release();
    (await run.lock()).release();

    const faults = noFaults();
    const storage = opfsStorage(fakeDirectory(faults));
    faults.room = 40;
    expect(await messageOf(new Runs(storage).make(quick, { origin: "trained", text: "a" }))).toMatch(
      /is full/,
    );
    expect(await storage.names()).toEqual([]);
  });

  it("that is damaged keeps the others from nothing", async () => {
    const storage = memoryStorage("");
    const runs = new Runs(storage);
    const { run } = await runs.make(quick, { origin: "trained", text: "a" });
    await (await storage.make("broken")).write("config.json", [bytesOf("{")]);
    await storage.make(".studio");
    const { runs: found, problems } = await runs.list();
    expect(found.map((known) => known.run.id)).toEqual([run.id]);
    expect(problems).toEqual([expect.stringMatching(/^broken\/config.json is damaged/)]);
  });
});

describe("a tab that is closed at any moment", () => {
  const { quick } = PRESETS;
  const origin = { origin: "trained", text: "a" } as const;

  it("leaves no run without its vocabulary: the settings are written last", async () => {
    const faults = noFaults();
    const parts = { vocabulary: "{}", text: new Blob(["words"]) };
    const { run } = await new Runs(opfsStorage(fakeDirectory(faults))).make(quick, origin, parts);
    const moves = faults.done.filter((what) => what.startsWith("move"));
    expect(moves).toEqual(["vocabulary.json", "text.txt", "studio.json", "config.json"].map((name) => `move to ${name}`)); // prettier-ignore
    expect(await run.readText("vocabulary.json", 9)).toBe("{}");
  });

  it("while it makes a run leaves nothing that stays, and what another tab makes at the moment is let alone", async () => {
    const storage = opfsStorage(fakeDirectory(noFaults()));
    const runs = new Runs(storage);
    await (await storage.make("half")).write("text.txt", [bytesOf("a long text")]);
    const lock = await lockRun("half");
    expect(await runs.list()).toEqual({ runs: [], problems: [] });
    expect(await storage.names()).toEqual(["half"]);
    lock.release();
    expect(await runs.list()).toEqual({ runs: [], problems: [] });
    expect(await storage.names()).toEqual([]);
  });

  it("while it removes a run leaves none, and the next one removes the rest", async () => {
    const whole = opfsStorage(fakeDirectory(noFaults()));
    const { run } = await new Runs(whole).make(quick, origin);
    const closed = new Runs({ ...whole, remove: () => Promise.reject(new Error("the tab is closed")) });
    expect(await messageOf(closed.remove(run.id))).toBe("the tab is closed");
    expect(await whole.names()).toEqual([run.id]);
    expect(await new Runs(whole).list()).toEqual({ runs: [], problems: [] });
    expect(await whole.names()).toEqual([]);
  });

  it("is not needed for two runs of one second: each has a folder of its own", async () => {
    const runs = new Runs(memoryStorage(""));
    const made = await Promise.all([1, 2, 3].map(() => runs.make(quick, origin)));
    made.push(await runs.make(quick, origin));
    expect(new Set(made.map(({ run }) => run.id)).size).toBe(4);
    expect((await runs.list()).runs).toHaveLength(4);
  });

  it("or a folder that is gone does not keep a lock", async () => {
    const { run } = await new Runs(memoryStorage("")).make(quick, origin);
    const leftovers = run.folder.removeLeftovers;
    run.folder.removeLeftovers = () => Promise.reject(new Error("it is gone"));
    expect(await messageOf(run.lock())).toBe("it is gone");
    run.folder.removeLeftovers = leftovers;
    (await run.lock()).release();
  });
});

describe("the device", () => {
  it("is taken although a full storage cannot remember that it passed its check", async () => {
    const full = { ...memoryStorage(""), make: () => Promise.reject(new Error("no room")) };
    const memory = adaptersIn(full);
    expect(await memory.has("a GPU")).toBe(false);
    await memory.add("a GPU");
    const kept = adaptersIn(memoryStorage(""));
    await kept.add("a GPU");
    expect([await kept.has("a GPU"), await kept.has("another")]).toEqual([true, false]);
  });

  it("is the first that opens, and each one before has its reason", async () => {
    const memory = { has: async () => false, add: async () => undefined };
    const { info } = await chooseDevice(memory, [
      { name: "webgpu", open: () => Promise.reject(new TypeError("adapter is null")) },
      { name: "interpreter", open: async () => openInterpreter() },
    ]);
    expect(info).toMatchObject({
      name: "interpreter",
      passedOver: ["The webgpu device did not start: adapter is null"],
    });
    await expect(chooseDevice(memory, [])).rejects.toThrow("Nothing can compute in this browser.");
  });
});

describe("the plane of an embedding", () => {
  it("is that of its two leading directions", () => {
    const width = 5;
    // Points in a plane of the second and the fourth axis, spread more along the fourth.
    const table = Float32Array.from({ length: 40 * width }, (_, i) => {
      const row = Math.floor(i / width);
      return i % width === 3 ? 4 * Math.sin(row) : i % width === 1 ? Math.cos(row * 1.7) : 0.5;
    });
    const plane = principalPlane(table, width);
    const [origin, fourth, second, other] = plane.project(
      Float32Array.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
    ) as readonly (readonly [number, number])[];
    const moved = (to: readonly [number, number] | undefined): readonly number[] =>
      [0, 1].map((axis) => Math.abs((to?.[axis] ?? 0) - (origin?.[axis] ?? 0)));
    expect(moved(fourth)[0]).toBeCloseTo(1, 2);
    expect(moved(second)[1]).toBeCloseTo(1, 2);
    expect(moved(other)).toEqual([expect.closeTo(0, 6), expect.closeTo(0, 6)]);
    // A table with nothing in it has a plane too.
    expect(principalPlane(new Float32Array(10), 5).project(new Float32Array(5))).toEqual([[0, 0]]);
  });
});
