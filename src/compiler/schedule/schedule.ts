/**
 * From a program to a plan: prepares it, decides what is fused with what, writes a kernel for each group, and lays loops and branches out.
 *
 * Consumed by devices that run kernels. The program's inputs and outputs keep their order; buffers of outputs are the caller's afterwards.
 */
import { costOf } from "../cost.ts";
import { formatType, sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { byteSize } from "../../dsl/types/dtype.ts";
import { formatSite, rawSite } from "../../dsl/trace/callsite.ts";
import { exactTensor } from "../host-tensor.ts";
import { decodeScalar } from "../../dsl/program/program.ts";
import { MINIMUM_LIMITS } from "../kernel/plan.ts";
import type { BufferId, Dispatch, Plan, PlanBuffer, Role, Step, TargetLimits } from "../kernel/plan.ts";
import { sizesAsParams } from "../kernel/sizes.ts";
import { withoutUnused } from "../kernel/unused.ts";
import { writeDots } from "./dot-kernel.ts";
import type { DotChoice } from "./dot-kernel.ts";
import { formGroups } from "./groups.ts";
import type { Group } from "./groups.ts";
import type { Location, Scope } from "./kernel-writer.ts";
import { writeColumns, writeCopy, writeMap, writeRows } from "./map-kernel.ts";
import type { LaidOut } from "./map-kernel.ts";
import { computedBy, namesOf } from "./inlined.ts";
import { findNodes } from "./nodes.ts";
import { prepare } from "./prepare.ts";
import { usesFlash } from "./routines/attention-choice.ts";
import { ROUTINES, isRoutine } from "./routines/index.ts";
import type { RoutineBuffer, RoutineRule } from "./routines/routine.ts";

export interface ScheduleOptions {
  readonly limits?: TargetLimits;
  /** false: a kernel for every equation, and attention written out. The oracle that fusion is tested against. Default true. */
  readonly fusion?: boolean;
  /** How dots are computed, such as a tuner found; where it is undefined or says so, the heuristic decides. */
  readonly dots?: DotChoice | undefined;
}

/** @throws Error when an op has no kernel within the limits, naming it. */
export function schedule(program: Program, options: ScheduleOptions = {}): Plan {
  const { limits = MINIMUM_LIMITS, fusion = true, dots } = options;
  const keepsAttention = (types: readonly TensorType[]): boolean => fusion && usesFlash(types, limits);
  return new Scheduler(limits, fusion, dots).plan(prepare(program, { keepsAttention }));
}

/** Where the outputs of a nested program must end up; undefined: anywhere. */
type Target = Location | undefined;

class Scheduler {
  readonly #limits: TargetLimits;
  readonly #fusion: boolean;
  readonly #dots: DotChoice | undefined;
  readonly #buffers: PlanBuffer[] = [];

  constructor(limits: TargetLimits, fusion: boolean, dots: DotChoice | undefined) {
    this.#limits = limits;
    this.#fusion = fusion;
    this.#dots = dots;
  }

  #buffer(type: TensorType, role: Role): BufferId {
    return this.#buffers.push({ type, role }) - 1;
  }

  #temporary = (type: TensorType): Location => ({ buffer: this.#buffer(type, { kind: "temporary" }) });

  plan(program: Program): Plan {
    const inputs = program.inputs.map((id, position) =>
      this.#buffer(typeOf(program, id), { kind: "input", position }),
    );
    const passed = new Set(program.inputs);
    const targets = program.outputs.map((id, i): Target =>
      passed.has(id) || program.outputs.indexOf(id) !== i
        ? undefined
        : { buffer: this.#buffer(typeOf(program, id), { kind: "output" }) },
    );
    const { steps, outputs } = this.#program(
      program,
      inputs.map((buffer) => ({ buffer })),
      targets,
      0,
    );
    return { buffers: this.#buffers, steps, inputs, outputs: outputs.map(({ buffer }) => buffer) };
  }

  /**
   * @param depth number of loops around the program
   * @returns its steps, and where its outputs are: at their targets where they have one
   */
  #program(
    program: Program,
    inputs: readonly Location[],
    targets: readonly Target[],
    depth: number,
  ): { readonly steps: readonly Step[]; readonly outputs: readonly Location[] } {
    const nodes = findNodes(program, { fusion: this.#fusion, maxLeaves: this.#limits.buffers - 1 });
    const definitions: (AnyEquation | undefined)[] = [];
    for (const equation of program.equations) for (const id of equation.outputs) definitions[id] = equation;
    const locations = new Map<VarId, Location>();
    program.inputs.forEach((id, i) => locations.set(id, inputs[i] as Location)); // one for each
    const lists = new Map<VarId, BufferId>();
    const scope: Scope = {
      program,
      definitions,
      location: (id) => locations.get(id),
      listed: (id) => {
        const known = lists.get(id) ?? this.#constant(definitions[id] as AnyEquation);
        lists.set(id, known);
        return known;
      },
    };
    // A node that is returned is computed where it is wanted, unless it is wanted in two places.
    program.outputs.forEach((id, i) => {
      const target = targets[i];
      if (target !== undefined && !locations.has(id)) locations.set(id, target);
    });
    const steps: Step[] = [];
    for (const group of formGroups(program, nodes, this.#limits, this.#fusion)) {
      for (const id of group.stored)
        if (!locations.has(id)) locations.set(id, this.#temporary(typeOf(program, id)));
      steps.push(...this.#group(scope, group, locations, depth));
    }
    const outputs = program.outputs.map((id, i): Location => {
      const [here, target] = [locations.get(id) as Location, targets[i] ?? (locations.get(id) as Location)];
      if (!sameLocation(here, target)) steps.push(...this.#copy(scope, id, target));
      return target;
    });
    return { steps, outputs };
  }

  #constant(equation: AnyEquation): BufferId {
    if (equation.op !== "constant" || typeof equation.params.values !== "object")
      throw new Error(`${equation.op} is not a listed constant`);
    const { dtype, shape, values } = equation.params;
    const value = exactTensor(dtype, shape, values.map(decodeScalar));
    return this.#buffer({ dtype, shape }, { kind: "constant", value });
  }

  /** Steps that bring a variable to another location. */
  #copy(scope: Scope, id: VarId, to: Location): readonly Step[] {
    const type = typeOf(scope.program, id);
    if (sizeOf(type.shape) === 0) return [];
    const from = scope.location(id) as Location; // only stored variables are copied
    if (from.slice === undefined && to.slice === undefined)
      return [{ kind: "copy", from: from.buffer, to: to.buffer }];
    return [this.#dispatch(writeCopy(scope, id, to), ["copy"], 0, scope.definitions[id])];
  }

  #dispatch(
    { kernel, buffers, params, workgroups }: LaidOut,
    ops: readonly string[],
    flops: number,
    from: AnyEquation | undefined,
  ): Dispatch {
    const bytes = buffers.reduce((sum, id) => {
      const { shape, dtype } = (this.#buffers[id] as PlanBuffer).type; // kernels bind the plan's buffers
      return sum + sizeOf(shape) * byteSize(dtype);
    }, 0);
    const raw = from === undefined ? undefined : rawSite(from);
    const shared = sizesAsParams(withoutUnused(kernel));
    return {
      kind: "dispatch",
      kernel: shared.kernel,
      buffers,
      params: [...params, ...shared.sizes],
      workgroups,
      flops,
      bytes,
      ops,
      // Formatting a stack takes long; few are ever read.
      get site() {
        return raw === undefined ? undefined : formatSite(raw);
      },
    };
  }

  #group(scope: Scope, group: Group, locations: Map<VarId, Location>, depth: number): readonly Step[] {
    const equations = group.members.map((member) => member.equation);
    const last = equations.at(-1) as AnyEquation; // groups have members
    if (group.kind === "whole") return this.#whole(scope, last, locations, depth);
    if (group.space.rows * group.space.columns === 0) return [];
    const emptyResult = last.outputs.every((id) => sizeOf(typeOf(scope.program, id).shape) === 0);
    if (emptyResult) return [];
    const write = {
      map: () => [writeMap(scope, group)],
      row: () => [writeRows(scope, group, this.#limits)],
      column: () => [writeColumns(scope, group, this.#limits)],
      dot: () => writeDots(scope, group, (type) => this.#temporary(type).buffer, this.#limits, this.#dots),
    }[group.kind];
    const laidOut = write();
    // Where the sum of a dot is taken in slices, what follows it is in the kernel that adds them up.
    const parts = laidOut.length === 1 ? [equations] : [equations.slice(0, 1), equations.slice(1)];
    return laidOut.map((kernel, i) => {
      const members = parts[i] ?? [];
      const computed = computedBy(scope, members, equations);
      const { flops } = costOf({ ...scope.program, equations: computed });
      const ops = i === 0 ? namesOf(computed, members) : ["sum of slices", ...namesOf(computed, members)];
      return this.#dispatch(kernel, ops, flops, last);
    });
  }

  /** A routine or a loop: from whole buffers to whole buffers. */
  #whole(
    scope: Scope,
    equation: AnyEquation,
    locations: Map<VarId, Location>,
    depth: number,
  ): readonly Step[] {
    const steps: Step[] = [];
    const results = equation.outputs.map((id): Location => {
      const wanted = locations.get(id);
      const plain = wanted?.slice === undefined ? wanted : undefined;
      return plain ?? this.#temporary(typeOf(scope.program, id));
    });
    if (isRoutine(equation)) steps.push(...this.#routine(scope, equation, results));
    else steps.push(...this.#control(scope, equation, results, depth));
    equation.outputs.forEach((id, i) => locations.set(id, results[i] as Location)); // one for each
    return steps;
  }

  /** Where the whole of a variable is, copied there if it is a slice of something. */
  #plain(scope: Scope, id: VarId, steps: Step[]): Location {
    const location = scope.location(id) as Location; // asked for stored variables only
    if (location.slice === undefined) return location;
    const plain = this.#temporary(typeOf(scope.program, id));
    steps.push(...this.#copy(scope, id, plain));
    return plain;
  }

  /** Operands in a buffer each, copied where they share one: a kernel binds a buffer once. */
  #distinct(
    scope: Scope,
    ids: readonly VarId[],
    operands: readonly Location[],
    steps: Step[],
  ): readonly Location[] {
    return operands.map((operand, i) => {
      if (operands.findIndex(({ buffer }) => buffer === operand.buffer) === i) return operand;
      const copy = this.#temporary(typeOf(scope.program, ids[i] as VarId));
      steps.push({ kind: "copy", from: operand.buffer, to: copy.buffer });
      return copy;
    });
  }

  #routine(scope: Scope, equation: AnyEquation, results: readonly Location[]): readonly Step[] {
    const { program } = scope;
    const types = (ids: readonly VarId[]): readonly TensorType[] => ids.map((id) => typeOf(program, id));
    if (types(equation.outputs).every(({ shape }) => sizeOf(shape) === 0)) return [];
    const steps: Step[] = [];
    const operands = this.#distinct(
      scope,
      equation.inputs,
      equation.inputs.map((id) => this.#plain(scope, id, steps)),
      steps,
    );
    const rule = ROUTINES[equation.op as keyof typeof ROUTINES] as RoutineRule<AnyEquation["op"]>; // keyed by op
    const routine = rule(types(equation.inputs), equation.params, types(equation.outputs), this.#limits);
    const temporaries = routine.temporaries.map((type) => this.#temporary(type));
    const bufferOf = (buffer: RoutineBuffer): BufferId => {
      const location =
        "input" in buffer
          ? operands[buffer.input]
          : "output" in buffer
            ? results[buffer.output]
            : temporaries[buffer.temporary];
      return (location as Location).buffer; // routines name what there is
    };
    for (const { kernel, buffers, params, workgroups, flops } of routine.stages) {
      const laidOut = { kernel, buffers: buffers.map(bufferOf), params, workgroups };
      steps.push(this.#dispatch(laidOut, [equation.op], flops, equation));
    }
    return steps;
  }

  #control(
    scope: Scope,
    equation: AnyEquation,
    results: readonly Location[],
    depth: number,
  ): readonly Step[] {
    const at = (ids: readonly VarId[]): readonly Location[] =>
      ids.map((id) => scope.location(id) as Location); // operands of control ops are stored
    const steps: Step[] = [];
    /** Puts the start of the carry where it is kept. */
    const begin = (ids: readonly VarId[]): readonly Location[] => {
      ids.forEach((id, i) => steps.push(...this.#copy(scope, id, results[i] as Location)));
      return results.slice(0, ids.length);
    };
    switch (equation.op) {
      case "scan": {
        const { body, length, consts, carry, reverse } = equation.params;
        const carried = begin(equation.inputs.slice(consts, consts + carry));
        if (length === 0) return steps;
        const slice = { loop: depth, length, reverse };
        const xs = equation.inputs
          .slice(consts + carry)
          .map((id): Location => ({ ...this.#plain(scope, id, steps), slice }));
        const ys = results.slice(carry).map((location): Location => ({ ...location, slice }));
        const inner = this.#carrying(
          body,
          [...at(equation.inputs.slice(0, consts)), ...carried, ...xs],
          carried,
          ys,
          consts,
          depth + 1,
        );
        steps.push({ kind: "loop", length, steps: inner });
        return steps;
      }
      case "while": {
        const { condition, body, conditionConsts, bodyConsts } = equation.params;
        const constants = at(equation.inputs.slice(0, conditionConsts + bodyConsts));
        const carried = begin(equation.inputs.slice(conditionConsts + bodyConsts));
        const flag = this.#temporary({ shape: [], dtype: "bool" });
        const asked = this.#program(
          condition,
          [...constants.slice(0, conditionConsts), ...carried],
          [flag],
          depth,
        );
        const inner = this.#carrying(
          body,
          [...constants.slice(conditionConsts), ...carried],
          carried,
          [],
          bodyConsts,
          depth,
        );
        steps.push({ kind: "while", condition: asked.steps, flag: flag.buffer, body: inner });
        return steps;
      }
      case "cond": {
        const [predicate, ...operands] = equation.inputs as readonly [VarId, ...VarId[]];
        const flag = this.#temporary({ shape: [], dtype: "bool" });
        steps.push(...this.#copy(scope, predicate, flag));
        const branch = (program: Program): readonly Step[] =>
          this.#program(program, at(operands), results, depth).steps;
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

  /** The steps of a loop's body, which replaces the carry only when nothing needs the old one any more. */
  #carrying(
    body: Program,
    inputs: readonly Location[],
    carried: readonly Location[],
    ys: readonly Location[],
    consts: number,
    depth: number,
  ): readonly Step[] {
    const fresh = carried.map((_, i): Target => {
      const id = body.outputs[i] as VarId; // a body returns its carry first
      return id === body.inputs[consts + i] ? undefined : this.#temporary(typeOf(body, id));
    });
    const { steps } = this.#program(body, inputs, [...fresh, ...ys], depth);
    const replace = fresh.flatMap((from, i): Step[] => {
      const type = typeOf(body, body.outputs[i] as VarId);
      if (from === undefined || sizeOf(type.shape) === 0) return [];
      return [{ kind: "copy", from: from.buffer, to: (carried[i] as Location).buffer }];
    });
    return [...steps, ...replace];
  }
}

const sameLocation = (a: Location, b: Location): boolean =>
  a.buffer === b.buffer && a.slice?.loop === b.slice?.loop;
