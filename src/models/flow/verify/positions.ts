/**
 * Identities of α and β where tokens have times of their own: looked at for every token of a text. Consumed by identities.ts.
 */
import {
  abs,
  add,
  and,
  concat,
  constant,
  equal,
  expandDims,
  less,
  lessEqual,
  max,
  maximum,
  mul,
  onesLike,
  slice,
  sub,
  where,
  zerosLike,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { pointAt } from "../interpolant.ts";
import type { Interpolant } from "../interpolant.ts";
import type { Time } from "../two-time.ts";
import type { StateIdentity } from "./identity.ts";
import { offBeside } from "./differences.ts";
import { largest } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** Over which rates are compared with differences: small next to a token's own time, of which a text has one after the other. */
const stepOf = ({ length = 1 }: Interpolant): number => 5e-4 / Math.max(1, length / 8);

const identity = (entry: Omit<StateIdentity, "kind" | "family" | "everywhere">): StateIdentity => ({
  kind: "states",
  family: "interpolant",
  everywhere: false,
  ...entry,
});

export function positionedIdentities(interpolant: Interpolant): readonly StateIdentity[] {
  /** α and β of all tokens, [cases, 2 · length]. */
  const values = (t: Tensor): Tensor => concat([interpolant.alpha(t), interpolant.beta(t)], 1);
  return [
    identity({
      name: "ends of the interpolant",
      formula: "α(0) = 1, α(1) = 0, β(0) = 0, β(1) = 1 for every token",
      cause:
        "A schedule that does not take every token from 0 to 1: one that starts late is not done at t = 1, or time is not cut off at the ends of a token's own.",
      times: REGIMES.diagonal,
      tolerance: 1e-9,
      single: 1e-5,
      residual({ s: { t } }) {
        const [begin, end] = [zerosLike(t), onesLike(t)];
        const off = (found: Tensor, expected: number): Tensor => largest(abs(sub(found, expected)));
        return [
          off(interpolant.alpha(begin), 1),
          off(interpolant.beta(begin), 0),
          off(interpolant.alpha(end), 0),
          off(interpolant.beta(end), 1),
        ].reduce((a, b) => add(a, b));
      },
    }),
    identity({
      name: "monotone interpolant",
      formula: "α does not rise and β does not fall, of any token",
      cause:
        "A schedule that turns back passes the same state of a token twice, and no flow can tell the two apart.",
      times: REGIMES.diagonal,
      tolerance: 1e-12,
      single: 1e-5,
      residual({ s: { t } }) {
        const times = grid();
        const rises = (x: Tensor): Tensor =>
          maximum(sub(slice(x, 0, 1, LOOKS), slice(x, 0, 0, LOOKS - 1)), 0);
        const [alpha, beta] = [interpolant.alpha(times), interpolant.beta(times)];
        return everywhere(add(max(rises(alpha)), max(rises(sub(0, beta)))), t);
      },
    }),
    identity({
      name: "rates of the interpolant",
      formula: "α̇ and β̇ are the derivatives of α and β, of every token",
      cause:
        "A custom derivative rule inside a schedule, α or β that does not belong to its value, or a kink inside a token's own time.",
      times: REGIMES["away from the ends"],
      tolerance: 2e-3,
      single: 5e-2,
      residual({ s: { t } }) {
        const { alphaRate, betaRate } = pointAt(interpolant, t);
        const rates: Tensor = concat([alphaRate, betaRate], 1);
        return largest(offBeside(rates, values, t, stepOf(interpolant)));
      },
    }),
    identity({
      name: "tokens that stand still",
      formula: "β = 0 ⇒ α = 1, α = 0 ⇒ β = 1, and in both cases α̇ = β̇ = 0",
      cause:
        "A token that waits or is finished and still moves: its rates must be 0 there, or samplers and objectives move what is known.",
      times: REGIMES.diagonal,
      tolerance: 1e-9,
      single: 1e-5,
      residual({ s: { t } }) {
        const { alpha, beta, alphaRate, betaRate } = pointAt(interpolant, grid());
        const moves: Tensor = add(abs(alphaRate), abs(betaRate));
        const off = (found: Tensor): Tensor => add(abs(sub(found, 1)), moves);
        const waits = lessEqual(beta, 0);
        const finished = lessEqual(alpha, 0);
        return everywhere(
          max(where(waits, off(alpha), where(finished, off(beta), 0) as Tensor) as Tensor),
          t,
        );
      },
    }),
  ];
}

/** Looks at all times, the ends left out. */
const LOOKS = 128;
const grid = (): Tensor =>
  constant(
    Array.from({ length: LOOKS }, (_, i) => (i + 0.5) / LOOKS),
    [LOOKS],
  );

/** A number that is the same for all cases. */
const everywhere = (x: Tensor, like: Tensor): Tensor => add(mul(like, 0), x);

/**
 * A value of ψ_{s,t}, with what is expected in its place for tokens of which none is asked for: those with a time of their own that have not
 * begun at t, where no jump uses ψ. On the diagonal it is the denoiser, and asked for.
 */
export function asked(interpolant: Interpolant, found: Tensor, expected: Tensor, s: Time, t: Time): Tensor {
  if (interpolant.length === undefined) return found;
  const waits = and(equal(interpolant.beta(t.t), 0), expandDims(less(s.t, t.t) as Tensor, 1) as never);
  return where(expandDims(waits, 2) as never, expected, found) as Tensor;
}
