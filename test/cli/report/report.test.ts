import { createHash } from "node:crypto";
import { Script } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderReport } from "../../../src/cli/report.ts";
import type { ReportData } from "../../../src/cli/report/data.ts";
import { emptyRun, fakeRun } from "./fake-run.ts";

const hostile = [
  `</script><script>alert(1)</script>`,
  `<img src=x onerror=alert(1)>`,
  `"><svg onload=alert(1)>`,
  `' onmouseover='alert(1)`,
  `</style></title><!-- ]]>`,
  `&lt;b&gt; &amp;amp;`,
  "👩‍👩‍👧 naïve",
  "שלום עולם",
  "\u{202e}abc\u{0}\u{1b}[31m\ud800",
];

/** A run in which every text is the given one. */
function filledWith(text: string): ReportData {
  const run = fakeRun();
  return {
    ...run,
    title: text,
    summary: [[text, text]],
    verdicts: [text],
    quality: run.quality.map((cell) => ({ ...cell, samples: [text] })),
    references: run.references.map((reference) => ({ ...reference, name: text, samples: [text] })),
    trajectories: run.trajectories.map((trajectory) => ({
      ...trajectory,
      steps: trajectory.steps.map((step) => ({ ...step, tokens: [text, "", " ", "\n"] })),
    })),
  };
}

/**
 * Element names and attribute names, in order: what a page is made of, whatever its texts are (but for the lines that
 * a long label of a chart is broken into).
 */
