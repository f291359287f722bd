/**
 * `fluxion train`: a user's own flow from its file to text, by way of verify; teachers; what is refused and how; and that the demo is the
 * training of a stock variant. Runs are of a few steps of a tiny network.
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { fluxion, packageUrl, start, testFolder, TINY } from "../support/cli.ts";
import type { Outcome } from "../support/cli.ts";
import { storyText } from "../support/story.ts";

const options = { timeout: 120_000 };
let folder: string;
let data: string;
let file: string;
let flowRun: string;
let trained: Outcome;

/** An interpolant of the user's own, a flow along it and a map of that flow. */
const OWN = `
import { half } from "./helper.ts";
export const circle: models.flows.Flow = flows.flow({
  name: "quarter circle",
  interpolant: flows.interpolant({
    name: "circle",
    alpha: (t) => sin(mul(sub(1, t), half)),
    beta: (t) => sin(mul(t, half)),
  }),
});
export const jumps = flows.flowMap({ name: "jumps", flow: circle, objective: objectives.semigroup(), boundary: 1 / 8 });
export const alone = flows.flowMap({ name: "alone", flow: circle, objective: objectives.semigroup(), teacher: false });
export const sized = (vocab: number, length: number) =>
  flows.flow({ name: \`of \${vocab} and \${length}\`, clock: models.decodingError({ vocab }) });
export const number = 3;
export const ball = () => models.spheres.sphericalFlow({ name: "ball" });
`;

async function ownFile(dir: string, name = "own.ts", text = OWN): Promise<string> {
  const head = `import { models, mul, sin, sub } from "${await packageUrl()}";\nconst { flows, objectives } = models;\n`;
  await writeFile(join(dir, "helper.ts"), "export const half: number = Math.PI / 2;\n");
  await writeFile(join(dir, name), `${head}${text}`);
  return join(dir, name);
}

const train = (variant: readonly string[], dir: string, ...more: string[]): Promise<Outcome> =>
  fluxion(["train", ...variant, ...TINY, "--data", data, "--out", dir, "--device", "cpu", ...more]);
const linesOf = ({ stdout }: Outcome): string[] => stdout.split("\n").slice(0, -1);
const json = async (dir: string, name: string) => JSON.parse(await readFile(join(dir, name), "utf8"));

/** What a command says in its one line. */
async function complaint(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await fluxion(args);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: "" });
  expect(stderr.match(/\n/g), stderr).toHaveLength(1);
  return stderr;
}

beforeAll(async () => {
  folder = await testFolder();
  data = join(folder, "story.txt");
  await writeFile(data, storyText(900));
  file = await ownFile(folder);
  flowRun = join(folder, "flow");
  trained = await train([file, "--export", "circle"], flowRun, "--steps", "12");
}, 120_000);

