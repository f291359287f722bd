/**
 * From a program to a plan: prepares it, decides what is fused with what, and writes a kernel for each group.
 *
 * Consumed by devices that run kernels. The program's inputs and outputs keep their order; buffers of outputs are the caller's
 * afterwards. Loops and branches are in `control.ts`.
 */
import { costOf } from "../cost.ts";
import { decodeScalar, sameType, sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { exactTensor } from "../host-tensor.ts";
import { MINIMUM_LIMITS } from "../kernel/plan.ts";
import type { BufferId, Dispatch, Plan, PlanBuffer, Role, Step, TargetLimits } from "../kernel/plan.ts";
import { MOST_COPIED, assembles, partsOf } from "./assembly.ts";
import type { Placed } from "./assembly.ts";
import { carriesOf, writeControl } from "./control.ts";
import type { Host, Scheduled, Target } from "./control.ts";
import { dispatchOf } from "./dispatch.ts";
import { writeDots } from "./dot-kernel.ts";
import type { DotChoice } from "./dot-kernel.ts";
import { formGroups } from "./groups.ts";
import type { Group } from "./groups.ts";
import { clashes } from "./kernel-writer.ts";
import type { Location, Scope } from "./kernel-writer.ts";
import { writeColumns, writeCopies, writeMap, writeRows } from "./map-kernel.ts";
import type { LaidOut } from "./map-kernel.ts";
import { computedBy, namesOf } from "./inlined.ts";
import { findNodes } from "./nodes.ts";
import type { Nodes } from "./nodes.ts";
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
  /** Positions of inputs that a run may overwrite. Where an output takes the place of one, the plan names the input as the output. */
  readonly donated?: readonly number[];
}

/** @throws Error when an op has no kernel within the limits, naming it. */
export function schedule(program: Program, options: ScheduleOptions = {}): Plan {
  const { limits = MINIMUM_LIMITS, fusion = true, dots, donated = [] } = options;
  const keepsAttention = (types: readonly TensorType[]): boolean => fusion && usesFlash(types, limits);
  return new Scheduler(limits, fusion, dots).plan(prepare(program, { keepsAttention }), donated);
}

class Scheduler implements Host {
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

