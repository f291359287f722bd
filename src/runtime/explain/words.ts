/** Types and ops of an explanation in words. Pure. Consumed by `fluxion explain`, by the map of the memory and by the studio. */
import type { ExplainedDispatch, ExplainedType } from "../../compiler/explain/explanation.ts";

export const typeText = ({ shape, dtype }: ExplainedType): string => `${dtype}[${shape.join(",")}]`;

/** Texts that repeat as one with a count, in the order of their first: "a ×2, b". */
export function counted(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} ×${count}`)).join(", ");
}

/** Repeated ops with a count, those that come first first: "mul ×3, add". */
export const opsText = ({ ops }: ExplainedDispatch): string => counted(ops);
