/**
 * Fusion: which nodes share a kernel. Greedy, in program order: a node joins the latest group that may take it, else it opens one.
 *
 *   map     pointwise nodes of one size, element by element
 *   row     reductions along rows, with everything of the same rows that comes before, between and after them (softmax, norms, …)
 *   column  one reduction across rows
 *   dot     a dot with pointwise nodes of its result's size after it
 *   whole   a routine, a loop, or a concat that is assembled, alone
 *
 * A node may join when what it needs from inside the group is at hand in a register, when nothing that it needs from outside waits for
 * the group, and when the buffers stay within the target's limit. A result that takes the place of an input (see `in-place.ts`) comes
 * after all that reads the input, and needs no buffer of its own. Consumed by `schedule.ts`.
 */
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, VarId } from "../../dsl/program/program.ts";
import type { TargetLimits } from "../kernel/plan.ts";
import { assembles } from "./assembly.ts";
import { pairUp, possible } from "./in-place.ts";
import type { Candidates } from "./in-place.ts";
import type { Nodes } from "./nodes.ts";
import { isPointwise } from "./pointwise.ts";
import { dependenciesOf } from "./relations.ts";
import type { Dependency, Space } from "./relations.ts";

export type GroupKind = "map" | "row" | "column" | "dot" | "whole";

/** Within rows × columns: a value for each element, or one for each row. */
export type Level = "full" | "row";

export interface Member {
  readonly equation: AnyEquation;
  /** Its outputs that are nodes. */
  readonly nodes: readonly VarId[];
  readonly level: Level;
  /**
   * A row kernel passes over its columns once per phase. Values of phase p can be computed in pass p; the result of a reduction is there
   * after the pass before its phase.
   */
  readonly phase: number;
}

export interface Group {
  readonly kind: GroupKind;
  readonly space: Space;
  readonly members: readonly Member[];
  /** Nodes that are used outside or returned, and so stored. */
  readonly stored: ReadonlySet<VarId>;
}

export interface Grouping {
  readonly groups: readonly Group[];
  /** For each result that takes the place of an input, that input. */
  readonly replaced: ReadonlyMap<VarId, VarId>;
}

interface OpenGroup {
  kind: GroupKind;
  space: Space;
  readonly members: Member[];
  readonly before: Set<OpenGroup>;
  /** Stored variables that it reads. */
  readonly reads: Set<VarId>;
}

export const isReduction = (op: OpKind): op is "reduceSum" | "reduceMax" | "argmax" =>
  op === "reduceSum" || op === "reduceMax" || op === "argmax";

/** Lanes of a row kernel, at most. Each of its reductions takes a word of shared memory for each of them, argmax two. */
export const MAX_ROW_LANES = 256;
const wordsOf = ({ equation: { op } }: Pick<Member, "equation">): number =>
  op === "argmax" ? 2 : isReduction(op) ? 1 : 0;
/** Rows up to this length are combined by one workgroup in one go. */
const MAX_COLUMNS = 8192;
/** A map of more elements than this stays one when a reduction over few rows follows: rows would leave the device idle. */
const MIN_ROWS = 16;
const SMALL_ROW = 1024;
/** Groups looked at for a node that needs nothing from them, only the same operands. */
const SIBLINGS = 8;

/** The axes of a reduction (normalized: one run) as extents before, along and after. */
export function reducedExtents(
  program: Program,
  equation: AnyEquation,
): { readonly outer: number; readonly reduced: number; readonly inner: number } {
  const { shape } = typeOf(program, equation.inputs[0] as VarId);
  const axes =
    equation.op === "argmax"
      ? [equation.params.axis]
      : equation.op === "reduceSum" || equation.op === "reduceMax"
        ? equation.params.axes
        : [];
  const [first, last] = [Math.min(...axes), Math.max(...axes)];
  return {
    outer: sizeOf(shape.slice(0, first)),
    reduced: sizeOf(shape.slice(first, last + 1)),
    inner: sizeOf(shape.slice(last + 1)),
  };
}

