/**
 * Loops and branches as steps of a plan, with their nested programs. Where a value is carried from one iteration to the next, it is
 * replaced in place where the scheduler can, and else when nothing needs the old one any more.
 *
 * Consumed by `schedule.ts`, which it asks for the steps of nested programs. To add a control op: a case in `writeControl`.
 */
import { formatType, sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { entered } from "../kernel/plan.ts";
import type { Step, Swap } from "../kernel/plan.ts";
import type { Location, Scope } from "./kernel-writer.ts";

/** Where an output of a nested program must end up. */
export interface Target {
  /** The location, where it replaces no input. Called at most once. */
  readonly place: () => Location;
  /** Inputs of the program whose place it may take instead: nothing needs them afterwards. */
  readonly instead?: readonly VarId[];
}

export interface Scheduled {
  readonly steps: readonly Step[];
  /** Where the outputs are: at their targets where they have one. */
  readonly outputs: readonly Location[];
}

/** The scheduler, as control ops see it. */
export interface Host {
  temporary(type: TensorType): Location;
  /** Steps of a nested program. @param depth number of loops around it */
  program(
    program: Program,
    inputs: readonly Location[],
    targets: readonly (Target | undefined)[],
    depth: number,
  ): Scheduled;
  /** Steps that bring a variable to another location. */
  copy(scope: Scope, id: VarId, to: Location): readonly Step[];
}

/** How many of an equation's outputs, from the first on, are carried: those need a buffer of their own. */
export const carriesOf = (equation: AnyEquation): number =>
  equation.op === "scan" ? equation.params.carry : equation.op === "while" ? equation.outputs.length : 0;

const at = (location: Location): Target => ({ place: () => location });

/** @param results where its outputs go @throws Error when the op is none of these */
export function writeControl(
  host: Host,
  scope: Scope,
  equation: AnyEquation,
  results: readonly Location[],
  depth: number,
): readonly Step[] {
  const here = (ids: readonly VarId[]): readonly Location[] =>
    ids.map((id) => scope.location(id) as Location); // operands of control ops are stored
  const steps: Step[] = [];
  /** Puts the start of the carry where it is kept. */
  const begin = (ids: readonly VarId[], place = (result: Location): Location => result): void => {
    ids.forEach((id, i) => steps.push(...host.copy(scope, id, place(results[i] as Location))));
  };
  switch (equation.op) {
    case "scan": {
      const { body, length, consts, carry, reverse } = equation.params;
      const start = equation.inputs.slice(consts, consts + carry);
      if (length === 0) {
        begin(start);
        return steps;
      }
      const carried = results.slice(0, carry);
      const slice = (id: VarId): Location["slice"] & object => ({
        loop: depth,
        length,
        reverse,
        stride: sizeOf(typeOf(body, id).shape),
      });
      const xs = equation.inputs.slice(consts + carry).map((id, i): Location => {
        let stacked = scope.location(id) as Location;
        if (stacked.slice !== undefined) {
          stacked = host.temporary(typeOf(scope.program, id));
          steps.push(...host.copy(scope, id, stacked));
        }
        return { ...stacked, slice: slice(body.inputs[consts + carry + i] as VarId) };
      });
      const ys = results.slice(carry).map((location, i): Location => ({
        ...location,
        slice: slice(body.outputs[carry + i] as VarId),
      }));
      const inputs = [...here(equation.inputs.slice(0, consts)), ...carried, ...xs];
      const inner = carrying(host, body, inputs, { carried, ys, consts, depth: depth + 1 });
      const swaps = inner.replaced
        .filter(({ own }) => own)
        .map(({ to, from }): Swap => [to.buffer, from.buffer]);
      const copies = inner.replaced.filter(({ own }) => !own);
      const places = new Map(swaps.map((pair) => [pair[0], entered(length, pair)]));
      begin(start, (location) => ({ ...location, buffer: places.get(location.buffer) ?? location.buffer }));
      steps.push({
        kind: "loop",
        length,
        steps: [...inner.steps, ...copies.map(copied)],
        ...(swaps.length === 0 ? {} : { swaps }),
      });
      return steps;
    }
    case "while": {
      const { condition, body, conditionConsts, bodyConsts } = equation.params;
      const constants = here(equation.inputs.slice(0, conditionConsts + bodyConsts));
      const carried = results;
      begin(equation.inputs.slice(conditionConsts + bodyConsts));
      const flag = host.temporary({ shape: [], dtype: "bool" });
      const asked = host.program(
        condition,
        [...constants.slice(0, conditionConsts), ...carried],
        [at(flag)],
        depth,
      );
      const inputs = [...constants.slice(conditionConsts), ...carried];
      const inner = carrying(host, body, inputs, { carried, ys: [], consts: bodyConsts, depth });
      const replace = inner.replaced.map(copied);
      steps.push({
        kind: "while",
        condition: asked.steps,
        flag: flag.buffer,
        body: [...inner.steps, ...replace],
      });
      return steps;
    }
    case "cond": {
      const [predicate, ...operands] = equation.inputs as readonly [VarId, ...VarId[]];
      const flag = host.temporary({ shape: [], dtype: "bool" });
      steps.push(...host.copy(scope, predicate, flag));
      const branch = (program: Program): readonly Step[] =>
        host.program(program, here(operands), results.map(at), depth).steps;
      const { onTrue, onFalse } = equation.params;
      steps.push({ kind: "branch", flag: flag.buffer, onTrue: branch(onTrue), onFalse: branch(onFalse) });
      return steps;
    }
    default: {
      const types = equation.outputs.map((id) => formatType(typeOf(scope.program, id)));
      throw new Error(`${equation.op} has no kernel (for ${types.join(", ")})`);
    }
  }
}

interface Iteration {
  readonly carried: readonly Location[];
  readonly ys: readonly Location[];
  readonly consts: number;
  readonly depth: number;
}

/** What of a carry is computed elsewhere than where the old one is. */
interface Replaced {
  readonly from: Location;
  readonly to: Location;
  /** Whether `from` is a buffer for nothing else. */
  readonly own: boolean;
}

const copied = ({ from, to }: Replaced): Step => ({ kind: "copy", from: from.buffer, to: to.buffer });

/**
 * The steps of a loop's body. What of the carry is not replaced in place is computed elsewhere, and the old one is to be replaced by it when
 * nothing needs it any more.
 */
function carrying(
  host: Host,
  body: Program,
  inputs: readonly Location[],
  { carried, ys, consts, depth }: Iteration,
): { readonly steps: readonly Step[]; readonly replaced: readonly Replaced[] } {
  const made = new Set<Location["buffer"]>();
  const fresh = carried.map((_, i): Target | undefined => {
    const [id, old] = [body.outputs[i] as VarId, body.inputs[consts + i] as VarId]; // a body returns its carry first
    const place = (): Location => {
      const location = host.temporary(typeOf(body, id));
      made.add(location.buffer);
      return location;
    };
    return id === old ? undefined : { place, instead: [old] };
  });
  const { steps, outputs } = host.program(body, inputs, [...fresh, ...ys.map(at)], depth);
  const ends = outputs.slice(0, carried.length);
  const replaced = carried.flatMap((to, i): Replaced[] => {
    const from = ends[i] as Location; // one for each output
    const empty = sizeOf(typeOf(body, body.outputs[i] as VarId).shape) === 0;
    if (empty || from.buffer === to.buffer) return [];
    const own = made.has(from.buffer) && ends.filter(({ buffer }) => buffer === from.buffer).length === 1;
    return [{ from, to, own }];
  });
  return { steps, replaced };
}