describe("a user's own flow", options, () => {
  it("is verified, trained and leaves a run folder with a report", async () => {
    expect(await fluxion(["verify", await ownFile(await testFolder(), "one.ts", `${OWN.split("export const jumps")[0]}`), "--cases", "1"])).toMatchObject({ code: 0 }); // prettier-ignore
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stdout).toContain("Compiling and training quarter circle.\nSampling the model.\n");
    expect(trained.stderr).toMatch(/^quarter circle 12\/12 {2}loss \d.* tokens\/s$/m);
    expect(trained.stdout).toMatch(/^ +4 +quarter circle +[\d.]+/m);
    expect(trained.stdout).toContain(`fluxion sample ${flowRun} --variant ${file} --steps 32`);
    expect((await readdir(flowRun)).toSorted()).toEqual([
      "config.json",
      "flm.safetensors",
      "metrics.jsonl",
      "report.html",
      "samples.txt",
      "vocabulary.json",
    ]);
    const { config } = await json(flowRun, "config.json");
    expect(config.variant).toMatchObject({ name: "quarter circle", kind: "flow", file: "own.ts", export: "circle", hash: expect.stringMatching(/^bundle:[0-9a-f]{32}$/) as string, teacher: "none" }); // prettier-ignore
    expect(await readFile(join(flowRun, "samples.txt"), "utf8")).toMatch(/^quarter circle, 8 steps\n {2}\S/m);
    const report = await readFile(join(flowRun, "report.html"), "utf8");
    expect(report).toContain('<h1 dir="auto">quarter circle</h1>');
    expect(report).toMatch(/<strong>quarter circle<\/strong>\s+cross-entropy/);
    expect(report).not.toContain("FLM");
    expect(await readFile(join(flowRun, "metrics.jsonl"), "utf8")).toMatch(
      /"phase":"flm","validation":[\d.]+}\n$/,
    );
  });

  it("is sampled in any number of steps by any method, with the file and not without", async () => {
    const sample = (...more: string[]): Promise<Outcome> =>
      fluxion(["sample", flowRun, "--device", "cpu", "--count", "3", "--variant", file, ...more]);
    const own = linesOf(await sample("--steps", "4"));
    expect(own).toHaveLength(3);
    expect(linesOf(await sample("--steps", "4", "--method", "euler"))).toEqual(own);
    expect(linesOf(await sample("--steps", "1"))).toHaveLength(3);
    const drawn = await sample(
      "--steps",
      "3",
      "--method",
      "bridge",
      "--temperature",
      "0.7",
      "--infill",
      "the _ _",
    );
    for (const line of linesOf(drawn)) expect(line).toMatch(/^the /);
    expect(drawn).toMatchObject({ code: 0, stderr: "" });

    expect(await complaint(["sample", flowRun])).toContain(`trains the export "circle" of own.ts, and code is never loaded from a run folder: give the file, as --variant FILE.`); // prettier-ignore
    expect(await complaint(["sample", flowRun, "--variant", "flm"])).toContain(`trains the export "circle" of own.ts, not the stock variant flm.`); // prettier-ignore
    expect(await complaint(["sample", flowRun, "--variant", file, "--gamma", "1"])).toContain(`between the jumps of a flow map, and ${flowRun} has none; leave it out`); // prettier-ignore
    expect(await complaint(["sample", flowRun, "--variant", file, "--method", "jumps"])).toContain(`needs a flow map, and ${flowRun} has none; choose another method`); // prettier-ignore
    expect(await complaint(["sample", flowRun, "--variant", file, "--model", "map"])).toContain("has no model of a map"); // prettier-ignore
  });

  it("is another one when its code or what it imports changes, not when a comment or the folder does", async () => {
    const elsewhere = await testFolder();
    const commented = await ownFile(elsewhere, "own.ts", `// new\n${OWN}`);
    const sample = (path: string, ...more: string[]): readonly string[] => [
      "sample", flowRun, "--device", "cpu", "--steps", "2", "--count", "1", "--variant", path, ...more]; // prettier-ignore
    const expected = await fluxion(sample(file));
    expect(await fluxion(sample(commented))).toEqual(expected);
    await writeFile(join(elsewhere, "helper.ts"), "export const half: number = Math.PI * 0.5;\n");
    expect(await complaint(sample(commented))).toMatch(
      /own\.ts is not the code that .* was trained with \(now bundle:\w+, then bundle:\w+\): restore it, or use it as it is with --force\.\n$/,
    );
    expect(await fluxion(sample(commented, "--force"))).toEqual(expected);
    expect(await complaint(["train", commented, "--resume", flowRun])).toContain("is not the code that");
    expect(await complaint(["train", "--resume", flowRun])).toContain(`give the file, as fluxion train FILE --resume ${flowRun}`); // prettier-ignore
    expect(await complaint(sample(file, "--export", "jumps"))).toContain(`trains the export "circle" of own.ts, not "jumps"`); // prettier-ignore
  });

  it("shows the program of its step", async () => {
    const { code, stdout } = await fluxion(["inspect", flowRun, "--variant", file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^the step of quarter circle: \d+ equations as traced/);
  });
});

