/**
 * How a subgroup of lanes runs on the host: in step where they exchange values, one after the other elsewhere.
 * Consumed by run-kernel.ts.
 */
import type { Scalar } from "../../src/compiler/kernel/ir.ts";
import type { FragmentValue } from "./run-fragment.ts";

/** A number as a scalar type holds it. */
export const WRAP: Readonly<Record<Scalar, (x: number) => number>> = {
  f32: Math.fround,
  i32: (x) => x | 0,
  u32: (x) => x >>> 0,
  bool: Number,
};

/** What a lane stops for: a barrier, by its number, or an exchange of values with its subgroup. */
export type Stop = number | Exchange | Together;

interface Exchange {
  readonly exchange: number;
  readonly value: number;
  readonly from: number | "sum";
  readonly type: Scalar;
}

/** What is done once for a subgroup whose lanes come with the same values. */
interface Together {
  readonly exchange: number;
  readonly same: readonly number[];
  readonly work: (same: readonly number[]) => FragmentValue;
}
/** What a lane goes on with. */
type Reply = number | FragmentValue;
export type Steps = Iterator<Stop, void, Reply>;

/** Runs the lanes of a subgroup to their next barriers, whose numbers it gives; undefined: a lane's end. */
export function advance(
  lanes: readonly Steps[],
  resume: (lane: number) => void,
  together: () => void,
  wrong: (text: string) => never,
): readonly (number | undefined)[] {
  let replies: readonly Reply[] = lanes.map(() => 0);
  for (;;) {
    const stops = lanes.map((steps, lane) => {
      resume(lane);
      const step = steps.next(replies[lane] as Reply); // one for each
      return step.done === true ? undefined : step.value;
    });
    const exchanges = stops.filter((stop) => typeof stop === "object");
    if (exchanges.length === 0) return stops as readonly (number | undefined)[]; // none is an exchange
    const [first] = exchanges;
    if (exchanges.length < stops.length || exchanges.some(({ exchange }) => exchange !== first?.exchange))
      wrong("the lanes of a subgroup exchange values at different places, or some do not");
    if (first !== undefined && "work" in first) {
      const alike = exchanges.every((stop) => "same" in stop && stop.same.join() === first.same.join());
      if (!alike) wrong("the lanes of a subgroup have different places for a fragment");
      together();
      const result = first.work(first.same);
      replies = lanes.map(() => result);
      continue;
    }
    // All are at the same place, which is an exchange of values.
    const given = exchanges as readonly Exchange[];
    replies = given.map(({ from, type }) => {
      if (from === "sum") return given.reduce((sum, { value }) => WRAP[type](sum + value), 0);
      return given[from]?.value ?? wrong(`a lane asks lane ${from} of a subgroup of ${lanes.length}`);
    });
  }
}
