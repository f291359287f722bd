/** Chromium with the page in it, and a record of what a strict page must not do. Consumed by the tests beside this folder. */
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright";
import { LAUNCH, setup } from "../../browser/chromium.ts";

export async function launch(): Promise<Browser> {
  await setup();
  return chromium.launch(LAUNCH);
}

export interface Watched {
  readonly page: Page;
  /** Errors of the page and of its workers, violations of its policy, requests to other origins. */
  readonly faults: readonly string[];
}

/** Opens a page and writes down its faults. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  const { origin } = new URL(url);
  // Console messages tell of violations too, but not of their kind.
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`policy: ${violatedDirective} ${blockedURI}`);
    });
  });
  context.on("request", (request) => {
    const target = new URL(request.url());
    // Blobs and data of this page have its origin, or none.
    if (target.protocol !== "blob:" && target.protocol !== "data:" && target.origin !== origin)
      faults.push(`request: ${request.url()}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(url);
  return { page, faults };
}