describe("a flow map", options, () => {
  it("takes the flow's run as its teacher, with text and sizes, and needs it no more", async () => {
    const [dir, teacher] = [join(folder, "taught"), join(folder, "teacher")];
    await cp(flowRun, teacher, { recursive: true });
    const { code, stdout, stderr } = await fluxion(["train", file, "--export", "jumps", "--teacher", teacher, "--quick", "--steps", "6", "--samples", "16", "--out", dir, "--device", "cpu"]); // prettier-ignore
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(
      `Compiling and training jumps, from quarter circle of ${teacher}.\nSampling both models.`,
    );
    const weights = (run: string): Promise<Buffer> => readFile(join(run, "flm.safetensors"));
    expect((await weights(dir)).equals(await weights(teacher))).toBe(true);
    const lines = (await readFile(join(dir, "metrics.jsonl"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line)).map(({ step, phase }) => [step, phase])).toEqual([[0, "fmlm"], [5, "fmlm"]]); // prettier-ignore

    // As if it had ended before the teacher was copied; and as if there were another run in the teacher's place.
    await Promise.all(["flm", "fmlm"].map((name) => rm(join(dir, `${name}.safetensors`))));
    const config = await readFile(join(teacher, "config.json"), "utf8");
    await writeFile(join(teacher, "config.json"), config.replace(/"flow": "\w+"/, '"flow": "another"'));
    const refused = await fluxion(["train", file, "--resume", dir, "--device", "cpu"]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`${teacher} cannot teach: its flow`) as string }); // prettier-ignore
    await writeFile(join(teacher, "config.json"), config);
    const before = await readFile(join(dir, "samples.txt"));
    expect(await fluxion(["train", file, "--resume", dir, "--device", "cpu"])).toMatchObject({ code: 0 });
    expect((await readFile(join(dir, "samples.txt"))).equals(before)).toBe(true);
    await rm(teacher, { recursive: true });
    for (const [model, steps] of [["map", "1"], ["map", "3"], ["flow", "2"]] as const) // prettier-ignore
      expect(await fluxion(["sample", dir, "--variant", file, "--model", model, "--steps", steps, "--device", "cpu"])).toMatchObject({ code: 0, stderr: "" }); // prettier-ignore
    const verify = ["verify", dir, "--cases", "1", "--device", "cpu"];
    const found = await fluxion([...verify, "--variant", file, "--json"]);
    expect(found.code, found.stderr).toBe(0);
    expect(JSON.parse(found.stdout)).toMatchObject({ kind: "trained flow map", flow: "quarter circle" });
    expect(await complaint(verify)).toContain(`trains the export "jumps" of own.ts, and code is never loaded from a run folder: give the file, as --variant FILE.`); // prettier-ignore
  });

  it("without a teacher has it trained first, and says so; one that needs none is trained alone", async () => {
    const [both, alone] = [join(folder, "both"), join(folder, "alone")];
    const first = await train([file, "--export", "jumps"], both, "--steps", "3", "--teacher-steps", "4");
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout).toContain(`"jumps" learns from a teacher: its flow "quarter circle", which is trained first, in the same folder.\n`); // prettier-ignore
    expect(await readdir(both)).toEqual(expect.arrayContaining(["flm.safetensors", "fmlm.safetensors"]));
    const single = await train([file, "--export", "alone"], alone, "--steps", "3");
    expect(single.code, single.stderr).toBe(0);
    expect(single.stdout).toContain("Compiling and training alone, which learns from text alone.");
    expect(await readdir(alone)).not.toContain("flm.safetensors");
    expect(await complaint(["train", file, "--export", "jumps", "--teacher", alone])).toContain("cannot teach: its flow map was trained without a network of the flow itself"); // prettier-ignore
    expect(await complaint(["verify", alone, "--variant", file])).toContain("holds no flm, and a map is measured beside its teacher; name the run of one with --teacher RUN"); // prettier-ignore
    expect(await complaint(["verify", alone, "--variant", file, "--teacher", alone])).toContain("which --teacher names, holds no flm"); // prettier-ignore
    expect(await complaint(["verify", flowRun, "--variant", file])).toContain(`trains the export "circle" of own.ts, a flow and no flow map, of which alone a run is verified`); // prettier-ignore
    expect(await complaint(["sample", alone, "--variant", file, "--model", "flm"])).toContain("has no model of a flow, only one of its map"); // prettier-ignore
  });

  it("refuses a teacher of another vocabulary, size, space or flow", async () => {
    const dir = join(folder, "refused");
    const by = (...more: string[]): Promise<string> =>
      complaint(["train", file, "--export", "jumps", "--teacher", flowRun, "--quick", "--out", dir, "--device", "cpu", ...more]); // prettier-ignore
    expect(await by("--vocab", "48")).toMatch(/flow cannot teach: it has a vocabulary of 51, and this text gives one of 48\.$/m); // prettier-ignore
    const other = join(folder, "other.txt");
    await writeFile(other, storyText(900).replaceAll("cat", "mouse"));
    expect(await by("--data", other)).toMatch(/cannot teach: its vocabulary is another one; token \d+ is "\w+", and in this text "\w+"\./); // prettier-ignore
    expect(await by("--width", "32")).toContain("its network has a width of 16, and this run's 32; leave out --width for the teacher's."); // prettier-ignore
    expect(await by("--space", "vocabulary")).toContain("its states live in the projected space");
    const late = await ownFile(await testFolder(), "late.ts", OWN.replace("sin(mul(t, half))", "t"));
    const stranger = ["train", late, "--export", "jumps", "--teacher", flowRun, "--quick", "--out", dir, "--device", "cpu"]; // prettier-ignore
    expect(await complaint(stranger)).toContain(`cannot teach: its flow ("quarter circle") is not "quarter circle" (another interpolant`); // prettier-ignore
    expect(await readdir(folder)).not.toContain("refused");
  });
});