function skeleton(page: string): readonly string[] {
  const tags = page.matchAll(/<(\/?[a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*\/?>/g);
  return [...tags]
    .map(([, name = "", attributes = ""]) => name + attributes.replace(/="[^"]*"/g, "").replace(/\s+/g, " "))
    .filter((tag) => !/^\/?tspan/.test(tag));
}

/** Without the blanks between elements. */
function tight(page: string): string {
  return page.replace(/>\s+/g, ">").replace(/\s+</g, "<");
}

function decoded(page: string): string {
  const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', "#39": "'", amp: "&" };
  return page.replace(/&(lt|gt|quot|#39|amp);/g, (_, name: string) => entities[name] ?? "");
}

/** The inside of the first such element. */
function inside(page: string, tag: string): string {
  return new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page)?.[1] ?? "";
}

/** The part of the page from the named section on, to the next. */
function sectionOf(page: string, id: string): string {
  return (
    new RegExp(`<section id="${id}"[\\s\\S]*?(?=<section id="(?!${id})[a-z]+" aria|</main>)`).exec(
      page,
    )?.[0] ?? ""
  );
}

/** The coordinates of every drawing must be numbers. */
function expectDrawable(page: string): void {
  for (const [, value] of page.matchAll(/\s(?:d|x|y|x1|x2|y1|y2|cx|cy|width|height)="([^"]*)"/g))
    expect(value).not.toMatch(/NaN|Infinity|undefined/);
}

describe("renderReport", () => {
  const run = fakeRun();
  const page = renderReport(run);

  it("is the same for the same data", () => {
    expect(renderReport(fakeRun())).toBe(page);
  });

  it("loads nothing from anywhere", () => {
    expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|url\(/);
    const targets = [...page.matchAll(/\b(?:src|href|action|srcset|data)="([^"]*)"/g)].map(
      ([, target]) => target,
    );
    expect(targets.length).toBeGreaterThan(3);
    for (const target of targets) expect(target).toMatch(/^(#[a-z]+|data:,)$/);
    expect(page).toContain("default-src &#39;none&#39;");
  });

  it("admits exactly its own style and script, and has no inline handlers or style attributes", () => {
    const policy = decoded(/http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "");
    for (const tag of ["style", "script"]) {
      const hash = createHash("sha256").update(inside(page, tag)).digest("base64");
      expect(policy).toContain(`${tag}-src 'sha256-${hash}'`);
      expect(page.split(`<${tag}`)).toHaveLength(2);
    }
    expect(page).not.toMatch(/<[^>]*\s(on[a-z]+|style)=/);
    expect(policy).not.toContain("unsafe");
  });

  it("has a script that parses", () => {
    expect(() => new Script(inside(page, "script"))).not.toThrow();
  });

  it("explains the models and the judge", () => {
    const text = page.replace(/<[^>]*>/g, "").replace(/\s+/g, " ");
    expect(text).toContain("A flow language model turns Gaussian noise into text");
    expect(text).toContain("A flow map language model is distilled from the FLM");
    expect(text).toContain(
      "Kneser-Ney n-gram model, trained on a split of the text that the models never saw",
    );
    expect(text).toContain("not GPT-2 Large");
  });

  it("shows summary, verdicts and every number", () => {
    const text = decoded(tight(page));
    for (const [label, value] of run.summary) expect(text).toContain(`<dt>${label}</dt><dd>${value}</dd>`);
    for (const verdict of run.verdicts) expect(text).toContain(`<li>${verdict}</li>`);
    const table = tight(sectionOf(page, "numbers"));
    const rows = [...table.matchAll(/<tr class[^>]*>(.*?)<\/tr>/gs)].map(([, row = ""]) =>
      [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell),
    );
    expect(rows).toHaveLength(run.quality.length + run.references.length);
    expect(rows[0]).toEqual(["1", "FLM", "11.93", "11.63–12.26", "2.310", "3.10"]);
    expect(rows[1]).toEqual(["1", "FMLM", "6.38", "6.22–6.56", "2.440", "3.10"]);
    expect(rows.at(-1)).toEqual(["–", "unigram samples", "8.41", "–", "2.400", "–"]);
  });

  it("draws both quality panels with a readable column per number of steps", () => {
    const quality = sectionOf(page, "quality");
    expect(quality.match(/<svg[^>]*role="img"/g)).toHaveLength(2);
    expect(quality.match(/class="hit"/g)).toHaveLength(2 * 7);
    expect(quality.match(/class="reference"/g)).toHaveLength(2 * 3);
    expect(quality.match(/class="whisker"/g)).toHaveLength(14);
    expect(quality).toContain(
      "<title>4 steps\nFLM\t3.83 (3.73–3.94)\nFMLM\t3.68 (3.59–3.78)\nheld-out text\t2.76",
    );
    expect(quality).toContain(
      'aria-label="Generative perplexity against sampling steps. FLM: 11.9 at 1 step, 4.34 at 2',
    );
  });

  it("puts lower perplexity lower, on a logarithmic axis", () => {
    const quality = sectionOf(page, "quality");
    const [first = "", second = ""] = [...quality.matchAll(/<path class="line" d="(M[^"]*L[^"]*)"/g)].map(
      ([, d]) => d,
    );
    const heights = (path: string): readonly number[] =>
      [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, y]) => Number(y));
    const [flm, fmlm] = [heights(first), heights(second)];
    expect(flm).toHaveLength(7);
    expect([...flm].sort((a, b) => a - b)).toEqual(flm);
    const ratio = ((flm[1] ?? 0) - (flm[0] ?? 0)) / ((fmlm[1] ?? 0) - (fmlm[0] ?? 0));
    expect(ratio).toBeCloseTo(Math.log(11.93 / 4.34) / Math.log(6.38 / 3.88), 1);
  });

  it("has the samples of both models at every number of steps", () => {
    const samples = sectionOf(page, "samples");
    expect(samples.match(/type="radio"/g)).toHaveLength(7);
    expect(samples.match(/<label for="tab-\d"/g)).toHaveLength(7);
    expect(samples.match(/<li dir="auto">/g)).toHaveLength(14 * 5 + 3 * 3);
    for (let i = 0; i < 7; i++) expect(page).toContain(`#tab-${i}:checked~.panels>#panel-${i}`);
  });

  it("shows each denoising as a row per step, shaded by confidence, with the changed tokens marked", () => {
    const step = (tokens: readonly string[], confidence: readonly number[]) => ({
      time: 0.5,
      tokens,
      confidence,
    });
    const steps = [step(["a", "b", " "], [0, 0.55, 1]), step(["a", "c", ""], [0.19, NaN, 7])];
    const text = sectionOf(
      renderReport({ ...emptyRun, trajectories: [{ model: "FMLM", steps }] }),
      "denoising",
    );
    expect(text).toContain('<td class="k0">a</td><td class="k5">b</td><td class="k9">␣</td>');
    expect(text).toContain('<td class="k1">a</td><td class="k0 n">c</td><td class="k9 n">∅</td>');
    expect(text).toContain('max="1"');
    expect(tight(sectionOf(page, "denoising")).match(/<tr><th scope="row">/g)).toHaveLength(32 + 4);
  });

  it("thins long losses but keeps their spikes", () => {
    const train = Array.from({ length: 20_000 }, (_, i): [number, number] => [i, i === 12_345 ? 9.5 : 2]);
    const text = renderReport({ ...emptyRun, losses: [{ name: "FLM", train, validation: [] }] });
    const raw = /<path class="raw" d="([^"]*)"/.exec(text)?.[1] ?? "";
    expect(raw.length).toBeLessThan(8_000);
    const heights = [...raw.matchAll(/ ([\d.]+)/g)].map(([, y]) => Number(y));
    expect(Math.max(...heights) - Math.min(...heights)).toBeGreaterThan(100);
  });

  it("stays below 200 KB without its texts", () => {
    expect(Buffer.byteLength(page)).toBeLessThan(200_000);
  });
});

describe("texts of others in the report", () => {
  const plain = skeleton(renderReport(filledWith("word")));

  it.each(hostile)("cannot add an element or attribute: %j", (text) => {
    const page = renderReport(filledWith(text));
    expect(skeleton(page)).toEqual(plain);
    expect(page.match(/<\/script/gi)).toHaveLength(1);
    expect(page).not.toMatch(/(?![\t\n])\p{Cc}|\p{Surrogate}/u);
  });

  it("come out as they went in", () => {
    for (const text of hostile.slice(0, -1))
      expect(decoded(renderReport(filledWith(text)))).toContain(`<li dir="auto">${text}</li>`);
  });

  it("cannot add an element, whatever they are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const page = renderReport({ ...emptyRun, title: text, verdicts: [text] });
        expect(skeleton(page)).toEqual(skeleton(renderReport({ ...emptyRun, title: "", verdicts: [""] })));
      }),
      { numRuns: 50 },
    );
  });
});

