/**
 * Runs of declarations in users' files, in the page as it is shipped: the file is asked for, runs when somebody says so and not before, and
 * then the run writes what the command line writes, also while it is watched. Code that is wrong is told by its line, code that never ends is stopped.
 */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../browser/chromium.ts";
import { fluxion, packageUrl, start, testFolder, TINY } from "../support/cli.ts";
import { storyText } from "../support/story.ts";
import { launch, openPage } from "./support/browser.ts";
import { buildStudio, serve } from "./support/build.ts";

if (missing !== undefined) console.log(`Declarations in the studio are not tested in a browser: ${missing}.`);

const OWN = `import { models, square, sub } from "fluxion";
import type { Tensor } from "fluxion";

const { clocks, flows, objectives } = models;

const interpolant = flows.interpolant({
  name: "lingering",
  alpha: (t: Tensor): Tensor => sub(1, square(t)),
  beta: (t) => t,
});

export const lingering = flows.flow({
  name: "lingering noise",
  interpolant,
  clock: clocks.decodingError({ vocab: 60, interpolant }),
});

export const leaps = flows.flowMap({
  name: "leaps",
  flow: lingering,
  objective: objectives.semigroup(),
  boundary: 1 / 8,
});
`;

/** A file for an input. */
const file = (text: string, name = "own.ts") => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });

