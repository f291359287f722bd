/**
 * All that is to be checked of a flow on the sphere, and where. Consumed by src/runtime/verify. To add an identity: an entry in the
 * file of its family.
 */
import { add, concat, mul, reshape } from "../../../../dsl/index.ts";
import type { Tensor } from "../../../../dsl/index.ts";
import { gaussian } from "../../source.ts";
import { clockIdentities } from "../../verify/clocks.ts";
import type { Looks } from "../../verify/identity.ts";
import type { SphericalFlow } from "../spherical-flow.ts";
import { drawnIdentities } from "./draws.ts";
import { circleIdentities, driftIdentities, pathIdentities } from "./fields.ts";
import { geometryIdentities } from "./geometry.ts";
import { sphereLossIdentities, sphereSamplerIdentities } from "./losses.ts";
import { latestShare, placed, sphereWorlds } from "./world.ts";
import type { SphereWorld } from "./world.ts";

/** Steps of what devices are compared on. */
const STEPS = 8;

export const sphericalLooks = (flow: SphericalFlow): Looks<SphereWorld> => ({
  checks: {
    identities: [
      ...pathIdentities(flow),
      // The clock's own identities know no world.
      ...clockIdentities(flow.clock).flatMap((each) => (each.kind === "numbers" ? [each] : [])),
      ...geometryIdentities(flow),
      ...circleIdentities(flow),
      ...driftIdentities(flow),
      ...drawnIdentities(flow),
      ...sphereLossIdentities(flow),
      ...sphereSamplerIdentities(flow),
    ],
    leftOut: [],
  },
  // Cases are noise, at every time: see world.ts.
  flow: {
    clock: flow.clock,
    source: gaussian(),
    interpolant: { name: "noise alone", alpha: (t) => add(mul(t, 0), 1), beta: (t) => mul(t, 0) },
  },
  worlds: sphereWorlds(flow),
  latest: latestShare(flow),
  agreement(cases, world) {
    const { x } = placed(flow, cases, world);
    const rows = x.shape[0] ?? 0;
    const values = [
      x,
      world.oracle.drift(x, cases.s.t),
      world.oracle.flowMap(x, cases.s.t, cases.t.t, { steps: STEPS }),
    ];
    return concat(
      values.map((value) => reshape(value, [rows, -1]) as Tensor),
      1,
    );
  },
});
