// One mistake is planted here, in an objective. It would train, and to something: to what, no loss curve says. verify does.
// The Lagrangian identity is ψ = D_t(X_{s,t}) − c ∂_t ψ, where c is how far ψ has come from the denoiser at its end.
import { models, mul, sub } from "fluxion";

const { clocks, flows } = models;

const lagrangian: models.objectives.Objective = {
  name: "Lagrangian, by hand",
  formula: "ψ_{s,t}(x) = D_t(X_{s,t}(x)) − c ∂_t ψ_{s,t}(x)",
  usesMiddle: false,
  onSimplex: false,
  atData: true,
  needsTeacher: false,
  needsLogits: false,
  target({ student, instant }, { x, s, t }) {
    const from = flows.pointAt(student.interpolant, s.t);
    const to = flows.pointAt(student.interpolant, t.t);
    const { value, tangent } = flows.byTime((time) => student.denoiser(x, s, time), t);
    const arrived = flows.moved(x, student.point(value), flows.jump(from, to));
    const weight = flows.perState(flows.lagrangianWeight(to, from));
    return sub(instant.denoiser(arrived, t), mul(weight, tangent));
  },
};

const flow = flows.flow({ name: "FLM", clock: clocks.decodingError({ vocab: 4 }) });

export const map = flows.flowMap({ name: "Lagrangian map", flow, objective: lagrangian });
