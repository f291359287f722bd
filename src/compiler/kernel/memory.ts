/**
 * Where a plan's temporaries lie: each gets a slot, and temporaries that are never alive at the same time share one. A slot is a
 * buffer of its own, because targets track hazards per buffer and may forbid that one dispatch reads and writes the same one.
 *
 * Consumed by devices, which make the slots, and by `explain`. Pure and deterministic.
 *
 * The method is greedy by size: the largest temporary first, each into the smallest slot that is free over its interval. Slots are made
 * in falling size, so they never have to grow.
 */
import type { TensorType } from "../../dsl/program/program.ts";
import { liveness } from "./liveness.ts";
import type { Interval } from "./liveness.ts";
import { bufferOf, verifyPlan } from "./verify-plan.ts";
import type { BufferId, Plan, TargetLimits } from "./plan.ts";

export interface MemoryPlan {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  /** The slot of each of the plan's buffers; undefined where it is no temporary, or no step touches it. */
  readonly slotOf: readonly (number | undefined)[];
  /** Bytes of all slots together. */
  readonly peakBytes: number;
  /** The most bytes that are alive at one position: no plan of this order needs less. */
  readonly lowerBoundBytes: number;
}

interface Slot {
  readonly bytes: number;
  /** The intervals in it, by position. */
  readonly taken: Interval[];
}

const overlaps = (a: Interval, b: Interval): boolean => a.first <= b.last && b.first <= a.last;

/** Where an interval belongs in the sorted list. */
function placeOf(taken: readonly Interval[], interval: Interval): number {
  let [low, high] = [0, taken.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((taken[middle] as Interval).first < interval.first) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts the interval into the slot if it is free there. */
function take(slot: Slot, interval: Interval): boolean {
  const place = placeOf(slot.taken, interval);
  // Those in the slot do not overlap each other, so only the neighbours can be in the way.
  const neighbours = [slot.taken[place - 1], slot.taken[place]];
  if (neighbours.some((other) => other !== undefined && overlaps(other, interval))) return false;
  slot.taken.splice(place, 0, interval);
  return true;
}

function mostAlive(items: readonly { readonly bytes: number; readonly interval: Interval }[]): number {
  const change = new Map<number, number>();
  const add = (position: number, bytes: number): void => {
    change.set(position, (change.get(position) ?? 0) + bytes);
  };
  for (const { bytes, interval } of items) {
    add(interval.first, bytes);
    add(interval.last + 1, -bytes);
  }
  let [alive, most] = [0, 0];
  for (const [, bytes] of [...change].sort(([a], [b]) => a - b)) {
    alive += bytes;
    most = Math.max(most, alive);
  }
  return most;
}

/**
 * Gives every temporary its slot.
 * @param bytesOf what a tensor of a type takes on the target
 * @param limits of the target, which the plan is checked against
 * @throws PlanError when the plan is broken
 */
export function planMemory(
  plan: Plan,
  bytesOf: (type: TensorType) => number,
  limits?: TargetLimits,
): MemoryPlan {
  const items = [...liveness(verifyPlan(plan, limits))].map(([id, interval]) => ({
    id,
    interval,
    bytes: bytesOf(bufferOf(plan, id).type),
  }));
  const slots: Slot[] = [];
  const slotOf = new Map<BufferId, number>();
  for (const { id, interval, bytes } of items.toSorted(
    (a, b) => b.bytes - a.bytes || a.interval.first - b.interval.first || a.id - b.id,
  )) {
    // Slots are in falling size, so the last free one is the smallest.
    const free = slots.findLastIndex((slot) => take(slot, interval));
    slotOf.set(id, free >= 0 ? free : slots.push({ bytes, taken: [interval] }) - 1);
  }
  return {
    slots: slots.map(({ bytes }) => bytes),
    slotOf: plan.buffers.map((_, id) => slotOf.get(id)),
    peakBytes: slots.reduce((sum, { bytes }) => sum + bytes, 0),
    lowerBoundBytes: mostAlive(items),
  };
}
