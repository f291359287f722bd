/**
 * Residuals of a flow map that was trained: how far its two-time denoiser ψ is from fulfilling the identities of flow maps, against the
 * denoiser D of the flow that taught it (arXiv:2602.16813; in other interpolants arXiv:2604.09784, appendix A). At the exact map every one
 * is 0; a network fulfils none exactly, so these are measures and no checks.
 *
 * In terms of ψ, so that residuals are of one size at all times: a difference of velocities would grow as 1/(1 − t). Consumed by
 * src/runtime/verify/trained.ts. To add a residual: its entry in `TRAINED`, and its line in `residualsOf`.
 */
import {
  abs,
  div,
  equal,
  log,
  maximum,
  mean,
  mul,
  scan,
  slice,
  sqrt,
  square,
  squeeze,
  sub,
  sum,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import { perState, pointAt } from "../interpolant.ts";
import { judged } from "../judged.ts";
import { jump, moved } from "../jump.ts";
import { lagrangian } from "../objectives/lagrangian.ts";
import { meanFlow } from "../objectives/mean-flow.ts";
import { semigroup } from "../objectives/semigroup.ts";
import { arrive, byTime, drift } from "../two-time.ts";
import type { OneTimeDenoiser, Time, TwoTimeDenoiser } from "../two-time.ts";
import { offSimplex } from "./maps.ts";

/**
 * What a residual is counted in, one number a row:
 * - "total variation": half of Σ |p − q| over the vocabulary, the mean over tokens; where a side is no distribution, half of the same sum
 * - "KL": Σ p log(p/q) of what is wanted, p, and ψ, q, in nats, the mean over tokens
 * - "distance": of states, the root of the mean over tokens of the squared distance
 * - "largest": the largest entry that is off
 */
export type Norm = "total variation" | "KL" | "distance" | "largest";

export interface TrainedIdentity {
  readonly name: string;
  readonly formula: string;
  readonly norm: Norm;
  /** Whether it differentiates through the network. */
  readonly differentiates: boolean;
}

const one = (name: string, norm: Norm, formula: string, differentiates = false): TrainedIdentity => ({
  name,
  norm,
  formula,
  differentiates,
});

/** Jumps of the map that are compared with one. */
const JUMPS = 4;

/** In the order in which they are shown. */
export const TRAINED = [
  one("diagonal", "total variation", "ψ_{s,s}(x) = D_s(x)"),
  one("diagonal, KL", "KL", "ψ_{s,s}(x) = D_s(x)"),
  one("start of a jump", "distance", "X_{s,s}(x) = x"),
  one("jump to the data", "distance", "X_{s,1}(x) = ψ_{s,1}(x)"),
  one("tangent", "distance", "∂_t X_{s,t}(x)/λ_s = b_s(x)/λ_s at t = s, λ = β̇ − βα̇/α", true),
  one("semigroup", "total variation", "ψ_{s,t}(x) = γ ψ_{s,u}(x) + (1 − γ) ψ_{u,t}(X_{s,u}(x))"),
  one("semigroup, KL", "KL", "ψ_{s,t}(x) = γ ψ_{s,u}(x) + (1 − γ) ψ_{u,t}(X_{s,u}(x))"),
  one("Lagrangian", "total variation", "ψ_{s,t}(x) = D_t(X_{s,t}(x)) − c ∂_t ψ_{s,t}(x)", true),
  one(
    "Eulerian",
    "total variation",
    "0 = w (D_s(x) − ψ) + (t − s) (∂_s + b_s·∇) ψ_{s,t}(x), w = (t − s) Γ λ_s/Ξ",
    true,
  ),
  one("simplex", "largest", "ψ_{s,t}(x) ≥ 0, Σ ψ_{s,t}(x) = 1 for every token"),
  one("one jump or several", "distance", `X_{s,t}(x) = ${JUMPS} jumps of the map`),
  one("one jump or the teacher's steps", "distance", "X_{s,t}(x) = the teacher's flow, in exponential steps"),
] as const satisfies readonly TrainedIdentity[];

export type TrainedName = (typeof TRAINED)[number]["name"];

/** Rows of held-out text with noise: states [batch, length, dim] at s, and times s <= u <= t. */
export interface TrainedRows {
  readonly x: Tensor;
  readonly s: Time;
  readonly u: Time;
  readonly t: Time;
  /** The data, t = 1. */
  readonly data: Time;
  /** Times from s to t, each [points, batch], for steps and jumps between. The number of points less one is a multiple of 4. */
  readonly course: Time;
}

const variation = (found: Tensor, wanted: Tensor): Tensor => div(mean(sum(abs(sub(found, wanted)), 2), 1), 2);
const distance = (found: Tensor, wanted: Tensor): Tensor => sqrt(mean(sum(square(sub(found, wanted)), 2), 1));

/** Σ p log(p/q) for ψ by its logits, or by itself where it has none. */
function divergence(map: TwoTimeDenoiser, wanted: Tensor, x: Tensor, s: Time, t: Time): Tensor {
  const value = map.denoiser(x, s, t);
  const logits = map.logits?.(x, s, t) ?? log(maximum(value, LEAST));
  return mean(judged("KL", wanted, value, logits), 1);
}

/** Smallest probability whose logarithm is taken. */
const LEAST = 1e-30;

/**
 * The residuals of ψ over tokens, each [batch].
 * @param derivatives whether to differentiate through the map
 */
export function residualsOf(
  map: TwoTimeDenoiser,
  teacher: OneTimeDenoiser,
  rows: TrainedRows,
  derivatives: boolean,
): Partial<Record<TrainedName, Tensor>> {
  const { x, s, u, t, data } = rows;
  const { interpolant } = map;
  const targets = { student: map, instant: teacher };
  const taught = teacher.denoiser(x, s);
  const value = map.denoiser(x, s, t);
  const joined = semigroup().target(targets, { x, s, u, t });
  const arrived = arrive(map, x, s, t);
  const plain = {
    diagonal: variation(map.denoiser(x, s, s), taught),
    "diagonal, KL": divergence(map, taught, x, s, s),
    "start of a jump": distance(arrive(map, x, s, s), x),
    "jump to the data": distance(arrive(map, x, s, data), map.point(map.denoiser(x, s, data))),
    semigroup: variation(value, joined),
    "semigroup, KL": divergence(map, joined, x, s, t),
    simplex: offSimplex(value),
    "one jump or several": distance(arrived, inJumps(map, x, rows)),
    "one jump or the teacher's steps": distance(arrived, inSteps(map, teacher, x, rows)),
  };
  if (!derivatives) return plain;
  const { tangent } = byTime((time) => arrive(map, x, s, time), s);
  const velocity = drift(interpolant, x, map.point(taught), s);
  const scale = perState(perVelocity(map, s));
  return {
    ...plain,
    // In units of ψ: b = (α̇/α) x + λ D with λ = (αβ̇ − βα̇)/α.
    tangent: distance(mul(scale, tangent), mul(scale, velocity)),
    Lagrangian: variation(value, lagrangian().target(targets, { x, s, u, t })),
    Eulerian: variation(value, meanFlow().target(targets, { x, s, u, t })),
  };
}

/** 1/λ_s: what a velocity is divided by to be a clean point. */
function perVelocity({ interpolant }: TwoTimeDenoiser, { t }: Time): Tensor {
  const { alpha, beta, alphaRate, betaRate } = pointAt(interpolant, t);
  const rate: Tensor = sub(mul(alpha, betaRate), mul(beta, alphaRate));
  const still = equal(rate, 0);
  return where(still, 0, div(alpha, where(still, 1, rate))) as Tensor;
}

const at = ({ t, tau, rate }: Time, pick: (x: Tensor) => Tensor): Time => ({
  t: pick(t),
  tau: pick(tau),
  rate: pick(rate),
});

/** The map's own jumps from s to t. */
function inJumps(map: TwoTimeDenoiser, x: Tensor, { course }: TrainedRows): Tensor {
  const points = course.t.shape[0] ?? 1;
  const stride = (points - 1) / JUMPS;
  let state = x;
  for (let i = 0; i < JUMPS; i++)
    state = arrive(map, state, at(course, row(i * stride)), at(course, row((i + 1) * stride)));
  return state;
}

/** Row i of [points, batch]. */
const row =
  (i: number) =>
  (x: Tensor): Tensor =>
    squeeze(slice(x, 0, i, i + 1), 0);

/** The teacher's flow from s to t: x ← Γ x + Ξ D. */
function inSteps(map: TwoTimeDenoiser, teacher: OneTimeDenoiser, x: Tensor, { course }: TrainedRows): Tensor {
  const points = course.t.shape[0] ?? 1;
  const begins = at(course, (of) => slice(of, 0, 0, points - 1));
  const ends: Tensor = slice(course.t, 0, 1, points);
  const [end] = scan(
    (state: Tensor, [from, to]: readonly [Time, Tensor]) => {
      const denoised = map.point(teacher.denoiser(state, from));
      const way = jump(pointAt(map.interpolant, from.t), pointAt(map.interpolant, to));
      return [moved(state, denoised, way), null];
    },
    x,
    [begins, ends] as const,
  );
  return end;
}
