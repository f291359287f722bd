/**
 * The exact flow of a small language: what a network would learn if it learned it perfectly. Its sentences choose a word for each place,
 * independently, so the posterior has a closed form, and the studio can show a sentence forming before anything is trained, with no
 * worker and no weights.
 *
 * Per place, D_t(x)_w ∝ exp(t x_w / (1 − t)²) over the words of the place; the flow and its clock are FLM's (arXiv:2602.16813).
 * Consumed by sentence-store.ts. To change the language: PLACES.
 */
import { decodingError } from "../../../../src/models/flow/clock-decoding-error.ts";
import type { Forming } from "../../engine/protocol.ts";

const PLACES = [
  "the this every one no",
  "old small quiet red distant pale broken",
  "river lamp clock boat letter garden bird stone",
  "waits bends burns turns sleeps drifts sings",
  "under behind above beside beyond near",
  "the that another a",
  "hill harbour window mill bridge moon door",
].map((words) => words.split(" "));

/** How many sentences the language has. */
export const EXACT_COUNT = PLACES.reduce((product, words) => product * words.length, 1);
const LENGTH = PLACES.length;
const VOCABULARY = [...new Set(PLACES.flat())];
const V = VOCABULARY.length;
const IDS = PLACES.map((words) => words.map((word) => VOCABULARY.indexOf(word)));
const clock = decodingError({ vocab: V });

/** Mulberry32: small, and good enough for a picture. */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

function noise(seed: number): Float64Array {
  const uniform = uniforms(seed);
  return Float64Array.from({ length: LENGTH * V }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
}

/** The denoiser at time t < 1: rows of probabilities, place by place. */
function denoised(state: Float64Array, t: number): Float64Array {
  const rows = new Float64Array(LENGTH * V);
  IDS.forEach((ids, i) => {
    const logits = ids.map((id) => (t * (state[i * V + id] ?? 0)) / (1 - t) ** 2);
    const highest = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - highest));
    const total = weights.reduce((a, b) => a + b, 0);
    ids.forEach((id, k) => {
      rows[i * V + id] = (weights[k] ?? 0) / total;
    });
  });
  return rows;
}

// Tokens sit on a circle, so that the plane shows which one a state comes to.
const X = Float64Array.from(VOCABULARY, (_, id) => Math.cos((2 * Math.PI * id) / V));
const Y = Float64Array.from(VOCABULARY, (_, id) => Math.sin((2 * Math.PI * id) / V));
const along = (axis: Float64Array, values: Float64Array, position: number): number =>
  axis.reduce((sum, a, id) => sum + a * (values[position * V + id] ?? 0), 0);

/** A moment, of which nothing is left out. */
type Whole = Required<Forming["moments"][number]>;

interface ExactForming extends Forming {
  readonly moments: readonly Whole[];
}

/** A moment as the page shows it. `weight` is how far the step goes along D − x. */
function momentOf(state: Float64Array, rows: Float64Array, tau: number, weight: number): Whole {
  const positions = Array.from({ length: LENGTH }, (_, i) => i);
  return {
    tau,
    top: positions.map((i) =>
      VOCABULARY.map((token, id) => ({ token, probability: rows[i * V + id] ?? 0 }))
        .filter(({ probability }) => probability > 0)
        .sort((a, b) => b.probability - a.probability)
        .slice(0, 5),
    ),
    entropy: positions.map((i) =>
      rows.slice(i * V, (i + 1) * V).reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0),
    ),
    plane: positions.map((i) => {
      const [x, y] = [along(X, state, i), along(Y, state, i)];
      return { x, y, dx: weight * (along(X, rows, i) - x), dy: weight * (along(Y, rows, i) - y) };
    }),
  };
}

/** Euler steps, even on the clock; `seen` is called before each and at the end. */
function follow(
  start: Float64Array,
  steps: number,
  seen: (state: Float64Array, rows: Float64Array, tau: number, weight: number) => void,
): Float64Array {
  let state = start;
  for (let step = 0; step < steps; step++) {
    const [s, t] = [clock.time(step / steps), clock.time((step + 1) / steps)];
    const weight = (t - s) / (1 - s);
    const rows = denoised(state, s);
    seen(state, rows, step / steps, weight);
    state = state.map((x, i) => x + weight * ((rows[i] ?? 0) - x));
  }
  seen(state, decided(state), 1, 0);
  return state;
}

/** The most probable token of each position, for certain. */
function decided(state: Float64Array): Float64Array {
  const rows = new Float64Array(LENGTH * V);
  for (let i = 0; i < LENGTH; i++) {
    const row = state.subarray(i * V, (i + 1) * V);
    rows[i * V + row.indexOf(Math.max(...row))] = 1;
  }
  return rows;
}

const textOf = (moment: Whole | undefined): string =>
  (moment?.top ?? []).map(([best]) => best?.token ?? "").join(" ");

/** Fine enough that the end of the flow is the flow map's. */
const FINE = 256;

/** The exact flow in steps, and the exact flow map in one jump, from the same noise. */
export function exactForming(
  seed: number,
  steps: number,
): { readonly flm: ExactForming; readonly fmlm: ExactForming } {
  const start = noise(seed);
  const moments: Whole[] = [];
  follow(start, steps, (...moment) => moments.push(momentOf(...moment)));
  const end = follow(start, FINE, () => undefined);
  const rows = decided(end);
  const first = denoised(start, 0);
  const jump = momentOf(start, first, 0, 1);
  const towards = momentOf(start, rows, 0, 1).plane;
  const jumps = [{ ...jump, plane: towards }, momentOf(rows, rows, 1, 0)];
  return {
    flm: { about: [], moments, text: textOf(moments.at(-1)), milliseconds: 0 },
    fmlm: { about: [], moments: jumps, text: textOf(jumps.at(-1)), milliseconds: 0 },
  };
}
