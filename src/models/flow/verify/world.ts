/**
 * Worlds in which identities are looked at: three sentences of two tokens, as one-hot rows and through an embedding, with the exact flow
 * that the variant's own interpolant and source give them.
 *
 * Consumed by identities.ts and, for drawing states, by src/runtime/verify.ts.
 */
import {
  add,
  cast,
  clip,
  constant,
  div,
  expandDims,
  floor,
  gather,
  greater,
  mul,
  oneHot,
  stopGradient,
  sub,
  where,
} from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { Clock } from "../clock.ts";
import type { Flow } from "../flow.ts";
import { oracleMap } from "../oracle-map.ts";
import { corpusOracle } from "../oracle.ts";
import type { OracleOptions } from "../oracle.ts";
import { deviationOf, gaussian } from "../source.ts";
import type { Source } from "../source.ts";
import { normOf } from "../states.ts";
import type { EmbeddedStates } from "../states.ts";
import type { Time } from "../two-time.ts";
import type { World } from "./identity.ts";
import { smoothData } from "./smooth-data.ts";

/** One sentence shares its first token with the second, and its second with the third: neither token alone says which it is. */
export const CORPUS = {
  vocab: 3,
  sequences: [
    [0, 1],
    [0, 2],
    [1, 1],
  ],
  weights: [2, 1, 1],
} as const;
export const LENGTH = 2;

/** Tokens of a sentence as rows for every case, [cases, length, vocab]. */
export const rowsOf = (sentence: readonly number[], like: Tensor): Tensor =>
  add(mul(like, 0), expandDims(oneHot(constant([...sentence], [LENGTH], "i32"), CORPUS.vocab) as Tensor, 0));

type Table = readonly (readonly number[])[];

/** Rows without a pattern, of about unit length. */
const EMBEDDING: Table = [
  [0.94, 0.21],
  [-0.43, 0.88],
  [0.12, -1.07],
];
/** As many coordinates as tokens, as some identities need. */
const WIDE: Table = [
  [0.71, -0.36, 0.42],
  [-0.18, 0.83, 0.57],
  [0.29, 0.11, -0.95],
];
const ONE_HOT: Table = [0, 1, 2].map((id) => [0, 1, 2].map((v) => Number(v === id)));

/** Rows as the states of a flow bring them to a length. */
function normed(table: Table, { norm }: EmbeddedStates): Table {
  if (norm === undefined) return table;
  return table.map((row) => row.map((x) => (x * normOf(norm, row.length)) / Math.hypot(...row)));
}

/** Where the corpus lives: one-hot, and through an embedding; through two where the flow's states are embedded; never off the simplex. */
function tablesOf({ states, source }: Flow): readonly (readonly [World["name"], Table, OracleOptions])[] {
  const embedded = (table: Table) => ["embedded tokens", table, { embedding: table }] as const;
  if (states.kind === "embedded") return [WIDE, EMBEDDING].map((table) => embedded(normed(table, states)));
  const oneHot = ["one-hot tokens", ONE_HOT, {}] as const;
  return source.support === "simplex" ? [oneHot] : [oneHot, embedded(EMBEDDING)];
}

/** Steps of integration for noise of unit variance: derivatives of jumps are good to about 1e-4. */
const STEPS = 48;
/** So many times as many where noise is not Gaussian: a density of several peaks changes faster than its width says. */
const FINER = 1.5;

/** How wide the noise of a source is in these worlds; of what is one point, as if it were of variance 1. */
export const spreadOf = (source: Source): number => deviationOf(source, CORPUS.vocab) || 1;

/** Whether the posterior of a corpus is known. */
export const hasPosterior = ({ scale, logDensity }: Source): boolean =>
  scale !== undefined || logDensity !== undefined;

/**
 * The worlds of a flow. Where its source has no density their noise is Gaussian of the same variance, and only identities that do not
 * ask for the posterior are about the flow.
 * @param breaks times at which tokens with times of their own begin or end to move
 */
export function worldsOf(flow: Flow, breaks: readonly number[] = []): readonly World[] {
  const { interpolant, source: declared, clock } = flow;
  const source = hasPosterior(declared) ? declared : gaussian({ scale: spreadOf(declared) });
  const deviation = spreadOf(source);
  // The more noise, the nearer to the data are sentences told apart, where steps that are even in time are long.
  const finer = source.scale === undefined ? FINER : 1;
  const steps = Math.ceil(STEPS * finer * Math.min(3, Math.max(1, deviation)));
  const total = CORPUS.weights.reduce((sum, w) => sum + w, 0);
  const read = reading(clock);
  const smooth = smoothData(interpolant, deviation ** 2);
  return tablesOf(flow).map(([name, table, options]) => {
    const oracle = corpusOracle(CORPUS, { source, ...options });
    const exact = oracleMap(oracle, interpolant, { steps, breaks });
    return {
      name,
      interpolant,
      oracle,
      exact,
      map: {
        ...exact,
        denoiser: (x, s, t) => exact.denoiser(x, read(s), read(t)),
        logits: (x: Tensor, s: Time, t: Time) => exact.logits?.(x, read(s), read(t)) as Tensor, // oracle maps have logits
      },
      smooth: {
        exact: smooth,
        map: { ...smooth, denoiser: (x, s, t) => smooth.denoiser(x, read(s), read(t)) },
      },
      dim: table[0]?.length ?? 0,
      states: CORPUS.sequences.map((ids) => ids.map((id) => table[id] as readonly number[])),
      weights: CORPUS.weights.map((w) => w / total),
    };
  });
}

const NODES = 256;
/** Below this rate the clock stands still, and says nothing of a time. */
const STANDING = 1e-9;

/**
 * What a network knows of a time, which is the clock alone: the time at which the clock shows τ, moving with τ. For times as a declaration
 * gives them it is t.
 */
function reading(clock: Clock): (time: Time) => Time {
  let shown: readonly number[] | undefined;
  return (time) => {
    // When it is first asked: a clock that throws then fails the identity that asks.
    shown ??= Array.from({ length: NODES + 1 }, (_, i) => clock.tau(i / NODES));
    const at: Tensor = clip(stopGradient(time.t), 0, 1);
    const rate: Tensor = stopGradient(time.rate);
    const moves = greater(rate, STANDING);
    const off: Tensor = sub(stopGradient(time.tau), curve(shown, at));
    // The curve is good to 4e-4 for the steepest clock here; what is more than 1e-3 is a time that does not belong to its τ.
    const wrong: Tensor = where(greater(mul(off, off), 1e-6), div(off, add(rate, 0.1)), 0) as Tensor;
    const moved: Tensor = where(
      moves,
      div(sub(time.tau, stopGradient(time.tau)), where(moves, rate, 1)),
      sub(time.t, stopGradient(time.t)),
    ) as Tensor;
    return { ...time, t: add(stopGradient(time.t), add(clip(wrong, -1, 1), moved) as Tensor) };
  };
}

/** A function on [0, 1] from its values at even nodes, linear between them. */
function curve(values: readonly number[], at: Tensor): Tensor {
  const scaled: Tensor = mul(at, values.length - 1);
  const node: Tensor = clip(floor(scaled) as Tensor, 0, values.length - 2);
  const share: Tensor = sub(scaled, node);
  const index = cast(node, "i32");
  const table: Tensor = constant(values, [values.length]);
  const rise: Tensor = constant(
    values.map((value, i) => (values[i + 1] ?? value) - value),
    [values.length],
  );
  return add(gather(table, index as never), mul(share, gather(rise, index as never))); // i32 by the cast
}
