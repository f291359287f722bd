/**
 * What can go wrong with the engine in a real Chromium: each is a sentence, and what was saved before is still there. No WebGPU, no
 * WebAssembly, no storage, a full one, two tabs, and files that are no run or are hostile.
 */
import type { Page } from "playwright";
import { describe, expect, it } from "vitest";
import { missing } from "../browser/chromium.ts";
import { engineBrowser, filesOf, SETTINGS, started } from "./support/engine.ts";

if (missing !== undefined) console.log(`The tests of the studio's engine are left out: ${missing}.`);

const options = { timeout: 240_000 };

describe.skipIf(missing !== undefined)("the engine, where something is missing or fails", () => {
  const browser = engineBrowser();

  const deviceOf = (page: Page): Promise<unknown> =>
    page.evaluate(() => window.studio.events.find(({ kind }) => kind === "device"));

  it(
    "trains on WebAssembly without WebGPU, and in JavaScript without both; each passed over has a sentence",
    options,
    async () => {
      const context = await browser.context();
      for (const [without, name, passedOver] of [
        ["no-webgpu", "tfjs:wasm", [/WebGPU/]],
        ["no-webgpu no-wasm", "tfjs:cpu", [/WebGPU/, /no WebAssembly/]],
      ] as const) {
        const page = await browser.tab(context, without);
        const sentences = passedOver.map((part) => expect.stringMatching(part) as unknown);
        expect(await deviceOf(page)).toMatchObject({ device: { name, passedOver: sentences } });
        const run = await started(page, async () => undefined, { flmSteps: 6, fmlmSteps: 2 });
        // A request is heard although the thread computes all the time.
        const { texts } = await page.evaluate(async (id) => {
          await window.studio.until((event) => event.kind === "step" && event.done > 1);
          return window.studio.engine.sample({ run: id, model: "flm", steps: 1, count: 1 });
        }, run.id);
        expect(texts).toHaveLength(1);
        await page.evaluate(() => window.studio.engine.pause());
        await page.close();
      }
      await context.close();
    },
  );

  it("trains in memory where the browser keeps no files, and says so", options, async () => {
    const page = await browser.tab(await browser.context(), "no-opfs");
    expect(await page.evaluate(() => window.studio.events.filter(({ kind }) => kind === "note"))).toEqual([
      {
        kind: "note",
        text: "Runs are kept in memory only, and are gone when this page is closed: this browser keeps no files for pages.",
      },
    ]);
    const run = await started(page, async () => undefined, { flmSteps: 8, fmlmSteps: 2 });
    await page.evaluate(async () => {
      await window.studio.until((event) => event.kind === "step" && event.done > 2);
      await window.studio.engine.pause();
    });
    expect([...(await filesOf(page, run.id)).keys()].sort()).toContain("state.safetensors");
    // Somebody clicks twice: one training, and another one that is paused.
    const states = await page.evaluate(async (settings) => {
      const { engine } = window.studio;
      const lines = Array.from({ length: 60 }, (_, i) => `the cat number ${i} sees a dog here\n`);
      const text = { kind: "file", file: new File(lines, "cats.txt") } as const;
      const begun = await Promise.all([engine.start(settings, text), engine.start(settings, text)]);
      const now = new Map((await engine.runs()).map(({ id, state }) => [id, state]));
      await engine.pause();
      return begun.map(({ id }) => now.get(id));
    }, SETTINGS);
    expect(states).toEqual(["idle", "training"]);
    await page.context().close();
  });

  it(
    "keeps the last saved state when the storage is full, and goes on when there is room again",
    options,
    async () => {
      const context = await browser.context();
      const page = await browser.tab(context);
      const run = await started(page, async () => undefined, { flmSteps: 24, fmlmSteps: 4 });
      await page.evaluate(async () => {
        await window.studio.until((event) => event.kind === "step" && event.done > 4);
        await window.studio.engine.pause();
      });
      const before = await filesOf(page, run.id);
      const failed = await page.evaluate(async (id) => {
        const { engine } = window.studio;
        window.studio.mark();
        await engine.resume(id);
        await window.studio.until((event) => event.kind === "step" && event.done > 8);
        window.studio.tamper("full");
        const failure = window.studio.until((event) => event.kind === "failed");
        await engine.pause();
        const start = window.studio.failure(engine.start({ preset: "quick" }, { kind: "file", file: new File(["a b c d\n".repeat(9)], "a.txt") })); // prettier-ignore
        return { event: await failure, state: (await engine.run(id)).state, start: await start };
      }, run.id);
      expect(failed.event).toMatchObject({ run: run.id, message: expect.stringMatching(/^Cannot write .*(state.safetensors|metrics.jsonl): the storage that the browser gives to this page is full; remove a run/) }); // prettier-ignore
      expect(failed.state).toBe("idle");
      const after = await filesOf(page, run.id);
      expect(after.get("state.safetensors")?.equals(before.get("state.safetensors") ?? Buffer.of())).toBe(
        true,
      );
      const resumed = await page.evaluate(async (id) => {
        window.studio.mark();
        window.studio.tamper("roomy");
        const finished = window.studio.until(
          (event) => event.kind === "state" && event.run.state === "finished",
        );
        await window.studio.engine.resume(id);
        return finished;
      }, run.id);
      expect(resumed).toMatchObject({ run: { id: run.id, models: ["flm", "fmlm"] } });
      await context.close();
    },
  );

  it("lets one tab train a run, and the others look at it", options, async () => {
    const context = await browser.context();
    const [one, other] = [await browser.tab(context), await browser.tab(context)];
    const run = await started(one, async () => undefined, { flmSteps: 100_000 });
    const told = await other.evaluate(async (id) => {
      const { engine } = window.studio;
      return {
        resume: await window.studio.failure(engine.resume(id)),
        remove: await window.studio.failure(engine.remove(id)),
        text: (await engine.run(id)).text,
      };
    }, run.id);
    const sentence = "This run is in use by another tab of this page; pause it there or close that tab.";
    expect(told).toEqual({ resume: sentence, remove: sentence, text: "story.txt" });
    // Closing a tab gives the run back, at its last saved state.
    await one.close();
    const state = await other.evaluate(async (id) => {
      await navigator.locks.request(`fluxion-studio/${id}`, () => undefined); // the browser closes a tab in its own time
      const again = await window.studio.engine.resume(id);
      await window.studio.until((event) => event.kind === "step");
      await window.studio.engine.remove(id);
      return {
        state: again.state,
        left: await window.studio.engine.runs(),
        gone: await window.studio.failure(window.studio.engine.run(id)),
      };
    }, run.id);
    expect(state).toEqual({
      state: "training",
      left: [],
      gone: `There is no run ${run.id} any more; it may have been removed in another tab.`,
    });
    await context.close();
  });

  it(
    "refuses in a sentence what is no text, no run, too large or hostile, and keeps nothing of it",
    options,
    async () => {
      const page = await browser.tab(await browser.context());
      const trained = await started(
        page,
        (tab, id) =>
          tab.evaluate(
            (run) =>
              window.studio.until(
                (event) => event.kind === "state" && event.run.id === run && event.run.state === "finished",
              ),
            id,
          ),
        { flmSteps: 2, fmlmSteps: 2 },
      );
      const sentences = await page.evaluate(
        async ([id, settings]) => {
          const { engine, failure } = window.studio;
          const files = new Map(
            (await engine.exportRun(id)).map(({ name, blob }) => [name, new File([blob], name)]),
          );
          const file = (name: string, content: BlobPart): File => new File([content], name);
          const all = (...others: File[]): File[] => [
            ...new Map([...files, ...others.map((one) => [one.name, one] as const)]).values(),
          ];
          /** Says that it has so many bytes, and cannot be read. */
          const sized = (name: string, size: number): File =>
            new File(
              [
                new Blob([new Uint8Array(2 ** 20)]),
                ...Array.from({ length: size / 2 ** 20 - 1 }, () => megabyte),
              ],
              name,
            );
          const megabyte = new Blob([new Uint8Array(2 ** 20)]);
          const header = (text: string, data = 0): File => {
            const json = new TextEncoder().encode(text);
            const bytes = new Uint8Array(8 + json.length + data);
            new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
            bytes.set(json, 8);
            return file("flm.safetensors", bytes);
          };
          const config = JSON.parse(await (files.get("config.json") as File).text());
          const changed = (part: object): File =>
            file("config.json", JSON.stringify({ ...config, config: { ...config.config, ...part } }));
          const variant = { name: "no such", kind: "flow", teacher: "none", flow: "0" };
          const refused = (dropped: readonly File[]): Promise<string> => failure(engine.importRun(dropped));
          const text = (one: File, more: object = {}): Promise<string> =>
            failure(engine.start({ ...settings, ...more }, { kind: "file", file: one }));
          return {
            nothing: await refused([]),
            "a picture": await refused([file("cat.png", "x")]),
            "weights alone": await refused([files.get("flm.safetensors") as File]),
            "a gigabyte": await refused(all(sized("flm.safetensors", 2 ** 30))),
            "two of a name": await refused([...files.values(), files.get("config.json") as File]),
            "no JSON": await refused(all(file("config.json", "{"))),
            "no run's settings": await refused(all(file("config.json", '{"name":"x"}'))),
            "a later version": await refused(
              all(file("config.json", JSON.stringify({ ...config, version: 2 }))),
            ),
            "a huge network": await refused(
              all(changed({ network: { ...config.config.network, depth: 1e9 } })),
            ),
            "other sizes": await refused(all(changed({ network: { ...config.config.network, width: 32 } }))),
            "a declaration of another version": await refused(all(changed({ variant }))),
            "another vocabulary": await refused(
              all(
                file(
                  "vocabulary.json",
                  (await (files.get("vocabulary.json") as File).text()).replace('"the"', '"teh"'),
                ),
              ),
            ),
            "no checkpoint": await refused(all(file("flm.safetensors", "not a checkpoint, but some words"))),
            "a header of 2^63 bytes": await refused(
              all(file("flm.safetensors", new Uint8Array([0, 0, 0, 0, 0, 0, 0, 128, 1]))),
            ),
            "tensors on top of each other": await refused(
              all(
                header(
                  '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
                  12,
                ),
              ),
            ),
            "tensors of a petabyte": await refused(
              all(
                header(
                  '{"a":{"dtype":"F32","shape":[1048576,268435456],"data_offsets":[0,1125899906842624]}}',
                  8,
                ),
              ),
            ),
            "somebody's weights": await refused(
              all(header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8)),
            ),
            "a damaged log": await refused(all(file("metrics.jsonl", "{}\n"))),
            "a text of a gigabyte": await text(sized("big.txt", 2 ** 30)),
            "a binary text": await text(file("cat.txt", new Uint8Array([99, 0, 97]))),
            "an empty text": await text(file("empty.txt", "")),
            "a short text": await text(file("short.txt", "a b c")),
            "a bad size": await text(file("a.txt", "a b"), { width: 7 }),
            "a run that is not there": await failure(
              engine.sample({ run: "none", model: "flm", steps: 1, count: 1 }),
            ),
            "too many steps": await failure(engine.sample({ run: id, model: "flm", steps: 65, count: 1 })),
            "unknown words": await failure(
              engine.sample({ run: id, model: "flm", steps: 1, count: 1, infill: "xyzzy _" }),
            ),
            kept: (await engine.runs()).length,
          };
        },
        [trained.id, { ...SETTINGS }] as const,
      );
      expect(sentences).toMatchInlineSnapshot(`
        {
          "a bad size": "The settings: width 7 must be a multiple of twice the 2 heads.",
          "a binary text": "cat.txt is no plain text (NUL byte at offset 1); give a UTF-8 text file (convert UTF-16 first).",
          "a damaged log": "metrics.jsonl: line 1: "step" is missing.",
          "a declaration of another version": "This run trains "no such", which this version does not have: take the version that wrote it, or a newer one.",
          "a gigabyte": "flm.safetensors has 1024 MiB, and at most 512 MiB can be taken in here; use the command line for it.",
          "a header of 2^63 bytes": "flm.safetensors: the header claims 9223372036854775808 bytes, over the limit of 100000000; this is not a safetensors file.",
          "a huge network": "config.json asks for a depth of 1000000000, and at most 256 can be used here.",
          "a later version": "config.json has layout version 2, and this program reads version 1; use the version of fluxion that wrote it or a newer one.",
          "a picture": "cat.png is no part of a run. A run is config.json, vocabulary.json and what was trained (flm.safetensors, fmlm.safetensors or state.safetensors), as the command line writes them; drop them together.",
          "a run that is not there": "There is no run none any more; it may have been removed in another tab.",
          "a short text": "short.txt: the text has no line of at least 4 words (are there no spaces between its words?); use another text.",
          "a text of a gigabyte": "big.txt has 1074 MB, and at most 64 MB can be trained on here; drop a part of it.",
          "an empty text": "empty.txt is empty; drop a text file.",
          "another vocabulary": "vocabulary.json is damaged or was changed: its words are not those that were written; take the one that lies in the run's folder beside config.json.",
          "kept": 1,
          "no JSON": "config.json is damaged: its 1 characters are not JSON. Restore it, or start a new run in another folder.",
          "no checkpoint": "flm.safetensors: the header claims 7521891404167278446 bytes, over the limit of 100000000; this is not a safetensors file.",
          "no run's settings": "What was dropped is not a run folder: its config.json does not say "format": "fluxion-run".",
          "nothing": "Nothing was dropped. A run is config.json, vocabulary.json and what was trained (flm.safetensors, fmlm.safetensors or state.safetensors), as the command line writes them; drop them together.",
          "other sizes": "flm.safetensors does not fit config.json and vocabulary.json: tensor "backbone.blocks.0.attn_out.weight" has shape [16, 16], expected [32, 32]; tensor "backbone.blocks.0.attn_qkv.weight" has shape [48, 16], expected [96, 32]; tensor "backbone.blocks.0.mlp.2.bias" has shape [16], expected [32]; and 12 more differences.",
          "somebody's weights": "flm.safetensors is a safetensors file, but not a checkpoint of a run: its metadata lacks the format.",
          "tensors of a petabyte": "flm.safetensors: tensor "a" ends at byte 1125899906842624 of 8 data bytes; the file is cut short.",
          "tensors on top of each other": "flm.safetensors: tensor "b" begins at byte 4, inside tensor "a", which ends at 8.",
          "too many steps": "The number of steps is 65; it must be a whole number from 1 to 64.",
          "two of a name": "There are two files named config.json; drop the files of one run at a time.",
          "unknown words": "The text with blanks: "xyzzy" is not in the run's vocabulary of 51",
          "weights alone": "flm.safetensors is not a whole run: config.json and vocabulary.json are missing. A run is config.json, vocabulary.json and what was trained (flm.safetensors, fmlm.safetensors or state.safetensors), as the command line writes them; drop them together.",
        }
      `);
      await page.context().close();
    },
  );
});
