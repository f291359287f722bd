/** The examples about flows, run as they stand: what they print must show what they say. Two phrases is group 15 of the specification. */
import { afterEach, expect, it, vi } from "vitest";

/** Imports an example and gives the lines that it printed. */
async function printed(load: () => Promise<unknown>): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  try {
    await load();
  } finally {
    log.mockRestore();
  }
  return lines;
}

afterEach(() => vi.restoreAllMocks());

/** The numbers of the one line that starts so. */
function numbersOf(lines: readonly string[], start: string): readonly number[] {
  const found = lines.filter((line) => line.startsWith(start));
  expect(found, start).toHaveLength(1);
  return Array.from(found[0]?.slice(start.length).matchAll(/\d+(\.\d+)?(e[+-]\d+)?/g) ?? [], ([text]) => Number(text));
}

it("custom-interpolant: the variant's identities hold, and jumps from noise are phrases in their proportion", async () => {
  const lines = await printed(() => import("../../examples/custom-interpolant.ts"));
  expect(numbersOf(lines, "the jump and the drift, followed step by step")[0]).toBeLessThan(1e-5);
  expect(numbersOf(lines, "one jump and two halves of it")[0]).toBeLessThan(1e-6);
  expect(numbersOf(lines, "sums of ψ's rows and 1")[0]).toBeLessThan(1e-12);
  const [newYork = NaN] = numbersOf(lines, "New York");
  const [sanDiego = NaN] = numbersOf(lines, "San Diego");
  // Twice as probable; no line for a mixture. Five standard deviations of 300 draws.
  expect(newYork + sanDiego).toBe(300);
  expect(Math.abs(newYork - 200)).toBeLessThan(5 * Math.sqrt((300 * 2) / 9));
}, 120_000);

it("two-phrases: one step word by word mixes half of the phrases, one FMLM step next to none", async () => {
  const lines = await printed(() => import("../../examples/two-phrases.ts"));
  const shares = (name: string): readonly number[] => numbersOf(lines, name).slice(-3);
  const [, , apart = NaN] = shares("one step, each word on its own");
  expect(apart).toBeGreaterThan(44);
  expect(apart).toBeLessThan(56);
  for (const sampler of ["FLM, 64 steps", "FMLM, one step"]) {
    const [newYork = NaN, sanDiego = NaN, mixtures = NaN] = shares(sampler);
    expect(mixtures).toBeLessThan(4);
    expect(Math.min(newYork, sanDiego)).toBeGreaterThan(42);
  }
}, 600_000);
