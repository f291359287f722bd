/**
 * Makes parameters of the sizes in a kernel. Kernels that differ in their sizes only are one kernel then, compiled once; and a driver,
 * which does not know how often a loop runs, does not write it out.
 *
 * A size that lanes divide by stays in the text: compilers turn a division by a constant into a multiplication, and one by a parameter
 * takes some twenty instructions. What a whole workgroup divides by is a parameter: once a workgroup, that costs nothing.
 *
 * Consumed by the scheduler, for each dispatch. A new expression or statement needs a case below.
 */
import type { Expr, FragmentPlace, Kernel, Quad, QuadPlace, Statement } from "./ir.ts";

/** Drivers would write out loops of constant length. Those of more rounds get a parameter: who wants them written out does it. */
const MOST_ROUNDS = 3;

/** @returns the kernel, and the values of the parameters that it has more, after those it had */
export function sizesAsParams(kernel: Kernel): {
  readonly kernel: Kernel;
  readonly sizes: readonly number[];
} {
  const rewriter = new Rewriter(kernel.params);
  const body = rewriter.block(kernel.body);
  const { sizes } = rewriter;
  return { kernel: { ...kernel, params: kernel.params + sizes.length, body }, sizes };
}

class Rewriter {
  readonly #first: number;
  readonly sizes: number[] = [];
  /** Names of values that all lanes of a workgroup have in common. */
  readonly #common = new Set<string>();

  constructor(first: number) {
    this.#first = first;
  }

  block(statements: readonly Statement[]): readonly Statement[] {
    return statements.map((statement) => this.#statement(statement));
  }

  /** Parameters of sizes that several places have in common. */
  readonly #shared = new Map<Expr, Expr>();

  /**
   * Every size has its own, and every place, unless the very same expression is there: which sizes happen to be equal makes no
   * difference to the text.
   */
  #size(x: Expr & { readonly kind: "literal" }): Expr {
    const known = this.#shared.get(x);
    if (known !== undefined) return known;
    const made = this.#param(x.value);
    this.#shared.set(x, made);
    return made;
  }

  /** Below 0 they wrap, as u32 does. */
  #param(value: number): Expr {
    return { kind: "param", type: "u32", index: this.#first + this.sizes.push(value >>> 0) - 1 };
  }

  #statement(s: Statement): Statement {
    switch (s.kind) {
      case "let":
        if (this.#isCommon(s.value)) this.#common.add(s.name);
        return { ...s, value: this.#expr(s.value) };
      case "var":
      case "assign":
        return { ...s, value: this.#expr(s.value) };
      case "store":
      case "storeShared":
        return { ...s, at: this.#expr(s.at), value: this.#expr(s.value) };
      case "for": {
        const [from, step] = [this.#expr(s.from), this.#expr(s.step)];
        const to =
          s.to.kind === "literal" && roundsOf(s) > MOST_ROUNDS ? this.#param(s.to.value) : this.#expr(s.to);
        return { ...s, from, to, step, body: this.block(s.body) };
      }
      case "if":
        return {
          ...s,
          condition: this.#expr(s.condition),
          body: this.block(s.body),
          otherwise: this.block(s.otherwise),
        };
      case "barrier":
      case "zeroFragment":
      case "multiplyAccumulate":
        return s;
      case "loadFragment":
        return { ...s, from: this.#place(s.from) };
      case "storeFragment":
        return { ...s, to: this.#place(s.to) };
      case "letQuad":
      case "varQuad":
      case "assignQuad":
        return { ...s, value: this.#quad(s.value) };
      case "storeQuad":
        return { ...s, to: this.#quadPlace(s.to) };
      case "addScaled":
        return { ...s, x: this.#expr(s.x) };
      case "threefry":
        return { ...s, key: this.#pair(s.key), counter: this.#pair(s.counter) };
    }
  }

  #place(place: FragmentPlace): FragmentPlace {
    return { ...place, at: this.#expr(place.at), stride: this.#expr(place.stride) };
  }

  #quadPlace(place: QuadPlace): QuadPlace {
    return { ...place, at: this.#expr(place.at) };
  }

  #quad(quad: Quad): Quad {
    switch (quad.kind) {
      case "zeros":
        return quad;
      case "loaded":
        return { ...quad, from: this.#quadPlace(quad.from) };
      case "parts": {
        const [a, b, c, d] = quad.parts;
        return { ...quad, parts: [this.#expr(a), this.#expr(b), this.#expr(c), this.#expr(d)] };
      }
      case "scaled":
        return { ...quad, x: this.#expr(quad.x) };
    }
  }

  #pair([x, y]: readonly [Expr, Expr]): readonly [Expr, Expr] {
    return [this.#expr(x), this.#expr(y)];
  }

  #expr(x: Expr): Expr {
    switch (x.kind) {
      case "literal":
        return x.size === true ? this.#size(x) : x;
      case "name":
      case "workgroup":
      case "lane":
      case "param":
      case "subgroup":
      case "component":
        return x;
      case "load":
      case "shared":
        return { ...x, at: this.#expr(x.at) };
      case "unary":
      case "cast":
      case "isNan":
      case "subgroupSum":
        return { ...x, x: this.#expr(x.x) };
      case "shuffle":
        return { ...x, x: this.#expr(x.x), lane: this.#expr(x.lane) };
      case "binary": {
        const divides = (x.op === "div" || x.op === "rem") && !this.#isCommon(x.x);
        const first = this.#expr(x.x);
        return { ...x, x: first, y: divides && x.y.kind === "literal" ? x.y : this.#expr(x.y) };
      }
      case "select":
        return { ...x, condition: this.#expr(x.condition), x: this.#expr(x.x), y: this.#expr(x.y) };
    }
  }

  /** Whether all lanes of a workgroup surely have the same value. */
  #isCommon(x: Expr): boolean {
    switch (x.kind) {
      case "literal":
      case "workgroup":
      case "param":
        return true;
      case "name":
        return this.#common.has(x.name);
      case "unary":
      case "cast":
        return this.#isCommon(x.x);
      case "binary":
        return this.#isCommon(x.x) && this.#isCommon(x.y);
      default:
        return false;
    }
  }
}

/** Rounds of a loop between literals; 0 where that is not known. */
function roundsOf({ from, to, step }: Statement & { readonly kind: "for" }): number {
  if (from.kind !== "literal" || to.kind !== "literal" || step.kind !== "literal") return 0;
  return (to.value - from.value) / step.value;
}
