/**
 * Writes the body of a kernel: expressions are simplified as they are made, and statements go into nested scopes. What was bound by a
 * `let` in a scope is found again there and in the scopes inside it, so values that are used twice are computed once.
 *
 * Consumed by everything in `compiler/schedule` that makes kernels.
 */
import type { BinaryOp, UnaryOp } from "../../dsl/program/program.ts";
import type {
  Expr,
  Fragment,
  FragmentPlace,
  Kernel,
  KernelBuffer,
  Quad,
  Scalar,
  SharedArray,
  Statement,
} from "./ir.ts";

export const literal = (type: Scalar, value: number): Expr => ({ kind: "literal", type, value });
/** A u32 literal: for index arithmetic. */
export const index = (value: number): Expr => literal("u32", value);
/** A size of the problem, for index arithmetic: in the end mostly a parameter (sizes.ts). */
export const extent = (value: number): Expr => ({ kind: "literal", type: "u32", value, size: true });
export const WORKGROUP: Expr = { kind: "workgroup", type: "u32" };
export const LANE: Expr = { kind: "lane", type: "u32" };

export const subgroup = (what: "size" | "lane" | "number"): Expr => ({ kind: "subgroup", type: "u32", what });
export const subgroupSum = (x: Expr): Expr => ({ kind: "subgroupSum", type: x.type, x });
export const shuffle = (x: Expr, lane: Expr): Expr => ({ kind: "shuffle", type: x.type, x, lane });

/** 0, 1, …, n − 1: for what is written out instead of looped over. */
export const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** @param half the quad's numbers are f16 */
export const component = (quad: string, index: 0 | 1 | 2 | 3, half = false): Expr => ({
  kind: "component",
  type: "f32",
  quad,
  index,
  ...(half ? { half } : {}),
});
/** The numbers of a quad, as `component` counts them. */
export const COMPONENTS = [0, 1, 2, 3] as const;
/** Number `i` of quads side by side. */
export const numberOf = (quads: readonly string[], i: number): Expr =>
  component(quads[i >> 2] as string, COMPONENTS[i & 3] as (typeof COMPONENTS)[number]); // within 0 … 3
/** What memory has there. */
export const loadedQuad = (
  kind: "buffer" | "shared",
  position: number,
  at: Expr,
): Quad & { readonly kind: "loaded" } => ({
  kind: "loaded",
  from: { memory: { kind, position }, at },
});

export const unary = (op: UnaryOp, x: Expr): Expr => ({ kind: "unary", type: x.type, op, x });

const COMPARISONS: ReadonlySet<BinaryOp> = new Set<BinaryOp>(["equal", "less", "lessEqual"]);

export const binary = (op: BinaryOp, x: Expr, y: Expr): Expr => ({
  kind: "binary",
  type: COMPARISONS.has(op) ? "bool" : x.type,
  op,
  x,
  y,
});

export const select = (condition: Expr, x: Expr, y: Expr): Expr => ({
  kind: "select",
  type: x.type,
  condition,
  x,
  y,
});

export const cast = (type: Scalar, x: Expr): Expr => (x.type === type ? x : { kind: "cast", type, x });

const isLiteral = (x: Expr, value: number): boolean => x.kind === "literal" && x.value === value;
const known = (x: Expr): number | undefined => (x.kind === "literal" ? x.value : undefined);
const isSize = (x: Expr): boolean => x.kind === "literal" && x.size === true;
/** What is computed from a size is one. */
const folded = (value: number, x: Expr, y: Expr): Expr =>
  isSize(x) || isSize(y) ? extent(value) : index(value);

/** Index arithmetic: u32, never negative, never wrapping; simplified where an operand is known. */
export function plus(x: Expr, y: Expr): Expr {
  const [a, b] = [known(x), known(y)];
  if (a === 0) return y;
  if (b === 0) return x;
  return a !== undefined && b !== undefined ? folded(a + b, x, y) : binary("add", x, y);
}

export function times(x: Expr, y: Expr): Expr {
  const [a, b] = [known(x), known(y)];
  if (a === 0 || b === 0) return index(0);
  if (a === 1) return y;
  if (b === 1) return x;
  return a !== undefined && b !== undefined ? folded(a * b, x, y) : binary("mul", x, y);
}

export function minus(x: Expr, y: Expr): Expr {
  const [a, b] = [known(x), known(y)];
  if (b === 0) return x;
  return a !== undefined && b !== undefined ? folded(a - b, x, y) : binary("sub", x, y);
}

export function over(x: Expr, y: Expr): Expr {
  const [a, b] = [known(x), known(y)];
  if (b === 1) return x;
  return a !== undefined && b !== undefined ? folded(Math.floor(a / b), x, y) : binary("div", x, y);
}

export function modulo(x: Expr, y: Expr): Expr {
  const [a, b] = [known(x), known(y)];
  if (b === 1) return index(0);
  return a !== undefined && b !== undefined ? folded(a % b, x, y) : binary("rem", x, y);
}

