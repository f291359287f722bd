/**
 * Identities of α and β. Consumed by identities.ts.
 */
import { concat, expandDims, scalarFunction } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { pointAt } from "../interpolant.ts";
import type { Interpolant } from "../interpolant.ts";
import type { Identity } from "./identity.ts";
import { offCentral } from "./differences.ts";
import { largest } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** A coefficient that should rise rises at least this much over a step of `STEP`. */
const STEP = 1 / 64;

export function interpolantIdentities({ alpha, beta }: Interpolant): readonly Identity[] {
  const [a, b] = [scalarFunction((t) => alpha(t)), scalarFunction((t) => beta(t))];
  return [
    {
      kind: "numbers",
      family: "interpolant",
      name: "ends of the interpolant",
      formula: "α(0) = 1, α(1) = 0, β(0) = 0, β(1) = 1",
      cause:
        "A schedule that does not reach its ends, for example one that was cut at 1 − ε, leaves noise in the data or data in the noise.",
      of: "t",
      tolerance: 1e-9,
      residual: (at) => {
        const t = Math.round(at);
        return Math.max(Math.abs(a(t) - (1 - t)), Math.abs(b(t) - t));
      },
    },
    {
      kind: "numbers",
      family: "interpolant",
      name: "monotone interpolant",
      formula: "α falls and β rises",
      cause: "A schedule that turns back passes the same state twice, and no flow can tell the two apart.",
      of: "t",
      tolerance: 0,
      residual: (at) => {
        const t = Math.min(at, 1 - STEP);
        const steps = [a(t) - a(t + STEP), b(t + STEP) - b(t)];
        return Math.max(...steps.map((step) => (step > 0 ? 0 : Number.EPSILON - step)));
      },
    },
    {
      kind: "states",
      family: "interpolant",
      name: "rates of the interpolant",
      formula: "α̇ and β̇ are the derivatives of α and β",
      cause:
        "A custom derivative rule inside α or β that does not belong to its value, or a kink that a difference passes over.",
      times: REGIMES["away from the ends"],
      tolerance: 1e-3,
      single: 1e-2,
      everywhere: false,
      residual({ s: { t } }) {
        const rows = (of: (at: Tensor) => readonly [Tensor, Tensor]) => (at: Tensor) =>
          concat(
            of(at).map((x) => expandDims(x, 1) as Tensor),
            1,
          );
        const values = rows((at) => [alpha(at), beta(at)]);
        const rates = rows((at) => {
          const { alphaRate, betaRate } = pointAt({ name: "", alpha, beta }, at);
          return [alphaRate, betaRate];
        });
        return largest(offCentral(rates(t), values, t, 1e-3));
      },
    },
  ];
}
