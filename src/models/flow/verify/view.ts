/**
 * How a variant is looked at: its coefficients on the host, the times up to which there is something to see, and of texts whose tokens have
 * times of their own two tokens that are far apart in time, so that the worlds of two tokens serve them too.
 *
 * Consumed by identities.ts and by src/runtime/verify, which gives the coefficients.
 */
import { concat, slice } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { FlowMap } from "../flow-map.ts";
import { flow as declareFlow } from "../flow.ts";
import type { Flow, FlowDeclaration } from "../flow.ts";
import type { Interpolant } from "../interpolant.ts";
import type { Source } from "../source.ts";
import { spreadOf } from "./world.ts";

/** α and β of one token, and their rates. */
export interface TokenPoint {
  readonly alpha: number;
  readonly beta: number;
  readonly alphaRate: number;
  readonly betaRate: number;
}

/** The coefficients at a time: one for every token that has a time of its own, else one for all. */
export type HostPath = (t: number) => readonly TokenPoint[];

/** What identities are made from. */
export interface View {
  /** The variant; of tokens with times of their own, two. */
  readonly variant: Flow | FlowMap;
  /** The interpolant as it was declared, with all tokens. */
  readonly whole: Interpolant;
  /** See {@link latestOf}. */
  readonly latest: number;
  /** Times at which tokens begin or end to move, see {@link breaksOf}. */
  readonly breaks: readonly number[];
}

/**
 * @param pathOf the coefficients of an interpolant on the host
 * @throws what the interpolant throws
 */
export function viewOf(variant: Flow | FlowMap, pathOf: (interpolant: Interpolant) => HostPath): View {
  const flow = variant.kind === "flow" ? variant : variant.flow;
  const whole = flow.interpolant;
  const all = pathOf(whole);
  const seen = whole.length === undefined ? flow : twoOf(flow, apartOf(all));
  const path = seen === flow ? all : pathOf(seen.interpolant);
  return {
    variant: variant.kind === "flow" ? seen : { ...variant, flow: seen },
    whole,
    latest: latestOf(path, flow.source),
    breaks: whole.length === undefined ? [] : breaksOf(path),
  };
}

/** Two tokens that are as far apart at half the time as any: the first of those that are furthest, and the last of those behind. */
function apartOf(path: HostPath): readonly [number, number] {
  const betas = path(0.5).map(({ beta }) => beta);
  const [first, last] = [betas.indexOf(Math.max(...betas)), betas.lastIndexOf(Math.min(...betas))];
  return first < last ? [first, last] : [last, first];
}

/** The same flow of two tokens of a text. */
function twoOf(flow: Flow, positions: readonly [number, number]): Flow {
  const { interpolant } = flow;
  const picked = (x: Tensor): Tensor =>
    concat(
      positions.map((at) => slice(x, 1, at, at + 1) as Tensor),
      1,
    );
  const two: Interpolant = {
    name: interpolant.name,
    length: 2,
    alpha: (t) => picked(interpolant.alpha(t)),
    beta: (t) => picked(interpolant.beta(t)),
  };
  // What a flow is declared with it has, and the rest follows again.
  return declareFlow({ ...flow, interpolant: two } as FlowDeclaration);
}

const BISECTIONS = 52;

/** The last time in [0, 1] up to which something holds that holds at first. */
function lastWhere(holds: (t: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The time up to which derivatives are looked at: β/α is there four deviations of the noise, or 8 where that is less, of the token that is
 * behind. Beyond, the data are known and identities hold because nothing moves.
 */
export function latestOf(path: HostPath, source: Source): number {
  const known = 4 * Math.min(2, spreadOf(source));
  return lastWhere((t) => path(t).some(({ alpha, beta }) => beta <= known * alpha && alpha > 0));
}

/**
 * The time that stands for the data: 1, or just before where the interpolant's rates are infinite there, as those of √(1 − t²): what
 * is 0 · ∞ at the end itself has its limit.
 */
export function endOf(path: HostPath): number {
  const finite = path(1).every(
    ({ alphaRate, betaRate }) => Number.isFinite(alphaRate) && Number.isFinite(betaRate),
  );
  return finite ? 1 : 1 - 1e-7;
}

/** Where tokens leave β = 0 and reach α = 0, each time once, without 0 and 1. */
function breaksOf(path: HostPath): readonly number[] {
  const near = 1e-9;
  const found = path(0).flatMap((_, token) => {
    const at = (t: number): TokenPoint => path(t)[token] as TokenPoint; // as many tokens at every time
    return [lastWhere((t) => at(t).beta <= 0), lastWhere((t) => at(t).alpha > 0)];
  });
  return found
    .filter((t) => t > near && t < 1 - near)
    .toSorted((a, b) => a - b)
    .filter((t, i, sorted) => i === 0 || t - (sorted[i - 1] ?? 0) > near);
}