  temporary = (type: TensorType): Location => ({ buffer: this.#buffer(type, { kind: "temporary" }) });

  plan(program: Program, donated: readonly number[]): Plan {
    const inputs = program.inputs.map((id, position) =>
      this.#buffer(typeOf(program, id), { kind: "input", position }),
    );
    const passed = new Set(program.inputs);
    const targets = program.outputs.map((id, i): Target | undefined => {
      if (passed.has(id) || program.outputs.indexOf(id) !== i) return undefined;
      const type = typeOf(program, id);
      return {
        place: () => ({ buffer: this.#buffer(type, { kind: "output" }) }),
        instead: donated
          .map((position) => program.inputs[position] as VarId) // positions are of inputs
          .filter((input) => sameType(typeOf(program, input), type)),
      };
    });
    const { steps, outputs } = this.program(
      program,
      inputs.map((buffer) => ({ buffer })),
      targets,
      0,
    );
    const written = new Set(
      outputs.flatMap(({ buffer }, i) => (passed.has(program.outputs[i] as VarId) ? [] : buffer)),
    );
    const buffers = this.#buffers.map(({ type, role }, id): PlanBuffer => ({
      type,
      role: role.kind === "input" && written.has(id) ? { ...role, written: true } : role,
    }));
    return { buffers, steps, inputs, outputs: outputs.map(({ buffer }) => buffer) };
  }

  /** Steps of a nested program. @param depth number of loops around it */
  program(
    program: Program,
    inputs: readonly Location[],
    targets: readonly (Target | undefined)[],
    depth: number,
  ): Scheduled {
    const nodes = findNodes(program, { fusion: this.#fusion, maxLeaves: this.#limits.buffers - 1 });
    const locations = new Map<VarId, Location>();
    program.inputs.forEach((id, i) => locations.set(id, inputs[i] as Location)); // one for each
    const scope = this.#scope(program, nodes, locations);
    const candidates = new Map<VarId, readonly VarId[]>();
    program.outputs.forEach((id, i) =>
      candidates.set(id, [...(candidates.get(id) ?? []), ...(targets[i]?.instead ?? [])]),
    );
    const { groups, replaced } = formGroups(program, nodes, {
      limits: this.#limits,
      fusion: this.#fusion,
      candidates,
    });
    const wanted = program.outputs.map((id, i) => {
      const [target, old] = [targets[i], replaced.get(id) ?? -1];
      return target?.instead?.includes(old) === true ? locations.get(old) : target?.place();
    });
    // A node that is returned is computed where it is wanted, unless it is wanted in two places.
    program.outputs.forEach((id, i) => {
      const target = wanted[i];
      if (target !== undefined && !locations.has(id)) locations.set(id, target);
    });
    this.#placeParts(scope, nodes, locations);
    const steps: Step[] = [];
    for (const group of groups) {
      for (const id of group.stored)
        if (!locations.has(id)) locations.set(id, this.temporary(typeOf(program, id)));
      steps.push(...this.#group(scope, nodes, group, locations, depth));
    }
    const outputs = program.outputs.map((id, i): Location => {
      const here = scope.location(id) as Location; // outputs are stored
      const target = wanted[i] ?? here;
      if (!sameLocation(here, target)) steps.push(...this.copy(scope, id, target));
      return target;
    });
    return { steps, outputs };
  }

  #scope(program: Program, nodes: Nodes, locations: ReadonlyMap<VarId, Location>): Scope {
    const definitions: (AnyEquation | undefined)[] = [];
    for (const equation of program.equations) for (const id of equation.outputs) definitions[id] = equation;
    const lists = new Map<VarId, BufferId>();
    return {
      program,
      definitions,
      alignment: this.#limits.alignment,
      root: (id) => nodes.alias(id)?.root ?? id,
      location: (id) => {
        const known = locations.get(id);
        if (known !== undefined) return known;
        const { root, offset } = nodes.alias(id) ?? { root: id, offset: 0 };
        const whole = locations.get(root);
        return whole === undefined ? undefined : { ...whole, offset: (whole.offset ?? 0) + offset };
      },
      listed: (id) => {
        const known = lists.get(id) ?? this.#constant(definitions[id] as AnyEquation);
        lists.set(id, known);
        return known;
      },
    };
  }

  #constant(equation: AnyEquation): BufferId {
    if (equation.op !== "constant" || typeof equation.params.values !== "object")
      throw new Error(`${equation.op} is not a listed constant`);
    const { dtype, shape, values } = equation.params;
    const value = exactTensor(dtype, shape, values.map(decodeScalar));
    return this.#buffer({ dtype, shape }, { kind: "constant", value });
  }

  /** Gives the nodes that concats are assembled of their places in them. */
  #placeParts({ program }: Scope, nodes: Nodes, locations: Map<VarId, Location>): void {
    const size = (id: VarId): number => sizeOf(typeOf(program, id).shape);
    // A concat may be part of a later one: that has its place first.
    for (const equation of program.equations.toReversed()) {
      if (!assembles(program, equation)) continue;
      const result = equation.outputs[0] as VarId;
      const whole = locations.get(result) ?? this.temporary(typeOf(program, result));
      locations.set(result, whole);
      for (const { id, to } of partsOf(program, equation, whole)) {
        const root = nodes.alias(id)?.root ?? id;
        if (nodes.isNode(root) && size(root) === size(id) && !locations.has(root)) locations.set(root, to);
      }
    }
  }

  /** Steps that bring a variable to another location. */
  copy(scope: Scope, id: VarId, to: Location): readonly Step[] {
    const size = sizeOf(typeOf(scope.program, id).shape);
    if (size === 0) return [];
    const from = scope.location(id) as Location; // only stored variables are copied
    if ([from, to].every((location) => this.#isWhole(location, size)))
      return [{ kind: "copy", from: from.buffer, to: to.buffer }];
    return this.#copies(scope, [{ id, to }], "copy", scope.definitions[id]);
  }

  #copies(
    scope: Scope,
    parts: readonly Placed[],
    op: string,
    from: AnyEquation | undefined,
  ): readonly Step[] {
    return this.#fitting(scope, (way) => [writeCopies(way, parts, op)]).map((kernel) =>
      this.#dispatch(kernel, [op], 0, from),
    );
  }

  /** Whether what has so many elements is all of its buffer. */
  #isWhole({ buffer, slice }: Location, size: number): boolean {
    const { shape } = (this.#buffers[buffer] as PlanBuffer).type; // locations are in the plan's buffers
    return slice === undefined && sizeOf(shape) === size;
  }

  /**
   * Kernels that bind the parts of buffers that they use; or whole buffers, where those would be too many bindings, or two of a buffer
   * that is written.
   * @throws Error when even so a kernel binds more than the target allows
   */
  #fitting(scope: Scope, write: (scope: Scope) => readonly LaidOut[]): readonly LaidOut[] {
    const tooMany = ({ buffers }: LaidOut): boolean => buffers.length > this.#limits.buffers;
    const inParts = write(scope);
    if (!inParts.some((kernel) => tooMany(kernel) || clashes(kernel))) return inParts;
    const whole = write({ ...scope, alignment: undefined });
    const broken = whole.find(tooMany);
    if (broken === undefined) return whole;
    const { kernel, buffers } = broken;
    throw new Error(
      `the kernel ${kernel.name} would bind ${buffers.length} buffers, and the target allows ${this.#limits.buffers}`,
    );
  }

