/**
 * Identities of samplers: small steps reach what one exact jump reaches. Consumed by identities.ts.
 */
import { add, constant, mul, scan, sub } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { pointAt } from "../interpolant.ts";
import { jump, moved } from "../jump.ts";
import { arrive } from "../two-time.ts";
import type { Time } from "../two-time.ts";
import type { StateIdentity, World } from "./identity.ts";
import { gap } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

/** Steps of the coarser of two Euler runs. */
const STEPS = 48;
/** Jumps of a flow map instead of one. */
const JUMPS = 3;

const at = (s: Time, t: Time, share: Tensor | number): Time => ({
  ...s,
  t: add(s.t, mul(sub(t.t, s.t) as Tensor, share)),
});

/** Euler's steps in convex form, x ← Γ x + Ξ D_t(x), evenly in t. */
function euler({ oracle, interpolant }: World, x: Tensor, s: Time, t: Time, steps: number): Tensor {
  const shares: Tensor = constant(
    Array.from({ length: steps }, (_, i) => i / steps),
    [steps],
  );
  const [end] = scan(
    (state: Tensor, share: Tensor) => {
      const [from, to] = [at(s, t, share), at(s, t, add(share, 1 / steps) as Tensor)].map(({ t }) =>
        pointAt(interpolant, t),
      ) as [ReturnType<typeof pointAt>, ReturnType<typeof pointAt>]; // two in, two out
      const denoised = oracle.point(oracle.denoiserAt(state, from.alpha, from.beta));
      return [moved(state, denoised, jump(from, to)), null];
    },
    x,
    shares,
  );
  return end;
}

export const eulerIdentity: StateIdentity = {
  kind: "states",
  family: "sampler",
  name: "Euler steps",
  formula: `2 x^(2N) − x^(N) = X_{s,t}(x) + O(1/N²), N = ${STEPS}: convergence of order 1`,
  cause:
    "An interpolant whose β/α moves much faster in some places than in others: take steps evenly on a clock that follows it.",
  times: REGIMES.apart,
  tolerance: 1e-2,
  single: 1e-2,
  everywhere: false,
  residual({ x, s, t }, world) {
    const [coarse, fine] = [euler(world, x, s, t, STEPS), euler(world, x, s, t, 2 * STEPS)];
    return gap(sub(mul(fine, 2), coarse), arrive(world.exact, x, s, t));
  },
};

export const jumpsIdentity: StateIdentity = {
  kind: "states",
  family: "sampler",
  name: "jumps of the flow map",
  formula: `${JUMPS} jumps of the flow map arrive where one does`,
  cause: "Jumps whose coefficients do not compose: Γ_{s,t} = Γ_{s,u} Γ_{u,t}.",
  times: REGIMES.apart,
  tolerance: 1e-3,
  single: 1e-2,
  everywhere: false,
  residual({ x, s, t }, { exact }) {
    let state = x;
    for (let i = 0; i < JUMPS; i++)
      state = arrive(exact, state, at(s, t, i / JUMPS), at(s, t, (i + 1) / JUMPS));
    return gap(state, arrive(exact, x, s, t));
  },
};
