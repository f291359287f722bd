/**
 * Sampling as a function of the language: a denoiser, a schedule, and a key for every sample. All calls of the schedule are one `scan`, so
 * a program does not grow with the number of steps.
 *
 * Consumed by users, by tests on the exact flow of a corpus, and by verify.
 */
import { add, argmax, broadcastTo, constant, mul, oneHot, random, scan, slice, softmax, squeeze, where } from "../../../dsl/index.ts"; // prettier-ignore
import type { Tensor } from "../../../dsl/index.ts";
import type { Time, TwoTimeDenoiser } from "../two-time.ts";
import { given } from "./given.ts";
import { logitsNeeded, tokensOf } from "./sampled-denoiser.ts";
import type { SampledDenoiser } from "./sampled-denoiser.ts";
import type { Call, HostTime, Schedule } from "./schedule.ts";
import type { Watch, Watched } from "./watch.ts";
import { foldedKeys, perKey } from "./world.ts";
import type { World } from "./world.ts";

export interface SampleInputs {
  /** A key per sample, [batch, 2] u32: sample i is a function of its key, and of nothing else in the batch. */
  readonly keys: Tensor;
  readonly world: World;
  /** What the first noise is multiplied by; 1 by default. Noise that is added later is as the schedule says. */
  readonly priorScale?: number | Tensor;
  /** Tokens that must be kept, [batch, length] i32, negative where any may come. */
  readonly given?: Tensor;
  readonly watch?: Watch;
}

export interface Samples {
  /** The last state, [batch, length, dim]. */
  readonly state: Tensor;
  /** The last call's tokens, [batch, length] i32: the most probable ones, or for drawn endpoints the drawn ones. */
  readonly tokens: Tensor;
  /** The tokens of every call, [calls, batch, length] i32. */
  readonly trajectory: Tensor;
  /** What `watch` returned in every call, [calls, ...] each; nothing without it. */
  readonly watched: Watched;
}

/** Draws of tokens have keys from here on; noise has the keys 0 (the first), 1, 2, ... */
export const DRAWS = 2 ** 30;

/** A scalar of the program for every row. */
const everyRow = (x: Tensor, batch: number): Tensor => broadcastTo(x, [batch]);

/** What a scan passes of a schedule: numbers of every call, [calls] each. */
function table(calls: readonly Call[]) {
  const column = (pick: (call: Call) => number): Tensor => constant(calls.map(pick), [calls.length]);
  const times = (pick: (call: Call) => HostTime) => ({
    t: column((call) => pick(call).t),
    tau: column((call) => pick(call).tau),
    rate: column((call) => pick(call).rate),
  });
  return {
    time: times(({ time }) => time),
    target: times(({ target }) => target),
    begins: constant(
      calls.map(({ begins }) => (begins ? 1 : 0)),
      [calls.length],
      "bool",
    ),
    state: column(({ state }) => state),
    first: column(({ first }) => first),
    denoiser: column(({ denoiser }) => denoiser),
    noise: column(({ noise }) => noise),
    draw: constant(
      calls.map((_, i) => i + 1),
      [calls.length],
      "i32",
    ),
    choice: constant(
      calls.map((_, i) => DRAWS + i),
      [calls.length],
      "i32",
    ),
  };
}

type Row = { readonly [K in keyof ReturnType<typeof table>]: K extends "time" | "target" ? Time : Tensor };

/** The endpoint p of a call, [batch, length, dim], its tokens, and what the denoiser says, which is computed where it is watched. */
type Endpoint = (
  x: Tensor,
  s: Time,
  t: Time,
  choice: Tensor,
) => { readonly point: Tensor; readonly tokens: Tensor; value(): Tensor };

const expectedEndpoint =
  (denoiser: SampledDenoiser): Endpoint =>
  (x, s, t) => {
    const value = denoiser.denoiser(x, s, t);
    return {
      point: denoiser.point(value),
      tokens: tokensOf(denoiser, value, x, s, t),
      value: () => value,
    };
  };

function drawnEndpoint(denoiser: TwoTimeDenoiser, keys: Tensor): Endpoint {
  const logits = logitsNeeded("A sampler that draws endpoints", denoiser);
  return (x, s, t, choice) => {
    const found = logits(x, s, t);
    const gumbel = perKey(
      (key) => random.gumbel(key, found.shape.slice(1)),
      foldedKeys(keys, choice as Tensor<[], "i32">),
    );
    const tokens = argmax(add(found, gumbel), 2);
    const point = denoiser.point(oneHot(tokens, found.shape[2] ?? 0));
    return { point, tokens, value: () => softmax(found) };
  };
}

/**
 * Samples by a schedule.
 * @throws TypeError when the schedule draws endpoints and the denoiser has no distribution over tokens
 * @throws RangeError for a schedule without calls
 */
export function sample(
  denoiser: SampledDenoiser,
  { calls, end, endpoint: kind }: Schedule,
  { keys, world, priorScale = 1, given: tokens, watch }: SampleInputs,
): Samples {
  if (calls[0]?.begins !== true)
    throw new RangeError("A schedule has at least one call, and the first begins a step.");
  const batch = keys.shape[0] ?? 0;
  const source = world.noise(foldedKeys(keys, 0));
  const prior = priorScale === 1 ? source : (mul(source, priorScale) as Tensor);
  const known = given(tokens, prior, world, denoiser.interpolant);
  const endpoint = kind === "drawn" ? drawnEndpoint(denoiser, keys) : expectedEndpoint(denoiser);
  const noisy = calls.some(({ noise }) => noise !== 0);
  // Only steps of several calls remember how they began.
  const several = calls.some(({ begins }) => !begins);

  const body = (carry: readonly Tensor[], row: Row) => {
    const [before = prior, anchor = before, before1 = before] = carry;
    const [s, t] = [row.time, row.target].map((time): Time => ({
      t: everyRow(time.t, batch),
      tau: everyRow(time.tau, batch),
      rate: everyRow(time.rate, batch),
    })) as [Time, Time]; // two in, two out
    const x = known.state(before, s.t);
    const { point, tokens: found, value } = endpoint(x, s, t, row.choice);
    const z = several ? (where(row.begins as Tensor<[], "bool">, x, anchor) as Tensor) : x;
    const first = several ? (where(row.begins as Tensor<[], "bool">, point, before1) as Tensor) : point;
    const parts: Tensor[] = [mul(row.state, z), mul(row.denoiser, point)];
    if (several) parts.push(mul(row.first, first));
    if (noisy) parts.push(mul(row.noise, world.noise(foldedKeys(keys, row.draw as Tensor<[], "i32">))));
    const next = parts.reduce((a, b) => add(a, b));
    const kept = known.tokens(found);
    const seen = watch?.({ state: x, value: value(), tokens: kept }) ?? {};
    return [several ? [next, z, first] : [next], { tokens: kept, seen }] as const;
  };

  const start: readonly Tensor[] = several ? [prior, prior, prior] : [prior];
  const [[last = prior], { tokens: trajectory, seen: watched }] = scan(body, start, table(calls));
  return {
    state: known.state(last, constant(Array<number>(batch).fill(end.t), [batch])),
    tokens: squeeze(slice(trajectory, 0, calls.length - 1, calls.length), 0),
    trajectory,
    watched,
  };
}
