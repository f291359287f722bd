/**
 * Pieces of WGSL: an expression's text with how tightly it binds, so that parentheses are written where they are needed.
 *
 * Consumed by the printer and by the tables of ops.
 */

/** From loosest: anything else, a sum, a product, an atom (a name, a literal, a call, an element). */
type Binding = 0 | 1 | 2 | 3;

export interface Code {
  readonly text: string;
  readonly binds: Binding;
  /** The number, where it is a literal, as its type holds it. */
  readonly value?: number;
}

export const atom = (text: string): Code => ({ text, binds: 3 });

const within = (x: Code, least: Binding): string => (x.binds < least ? `(${x.text})` : x.text);

/** WGSL requires parentheses where operators other than + - * / % meet. */
const BINDS: Readonly<Record<string, Binding>> = { "+": 1, "-": 1, "*": 2, "/": 2, "%": 2 };

export function infix(x: Code, operator: string, y: Code): Code {
  const binds = BINDS[operator] ?? 0;
  const text =
    binds === 0
      ? `${within(x, 3)} ${operator} ${within(y, 3)}`
      : `${within(x, binds)} ${operator} ${within(y, (binds + 1) as Binding)}`; // binds <= 2
  return { text, binds };
}

export const prefix = (operator: string, x: Code): Code => ({ text: `${operator}${within(x, 3)}`, binds: 0 });

/** A comparison as an argument is set in parentheses: `a < b, c > (d)` would be read as a template's arguments. */
export const call = (name: string, ...operands: readonly Code[]): Code =>
  atom(`${name}(${operands.map((x) => within(x, 1)).join(", ")})`);

/** An element of an array. */
export const element = (array: string, at: Code): Code => atom(`${array}[${at.text}]`);
