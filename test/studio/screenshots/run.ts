/**
 * Makes the pictures of docs/studio: `npm run screenshots -- RUN` with the folder of a run that the command line trained, by default the newest
 * in runs/. It builds the studio, drives it in the browser of the tests, and writes each state as WebP of at most 40 kB. Of a run of
 * examples/own-flow.ts those are made that show such a run, of any other run the others.
 *
 * Consumed by people. To add a picture: an entry in {@link SCENES}, and where it is shown in docs/studio.md.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright";
import { launch, openPage } from "../support/browser.ts";
import { buildStudio, ROOT, serve } from "../support/build.ts";

const MOST_BYTES = 40_000;
/** From the best down to where letters begin to blur. */
const QUALITIES = [90, 82, 74, 66, 58, 50, 42, 34];
const MARGIN = 16;
const DESK = { width: 1120, height: 700 };
const PHONE = { width: 390, height: 780 };
/** A training on the bundled text that a software adapter does in a minute, with a curve worth to be looked at. */
const SMALL = [
  ["Tokens of a text", 8],
  ["Words of the vocabulary", 100],
  ["Width", 16],
  ["Blocks", 1],
  ["Attention heads", 2],
  ["Texts of a batch", 64],
  ["Steps of FLM", 200],
  ["Steps of FMLM", 60],
] as const;

type Files = readonly (readonly [name: string, base64: string])[];

interface Scene {
  readonly name: string;
  readonly options?: BrowserContextOptions;
  /** Of a run that was trained from a user's declaration. */
  readonly declared?: true;
  /** In the page of the scene before. */
  readonly goesOn?: true;
  /** Brings the page to its state, and says which parts of it are shown: by default all that the window shows. */
  play(page: Page, run: Files): Promise<readonly string[]>;
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

/** Drops the run, and waits until it is what is shown. */
async function take(page: Page, run: Files): Promise<void> {
  await page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, base64] of files)
      dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.codePointAt(0) ?? 0)], name));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, run);
  await page.getByText("· from files ·").waitFor();
}

/** The declaration of the run, if it is of one in a user's file. */
const DECLARATION = "own-flow.ts";

/** The run's sentence at a step, and a place in it. Its declaration is dropped with it, where it has one. */
async function form(page: Page, run: Files, step: number, position: number): Promise<void> {
  await take(page, run);
  if (isDeclared) await button(page, `Run ${DECLARATION}`).click();
  await page.getByText(/both from the same noise\.$/).waitFor();
  await page.locator(".sentence[aria-busy=false]").waitFor();
  await page.locator(".positions").first().locator("button").nth(position).click();
  await page.getByRole("slider", { name: "Step from noise to text" }).fill(String(step));
}

/** Starts the small training, and waits for a step of the flow. */
async function train(page: Page, until: number): Promise<void> {
  await page.getByText("Sizes").click();
  for (const [label, value] of SMALL) await page.getByLabel(label).fill(String(value));
  await button(page, "Start training").click();
  await page.waitForFunction((least) => {
    const [, done = "0"] = /Step\s*([\d,]+) of/.exec(document.querySelector(".progress")?.textContent ?? "") ?? []; // prettier-ignore
    return Number(done.replace(",", "")) >= least;
  }, until);
}

const SCENES: readonly Scene[] = [
  {
    name: "forming",
    async play(page, run) {
      await form(page, run, 10, 4);
      return [".sentence > header", ".both", ".steer"];
    },
  },
  {
    name: "token",
    async play(page, run) {
      await form(page, run, 8, 3);
      return [".way-of"];
    },
  },
  {
    name: "write",
    async play(page, run) {
      await take(page, run);
      await page.getByRole("link", { name: "Write" }).click();
      await page.getByRole("spinbutton", { name: "Texts" }).fill("3");
      for (const [model, steps] of [
        ["FLM", 32],
        ["FMLM", 1],
      ] as const) {
        await page.locator("[data-view=write]").getByText(model, { exact: true }).first().click();
        await page.getByLabel("Steps from noise to text").fill(String(steps));
        await page.getByRole("spinbutton", { name: "Seed" }).fill("5");
        await button(page, "Write").click();
        await button(page, "Write").waitFor();
      }
      return ["form.request", ".written"];
    },
  },
  {
    name: "infill",
    async play(page, run) {
      await take(page, run);
      await page.getByRole("link", { name: "Write" }).click();
      await page.getByRole("spinbutton", { name: "Texts" }).fill("5");
      await page.getByLabel("Word 1", { exact: true }).fill("a person who");
      await button(page, "Fill the blanks").click();
      await page.locator(".written .texts p").first().waitFor();
      return ["form.request", ".written"];
    },
  },
  {
    name: "playground",
    options: { viewport: { width: 1000, height: 560 } },
    async play(page) {
      await page.getByRole("link", { name: "Playground" }).click();
      await page.getByLabel("Begin with").selectOption("A planted mistake");
      await page.locator("[data-types=ready]").waitFor();
      await page.getByLabel("Cases").fill("4");
      await button(page, "Verify").click();
      await page.getByRole("heading", { name: "Identities" }).waitFor();
      await page.locator(".playground").evaluate((element) => element.scrollIntoView());
      return [];
    },
  },
  {
    name: "explain",
    options: { viewport: { width: 1040, height: 640 } },
    async play(page, run) {
      await take(page, run);
      await page.getByRole("link", { name: "Explain" }).click();
      await page.locator(".explain tbody th").first().waitFor();
      return [];
    },
  },
  {
    name: "phone",
    options: { viewport: PHONE, colorScheme: "dark", deviceScaleFactor: 2 },
    async play(page, run) {
      await form(page, run, 12, 3);
      await page.locator(".sentence").evaluate((element) => element.scrollIntoView());
      return [];
    },
  },
  {
    name: "declared",
    declared: true,
    options: { viewport: { width: 1120, height: 944 } },
    async play(page, run) {
      await form(page, run, 9, 3);
      await page.evaluate("scrollTo(0, 0)");
      return [];
    },
  },
  {
    name: "training",
    options: { viewport: { width: 1120, height: 960 } },
    async play(page) {
      await train(page, 130);
      await page.evaluate("scrollTo(0, 0)");
      return [];
    },
  },
  {
    name: "paused",
    goesOn: true,
    async play(page) {
      await button(page, "Pause").click();
      await page.getByText(/paused at \d+ of/).waitFor();
      // As it is found when the page is opened again.
      await page.reload();
      await page.getByText(/paused at \d+ of/).waitFor();
      await page.locator(".measures canvas").waitFor();
      return [".measures header", ".runs"];
    },
  },
];

