/** `fluxion explain` and `inspect --wgsl` as a user runs them. None of it needs a GPU, but where `--time` is. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Explanation } from "../../../src/compiler/explain/explanation.ts";
import { fluxion, testFolder } from "../../support/cli.ts";

const options = { timeout: 120_000 };
const QUICK = ["sampler-step", "--preset", "quick", "--vocab", "50"];

/** A program of one input, as `inspect --ir` prints it. */
const PROGRAM = `sampler-step: 3 equations as traced; hash 0
program (%0: f32[4,8]) {
  %1: f32[4,8] = tanh %0
  %2: f32[4,8] = mul %1 %0
  return %2
}
`;

async function programFile(text = PROGRAM): Promise<string> {
  const file = join(await testFolder(), "program.txt");
  await writeFile(file, text);
  return file;
}

type Printed = Explanation & {
  readonly name: string;
  readonly limits: unknown;
  readonly gpu: string | null;
  readonly timedRuns: number | null;
};

const json = async (...args: readonly string[]): Promise<Printed> => {
  const { code, stdout, stderr } = await fluxion(["explain", ...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Printed;
};

describe("fluxion explain", options, () => {
  it("shows a step: summary, dispatches, their sum, memory", async () => {
    const { code, stdout, stderr } = await fluxion(["explain", ...QUICK, "--kernels", "3"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^sampler-step on WebGPU, within what every GPU offers: 8 buffers, 256 lanes/);
    expect(stdout).toMatch(
      /^\d+ equations in \d+ dispatches of \d+ pipelines; \d+ dispatches without fusion/m,
    );
    expect(stdout).toMatch(/^ +all +\d/m);
    expect(stdout).toMatch(/^ +\d+ more +\d/m);
    expect(stdout).toMatch(/^Memory: \d+ temporaries in \d+ slots/m);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
  });

  it("says which outputs of a training step take the place of inputs", async () => {
    const { memory } = await json("flm-step", "--preset", "quick", "--vocab", "50");
    const pairs = memory.inPlace.map(({ input, output }) => [input.name, output.name]);
    expect(pairs.length).toBeGreaterThan(0);
    for (const name of pairs.flat()) expect(name).toMatch(/^state\./);
    const { stdout } = await fluxion(["explain", "flm-step", "--preset", "quick", "--vocab", "50"]);
    expect(stdout.replace(/\s+/g, " ")).toMatch(/\d+ more outputs \([^)]*\) in the place of inputs/);
  });

  it("prints the same as JSON, with names of inputs and the code", async () => {
    const printed = await json(...QUICK);
    expect(Object.keys(printed)).toEqual(["name", "limits", "limitsOf", "gpu", "timedRuns", "version", "totals", "fusion", "dispatches", "copies", "pipelines", "control", "memory", "temporaries"]); // prettier-ignore
    expect(printed).toMatchObject({ name: "sampler-step", gpu: null, timedRuns: null, version: 1 });
    expect(printed.limits).toEqual(MINIMUM_LIMITS);
    const names = printed.dispatches.flatMap(({ buffers }) => buffers.flatMap(({ name }) => name ?? []));
    expect(names).toEqual(expect.arrayContaining(["params.embedding", "state", "tokens"]));
    for (const { code } of printed.pipelines) expect(code).toContain("@compute @workgroup_size(");
    for (const { buffers } of printed.dispatches) expect(buffers.length).toBeLessThanOrEqual(8);
  });

  it("writes a page", async () => {
    const file = join(await testFolder(), "page.html");
    const { code, stdout, stderr } = await fluxion(["explain", ...QUICK, "--html", file]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: `wrote ${file}\n` });
    const page = await readFile(file, "utf8");
    expect(page).toMatch(/^<!doctype html>[\s\S]*<h1[^>]*>sampler-step<\/h1>[\s\S]*<\/html>\s*$/);
  });

  it("shows what fusion saves", async () => {
    const [on, off] = await Promise.all([json(...QUICK), json(...QUICK, "--fusion", "off")]);
    expect(off.fusion).toMatchObject({ on: false, unfusedDispatches: off.totals.dispatches });
    expect(on.fusion).toMatchObject({ on: true, unfusedDispatches: off.totals.dispatches });
    expect(off.totals.dispatches).toBeGreaterThan(2 * on.totals.dispatches);
  });

  it("explains a program in a file, also one that inspect printed", async () => {
    const small = await json("--program", await programFile());
    expect(small).toMatchObject({ name: "program.txt", totals: { dispatches: 1, flops: 64 } });
    const printed = await fluxion(["inspect", ...QUICK, "--ir"]);
    const [again, direct] = await Promise.all([
      json("--program", await programFile(printed.stdout)),
      json(...QUICK),
    ]);
    expect(again.totals).toEqual(direct.totals);
    expect(again.pipelines).toEqual(direct.pipelines);
  });

  it.each([
    ["", []],
    [" with what every GPU offers", ["--limits", "minimum"]],
  ])("times a program%s, or says that the GPU has no timestamps", async (_, limits) => {
    const { code, stdout, stderr } = await fluxion(["explain", "--program", await programFile(), "--time", "--runs", "2", ...limits]); // prettier-ignore
    if (code === 0) {
      const text = stdout.replace(/\s+/g, " ");
      expect(text).toMatch(/on the GPU: each dispatch alone, the median of 2 runs/);
      expect(text.includes("; no f16, no subgroups, minimum limits ")).toBe(limits.length > 0);
    } else {
      console.log(`No times: ${stderr}`);
      expect(stderr).toMatch(/^fluxion: Kernels cannot be timed: .* has no timestamps\.\n$/);
    }
  });

  it.each<[string, readonly string[]]>([
    [
      'there is no step "loss"; choose one of flm-step, fmlm-step, sampler-step, or give a run folder',
      ["loss"],
    ],
    ["explain needs a step, one of flm-step, fmlm-step, sampler-step, a run folder, or --program FILE", []],
    ["--order time needs --time", ["sampler-step", "--order", "time"]],
    ["--runs needs --time", ["sampler-step", "--runs", "3"]],
    ['--fusion must be one of on, off, got "some"', ["sampler-step", "--fusion", "some"]],
    ['--limits must be one of minimum, adapter, got "none"', ["sampler-step", "--limits", "none"]],
    [
      "--program is explained as it stands; leave sampler-step and preset out",
      ["sampler-step", "--preset", "quick", "--program", "x.txt"],
    ],
    ["Cannot read x.txt: it does not exist; check the path (ENOENT).", ["--program", "x.txt"]],
  ])("%s", async (sentence, args) => {
    expect(await fluxion(["explain", ...args])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: `fluxion: ${sentence}\n`,
    });
  });

  it("names the line of a program that is none", async () => {
    const [broken, empty] = [
      await programFile(PROGRAM.replace("tanh %0", "tanh %7")),
      await programFile("hello"),
    ];
    const [first, second] = await Promise.all(
      [broken, empty].map((file) => fluxion(["explain", "--program", file])),
    );
    expect(first).toMatchObject({ code: 2, stdout: "" });
    expect(first?.stderr).toContain(`fluxion: ${broken}: line 3: `);
    expect(second).toMatchObject({
      code: 2,
      stderr: `fluxion: ${empty} holds no program; give a file with the output of fluxion inspect STEP --ir\n`,
    });
  });
});

describe("fluxion inspect --wgsl", options, () => {
  it("prints the code of every distinct kernel once, and whose it is", async () => {
    const [{ code, stdout }, { pipelines }] = await Promise.all([
      fluxion(["inspect", ...QUICK, "--wgsl"]),
      json(...QUICK),
    ]);
    expect(code).toBe(0);
    expect(stdout.match(/@compute/g)).toHaveLength(pipelines.length);
    expect(stdout.match(/^\/\/ \w+: dispatch \d+/gm)).toHaveLength(pipelines.length);
    for (const pipeline of pipelines) expect(stdout).toContain(pipeline.code);
  });
});
