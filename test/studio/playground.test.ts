/**
 * The playground and the explain view in a real browser, under a content-security policy as strict as the studio's: what `verify` finds is
 * what the command line finds, code that never ends is stopped, and the user's own line is named.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../browser/chromium.ts";
import { fluxion, packageUrl, testFolder } from "../support/cli.ts";
import { launch, openPage } from "./support/browser.ts";
import { buildStudio, serve } from "./support/build.ts";

if (missing !== undefined) console.log(`The playground is not looked at: ${missing}.`);

const starter = (name: string): string =>
  fileURLToPath(new URL(`../../studio/src/playground/starters/${name}.ts`, import.meta.url));

let built: Awaited<ReturnType<typeof buildStudio>>;
let served: Awaited<ReturnType<typeof serve>>;
let browser: Browser;
let page: Page;
/** What the page should not have: requests elsewhere, errors. */
let faults: readonly string[];
/** Faults that are the doing of the code in the editor. */
const expected: string[] = [];

const editor = () => page.locator(".cm-content");
const button = (name: string) => page.getByRole("button", { name, exact: true });

async function write(text: string): Promise<void> {
  await editor().click();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

/**
 * Code that starts the studio's own workers from their files, for which this server sends no policy, and makes each construct a function
 * that asks another place: what Comlink exposes can be called along any path.
 */
async function byWorkers(elsewhere: string): Promise<string> {
  const files = (await readdir(join(built.folder, "assets"))).filter((name) => /^worker-.*\.js$/.test(name));
  expect(files.length).toBeGreaterThan(1);
  return `const urls: string[] = ${JSON.stringify(files.map((name) => `${served.url}assets/${name}`))};
for (const url of urls) {
  const worker = new Worker(url, { type: "module" });
  worker.onerror = (event) => event.preventDefault();
  await new Promise((resolve) => {
    worker.onmessage = ({ data }) => {
      if (data?.value?.postMessage === undefined) return;
      data.value.postMessage({ id: "b", type: "APPLY", path: [], argumentList: [] });
    };
    setTimeout(resolve, 2000);
    for (const name of ["verify", "transpile"])
      worker.postMessage({ id: "a" + name, type: "CONSTRUCT", path: [name, "constructor"], argumentList: [{ type: "RAW", value: "return fetch('${elsewhere}', { mode: 'no-cors' })" }] });
  });
}
console.log(urls.length + " workers asked");`;
}

/** How what is asked by a button ends. */
async function ends(name: string): Promise<string> {
  await button(name).click();
  const said = page.locator(".play-said:not(:empty)");
  await said.waitFor({ timeout: 100_000 });
  return said.innerText();
}

/** What axe finds against the page as it stands. */
async function inaccessible(): Promise<readonly string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  return page.evaluate(async () => {
    interface Axe {
      run(): Promise<{
        readonly violations: readonly { readonly id: string; readonly nodes: readonly { html: string }[] }[];
      }>;
    }
    const { violations } = await (globalThis as unknown as { readonly axe: Axe }).axe.run(); // just loaded
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

describe.skipIf(missing !== undefined)("the playground", { timeout: 120_000 }, () => {
  beforeAll(async () => {
    built = await buildStudio(undefined, fileURLToPath(new URL("page", import.meta.url)));
    served = await serve(built.folder);
    browser = await launch();
    ({ page, faults } = await openPage(browser, served.url, { viewport: { width: 1280, height: 900 } }));
    await page.getByLabel("Cases").fill("1");
    await page.getByLabel("Seed").fill("3");
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    await built?.remove();
  });

  it("finds what the command line finds, and says what changed when the mistake is mended", async () => {
    const source = await readFile(starter("mistake"), "utf8");
    const file = join(await testFolder(), "mistake.ts");
    await writeFile(file, source.replace(`"fluxion"`, JSON.stringify(await packageUrl())));
    const printed = fluxion(["verify", file, "--json", "--cases", "1", "--seed", "3"]);

    await page.getByLabel("Begin with").selectOption("A planted mistake");
    expect(await ends("Verify")).toMatch(/^Verified: 2 of \d+ identities fail\.$/);
    const answer = await page.evaluate("playground.verified()");
    expect(answer).toEqual(JSON.parse((await printed).stdout));
    expect(await page.locator(".play-failure").first().innerText()).toMatch(/✘ target\n[^]*Usual cause:/);
    await expect.poll(() => page.getByText("✘ fails").count()).toBe(2);

    const old = page.getByText("of an older text");
    expect(await old.count()).toBe(0);
    await write(source.replace("lagrangianWeight(to, from)", "lagrangianWeight(from, to)"));
    // Seen beside the result, and said to those who do not see it.
    await page.getByRole("heading", { name: "Identities of an older text" }).waitFor();
    expect(await page.locator(".play-said[role=status]").innerText()).toMatch(
      / The text was changed since then\.$/,
    );
    expect(await ends("Verify")).toMatch(/^Verified: all \d+ identities hold\.$/);
    const changes = page.getByRole("region", { name: "Identities that changed" });
    expect(await changes.getByText("✔ holds now").count()).toBe(2);
    expect(await changes.innerText()).toContain("loss of the flow map of Lagrangian map");
    expect(await old.count()).toBe(0);

    // Another program is not compared with this one.
    await page.getByLabel("Begin with").selectOption("A clock");
    expect(await page.locator(".play-said").innerText()).toBe("The text is “A clock” now.");
    expect(await page.getByRole("heading", { level: 2 }).count()).toBe(0);
  });

  it("lets a selection be typed over, within the policy", async () => {
    const before = faults.length;
    await write(`import { models } from "fluxion";\n// one`);
    for (const text of ["// two", "const three = 3;"]) {
      await page.locator(".cm-line").last().click();
      await page.keyboard.press("Home");
      await page.keyboard.press("Shift+End");
      await page.keyboard.insertText(text);
      expect(await page.locator(".cm-line").last().innerText()).toBe(text);
    }
    // A bracket goes around it, as when CodeMirror has the key.
    await page.keyboard.press("Shift+Home");
    await page.keyboard.type("(");
    expect(await page.locator(".cm-line").last().innerText()).toBe("(const three = 3;)");
    expect(faults.slice(before)).toEqual([]);
  });

  it("completes, explains and marks by types", async () => {
    await page.locator("[data-types=ready]").waitFor({ timeout: 100_000 });
    await write(`import { models } from "fluxion";\nexport const n: string = 3;\nmodels.flows.`);
    await page.locator(".cm-lintRange-error").first().waitFor();
    await page.keyboard.type("flowM");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "flowMap" }).first().waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".tok-property", { hasText: "flows" }).last().hover();
    await expect.poll(() => page.locator(".cm-tooltip-hover").innerText()).toContain("flows");
  });

  it("names the user's own line, and leads to it", async () => {
    await write(
      `import { models, mul } from "fluxion";\n\ninterface Gone {\n  a: 1;\n}\nmodels.clocks.clock({ name: "late", tau: (t) => mul(t, 0.9) });`,
    );
    expect(await ends("Verify")).toMatch(/^playground\.ts:6: The clock "late" must show τ\(1\) = 1/);
    await button("Go to line 6").click();
    expect(await page.locator(".cm-activeLineGutter").first().innerText()).toBe("6");
    await write(`import { nothing } from "fluxion";\nconsole.log("before");\nexport const flow = nothing;`);
    expect(await ends("Verify")).toBe(`playground.ts:3: "fluxion" exports no "nothing"`);
    expect(await page.locator(".play-printed pre").innerText()).toBe("before");
    await write(`import { join } from "node:path";\nexport const flow = join;`);
    expect(await ends("Verify")).toMatch(/^playground\.ts:1: "node:path" cannot be imported/);
    await write(`export const flow = ;`);
    expect(await ends("Verify")).toBe("playground.ts:1: Expression expected.");
    await write(`export const other = 3;`);
    expect(await ends("Verify")).toMatch(/^playground\.ts exports no flow, flow map or spherical flow/);
  });

  it("marks the line that makes an identity impossible to compute", async () => {
    await write(
      `import { models, reshape } from "fluxion";\nconst { clocks, flows } = models;\nconst space = flows.linear;\n` +
        `const beta: typeof space.beta = (t) =>\n  t.shape.length === 1 ? reshape(t, [7]) : space.beta(t);\n` +
        `const interpolant = { ...space, beta };\nexport const flow = flows.flow({ name: "broken", clock: clocks.uniformClock(), interpolant });`,
    );
    expect(await ends("Verify")).toMatch(/identities fail/);
    expect(await page.locator(".play-failure", { hasText: "could not be computed" }).count()).toBeGreaterThan(
      0,
    );
    await button("Go to line 5").first().waitFor();
  });

  it("stops code that never ends, and lets code reach no other place", async () => {
    const before = faults.length;
    // The same server by another name, which is another origin: without a policy it would answer.
    const elsewhere = served.url.replace("127.0.0.1", "localhost");
    await write(
      `export {};\nawait fetch("${elsewhere}", { mode: "no-cors" }).then(() => console.log("answered")).catch(({ message }) => console.log("fetch", message));\n` +
        `try { (0, eval)("1"); } catch { console.log("eval refused"); }\n${await byWorkers(`${elsewhere}?workers`)}\nfor (;;) {}`,
    );
    await button("Verify").click();
    await expect
      .poll(() => page.locator(".play-printed pre").innerText(), { timeout: 20_000 })
      .toMatch(/fetch [^]*eval refused\n\d+ workers asked/);
    expect(served.asked()).toEqual([]);
    // The page answers meanwhile.
    expect(await button("Verify").isDisabled()).toBe(true);
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(resolve))");
    expect(await ends("Stop")).toBe("Stopped.");
    expect(await button("Verify").isEnabled()).toBe(true);
    // What the browser says of what it refused is the user's doing.
    expected.push(...faults.slice(before));
    expect(expected.filter((text) => !/policy/i.test(text))).toEqual([]);
  });

  it("trains what is declared on the toy, and shows the difference", async () => {
    await page.getByLabel("Begin with").selectOption("An interpolant");
    await page.getByLabel("Steps").fill("3");
    expect(await ends("Train the toy")).toBe("Trained leaps on the circle on two phrases.");
    const texts = page.getByRole("region", { name: "Texts of the trained models" });
    expect(await texts.locator("tbody tr").count()).toBe(6);
    expect(await texts.innerText()).toMatch(/circle \(flow\)\t1\t\d+\.\d %/);
    await page.getByRole("combobox", { name: /^Train/ }).selectOption("circle");
    expect(await ends("Train the toy")).toBe("Trained circle on two phrases.");
    // The same flow with the same seed: nothing changed.
    const changes = page.locator("table", { hasText: "Known phrases, before and now" });
    expect(await changes.locator("tbody tr").allInnerTexts()).toHaveLength(3);
    expect(await changes.locator("tbody tr td:last-child").allInnerTexts()).toEqual(
      Array.from({ length: 3 }, () => "+0.0 %"),
    );
    await page.getByLabel("Begin with").selectOption("A planted mistake");
  });

  it("can be used from the keyboard, and by those who do not see it", async () => {
    await editor().focus();
    await page.keyboard.press("Control+End");
    const lines = await editor().innerText();
    await page.keyboard.press("Tab");
    expect(await editor().innerText()).not.toBe(lines);
    const leaves = async (): Promise<void> => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Tab");
      expect(await editor().evaluate((element) => element.matches(":focus-within"))).toBe(false);
    };
    await leaves();
    // Also where Escape has something else to do: it gives up the selection that leads to a problem.
    await editor().focus();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\nconst n: string = 3;");
    await page.locator(".cm-lintRange-error").first().waitFor();
    await page.keyboard.press("F8");
    await expect.poll(() => page.locator(".cm-selectionBackground").count()).toBeGreaterThan(0);
    await leaves();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      expect(await inaccessible()).toEqual([]);
    }
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await page.reload();
    await editor().waitFor();
    // What was written is still there.
    expect(await editor().innerText()).toContain("One mistake is planted here");
  });

  it("explains the step that runs, with times, and what would run elsewhere", async () => {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto("about:blank");
    await page.goto(`${served.url}#explain=webgpu`);
    const names = page.locator(".explain tbody th");
    await names.first().waitFor({ timeout: 100_000 });
    expect(await page.locator(".explain-about").innerText()).toMatch(
      /^This runs on .* each kernel's alone, .*\bruns? with random inputs\.$/,
    );
    const head = page.getByRole("columnheader", { name: "FLOP" });
    await head.getByRole("button").click();
    expect(await head.getAttribute("aria-sort")).toBe("descending");
    const most = await names.first().innerText();
    await head.getByRole("button").click();
    expect(await head.getAttribute("aria-sort")).toBe("ascending");
    expect(await names.last().innerText()).toBe(most);
    await page.getByRole("button", { name: /^WGSL/ }).first().click();
    expect(await page.locator(".explain pre").innerText()).toContain("@compute");
    expect(await page.locator(".explain-map .temporary").count()).toBeGreaterThan(10);
    expect(await inaccessible()).toEqual([]);

    await page.goto("about:blank");
    await page.goto(`${served.url}#explain=interpreter`);
    await names.first().waitFor();
    expect(await page.locator(".explain-about").innerText()).toContain("what WebGPU would run");
    expect(await page.getByText("GPU time").count()).toBe(0);
  });

  it("asks no other place for anything, and fails nowhere", () => {
    expect(faults.filter((fault) => !expected.includes(fault))).toEqual([]);
  });
});