  #dispatch(
    laidOut: LaidOut,
    ops: readonly string[],
    flops: number,
    from: AnyEquation | undefined,
  ): Dispatch {
    return dispatchOf(this.#buffers, laidOut, { ops, flops, from });
  }

  #group(
    scope: Scope,
    nodes: Nodes,
    group: Group,
    locations: Map<VarId, Location>,
    depth: number,
  ): readonly Step[] {
    const equations = group.members.map((member) => member.equation);
    const last = equations.at(-1) as AnyEquation; // groups have members
    if (assembles(scope.program, last)) return this.#assemble(scope, nodes, last);
    if (group.kind === "whole") return this.#whole(scope, last, locations, depth);
    if (group.space.rows * group.space.columns === 0) return [];
    const emptyResult = last.outputs.every((id) => sizeOf(typeOf(scope.program, id).shape) === 0);
    if (emptyResult) return [];
    let partial: BufferId | undefined;
    const write = {
      map: (way: Scope) => [writeMap(way, group)],
      row: (way: Scope) => [writeRows(way, group, this.#limits)],
      column: (way: Scope) => [writeColumns(way, group, this.#limits)],
      dot: (way: Scope) =>
        writeDots(way, group, (type) => (partial ??= this.temporary(type).buffer), this.#limits, this.#dots),
    }[group.kind];
    const laidOut = this.#fitting(scope, write);
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

  /** Copies the parts of a concat that are not where they belong, as many at a time as a kernel copies and binds. */
  #assemble(scope: Scope, nodes: Nodes, equation: AnyEquation): readonly Step[] {
    const whole = scope.location(equation.outputs[0] as VarId) as Location; // placed before
    const missing = partsOf(scope.program, equation, whole).filter(({ id, to }) => {
      const here = scope.location(id);
      const empty = sizeOf(typeOf(scope.program, id).shape) === 0;
      return !empty && (here === undefined || !sameLocation(here, to));
    });
    const batches: { readonly parts: Placed[]; readonly leaves: Set<VarId> }[] = [];
    for (const part of missing) {
      const last = batches.at(-1);
      const leaves = new Set([...(last?.leaves ?? []), ...nodes.leaves(part.id)]);
      const full = last?.parts.length === MOST_COPIED || leaves.size + 1 > this.#limits.buffers;
      if (last === undefined || full) batches.push({ parts: [part], leaves: new Set(nodes.leaves(part.id)) });
      else {
        last.parts.push(part);
        for (const leaf of leaves) last.leaves.add(leaf);
      }
    }
    return batches.flatMap(({ parts }) => this.#copies(scope, parts, "concat", equation));
  }

  /** A routine or a loop: from operands where they lie to results that are whole. */
  #whole(
    scope: Scope,
    equation: AnyEquation,
    locations: Map<VarId, Location>,
    depth: number,
  ): readonly Step[] {
    const written = new Set<BufferId>();
    const results = equation.outputs.map((id, i): Location => {
      const [wanted, type] = [locations.get(id), typeOf(scope.program, id)];
      const holds =
        wanted !== undefined &&
        wanted.slice === undefined &&
        (isRoutine(equation)
          ? // A kernel cannot write two parts of a buffer through two bindings.
            this.#isAligned(wanted) && !written.has(wanted.buffer)
          : i >= carriesOf(equation) || this.#isWhole(wanted, sizeOf(type.shape)));
      const result = holds ? wanted : this.temporary(type);
      written.add(result.buffer);
      return result;
    });
    const steps = isRoutine(equation)
      ? this.#routine(scope, equation, results)
      : writeControl(this, scope, equation, results, depth);
    equation.outputs.forEach((id, i) => locations.set(id, results[i] as Location)); // one for each
    return steps;
  }

  /** Whether a binding can begin at a location. */
  #isAligned({ offset = 0, slice }: Location): boolean {
    return slice === undefined && offset % this.#limits.alignment === 0;
  }

  #routine(scope: Scope, equation: AnyEquation, results: readonly Location[]): readonly Step[] {
    const { program } = scope;
    const types = (ids: readonly VarId[]): readonly TensorType[] => ids.map((id) => typeOf(program, id));
    if (types(equation.outputs).every(({ shape }) => sizeOf(shape) === 0)) return [];
    const steps: Step[] = [];
    const operands = equation.inputs.map((id): Location => {
      const here = scope.location(id) as Location; // operands of routines are stored
      // A kernel cannot read one part of a buffer through one binding and write another through another.
      const apart = results.every(({ buffer }) => buffer !== here.buffer);
      if (apart && this.#isAligned(here)) return here;
      const copy = this.temporary(typeOf(program, id));
      steps.push(...this.copy(scope, id, copy));
      return copy;
    });
    const rule = ROUTINES[equation.op as keyof typeof ROUTINES] as RoutineRule<AnyEquation["op"]>; // keyed by op
    const routine = rule(types(equation.inputs), equation.params, types(equation.outputs), this.#limits);
    const temporaries = routine.temporaries.map((type) => this.temporary(type));
    // Routines name what there is.
    const placeOf = (buffer: RoutineBuffer): { readonly location: Location; readonly type: TensorType } => {
      const [list, ids, i] =
        "input" in buffer
          ? [operands, types(equation.inputs), buffer.input]
          : "output" in buffer
            ? [results, types(equation.outputs), buffer.output]
            : [temporaries, routine.temporaries, buffer.temporary];
      return { location: list[i] as Location, type: ids[i] as TensorType };
    };
    for (const { kernel, buffers, params, workgroups, flops } of routine.stages) {
      const places = buffers.map(placeOf);
      const laidOut = {
        kernel,
        buffers: places.map(({ location }) => location.buffer),
        parts: places.map(({ location: { offset = 0 }, type }) =>
          offset === 0 ? undefined : { offset, size: sizeOf(type.shape) },
        ),
        touched: places.map(({ type }) => sizeOf(type.shape)),
        params,
        workgroups,
      };
      steps.push(this.#dispatch(laidOut, [equation.op], flops, equation));
    }
    return steps;
  }
}

const sameLocation = (a: Location, b: Location): boolean =>
  a.buffer === b.buffer && (a.offset ?? 0) === (b.offset ?? 0) && a.slice?.loop === b.slice?.loop;
