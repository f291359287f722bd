import { mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { fieldsOf } from "../../../src/runtime/files/fields.ts";
import {
  appendMetrics,
  checkpointMeta,
  createRun,
  hasCheckpoint,
  loadCheckpoint,
  openRun,
  readMetrics,
  removeCheckpoint,
  rewindMetrics,
  saveCheckpoint,
  writeRunText,
} from "../../../src/runtime/files/run-folder.ts";
import type { RunFolder } from "../../../src/runtime/files/run-folder.ts";
import { writeSafetensors } from "../../../src/runtime/files/safetensors.ts";
import { scratchFolder, userErrorOf } from "./scratch.ts";

interface Config {
  readonly steps: number;
  readonly tokens: "words" | "chars";
}

function checkConfig(value: unknown, where: string): Config {
  const fields = fieldsOf(value, where);
  const config = {
    steps: fields.number("steps", { integer: true, min: 1 }),
    tokens: fields.choice("tokens", ["words", "chars"]),
  };
  fields.end();
  return config;
}

const config: Config = { steps: 10, tokens: "words" };
const weights = [
  { name: "w", dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  { name: "step", dtype: "U32", shape: [], data: Uint32Array.of(7) },
] as const;

const newRun = async (): Promise<RunFolder<Config>> =>
  createRun(join(await scratchFolder(), "runs", "a"), config);
const open = (dir: string): Promise<RunFolder<Config>> => openRun(dir, checkConfig);

describe("createRun and openRun", () => {
  it("makes the folder and its parents; opening gives the same run", async () => {
    const run = await newRun();
    expect(await open(run.dir)).toEqual(run);
    expect(await readdir(run.dir)).toEqual(["config.json"]);
    expect(run).toMatchObject({ format: "fluxion-run", version: 1, config });
    expect(new Date(run.created).toISOString()).toBe(run.created);
  });

  it("gives up where the system has no folders to make, and under a file", async () => {
    if (existsSync("/proc/self"))
      expect(await userErrorOf(() => createRun("/proc/fluxion/run", config))).toContain("(ENOENT)");
    const file = join(await scratchFolder(), "file");
    await writeFile(file, "");
    expect(await userErrorOf(() => createRun(join(file, "run"), config))).toContain(
      "a part of the path is a file",
    );
    expect(await userErrorOf(() => createRun(file, config))).toBe(`${file} is a file; a run needs a folder.`);
  });

  it("accepts an empty folder, and one that an interrupted start left behind", async () => {
    const dir = await scratchFolder();
    await writeFile(join(dir, "config.json.999999999-0.partial"), "{");
    await createRun(dir, config);
    expect(await readdir(dir)).toEqual(["config.json"]);
  });

  it("refuses and leaves alone: other things, a file, somebody else's config.json", async () => {
    const dir = await scratchFolder();
    await writeFile(join(dir, "thesis.tex"), "precious");
    expect(await userErrorOf(() => createRun(dir, config))).toBe(
      `${dir} is not empty and not a run folder (it holds thesis.tex); choose a new or an empty folder.`,
    );
    expect(await userErrorOf(() => createRun(join(dir, "thesis.tex"), config))).toMatch(
      /is a file; a run needs a folder/,
    );
    expect(await userErrorOf(() => createRun(join(dir, "thesis.tex", "a"), config))).toMatch(/ENOTDIR/);
    const other = join(dir, "other");
    await mkdir(other);
    await writeFile(join(other, "config.json"), '{"name":"x"}');
    expect(await userErrorOf(() => createRun(other, config, { replace: true }))).toMatch(
      /is not a run folder: its config.json/,
    );
    expect(await readFile(join(other, "config.json"), "utf8")).toBe('{"name":"x"}');
    expect((await readdir(dir)).sort()).toEqual(["other", "thesis.tex"]);
  });

  it("replaces a run only when told to, and then only the files of a run", async () => {
    const run = await newRun();
    await saveCheckpoint(run, "flm", weights, { step: 3, phase: "flm" });
    await appendMetrics(run, [{ step: 1 }]);
    await writeRunText(run, "samples.txt", "a sample");
    await writeFile(join(run.dir, "notes.md"), "mine");
    expect(await userErrorOf(() => createRun(run.dir, config))).toMatch(
      /already holds a run; resume it, or choose another/,
    );
    expect(await hasCheckpoint(run, "flm")).toBe(true);
    await createRun(run.dir, { ...config, steps: 20 }, { replace: true });
    expect((await readdir(run.dir)).sort()).toEqual(["config.json", "notes.md"]);
    expect((await open(run.dir)).config.steps).toBe(20);
  });

  it("opening says what is wrong, from a missing folder to a bad setting", async () => {
    const run = await newRun();
    const path = join(run.dir, "config.json");
    const messageFor = async (text: string): Promise<string> => {
      await writeFile(path, text);
      return userErrorOf(() => open(run.dir));
    };
    expect(await userErrorOf(() => open(join(run.dir, "none")))).toMatch(
      /There is no run folder .*none; check the path/,
    );
    expect(await userErrorOf(() => open(path))).toMatch(/config.json is a file, not a run folder/);
    expect(await userErrorOf(() => open(join(run.dir, "..")))).toMatch(
      /is not a run folder: it has no config.json/,
    );
    expect(await messageFor("")).toMatch(/config.json is damaged: its 0 characters are not JSON/);
    expect(await messageFor("[1]")).toMatch(/found a list where an object/);
    expect(await messageFor('{"format":"other"}')).toMatch(/does not say "format": "fluxion-run"/);
    const envelope = { format: "fluxion-run", version: 1, created: run.created, config };
    expect(await messageFor(JSON.stringify({ ...envelope, version: 2 }))).toMatch(
      /layout version 2, and this program reads version 1; use the version .* or a newer one/,
    );
    expect(await messageFor(JSON.stringify({ ...envelope, version: "1" }))).toMatch(
      /"version" is "1"; it must be a whole number/,
    );
    expect(await messageFor(JSON.stringify({ ...envelope, config: { ...config, steps: 0 } }))).toBe(
      `${path}: "steps" is 0; it must be a whole number of at least 1.`,
    );
    expect(await messageFor(JSON.stringify({ ...envelope, config: { ...config, stepz: 1 } }))).toMatch(
      /"stepz" is not a known/,
    );
  });

  it("opening removes the temporary files of a crash and nothing else", async () => {
    const run = await newRun();
    await saveCheckpoint(run, "state", weights, { step: 3, phase: "flm" });
    await writeFile(join(run.dir, "state.safetensors.999999999-4.partial"), "half");
    const again = await open(run.dir);
    expect((await readdir(run.dir)).sort()).toEqual(["config.json", "state.safetensors"]);
    expect((await loadCheckpoint(again, "state")).meta.step).toBe(3);
  });
});

describe("checkpoints", () => {
  it("give back values and metadata exactly", async () => {
    const run = await newRun();
    const meta = { step: 12, phase: "fmlm", seed: [4294967295, 0], best: 0.1 + 0.2, note: null };
    await saveCheckpoint(run, "state", weights, meta);
    const { tensors, meta: read } = await loadCheckpoint(
      run,
      "state",
      new Map(weights.map((w) => [w.name, w])),
    );
    expect(read).toEqual(meta);
    expect(tensors.get("w")).toEqual({ dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) });
    expect(tensors.get("step")?.data).toEqual(Uint32Array.of(7));
  });

  it("a failed save keeps the previous one", async () => {
    const run = await newRun();
    await saveCheckpoint(run, "state", weights, { step: 1, phase: "flm" });
    const full = {
      ...weights[0],
      data: () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" })),
    };
    expect(await userErrorOf(() => saveCheckpoint(run, "state", [full], { step: 2, phase: "flm" }))).toMatch(
      /Cannot write .*state.safetensors: the disk is full/,
    );
    await expect(saveCheckpoint(run, "state", weights, { step: 2, phase: "flm", loss: NaN })).rejects.toThrow(
      /"loss" is NaN/,
    );
    expect((await loadCheckpoint(run, "state")).meta.step).toBe(1);
    expect((await readdir(run.dir)).sort()).toEqual(["config.json", "state.safetensors"]);
  });

  it("loading says what is wrong, from a missing file to other shapes", async () => {
    const run = await newRun();
    const path = join(run.dir, "fmlm.safetensors");
    const load = (): Promise<string> => userErrorOf(() => loadCheckpoint(run, "fmlm"));
    expect(await load()).toMatch(/has no fmlm.safetensors: its training has not come that far. Resume it/);
    const metadataOf = (meta: string, version = "1"): ReadonlyMap<string, string> =>
      new Map([
        ["format", "fluxion-checkpoint"],
        ["version", version],
        ["meta", meta],
      ]);
    await writeSafetensors(path, weights);
    expect(await load()).toMatch(/not a checkpoint of a run/);
    await writeSafetensors(path, weights, metadataOf("{}", "9"));
    expect(await load()).toMatch(/layout version 9/);
    await writeSafetensors(path, weights, metadataOf("{"));
    expect(await load()).toMatch(/the "meta" in its metadata is not JSON/);
    await writeSafetensors(path, weights, metadataOf('{"step":-1,"phase":"flm"}'));
    expect(await load()).toMatch(/meta: "step" is -1/);
    await writeSafetensors(path, weights, metadataOf('{"step":1,"phase":"flm"}'));
    const expected = new Map([
      ["w", { shape: [3, 2] }],
      ["step", { shape: [] }],
    ]);
    expect(await userErrorOf(() => loadCheckpoint(run, "fmlm", expected))).toBe(
      `${path} does not fit the model: tensor "w" has shape [2, 2], expected [3, 2].`,
    );
    await truncate(path, 100);
    expect(await load()).toMatch(/fmlm.safetensors: .*the file is cut short/);
  });
});

describe("metrics", () => {
  const lines = [1, 2, 3, 4].map((step) => ({ step, loss: 1 / step }));

  it("a run resumed from a checkpoint has the same log as one never interrupted", async () => {
    const [whole, broken] = [await newRun(), await newRun()];
    await appendMetrics(whole, lines);
    await appendMetrics(broken, lines.slice(0, 2));
    await saveCheckpoint(broken, "state", weights, { step: 2, phase: "flm" });
    await appendMetrics(broken, lines.slice(2, 3));
    const log = join(broken.dir, "metrics.jsonl");
    await writeFile(log, `${await readFile(log, "utf8")}{"step":4,"lo`); // the crash
    const resumed = await open(broken.dir);
    const { meta } = await loadCheckpoint(resumed, "state");
    await rewindMetrics(resumed, meta.step);
    expect(await readMetrics(resumed)).toEqual(lines.slice(0, 2));
    await appendMetrics(resumed, lines.slice(2));
    expect(await readFile(log)).toEqual(await readFile(join(whole.dir, "metrics.jsonl")));
  });

  it("rewinding to the end, to the start, and without a log", async () => {
    const run = await newRun();
    await rewindMetrics(run, 5);
    expect(await readMetrics(run)).toEqual([]);
    await appendMetrics(run, lines);
    await rewindMetrics(run, 4);
    expect(await readMetrics(run)).toEqual(lines);
    await rewindMetrics(run, 0);
    expect(await readMetrics(run)).toEqual([]);
  });

  it("rewinding removes a torn last line even when no whole line is past the step", async () => {
    const run = await newRun();
    const path = join(run.dir, "metrics.jsonl");
    await writeFile(path, '{"step":1}\n{"step":2}\n{"st');
    await rewindMetrics(run, 2);
    expect(await readFile(path, "utf8")).toBe('{"step":1}\n{"step":2}\n');
  });

  it("a damaged line is named", async () => {
    const run = await newRun();
    const path = join(run.dir, "metrics.jsonl");
    await writeFile(path, '{"step":1}\n{"loss":2}\n');
    expect(await userErrorOf(() => readMetrics(run))).toBe(`${path}: line 2: "step" is missing.`);
    await writeFile(path, "null\n");
    expect(await userErrorOf(() => readMetrics(run))).toMatch(/line 1: found null where an object/);
  });
});

describe("fieldsOf", () => {
  it("returns typed values and refuses wrong ones with what is allowed", () => {
    const f = fieldsOf({ n: 1.5, s: "x", b: true, o: { n: "1" }, big: 1e300, toString: 1 }, "c.json");
    expect([f.number("n"), f.string("s"), f.boolean("b"), f.choice("s", ["x", "y"]), f.has("z")]).toEqual([
      1.5,
      "x",
      true,
      "x",
      false,
    ]);
    expect(() => f.end()).toThrow('c.json: "o", "big", "toString" is not a known setting.');
    const cases: readonly (readonly [() => unknown, string])[] = [
      [
        () => f.number("n", { integer: true, min: 1, max: 3 }),
        'c.json: "n" is 1.5; it must be a whole number from 1 to 3.',
      ],
      [() => f.number("n", { max: 1 }), 'c.json: "n" is 1.5; it must be a number of at most 1.'],
      [() => f.number("big", { integer: true }), 'c.json: "big" is 1e+300; it must be a whole number.'],
      [() => f.number("hasOwnProperty"), 'c.json: "hasOwnProperty" is missing.'],
      [() => f.string("o"), 'c.json: "o" is an object; it must be a text.'],
      [() => f.boolean("s"), 'c.json: "s" is "x"; it must be true or false.'],
      [() => f.choice("s", ["y", "z"]), 'c.json: "s" is "x"; it must be one of y, z.'],
      [() => f.object("o").number("n"), 'c.json: o: "n" is "1"; it must be a number.'],
      [() => f.object("n"), "c.json: n: found 1.5 where an object with named values is needed."],
    ];
    for (const [work, message] of cases) {
      expect(work).toThrow(message);
      expect(work).toThrow(UserError);
    }
  });
});

describe("checkpointMeta and removeCheckpoint", () => {
  it("read what a checkpoint says without its values, and remove it once or twice", async () => {
    const run = await newRun();
    await saveCheckpoint(run, "state", weights, { step: 3, phase: "flm" });
    expect(await checkpointMeta(run, "state")).toEqual({ step: 3, phase: "flm" });
    await removeCheckpoint(run, "state");
    await removeCheckpoint(run, "state");
    expect(await hasCheckpoint(run, "state")).toBe(false);
    expect(await userErrorOf(() => checkpointMeta(run, "state"))).toContain("has no state.safetensors");
  });
});