/** Parts of the page with what is between them, or what its window shows, in the best quality that is small enough. */
async function picture(page: Page, parts: readonly string[]): Promise<{ webp: Buffer; png: Buffer }> {
  const session = await page.context().newCDPSession(page);
  const boxes = await Promise.all(parts.map((part) => page.locator(part).first().boundingBox()));
  const found = boxes.filter((box) => box !== null);
  const [left, top, right, bottom] = [
    Math.min(...found.map(({ x }) => x)) - MARGIN,
    Math.min(...found.map(({ y }) => y)) - MARGIN,
    Math.max(...found.map(({ x, width }) => x + width)) + MARGIN,
    Math.max(...found.map(({ y, height }) => y + height)) + MARGIN,
  ];
  const scrolled = await page.evaluate(() => scrollY);
  const clip =
    found.length === 0
      ? {}
      : {
          captureBeyondViewport: true,
          clip: { x: left, y: top + scrolled, width: right - left, height: bottom - top, scale: 1 },
        };
  const taken = async (format: "webp" | "png", quality?: number): Promise<Buffer> => {
    const how = { format, ...(quality === undefined ? {} : { quality }), ...clip };
    return Buffer.from((await session.send("Page.captureScreenshot", how)).data, "base64");
  };
  for (const quality of QUALITIES) {
    const webp = await taken("webp", quality);
    if (webp.length <= MOST_BYTES) return { webp, png: await taken("png") };
  }
  throw new Error(`The picture is larger than ${MOST_BYTES} bytes; show less of the page.`);
}

async function opened(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const { page } = await openPage(browser, url, { viewport: DESK, reducedMotion: "reduce", ...options });
  // Software adapters compile slowly.
  page.setDefaultTimeout(400_000);
  await page.locator(".chip.ready").waitFor();
  return page;
}

async function make(page: Page, scene: Scene, run: Files, folder: string): Promise<void> {
  const parts = await scene.play(page, run);
  // Nothing that is only there while something is pressed.
  await page.mouse.move(0, 0);
  await page.waitForTimeout(400);
  const { webp, png } = await picture(page, parts);
  await writeFile(join(folder, `${scene.name}.webp`), webp);
  // Beside where they are shown, for tools that cannot show WebP.
  await writeFile(join(ROOT, ".cache/screenshots", `${scene.name}.png`), png);
  console.log(`${scene.name}.webp: ${(webp.length / 1000).toFixed(1)} kB`);
}

async function newestRun(): Promise<string> {
  // Their names are times.
  const newest = (await readdir(join(ROOT, "runs")).catch((): string[] => []))
    .sort((a, b) => a.localeCompare(b))
    .at(-1);
  if (newest === undefined) throw new Error("Give the folder of a run, as npx fluxion demo makes it.");
  return join(ROOT, "runs", newest);
}

const [given, ...only] = process.argv.slice(2);
const from = given ?? (await newestRun());
const settings = JSON.parse(await readFile(join(from, "config.json"), "utf8")) as {
  readonly config?: { readonly variant?: { readonly file?: string } };
}; // as runs have it
const isDeclared = settings.config?.variant?.file === DECLARATION;
const paths = (await readdir(from))
  .filter((name) => /\.(json|jsonl|safetensors)$/.test(name) && !name.startsWith("state"))
  .map((name) => join(from, name));
if (isDeclared) paths.push(join(ROOT, "examples", DECLARATION));
const run: Files = await Promise.all(
  paths.map(async (path) => [basename(path), (await readFile(path)).toString("base64")] as const),
);
const folder = join(ROOT, "docs/studio");
for (const made of [folder, join(ROOT, ".cache/screenshots")]) await mkdir(made, { recursive: true });
const [browser, built] = await Promise.all([launch(), buildStudio()]);
const served = await serve(built.folder);
try {
  let page: Page | undefined;
  for (const scene of SCENES) {
    if ((scene.declared ?? false) !== isDeclared) continue;
    if (only.length > 0 && !only.includes(scene.name)) continue;
    if (page === undefined || scene.goesOn !== true) {
      await page?.context().close();
      page = await opened(browser, served.url, scene.options);
    }
    await make(page, scene, run, folder);
  }
} finally {
  await browser.close();
  await served.close();
  await built.remove();
}
