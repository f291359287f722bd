/**
 * When the contents of a plan's temporaries are needed. Steps get positions in the order in which they stand; a temporary is alive
 * from its first to its last touch, and through every loop that it enters, leaves or crosses.
 *
 * Consumed by `planMemory`. A new kind of step needs a case in `visit`.
 *
 * In a loop, a temporary that nothing outside touches is alive within one iteration only, if each iteration writes it before it reads
 * it. That takes a write for a write of all that the iteration goes on to read. Rows that are collected over the iterations are read
 * after the loop, or are given contents before it.
 */
import { bufferOf, PlanError } from "./verify-plan.ts";
import { entered } from "./plan.ts";
import type { BufferId, Loop, Plan, Step } from "./plan.ts";

/** Positions of the first and the last step that needs the contents, both included. */
export interface Interval {
  readonly first: number;
  readonly last: number;
}

/** What a run of some steps may read from before them, and what it writes for certain. */
interface Flow {
  readonly exposed: ReadonlySet<BufferId>;
  readonly written: ReadonlySet<BufferId>;
}

/** A stretch of positions that may be run again from its start. */
interface Repeated extends Interval {
  /** Read in an iteration before it was written there: carried over from the iteration before. */
  readonly carried: ReadonlySet<BufferId>;
}

/** Flow of steps that run one after the other. */
class Sequence implements Flow {
  readonly exposed = new Set<BufferId>();
  readonly written = new Set<BufferId>();

  read(id: BufferId): void {
    if (!this.written.has(id)) this.exposed.add(id);
  }

  follow(next: Flow): void {
    for (const id of next.exposed) this.read(id);
    for (const id of next.written) this.written.add(id);
  }
}

/** The interval of each temporary that a step touches. @throws PlanError when a temporary is read before anything wrote it */
export function liveness(plan: Plan): ReadonlyMap<BufferId, Interval> {
  const touched = new Map<BufferId, { first: number; last: number }>();
  const repeated: Repeated[] = [];
  /** Touched first by a kernel that reads and writes them: it may well write before it reads. */
  const startedInPlace = new Set<BufferId>();
  let position = 0;

  const touch = (id: BufferId, at = position): void => {
    if (bufferOf(plan, id).role.kind !== "temporary") return;
    const interval = touched.get(id);
    if (interval === undefined) touched.set(id, { first: at, last: at });
    else interval.last = at;
  };

  const sequence = (steps: readonly Step[]): Sequence => {
    const flow = new Sequence();
    for (const step of steps) visit(step, flow);
    return flow;
  };

  const repeat = (iteration: () => Sequence, { length = 0, swaps = [] }: Partial<Loop> = {}): Sequence => {
    const first = position;
    const flow = iteration();
    const carried = new Set(flow.exposed);
    for (const pair of swaps) {
      // The places of both are in use from the first iteration to the last, whatever an iteration touches.
      for (const id of pair) {
        touch(id, Math.max(first, position - 1));
        carried.add(id);
      }
      // What enters is in the place of one of them before anything is written, and what leaves is in the first.
      flow.exposed.delete(pair[0]);
      flow.exposed.add(entered(length, pair));
      flow.written.add(pair[0]);
    }
    repeated.push({ first, last: position - 1, carried });
    return flow;
  };

  const readFlag = (flag: BufferId, flow: Sequence): void => {
    touch(flag);
    flow.read(flag);
    position++;
  };

  const visit = (step: Step, flow: Sequence): void => {
    switch (step.kind) {
      case "dispatch": {
        const uses = step.buffers.map((id, i) => ({ id, access: step.kernel.buffers[i]?.access }));
        for (const { id, access } of uses) {
          if (access === "readWrite" && !touched.has(id)) startedInPlace.add(id);
          touch(id);
        }
        for (const { id, access } of uses) if (access !== "write") flow.read(id);
        for (const { id, access } of uses) if (access !== "read") flow.written.add(id);
        position++;
        return;
      }
      case "copy":
        touch(step.from);
        touch(step.to);
        flow.read(step.from);
        flow.written.add(step.to);
        position++;
        return;
      case "loop":
        if (step.length > 0) flow.follow(repeat(() => sequence(step.steps), step));
        return;
      case "while": {
        const condition = repeat(() => {
          const iteration = sequence(step.condition);
          readFlag(step.flag, iteration);
          const tested = { exposed: new Set(iteration.exposed), written: new Set(iteration.written) };
          iteration.follow(sequence(step.body));
          // The body may not run at all: what it writes is not certain, what it reads may be.
          const certain = new Sequence();
          certain.follow(tested);
          for (const id of iteration.exposed) certain.exposed.add(id);
          return certain;
        });
        flow.follow(condition);
        return;
      }
      case "branch": {
        readFlag(step.flag, flow);
        const [onTrue, onFalse] = [sequence(step.onTrue), sequence(step.onFalse)];
        flow.follow({
          exposed: new Set([...onTrue.exposed, ...onFalse.exposed]),
          written: new Set([...onTrue.written].filter((id) => onFalse.written.has(id))),
        });
      }
    }
  };

  const whole = sequence(plan.steps);
  for (const id of whole.exposed) {
    const { type, role } = bufferOf(plan, id);
    // What has no elements needs no write.
    if (role.kind === "temporary" && !type.shape.includes(0) && !startedInPlace.has(id))
      throw new PlanError(`buffer ${id}, a temporary, may be read before anything wrote it.`);
  }
  for (const { first, last, carried } of repeated) {
    for (const [id, interval] of touched) {
      const inside = interval.first <= last && interval.last >= first;
      if (!inside) continue;
      const crosses = interval.first < first || interval.last > last;
      if (!crosses && !carried.has(id)) continue;
      interval.first = Math.min(interval.first, first);
      interval.last = Math.max(interval.last, last);
    }
  }
  return touched;
}