export interface GroupOptions {
  readonly limits: TargetLimits;
  /** false: a group for every node. */
  readonly fusion: boolean;
  /** Inputs that results may replace. */
  readonly candidates: Candidates;
}

export function formGroups(program: Program, nodes: Nodes, options: GroupOptions): Grouping {
  const definitions: (AnyEquation | undefined)[] = [];
  for (const equation of program.equations) for (const id of equation.outputs) definitions[id] = equation;
  const candidates = possible(program, definitions, nodes, options.candidates);
  const refused = new Set<string>();
  for (;;) {
    const pairs = pairUp(program, definitions, candidates, (output, input) =>
      refused.has(`${output} ${input}`),
    );
    const { broken, ...grouping } = tryGroups(program, definitions, nodes, { ...options, candidates, pairs });
    if (broken.length === 0) return grouping;
    for (const [output, input] of broken) refused.add(`${output} ${input}`);
  }
}

/** Groups that count on pairs of results and inputs. @returns as `broken` those that cannot be, where a kernel is too large for that */
function tryGroups(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  nodes: Nodes,
  { limits, fusion, candidates, pairs }: GroupOptions & { readonly pairs: ReadonlyMap<VarId, VarId> },
): Grouping & { readonly broken: readonly (readonly [output: VarId, input: VarId])[] } {
  const inputs = new Set(program.inputs);
  const listed = (id: VarId): boolean => {
    const equation = definitions[id];
    return equation?.op === "constant" && typeof equation.params.values === "object";
  };
  const isStored = (id: VarId): boolean => inputs.has(id) || nodes.isNode(id) || listed(id);
  const returned = new Set(program.outputs);
  const uses = new Map<VarId, number>();
  const count = (id: VarId): void => void uses.set(id, (uses.get(id) ?? 0) + 1);

  const groups: OpenGroup[] = [];
  const home = new Map<VarId, OpenGroup>();
  const memberOf = new Map<VarId, Member>();
  const dependencies = new Map<AnyEquation, readonly Dependency[]>();
  for (const equation of program.equations) {
    if (!equation.outputs.some((id) => nodes.isNode(id))) continue;
    const found = dependenciesOf(program, definitions, isStored, equation);
    dependencies.set(equation, found);
    for (const { id } of found) count(id);
  }

  /** Whether `from` waits for `target`, directly or not. */
  const waits = (from: OpenGroup, target: OpenGroup): boolean => {
    const seen = new Set([from]);
    // A set that grows while it is walked is walked to its end.
    for (const group of seen) {
      if (group === target) return true;
      for (const before of group.before) seen.add(before);
    }
    return false;
  };

  /** What the group's kernel would bind: all that it reads from outside, all of its nodes that are used outside. */
  const bindings = (
    kind: GroupKind,
    members: readonly Member[],
    reads: ReadonlySet<VarId>,
    replaced: ReadonlyMap<VarId, VarId>,
  ): number => {
    const own = new Set(members.flatMap((member) => member.nodes));
    const inside = new Map<VarId, number>();
    for (const { equation } of members)
      for (const { id } of dependencies.get(equation) ?? []) inside.set(id, (inside.get(id) ?? 0) + 1);
    const inPlace = (id: VarId): boolean =>
      (kind === "map" || kind === "dot") && reads.has(replaced.get(id) ?? -1);
    const stored = [...own].filter(
      (id) => (returned.has(id) || inside.get(id) !== uses.get(id)) && !inPlace(id),
    );
    // A listed constant that is a node is copied from its list.
    const lists = members.filter(({ equation }) => listed(equation.outputs[0] as VarId)).length;
    const all = [...reads].filter((id) => !own.has(id)).length + stored.length + lists;
    if (kind !== "dot") return all;
    // A dot that is cut into slices has a second kernel, which reads their sums.
    const later = new Set(
      members.slice(1).flatMap(({ equation }) => (dependencies.get(equation) ?? []).map(({ id }) => id)),
    );
    return Math.max(all, 1 + [...later].filter((id) => !own.has(id)).length + stored.length);
  };

  /** The group's space and kind with the equation in it, and its level there; undefined where it does not fit. */
  const fit = (
    group: OpenGroup,
    equation: AnyEquation,
  ): { readonly kind: GroupKind; readonly space: Space; readonly level: Level } | undefined => {
    const { kind, space } = group;
    if (kind === "whole" || kind === "column") return undefined;
    if (isReduction(equation.op)) {
      const { outer, reduced, inner } = reducedExtents(program, equation);
      if (inner > 1 || kind === "dot" || !combines(outer, reduced)) return undefined;
      const wanted: Space = { rows: outer, columns: reduced };
      if (kind === "row")
        return space.rows === outer && space.columns === reduced ? { kind, space, level: "row" } : undefined;
      return space.rows === outer * reduced ? { kind: "row", space: wanted, level: "row" } : undefined;
    }
    if (!isPointwise(equation.op)) return undefined;
    const size = sizeOf(typeOf(program, equation.outputs[0] as VarId).shape);
    if (size === space.rows * space.columns) return { kind, space, level: "full" };
    return kind === "row" && size === space.rows ? { kind, space, level: "row" } : undefined;
  };

  /** Whether everything that the equation needs from the group is at hand; and the phase that it comes to. */
  const phaseIn = (
    group: OpenGroup,
    space: Space,
    level: Level,
    equation: AnyEquation,
  ): number | undefined => {
    let phase = 0;
    const reduces = isReduction(equation.op);
    const operands: Level = reduces ? "full" : level;
    for (const { id, relation } of dependencies.get(equation) ?? []) {
      if (home.get(id) !== group) continue;
      const member = memberOf.get(id) as Member; // homes and members are set together
      const same = relation.kind === "same" && member.level === operands;
      const ofRow =
        operands === "full" &&
        member.level === "row" &&
        relation.kind === "row" &&
        relation.columns === space.columns;
      if (!same && !ofRow) return undefined;
      phase = Math.max(phase, member.phase);
    }
    return reduces ? phase + 1 : phase;
  };

  const join = (group: OpenGroup, equation: AnyEquation): boolean => {
    const place = fit(group, equation);
    if (place === undefined) return false;
    const phase = phaseIn(group, place.space, place.level, equation);
    if (phase === undefined) return false;
    const words = [...group.members, { equation }].reduce((sum, member) => sum + wordsOf(member), 0);
    if (4 * words * MAX_ROW_LANES > limits.sharedBytes) return false;
    const found = dependencies.get(equation) ?? [];
    const member: Member = {
      equation,
      nodes: equation.outputs.filter((id) => nodes.isNode(id)),
      level: place.level,
      phase,
    };
    const reads = new Set([...group.reads, ...found.map(({ id }) => id)]);
    if (bindings(place.kind, [...group.members, member], reads, pairs) > limits.buffers) return false;
    for (const { id } of found) {
      const source = home.get(id);
      if (source !== undefined && source !== group && waits(source, group)) return false;
    }
    group.kind = place.kind;
    group.space = place.space;
    add(group, member);
    return true;
  };

  const add = (group: OpenGroup, member: Member): void => {
    group.members.push(member);
    for (const id of member.nodes) {
      home.set(id, group);
      memberOf.set(id, member);
    }
    for (const { id } of dependencies.get(member.equation) ?? []) {
      group.reads.add(id);
      const source = home.get(id);
      if (source !== undefined && source !== group) group.before.add(source);
    }
  };

  const open = (equation: AnyEquation): void => {
    const size = sizeOf(typeOf(program, equation.outputs[0] as VarId).shape);
    let [kind, space]: [GroupKind, Space] = ["whole", { rows: size, columns: 1 }];
    let [level, phase]: [Level, number] = ["full", 0];
    if (assembles(program, equation)) kind = "whole";
    else if (isPointwise(equation.op)) kind = "map";
    else if (equation.op === "dot") kind = "dot";
    else if (isReduction(equation.op)) {
      const { outer, reduced, inner } = reducedExtents(program, equation);
      [level, phase] = ["row", 1];
      if (inner > 1 || !combines(outer, reduced)) kind = "column";
      else [kind, space] = ["row", { rows: outer, columns: reduced }];
    }
    const group: OpenGroup = { kind, space, members: [], before: new Set(), reads: new Set() };
    groups.push(group);
    add(group, { equation, nodes: equation.outputs.filter((id) => nodes.isNode(id)), level, phase });
  };

  for (const equation of program.equations) {
    const found = dependencies.get(equation);
    if (found === undefined) continue;
    const fuses = isPointwise(equation.op) || isReduction(equation.op);
    if (fusion && fuses && !assembles(program, equation)) {
      const sources = new Set(found.flatMap(({ id }) => home.get(id) ?? []));
      const shared = groups
        .slice(-SIBLINGS)
        .filter((group) => !sources.has(group) && found.some(({ id }) => group.reads.has(id)));
      const candidates = [...[...sources].reverse(), ...shared.reverse()];
      if (candidates.some((group) => join(group, equation))) continue;
    }
    open(equation);
  }

  /** Whether a group may write a result over an input: it reads of it only the element that it writes, if any. */
  const readsOwnElement = ({ kind, members, reads }: OpenGroup, input: VarId): boolean => {
    if (!reads.has(input)) return true;
    const relations = members.map(({ equation }) =>
      (dependencies.get(equation) ?? [])
        .filter(({ id }) => id === input)
        .map(({ relation }) => relation.kind),
    );
    if (kind !== "map" && (kind !== "dot" || relations[0]?.length !== 0)) return false;
    return relations.flat().every((relation) => relation === "same");
  };

  const readersOf = new Map<VarId, OpenGroup[]>();
  for (const group of groups)
    for (const id of group.reads) {
      const readers = readersOf.get(id) ?? [];
      readersOf.set(id, readers);
      readers.push(group);
    }
  const replaced = new Map<VarId, VarId>();
  const replace = (output: VarId, input: VarId): boolean => {
    const group = home.get(output) as OpenGroup; // candidates are nodes
    const readers = (readersOf.get(input) ?? []).filter((other) => other !== group);
    if (!readsOwnElement(group, input) || readers.some((reader) => waits(reader, group))) return false;
    for (const reader of readers) group.before.add(reader);
    replaced.set(output, input);
    return true;
  };
  const failed = [...pairs].filter(([output, input]) => !replace(output, input));
  const broken = failed.filter(([output]) => {
    const { kind, members, reads } = home.get(output) as OpenGroup;
    return bindings(kind, members, reads, replaced) > limits.buffers;
  });
  const taken = new Set(replaced.values());
  for (const [output, choice] of candidates) {
    if (replaced.has(output)) continue;
    const input = choice.find((id) => !taken.has(id) && replace(output, id));
    if (input !== undefined) taken.add(input);
  }

  const result = ordered(groups).map((group) => {
    const own = new Set(group.members.flatMap((member) => member.nodes));
    const inside = new Map<VarId, number>();
    for (const { equation } of group.members)
      for (const { id } of dependencies.get(equation) ?? []) inside.set(id, (inside.get(id) ?? 0) + 1);
    const stored = [...own].filter((id) => returned.has(id) || (inside.get(id) ?? 0) !== (uses.get(id) ?? 0));
    return { kind: group.kind, space: group.space, members: group.members, stored: new Set(stored) };
  });
  return { groups: result, replaced, broken };
}

/** Whether one workgroup per row is a good way to combine `columns` elements in each of `rows`. */
const combines = (rows: number, columns: number): boolean =>
  columns <= MAX_COLUMNS && (rows >= MIN_ROWS || columns <= SMALL_ROW);

/** Every group after those that it waits for, otherwise in the order in which they were opened. */
function ordered(groups: readonly OpenGroup[]): readonly OpenGroup[] {
  const result: OpenGroup[] = [];
  const placed = new Set<OpenGroup>();
  const place = (group: OpenGroup): void => {
    if (placed.has(group)) return;
    placed.add(group);
    for (const before of group.before) place(before);
    result.push(group);
  };
  for (const group of groups) place(group);
  return result;
}
