/**
 * The main job from beginning to end on a tiny model, and everything that is done with its run folder afterwards. One run serves
 * all tests; those that damage it work on a copy.
 */
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ditConfigOf } from "../../src/models/networks/checkpoint.ts";
import { officialParameters } from "../../src/models/networks/official-names.ts";
import { readSafetensors, writeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fluxion, TERMINAL, testFolder, TINY } from "../support/cli.ts";
import type { Outcome } from "../support/cli.ts";
import { storyText } from "../support/story.ts";

const options = { timeout: 120_000 };
let folder: string;
let run: string;
let data: string;
let outcome: Outcome;

beforeAll(async () => {
  folder = await testFolder();
  [run, data] = [join(folder, "run"), join(folder, "story.txt")];
  await writeFile(data, storyText(900));
  outcome = await fluxion([
    "demo",
    ...TINY,
    "--steps",
    "12",
    "--distill-steps",
    "6",
    "--data",
    data,
    "--out",
    run,
  ]);
}, 120_000);

/** A copy of the run, to be damaged. */
async function copyOfRun(): Promise<string> {
  const copy = join(await testFolder(), "run");
  await cp(run, copy, { recursive: true });
  return copy;
}

const fileNames = [
  "config.json",
  "flm.safetensors",
  "fmlm.safetensors",
  "metrics.jsonl",
  "report.html",
  "samples.txt",
  "vocabulary.json",
];

