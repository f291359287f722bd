/**
 * The rules of plans that no type expresses. A broken rule is a mistake of whoever made the plan, so messages are for the people who
 * work on the compiler; they name the kernel.
 *
 * Consumed by `planMemory`, hence by every device that runs plans. To add a rule: a check in `checkDispatch` or `checkStep`.
 */
import { formatType, sizeOf } from "../../dsl/program/program.ts";
import { sharedBytes } from "./ir.ts";
import type { BufferId, Dispatch, Loop, Plan, PlanBuffer, Step, TargetLimits } from "./plan.ts";

/** A mistake in a plan: an internal error of the compiler. */
export class PlanError extends Error {
  constructor(message: string) {
    super(`Internal error, broken plan: ${message}`);
    this.name = "PlanError";
  }
}

/** The buffer of that number. @throws PlanError when there is none */
export function bufferOf(plan: Plan, id: BufferId): PlanBuffer {
  const buffer = plan.buffers[id];
  if (buffer === undefined) throw new PlanError(`there is no buffer ${id} among ${plan.buffers.length}.`);
  return buffer;
}

function checkWritable(plan: Plan, id: BufferId, what: string): void {
  const { role } = bufferOf(plan, id);
  if (role.kind === "constant" || (role.kind === "input" && role.written !== true))
    throw new PlanError(`${what} writes buffer ${id}, whose role is ${role.kind}.`);
}

function checkLimits({ kernel, parts = [] }: Dispatch, limits: TargetLimits): void {
  const found = {
    buffers: kernel.buffers.length,
    lanes: kernel.lanes,
    sharedBytes: kernel.shared.reduce((sum, array) => sum + sharedBytes(array), 0),
  };
  for (const limit of ["buffers", "lanes", "sharedBytes"] as const)
    if (found[limit] > limits[limit])
      throw new PlanError(
        `kernel ${kernel.name} has ${limit} ${found[limit]}, the target allows ${limits[limit]}.`,
      );
  for (const part of parts)
    if (part !== undefined && part.offset % limits.alignment !== 0)
      throw new PlanError(
        `kernel ${kernel.name} binds a buffer from element ${part.offset} on, no multiple of ${limits.alignment}.`,
      );
}

function checkDispatch(
  plan: Plan,
  dispatch: Dispatch,
  depth: number,
  limits: TargetLimits | undefined,
): void {
  const { kernel, buffers, params, workgroups } = dispatch;
  const what = `kernel ${kernel.name}`;
  if (limits !== undefined) checkLimits(dispatch, limits);
  if (buffers.length !== kernel.buffers.length)
    throw new PlanError(
      `${what} binds ${kernel.buffers.length} buffers, the dispatch names ${buffers.length}.`,
    );
  if (params.length !== kernel.params)
    throw new PlanError(`${what} takes ${kernel.params} parameters, the dispatch gives ${params.length}.`);
  if (dispatch.parts !== undefined && dispatch.parts.length !== buffers.length)
    throw new PlanError(
      `${what} binds ${buffers.length} buffers, the dispatch has ${dispatch.parts.length} parts.`,
    );
  buffers.forEach((id, i) => {
    const { dtype, access } = kernel.buffers[i] as (typeof kernel.buffers)[number]; // the counts agree
    const { type } = bufferOf(plan, id);
    if (type.dtype !== dtype)
      throw new PlanError(`${what} takes ${dtype} as its buffer ${i}, buffer ${id} is ${formatType(type)}.`);
    if (access !== "read") checkWritable(plan, id, what);
    // A kernel that reads and writes one buffer through two bindings may be a race, and some targets forbid any such pair.
    const first = buffers.indexOf(id);
    if (first !== i && (access !== "read" || kernel.buffers[first]?.access !== "read"))
      throw new PlanError(
        `${what} binds buffer ${id} twice, as its buffers ${first} and ${i}, and writes it.`,
      );
    const part = dispatch.parts?.[i];
    if (part === undefined) return;
    const { offset, size } = part;
    if (!(Number.isInteger(offset) && offset >= 0 && size >= 1 && offset + size <= sizeOf(type.shape)))
      throw new PlanError(
        `${what} takes ${size} elements from ${offset} on as its buffer ${i}, buffer ${id} is ${formatType(type)}.`,
      );
  });
  for (const param of params) {
    if (typeof param !== "number" && !(param.loop >= 0 && param.loop < depth))
      throw new PlanError(`${what} takes the iteration of loop ${param.loop}, ${depth} loops enclose it.`);
    if (typeof param === "number" && !(Number.isInteger(param) && param >= 0 && param < 2 ** 32))
      throw new PlanError(`${what} takes the parameter ${param}, which is no u32.`);
  }
  if (!(Number.isInteger(workgroups) && workgroups >= 0))
    throw new PlanError(`${what} is dispatched with ${workgroups} workgroups.`);
}

