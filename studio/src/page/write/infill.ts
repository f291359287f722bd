/** Words around blanks, as the visitor types them, and as `fluxion sample --infill` takes them. Consumed by write-view.tsx and blanks.tsx. */
import { foldText } from "../../../../src/models/data/normalize.ts";

/** The pattern, or undefined where nothing is given. Blanks after the last word need not be written. */
export function patternOf(slots: readonly string[], letters: boolean): string | undefined {
  const last = slots.findLastIndex((slot) => slot !== "");
  if (last < 0) return undefined;
  return slots
    .slice(0, last + 1)
    .map((slot) => (slot === "" ? "_" : slot))
    .join(letters ? "" : " ");
}

/** Whether the tokens of a run are letters: all that are not names in brackets have one character. */
export const areLetters = (tokens: readonly string[]): boolean =>
  tokens.every((token) => [...token].length === 1 || /^[[<].+[\]>]$/.test(token));

/** Whether the model can take what stands in a slot. It is folded as texts are before they are learned: "Straße" is the token "strasse". */
export const isToken = (slot: string, known: ReadonlySet<string>): boolean =>
  slot === "" || slot === "|" || known.has(slot) || known.has(foldText(slot));

/** What was typed or pasted into one slot, spread over it and those that follow. */
export function spread(
  slots: readonly string[],
  at: number,
  typed: string,
  letters: boolean,
): readonly string[] {
  const parts = letters ? [...typed] : typed.split(/\s+/).filter((part) => part !== "");
  const next = [...slots];
  if (parts.length === 0) next[at] = "";
  parts.forEach((part, i) => {
    if (at + i < next.length) next[at + i] = part === "_" ? "" : part;
  });
  return next;
}
