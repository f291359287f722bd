/**
 * Identities of the exact flow map under the variant's interpolant: where its coefficients and rates meet. Consumed by identities.ts.
 */
import {
  abs,
  add,
  constant,
  div,
  equal,
  expandDims,
  maximum,
  mul,
  neg,
  scan,
  sub,
  sum,
  where,
  zerosLike,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Flow } from "../flow.ts";
import { perState, pointAt } from "../interpolant.ts";
import { denoisedOf, jump, semigroupWeights, wronskian } from "../jump.ts";
import { alongPath, arrive, byTime, drift } from "../two-time.ts";
import type { Time } from "../two-time.ts";
import type { LeftOut, StateIdentity, World } from "./identity.ts";
import { gap, largest, worst } from "./measure.ts";
import { REGIMES } from "./regimes.ts";

const RATES =
  "Rates of α and β that do not belong to them, or an interpolant whose β/α moves too fast to be followed.";

/** Half the distance in time of differences. */
const STEP = 1e-3;

const mapIdentity = (entry: Omit<StateIdentity, "kind" | "family">): StateIdentity => ({
  kind: "states",
  family: "flow map",
  ...entry,
});

/** D_t(x), from the posterior and not from the map. */
function denoised({ oracle, interpolant }: World, x: Tensor, { t }: Time): Tensor {
  const { alpha, beta } = pointAt(interpolant, t);
  return oracle.denoiserAt(x, alpha, beta);
}

const driftOf = (world: World, x: Tensor, time: Time): Tensor =>
  drift(world.interpolant, x, world.oracle.point(denoised(world, x, time)), time);

/** A time between two, of the interpolant alone. */
const between = (s: Time, t: Time, share: Tensor | number): Time => ({
  ...s,
  t: add(s.t, mul(sub(t.t, s.t) as Tensor, share)),
});

/** Nodes and weights of the Gauss–Legendre rule with 8 points on [0, 1]. */
const NODES = [
  [0.01985507175123188, 0.05061426814518813],
  [0.10166676129318664, 0.11119051722668724],
  [0.2372337950418355, 0.15685332293894363],
  [0.4082826787521751, 0.181341891689181],
  [0.5917173212478249, 0.181341891689181],
  [0.7627662049581645, 0.15685332293894363],
  [0.8983332387068134, 0.11119051722668724],
  [0.9801449282487681, 0.05061426814518813],
] as const;

/** Those that hold of flows whose tokens share their time only, and why. */
const SHARED: ReadonlyMap<string, string> = new Map([
  [
    "average of denoisers",
    "tokens have times of their own, so every token has its average over another stretch of time; the semigroup says the same",
  ],
  [
    "derivatives",
    "tokens have times of their own, and a difference passes over the times at which they begin and end",
  ],
]);

export function mapIdentities({ interpolant }: Flow): {
  readonly identities: readonly StateIdentity[];
  readonly leftOut: readonly LeftOut[];
} {
  if (interpolant.length === undefined) return { identities: IDENTITIES, leftOut: [] };
  return {
    identities: IDENTITIES.filter(({ name }) => !SHARED.has(name)),
    leftOut: IDENTITIES.flatMap(({ family, name }) => {
      const reason = SHARED.get(name);
      return reason === undefined ? [] : [{ family, name, reason }];
    }),
  };
}

