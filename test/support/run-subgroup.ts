/**
 * How a subgroup of lanes runs on the host: in step where they exchange values, one after the other elsewhere.
 * Consumed by run-kernel.ts.
 */
import type { Scalar } from "../../src/compiler/kernel/ir.ts";

/** A number as a scalar type holds it. */
export const WRAP: Readonly<Record<Scalar, (x: number) => number>> = {
  f32: Math.fround,
  i32: (x) => x | 0,
  u32: (x) => x >>> 0,
  bool: Number,
};

/** What a lane stops for: a barrier, by its number, or an exchange of values with its subgroup. */
export type Stop =
  | number
  | {
      readonly exchange: number;
      readonly value: number;
      readonly from: number | "sum";
      readonly type: Scalar;
    };
export type Steps = Iterator<Stop, void, number>;

/** Runs the lanes of a subgroup to their next barriers, whose numbers it gives; undefined: a lane's end. */
export function advance(
  lanes: readonly Steps[],
  resume: (lane: number) => void,
  wrong: (text: string) => never,
): readonly (number | undefined)[] {
  let replies: readonly number[] = lanes.map(() => 0);
  for (;;) {
    const stops = lanes.map((steps, lane) => {
      resume(lane);
      const step = steps.next(replies[lane] as number); // one for each
      return step.done === true ? undefined : step.value;
    });
    const exchanges = stops.filter((stop) => typeof stop === "object");
    if (exchanges.length === 0) return stops as readonly (number | undefined)[]; // none is an exchange
    const [first] = exchanges;
    if (exchanges.length < stops.length || exchanges.some(({ exchange }) => exchange !== first?.exchange))
      wrong("the lanes of a subgroup exchange values at different places, or some do not");
    replies = exchanges.map(({ from, type }) => {
      if (from === "sum") return exchanges.reduce((sum, { value }) => WRAP[type](sum + value), 0);
      return exchanges[from]?.value ?? wrong(`a lane asks lane ${from} of a subgroup of ${lanes.length}`);
    });
  }
}
