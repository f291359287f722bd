/**
 * An identity of states on the sphere, with what most of them have in common: times between the ends, where rounding alone is allowed.
 * Consumed by the families beside this file.
 */
import type { StateIdentity } from "../../verify/identity.ts";
import { BETWEEN } from "./world.ts";
import type { SphereWorld } from "./world.ts";

type Entry = Pick<StateIdentity<SphereWorld>, "name" | "formula" | "cause" | "residual"> &
  Partial<StateIdentity<SphereWorld>>;

export const identity = (entry: Entry): StateIdentity<SphereWorld> => ({
  kind: "states",
  family: "flow",
  times: BETWEEN,
  tolerance: 1e-8,
  single: 1e-3,
  everywhere: true,
  ...entry,
});
