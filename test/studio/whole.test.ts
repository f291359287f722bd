/**
 * The studio as it is shipped, from beginning to end in Chromium on a software GPU: a training through the page, paused, reloaded and
 * resumed; a text in one step; a run of the command line, dropped; a declaration, verified. No request leaves the page's origin, and
 * nothing violates its policy.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../browser/chromium.ts";
import { fluxion, testFolder, TINY } from "../support/cli.ts";
import { storyText } from "../support/story.ts";
import { launch, openPage } from "./support/browser.ts";
import { buildStudio, serve } from "./support/build.ts";

if (missing !== undefined) console.log(`The whole studio is not tested in a browser: ${missing}.`);

/** Labels of the fields, and what makes a training of seconds. */
const SIZES = [
  ["Tokens of a text", 8],
  ["Words of the vocabulary", 60],
  ["Width", 16],
  ["Blocks", 1],
  ["Attention heads", 2],
  ["Texts of a batch", 64],
  ["Steps of FLM", 50],
  ["Steps of FMLM", 10],
] as const;

/** Drops files with their content. */
const drop = (page: Page, files: readonly (readonly [name: string, base64: string])[]): Promise<void> =>
  page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, base64] of files) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.codePointAt(0) ?? 0);
      dataTransfer.items.add(new File([bytes], name));
    }
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, files);

/** A run folder's files, of two trainings of a few steps by the command line. */
async function runOfTheCommandLine(): Promise<readonly (readonly [name: string, base64: string])[]> {
  const folder = await testFolder();
  const [data, out] = [join(folder, "story.txt"), join(folder, "run")];
  await writeFile(data, storyText(600));
  const { code, stderr } = await fluxion(["demo", ...TINY, "--steps", "4", "--distill-steps", "2", "--data", data, "--out", out]); // prettier-ignore
  expect(code, stderr).toBe(0);
  const names = (await readdir(out)).filter((name) => /\.(json|safetensors)$/.test(name));
  return Promise.all(
    names.map(async (name) => [name, (await readFile(join(out, name))).toString("base64")] as const),
  );
}

/** Numbers of a column of the table beside the curves. */
const column = async (page: Page, i: number): Promise<readonly number[]> =>
  (await page.locator(`table.numbers tbody tr > :nth-child(${i})`).allTextContents())
    .filter((text) => text !== "")
    .map(Number);

describe.skipIf(missing !== undefined)("the studio", () => {
  let browser: Browser;
  let built: Awaited<ReturnType<typeof buildStudio>>;
  let served: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    [browser, built] = await Promise.all([launch(), buildStudio()]);
    served = await serve(built.folder);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    await built?.remove();
  });

  it("loads less than 1 MB, compressed, before it can be used", async () => {
    const context = await browser.newContext({ locale: "en-GB" });
    const page = await context.newPage();
    const loaded = new Map<string, Buffer>();
    page.on("response", async (response) => {
      if (response.url().startsWith("http")) loaded.set(response.url(), await response.body());
    });
    await page.goto(served.url);
    await page.locator(".chip.ready").waitFor();
    await page.waitForLoadState("networkidle");
    const sizes = [gzipSync, brotliCompressSync].map((compress) =>
      [...loaded.values()].reduce((sum, body) => sum + compress(body).length, 0),
    );
    console.log(
      `The studio's first load: ${loaded.size} files, gzip ${sizes[0]} bytes, brotli ${sizes[1]} bytes.`,
    );
    expect(loaded.size).toBeGreaterThan(3);
    expect(Math.max(...sizes)).toBeLessThan(1e6);
    await context.close();
  });

  it(
    "trains 50 steps and more, goes on after a reload, writes in one step, takes a run, verifies",
    { timeout: 300_000 },
    async () => {
      const run = await runOfTheCommandLine();
      const { page, faults } = await openPage(browser, served.url, { reducedMotion: "reduce" });
      page.setDefaultTimeout(120_000);

      await drop(page, [["story.txt", Buffer.from(storyText(900)).toString("base64")]]);
      await page.getByText(/^story\.txt, /).waitFor();
      await page.getByText("Sizes").click();
      for (const [label, value] of SIZES) await page.getByLabel(label).fill(String(value));
      await page.getByRole("button", { name: "Start training" }).click();
      // Texts are shown while it learns; the run is paused in the middle of its flow.
      await page.getByText(/^(1[2-9]|[234]\d) of 50$/).waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText(/paused at \d+ of 60/).waitFor();
      const [paused] = /\d+(?= of 60)/.exec((await page.locator(".runs").innerText()) ?? "") ?? [];

      await page.reload();
      await page.getByText(`paused at ${paused} of 60`).waitFor();
      await page.getByText("The curves as numbers").click();
      // The losses themselves: what is smoothed changes with those that follow.
      await page.getByLabel("Smoothing").fill("0");
      const before = await column(page, 2);
      await page.getByRole("button", { name: /^Resume/ }).click();
      await page.getByText("· finished ·").waitFor();
      const flm = await column(page, 2);
      expect(before.length).toBeGreaterThan(1);
      expect(flm[0]).toBe(before[0]);
      expect(flm.at(-1)).toBeLessThan((flm[0] ?? 0) - 0.1);
      expect((await column(page, 3)).length).toBeGreaterThan(0);
      // The sentence is the run's own now, of both models, and decided at its end.
      await page.getByText(/^From story/).waitFor();
      expect(await page.locator(".forming .positions").count()).toBe(2);

      await page.getByRole("link", { name: "Write" }).click();
      await page.getByRole("button", { name: "Write", exact: true }).click();
      await page.getByText(/^FMLM, 1 step, seed 1/).waitFor();
      expect((await page.locator(".written .texts p").first().innerText()).split(" ")).toHaveLength(8);

      await drop(page, run);
      await page.getByRole("link", { name: "Train" }).click();
      await page.getByText("· from files ·").waitFor();
      await page.getByRole("link", { name: "Write" }).click();
      await page.getByRole("button", { name: "Write", exact: true }).click();
      await page.getByText(/^FMLM, 1 step, seed 1/).waitFor();
      expect((await page.locator(".written .texts p").first().innerText()).split(" ")).toHaveLength(6);

      await page.getByRole("link", { name: "Playground" }).click();
      await page.getByLabel("Cases").fill("2");
      await page.getByRole("button", { name: "Verify" }).click();
      await page.getByRole("heading", { name: "Identities" }).waitFor();

      expect(await page.locator(".problems").count()).toBe(0);
      expect(faults).toEqual([]);
    },
  );
});
