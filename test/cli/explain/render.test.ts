/** The text and the page of an explanation: what they say, that rows add up, that nothing in a name becomes markup. */
import { createHash } from "node:crypto";
import { Script } from "node:vm";
import { describe, expect, it } from "vitest";
import { renderPage } from "../../../src/cli/explain/page.ts";
import { siteText } from "../../../src/cli/explain/subject.ts";
import type { Explained } from "../../../src/runtime/explain/summary.ts";
import { renderText } from "../../../src/cli/explain/text.ts";
import { explain, withTimes } from "../../../src/compiler/explain/explain.ts";
import type { Explanation } from "../../../src/compiler/explain/explanation.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import { ADD, INCREMENT, PlanBuilder } from "../../runtime/webgpu/plans.ts";

/** Four dispatches of two kernels, one of them in a loop, and two copies. */
function explanation(): Explanation {
  const b = new PlanBuilder();
  const [x, y, a, t] = [b.input([1000]), b.output([1000]), b.temporary([1000]), b.temporary([1000])];
  const plan = b.plan(
    [y],
    b.map(INCREMENT, [x, a]),
    { kind: "loop", length: 10, steps: [b.map(ADD, [x, a, t]), { kind: "copy", from: t, to: a }] },
    b.map(INCREMENT, [a, t]),
    b.map(ADD, [a, t, y]),
  );
  const bytes = ({ shape }: { readonly shape: readonly number[] }): number => 4 * sizeOf(shape);
  const target = { print: () => "", dataBytes: bytes, heldBytes: bytes };
  return explain(
    plan,
    { ...target, print: ({ name }) => `fn main() { /* ${name} */ }\n` },
    {
      inputNames: ["x"],
      outputNames: ["y"],
    },
  );
}

const explained = (given: Explanation = explanation(), more: Partial<Explained> = {}): Explained => ({
  name: "a small plan",
  limits: MINIMUM_LIMITS,
  limitsOf: "what every GPU offers",
  gpu: null,
  timedRuns: null,
  explanation: given,
  ...more,
});
const OPTIONS = { order: "bytes", rows: 12, folder: "/home/me/project" } as const;
const timed = (): Explained =>
  explained(withTimes(explanation(), [1000, 2_500_000, 0, 999_500]), { timedRuns: 5, gpu: "a GPU" });

describe("the text", () => {
  it("has a summary, a row for each dispatch, and their sum", () => {
    expect(renderText(explained(), OPTIONS)).toMatchInlineSnapshot(`
      "a small plan on WebGPU, within what every GPU offers: 8 buffers, 256 lanes, 16 KiB shared
      4 dispatches of 2 pipelines; fused
      13.0 kFLOP, 136 kB read and 92.0 kB written per run, with 1 copy; loops make 13 dispatches of them
      Ops per dispatch: 1 in 4
      Loops: 10 times steps 1 to 2

      #  kernel     groups × lanes  runs    FLOP     read  written  same
      ──────────────────────────────────────────────────────────────────
      1  add               16 × 64    10  10.0 k  80.0 kB  40.0 kB     2
         add · f32[1000] ×2 → f32[1000] · model.ts:12
      3  add               16 × 64     1  1.00 k  8.00 kB  4.00 kB     2
         add · f32[1000] ×2 → f32[1000] · model.ts:12
      0  increment         16 × 64     1  1.00 k  4.00 kB  4.00 kB     2
         increment · f32[1000] → f32[1000] · model.ts:12
      2  increment         16 × 64     1  1.00 k  4.00 kB  4.00 kB     2
         increment · f32[1000] → f32[1000] · model.ts:12
         1 copy                                0  40.0 kB  40.0 kB
      ──────────────────────────────────────────────────────────────────
         all                              13.0 k   136 kB  92.0 kB     2
      same: dispatches with the same code, and in the last line the number of different codes; ordered by bytes

      Memory: 2 temporaries in 2 slots, 8.00 kB; at least 8.00 kB in this order, 8.00 kB without sharing
      Inputs 4.00 kB, outputs 4.00 kB, constants 0 B
        4.00 kB  slot 0: 1 temporary, f32[1000]
        4.00 kB  slot 1: 1 temporary, f32[1000]
      "
    `);
  });

  it("has fewer rows where they are limited, and the same sum", () => {
    const [whole, short] = [OPTIONS, { ...OPTIONS, rows: 1 }].map((options) =>
      renderText(explained(), options),
    );
    expect(short).toContain("3 more");
    const sum = (text = ""): string | undefined => /^ +all .*$/m.exec(text)?.[0].replace(/\s+/g, " ");
    expect(sum(short)).toBe(sum(whole));
    expect(renderText(explained(), { ...OPTIONS, rows: 0 })).toContain("4 more");
  });

  it("has times and shares where there are, and can be ordered by them", () => {
    const text = renderText(timed(), { ...OPTIONS, order: "time" });
    expect(text).toContain(
      "3.50 ms on the GPU: each dispatch alone, the median of 5 runs; copies are not timed",
    );
    const rows = text.split("\n").filter((line) => /^ *\d {2}(add|increment) /.test(line));
    expect(rows.map((row) => row.trim().slice(0, 1))).toEqual(["1", "3", "0", "2"]);
    expect(rows[0]).toMatch(/2\.50 ms +71\.4 %$/);
  });

  it("lists dispatches in the plan's order on demand", () => {
    const text = renderText(explained(), { ...OPTIONS, order: "plan" });
    expect([...text.matchAll(/^ *(\d) {2}(?:add|increment) /gm)].map(([, index]) => index)).toEqual(["0", "1", "2", "3"]); // prettier-ignore
  });

  it("stays within 110 columns and steers no terminal", () => {
    const long = "word ".repeat(80);
    const given = explanation();
    const dispatches = given.dispatches.map((dispatch) => ({
      ...dispatch,
      name: `kernel\u001b[31m${"x".repeat(60)}`,
      ops: long.split(" "),
      site: "/home/me/project/a.ts:1:2",
    }));
    const text = renderText(explained({ ...given, dispatches }, { gpu: long, name: "a\u001b[2J" }), OPTIONS);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });

  it("says so where there is nothing to run", () => {
    const b = new PlanBuilder();
    const x = b.input([2]);
    const none = explain(b.plan([x]), { print: () => "", dataBytes: () => 4, heldBytes: () => 16 });
    expect(renderText(explained(none), OPTIONS)).toMatch(/0 dispatches of 0 pipelines[\s\S]*no temporaries/);
    expect(renderPage(explained(none), "/")).toContain("There is nothing to dispatch.");
  });
});

