/**
 * What the playground begins with, to be picked from a list. Each is a file that `fluxion verify` takes as it is.
 * Consumed by playground.tsx and by tests. To add one: a file in starters/, and a line here.
 */
import clock from "./starters/clock.ts?raw";
import interpolant from "./starters/interpolant.ts?raw";
import mistake from "./starters/mistake.ts?raw";
import objective from "./starters/objective.ts?raw";

export interface Starter {
  readonly name: string;
  readonly source: string;
}

export const STARTERS: readonly Starter[] = [
  { name: "An interpolant", source: interpolant },
  { name: "A clock", source: clock },
  { name: "An objective", source: objective },
  { name: "A planted mistake", source: mistake },
];
