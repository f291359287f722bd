/**
 * Flow maps of average velocities, on plain time: mean flow (Geng et al. 2025), the Eulerian identity of average velocities, without a teacher
 * (its velocity is the network's own at s = t, which the diagonal learns, where the paper takes that of the row); and the
 * shortcut objective (Frans et al. 2025), the semigroup identity with the middle half-way in time.
 */
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";
import { meanFlow as averages } from "../../flow/objectives/mean-flow.ts";
import { semigroup } from "../../flow/objectives/semigroup.ts";

/** Rectified flow of one-hot tokens, by velocities. */
export const velocityFlow: Flow = flow({ name: "velocity flow", predicts: "velocity" });

export const meanFlow: FlowMap = flowMap({
  name: "mean flow",
  flow: velocityFlow,
  objective: averages(),
  teacher: false,
});

export const shortcut: FlowMap = flowMap({
  name: "shortcut",
  flow: velocityFlow,
  objective: semigroup(),
  teacher: false,
  midpoint: "time",
});
