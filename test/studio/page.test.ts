/**
 * The built page in Chromium, with an engine that computes nothing: its tabs, its policy, its failures, what assistive technology is told.
 * What the real engine does is tested in the files beside this one.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../browser/chromium.ts";
import { launch, openPage } from "./support/browser.ts";
import { buildStudio, FAKE_ENGINE, serve } from "./support/build.ts";

if (missing !== undefined) console.log(`The studio's page is not tested in a browser: ${missing}.`);

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const TABS = ["train", "write", "playground", "explain"] as const;

/** Rules of WCAG 2.2 A and AA, and good practice, that the page breaks. */
async function violations(page: Page): Promise<readonly string[]> {
  // As a function of the page: its policy allows no script of another origin, and Playwright's way around it is not the page's.
  await page.evaluate(await readFile(AXE, "utf8"));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { readonly axe: typeof import("axe-core") }; // the script above made it
    const { violations } = await axe.run(document);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

const start = (page: Page): Promise<void> => page.getByRole("button", { name: "Start training" }).click();
const finished = (page: Page): Promise<void> => page.getByText("· finished ·").waitFor();

/** Drops files, by name and size, somewhere on the page. */
const drop = (page: Page, files: readonly (readonly [name: string, size: number])[]): Promise<void> =>
  page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, size] of files) {
      dataTransfer.items.add(new File([new Uint8Array(size)], name));
    }
    for (const kind of ["dragenter", "drop"])
      document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  }, files);