export const below = (x: Expr, y: Expr): Expr => binary("less", x, y);
export const both = (x: Expr, y: Expr): Expr =>
  isLiteral(x, 1) ? y : isLiteral(y, 1) ? x : binary("and", x, y);

interface Scope {
  readonly statements: Statement[];
  readonly bound: Map<unknown, Expr | readonly Expr[]>;
}

export class KernelBuilder {
  readonly #buffers: KernelBuffer[] = [];
  readonly #shared: SharedArray[] = [];
  #params = 0;
  #names = 0;
  #scopes: Scope[] = [{ statements: [], bound: new Map() }];

  get #scope(): Scope {
    return this.#scopes.at(-1) as Scope; // the outermost is never left
  }

  /** Declares a buffer; returns its position. */
  buffer(buffer: KernelBuffer): number {
    return this.#buffers.push(buffer) - 1;
  }

  /** Says that a buffer which was declared to be read or written is both. */
  readAndWrite(position: number): void {
    this.#buffers[position] = { ...(this.#buffers[position] as KernelBuffer), access: "readWrite" };
  }

  /** Says that some of a buffer is moved in quads. */
  inQuads(position: number): void {
    this.#buffers[position] = { ...(this.#buffers[position] as KernelBuffer), quads: true };
  }

  shared(array: SharedArray): number {
    return this.#shared.push(array) - 1;
  }

  /** Declares a parameter. */
  param(): Expr {
    return { kind: "param", type: "u32", index: this.#params++ };
  }

  /** A name that nothing else in the kernel has. */
  fresh(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  emit(statement: Statement): void {
    this.#scope.statements.push(statement);
  }

  /** Binds an expression to a name, unless it is as short as one. */
  let(value: Expr, prefix = "t"): Expr {
    if (["literal", "name", "param", "lane", "workgroup"].includes(value.kind)) return value;
    const name = this.fresh(prefix);
    this.emit({ kind: "let", name, value });
    return { kind: "name", type: value.type, name };
  }

  /** A variable that `assign` changes. */
  variable(value: Expr, prefix = "v"): Expr & { readonly kind: "name" } {
    const name = this.fresh(prefix);
    this.emit({ kind: "var", name, value });
    return { kind: "name", type: value.type, name };
  }

  assign(variable: Expr & { readonly kind: "name" }, value: Expr): void {
    this.emit({ kind: "assign", name: variable.name, value });
  }

  /** What `make` gave for this key in an enclosing scope, or what it gives now. */
  once<T extends Expr | readonly Expr[]>(key: unknown, make: () => T): T {
    for (const scope of this.#scopes) {
      const found = scope.bound.get(key);
      if (found !== undefined) return found as T; // one key is used with one T
    }
    const made = make();
    this.#scope.bound.set(key, made);
    return made;
  }

  /** What was made for this key in an enclosing scope. */
  made(key: unknown): Expr | readonly Expr[] | undefined {
    return this.#scopes.find(({ bound }) => bound.has(key))?.bound.get(key);
  }

  /** The statements that `write` emits, in a scope of their own. */
  block(write: () => void): readonly Statement[] {
    const scope: Scope = { statements: [], bound: new Map() };
    this.#scopes.push(scope);
    try {
      write();
    } finally {
      this.#scopes.pop();
    }
    return scope.statements;
  }

  for(from: Expr, to: Expr, step: Expr, write: (counter: Expr) => void): void {
    const name = this.fresh("i");
    const body = this.block(() => write({ kind: "name", type: "u32", name }));
    if (body.length > 0) this.emit({ kind: "for", name, from, to, step, body });
  }

  if(condition: Expr, write: () => void, otherwise: () => void = () => undefined): void {
    this.emit({ kind: "if", condition, body: this.block(write), otherwise: this.block(otherwise) });
  }

  barrier(): void {
    this.emit({ kind: "barrier" });
  }

  /** Binds a quad to a name. */
  quad(value: Quad, prefix = "q"): string {
    const name = this.fresh(prefix);
    this.emit({ kind: "letQuad", name, value });
    return name;
  }

  /** A quad that `assignQuad` and `addScaled` change. */
  quadVariable(value: Quad, prefix = "q"): string {
    const name = this.fresh(prefix);
    this.emit({ kind: "varQuad", name, value });
    return name;
  }

  /** An accumulator of zeros. */
  zeroFragment(type: Omit<Fragment, "name" | "role">): Fragment {
    const fragment: Fragment = { ...type, name: this.fresh("sums"), role: "accumulator" };
    this.emit({ kind: "zeroFragment", fragment });
    return fragment;
  }

  loadFragment(type: Omit<Fragment, "name">, from: FragmentPlace): Fragment {
    const fragment: Fragment = { ...type, name: this.fresh("part") };
    this.emit({ kind: "loadFragment", fragment, from });
    return fragment;
  }

  finish(name: string, lanes: number): Kernel {
    return {
      name,
      buffers: this.#buffers,
      params: this.#params,
      shared: this.#shared,
      lanes,
      body: this.#scope.statements,
    };
  }
}
