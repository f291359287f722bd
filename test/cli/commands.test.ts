/** What needs no training: help, devices, inspect, and a sentence for every way to mistype a command. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VERSION } from "../../src/runtime/version.ts";
import { fluxion, testFolder } from "../support/cli.ts";
import { storyText } from "../support/story.ts";

const options = { timeout: 60_000 };
const commands = ["demo", "sample", "verify", "inspect", "explain", "devices"];

describe("help", options, () => {
  it("lists the commands, without arguments too", async () => {
    const [asked, bare] = await Promise.all([fluxion(["--help"]), fluxion([])]);
    expect(asked).toMatchObject({ code: 0, stderr: "" });
    expect(bare.stdout).toBe(asked.stdout);
    for (const command of commands) expect(asked.stdout).toMatch(new RegExp(`^  ${command}\\b.*\\S`, "m"));
  });

  it.each(commands)("%s --help lists its options and runs nothing", async (command) => {
    const { code, stdout, stderr } = await fluxion([command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: fluxion ${command}\\b`));
    expect(stdout).toMatch(/^ {2}--help {2,}Shows this\.$/m);
    expect((await fluxion(["help", command])).stdout).toBe(stdout);
    if (command === "demo")
      for (const name of ["quick", "data", "resume", "save-every"]) expect(stdout).toContain(`  --${name}`);
  });
});

describe("devices", options, () => {
  it("lists each device, with the reason of an absent one", async () => {
    const { code, stdout } = await fluxion(["devices"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cpu +available +ONNX Runtime \d/m);
    expect(stdout).toMatch(/^interpreter +available/m);
    expect(stdout).toMatch(/^tfjs:wasm +available/m);
    expect(stdout).toMatch(/^webgpu +(available|absent) +\S/m);
    expect(stdout).toMatch(/^tfjs:webgpu +(available|absent) +\S/m); // TensorFlow.js keeps its device to the end
    expect(stdout).toMatch(/^auto is (cpu|webgpu)\.$/m);
  });

  // A software adapter compiles for a while.
  it("checks the adapter, a software one too", { timeout: 180_000 }, async () => {
    const { code, stdout, stderr } = await fluxion(["devices", "--check"], {
      env: { FLUXION_CACHE: await testFolder() },
    });
    if (process.platform !== "linux" && code === 2) {
      console.log(`Not tested: ${stderr}`);
      return;
    }
    expect(code).toBe(0);
    expect(stdout).toMatch(/^program +worst error +allowed$/m);
    for (const name of ["matrix product", "softmax of rows", "attention", "random bits", "sort", "loop"])
      expect(stdout).toMatch(new RegExp(`^${name} +[\\d.e-]+ +[\\d.e-]+ +right$`, "m"));
    expect(stdout).toContain("The adapter computes what the interpreter does.");
  });

  it("--adapter needs --check, and a name that there is", async () => {
    expect(await fluxion(["devices", "--adapter", "x"])).toMatchObject({ code: 2 });
    const { code, stderr } = await fluxion(["devices", "--check", "--adapter", "voodoo 2"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/named like "voodoo 2"|adapter/);
  });
});

describe("inspect", options, () => {
  it.each(["flm-step", "fmlm-step", "sampler-step"])(
    "%s: counts, costs and the same hash every time",
    async (step) => {
      const args = ["inspect", step, "--preset", "quick", "--vocab", "50"];
      const [first, second] = await Promise.all([fluxion([...args, "--passes"]), fluxion(args)]);
      expect(first.code).toBe(0);
      expect(first.stdout).toMatch(/^after \w+ +\d+ equations$/m);
      expect(first.stdout).toMatch(
        new RegExp(`^${step}: \\d+ equations as traced, \\d+ after \\d+ passes; hash [0-9a-f]+$`, "m"),
      );
      expect(first.stdout).toMatch(/\d FLOP|\d [kMGT]FLOP/);
      expect(first.stdout.endsWith(second.stdout)).toBe(true);
    },
  );

  it("prints the program", async () => {
    const { code, stdout } = await fluxion(["inspect", "sampler-step", "--preset", "quick", "--ir"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/= attention/);
    expect(stdout).toContain("f32[");
  });
});

describe("output that cannot be written", options, () => {
  it("is a sentence where the disk is full", async () => {
    if (process.platform !== "linux") return console.log("Not tested: /dev/full is Linux's.");
    const { code, stderr } = await fluxion(["inspect", "sampler-step", "--preset", "quick"], {
      shell: "exec > /dev/full;",
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^fluxion: Cannot write standard output: the disk is full; .* \(ENOSPC\)\.\n$/);
  });
});

it("prints the package's version", options, async () => {
  expect(await fluxion(["--version"])).toMatchObject({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
});

describe("mistyped commands: one line, exit code 2", options, () => {
  it.each<[string, readonly string[]]>([
    [
      'there is no command "dmeo"; the commands are demo, train, sample, verify, inspect, explain, tune, devices',
      ["dmeo"],
    ],
    ["fluxion demo has no option --step; see fluxion demo --help", ["demo", "--step", "3"]],
    [
      "fluxion train has no option --lr, here it is --learning-rate; see fluxion train --help",
      ["train", "flm", "--lr", "0.1"],
    ],
    [
      "--steps needs a value (--steps=VALUE if it begins with a dash); see fluxion demo --help",
      ["demo", "--steps"],
    ],
    [
      "--seed needs a value (--seed=VALUE if it begins with a dash); see fluxion demo --help",
      ["demo", "--seed", "-1"],
    ],
    ["--quick takes no value; see fluxion demo --help", ["demo", "--quick=yes"]],
    ['fluxion demo does not take "quick"; see fluxion demo --help', ["demo", "quick"]],
    ["fluxion sample needs RUN; see fluxion sample --help", ["sample"]],
    [
      'there is no step "loss"; choose one of flm-step, fmlm-step, sampler-step, or give a run folder',
      ["inspect", "loss"],
    ],
    ['--steps must be a number >= 1, got "0"', ["demo", "--steps", "0"]],
    ['--steps must be a whole number, got "1.5"', ["demo", "--steps", "1.5"]],
    ['--lr must be a number >= 0, got "fast"', ["demo", "--lr", "fast"]],
    ['--tokens must be one of words, chars, got "bytes"', ["demo", "--tokens", "bytes"]],
    ["--quick and --full contradict each other", ["demo", "--quick", "--full"]],
    [
      '--steps is given more than once; the last holds, "0"\nfluxion: --steps must be a number >= 1, got "0"',
      ["demo", "--steps", "5", "--quick", "--quick", "--seed", "1", "--seed=1", "--steps=6", "--steps", "0"],
    ],
    [
      "--vocab is the size of a vocabulary of words, and that of characters is always a to z and the space; leave out --vocab, or take --tokens words",
      ["demo", "--tokens", "chars", "--vocab", "20"],
    ],
    [
      "--raw shows the program before any pass, and --passes what each of them does; give one of them",
      ["inspect", "flm-step", "--raw", "--passes"],
    ],
    [
      "--kernels is of the table, and --json prints everything instead; leave one of them out",
      ["explain", "flm-step", "--json", "--kernels", "3"],
    ],
    [
      "--force takes changed code with --resume, or another flow with --teacher, and neither is given; leave it out.",
      ["train", "flm", "--force"],
    ],
    [
      'there is no command "dmeo"; the commands are demo, train, sample, verify, inspect, explain, tune, devices',
      ["help", "dmeo"],
    ],
    [
      'There is no device "warp"; choose one of auto, cpu, interpreter, webgpu, webgpu-minimum, ' +
        "tfjs:cpu, tfjs:wasm, tfjs:webgl, tfjs:webgpu, tfjs:node, tfjs:node-gpu.",
      ["demo", "--device", "warp"],
    ],
  ])("%s", async (sentence, args) => {
    expect(await fluxion(args)).toEqual({
      code: 2,
      signal: null,
      stdout: "",
      stderr: `fluxion: ${sentence}\n`,
    });
  });
});

describe("a job that cannot work: one line, exit code 2, and no run folder", options, () => {
  it.each<[string, Uint8Array | string | null, readonly string[]]>([
    ["Cannot read FILE: it does not exist; check the path (ENOENT).", null, []],
    ["FILE is empty; give a text file.", "", []],
    [
      "FILE is no plain text (NUL byte at offset 3); give a UTF-8 text file (convert UTF-16 first).",
      Uint8Array.of(80, 75, 3, 0, 255),
      [],
    ],
    ["FILE is not valid UTF-8; convert it, or give another text file.", Uint8Array.of(80, 75, 255, 254), []],
    [
      "story.txt: the text has no line of at least 4 words (are there no spaces between its words?); use another text.",
      "too short",
      [],
    ],
    ["story.txt: the text is too short: in tokens its splits are train ", storyText(1), []],
    [
      "story.txt: the text is too short: in tokens its splits are train ",
      storyText(300),
      ["--length", "4000"],
    ],
    [
      "the options: width 30 must be a multiple of twice the 4 heads.",
      storyText(300),
      ["--width", "30", "--heads", "4"],
    ],
    ["A distillation batch of 7 does not divide into diagonal rows (", storyText(300), ["--batch", "7"]],
    ['--vocab must be a number >= 8 and <= 1000000, got "4"', storyText(300), ["--vocab", "4"]],
  ])("%s", async (sentence, content, more) => {
    const folder = await testFolder();
    const file = join(folder, "story.txt");
    if (content !== null) await writeFile(file, content);
    const { code, stdout, stderr } = await fluxion([
      "demo",
      "--quick",
      "--data",
      file,
      "--out",
      join(folder, "run"),
      ...more,
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.match(/\n/g)).toHaveLength(1);
    expect(stderr.replaceAll(file, "FILE")).toContain(`fluxion: ${sentence}`);
    expect(await readdir(folder)).toEqual(content === null ? [] : ["story.txt"]);
  });

  it("a folder for a text", async () => {
    const folder = await testFolder();
    expect(await fluxion(["demo", "--data", folder])).toMatchObject({
      code: 2,
      stderr: `fluxion: ${folder} is a folder; give a text file.\n`,
    });
  });
});