describe.skipIf(missing !== undefined)("a run of a user's declaration", () => {
  let browser: Browser;
  let built: Awaited<ReturnType<typeof buildStudio>>;
  let served: Awaited<ReturnType<typeof serve>>;
  let dir = "";
  let own = "";
  let files: ReturnType<typeof file>[] = [];
  beforeAll(async () => {
    [browser, built] = await Promise.all([launch(), buildStudio()]);
    served = await serve(built.folder);
    const folder = await testFolder();
    // As where the package is installed.
    await mkdir(join(folder, "node_modules/fluxion"), { recursive: true });
    await writeFile(join(folder, "node_modules/fluxion/package.json"), '{ "type": "module", "exports": "./index.js" }'); // prettier-ignore
    await writeFile(join(folder, "node_modules/fluxion/index.js"), `export * from "${await packageUrl()}";`);
    [dir, own] = [join(folder, "run"), join(folder, "own.ts")];
    await writeFile(own, OWN);
    const data = join(folder, "story.txt");
    await writeFile(data, storyText(600));
    const { code, stderr } = await fluxion(["train", own, "--export", "leaps", ...TINY, "--steps", "4", "--teacher-steps", "4", "--data", data, "--out", dir, "--device", "webgpu"]); // prettier-ignore
    expect(code, stderr).toBe(0);
    files = await filesIn(dir);
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    await built?.remove();
  });

  const drop = async (page: Page, more: readonly ReturnType<typeof file>[]): Promise<void> =>
    page.getByLabel("Open a run of the command line: config.json").setInputFiles([...more]);
  const filesIn = async (folder: string): Promise<ReturnType<typeof file>[]> =>
    Promise.all(
      (await readdir(folder))
        .filter((name) => /\.(jsonl?|safetensors)$/.test(name))
        .map(async (name) => ({ ...file("", name), buffer: await readFile(join(folder, name)) })),
    );
  const sampled = async (...more: string[]): Promise<readonly string[]> => {
    const { stdout, stderr, code } = await fluxion(["sample", dir, "--variant", own, "--count", "4", "--device", "webgpu", ...more]); // prettier-ignore
    expect(code, stderr).toBe(0);
    return stdout.trimEnd().split("\n");
  };
  const open = (page: Page, more: readonly ReturnType<typeof file>[] = []): Promise<void> =>
    drop(page, [...files, ...more]);
  const notice = (page: Page) => page.getByRole("region", { name: "The run's declaration" });
  const button = (page: Page, name: string | RegExp) => notice(page).getByRole("button", { name });

  it(
    "is asked for its file, writes what the command line writes, and after a reload waits to be run",
    { timeout: 240_000 },
    async () => {
      const { source } = JSON.parse(await readFile(join(dir, "config.json"), "utf8")) as { readonly source: string }; // prettier-ignore
      expect(source).toMatch(/^file:[0-9a-f]{32}$/);
      const { page, faults } = await openPage(browser, served.url, { reducedMotion: "reduce" });
      page.setDefaultTimeout(60_000);
      await open(page);
      await notice(page).getByText("trained from the declaration leaps in own.ts").waitFor();
      await page.getByText("How a text of this run forms is seen once its declaration runs.").waitFor();
      expect(await page.locator("table.numbers tbody tr").count()).toBeGreaterThan(0);
      await page.getByRole("link", { name: "Write" }).click();
      await page.getByText("They write once their declaration runs.").waitFor();
      const choose = notice(page).getByLabel("Choose own.ts…");
      await choose.focus();
      expect(await choose.evaluate((element) => element === document.activeElement)).toBe(true);
      await choose.setInputFiles([file(OWN)]);
      await notice(page).getByText("own.ts runs for this run").waitFor();

      const write = async (heading: RegExp): Promise<readonly string[]> => {
        await page.getByRole("button", { name: /^(Write|Fill the blanks)$/ }).click();
        const newest = page.locator(".written > li").first();
        await newest.getByText(heading).waitFor();
        return newest.locator(".texts p").allInnerTexts();
      };
      expect(await write(/^leaps, 1 step, seed 1;/)).toEqual(await sampled("--steps", "1", "--seed", "1"));
      await page.getByLabel("Steps from noise to text").fill("3");
      await page.locator("form.request").getByText("lingering noise", { exact: true }).click();
      await page.getByLabel("Temperature").fill("0.7");
      await page.getByLabel("Top-p").fill("0.9");
      const shaped = ["--model", "flow", "--steps", "3", "--temperature", "0.7", "--top-p", "0.9", "--seed", "2"]; // prettier-ignore
      expect(await write(/^lingering noise, 3 steps, seed 2, temperature 0.7, top-p 0.9;/)).toEqual(await sampled(...shaped)); // prettier-ignore

      // How a text forms ends with the text that is written from the same noise: in 16 steps of the flow, and in one jump.
      await page.getByRole("link", { name: "Train", exact: true }).click();
      await page.getByText(/both from the same noise\.$/).waitFor();
      await page.locator(".sentence[aria-busy=false]").waitFor();
      const formed = async (model: string): Promise<string> => {
        const positions = page.getByRole("group", { name: `${model}: the text at this step` });
        return (await positions.locator(".best").allInnerTexts()).join(" ");
      };
      const slider = page.getByRole("slider", { name: "Step from noise to text" });
      await slider.fill("16");
      expect([await formed("leaps")]).toEqual((await sampled("--steps", "1", "--seed", "7")).slice(0, 1));
      const flow = ["--model", "flow", "--steps", "16", "--seed", "7"];
      expect([await formed("lingering noise")]).toEqual((await sampled(...flow)).slice(0, 1));
      const nats = async (step: number): Promise<number> => {
        await slider.fill(String(step));
        return Number(/mean entropy ([\d.]+) nats/.exec((await slider.getAttribute("aria-valuetext")) ?? "")?.[1]); // prettier-ignore
      };
      for (const step of [0, 16]) {
        const entropy = await nats(step);
        expect(entropy).toBeGreaterThan(0);
        expect(entropy).toBeLessThanOrEqual(Math.log(60));
      }
      expect(await page.locator(".plane path.flow").count()).toBe(16);
      expect(await page.locator(".plane path.jump").getAttribute("d")).not.toBe("");

      await page.reload();
      await page.getByRole("link", { name: "Train", exact: true }).click();
      await notice(page).getByText("own.ts is at hand, as it was then").waitFor();
      expect(await page.getByRole("heading", { name: "Clock" }).count()).toBe(0);
      // What is saved is what the command line wrote.
      const saved: string[] = [];
      page.on("download", (download) => saved.push(download.suggestedFilename()));
      await page.getByRole("button", { name: /^Save files/ }).click();
      await page.getByText("The run's files are saved.").waitFor({ state: "attached" });
      expect(saved.toSorted()).toEqual(files.map(({ name }) => name).toSorted());
      // What is explained follows it.
      await page.getByRole("link", { name: "Explain" }).click();
      await page.getByText("which does not run").waitFor();
      await button(page, "Run own.ts").click();
      await page.getByText("which does not run").waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Train", exact: true }).click();
      // The clock is declared there.
      await page.getByRole("heading", { name: "Clock" }).waitFor();
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  it(
    "comes with its file, and one that is another, wrong, or never ends is told, and stopped",
    { timeout: 240_000 },
    async () => {
      const { page, faults } = await openPage(browser, served.url, { reducedMotion: "reduce" });
      page.setDefaultTimeout(60_000);
      await open(page, [file(OWN), file("export {};", "another.ts")]);
      await button(page, "Run own.ts").waitFor();
      const another = async (text: string, name?: string): Promise<void> => {
        await notice(page)
          .getByLabel("Choose another file…")
          .setInputFiles([file(text, name)]);
        await notice(page)
          .getByText(/is not the text that it was trained with/)
          .waitFor();
        await button(page, "Run it all the same").click();
      };
      const problem = (text: string | RegExp): Promise<void> =>
        page.getByRole("alert").getByText(text).waitFor();

      await another(`${OWN}\nwhile (true);\n`);
      await notice(page).getByText("own.ts is being run…").waitFor();
      await button(page, "Stop").click();
      await button(page, "Run it all the same").waitFor();
      await another("\n\nexport const leaps = [].at(0).b;\n");
      await problem(/could not be run: own\.ts:3: /);
      await another("export const leaps = ;\n", "typo.ts");
      await problem("typo.ts could not be run: typo.ts:1: Expression expected.");
      await another('import { a } from "./helper.ts";\nexport const leaps = a;\n');
      await problem(
        '"./helper.ts" cannot be imported: own.ts runs alone here; write into it what it imports',
      );
      await another(OWN.replace("const leaps", "const hops"));
      await problem('own.ts has no export "leaps"; it exports hops, lingering.');
      await another(`${OWN}close();\n`);
      await problem(
        `own.ts could not be run: own.ts:${OWN.split("\n").length}: close() cannot be called here`,
      );
      // Nobody waits for it when it throws.
      await another(`${OWN}setTimeout(() => {\n  throw new Error("late");\n});\nvoid Promise.reject(new Error("not caught"));\n`); // prettier-ignore
      await problem(`own.ts:${OWN.split("\n").length + 1}: late`);
      await problem(`own.ts:${OWN.split("\n").length + 3}: not caught`);
      await button(page, "Stop").click();
      // What throws only when a model is asked for names its line too; and what never ends then is stopped as well.
      await another(OWN.replace("=> sub(1, square(t))", '=> {\n  throw new Error("no alpha");\n}'));
      await problem(/own\.ts:9: .*no alpha/);
      await another(OWN.replace("export const leaps =", "let asked = 0;\nexport const leaps = () => { if (asked++ > 0) while (true); return ").replace("8,\n});\n", "8,\n}); };\n")); // prettier-ignore
      await notice(page).getByText("own.ts runs for this run").waitFor();
      await page.locator(".sentence[aria-busy=true]").waitFor();
      await page.getByRole("link", { name: "Write" }).click();
      await page.getByRole("button", { name: "Write", exact: true }).click();
      await page.getByRole("button", { name: "Writing…" }).waitFor();
      await button(page, "Stop").click();
      await page.getByText("They write once their declaration runs.").waitFor();
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  it("is trained on, as the command line trains it on, to the last bit", { timeout: 240_000 }, async () => {
    const [begun, theirs] = [join(dir, "../begun"), join(dir, "../gone-on")];
    // A text may have the name of a module.
    const data = join(dir, "../story.js");
    await cp(join(dir, "../story.txt"), data);
    const story = { ...file("", "story.js"), buffer: await readFile(data) };
    const { child, saw, done } = await start(["train", own, "--export", "lingering", ...TINY, "--steps", "30", "--data", data, "--out", begun, "--device", "webgpu", "--save-every", "0"]); // prettier-ignore
    await saw(/lingering noise {2}\d+\/30|lingering noise \d+\/30/);
    child.kill("SIGINT");
    expect((await done).code).toBe(130);
    await cp(begun, theirs, { recursive: true });
    expect(await fluxion(["train", own, "--resume", theirs, "--device", "webgpu"])).toMatchObject({
      code: 0,
    });

    const { page, faults } = await openPage(browser, served.url, { reducedMotion: "reduce" });
    page.setDefaultTimeout(60_000);
    const part = page.locator("li.open");
    await drop(page, [...(await filesIn(begun)), story]);
    await notice(page).getByLabel("Choose own.ts…").waitFor(); // the text is not taken for it
    expect(await part.getByLabel(/^Resume .* with its text/).count()).toBe(0);
    await part.getByRole("button", { name: /^Delete…/ }).click();
    await part.getByRole("button", { name: /^Delete / }).click();
    await notice(page).waitFor({ state: "detached" });
    await drop(page, [file(OWN)]);
    await page.getByRole("alert").getByText("own.ts is code, which declares a run perhaps").waitFor();
    await page.getByRole("button", { name: /^Dismiss/ }).click();
    await drop(page, await filesIn(begun));
    await part.getByRole("button", { name: /^story\.js$/ }).waitFor();
    await part.getByLabel(/^Resume .* with its text, story\.js$/).waitFor({ state: "attached" });
    await drop(page, [file(OWN), story]);
    await notice(page).getByText("own.ts runs for this run").waitFor();
    await part.getByRole("button", { name: /^Resume/ }).click();
    await page.getByText("· from files ·").waitFor();
    // A flow that is all there is has the place for itself.
    await page.getByText(/^From story\.js\.$/).waitFor();
    expect(await page.locator(".forming").count()).toBe(1);
    const weights = page.waitForEvent("download", (one) => one.suggestedFilename() === "flm.safetensors");
    await page.getByRole("button", { name: /^Save files/ }).click();
    const mine = await readFile(await (await weights).path());
    expect(mine.equals(await readFile(join(theirs, "flm.safetensors")))).toBe(true);
    expect(await page.locator(".problems").count()).toBe(0);
    expect(faults).toEqual([]);
    await page.context().close();
  });
});
