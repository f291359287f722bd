/**
 * Explains a plan: what each dispatch does, what it moves and what it costs, what fusion saved, and where the temporaries lie. Pure,
 * and of no target: how a kernel is printed and what a tensor takes is asked of `ExplainTarget`.
 *
 * Consumed by targets, which say what is theirs (`explainWebGpu`), and by tests. See `explanation.ts` for what it gives.
 */
import { nestedPrograms } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import { sharedBytes } from "../kernel/ir.ts";
import type { Kernel } from "../kernel/ir.ts";
import { liveness } from "../kernel/liveness.ts";
import { planMemory } from "../kernel/memory.ts";
import type { BufferId, Copy, Dispatch, Plan, Role, Step } from "../kernel/plan.ts";
import { bufferOf } from "../kernel/verify-plan.ts";
import type {
  BoundBuffer,
  Cost,
  ExplainedControl,
  ExplainedCopy,
  ExplainedDispatch,
  ExplainedFusion,
  ExplainedMemory,
  ExplainedPipeline,
  ExplainedReplacement,
  ExplainedTemporary,
  Explanation,
  Totals,
} from "./explanation.ts";
import { partsOf } from "./parts.ts";

/** What explaining a plan needs to know of the target. */
export interface ExplainTarget {
  /** The kernel's code: dispatches whose kernels have the same share a pipeline. */
  print(kernel: Kernel): string;
  /** Bytes of a tensor's elements in memory. */
  dataBytes(type: TensorType): number;
  /** Bytes that memory for a tensor takes. */
  heldBytes(type: TensorType): number;
}

export interface ExplainOptions {
  /** Whether the plan was made with fusion. Default true. */
  readonly fusion?: boolean;
  /** The program that the plan was made of. */
  readonly program?: Program;
  /** The same program's plan without fusion. */
  readonly unfused?: Plan;
  /** Names of the program's inputs and outputs. */
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
}

/** A step that does something, with its surroundings. */
interface Placed<S> {
  readonly step: S;
  readonly position: number;
  /** Lengths of the loops around it, the outermost first. */
  readonly lengths: readonly number[];
}

interface Listing {
  readonly dispatches: readonly Placed<Dispatch>[];
  readonly copies: readonly Placed<Copy>[];
  readonly control: readonly ExplainedControl[];
}

/** The plan's steps in order, numbered as `liveness` does. */
function listSteps(plan: Plan): Listing {
  const dispatches: Placed<Dispatch>[] = [];
  const copies: Placed<Copy>[] = [];
  const control: ExplainedControl[] = [];
  let position = 0;
  const visitAll = (steps: readonly Step[], lengths: readonly number[], depth: number): void => {
    for (const step of steps) visit(step, lengths, depth);
  };
  const enclose = (
    kind: ExplainedControl["kind"],
    length: number | null,
    depth: number,
    body: () => void,
  ) => {
    const place = control.length;
    const first = position;
    control.push({ kind, length, depth, first, last: first });
    body();
    control[place] = { kind, length, depth, first, last: Math.max(first, position - 1) };
  };
  const visit = (step: Step, lengths: readonly number[], depth: number): void => {
    switch (step.kind) {
      case "dispatch":
        dispatches.push({ step, position: position++, lengths });
        return;
      case "copy":
        copies.push({ step, position: position++, lengths });
        return;
      case "loop":
        if (step.length === 0) return;
        return enclose("loop", step.length, depth, () =>
          visitAll(step.steps, [...lengths, step.length], depth + 1),
        );
      case "while":
        return enclose("while", null, depth, () => {
          visitAll(step.condition, lengths, depth + 1);
          position++; // the host reads the flag
          visitAll(step.body, lengths, depth + 1);
        });
      case "branch":
        return enclose("branch", null, depth, () => {
          position++;
          visitAll(step.onTrue, lengths, depth + 1);
          visitAll(step.onFalse, lengths, depth + 1);
        });
    }
  };
  visitAll(plan.steps, [], 0);
  return { dispatches, copies, control };
}

/** The plan's dispatches in the order in which an explanation has them. */
export const dispatchesOf = (plan: Plan): readonly Dispatch[] =>
  listSteps(plan).dispatches.map(({ step }) => step);

