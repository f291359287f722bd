import { afterEach, describe, expect, it, vi } from "vitest";
import { renderTable } from "../../../src/cli/report/table.ts";
import { emptyRun, fakeRun } from "./fake-run.ts";

const escape = "\u{1b}";

describe("renderTable", () => {
  const run = fakeRun();
  const text = renderTable(run, { color: false });
  const lines = text.split("\n");

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("has a line per cell and per reference, with all numbers in aligned columns", () => {
    const at = lines.findIndex((line) => line.startsWith("Steps"));
    const rows = lines.slice(at, at + 1 + 1 + 14 + 1 + 3);
    expect(new Set(rows.map((row) => row.length)).size).toBe(1);
    expect(rows[2]?.trim().split(/\s{2,}/)).toEqual(["1", "FLM", "11.93", "11.63–12.26", "2.310", "3.10"]);
    expect(rows.at(-1)).toContain("unigram samples");
  });

  it("draws both models and names the references beside their lines", () => {
    const chart = text.slice(text.indexOf("Perplexity against"));
    // One of each in the legend, and one per number of steps.
    expect(chart.match(/●/g)).toHaveLength(8);
    expect(chart.match(/◆/g)).toHaveLength(8);
    for (const name of ["unigram samples 8.41", "shuffled text 4.95", "held-out text 2.76"])
      expect(chart).toMatch(new RegExp(`┄ ${name}$`, "m"));
    const row = (part: RegExp): number => chart.split("\n").findIndex((line, i) => i > 0 && part.test(line));
    expect(row(/●/)).toBeLessThan(row(/◆/));
    expect(row(/◆/)).toBeLessThan(row(/held-out/));
    for (const verdict of run.verdicts) expect(text).toContain(verdict);
  });

  it("is plain without a terminal, with NO_COLOR, and on request", () => {
    expect(text).not.toContain(escape);
    vi.stubEnv("NO_COLOR", "1");
    expect(renderTable(run)).toBe(text);
    expect(renderTable(run, { color: true })).toContain(escape);
  });

  it("has the same text with colour as without", () => {
    const colors = new RegExp(`${escape}\\[\\d+m`, "g");
    const bare = renderTable(run, { color: true }).replace(colors, "");
    const trimmed = bare.split("\n").map((line) => line.trimEnd());
    expect(trimmed).toEqual(lines.map((line) => line.trimEnd()));
  });

  it("lets no text steer the terminal", () => {
    const references = run.references.map((reference) => ({ ...reference, name: `${escape}[2Jtext\n` }));
    expect(renderTable({ ...run, references, verdicts: [`${escape}[31m`] }, { color: false })).not.toContain(
      escape,
    );
  });

  it("copes with nothing, with one cell, and with numbers that are none", () => {
    expect(renderTable(emptyRun, { color: false })).toBe("Nothing has been sampled yet.\n");
    expect(renderTable({ ...emptyRun, quality: run.quality.slice(0, 1) }, { color: false })).toMatch(/●/);
    const quality = run.quality.map((cell) => ({ ...cell, perplexity: NaN, low: NaN, high: NaN }));
    const none = renderTable({ ...run, quality, verdicts: [] }, { color: false });
    expect(none).toContain("n/a");
    expect(none).not.toMatch(/NaN|●/);
  });
});
