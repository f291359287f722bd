/**
 * The engine in a real Chromium: trains, pauses, survives a reload and a lost device bit for bit, samples what the command line samples,
 * takes its runs and gives them back. What goes wrong is in engine-failures.test.ts.
 */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { RunDetail, SampleRequest } from "../../studio/src/engine/protocol.ts";
import { openRun } from "../../src/runtime/files/run-folder.ts";
import { checkConfig } from "../../src/runtime/training/config.ts";
import { missing } from "../browser/chromium.ts";
import { fluxion, start, testFolder } from "../support/cli.ts";
import { storyText } from "../support/story.ts";
import { engineBrowser, filesOf, SETTINGS, started, STEPS } from "./support/engine.ts";

if (missing !== undefined) console.log(`The tests of the studio's engine are left out: ${missing}.`);

const options = { timeout: 240_000 };

describe.skipIf(missing !== undefined)("the engine", () => {
  const browser = engineBrowser();
  let folder = "";
  beforeAll(async () => {
    folder = await testFolder();
  });

  const finished = (page: Page, id: string): Promise<unknown> =>
    page.evaluate(
      (run) =>
        window.studio.until(
          (event) => event.kind === "state" && event.run.id === run && event.run.state === "finished",
        ),
      id,
    );

  it(
    "trains, pauses, is reloaded, resumes, and has the weights and the log of a run that nothing disturbed",
    options,
    async () => {
      const context = await browser.context();
      const undisturbed = await browser.tab(context);
      const whole = await started(undisturbed, finished);
      const told = await undisturbed.evaluate(() => window.studio.events);
      const losses = told.flatMap((event) =>
        event.kind === "step" && event.phase === "flm" ? [event.loss] : [],
      );
      expect(losses).toHaveLength(SETTINGS.flmSteps);
      const mean = (part: readonly number[]): number => part.reduce((sum, x) => sum + x, 0) / part.length;
      expect(mean(losses.slice(-10))).toBeLessThan(mean(losses.slice(0, 10)) - 0.3);

      const page = await browser.tab(context);
      // In the first training, and in the second.
      const stops = [12, STEPS - 7];
      const run = await started(page, async () => undefined);
      for (const stop of stops) {
        await page.evaluate(
          ([id, at]) =>
            window.studio.until(
              (event) =>
                event.kind === "step" &&
                event.run === id &&
                event.done + (event.phase === "fmlm" ? 50 : 0) >= at,
            ),
          [run.id, stop] as const,
        );
        await page.evaluate(() => window.studio.engine.pause());
        await page.reload();
        const { runs } = await page.evaluate(() => window.studio.open(""));
        const mine = runs.find(({ id }) => id === run.id);
        expect(mine).toMatchObject({ state: "idle", steps: STEPS });
        expect(mine?.done).toBeGreaterThanOrEqual(stop - 1);
        // The log that the page shows goes on where the state is, nothing in it twice.
        const resumed = await page.evaluate((id) => window.studio.engine.resume(id), run.id);
        expect(resumed.state).toBe("training");
      }
      await finished(page, run.id);
      const [mine, theirs] = [await filesOf(page, run.id), await filesOf(undisturbed, whole.id)];
      expect([...mine.keys()]).toEqual([
        "config.json",
        "flm.safetensors",
        "fmlm.safetensors",
        "metrics.jsonl",
        "vocabulary.json",
      ]);
      for (const name of ["flm.safetensors", "fmlm.safetensors", "metrics.jsonl", "vocabulary.json"])
        expect(mine.get(name)?.equals(theirs.get(name) ?? Buffer.of()), name).toBe(true);
      await context.close();
    },
  );

  it("explains the step that is trained, is stopped at it, and the training goes on", options, async () => {
    const context = await browser.context();
    onTestFinished(() => context.close());
    const page = await browser.tab(context);
    const run = await started(page, async () => undefined, { flmSteps: 100_000 });
    const told = await page.evaluate(async (id) => {
      const { engine, until, mark, failure, events } = window.studio;
      const step = (): Promise<unknown> => until((event) => event.kind === "step" && event.run === id);
      await step();
      const stopped = failure(engine.explain(id));
      await until((event) => event.kind === "explaining" && event.progress.stage === "compiling");
      await engine.stopExplaining();
      const why = await stopped;
      mark();
      await step();
      const from = events.length;
      const { kernels, dispatches } = await engine.explain(id);
      const stages = events
        .slice(from)
        .flatMap((event) => (event.kind === "explaining" ? [event.progress] : []));
      mark();
      await step();
      // Another question ends the one before.
      const before = failure(engine.explain(id));
      const { phase } = await engine.explain(id);
      return { why, kernels, dispatches, stages, before: await before, phase };
    }, run.id);
    expect(told).toMatchObject({ why: "Stopped.", before: "Stopped.", phase: "flm" });
    // A browser's clock may be too coarse for one of them.
    expect(told.kernels.reduce((sum, { milliseconds = NaN }) => sum + milliseconds, 0)).toBeGreaterThan(0);
    expect(told.kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(told.dispatches);
    const stages = told.stages.map(({ stage }) => stage);
    expect([...new Set(stages)]).toEqual(["waiting", "planning", "compiling", "timing"]);
  });

  it(
    "serves texts between steps, and goes on from the last saved state when the device is lost",
    options,
    async () => {
      const context = await browser.context();
      onTestFinished(() => context.close());
      const page = await browser.tab(context);
      const run = await started(page, async () => undefined, { flmSteps: 100_000 });
      const during = await page.evaluate(async (id) => {
        await window.studio.until((event) => event.kind === "step" && event.done > 3);
        const sampled = await window.studio.engine.sample({ run: id, model: "flm", steps: 2, count: 2 });
        const formed = await window.studio.engine.form({ run: id, model: "flm", steps: 3, seed: 5 });
        const explained = await window.studio.engine.explain(id);
        const { state, done } = await window.studio.engine.run(id);
        return { sampled, formed, explained, state, done };
      }, run.id);
      expect(during).toMatchObject({ state: "training" });
      expect(during.done).toBeLessThan(100_000);
      expect(during.sampled.texts).toHaveLength(2);
      expect(during.explained.phase).toBe("flm");
      expect(during.explained.kernels.length).toBeGreaterThan(5);
      expect(during.formed.moments.map(({ tau }) => tau)).toEqual([
        0,
        expect.any(Number),
        expect.any(Number),
        1,
      ]);

      const lost = await page.evaluate(async (id) => {
        window.studio.mark();
        const again = window.studio.until(
          (event) => event.kind === "note" && event.text.startsWith("The device was lost"),
        );
        window.studio.tamper("lose");
        const note = await again;
        window.studio.mark();
        await window.studio.until((event) => event.kind === "step" && event.run === id && event.done > 5);
        await window.studio.engine.pause();
        // A request that finds the device lost is served on the next one.
        window.studio.tamper("lose");
        const { texts } = await window.studio.engine.sample({ run: id, model: "flm", steps: 1, count: 1 });
        const { state, models } = await window.studio.engine.run(id);
        return { note, texts, state, models };
      }, run.id);
      expect(lost).toMatchObject({ state: "idle", models: ["flm"], texts: [expect.any(String)] });
      expect(lost.note).toMatchObject({ text: expect.stringContaining("on webgpu, opened again") });
    },
  );

  describe("and the command line", () => {
    let page: Page;
    let run: RunDetail;
    let dir: string;
    beforeAll(async () => {
      dir = join(folder, "run");
      await writeFile(join(folder, "story.txt"), storyText(900));
      const { length, width, depth, heads, batch, vocabularySize, flmSteps, fmlmSteps } = SETTINGS;
      const sizes = Object.entries({ length, width, depth, heads, batch, vocab: vocabularySize });
      const options = [...sizes, ["steps", flmSteps], ["distill-steps", fmlmSteps], ["samples", 16]] as const;
      const args = options.flatMap(([name, value]) => [`--${name}`, String(value)]);
      expect(
        await fluxion([
          "demo",
          "--quick",
          ...args,
          "--data",
          join(folder, "story.txt"),
          "--out",
          dir,
          "--device",
          "webgpu",
        ]),
      ).toMatchObject({ code: 0 });
      page = await browser.tab(await browser.context());
      run = await page.evaluate(
        async (files) =>
          window.studio.engine.importRun(
            files.map(({ name, bytes }) => new File([Uint8Array.from(bytes)], name)),
          ),
        // The last first, with all that lies in the folder.
        await Promise.all(
          (await readdir(dir))
            .reverse()
            .map(async (name) => ({ name, bytes: [...(await readFile(join(dir, name)))] })),
        ),
      );
    }, 240_000);

    it("give the same texts for the same weights, seed and steps", options, async () => {
      expect(run).toMatchObject({ state: "imported", models: ["flm", "fmlm"], done: STEPS, steps: STEPS });
      const cases: readonly (readonly [Omit<SampleRequest, "run" | "count">, readonly string[]])[] = [
        [{ model: "fmlm", steps: 1, seed: 11 }, ["--seed", "11"]],
        [{ model: "fmlm", steps: 3 }, ["--steps", "3"]],
        [{ model: "flm", steps: 4, seed: 2 }, ["--model", "flm", "--steps", "4", "--seed", "2"]],
        [
          { model: "flm", steps: 2, temperature: 0.7, topP: 0.9, infill: "the _ _ dog" },
          [
            "--model",
            "flm",
            "--steps",
            "2",
            "--temperature",
            "0.7",
            "--top-p",
            "0.9",
            "--infill",
            "the _ _ dog",
          ],
        ],
      ];
      for (const [request, args] of cases) {
        const { texts } = await page.evaluate((asked) => window.studio.engine.sample(asked), {
          run: run.id,
          count: 4,
          ...request,
        });
        const { stdout } = await fluxion(["sample", dir, "--count", "4", "--device", "webgpu", ...args]);
        expect(texts, args.join(" ")).toEqual(stdout.trimEnd().split("\n"));
      }
    });

    it("a text forms into the sample of its seed, with probabilities that are some", options, async () => {
      for (const [model, steps] of [
        ["fmlm", 1],
        ["flm", 4],
      ] as const) {
        const { formed, texts } = await page.evaluate(
          async ({ id, asked }) => ({
            formed: await window.studio.engine.form({ run: id, ...asked, seed: 3 }),
            texts: (await window.studio.engine.sample({ run: id, ...asked, seed: 3, count: 1 })).texts,
          }),
          { id: run.id, asked: { model, steps } },
        );
        expect([formed.text]).toEqual(texts);
        expect(formed.moments).toHaveLength(steps + 1);
        for (const { top, entropy = [], plane = [] } of formed.moments) {
          expect([top.length, entropy.length, plane.length]).toEqual([8, 8, 8]);
          for (const [i, row] of top.entries()) {
            const shares = row.map(({ probability }) => probability);
            expect(shares).toEqual([...shares].sort((a, b) => b - a));
            const total = shares.reduce((sum, p) => sum + p, 0);
            expect(total).toBeGreaterThan(0);
            expect(total).toBeLessThanOrEqual(1.0001);
            expect(entropy[i]).toBeGreaterThanOrEqual(-row.reduce((sum, { probability: p }) => sum + (p > 0 ? p * Math.log(p) : 0), 0) - 1e-3); // prettier-ignore
            expect(entropy[i]).toBeLessThanOrEqual(Math.log(run.tokens.length) + 1e-3);
          }
          expect(plane.flatMap(({ x, y, dx, dy }) => [x, y, dx, dy]).every(Number.isFinite)).toBe(true);
        }
        // At the end there is nowhere to go.
        expect(formed.moments.at(-1)?.plane?.every(({ dx, dy }) => dx === 0 && dy === 0)).toBe(true);
        expect(formed.moments[0]?.plane?.some(({ dx, dy }) => Math.hypot(dx, dy) > 1e-3)).toBe(true);
      }
    });

    it("an exported run is a folder that the command line samples from and can resume", options, async () => {
      const mine = await started(page, async () => undefined, {}, storyText(900));
      await page.evaluate(async () => {
        await window.studio.until(
          (event) => event.kind === "step" && event.phase === "fmlm" && event.done > 4,
        );
        await window.studio.engine.pause();
      });
      const exported = join(folder, "exported");
      await mkdir(exported);
      for (const [name, bytes] of await filesOf(page, mine.id)) await writeFile(join(exported, name), bytes);
      const { texts } = await page.evaluate(
        (id) => window.studio.engine.sample({ run: id, model: "flm", steps: 2, count: 3 }),
        mine.id,
      );
      const sampled = await fluxion(["sample", exported, "--model", "flm", "--steps", "2", "--count", "3", "--device", "webgpu"]); // prettier-ignore
      expect(sampled.stdout.trimEnd().split("\n")).toEqual(texts);
      // The state is there too, as the command line reads it.
      const { phase, step } = await (await openRun(exported, checkConfig)).checkpointMeta("state");
      expect(phase).toBe("fmlm");
      expect(step).toBeGreaterThan(SETTINGS.flmSteps + 2);
      // A page saves files in its own time, and the training has gone on by then.
      const [later, sooner] = await page.evaluate(async (id) => {
        const { engine } = window.studio;
        const files = await engine.exportRun(id);
        const sizes = files.map(({ blob }) => blob.size);
        window.studio.mark();
        await engine.resume(id);
        await window.studio.until((event) => event.kind === "step");
        await engine.pause();
        return [
          await Promise.all(files.map(async ({ blob }) => (await blob.arrayBuffer()).byteLength)),
          sizes,
        ];
      }, mine.id);
      expect(later).toEqual(sooner);
    });

    it("a dropped run goes on as the command line goes on with it, to the last bit", options, async () => {
      const [begun, theirs] = [join(folder, "begun"), join(folder, "gone-on")];
      const sizes = ["--quick", "--length", "8", "--width", "16", "--depth", "1", "--heads", "2", "--batch", "16", "--vocab", "60", "--samples", "16", "--steps", "30", "--distill-steps", "4"]; // prettier-ignore
      const { child, saw, done } = await start(["demo", ...sizes, "--data", join(folder, "story.txt"), "--out", begun, "--device", "webgpu", "--save-every", "0"]); // prettier-ignore
      await saw(/FLM {2}\d+\/30/);
      child.kill("SIGINT");
      expect((await done).code).toBe(130);
      await cp(begun, theirs, { recursive: true });
      expect(await fluxion(["demo", "--resume", theirs, "--device", "webgpu"])).toMatchObject({ code: 0 });
      const names = (await readdir(begun)).filter((name) => /\.(jsonl?|safetensors)$/.test(name));
      expect(names).toContain("state.safetensors");
      const story = { name: "story.txt", bytes: [...(await readFile(join(folder, "story.txt")))] };
      const files = await Promise.all(
        names.map(async (name) => ({ name, bytes: [...(await readFile(join(begun, name)))] })),
      );
      // A page that has not read the text before.
      const fresh = await browser.tab(await browser.context());
      onTestFinished(() => fresh.context().close());
      const mine = await fresh.evaluate(
        async ([files, story]) => {
          const { engine, failure } = window.studio;
          const file = ({ name, bytes }: typeof story): File => new File([Uint8Array.from(bytes)], name);
          const bare = await engine.importRun(files.map(file));
          const lacking = await failure(engine.resume(bare.id));
          const half = { ...story, bytes: story.bytes.slice(0, story.bytes.length / 2) };
          const other = await failure(engine.give(bare.id, file(half), "text"));
          const given = await engine.give(bare.id, file(story), "text");
          const whole = await engine.importRun([...files, story].map(file));
          window.studio.mark();
          const finished = window.studio.until(
            (event) =>
              event.kind === "state" && event.run.id === whole.id && event.run.done === event.run.steps,
          );
          await engine.resume(whole.id);
          return { bare, lacking, other, given, whole, finished: await finished };
        },
        [files, story] as const,
      );
      expect(mine.bare).toMatchObject({ state: "idle", lacksText: "story.txt" });
      expect(mine.lacking).toContain("choose that file beside the run");
      expect(mine.other).toContain("The text of this run has changed");
      expect(mine.given).toMatchObject({ state: "idle", done: mine.bare.done });
      expect(mine.given.lacksText).toBeUndefined();
      expect(mine.whole).toMatchObject({ state: "idle", models: ["flm"] });
      expect(mine.whole.done).toBeGreaterThan(0);
      expect(mine.finished).toMatchObject({ run: { state: "imported", models: ["flm", "fmlm"] } });
      const exported = await filesOf(fresh, mine.whole.id);
      for (const name of ["metrics.jsonl", "flm.safetensors", "fmlm.safetensors"])
        expect(exported.get(name)?.equals(await readFile(join(theirs, name))), name).toBe(true);
      expect([...exported.keys()]).not.toContain("text.txt");

      // Weights alone, and a state that is of no such network.
      const weights = [...exported].filter(
        ([name]) => name !== "fmlm.safetensors" && name !== "metrics.jsonl",
      );
      const told = await fresh.evaluate(
        async ([weights, files]) => {
          const { engine, failure } = window.studio;
          const file = ({ name, bytes }: (typeof files)[number]): File =>
            new File([Uint8Array.from(bytes)], name);
          const stuck = await engine.importRun(weights.map(file));
          const cut = files.map((one) => (one.name === "state.safetensors" ? { ...(files.find(({ name }) => name === "vocabulary.json") as typeof one), name: one.name } : one)); // prettier-ignore
          const other = [...weights.filter(({ name }) => name === "flm.safetensors").map((one) => ({ ...one, name: "state.safetensors" })), ...weights]; // prettier-ignore
          return {
            stuck,
            why: await failure(engine.resume(stuck.id)),
            cut: await failure(engine.importRun(cut.map(file))),
            other: await failure(engine.importRun(other.map(file))),
          };
        },
        [weights.map(([name, bytes]) => ({ name, bytes: [...bytes] })), files] as const,
      );
      expect(told.stuck).toMatchObject({ state: "imported", stuck: told.why });
      expect(told.why).toBe(
        "Its training cannot go on here: state.safetensors, which says where it stopped, was not dropped.",
      );
      expect(told.cut).toMatch(/^state\.safetensors: the header claims/);
      expect(told.other).toMatch(/^state\.safetensors does not fit config\.json and vocabulary\.json: /);
    });
  });
});
