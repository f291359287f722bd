/**
 * The second loss of CFM (arXiv:2602.12233), which bounds their Lagrangian loss: CE(D_t(X_{s,t}) ‖ ψ_{s,t}) + |γ ∂_t ψ_{s,t}|², γ = Ξ for the
 * linear interpolant. Is it least at the exact map? On the exact map of a corpus: its first part is not, by verify; and no mixture of the two
 * parts is, since the slopes of both along changes of the map are no multiples of each other.
 */
import { expect, it } from "vitest";
import {
  add,
  constant,
  div,
  jvp,
  logSoftmax,
  mul,
  onesLike,
  reshape,
  sin,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
} from "../../../../src/dsl/index.ts";
import type { Tensor } from "../../../../src/dsl/index.ts";
import { flowMap } from "../../../../src/models/flow/flow-map.ts";
import { linear, perState, pointAt } from "../../../../src/models/flow/interpolant.ts";
import { jump, lagrangianWeight, moved } from "../../../../src/models/flow/jump.ts";
import type { Objective } from "../../../../src/models/flow/objectives/objective.ts";
import { lagrangian } from "../../../../src/models/flow/objectives/lagrangian.ts";
import { oracleMap } from "../../../../src/models/flow/oracle-map.ts";
import { corpusOracle } from "../../../../src/models/flow/oracle.ts";
import { byTime } from "../../../../src/models/flow/two-time.ts";
import type { Time } from "../../../../src/models/flow/two-time.ts";
import { cfm } from "../../../../src/models/language/variants/index.ts";
import { verifyFlow } from "../../../../src/runtime/verify/verify.ts";
import { evaluate, floats, list } from "../../../support/evaluate.ts";

/** The identity that would make the first part least: ψ_{s,t} = D_t(X_{s,t}). */
const endpoint: Objective = {
  ...lagrangian(),
  name: "endpoint",
  formula: "ψ_{s,t}(x) = D_t(X_{s,t}(x))",
  onSimplex: true,
  target({ student, instant }, { x, s, t }) {
    const by = jump(pointAt(student.interpolant, s.t), pointAt(student.interpolant, t.t));
    return instant.denoiser(moved(x, student.point(student.denoiser(x, s, t)), by), t);
  },
};

it("verify: its first part is right at both ends of a jump, and not between", async () => {
  const { results } = await verifyFlow(flowMap({ ...cfm, objective: endpoint, loss: "cross-entropy" }), {
    cases: 8,
    families: ["objective"],
  });
  const failed = results.filter(({ passed }) => !passed);
  expect(failed.map(({ name }) => name)).toEqual(["target", "loss of the flow map"]);
  expect(failed[0]?.worst).toBeGreaterThan(0.1);
});

const NODES = 48;
const START = 0.1;
/** Midpoints of equal parts of [s, 1]. */
const shares = Array.from({ length: NODES }, (_, i) => (i + 0.5) / NODES);

it("the exact map is where the Lagrangian loss is least, and where no mixture of both parts is", () => {
  const corpus = corpusOracle({ vocab: 3, sequences: [[0], [1], [2]], weights: [0.5, 0.3, 0.2] });
  const exact = oracleMap(corpus, linear, { steps: 64 });
  const time = (t: Tensor): Time => ({ t, tau: t, rate: onesLike(t) });
  const inputs = {
    t: floats(
      [NODES],
      shares.map((q) => START + (1 - START) * q),
    ),
    x: floats(
      [NODES, 1, 3],
      shares.flatMap(() => [0.4, -0.2, 0.1]),
    ),
  };
  /** d/dε of three losses, as the logits of the exact map change by ε φ(t) d; φ vanishes at both ends. */
  const slopes = evaluate(inputs, ({ t, x }) => {
    const s = time(mul(onesLike(t), START) as Tensor);
    const from = pointAt(linear, s.t);
    const denoiser = (state: Tensor, at: Time): Tensor => exact.denoiser(state, at, at);
    const along = (waves: number) => {
      const losses = (size: Tensor): readonly [Tensor, Tensor, Tensor] => {
        const logits = (at: Time): Tensor => {
          const q: Tensor = div(sub(at.t, START), 1 - START);
          const bump: Tensor = mul(sin(mul(q, Math.PI * waves)), size);
          const direction: Tensor = constant([1, -0.5, 0.3], [1, 1, 3]);
          return add(exact.logits?.(x, s, at) as Tensor, mul(perState(bump), direction)); // oracle maps have logits
        };
        const end = time(t);
        const { value: psi, tangent } = byTime((at) => softmax(logits(at)) as Tensor, end);
        const by = jump(from, pointAt(linear, t));
        const arrived = stopGradient(denoiser(moved(x, psi, by), end)) as Tensor;
        const bound: Tensor = mul(sum(mul(arrived, logSoftmax(logits(end)))) as Tensor, -1 / NODES);
        const rate: Tensor = mul(sum(square(mul(perState(by.jumped), tangent))) as Tensor, 1 / NODES);
        const weight = perState(lagrangianWeight(from, pointAt(linear, t)));
        const rest: Tensor = sub(add(psi, mul(weight, tangent)), denoiser(moved(x, psi, by), end));
        return [bound, rate, mul(sum(square(rest)) as Tensor, 1 / NODES)];
      };
      const zero: Tensor = constant([0], []);
      return jvp(losses, [zero], [onesLike(zero)]).tangent;
    };
    return [along(1), along(2)].flat().map((slope) => reshape(slope, [1]) as Tensor);
  }).flatMap((slope) => list(slope));
  const [bound1 = 0, rate1 = 0, exact1 = 0, bound2 = 0, rate2 = 0, exact2 = 0] = slopes;
  for (const slope of [exact1, exact2]) expect(Math.abs(slope)).toBeLessThan(1e-5);
  // −0.087 and −0.417 along one change, 0.037 and 0.056 along the other: a·bound + b·rate stands still for a = b = 0 alone.
  expect(Math.abs(bound1 * rate2 - bound2 * rate1)).toBeGreaterThan(1e-4);
});