function checkFlag(plan: Plan, flag: BufferId, what: string): void {
  const { type } = bufferOf(plan, flag);
  if (type.dtype !== "bool" || type.shape.some((dim) => dim !== 1))
    throw new PlanError(`the flag of a ${what} is ${formatType(type)}, expected one bool.`);
}

function checkSwaps(plan: Plan, { swaps = [] }: Loop): void {
  const ids = swaps.flat();
  if (new Set(ids).size < ids.length)
    throw new PlanError(`a loop swaps a buffer twice, of ${ids.join(", ")}.`);
  for (const [carried, next] of swaps) {
    const [from, to] = [bufferOf(plan, carried).type, bufferOf(plan, next).type];
    if (from.dtype !== to.dtype || sizeOf(from.shape) !== sizeOf(to.shape))
      throw new PlanError(`a loop swaps ${formatType(from)} and ${formatType(to)}.`);
    if (bufferOf(plan, next).role.kind !== "temporary")
      throw new PlanError(`a loop swaps buffer ${carried} with buffer ${next}, which is no temporary.`);
    checkWritable(plan, carried, "a loop");
  }
}

/** @param depth number of `loop` steps around it */
function checkStep(plan: Plan, step: Step, depth: number, limits: TargetLimits | undefined): void {
  const checkAll = (steps: readonly Step[], depth: number): void => {
    for (const inner of steps) checkStep(plan, inner, depth, limits);
  };
  switch (step.kind) {
    case "dispatch":
      return checkDispatch(plan, step, depth, limits);
    case "copy": {
      const [from, to] = [bufferOf(plan, step.from).type, bufferOf(plan, step.to).type];
      if (step.from === step.to) throw new PlanError(`buffer ${step.from} is copied to itself.`);
      if (from.dtype !== to.dtype || sizeOf(from.shape) !== sizeOf(to.shape))
        throw new PlanError(`a copy of ${formatType(from)} to ${formatType(to)}.`);
      return checkWritable(plan, step.to, "a copy");
    }
    case "loop":
      if (!(Number.isInteger(step.length) && step.length >= 0))
        throw new PlanError(`a loop runs ${step.length} times.`);
      checkSwaps(plan, step);
      return checkAll(step.steps, depth + 1);
    case "while":
      checkFlag(plan, step.flag, "while");
      checkAll(step.condition, depth);
      return checkAll(step.body, depth);
    case "branch":
      checkFlag(plan, step.flag, "branch");
      checkAll(step.onTrue, depth);
      return checkAll(step.onFalse, depth);
  }
}

/**
 * The plan itself, if it keeps the rules.
 * @param limits of the target, where it is known
 * @throws PlanError naming the first rule that it breaks
 */
export function verifyPlan(plan: Plan, limits?: TargetLimits): Plan {
  plan.inputs.forEach((id, position) => {
    const { role } = bufferOf(plan, id);
    if (role.kind !== "input" || role.position !== position)
      throw new PlanError(`input ${position} is buffer ${id}, whose role is ${JSON.stringify(role.kind)}.`);
  });
  plan.outputs.forEach((id, position) => {
    if (bufferOf(plan, id).role.kind === "temporary")
      throw new PlanError(`output ${position} is buffer ${id}, a temporary.`);
  });
  plan.buffers.forEach(({ role }, id) => {
    if (role.kind === "input" && role.written === true && !plan.outputs.includes(id))
      throw new PlanError(`input ${role.position} is overwritten, and no output takes its place.`);
  });
  for (const step of plan.steps) checkStep(plan, step, 0, limits);
  return plan;
}