const IDENTITIES: readonly StateIdentity[] = [
  mapIdentity({
    name: "start of a jump",
    formula: "X_{s,s}(x) = x, ψ_{s,s} = D_s",
    cause: "A jump whose coefficients are not 1 and 0 when no time passes.",
    times: REGIMES.diagonal,
    tolerance: 1e-8,
    single: 1e-4,
    everywhere: true,
    residual: ({ x, s }, world) =>
      worst(gap(arrive(world.exact, x, s, s), x), gap(world.exact.denoiser(x, s, s), denoised(world, x, s))),
  }),
  mapIdentity({
    name: "jump to the data",
    formula: "ψ_{s,1}(x) = X_{s,1}(x)",
    cause: "An interpolant that leaves noise at t = 1.",
    times: REGIMES["at the data"],
    tolerance: 1e-2,
    single: 1e-2,
    everywhere: true,
    residual({ x, s, t }, { exact, interpolant }) {
      const value = exact.point(exact.denoiser(x, s, t));
      // A token that is finished stays as it is, which need not be a clean point in a case that was made simpler.
      const finished = perState(equal(pointAt(interpolant, s.t).alpha, 0) as never);
      return gap(where(finished, x, value) as Tensor, arrive(exact, x, s, t));
    },
  }),
  mapIdentity({
    name: "tangent",
    formula: "∂_t X_{s,t}(x) = b_s(x) at t = s",
    cause: RATES,
    times: REGIMES.diagonal,
    tolerance: 1e-6,
    single: 1e-2,
    everywhere: true,
    residual: ({ x, s, t }, world) =>
      gap(byTime((time) => arrive(world.exact, x, s, time), t).tangent, driftOf(world, x, s)),
  }),
  mapIdentity({
    name: "semigroup",
    formula: "X_{u,t}(X_{s,u}(x)) = X_{s,t}(x)",
    cause: RATES,
    times: REGIMES.apart,
    tolerance: 1e-3,
    single: 1e-2,
    everywhere: true,
    residual: ({ x, s, u, t }, { exact }) =>
      gap(arrive(exact, arrive(exact, x, s, u), u, t), arrive(exact, x, s, t)),
  }),
  mapIdentity({
    name: "Lagrangian",
    formula: "∂_t X_{s,t}(x) = b_t(X_{s,t}(x))",
    cause: RATES,
    times: REGIMES.apart,
    tolerance: 1e-3,
    single: 2e-2,
    everywhere: true,
    residual({ x, s, t }, world) {
      const { value, tangent } = byTime((time) => arrive(world.exact, x, s, time), t);
      return gap(tangent, driftOf(world, value, t));
    },
  }),
  mapIdentity({
    name: "Eulerian",
    formula: "(∂_s + b_s(x)·∇) X_{s,t}(x) = 0",
    cause: RATES,
    times: REGIMES.apart,
    tolerance: 1e-3,
    single: 2e-2,
    everywhere: true,
    residual({ x, s, t }, world) {
      const velocity = driftOf(world, x, s);
      const { tangent } = alongPath((at, time) => arrive(world.exact, at, time, t), x, s, velocity);
      return gap(tangent, zerosLike(tangent));
    },
  }),
  mapIdentity({
    name: "derivatives",
    formula: "∂_t ψ_{s,t}(x) and (∂_s + b_s·∇) ψ_{s,t}(x) by jvp = by differences",
    cause: "A custom derivative rule inside the interpolant that does not belong to its value.",
    times: REGIMES.apart,
    tolerance: 2e-3,
    single: 3e-2,
    everywhere: false,
    residual({ x, s, t }, world) {
      const { exact } = world;
      const velocity = driftOf(world, x, s);
      const later = (time: Time, by: number): Time => ({ ...time, t: add(time.t, by) });
      const slope = (f: (by: number) => Tensor): Tensor => mul(sub(f(STEP), f(-STEP)), 1 / (2 * STEP));
      const inTime = byTime((time) => exact.denoiser(x, s, time), t).tangent;
      const along = alongPath((at, time) => exact.denoiser(at, time, t), x, s, velocity).tangent;
      return worst(
        gap(
          inTime,
          slope((by) => exact.denoiser(x, s, later(t, by))),
        ),
        gap(
          along,
          slope((by) => exact.denoiser(add(x, mul(velocity, by)), later(s, by), t)),
        ),
      );
    },
  }),
  mapIdentity({
    name: "average of denoisers",
    formula: "ψ_{s,t}(x) = ∫ₛᵗ w(r) D_r(X_{s,r}(x)) dr, w = α_t (α_r β̇_r − β_r α̇_r)/(α_r² Ξ), ∫ w = 1",
    cause: RATES,
    times: REGIMES.apart,
    tolerance: 1e-2,
    single: 2e-2,
    everywhere: false,
    residual({ x, s, t }, world) {
      const { exact, interpolant } = world;
      const [from, to] = [pointAt(interpolant, s.t), pointAt(interpolant, t.t)];
      const span: Tensor = sub(t.t, s.t);
      const rule: Tensor = constant(NODES.flat(), [NODES.length, 2]);
      const value = exact.denoiser(x, s, t);
      const [[total, weights]] = scan(
        ([average, sums]: readonly [Tensor, Tensor], row: Tensor) => {
          const [node, share] = [sum(mul(row, constant([1, 0], [2]))), sum(mul(row, constant([0, 1], [2])))];
          // Nodes are closer near t, where rates may grow as those of √(1 − t²): with r = s + (t − s)(1 − (1 − q)²), dr = 2 (1 − q)(t − s) dq.
          const left: Tensor = sub(1, node);
          const r = between(s, t, sub(1, mul(left, left)) as Tensor);
          const there = pointAt(interpolant, r.t);
          const density: Tensor = div(
            mul(to.alpha, wronskian(there)),
            mul(mul(there.alpha, there.alpha) as Tensor, jump(from, to).jumped),
          );
          const weight: Tensor = mul(mul(density, mul(span, 2)) as Tensor, mul(left, share) as Tensor);
          const seen = denoised(world, arrive(exact, x, s, r), r);
          return [[add(average, mul(perState(weight), seen)), add(sums, weight)] as const, null];
        },
        [zerosLike(value), zerosLike(s.t)] as readonly [Tensor, Tensor],
        rule,
      );
      return worst(gap(value, total), abs(sub(weights, 1)) as Tensor);
    },
  }),
  mapIdentity({
    name: "simplex",
    formula: "ψ_{s,t}(x) ≥ 0, Σ ψ_{s,t}(x) = 1 for every token",
    cause: "A two-time denoiser that is no average of denoisers.",
    times: REGIMES.apart,
    tolerance: 1e-8,
    single: 1e-4,
    everywhere: true,
    residual: ({ x, s, t }, { exact }) => offSimplex(exact.denoiser(x, s, t)),
  }),
  mapIdentity({
    name: "ψ from the map",
    formula: "ψ = (X − Γ x)/Ξ inverts X = Γ x + Ξ ψ",
    cause: RATES,
    times: REGIMES.apart,
    tolerance: 1e-8,
    single: 1e-2,
    everywhere: false,
    residual({ x, free, s, t }, { interpolant }) {
      const by = jump(pointAt(interpolant, s.t), pointAt(interpolant, t.t));
      const arrived = add(
        mul(perState(by.kept), x) as Tensor,
        mul(perState(by.jumped), free) as Tensor,
      ) as Tensor;
      // Of a token that does not move nothing follows.
      const still = perState(equal(by.jumped, 0) as never);
      return gap(where(still, free, denoisedOf(x, arrived, by)) as Tensor, free);
    },
  }),
  mapIdentity({
    name: "semigroup weights",
    formula: "γ ≥ 0, 1 − γ ≥ 0, their sum is 1",
    cause: "β/α does not rise all the way, so a jump in two parts is no average of the parts.",
    times: REGIMES.apart,
    tolerance: 1e-8,
    single: 1e-4,
    everywhere: false,
    residual({ s, u, t }, { interpolant }) {
      const { first, second } = semigroupWeights(
        pointAt(interpolant, s.t),
        pointAt(interpolant, u.t),
        pointAt(interpolant, t.t),
      );
      const negative: Tensor = maximum(maximum(neg(first), neg(second)), 0);
      return largest(worst(negative, abs(sub(add(first, second), 1)) as Tensor));
    },
  }),
  mapIdentity({
    name: "associativity",
    formula: "jumps over three pieces weigh the same, (s→a→b)→t and s→(a→b→t)",
    cause: "Weights that depend on more than β/α at the ends of the pieces.",
    times: REGIMES.apart,
    tolerance: 1e-8,
    single: 1e-4,
    everywhere: false,
    residual({ s, u, t }, { interpolant }) {
      const at = (time: Time) => pointAt(interpolant, time.t);
      const [p, a, b, q] = [at(s), at(u), at(between(u, t, 0.5)), at(t)];
      const [left, inner] = [semigroupWeights(p, b, q), semigroupWeights(p, a, b)];
      const [right, outer] = [semigroupWeights(p, a, q), semigroupWeights(a, b, q)];
      const difference = (x: Tensor, y: Tensor): Tensor => abs(sub(x, y));
      return largest(
        worst(
          difference(mul(left.first, inner.first), right.first),
          difference(mul(left.first, inner.second), mul(right.second, outer.first)),
          difference(left.second, mul(right.second, outer.second)),
        ),
      );
    },
  }),
];

/** How far values are from distributions over tokens, [cases]. */
export function offSimplex(values: Tensor): Tensor {
  const total: Tensor = sum(values, 2);
  return worst(
    largest(maximum(neg(values), 0)),
    largest(abs(sub(total, 1))),
    largest(expandDims(mul(total, 0), 2)),
  );
}
