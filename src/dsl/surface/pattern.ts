/**
 * Run-time parsers of the two little languages of axis names: einsum specs and einops patterns. The type system parses the
 * same languages (src/dsl/types/einsum.ts, rearrange.ts); the rules here are theirs.
 */
import { OpError } from "../ops/definition.ts";

/** Labels of one operand: words when the spec separates any by spaces, letters otherwise. */
function labels(text: string, words: boolean): readonly string[] {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  return words ? trimmed.split(/\s+/) : [...trimmed.replace(/\s+/g, "")];
}

/** Operand and output labels of an einsum spec. @throws OpError when it is malformed */
export function parseEinsum(spec: string): {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
} {
  const [left, right, ...more] = spec.split("->");
  if (left === undefined || right === undefined || more.length > 0)
    throw new OpError(`einsum: "${spec}" needs one "->"`);
  const operands = left.split(",");
  const words = [...operands, right].some((part) => /\S\s+\S/.test(part));
  const inputs = operands.map((operand) => labels(operand, words));
  const output = labels(right, words);
  const known = new Set(inputs.flat());
  for (const list of [...inputs, output]) {
    const repeated = list.find((label, i) => list.indexOf(label) !== i);
    if (repeated !== undefined)
      throw new OpError(`einsum: axis '${repeated}' occurs twice in one operand of "${spec}"`);
  }
  for (const label of output)
    if (!known.has(label)) throw new OpError(`einsum: output axis '${label}' is in no operand of "${spec}"`);
  return { inputs, output };
}

function groups(side: string, pattern: string): readonly (readonly string[])[] {
  const found: string[][] = [];
  let open: string[] | null = null;
  for (const token of side.match(/[()]|[^\s()]+/g) ?? []) {
    if (token === "(") {
      if (open !== null) throw new OpError(`rearrange: nested brackets in "${pattern}"`);
      open = [];
    } else if (token === ")") {
      if (open === null) throw new OpError(`rearrange: unmatched ")" in "${pattern}"`);
      found.push(open);
      open = null;
    } else if (open === null) found.push([token]);
    else open.push(token);
  }
  if (open !== null) throw new OpError(`rearrange: unmatched "(" in "${pattern}"`);
  return found;
}

/** Axis groups of both sides of an einops pattern. @throws OpError when it is malformed */
export function parsePattern(pattern: string): {
  readonly left: readonly (readonly string[])[];
  readonly right: readonly (readonly string[])[];
} {
  const [before, after, ...more] = pattern.split("->");
  if (before === undefined || after === undefined || more.length > 0)
    throw new OpError(`rearrange: "${pattern}" needs one "->"`);
  if (pattern.includes("..."))
    throw new OpError(`rearrange: "..." is not supported in "${pattern}"; name every axis`);
  const [left, right] = [groups(before, pattern), groups(after, pattern)];
  const names = (side: readonly (readonly string[])[]): readonly string[] =>
    side.flat().filter((name) => name !== "1");
  const [from, to] = [names(left), names(right)];
  for (const side of [from, to]) {
    const repeated = side.find((name, i) => side.indexOf(name) !== i);
    if (repeated !== undefined)
      throw new OpError(`rearrange: axis '${repeated}' occurs twice on one side of "${pattern}"`);
  }
  const odd = [...from.filter((name) => !to.includes(name)), ...to.filter((name) => !from.includes(name))][0];
  if (odd !== undefined) throw new OpError(`rearrange: axis '${odd}' is on one side only of "${pattern}"`);
  return { left, right };
}
