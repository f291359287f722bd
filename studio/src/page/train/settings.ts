/**
 * The fields of a new run, their limits, and what is wrong with what was typed. The limits keep a tab alive: what is larger belongs on
 * the command line. Consumed by start-form.tsx. To add a field: SIZES.
 */
import { PRESETS } from "../../../../src/runtime/training/config.ts";
import type { Preset } from "../../../../src/runtime/training/config.ts";
import type { RunSettings } from "../../engine/protocol.ts";
import { count } from "../format.ts";

type SizeName = Exclude<keyof RunSettings, "preset" | "tokens" | "seed">;

interface Size {
  readonly name: SizeName;
  readonly label: string;
  readonly least: number;
  readonly most: number;
  /** Multiples of this only. */
  readonly of?: number;
  readonly preset: (preset: Preset) => number;
}

export const SIZES: readonly Size[] = [
  {
    name: "length",
    label: "Tokens of a text",
    least: 2,
    most: 128,
    preset: (p) => PRESETS[p].network.length,
  },
  {
    name: "vocabularySize",
    label: "Words of the vocabulary",
    least: 8,
    most: 8000,
    preset: (p) => PRESETS[p].data.vocabularySize,
  },
  { name: "width", label: "Width", least: 8, most: 512, preset: (p) => PRESETS[p].network.width },
  { name: "depth", label: "Blocks", least: 1, most: 12, preset: (p) => PRESETS[p].network.depth },
  { name: "heads", label: "Attention heads", least: 1, most: 16, preset: (p) => PRESETS[p].network.heads },
  {
    name: "batch",
    label: "Texts of a batch",
    least: 64,
    most: 512,
    of: 64,
    preset: (p) => PRESETS[p].flm.batch,
  },
  { name: "flmSteps", label: "Steps of FLM", least: 1, most: 100_000, preset: (p) => PRESETS[p].flm.steps },
  {
    name: "fmlmSteps",
    label: "Steps of FMLM",
    least: 1,
    most: 100_000,
    preset: (p) => PRESETS[p].fmlm.steps,
  },
];

/** What stands in the fields, as typed; empty is the preset's. */
export type Typed = Readonly<Record<SizeName | "seed", string>>;

export const EMPTY: Typed = {
  seed: "1",
  length: "",
  vocabularySize: "",
  width: "",
  depth: "",
  heads: "",
  batch: "",
  flmSteps: "",
  fmlmSteps: "",
};

/** Above this, seeds are not told apart by what makes the noise. */
const LARGEST_SEED = 2 ** 32 - 1;

const isWhole = (text: string): boolean => /^\d+$/.test(text.trim());

/** A sentence for each field that is wrong. */
export function mistakes(typed: Typed, preset: Preset): Partial<Record<keyof Typed, string>> {
  const wrong: Partial<Record<keyof Typed, string>> = {};
  if (!isWhole(typed.seed) || Number(typed.seed) > LARGEST_SEED)
    wrong.seed = `A whole number from 0 to ${LARGEST_SEED}.`;
  for (const { name, least, most, of = 1 } of SIZES) {
    const text = typed[name].trim();
    if (text === "") continue;
    const value = Number(text);
    if (!isWhole(text) || value < least || value > most)
      wrong[name] = `A whole number from ${count(least)} to ${count(most)}.`;
    else if (value % of !== 0) wrong[name] = `A multiple of ${of}.`;
  }
  if (wrong.width === undefined && wrong.heads === undefined) {
    const width = Number(typed.width || PRESETS[preset].network.width);
    const heads = Number(typed.heads || PRESETS[preset].network.heads);
    if (width % (2 * heads) !== 0)
      wrong[typed.width === "" ? "heads" : "width"] =
        `Width ${width} is not a multiple of ${2 * heads}, twice the heads.`;
  }
  return wrong;
}

/** The settings that the fields say. Only for fields without mistakes. */
export function settingsOf(typed: Typed, preset: Preset, tokens: "words" | "chars"): RunSettings {
  const sizes = SIZES.flatMap(({ name }) => (typed[name].trim() === "" ? [] : [[name, Number(typed[name])]]));
  return { preset, tokens, seed: Number(typed.seed), ...(Object.fromEntries(sizes) as Partial<RunSettings>) };
}
