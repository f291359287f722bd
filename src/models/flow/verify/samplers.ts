/**
 * Identities of samplers: small steps reach what one exact jump reaches. Consumed by identities.ts.
 */
import { add, constant, maximum, mul, scan, sub, zeros } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import { pointAt } from "../interpolant.ts";
import { uniformClock } from "../clock.ts";
import { jump, moved } from "../jump.ts";
import { euler, exponential, heun, midpoint } from "../samplers/integrators.ts";
import { sample } from "../samplers/sample.ts";
import { held } from "../samplers/sampled-denoiser.ts";
import type { Course, Schedule, ScheduleOptions } from "../samplers/schedule.ts";
import { arrive } from "../two-time.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import type { LeftOut, StateIdentity, World } from "./identity.ts";
import { gap } from "./measure.ts";
import { FROM, REGIMES, TO } from "./regimes.ts";

/** Steps of the coarser of two Euler runs. */
const STEPS = 48;
/** The share of the way from s to t that Euler's steps go where tokens have times of their own. */
const SHORT = 1 / 6;
/** Jumps of a flow map instead of one. */
const JUMPS = 3;

const at = (s: Time, t: Time, share: Tensor | number): Time => ({
  ...s,
  t: add(s.t, mul(sub(t.t, s.t) as Tensor, share)),
});

/** Euler's steps in convex form, x ← Γ x + Ξ D_t(x), evenly in t. */
function eulerSteps({ oracle, interpolant }: World, x: Tensor, s: Time, t: Time, steps: number): Tensor {
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

const eulerIdentity: StateIdentity = {
  kind: "states",
  family: "sampler",
  name: "Euler steps",
  formula: `2 x^(2N) − x^(N) = X_{s,t}(x) + O(1/N²), N = ${STEPS}: convergence of order 1`,
  cause:
    "An interpolant whose β/α moves much faster in some places than in others: take steps evenly on a clock that follows it.",
  times: REGIMES.apart,
  // Right interpolants come to 1.3e-2 where β/α moves fast; how errors fall is judged by the orders below, over a shorter way.
  tolerance: 3e-2,
  single: 3e-2,
  everywhere: false,
  residual({ x, s, t }, world) {
    // A token that is finished has decided, and states near an edge between two decisions end in another one by Euler's steps than exactly.
    const end = world.interpolant.length === undefined ? t : at(s, t, SHORT);
    const [coarse, fine] = [eulerSteps(world, x, s, end, STEPS), eulerSteps(world, x, s, end, 2 * STEPS)];
    return gap(sub(mul(fine, 2), coarse), arrive(world.exact, x, s, end));
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

/** A sampler that claims an order: the error of a state after N even steps falls as 1/N^order. */
export interface OrderedSampler {
  readonly name: string;
  readonly order: 1 | 2 | 3 | 4;
  readonly make: (course: Course, steps: number, options: ScheduleOptions) => Schedule;
}

/** Of src/models/flow/samplers. To add one that follows the drift, its line. */
const ORDERED: readonly OrderedSampler[] = [
  { name: "exponential", order: 1, make: exponential },
  { name: "Euler", order: 1, make: euler },
  { name: "Heun", order: 2, make: heun },
  { name: "midpoint", order: 2, make: midpoint },
];

/** Steps of the coarser of two runs of a sampler. */
const COARSE = 32;
/** A step of half the length has at most this share of the error, 1/2^order, and as much again as half an order. */
const shareOf = (order: number): number => 2 ** -(order - 0.5);

const orderIdentity = (flow: Flow, latest: number, { name, order, make }: OrderedSampler): StateIdentity => ({
  kind: "states",
  family: "sampler",
  name: `order of ${name}`,
  formula: `|x^(2N) − X_{s,t}(x)| ≤ 2^(1/2 − ${order}) |x^(N) − X_{s,t}(x)|, N = ${COARSE}`,
  cause:
    "A weight of the sampler that is off: then its error falls by less than its order says, or not at all. Or the interpolant's rates change too fast for its steps.",
  times: REGIMES["from early to late"],
  tolerance: 2e-4,
  single: 2e-3,
  everywhere: false,
  residual({ x, s, t }, world) {
    // On the interpolant's own time: what a clock makes of it is the same sampler with other steps.
    const course = { interpolant: flow.interpolant, clock: uniformClock(), source: flow.source };
    const denoiser: TwoTimeDenoiser = held(
      {
        point: (value) => world.oracle.point(value),
        denoiser(at, now) {
          const { alpha, beta } = pointAt(world.interpolant, now.t);
          return world.oracle.denoiserAt(at, alpha, beta);
        },
      },
      flow.interpolant,
    );
    const exact = arrive(world.exact, x, s, t);
    const batch = x.shape[0] ?? 0;
    const rows = { noise: () => x, clean: () => x };
    const keys: Tensor = zeros([batch, 2], "u32");
    const errors = [COARSE, 2 * COARSE].map((steps) => {
      const schedule = make(course, steps, { start: FROM * latest, end: TO * latest });
      return gap(sample(denoiser, schedule, { keys, world: rows }).state, exact);
    }) as [Tensor, Tensor]; // two
    return maximum(sub(errors[1], mul(errors[0], shareOf(order))), 0);
  },
});

export function samplerIdentities(
  flow: Flow,
  latest: number,
  more: readonly OrderedSampler[] = [],
): { readonly identities: readonly StateIdentity[]; readonly leftOut: readonly LeftOut[] } {
  const samplers = [...ORDERED, ...more];
  if (flow.interpolant.length === undefined)
    return {
      identities: [eulerIdentity, ...samplers.map((sampler) => orderIdentity(flow, latest, sampler))],
      leftOut: [],
    };
  return {
    identities: [eulerIdentity],
    leftOut: samplers.map(({ name }) => ({
      family: "sampler",
      name: `order of ${name}`,
      reason: `the interpolant "${flow.interpolant.name}" gives tokens times of their own, and the schedules of this sampler have one number for a whole state`,
    })),
  };
}