describe("a partial run", () => {
  const run = fakeRun();

  it("may be empty", () => {
    const page = renderReport(emptyRun);
    for (const sentence of [
      "Nothing has been sampled yet",
      "There are no numbers yet.",
      "No denoising was recorded.",
      "No loss has been recorded yet.",
    ])
      expect(page).toContain(sentence);
    expectDrawable(page);
  });

  it("may have FLM only", () => {
    const page = renderReport({
      ...run,
      losses: run.losses.slice(0, 1),
      quality: run.quality.filter((cell) => cell.model === "FLM"),
      trajectories: run.trajectories.slice(0, 1),
    });
    expectDrawable(page);
    expect(sectionOf(page, "quality")).not.toMatch(/<title>[^<]*FMLM/);
    expect(sectionOf(page, "training").match(/<svg/g)).toHaveLength(1);
  });

  it("may have losses that are not finite, and says since when", () => {
    const train = [10, 20, 30, 40, 50, 60].map((step): [number, number] => [
      step,
      step === 40 ? NaN : 100 / step,
    ]);
    const page = renderReport({
      ...emptyRun,
      losses: [
        { name: "FLM", train, validation: [[50, Infinity]] },
        { name: "FMLM", train: [[1, NaN]], validation: [] },
      ],
    });
    expectDrawable(page);
    expect(page).toContain("2 losses were not a finite number, the first after 40 steps");
    expect(page).toContain("No loss was a finite number.");
    // The gap: the curve starts a second time after it.
    expect(
      /<path class="line" d="(M[^"]*)"/.exec(sectionOf(page, "training"))?.[1]?.match(/M/g),
    ).toHaveLength(2);
  });

  it("may have a single point, which is drawn", () => {
    const page = renderReport({
      ...emptyRun,
      losses: [{ name: "FMLM", train: [[1, 0.4]], validation: [] }],
      quality: run.quality.slice(0, 1),
    });
    expectDrawable(page);
    expect(sectionOf(page, "training")).toMatch(/<circle class="mark"/);
    expect(sectionOf(page, "quality").match(/<circle class="mark"/g)?.length).toBeGreaterThanOrEqual(2);
  });

  it("leaves a perplexity that is no number out of the drawing and names it in the table", () => {
    const quality = run.quality.map((cell, i) =>
      i === 0
        ? { ...cell, perplexity: NaN, low: NaN, high: NaN }
        : i === 1
          ? { ...cell, perplexity: Infinity }
          : cell,
    );
    const page = renderReport({ ...run, quality });
    expectDrawable(page);
    expect(tight(sectionOf(page, "numbers"))).toMatch(
      /<th scope="row">FLM<\/th><td>n\/a<\/td><td>n\/a<\/td>/,
    );
    expect(sectionOf(page, "numbers")).toContain("<td>∞</td>");
  });
});
