/**
 * Which results of a program take the place of inputs that nobody needs afterwards: of donated ones, and of what a loop carries. A
 * kernel that computes such a result binds one buffer where it would bind two, so this is known before kernels are formed.
 *
 * Consumed by `groups.ts`, which keeps to it where the order of the kernels allows.
 */
import type { AnyEquation, Program, VarId } from "../../dsl/program/program.ts";
import { assembles } from "./assembly.ts";
import type { Nodes } from "./nodes.ts";
import { isPointwise } from "./pointwise.ts";
import { relationOf } from "./relations.ts";

/** For each result the inputs that it may replace, the best first. */
export type Candidates = ReadonlyMap<VarId, readonly VarId[]>;

/**
 * The candidates that can be at all: an input that is returned as it is stays; a result that is passed on has no kernel, and one that
 * is assembled has several, the first of which may come early.
 */
export function possible(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  nodes: Nodes,
  candidates: Candidates,
): Candidates {
  const returned = new Set(program.outputs);
  const found = new Map<VarId, readonly VarId[]>();
  for (const [output, inputs] of candidates) {
    const equation = definitions[output];
    if (equation === undefined || !nodes.isNode(output) || assembles(program, equation)) continue;
    const free = inputs.filter((id) => !returned.has(id));
    if (free.length > 0) found.set(output, free);
  }
  return found;
}

/** The variables that a result is computed from element by element, through any number of pointwise values. */
function elementwiseSources(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  output: VarId,
): ReadonlySet<VarId> {
  const seen = new Set([output]);
  // A set that grows while it is walked is walked to its end.
  for (const id of seen) {
    const equation = definitions[id];
    if (equation === undefined || !isPointwise(equation.op)) continue;
    if (relationOf(program, equation).kind === "same") for (const input of equation.inputs) seen.add(input);
  }
  return seen;
}

/**
 * Pairs results with inputs that they are computed from element by element, as many as there can be: their kernels will mostly read
 * those inputs anyway.
 * @param refused whether a pair turned out not to work
 */
export function pairUp(
  program: Program,
  definitions: readonly (AnyEquation | undefined)[],
  candidates: Candidates,
  refused: (output: VarId, input: VarId) => boolean,
): ReadonlyMap<VarId, VarId> {
  const choices = new Map<VarId, readonly VarId[]>();
  for (const [output, inputs] of candidates) {
    const sources = elementwiseSources(program, definitions, output);
    choices.set(
      output,
      inputs.filter((input) => sources.has(input) && !refused(output, input)),
    );
  }
  const taker = new Map<VarId, VarId>();
  /** Finds the output an input, if need be by moving others to other inputs. */
  const settle = (output: VarId, tried: Set<VarId>): boolean =>
    (choices.get(output) ?? []).some((input) => {
      if (tried.has(input)) return false;
      tried.add(input);
      const other = taker.get(input);
      if (other !== undefined && !settle(other, tried)) return false;
      taker.set(input, output);
      return true;
    });
  for (const output of choices.keys()) settle(output, new Set());
  return new Map([...taker].map(([input, output]) => [output, input]));
}
