/**
 * Categorical flow maps (arXiv:2602.12233): Gaussian noise, plain time, no teacher. Three quarters of the rows learn the denoiser from
 * tokens, and the others, whose start is drawn below their end, the Lagrangian identity with the denoiser that the network has itself.
 *
 * The published loss |ψ + c ∂_t ψ − D_t(X)|² has a gradient by way of ∂_t ψ as well; here, as everywhere, the target
 * D_t(X) − c ∂_t ψ is held fixed. Their second loss, CE(D_t(X) ‖ ψ) + |γ ∂_t ψ|², is an upper bound that the exact map does not minimize:
 * docs/flow-language-models.md has the figures.
 */
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { flow } from "../../flow/flow.ts";
import { lagrangian } from "../../flow/objectives/lagrangian.ts";

export const cfm: FlowMap = flowMap({
  name: "CFM",
  flow: flow({ name: "CFM's flow" }),
  objective: lagrangian(),
  teacher: false,
  diagonal: 3 / 4,
  boundary: 0,
  times: "end first",
});
