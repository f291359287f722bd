/**
 * Discrete flow maps (arXiv:2604.09784): the same identities on logits, whose targets are distributions whatever the student is, judged
 * by their divergence; on a clock of nine parts decoding error and one part plain time, whose rate is nowhere near 0. The semigroup form
 * is trained with gradient surgery, without which it may collapse. The paper's weightings are `weightings.residual` and `learned`.
 */
import { decodingError } from "../../flow/clock-decoding-error.ts";
import { mixtureClock } from "../../flow/clock.ts";
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";
import { eulerianLogits } from "../../flow/objectives/eulerian.ts";
import { lagrangianLogits } from "../../flow/objectives/lagrangian.ts";
import { semigroup } from "../../flow/objectives/semigroup.ts";

export const dfmFlow = (vocab: number): Flow =>
  flow({ name: "DFM's flow", clock: mixtureClock({ base: decodingError({ vocab }), weight: 0.9 }) });

export const dfmSemigroup = (vocab: number): FlowMap =>
  flowMap({
    name: "DFM, semigroup",
    flow: dfmFlow(vocab),
    objective: semigroup(),
    loss: "KL",
    surgery: true,
  });

export const dfmLagrangian = (vocab: number): FlowMap =>
  flowMap({ name: "DFM, Lagrangian", flow: dfmFlow(vocab), objective: lagrangianLogits(), loss: "KL" });

export const dfmEulerian = (vocab: number): FlowMap =>
  flowMap({ name: "DFM, Eulerian", flow: dfmFlow(vocab), objective: eulerianLogits(), loss: "KL" });