describe("fluxion demo", options, () => {
  it("ends well and leaves a complete run folder", async () => {
    expect(outcome).toMatchObject({ code: 0, signal: null });
    expect((await readdir(run)).toSorted()).toEqual(fileNames);
  });

  it("prints the table: both models at every number of steps, and the texts to compare with", () => {
    for (const steps of [1, 2, 4, 8])
      for (const model of ["FLM", "FMLM"])
        expect(outcome.stdout).toMatch(new RegExp(`^ +${steps} +${model} +[\\d.]+`, "m"));
    for (const text of ["held-out text", "shuffled text", "unigram samples"])
      expect(outcome.stdout).toMatch(new RegExp(`^ +– +${text} +[\\d.]+`, "m"));
    for (const steps of [1, 2, 4])
      expect(outcome.stdout).toMatch(new RegExp(`^FMLM in ${steps} steps?, FLM in ${steps}: .*\\.$`, "m"));
    expect(outcome.stdout).toContain(`fluxion sample ${run} --steps 1`);
    expect(outcome.stdout).toContain("a vocabulary of 51 (60 asked for; the text has no more)");
  });

  it("in a pipe writes plain lines only", () => {
    const output = outcome.stdout + outcome.stderr;
    expect(output).not.toMatch(/\r|\u001b/);
    expect(outcome.stderr).toMatch(/^FLM {2}12\/12 {2}loss \d/m);
    expect(outcome.stderr).toMatch(/^FMLM 6\/6 {2}loss \d/m);
  });

  it("logs losses of both phases and the validation loss, in order", async () => {
    const lines = (await readFile(join(run, "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ step, phase }) => [step, phase])).toEqual([[0, "flm"], [10, "flm"], [11, "flm"], [11, "flm"], [12, "fmlm"], [17, "fmlm"]]); // prettier-ignore
    for (const line of lines) expect(line.loss ?? line.validation).toBeGreaterThan(0);
    expect(lines[3]).toHaveProperty("validation");
  });

  it.each([
    ["flm", false],
    ["fmlm", true],
  ])("writes %s.safetensors under the authors' names", async (name, targetTime) => {
    const { tensors } = await readSafetensors(join(run, `${name}.safetensors`));
    const sizes = { vocab: 51, width: 16, depth: 1, conditioning: 32, mlpRatio: 4, targetTime };
    const expected = officialParameters(sizes).map((parameter) => [parameter.name, parameter.shape]);
    expect(new Map([...tensors].map(([key, { shape }]) => [key, shape]))).toEqual(
      new Map(expected as [string, number[]][]),
    );
    expect(ditConfigOf(tensors, { length: 6, heads: 2 })).toMatchObject({
      vocab: 51,
      width: 16,
      depth: 1,
      targetTime,
    });
    for (const { data: values } of tensors.values())
      expect(Array.from(values, Number).every(Number.isFinite)).toBe(true);
  });

  it("writes samples and a report that can be read without network", async () => {
    const samples = await readFile(join(run, "samples.txt"), "utf8");
    for (const heading of ["FLM, 1 step", "FLM, 8 steps", "FMLM, 1 step", "FMLM, 8 steps"])
      expect(samples).toMatch(new RegExp(`^${heading}\n(  \\S.*\n){8}`, "m"));
    const report = await readFile(join(run, "report.html"), "utf8");
    expect(report).toMatch(/^<!doctype html>/i);
    expect(report).not.toMatch(/(src|href)="https?:/);
    expect(report).toContain("held-out text");
  });

  it("resumed when finished, measures again and changes nothing else", async () => {
    const copy = await copyOfRun();
    const again = await fluxion(["demo", "--resume", copy]);
    expect(again.code).toBe(0);
    expect(again.stderr).not.toMatch(/^FLM|^FMLM/m);
    for (const name of fileNames.filter((file) => file !== "report.html"))
      expect(await readFile(join(copy, name)), name).toEqual(await readFile(join(run, name)));
  });
});

const sample = (...args: string[]): Promise<Outcome> => fluxion(["sample", run, ...args]);
const linesOf = ({ stdout }: Outcome): string[] => stdout.split("\n").slice(0, -1);

describe("fluxion sample", options, () => {
  it("prints texts of both models at several numbers of steps", async () => {
    for (const [model, steps] of [
      ["flm", 1],
      ["flm", 3],
      ["fmlm", 1],
      ["fmlm", 4],
    ] as const) {
      const texts = await sample("--model", model, "--steps", String(steps), "--count", "2");
      expect(texts).toMatchObject({ code: 0, stderr: "" });
      expect(linesOf(texts)).toHaveLength(2);
      for (const line of linesOf(texts)) expect(line.split(" ")).toHaveLength(6);
    }
  });

  it("prints them as JSON, with what they were made by", async () => {
    const args = ["--model", "fmlm", "--steps", "2", "--count", "2", "--seed", "7"];
    const [lines, json] = [await sample(...args), await sample(...args, "--json")];
    expect(linesOf(json)).toHaveLength(1);
    const { texts, ...rest } = JSON.parse(json.stdout) as {
      readonly texts: readonly { readonly text: string; readonly tokens: readonly number[] }[];
    };
    expect(rest).toEqual({ run, model: "fmlm", steps: 2, seed: 7 });
    expect(texts.map(({ text }) => text)).toEqual(linesOf(lines));
    const { vocabulary } = JSON.parse(await readFile(join(run, "vocabulary.json"), "utf8")) as {
      readonly vocabulary: { readonly tokens: readonly string[] };
    };
    for (const { text, tokens: ids } of texts)
      expect(
        ids
          .map((id) => vocabulary.tokens[id])
          .join(" ")
          .replaceAll("<sep>", "|"),
      ).toBe(text);
  });

  it("gives the same texts for a seed, whatever their number and the batch", async () => {
    const args = ["--steps", "2", "--gamma", "0.5"];
    // The run's batch is 128, so 130 samples are two batches, one of them nearly empty.
    const [three, nine, many, other] = await Promise.all([
      sample(...args, "--count", "3"),
      sample(...args, "--count", "9"),
      sample(...args, "--count", "130"),
      sample(...args, "--count", "9", "--seed", "7"),
    ]);
    expect([three, nine, many, other].map((texts) => linesOf(texts).length)).toEqual([3, 9, 130, 9]);
    expect(linesOf(nine).slice(0, 3)).toEqual(linesOf(three));
    expect(linesOf(many).slice(0, 9)).toEqual(linesOf(nine));
    expect(linesOf(other)).not.toEqual(linesOf(nine));
    expect(new Set(linesOf(many)).size).toBeGreaterThan(100);
  });

  it("needs no text: the vocabulary is in the folder, and a folder without one falls back on the text", async () => {
    const args = ["--steps", "2", "--count", "4"];
    const expected = linesOf(await sample(...args));
    const copy = await copyOfRun();
    await rm(join(copy, "vocabulary.json"));
    const old = await fluxion(["sample", copy, ...args]);
    expect([old.code, linesOf(old)]).toEqual([0, expected]);
    const alone = await copyOfRun();
    await rewrite(alone, "config.json", (text) => text.replace(JSON.stringify(data), '"/gone/text.txt"'));
    const without = await fluxion(["sample", alone, ...args]);
    expect([without.code, without.stderr, linesOf(without)]).toEqual([0, "", expected]);
  });

  it("samples by other methods: those that are the model's own give its texts", async () => {
    const own = ["--steps", "3", "--count", "5"];
    for (const [model, ...others] of [
      ["flm", ["--method", "euler"], ["--method", "exponential"], ["--prior-scale", "1", "--top-p", "1"]],
      ["fmlm", ["--method", "jumps"], ["--temperature", "1"]],
    ] as const) {
      const expected = await sample("--model", model, ...own);
      for (const other of others) expect(await sample("--model", model, ...own, ...other)).toEqual(expected);
      for (const other of ["heun", "midpoint", "bridge"]) {
        const texts = await sample("--model", model, ...own, "--method", other);
        expect(texts).toMatchObject({ code: 0, stderr: "" });
        expect(linesOf(texts)).toHaveLength(5);
        // An untrained drift may end at the same words; drawn endpoints do not.
        if (other === "bridge") expect(linesOf(texts)).not.toEqual(linesOf(expected));
      }
    }
  });

  it("keeps the words that are given", async () => {
    const [word = "", other = ""] = linesOf(await sample("--count", "1"))[0]?.split(" ") ?? [];
    const texts = await sample(
      "--steps",
      "2",
      "--count",
      "4",
      "--top-p",
      "0.9",
      "--infill",
      `_ ${word} _ ${other}`,
    );
    expect(texts).toMatchObject({ code: 0, stderr: "" });
    for (const line of linesOf(texts)) {
      const words = line.split(" ");
      expect([words.length, words[1], words[3]]).toEqual([6, word, other]);
    }
    expect(new Set(linesOf(texts)).size).toBeGreaterThan(1);
  });

  // In one step the other words are those of texts without given words.
  it("takes more steps where words are given and no steps are, and says so", async () => {
    const args = ["--count", "6", "--infill", "the _ a"];
    const usual = await sample(...args);
    expect(usual).toMatchObject({
      code: 0,
      stderr: "In 8 steps, for one does not see the words of --infill.\n",
    });
    const asked = await sample(...args, "--steps", "8");
    expect(asked).toMatchObject({ code: 0, stderr: "", stdout: usual.stdout });
  });

  // Of one jump the tokens are the most probable ones, whatever shapes the distribution, and nothing comes after it.
  it("says which options change nothing in one step", async () => {
    const plain = await sample("--count", "6");
    const asked = await sample("--count", "6", "--gamma", "0.1", "--temperature", "3", "--top-p", "0.3");
    expect(asked).toEqual({
      ...plain,
      stderr:
        "In one step --gamma and --temperature and --top-p change nothing: it goes from noise to the most probable tokens.\n",
    });
    expect(await sample("--count", "1", "--steps", "2", "--gamma", "0.1")).toMatchObject({ stderr: "" });
    // Which draws in its only step.
    const bridge = ["--model", "flm", "--method", "bridge", "--steps", "1", "--temperature", "3"];
    expect(await sample("--count", "1", ...bridge)).toMatchObject({ stderr: "" });
  });

  it.each([
    [
      "--infill needs 2 steps or more: the first begins with noise alone, so in 1 the other words would be written without the given ones",
      ["--infill", "the _ a", "--steps", "1"],
    ],
    [
      "--method jumps needs a flow map, which flm is not; choose --model fmlm, or another method",
      ["--model", "flm", "--method", "jumps"],
    ],
    [
      "--gamma renews noise between jumps; leave it out, or choose --method jumps instead of heun",
      ["--method", "heun", "--gamma", "0.5"],
    ],
    ["--infill has 7 words, and texts of this run have 6", ["--infill", "_ _ _ _ _ _ _"]],
    ['--infill "_ _" gives nothing: write words to keep, and _ where any may come', ["--infill", "_ _"]],
    ['--infill: "xyzzy" is not in the run\'s vocabulary of 51', ["--infill", "_ Xyzzy"]],
    ['--steps must be a number >= 1 and <= 10000, got "1e9"', ["--steps", "1e9"]],
    [
      "--force takes a file whose code has changed, and RUN trains the demo's FLM and FMLM, which has none; leave it out.",
      ["--force"],
    ],
    ['--top-p must be a number >= 0.001 and <= 1, got "2"', ["--top-p", "2"]],
  ])("says %s", async (message, args) => {
    const { code, stderr } = await sample(...args);
    expect({ code, stderr: stderr.replaceAll(run, "RUN") }).toEqual({
      code: 2,
      stderr: `fluxion: ${message}\n`,
    });
  });

  it("refuses a setting of the other model's sampler", async () => {
    expect(await sample("--model", "flm", "--gamma", "1")).toMatchObject({
      code: 2,
      stderr: "fluxion: --gamma is a setting of fmlm's sampler; leave it out, or choose --model fmlm\n",
    });
  });
});

/** Changes a copy of the run, and gives the one line that a command then says. */
async function complaint(
  change: (dir: string) => Promise<unknown>,
  command: (dir: string) => readonly string[],
): Promise<string> {
  const dir = await copyOfRun();
  await change(dir);
  const before = await readdir(dir);
  const { code, stderr, stdout } = await fluxion(command(dir));
  expect(code, stderr).toBe(2);
  expect(stderr.match(/\n/g), stderr).toHaveLength(1);
  expect(stdout).not.toContain("Written");
  expect(await readdir(dir)).toEqual(before);
  return stderr.replaceAll(dir, "RUN");
}

const sampling = (dir: string): string[] => ["sample", dir];
const resuming = (dir: string): string[] => ["demo", "--resume", dir];
const rewrite = (dir: string, name: string, edit: (text: string) => string): Promise<void> =>
  readFile(join(dir, name), "utf8").then((text) => writeFile(join(dir, name), edit(text)));

describe("a damaged or changed run folder: one line, exit code 2, and nothing touched", options, () => {
  it("without config.json, with half of it, with a wrong or unknown setting", async () => {
    expect(await complaint((dir) => rm(join(dir, "config.json")), sampling)).toMatch(
      "RUN is not a run folder: it has no config.json",
    );
    expect(await complaint((dir) => truncate(join(dir, "config.json"), 100), resuming)).toMatch(
      "RUN/config.json is damaged",
    );
    expect(
      await complaint(
        (dir) => rewrite(dir, "config.json", (text) => text.replace('"width": 16', '"width": 15')),
        resuming,
      ),
    ).toMatch("RUN/config.json: width 15 must be a multiple of twice the 2 heads");
    expect(
      await complaint(
        (dir) => rewrite(dir, "config.json", (text) => text.replace('"clip"', '"cilp"')),
        resuming,
      ),
    ).toMatch('"clip" is missing');
    expect(
      await complaint(
        (dir) => rewrite(dir, "config.json", (text) => text.replace('"seed"', '"sede": 2,\n"seed"')),
        resuming,
      ),
    ).toMatch('"sede" is not a known setting');
  });

  it("without a checkpoint", async () => {
    expect(
      await complaint(
        (dir) => rm(join(dir, "fmlm.safetensors")),
        (dir) => ["sample", dir, "--model", "fmlm"],
      ),
    ).toMatch("The run RUN has no fmlm.safetensors: its training has not come that far");
  });

  it("with a truncated, hostile or foreign checkpoint", async () => {
    const weights = (dir: string): string => join(dir, "fmlm.safetensors");
    expect(await complaint((dir) => truncate(weights(dir), 5000), sampling)).toMatch(
      "RUN/fmlm.safetensors: ",
    );
    expect(await complaint((dir) => truncate(weights(dir), 0), sampling)).toMatch("RUN/fmlm.safetensors: ");
    const huge = new Uint8Array(16);
    new DataView(huge.buffer).setBigUint64(0, 2n ** 62n, true);
    expect(await complaint((dir) => writeFile(weights(dir), huge), sampling)).toMatch(
      "RUN/fmlm.safetensors: ",
    );
    expect(
      await complaint(
        (dir) =>
          writeSafetensors(weights(dir), [{ name: "x", dtype: "F32", shape: [1], data: Float32Array.of(1) }]),
        sampling,
      ),
    ).toMatch("not a checkpoint of a run");
  });

  it("with weights of other shapes", async () => {
    const swap = (dir: string): Promise<void> =>
      cp(join(dir, "flm.safetensors"), join(dir, "fmlm.safetensors"));
    expect(await complaint(swap, sampling)).toMatch(
      /RUN\/fmlm.safetensors does not fit the model: tensor ".*" \[.*\] is missing/,
    );
    const wider = (dir: string): Promise<void> =>
      rewrite(dir, "config.json", (text) => text.replace('"width": 16', '"width": 20'));
    expect(await complaint(wider, sampling)).toMatch(/has shape \[.*16.*\], expected \[.*20.*\]/);
  });

  it("with a text that has changed since, or is gone", async () => {
    const other = join(folder, "other.txt");
    await writeFile(other, `${storyText(900)}the small cat sits near the small cat at night\n`);
    const elsewhere = (path: string) => (dir: string) =>
      rewrite(dir, "config.json", (text) => text.replace(JSON.stringify(data), JSON.stringify(path)));
    const gone = join(folder, "gone.txt");
    // Sampling needs the text only in folders of earlier versions, which have no vocabulary.
    const bare = (change: (dir: string) => Promise<void>) => async (dir: string) => {
      await rm(join(dir, "vocabulary.json"));
      await change(dir);
    };
    for (const [change, command] of [
      [elsewhere, resuming],
      [(path: string) => bare(elsewhere(path)), sampling],
    ] as const) {
      expect(await complaint(change(other), command)).toMatch(
        `The text of this run has changed: ${other} gives other tokens`,
      );
      expect(await complaint(change(gone), command)).toMatch("it does not exist; check the path (ENOENT)");
    }
    expect(await complaint(bare(elsewhere(gone)), sampling)).toMatch(
      `RUN holds no vocabulary.json, and its text gives none: Cannot read ${gone}: `,
    );
  });

  it("with a truncated, foreign or changed vocabulary, which resuming mends", async () => {
    const file = "vocabulary.json";
    expect(await complaint((dir) => truncate(join(dir, file), 100), sampling)).toMatch(
      "RUN/vocabulary.json is damaged: its 100 characters are not JSON; delete it, and the text of the run gives the vocabulary again.",
    );
    expect(
      await complaint((dir) => rewrite(dir, file, (text) => text.replace('"cat"', '"cow"')), sampling),
    ).toMatch("RUN/vocabulary.json is damaged or was changed");
    const copy = await copyOfRun();
    await writeFile(join(copy, file), "{}");
    expect(await fluxion(resuming(copy))).toMatchObject({ code: 0 });
    expect(await readFile(join(copy, file))).toEqual(await readFile(join(run, file)));
  });

  it("a folder that is in use, or holds something else", async () => {
    const again = (dir: string): string[] => ["demo", ...TINY, "--data", data, "--out", dir];
    expect(await complaint(async () => undefined, again)).toMatch(
      "RUN already holds a run; resume it, or choose another folder",
    );
    const used = join(await testFolder(), "used");
    await mkdir(used);
    await writeFile(join(used, "thesis.tex"), "");
    expect(await fluxion(again(used))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is not empty and not a run folder (it holds thesis.tex)"),
    });
    expect(await readdir(used)).toEqual(["thesis.tex"]);
  });

  it("--resume with settings", async () => {
    expect(
      await complaint(
        async () => undefined,
        (dir) => ["demo", "--resume", dir, "--steps", "5", "--lr", "1"],
      ),
    ).toMatch(
      "--resume goes on with the run's own settings, so it does not take --steps, --lr; leave out those options",
    );
  });
});

describe("the whole job on characters", options, () => {
  it("has its own sequence length, gives plain text, and draws no bar under NO_COLOR", async () => {
    const dir = join(folder, "chars");
    const job = await fluxion(["demo", "--quick", "--tokens", "chars", "--width", "16", "--depth", "1", "--heads", "2", "--batch", "64", "--samples", "8", "--steps", "3", "--distill-steps", "2", "--data", data, "--out", dir], { node: TERMINAL, env: { TERM: "xterm", NO_COLOR: "1" } }); // prettier-ignore
    expect(job.code, job.stderr).toBe(0);
    expect(job.stderr).toMatch(/^FLM {2}1\/3 /m);
    expect(job.stdout + job.stderr).not.toMatch(/\r|\u001b/);
    expect(job.stdout).toMatch(/characters to train on, a vocabulary of 27, sequences of 32\./);
    const texts = await fluxion(["sample", dir, "--count", "3"]);
    expect(linesOf(texts)).toHaveLength(3);
    for (const line of linesOf(texts)) expect(line).toMatch(/^[a-z ]{32}$/);
  });

  it("says how many repeated lines it leaves out, or keeps them, also when it is resumed", async () => {
    const [twice, dir] = [join(folder, "twice.txt"), join(folder, "repeats")];
    const text = await readFile(data, "utf8");
    await writeFile(twice, `${text}\n${text}`);
    const tiny = ["--quick", "--tokens", "chars", "--width", "8", "--depth", "1", "--heads", "1", "--samples", "8", "--steps", "1", "--distill-steps", "1", "--data", twice] as const; // prettier-ignore
    const [once, kept] = [
      await fluxion(["demo", ...tiny, "--out", `${dir}-once`]),
      await fluxion(["demo", ...tiny, "--keep-repeats", "--out", dir]),
    ];
    const characters = ({ stdout }: typeof once): number =>
      Number(/([\d,]+) characters to train on/.exec(stdout)?.[1]?.replaceAll(",", ""));
    expect(once.stdout).toMatch(
      / Lines that occur before are left out, [\d,]+ of them; --keep-repeats keeps them\.\n/,
    );
    expect(kept.stdout).not.toContain("left out");
    expect(characters(kept)).toBeGreaterThanOrEqual(2 * characters(once));
    const resumed = await fluxion(["demo", "--resume", dir]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(characters(resumed)).toBe(characters(kept));
  });
});