describe("a stock variant", options, () => {
  it("is trained by name; the demo is the training of FMLM, to the last byte", async () => {
    const [mine, demos] = [join(folder, "fmlm"), join(folder, "demo")];
    const steps = { train: ["--teacher-steps", "5", "--steps", "3"], demo: ["--steps", "5", "--distill-steps", "3"] }; // prettier-ignore
    expect(await train(["fmlm"], mine, ...steps.train)).toMatchObject({ code: 0 });
    const demo = await fluxion(["demo", ...TINY, ...steps.demo, "--data", data, "--out", demos, "--device", "cpu"]); // prettier-ignore
    expect(demo.code, demo.stderr).toBe(0);
    for (const name of ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl", "samples.txt"])
      expect((await readFile(join(mine, name))).equals(await readFile(join(demos, name))), name).toBe(true);
    expect(await fluxion(["sample", mine, "--steps", "2"])).toMatchObject({ code: 0 });
    expect(await complaint(["sample", mine, "--variant", file])).toContain("trains the stock variant fmlm, which needs no file; leave it out."); // prettier-ignore
    expect(await complaint(["demo", "--resume", mine])).toContain(
      `go on with fluxion train --resume ${mine}`,
    );
    expect(await complaint(["train", "--resume", demos])).toContain(
      `go on with fluxion demo --resume ${demos}`,
    );
    // A teacher of one variant is one of every map of the same flow.
    const lagrangian = await fluxion(["train", "fmlm-lagrangian", "--teacher", demos, "--steps", "2", "--samples", "16", "--quick", "--out", join(folder, "lagrangian"), "--device", "cpu"]); // prettier-ignore
    expect(lagrangian.code, lagrangian.stderr).toBe(0);
  });
});

describe("what cannot be trained: a line, exit code 2 and no folder", options, () => {
  const never = ["--out", "/proc/never", "--device", "cpu"];
  it.each<[string, (own: string) => readonly string[]]>([
    ["fluxion train needs a file that declares a flow or flow map, or one of flm, fmlm, ", () => []],
    ['There is no variant "flmm"; choose one of flm, fmlm, ', () => ["flmm"]],
    ["Cannot read absent.ts: it does not exist", () => ["absent.ts"]],
    ["story.txt is no module; give a file that ends in", (own) => [own.replace("own.ts", "story.txt")]],
    ["own.ts exports alone, circle, jumps; choose one with --export NAME.", (own) => [own]],
    ['own.ts has no export "line"; it exports alone, ball, circle, jumps, number, sized.', (own) => [own, "--export", "line"]], // prettier-ignore
    ['The export "number" of ', (own) => [own, "--export", "number"]],
    ['The export "ball" of ', (own) => [own, "--export", "ball"]],
    ["--export names what a file exports, and flm is a stock variant", () => ["flm", "--export", "x"]],
    ['"quarter circle" is a flow, which learns from text alone; leave out --teacher.', (own) => [own, "--export", "circle", "--teacher", join(own, "../flow")]], // prettier-ignore
    ['The flow map "alone" is declared without a teacher; leave out --teacher.', (own) => [own, "--export", "alone", "--teacher", join(own, "../flow")]], // prettier-ignore
    ["--teacher-steps is for a teacher that is trained first", () => ["flm", "--teacher-steps", "3"]],
    ['The flow "velocity flow" predicts a velocity of the vocabulary\'s size', () => ["velocity-flow", "--space", "projected"]], // prettier-ignore
    ['has rows of a learned embedding as states; leave it out.', () => ["embedding-flow", "--space", "projected"]], // prettier-ignore
    ['--space must be one of projected, vocabulary, got "moon"', () => ["flm", "--space", "moon"]],
    ['--samples must be a number >= 1 and <= 1000000, got "1e11"', () => ["flm", "--samples", "1e11"]],
    ["A distillation batch of 7 does not divide", () => ["shortcut", "--batch", "7"]],
    ["the text is too short: in tokens its splits are", () => ["flm", "--length", "4000"]],
  ])("%s", async (message, args) => {
    const given = args(file);
    const text = given.includes("--teacher") ? [] : ["--data", data];
    expect(await complaint(["train", ...given, "--quick", ...text, ...never])).toContain(message);
  });

  it("an empty name of a folder, and more texts than can be held", async () => {
    expect(await complaint(["train", "flm", "--data", data, "--out", "", "--device", "cpu"])).toContain("--out names the folder of the new run, and the name is empty."); // prettier-ignore
    expect(await complaint(["sample", flowRun, "--variant", file, "--count", "1e9"])).toContain('--count must be a number >= 1 and <= 1000000, got "1e9"'); // prettier-ignore
  });

  it("a folder in the place of a file", async () => {
    await mkdir(join(folder, "folder.ts"));
    expect(await complaint(["train", join(folder, "folder.ts"), ...never])).toContain("folder.ts is a folder; give the file that declares it."); // prettier-ignore
  });

  it("an objective that needs a teacher and is declared without one, in the words of the declaration", async () => {
    const needy = await ownFile(await testFolder(), "needy.ts", 'const o = { ...objectives.semigroup(), needsTeacher: true };\nexport default flows.flowMap({ name: "needy", flow: flows.flow({ name: "f" }), objective: o, teacher: false });'); // prettier-ignore
    expect(await complaint(["train", needy, ...never])).toMatch(/needy\.ts:4: The semigroup objective of "needy" learns from a teacher, and the declaration has none/); // prettier-ignore
  });

  it("a function of the file that throws when it is used, by its line", async () => {
    const broken = await ownFile(await testFolder(), "thrown.ts", `interface Gone {\n  a: 1;\n}\nconst target = (): never => {\n  throw new TypeError("not yet");\n};\nexport default flows.flowMap({ name: "thrown", flow: flows.flow({ name: "f" }), objective: { ...objectives.semigroup(), target } });`); // prettier-ignore
    expect(await complaint(["train", broken, "--quick", "--data", data, ...never])).toMatch(/thrown\.ts:7: TypeError: not yet\n$/); // prettier-ignore
  });
});

/** Waits for a state that was saved after a moment, in milliseconds. */
async function savedSince(dir: string, moment: number): Promise<void> {
  for (;;) {
    const found = await stat(join(dir, "state.safetensors")).catch(() => undefined);
    if (found !== undefined && found.mtimeMs > moment) return;
    await sleep(5);
  }
}

describe("a declared variant that is killed and resumed", options, () => {
  it("gives the bytes of an undisturbed run, a function of the vocabulary too", async () => {
    const job = (dir: string): string[] => ["train", file, "--export", "sized", ...TINY, "--data", data, "--device", "cpu", "--steps", "300", "--save-every", "0", "--out", dir]; // prettier-ignore
    const [undisturbed, dir] = [join(folder, "undisturbed"), join(folder, "killed")];
    expect(await fluxion(job(undisturbed))).toMatchObject({ code: 0, stdout: expect.stringContaining("training of 51 and 6.") as string }); // prettier-ignore
    const resume = ["train", file, "--resume", dir, "--device", "cpu", "--save-every", "0"];
    // Twice while states are being saved, and once at any moment.
    const moments = [200, 200, 1000].map((most) => Math.floor(Math.random() * most));
    for (const [i, moment] of moments.entries()) {
      const began = Date.now();
      const started = await start(i === 0 ? job(dir) : resume);
      if (i < 2) await savedSince(dir, began);
      await sleep(moment);
      started.child.kill("SIGKILL");
      expect((await started.done).signal, `moments ${moments.join(", ")}`).toBe("SIGKILL");
    }
    const finished = await fluxion(resume.slice(0, -2)); // saving less often from now on
    expect(finished.code, finished.stderr).toBe(0);
    for (const name of ["flm.safetensors", "metrics.jsonl", "samples.txt", "vocabulary.json"])
      expect((await readFile(join(dir, name))).equals(await readFile(join(undisturbed, name))), name).toBe(
        true,
      );
    expect(await readdir(dir)).toEqual(await readdir(undisturbed));
  });

  it("leaves no state behind when it was killed after its last weights were written", async () => {
    const dir = join(folder, "late");
    await cp(flowRun, dir, { recursive: true });
    await cp(join(dir, "flm.safetensors"), join(dir, "state.safetensors"));
    const resumed = await fluxion(["train", file, "--resume", dir, "--device", "cpu", "--force"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stdout).toContain(`fluxion sample ${dir} --variant ${file} --force --steps 32`);
    expect(await readdir(dir)).toEqual(await readdir(flowRun));
  });

  it("says how to go on when it is stopped by Ctrl-C", async () => {
    const dir = join(folder, "stopped");
    const started = await start(["train", file, "--export", "jumps", ...TINY, "--data", data, "--device", "cpu", "--out", dir]); // prettier-ignore
    await started.saw(/quarter circle \d+\/600/);
    started.child.kill("SIGINT");
    const { code, stdout } = await started.done;
    expect(code).toBe(130);
    expect(stdout).toContain(`Stopped; the training so far is saved. Go on with: fluxion train ${file} --resume ${dir}\n`); // prettier-ignore
    expect(await readdir(dir)).toContain("state.safetensors");
  });
});
