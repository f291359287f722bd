// An objective of your own: half of the target from the end of a jump (Lagrangian), half from its middle (semigroup).
import { add, models, mul, sub } from "fluxion";

const { clocks, flows, objectives } = models;

const halfAndHalf: models.objectives.Objective = {
  name: "half and half",
  formula:
    "ψ_{s,t}(x) = ½ [γ ψ_{s,u}(x) + (1 − γ) ψ_{u,t}(X_{s,u}(x))] + ½ [D_t(X_{s,t}(x)) − c ∂_t ψ_{s,t}(x)]",
  usesMiddle: true,
  onSimplex: false, // a derivative may lead out of it, so the loss is a squared error
  atData: true,
  needsTeacher: false,
  needsLogits: false,
  target(targets, rows) {
    const { student, instant } = targets;
    const { x, s, t } = rows;
    const from = flows.pointAt(student.interpolant, s.t);
    const to = flows.pointAt(student.interpolant, t.t);
    // ψ and ∂_t ψ in one evaluation; the time moves on the clock too, which is what the network is told.
    const { value, tangent } = flows.byTime((time) => student.denoiser(x, s, time), t);
    const arrived = flows.moved(x, student.point(value), flows.jump(from, to));
    const weight = flows.perState(flows.lagrangianWeight(from, to));
    const atEnd = sub(instant.denoiser(arrived, t), mul(weight, tangent));
    const byHalves = objectives.semigroup().target(targets, rows);
    return add(mul(atEnd, 0.5), mul(byHalves, 0.5));
  },
};

const flow = flows.flow({ name: "FLM", clock: clocks.decodingError({ vocab: 4 }) });

export const map = flows.flowMap({ name: "half and half", flow, objective: halfAndHalf });