const product = (factors: readonly number[]): number => factors.reduce((a, b) => a * b, 1);
const total = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((sum, item) => sum + of(item), 0);

/** Explains a plan. @throws PlanError when the plan is broken */
export function explain(plan: Plan, target: ExplainTarget, options: ExplainOptions = {}): Explanation {
  const listing = listSteps(plan);
  const names = namesOf(plan, options);
  const pipelines = pipelinesOf(listing.dispatches, target);
  const dispatches = listing.dispatches.map((placed, index) =>
    explainDispatch(plan, placed, index, pipelines.of(placed.step.kernel), target, names),
  );
  const copies = listing.copies.map((placed) => explainCopy(plan, placed, target));
  const memory = explainMemory(plan, target, options);
  return {
    version: 1,
    totals: totalsOf(dispatches, copies, pipelines.list.length),
    fusion: explainFusion(dispatches, options),
    dispatches,
    copies,
    pipelines: pipelines.list,
    control: listing.control,
    ...memory,
  };
}

function totalsOf(
  dispatches: readonly ExplainedDispatch[],
  copies: readonly ExplainedCopy[],
  pipelines: number,
): Totals {
  const rows: readonly Cost[] = [...dispatches, ...copies];
  return {
    dispatches: dispatches.length,
    dispatchesPerRun: total(dispatches, ({ runs }) => runs),
    copies: copies.length,
    pipelines,
    flops: total(rows, ({ flops }) => flops),
    bytesRead: total(rows, ({ bytesRead }) => bytesRead),
    bytesWritten: total(rows, ({ bytesWritten }) => bytesWritten),
    nanoseconds: null,
  };
}

/** The explanation with the time of each of its dispatches, in one run of the plan. */
export function withTimes(explanation: Explanation, nanoseconds: readonly number[]): Explanation {
  if (nanoseconds.length !== explanation.dispatches.length)
    throw new Error(`${nanoseconds.length} times for ${explanation.dispatches.length} dispatches`);
  return {
    ...explanation,
    totals: { ...explanation.totals, nanoseconds: total(nanoseconds, (time) => time) },
    dispatches: explanation.dispatches.map((dispatch, i) => ({
      ...dispatch,
      nanoseconds: nanoseconds[i] as number, // one for each
    })),
  };
}

/** Names of the buffers that are inputs or outputs. */
function namesOf(plan: Plan, { inputNames, outputNames }: ExplainOptions): ReadonlyMap<BufferId, string> {
  const names = new Map<BufferId, string>();
  const add = (ids: readonly BufferId[], given: readonly string[] = []): void =>
    ids.forEach((id, i) => {
      const name = given[i];
      if (name !== undefined && !names.has(id)) names.set(id, name);
    });
  add(plan.inputs, inputNames);
  add(plan.outputs, outputNames);
  return names;
}

function pipelinesOf(
  dispatches: readonly Placed<Dispatch>[],
  target: ExplainTarget,
): { readonly list: readonly ExplainedPipeline[]; of(kernel: Kernel): number } {
  const codes = new Map<Kernel, string>();
  const list: { name: string; code: string; dispatches: number[] }[] = [];
  const places = new Map<string, number>();
  dispatches.forEach(({ step: { kernel } }, index) => {
    const code = codes.get(kernel) ?? target.print(kernel);
    codes.set(kernel, code);
    const place = places.get(code) ?? list.push({ name: kernel.name, code, dispatches: [] }) - 1;
    places.set(code, place);
    list[place]?.dispatches.push(index);
  });
  return { list, of: (kernel) => places.get(codes.get(kernel) as string) as number }; // all were printed
}

