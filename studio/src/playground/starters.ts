/**
 * What the playground begins with, to be picked from a list. Each is a file that `fluxion verify` takes as it is.
 * Consumed by playground.tsx and by tests. To add one: a file in starters/, and a line here.
 */
const SOURCES = import.meta.glob<string>("./starters/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});

export interface Starter {
  readonly name: string;
  readonly source: string;
}

export const STARTERS: readonly Starter[] = (
  [
    ["An interpolant", "interpolant"],
    ["A clock", "clock"],
    ["An objective", "objective"],
    ["A planted mistake", "mistake"],
  ] as const
).map(([name, file]) => ({ name, source: SOURCES[`./starters/${file}.ts`] ?? "" }));