describe.skipIf(missing !== undefined)("the studio's page", () => {
  let browser: Browser;
  let built: Awaited<ReturnType<typeof buildStudio>>;
  let served: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    [browser, built] = await Promise.all([launch(), buildStudio(FAKE_ENGINE)]);
    served = await serve(built.folder);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    await built?.remove();
  }, 60_000);

  it.each(["light", "dark"] as const)(
    "breaks no rule of accessibility in any tab, %s",
    async (colorScheme) => {
      const { page, faults } = await openPage(browser, served.url, { colorScheme, reducedMotion: "reduce" });
      expect(await violations(page), "before a training").toEqual([]);
      await page.getByText("Sizes").click();
      await page.getByLabel("Attention heads").fill("7");
      await start(page);
      await page.getByText("not a multiple of 14").waitFor();
      await page.waitForFunction(() => document.activeElement?.id === "new-heads");
      expect(await violations(page), "with a mistake").toEqual([]);
      await page.getByLabel("Attention heads").fill("");
      await start(page);
      await finished(page);
      await page.getByText("The curves as numbers").click();
      for (const tab of TABS) {
        await page.goto(`${served.url}#${tab}`);
        await page.locator(`[data-view=${tab}]:visible h1`).waitFor();
        if (tab === "write") await page.getByRole("button", { name: "Write", exact: true }).click();
        // What is fetched for a tab is there when nothing waits any more.
        await page.waitForLoadState("networkidle");
        expect(await violations(page), tab).toEqual([]);
      }
      for (const given of [undefined, 1, 2]) {
        if (given === undefined)
          await drop(page, [["config.json", 2], ["declared.json", 2]]); // prettier-ignore
        else await drop(page, [["own-flow.ts", given]]);
        await page
          .getByText(
            [
              "Code is never taken out of a run",
              "is not the text that it was trained with",
              "cannot be told",
            ][given ?? 0] ?? "",
          )
          .waitFor();
        for (const tab of ["train", "write"]) {
          await page.goto(`${served.url}#${tab}`);
          expect(await violations(page), `${tab}, a declaration, given ${given}`).toEqual([]);
        }
      }
      expect(faults).toEqual([]);
      await page.context().close();
    },
  );

  it("shows a sentence forming that keys move, and its tabs are links", async () => {
    const { page, faults } = await openPage(browser, served.url, { reducedMotion: "reduce" });
    const slider = page.getByRole("slider", { name: "Step from noise to text" });
    await slider.focus();
    await page.keyboard.press("Home");
    expect(await slider.getAttribute("aria-valuetext")).toMatch(/^step 0 of 16/);
    const first = page.getByRole("button", { name: /^Position 1:/ }).first();
    const noise = await first.getAttribute("aria-label");
    await page.keyboard.press("End");
    expect(await slider.getAttribute("aria-valuetext")).toBe("step 16 of 16, mean entropy 0.00 nats");
    expect(await first.getAttribute("aria-label")).toMatch(/100%; entropy 0\.00 nats$/);
    expect(await first.getAttribute("aria-label")).not.toBe(noise);
    await first.focus();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("heading", { name: "Token 2 of 7" }).waitFor();
    // Both are at the same text: the map's jump is where the flow's steps end.
    const texts = await page.locator(".positions").allInnerTexts();
    expect(texts).toHaveLength(2);
    expect(texts[0]).toBe(texts[1]);
    await page.getByRole("link", { name: "Write" }).focus();
    await page.keyboard.press("Enter");
    expect(new URL(page.url()).hash).toBe("#write");
    await page.getByRole("heading", { name: "Write" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "A sentence forming" }).waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("says how far an explanation is, and stops it", async () => {
    const { page, faults } = await openPage(browser, served.url);
    await page.getByLabel("Seed", { exact: true }).fill("7");
    await start(page);
    await finished(page);
    await page.getByRole("link", { name: "Explain" }).click();
    await page.getByText(/^3 of 9 kernels, \d+ s$/).waitFor();
    expect(await page.getByRole("progressbar", { name: "Explaining" }).getAttribute("value")).toBe("3");
    expect(await page.locator(".explain [role=status]").innerText()).toMatch(/^Kernels are compiled/);
    await page.locator(".explain").getByRole("button", { name: "Stop" }).click();
    await page.getByText(/^Stopped\./).waitFor();
    const again = page.getByRole("button", { name: "Explain again" });
    expect(await again.evaluate((element) => element === document.activeElement)).toBe(true);
    await again.click();
    await page.getByText(/^3 of 9 kernels/).waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("trains, pauses, is there again after a reload, goes on, and writes in one step, and in more around given words", async () => {
    const { page, faults } = await openPage(browser, served.url);
    await page.getByText("Sizes").click();
    // Long enough for a busy machine to press the button meanwhile.
    await page.locator("#new-flmSteps").fill("2000");
    await start(page);
    await page.getByText("FLM learns the flow").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText(/paused at [\d,]+ of 2/).waitFor();
    await page.reload();
    await page.getByText("Sizes").click();
    await page.locator("#new-flmSteps").fill("60");
    await page.getByRole("button", { name: /^Resume/ }).click();
    await finished(page);
    // Its settings are there for the next.
    expect(await page.locator("#new-flmSteps").inputValue()).toBe("60");
    await page.getByRole("link", { name: "Write" }).click();
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.getByText("FMLM, 1 step, seed 1").waitFor();
    // One step would not see them.
    await page.getByLabel("Word 2").fill("small river");
    await page.getByRole("button", { name: "Fill the blanks" }).click();
    await page.getByText("FMLM, 8 steps, seed 2").waitFor();
    expect(await page.locator(".written .texts p").first().innerText()).toMatch(/^\w+ small river /);
    await page.getByLabel("Word 5").fill("zebra");
    await page.getByText("Not in this run's vocabulary of 20: zebra.").waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("deletes a run only when that is confirmed, and saves its files", async () => {
    const { page, faults } = await openPage(browser, served.url);
    await start(page);
    await finished(page);
    // Keys go on where the button was.
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Training");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: /^Save files/ }).click();
    expect((await download).suggestedFilename()).toBe("config.json");
    await page.getByRole("button", { name: /^Delete…/ }).click();
    await page.getByRole("button", { name: "Keep" }).click();
    await page.getByRole("button", { name: /^Delete…/ }).click();
    await page.getByRole("button", { name: /for good$/ }).click();
    await page.getByText("None yet.").waitFor();
    await page.reload();
    await page.getByText("None yet.").waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("says in a sentence what does not work, keeps it until it is dismissed, and takes what is dropped", async () => {
    const { page, faults } = await openPage(browser, served.url, { viewport: { width: 1280, height: 600 } });
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await drop(page, [["weights.safetensors", 2]]);
    await page.getByText("config.json is missing").waitFor();
    // It is seen where the page was scrolled to.
    expect((await page.locator(".problems").boundingBox())?.y).toBeGreaterThanOrEqual(0);
    await drop(page, [
      ["a.png", 2],
      ["b.png", 2],
    ]);
    await page.getByText("2 files were given, and none is of a run").waitFor();
    await page
      .getByRole("button", { name: /^Dismiss/ })
      .first()
      .click();
    expect(await page.getByText("config.json is missing").count()).toBe(0);
    // A text leads to the tab that learns it, and from there back.
    await page.getByRole("link", { name: "Write", exact: true }).click();
    await drop(page, [["novel.txt", 2]]);
    await page.getByText("novel.txt, 2 bytes").waitFor();
    await page.getByRole("link", { name: "Write", exact: true }).click();
    await page.getByRole("heading", { name: "Write" }).waitFor();
    await page.getByRole("link", { name: "Train", exact: true }).click();
    await drop(page, [["library.txt", 64e6 + 1]]);
    await page.getByText("library.txt has 64 MB, and the studio learns texts of up to 64 MB").waitFor();
    await page.getByText("Sizes").click();
    await page.getByLabel("Words of the vocabulary").fill("666");
    await start(page);
    await page
      .getByText("The training could not be started: The text has 12 documents, and 20 are needed.")
      .waitFor();
    await drop(page, [
      ["config.json", 2],
      ["flm.safetensors", 2],
    ]);
    await page.getByText("from files").waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("moves nothing by itself where motion is to be reduced, and fits a phone", async () => {
    const { page } = await openPage(browser, served.url, {
      reducedMotion: "reduce",
      viewport: { width: 390, height: 844 },
    });
    const slider = page.getByRole("slider", { name: "Step from noise to text" });
    expect(await slider.getAttribute("aria-valuetext")).toMatch(/^step 16 of 16/);
    await start(page);
    await finished(page);
    for (const tab of TABS) {
      await page.goto(`${served.url}#${tab}`);
      await page.locator(`[data-view=${tab}]:visible h1`).waitFor();
      await page.waitForLoadState("networkidle");
      expect(await page.evaluate(() => document.documentElement.scrollWidth), tab).toBeLessThanOrEqual(390);
    }
    await page.context().close();
  });

  it("writes a name as long as a file may have, and one that turns the text, without its own words suffering", async () => {
    const { page } = await openPage(browser, served.url, {
      reducedMotion: "reduce",
      viewport: { width: 390, height: 844 },
    });
    const name = `a\u202Egpj ${"x".repeat(200)}.txt`;
    await drop(page, [[name, 2]]);
    await page.getByText("Sizes").click();
    await page.getByLabel("Words of the vocabulary").fill("666");
    await start(page);
    await page.locator(".problems li").waitFor();
    await page.getByLabel("Words of the vocabulary").fill("60");
    await start(page);
    await finished(page);
    await drop(page, [[`${name}.png`, 0]]);
    await page.getByText("is empty").waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    const shown = await page.evaluate(() => document.body.innerText);
    expect(shown).toContain(`From agpj ${"x".repeat(200)}.txt`);
    expect(shown).not.toContain("\u202E");
    await page.context().close();
  });

  it("refuses what its policy does not allow", async () => {
    const { page, faults } = await openPage(browser, served.url);
    const inline = await page.evaluate(async () => {
      await fetch("https://example.org/").catch(() => undefined);
      const script = document.createElement("script");
      script.textContent = "document.title = 'reached'";
      document.head.append(script);
      return document.title;
    });
    expect(inline).toBe("Fluxion studio");
    // The engine's worker is held to the same.
    await drop(page, [["reach-out.json", 2]]);
    await page.getByText("connect-src holds in the worker").waitFor();
    const policies = faults.flatMap((fault) => /^policy: ([\w-]+)/.exec(fault)?.[1] ?? []);
    expect(policies).toEqual(["connect-src", "script-src-elem"]);
    await page.context().close();
  });
});
