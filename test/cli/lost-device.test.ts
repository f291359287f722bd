/**
 * The commands on a WebGPU device that is destroyed under them: the demo goes on, or says in a line that it cannot; sampling says so.
 */
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { cliPath, fluxion, testFolder, TINY } from "../support/cli.ts";
import type { Outcome } from "../support/cli.ts";
import { storyText } from "../support/story.ts";

/**
 * What the process loads first. LOSSES is a list of [text, submits]: once standard output has had the text, the device is destroyed
 * after so many submits to its queue; "" for each device from its beginning.
 */
const DESTROY = `
  import { globals } from "webgpu";
  const losses = JSON.parse(process.env.LOSSES);
  let left = Infinity;
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text, ...rest) => {
    const [next] = losses;
    if (next !== undefined && next[0] !== "" && String(text).includes(next[0])) left = losses.shift()[1];
    return write(text, ...rest);
  };
  const { prototype } = globals.GPUAdapter;
  const request = prototype.requestDevice;
  prototype.requestDevice = async function (...given) {
    const device = await request.apply(this, given);
    if (losses[0]?.[0] === "") left = losses[0][1];
    const submit = device.queue.submit.bind(device.queue);
    device.queue.submit = (buffers) => {
      submit(buffers);
      if (left-- === 0) device.destroy();
    };
    return device;
  };`;

const options = { timeout: 300_000 };
let folder: string;
let data: string;
let preload: string;
beforeAll(async () => {
  folder = await testFolder();
  data = join(folder, "story.txt");
  await writeFile(data, storyText(900));
  // Beside the program, where its packages are found.
  preload = join(dirname(await cliPath()), "destroy.mjs");
  await writeFile(preload, DESTROY);
}, 60_000);

const losing = (losses: readonly (readonly [string, number])[], args: readonly string[]): Promise<Outcome> =>
  fluxion([...args, "--device", "webgpu"], {
    node: ["--import", preload],
    env: { LOSSES: JSON.stringify(losses) },
  });
const demo = (dir: string): string[] => ["demo", ...TINY, "--steps", "12", "--distill-steps", "6", "--data", data, "--out", dir]; // prettier-ignore

describe("a WebGPU device that is lost", options, () => {
  it("in each part of the demo costs a line each; sampling from the run says so in one", async () => {
    const run = join(folder, "run");
    const { code, stdout, stderr } = await losing(
      [
        ["training FLM", 20],
        ["training FMLM", 15],
        ["Sampling both", 20],
      ],
      [...demo(run), "--save-every", "0"],
    );
    expect(code, stderr).toBe(0);
    const story = stdout.slice(0, stdout.indexOf("Perplexity:")).trim().split("\n");
    expect(story).toEqual([
      expect.stringMatching(/^Run folder .* Device webgpu: .*\.$/),
      expect.stringMatching(/^Text: /),
      expect.stringMatching(/^Compiling and training FLM/),
      expect.stringMatching(
        /^The device was lost \(.+\); going on from step \d+ of FLM on webgpu, opened again\.$/,
      ),
      expect.stringMatching(/^Compiling and training FMLM/),
      expect.stringMatching(
        /^The device was lost \(.+\); going on from step \d+ of FMLM on webgpu, opened again\.$/,
      ),
      "Sampling both models.",
      expect.stringMatching(
        /^The device was lost \(.+\); sampling from the beginning on webgpu, opened again\.$/,
      ),
    ]);
    expect(stderr.replaceAll(/^(FLM|FMLM|Sampling) .*\n/gm, "")).toBe("");
    if (/swiftshader|llvmpipe/i.test(stdout)) expect(stdout.match(/software adapter/g)).toHaveLength(1);
    else console.log("Not tested: that a software adapter is called one, since there is a GPU.");

    const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
    const logged = lines.map((line) => JSON.parse(line)).map(({ step, phase }) => [step, phase]);
    expect(logged).toEqual([[0, "flm"], [10, "flm"], [11, "flm"], [11, "flm"], [12, "fmlm"], [17, "fmlm"]]); // prettier-ignore

    expect(await losing([["", 1]], ["sample", run])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(
        /^Device webgpu: .+\.\nfluxion: the device was lost \(.+\); run the command again\.\n$/,
      ),
    });
  });

  it("each time that it is opened ends the demo with a line", async () => {
    const run = join(folder, "hopeless");
    const { code, stderr } = await losing([["", 0]], demo(run));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^fluxion: The webgpu device was lost 3 times in a row, the last time with this reason: .+\. What was saved is kept: go on with --resume .+, perhaps on another device or saving more often\.\n$/,
    );
  });
});
