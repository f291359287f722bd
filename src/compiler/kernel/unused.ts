/**
 * Leaves out of a kernel what nothing uses: names that are bound and never mentioned, loops and conditions with nothing inside. Kernels
 * are written piece by piece, and a piece does not know which parts of an index the next one asks for. A compiler would find them too,
 * but kernels that differ in nothing else would be different texts.
 *
 * Consumed by the scheduler, for each kernel. A new expression or statement needs a case below.
 */
import type { Expr, Kernel, Quad, Statement } from "./ir.ts";

export const withoutUnused = (kernel: Kernel): Kernel => ({
  ...kernel,
  body: usedOf(kernel.body, new Set()),
});

/** The statements that matter to what comes after them, which mentions `used`; names that they mention are added. */
function usedOf(statements: readonly Statement[], used: Set<string>): readonly Statement[] {
  const kept: Statement[] = [];
  for (const statement of statements.toReversed()) {
    const found = keep(statement, used);
    if (found !== undefined) kept.push(found);
  }
  return kept.reverse();
}

function keep(s: Statement, used: Set<string>): Statement | undefined {
  switch (s.kind) {
    case "let":
      if (!used.has(s.name)) return undefined;
      mention(used, s.value);
      return s;
    case "var":
    case "assign": // Loops come back to it, so it is kept whatever comes after.
      used.add(s.name);
      mention(used, s.value);
      return s;
    case "store":
    case "storeShared":
      mention(used, s.at, s.value);
      return s;
    case "for": {
      const body = usedOf(s.body, used);
      if (body.length === 0) return undefined;
      mention(used, s.from, s.to, s.step);
      return { ...s, body };
    }
    case "if": {
      const [body, otherwise] = [usedOf(s.body, used), usedOf(s.otherwise, used)];
      if (body.length + otherwise.length === 0) return undefined;
      mention(used, s.condition);
      return { ...s, body, otherwise };
    }
    case "barrier":
      return s;
    case "zeroFragment": // as a variable
      used.add(s.fragment.name);
      return s;
    case "loadFragment":
      if (!used.has(s.fragment.name)) return undefined;
      mention(used, s.from.at, s.from.stride);
      return s;
    case "multiplyAccumulate": // as an assignment
      for (const { name } of [s.accumulator, s.left, s.right]) used.add(name);
      return s;
    case "storeFragment":
      used.add(s.fragment.name);
      mention(used, s.to.at, s.to.stride);
      return s;
    case "letQuad":
      if (!used.has(s.name)) return undefined;
      mentionQuad(used, s.value);
      return s;
    case "varQuad":
    case "assignQuad": // as a variable
      used.add(s.name);
      mentionQuad(used, s.value);
      return s;
    case "storeQuad":
      used.add(s.quad);
      mention(used, s.to.at);
      return s;
    case "addScaled":
      used.add(s.sums).add(s.quad);
      mention(used, s.x);
      return s;
    case "threefry":
      if (!s.names.some((name) => used.has(name))) return undefined;
      mention(used, ...s.key, ...s.counter);
      return s;
  }
}

function mentionQuad(used: Set<string>, quad: Quad): void {
  switch (quad.kind) {
    case "zeros":
      return;
    case "loaded":
      return mention(used, quad.from.at);
    case "parts":
      return mention(used, ...quad.parts);
    case "scaled":
      used.add(quad.quad);
      return mention(used, quad.x);
  }
}

function mention(used: Set<string>, ...expressions: readonly Expr[]): void {
  for (const x of expressions) {
    switch (x.kind) {
      case "name":
        used.add(x.name);
        break;
      case "component":
        used.add(x.quad);
        break;
      case "literal":
      case "workgroup":
      case "lane":
      case "param":
      case "subgroup":
        break;
      case "load":
      case "shared":
        mention(used, x.at);
        break;
      case "unary":
      case "cast":
      case "isNan":
      case "subgroupSum":
        mention(used, x.x);
        break;
      case "shuffle":
        mention(used, x.x, x.lane);
        break;
      case "binary":
        mention(used, x.x, x.y);
        break;
      case "select":
        mention(used, x.condition, x.x, x.y);
    }
  }
}
