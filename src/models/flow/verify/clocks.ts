/**
 * Identities of the clock, on plain numbers. Consumed by identities.ts.
 */
import type { Clock } from "../clock.ts";
import type { Identity, NumberIdentity } from "./identity.ts";

const clockIdentity = (entry: Omit<NumberIdentity, "kind" | "family">): NumberIdentity => ({
  kind: "numbers",
  family: "clock",
  ...entry,
});

/** Half the distance over which a rate is compared with a difference. */
const STEP = 1e-5;
/** Nearer to 0 and 1 rates are not looked at. */
const EDGE = 1e-3;

/** Times that the clock must tell apart. */
const APART = 0.01;
/** A clock with less than this to go has arrived. */
const DONE = 1e-12;

export const clockIdentities = (clock: Clock): readonly Identity[] => [
  clockIdentity({
    name: "ends of the clock",
    formula: "τ(0) = 0, τ(1) = 1",
    cause: "A clock that is not normalized: divide by its value at t = 1, after subtracting that at t = 0.",
    of: "t",
    tolerance: 1e-9,
    residual: (at) => Math.abs(clock.tau(Math.round(at)) - Math.round(at)),
  }),
  clockIdentity({
    name: "increasing clock",
    formula: "t < t′ ⇒ τ(t) < τ(t′)",
    cause:
      "A clock that stands still or turns back has no inverse there, and times are drawn from its inverse.",
    of: "t",
    tolerance: 0,
    residual: (at) => {
      const early = Math.min(at, 1 - APART);
      const late = early + APART;
      const step = clock.tau(late) - clock.tau(early);
      // Near its end a clock may have nothing left that a double could tell.
      return step > 0 || (step === 0 && 1 - clock.tau(early) < DONE) ? 0 : Number.EPSILON - step;
    },
  }),
  clockIdentity({
    name: "inverse of the clock",
    formula: "τ(time(τ)) = τ",
    cause: "The inverse belongs to another clock, or comes from a table that is too coarse.",
    of: "τ",
    tolerance: 1e-6,
    residual: (tau) => Math.abs(clock.tau(clock.time(tau)) - tau),
  }),
  clockIdentity({
    name: "what remains on the clock",
    formula: "remaining(t) = 1 − τ(t)",
    cause: "remaining() was not changed together with tau().",
    of: "t",
    tolerance: 1e-9,
    residual: (t) => Math.abs(clock.remaining(t) - (1 - clock.tau(t))),
  }),
  clockIdentity({
    name: "rate of the clock",
    formula: "dTau(t) = dτ/dt",
    cause:
      "A derivative written by hand that lost a factor; objectives with derivatives in time would be off by it.",
    of: "t",
    tolerance: 1e-4,
    residual: (at) => {
      // Not at the ends, where a rate may be infinite.
      const t = Math.min(Math.max(at, EDGE), 1 - EDGE);
      const h = STEP * Math.min(1, 100 * Math.min(t, 1 - t));
      const difference = (clock.tau(t + h) - clock.tau(t - h)) / (2 * h);
      return Math.abs(clock.dTau(t) - difference) / (1 + Math.abs(difference));
    },
  }),
];
