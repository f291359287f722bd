/**
 * Random numbers as pure functions of keys: `random.normal(key, ["batch", 8])`. Used as a namespace by
 * everything that draws. To add a distribution: distributions.ts or discrete.ts, and a line here.
 */
export { bits } from "./bits.ts";
export type { Key } from "./bits.ts";
export { foldIn, key, split, splitStacked } from "./key.ts";
export type { Keys } from "./key.ts";
export { bernoulli, exponential, gumbel, normal, uniform } from "./distributions.ts";
export type { Range } from "./distributions.ts";
export { categorical, integers, permutation, shuffle } from "./discrete.ts";
export type { IntegerRange } from "./discrete.ts";
