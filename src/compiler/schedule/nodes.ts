/**
 * Which variables of a program are computed as such, and which only where they are used: the first decision of the scheduler.
 *
 * A node is a variable that some kernel computes as a whole: the result of a reduction, a dot, a routine or a loop, and every pointwise
 * value that more than one place needs or that would be expensive to compute again. All other pointwise values are inlined
 * where they are used. Whether a node is stored is decided later: if all its uses end up in its kernel, it is not.
 *
 * Consumed by `groups.ts`. Costs are in simple scalar operations.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, VarId } from "../../dsl/program/program.ts";
import { assembles } from "./assembly.ts";
import { isPointwise } from "./pointwise.ts";
import { aliasOf } from "./views.ts";
import type { Alias } from "./views.ts";

const VIEWS: ReadonlySet<OpKind> = new Set<OpKind>([
  "constant", "iota", "broadcast", "reshape", "transpose", "slice", "stopGradient",
]); // prettier-ignore
const COSTS: Readonly<Partial<Record<OpKind, number>>> = {
  threefry: 80, erf: 12, pow: 8, tanh: 6, sin: 6, cos: 6, exp: 4, log: 4, logistic: 6, sqrt: 2, rsqrt: 2, div: 2, rem: 4,
  gather: 2, pad: 2, concat: 2,
}; // prettier-ignore

/** Whether an op only says where elements come from. */
export const isView = (op: OpKind): boolean => VIEWS.has(op);

/** Operations that one element takes, its operands aside. */
const costOf = (op: OpKind): number => (isView(op) ? 0 : (COSTS[op] ?? 1));

/** Above it a value that is used twice is computed once. Below, computing it again is cheaper than a pass over memory. */
const SHARED_COST = 1;
/** Above it a value is a node even if it is used once: a bound on the code of one expression. */
const MAX_COST = 400;
/** A value that a broadcast repeats is computed once if it costs more than this. */
const REPEATED_COST = 2;
/** What a dot computes of its operands on the way: each element is loaded several times. */
const DOT_OPERAND_COST = 1;

export interface Nodes {
  /** Whether a variable is a node. Inputs are not. */
  readonly isNode: (id: VarId) => boolean;
  /** The stored variables (inputs, nodes, listed constants) that an inlined variable is computed from; itself for those. */
  readonly leaves: (id: VarId) => ReadonlySet<VarId>;
  /** The input or node that a variable is a contiguous part of, where it is one and no node itself. */
  readonly alias: (id: VarId) => Alias | undefined;
}

export interface NodeOptions {
  /** false: every variable is a node. */
  readonly fusion: boolean;
  /** The most leaves that one value may have. */
  readonly maxLeaves: number;
}

export function findNodes(program: Program, options: NodeOptions): Nodes {
  // What turns out to be a node late was already inlined where it was used before: so it is said from the start next time.
  const forced = new Set<VarId>();
  for (;;) {
    const before = forced.size;
    const nodes = markNodes(program, options, forced);
    if (forced.size === before) return nodes;
  }
}

function markNodes(program: Program, { fusion, maxLeaves }: NodeOptions, forced: Set<VarId>): Nodes {
  const definitions: (AnyEquation | undefined)[] = [];
  const users: AnyEquation[][] = program.types.map(() => []);
  for (const equation of program.equations) {
    for (const id of equation.outputs) definitions[id] = equation;
    for (const id of equation.inputs) users[id]?.push(equation);
  }
  const returned = new Set(program.outputs);
  const nodes = new Set<VarId>();
  const costs = new Map<VarId, number>();
  const leaves = new Map<VarId, ReadonlySet<VarId>>();
  for (const id of program.inputs) leaves.set(id, new Set([id]));

  const size = (id: VarId): number => sizeOf(typeOf(program, id).shape);
  const makeNode = (id: VarId): void => {
    nodes.add(id);
    costs.set(id, 0);
    leaves.set(id, new Set([id]));
  };
  const mustBe = (id: VarId, cost: number): boolean => {
    if (returned.has(id) || !fusion || forced.has(id)) return true;
    const uses = users[id] as readonly AnyEquation[]; // one list for each variable
    if (uses.length > 1 && cost > SHARED_COST) return true;
    if (cost > MAX_COST) return true;
    return uses.some((user) => {
      if (assembles(program, user)) return fusesInto(id);
      if (user.op === "dot") return cost > DOT_OPERAND_COST || leavesOf(id).size > 1;
      if (user.op === "gather" && user.inputs[0] === id) return cost > REPEATED_COST;
      if (user.op === "broadcast") return cost > REPEATED_COST && size(user.outputs[0] as VarId) > size(id);
      if (user.op === "reduceSum" || user.op === "reduceMax" || user.op === "argmax") return false;
      // What takes whole operands takes a part of a buffer as well.
      return !isPointwise(user.op) && alias(id) === undefined;
    });
  };
  const inputs = new Set(program.inputs);
  const isStored = (id: VarId): boolean => inputs.has(id) || nodes.has(id);
  /** Whether a part of a concat may be computed in the kernel of what it is computed from, and stored there at its place. */
  const fusesInto = (id: VarId): boolean =>
    alias(id) === undefined && [...leavesOf(id)].some((leaf) => nodes.has(leaf) && size(leaf) === size(id));
  const alias = (id: VarId): Alias | undefined => aliasOf(program, definitions, isStored, id);
  const leavesOf = (id: VarId): ReadonlySet<VarId> => leaves.get(id) as ReadonlySet<VarId>; // in program order

  for (const equation of program.equations) {
    if (!isPointwise(equation.op) || assembles(program, equation)) {
      for (const id of equation.outputs) makeNode(id);
      continue;
    }
    const united = (): Set<VarId> => new Set(equation.inputs.flatMap((id) => [...leavesOf(id)]));
    let found = united();
    while (found.size > maxLeaves - (equation.outputs.length - 1)) {
      const largest = equation.inputs.reduce((a, b) => (leavesOf(b).size > leavesOf(a).size ? b : a));
      if (leavesOf(largest).size <= 1) break; // an op of that many operands: `prepare` keeps them few
      makeNode(largest);
      forced.add(largest);
      found = united();
    }
    const listed = equation.op === "constant" && typeof equation.params.values === "object";
    const cost = equation.inputs.reduce((sum, id) => sum + (costs.get(id) ?? 0), costOf(equation.op));
    for (const id of equation.outputs) {
      costs.set(id, cost);
      leaves.set(id, listed ? new Set([id]) : found);
    }
    for (const id of equation.outputs) if (mustBe(id, cost)) makeNode(id);
  }
  const aliases = new Map<VarId, Alias | undefined>();
  const known = (id: VarId): Alias | undefined => {
    if (!aliases.has(id)) aliases.set(id, alias(id));
    return aliases.get(id);
  };
  return { isNode: (id) => nodes.has(id), leaves: leavesOf, alias: known };
}
