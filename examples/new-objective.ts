/**
 * An objective of your own, and whether it is right before anything is trained on it. A flow map's two-time denoiser ψ_{s,t} obeys a
 * Lagrangian identity, by the end of a jump, and a semigroup identity, by its middle; here each gives half of the target. Written with
 * one mistake, the wrong time for one weight, it looks the same, and would train to something; verify sees it.
 */
import { add, models, mul, sub, verifyFlow } from "fluxion";

const { clocks, flows } = models;
const flow = flows.flow({ name: "FLM", clock: clocks.decodingError({ vocab: 1000 }) });

/** @param weight c of ψ = D_t(X_{s,t}) − c ∂_t ψ: how far ψ has come from the denoiser at its end */
function halfAndHalf(name: string, weight: typeof flows.lagrangianWeight): models.objectives.Objective {
  return {
    name,
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
      const [from, to] = [flows.pointAt(student.interpolant, s.t), flows.pointAt(student.interpolant, t.t)];
      // ψ and ∂_t ψ in one evaluation; the time moves on the clock too, which is what the network is told.
      const { value, tangent } = flows.byTime((time) => student.denoiser(x, s, time), t);
      const arrived = flows.moved(x, student.point(value), flows.jump(from, to));
      const atEnd = sub(instant.denoiser(arrived, t), mul(flows.perState(weight(from, to)), tangent));
      const byHalves = models.objectives.semigroup().target(targets, rows);
      return add(mul(atEnd, 0.5), mul(byHalves, 0.5));
    },
  };
}

for (const objective of [
  halfAndHalf("right", (from, to) => flows.lagrangianWeight(from, to)),
  halfAndHalf("mistaken", (from, to) => flows.lagrangianWeight(to, from)), // s for t and t for s
]) {
  const map = flows.flowMap({ name: objective.name, flow, objective });
  const report = await verifyFlow(map, { cases: 8, families: ["objective"] });
  const failed = report.results.filter(({ passed }) => !passed).map(({ name }) => name);
  console.log(
    `${objective.name}: ${failed.length === 0 ? "every identity holds" : `fails by its ${failed.join(", ")}`}`,
  );
}
