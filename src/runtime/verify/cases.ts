/**
 * Cases as plain numbers: drawn from a seed, and made simpler while something still fails. Consumed by run.ts.
 */
import { fold, normals, uniforms } from "../../models/flow/host-random.ts";
import type { Key } from "../../models/flow/host-random.ts";
import { momentsOf } from "../../models/flow/source.ts";
import type { Source } from "../../models/flow/source.ts";
import type { Looks, Place } from "../../models/flow/verify/identity.ts";
import type { Regime, Times } from "../../models/flow/verify/regimes.ts";
import type { HostPath, TokenPoint } from "../../models/flow/verify/view.ts";
import { CORPUS, LENGTH } from "../../models/flow/verify/world.ts";

/** One case of a StateIdentity. */
export interface Case extends Times {
  /** [length][dim], one after the other. */
  readonly x: readonly number[];
  /** [length][vocab]. */
  readonly free: readonly number[];
}

/** What cases are drawn of: a flow, or as much of one. */
export type Drawing = Looks<Place>["flow"];

/** `count` cases: states as they occur at time s, and times of a regime. */
export function drawCases(
  key: Key,
  count: number,
  { source }: Drawing,
  world: Place,
  { regime, latest, path }: { readonly regime: Regime; readonly latest: number; readonly path: HostPath },
): readonly Case[] {
  const size = LENGTH * world.dim;
  const noise = normals(fold(key, 0), count * size);
  const [means, variances] = [momentsOf(source.mean, world.dim), momentsOf(source.variance, world.dim)];
  const points =
    source.support === "simplex" ? onSimplex(fold(key, 3), count * LENGTH, variances) : undefined;
  const random = uniforms(fold(key, 1), count * 4);
  const free = uniforms(fold(key, 2), count * LENGTH * CORPUS.vocab);
  return Array.from({ length: count }, (_, i) => {
    const at = (j: number): number => random[4 * i + j] ?? 0;
    const times = regime.draw([at(0), at(1), at(2)], latest);
    const sentence = world.states[Math.floor(at(3) * world.states.length)]?.flat() ?? [];
    const tokens = path(times.s);
    const x = sentence.map((clean, j) => {
      const [mean = 0, variance = 0] = [means[j % world.dim], variances[j % world.dim]];
      const x0 = points?.[i * size + j] ?? mean + Math.sqrt(variance) * (noise[i * size + j] ?? 0);
      // One point for all tokens, or one for each.
      const { alpha, beta } = tokens[tokens.length === 1 ? 0 : Math.floor(j / world.dim)] as TokenPoint;
      return alpha * x0 + beta * clean;
    });
    const width = LENGTH * CORPUS.vocab;
    return { ...times, x, free: Array.from(free.slice(i * width, (i + 1) * width), (v) => 4 * v - 2) };
  });
}

/** Points of the simplex, one after the other: uniform ones, drawn to the middle until their variance is that of the source. */
function onSimplex(key: Key, count: number, variances: readonly number[]): readonly number[] {
  const dim = variances.length;
  const exponentials = Array.from(uniforms(key, count * dim), (u) => -Math.log(1 - u));
  const share = Math.min(1, Math.sqrt(((variances[0] ?? 0) * dim ** 2 * (dim + 1)) / (dim - 1)));
  return Array.from({ length: count }, (_, i) => exponentials.slice(i * dim, (i + 1) * dim)).flatMap(
    (row) => {
      const total = row.reduce((sum, x) => sum + x, 0);
      return row.map((x) => 1 / dim + share * (x / total - 1 / dim));
    },
  );
}

/** How much there is to read in a number: 0 for 0, the digits otherwise. */
const reading = (x: number): number => (x === 0 ? 0 : String(Math.abs(x)).length);
const total = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + reading(x), 0);

/** Times weigh most, so that they are simplified first. */
export const complexity = ({ x, free, s, u, t }: Case): number =>
  total(x) + total(free) + 4 * total([s, u, t]);

const rounded = (x: number, digits: number): number => Number(x.toFixed(digits));
const DIGITS = [1, 2, 3] as const;

/**
 * Simpler cases of the same regime, the simplest first: all numbers at once, then one by one. States that occur on a support alone stay,
 * and so does their time.
 */
export function simpler(
  from: Case,
  {
    regime,
    latest,
    support,
  }: { readonly regime: Regime; readonly latest: number; readonly support?: Source["support"] },
): readonly Case[] {
  const { s, u, t, x, free } = from;
  const states = <T>(list: readonly T[]): readonly T[] => (support === undefined ? list : []);
  const coarse = (list: readonly number[]) => [
    list.map(() => 0),
    list.map((value) => rounded(value, 1)),
    list,
  ];
  const fine = (list: readonly number[]): readonly (readonly number[])[] =>
    list.flatMap((value, i) => [list.with(i, 0), list.with(i, rounded(value, 0))]);
  const times: readonly Times[] = [
    from,
    ...DIGITS.flatMap((digits) => {
      const [a, b, c] = [rounded(s, digits), rounded(u, digits), rounded(t, digits)];
      // Where two times nearly meet, the middle one keeps its share of the way between them.
      const between = (start: number, end: number): number =>
        s === t ? start : start + ((u - s) / (t - s)) * (end - start);
      return [
        { s: 0, u: b, t: c },
        { s: a, u: b, t: c },
        { s: 0, u: between(0, c), t: c },
        { s: a, u: between(a, c), t: c },
      ];
    }),
  ].filter((each) => regime.fits(each, latest) && (support === undefined || each.s === s));
  const now = complexity(from);
  const together = times.flatMap(({ s, u, t }) =>
    [...states(coarse(x)), x].flatMap((x) => coarse(free).map((free): Case => ({ s, u, t, x, free }))),
  );
  return [
    ...together,
    ...states(fine(x)).map((x): Case => ({ ...from, x })),
    ...fine(free).map((free): Case => ({ ...from, free })),
  ]
    .filter((candidate) => complexity(candidate) < now)
    .toSorted((p, q) => complexity(p) - complexity(q));
}