function explainDispatch(
  plan: Plan,
  { step, position, lengths }: Placed<Dispatch>,
  index: number,
  pipeline: number,
  target: ExplainTarget,
  names: ReadonlyMap<BufferId, string>,
): ExplainedDispatch {
  const { kernel, ops, site, workgroups, flops } = step;
  const runs = product(lengths);
  const parts = partsOf(step, lengths);
  const buffers = step.buffers.map((id, i): BoundBuffer => {
    const { type, role } = bufferOf(plan, id);
    const size = step.touched?.[i] ?? step.parts?.[i]?.size;
    const bound = size === undefined ? type : { ...type, shape: [size] };
    return {
      buffer: id,
      role: role.kind,
      name: names.get(id) ?? null,
      access: (kernel.buffers[i] as Kernel["buffers"][number]).access, // the plan is checked with its memory
      shape: type.shape,
      dtype: type.dtype,
      bytes: Math.ceil(target.dataBytes(bound) / (parts[i] as number)), // one for each
    };
  });
  const moved = (except: BoundBuffer["access"]): number =>
    total(buffers, ({ access, bytes }) => (access === except ? 0 : bytes));
  return {
    index,
    position,
    name: kernel.name,
    ops,
    site: site ?? null,
    workgroups,
    lanes: kernel.lanes,
    sharedBytes: total(kernel.shared, sharedBytes),
    runs,
    pipeline,
    flops: runs * flops,
    bytesRead: runs * moved("write"),
    bytesWritten: runs * moved("read"),
    buffers,
    nanoseconds: null,
  };
}

function explainCopy(
  plan: Plan,
  { step, position, lengths }: Placed<Copy>,
  target: ExplainTarget,
): ExplainedCopy {
  const { shape, dtype } = bufferOf(plan, step.from).type;
  const runs = product(lengths);
  const bytes = runs * target.dataBytes({ shape, dtype });
  return {
    position,
    from: step.from,
    to: step.to,
    shape,
    dtype,
    runs,
    flops: 0,
    bytesRead: bytes,
    bytesWritten: bytes,
  };
}

function countEquations(program: Program): number {
  return program.equations.reduce(
    (sum, equation) =>
      sum + 1 + nestedPrograms(equation).reduce((inner, [, nested]) => inner + countEquations(nested), 0),
    0,
  );
}

function explainFusion(
  dispatches: readonly ExplainedDispatch[],
  { fusion = true, program, unfused }: ExplainOptions,
): ExplainedFusion {
  const regions = new Map<number, number>();
  for (const { ops } of dispatches) regions.set(ops.length, (regions.get(ops.length) ?? 0) + 1);
  return {
    on: fusion,
    equations: program === undefined ? null : countEquations(program),
    unfusedDispatches: unfused === undefined ? null : listSteps(unfused).dispatches.length,
    regions: [...regions].sort(([a], [b]) => a - b).map(([ops, dispatches]) => ({ ops, dispatches })),
  };
}

function explainMemory(
  plan: Plan,
  target: ExplainTarget,
  { inputNames = [], outputNames = [] }: ExplainOptions,
): { readonly memory: ExplainedMemory; readonly temporaries: readonly ExplainedTemporary[] } {
  const { slots, slotOf, peakBytes, lowerBoundBytes } = planMemory(plan, (type) => target.heldBytes(type));
  const intervals = liveness(plan);
  const temporaries = plan.buffers.flatMap(({ type, role }, buffer): readonly ExplainedTemporary[] => {
    const { first, last } = intervals.get(buffer) ?? { first: 0, last: 0 };
    const [bytes, slot] = [target.heldBytes(type), slotOf[buffer] ?? null];
    const { shape, dtype } = type;
    return role.kind === "temporary" ? [{ buffer, shape, dtype, bytes, slot, first, last }] : [];
  });
  const held = (kind: Role["kind"]): number =>
    total(plan.buffers, ({ type, role }) => (role.kind === kind ? target.heldBytes(type) : 0));
  const alive = temporaries.toSorted((a, b) => a.first - b.first);
  const memory = {
    slots: slots.map((bytes, i) => ({
      bytes,
      temporaries: alive.filter(({ slot }) => slot === i).map(({ buffer }) => buffer),
    })),
    peakBytes,
    lowerBoundBytes,
    unsharedBytes: total(temporaries, ({ bytes, slot }) => (slot === null ? 0 : bytes)),
    inputBytes: held("input"),
    outputBytes: held("output"),
    inPlace: plan.outputs.flatMap((buffer, position): readonly ExplainedReplacement[] => {
      const { type, role } = bufferOf(plan, buffer);
      if (role.kind !== "input" || role.written !== true) return [];
      const input = { position: role.position, name: inputNames[role.position] ?? null };
      const output = { position, name: outputNames[position] ?? null };
      return [{ buffer, input, output, bytes: target.heldBytes(type) }];
    }),
    constantBytes: held("constant"),
  };
  return { memory, temporaries };
}