describe("sites", () => {
  it.each([
    ["/home/me/project/src/model.ts:12:7", "src/model.ts:12"],
    ["/elsewhere/fluxion/dist/models/networks/dit.js:88:3", "models/networks/dit.js:88"],
    ["/home/me/project2/model.ts:12:7", "me/project2/model.ts:12"],
    ["http://localhost:80/model.js?v=1:12:7", "/localhost:80/model.js:12"],
  ])("%s is written %s", (site, text) => {
    expect(siteText(site, "/home/me/project")).toBe(text);
  });
});

describe("the page", () => {
  const hostile = `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>' onmouseover='alert(1)`;

  it("escapes every name", () => {
    const given = explanation();
    const filled: Explanation = {
      ...given,
      dispatches: given.dispatches.map((dispatch) => ({
        ...dispatch,
        name: hostile,
        ops: [hostile],
        site: hostile,
        buffers: dispatch.buffers.map((buffer) => ({ ...buffer, name: hostile })),
      })),
      pipelines: given.pipelines.map((pipeline) => ({ ...pipeline, name: hostile, code: hostile })),
    };
    const page = renderPage(explained(filled, { name: hostile, gpu: hostile, limitsOf: hostile }), "/");
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toMatch(/<img|<[^>]*\son\w+="/);
    expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
  });

  it("needs nothing else: its policy admits its own style and script alone", () => {
    const page = renderPage(timed(), "/");
    expect(page).not.toMatch(/(?:src|href)="(?!#|data:)/);
    for (const tag of ["style", "script"]) {
      const text = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page)?.[1] ?? "";
      const hash = createHash("sha256").update(text).digest("base64");
      expect(page).toContain(`${tag}-src &#39;sha256-${hash}&#39;`);
    }
    expect(() => new Script(/<script>([\s\S]*?)<\/script>/.exec(page)?.[1] ?? "")).not.toThrow();
  });

  it("has every dispatch, the sums, the code, and a mark for every temporary", () => {
    const page = renderPage(timed(), "/");
    expect(page.match(/<tr id="d\d+">/g)).toHaveLength(4);
    expect(page.match(/<details class="code">/g)).toHaveLength(2);
    expect(page).toContain("fn main() { /* increment */ }\n");
    expect(page.match(/<g class="temporary/g)).toHaveLength(2);
    expect(page).toContain("a loop of 10 iterations");
    const { flops, bytesRead } = explanation().totals;
    const values = (column: number): number[] =>
      [...page.matchAll(/<tr id="d\d+">[\s\S]*?<\/tr>/g)].map(([row]) =>
        Number([...row.matchAll(/data-value="([\d.]+)"/g)][column]?.[1]),
      );
    expect(values(4).reduce((a, b) => a + b, 0)).toBe(flops);
    const copied = 10 * 4000;
    expect(values(5).reduce((a, b) => a + b, copied)).toBe(bytesRead);
  });

  it("draws with numbers only, and links to what there is", () => {
    const page = renderPage(timed(), "/");
    for (const [, value] of page.matchAll(/\s(?:d|x|y|x1|x2|y1|y2|width|height)="([^"]*)"/g))
      expect(value).not.toMatch(/NaN|Infinity|undefined/);
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, link] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(link);
  });

  it("is the same for the same explanation", () => {
    expect(renderPage(timed(), "/")).toBe(renderPage(timed(), "/"));
  });
});
