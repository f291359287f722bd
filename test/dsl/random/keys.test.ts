// Words and keys against JAX. The vectors are printed by JAX 0.10.2 (PyPI) on a CPU with
// jax_threefry_partitionable=False: jax.random.bits(key, shape, "uint32"), jax.random.split(key, n) and
// jax.random.fold_in(key, data); those of key 1701 and shape (3,) are also asserted in JAX's own tests.

import { describe, expect, expectTypeOf, it } from "vitest";
import { random, vmap } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import type { Key } from "../../../src/dsl/random/index.ts";
import { constants, evaluate, list, words } from "../../support/evaluate.ts";

const HIGH = (305419896 * 2 ** 32 + 2596069104) >>> 0;

const BITS: readonly (readonly [
  key: readonly [number, number],
  shape: readonly number[],
  words: readonly number[],
])[] = [
  [[0, 1701], [], [741045208]],
  [[0, 1701], [1], [741045208]],
  [[0, 1701], [2], [85238482, 2594297577]],
  [[0, 1701], [3], [56197195, 4200222568, 961309823]],
  [[0, 1701], [4], [56197195, 1801093307, 961309823, 1704866707]],
  [[0, 1701], [5], [927208350, 3916705582, 3729489864, 676898860, 3164047411]],
  [
    [0, 1701],
    [2, 3],
    [927208350, 3916705582, 1835323421, 676898860, 3164047411, 4010691890],
  ],
  [[0, 0], [7], [2285895361, 1501764800, 1518642379, 3098264785, 433833334, 4221794875, 839183663]],
  [
    [0, 4294967295],
    [2, 3, 2],
    [
      999472741, 4045249715, 1248039791, 1510610547, 3192676566, 211183706, 1018209852, 2483512393,
      3015263783, 3117982622, 4006386654, 3786739453,
    ],
  ],
  [
    [305419896, 2596069104],
    [7],
    [3821564514, 1496925749, 2617738713, 1132217343, 4170576086, 3734641384, 770218422],
  ],
];

const SPLIT: readonly (readonly [key: readonly [number, number], count: number, keys: readonly number[]])[] =
  [
    [[0, 1701], 1, [85238482, 2594297577]],
    [[0, 1701], 2, [56197195, 1801093307, 961309823, 1704866707]],
    [[0, 1701], 3, [927208350, 3916705582, 1835323421, 676898860, 3164047411, 4010691890]],
    [
      [305419896, 2596069104],
      4,
      [3821564514, 1496925749, 2617738713, 402014085, 4170576086, 3734641384, 770218422, 91940326],
    ],
  ];

const FOLD: readonly (readonly [key: readonly [number, number], data: number, folded: readonly number[]])[] =
  [
    [[0, 1701], 0, [741045208, 1847055613]],
    [[0, 1701], 1, [85238482, 2594297577]],
    [[0, 1701], 2, [56197195, 961309823]],
    [[0, 1701], 4294967295, [244354911, 2968384621]],
    [[305419896, 2596069104], 123456, [1964615409, 2941564751]],
  ];

const keyed = <Out>(key: readonly [number, number], body: (key: Key) => Out) =>
  evaluate({ key: words([2], key) }, (x) => body(x.key as Key));

describe("keys and words, as in JAX", () => {
  it.each(BITS)("bits of key %j, shape %j", (key, shape, expected) => {
    const drawn = keyed(key, (k) => random.bits(k, shape));
    expect([drawn.dtype, drawn.shape, list(drawn)]).toEqual(["u32", shape, expected]);
  });

  it("bits of a longer odd draw", () => {
    const drawn = list(keyed([0, 7], (k) => random.bits(k, [1001])));
    expect(drawn.reduce((a, b) => (a ^ b) >>> 0)).toBe(3103910627);
    expect(drawn.slice(499, 503)).toEqual([636250338, 3485182091, 874980698, 935187059]);
    expect(drawn.slice(-3)).toEqual([1400307108, 160995028, 1553424180]);
  });

  it.each(SPLIT)("split of key %j into %i", (key, count, expected) => {
    expect(list(keyed(key, (k) => random.splitStacked(k, count)))).toEqual(expected);
    expect(keyed(key, (k) => random.split(k, count)).flatMap(list)).toEqual(expected);
  });

  it.each(FOLD)("foldIn of key %j and %i", (key, data, expected) => {
    expect(list(keyed(key, (k) => random.foldIn(k, data)))).toEqual(expected);
    const traced = evaluate({ key: words([2], key), data: words([], [data]) }, (x) =>
      random.foldIn(x.key as Key, x.data as Tensor<[], "u32">),
    );
    expect(list(traced)).toEqual(expected);
  });

  it("makes keys of seeds", () => {
    expect(list(constants(() => random.key(1701)))).toEqual([0, 1701]);
    expect(list(constants(() => random.key(305419896 * 2 ** 20 + 5)))).toEqual([
      74565,
      (305419896 * 2 ** 20 + 5) % 2 ** 32,
    ]);
    expect(
      list(evaluate({ seed: words([], [HIGH]) }, ({ seed }) => random.key(seed as Tensor<[], "u32">))),
    ).toEqual([0, HIGH]);
  });

  it("maps over stacked keys", () => {
    const drawn = keyed([0, 1701], (k) =>
      vmap((one: Tensor) => random.bits(one as Key, [3]))(random.splitStacked(k, 4)),
    );
    const apart = keyed([0, 1701], (k) => random.split(k, 4).map((one) => random.bits(one, [3])));
    expect(drawn.shape).toEqual([4, 3]);
    expect(list(drawn)).toEqual(apart.flatMap(list));
  });

  it("types keys and their lists", () => {
    constants(() => {
      const root = random.key(0);
      expectTypeOf(random.split(root, 2)).toEqualTypeOf<readonly [Key, Key]>();
      expectTypeOf(random.split(root, 2 as number)).toEqualTypeOf<readonly Key[]>();
      expectTypeOf(random.splitStacked(root, 5)).toEqualTypeOf<Tensor<[5, 2], "u32">>();
      expectTypeOf(random.bits(root, [4, 2])).toEqualTypeOf<Tensor<[4, 2], "u32">>();
      return root;
    });
  });

  it("refuses what is no key, seed or count", () => {
    expect(() => constants(() => random.key(-1))).toThrow(/seed must be a whole number/);
    expect(() => constants(() => random.key(0.5))).toThrow(/seed must be a whole number/);
    expect(() => constants(() => random.foldIn(random.key(0), 2 ** 32))).toThrow(/from 0 to 4294967295/);
    expect(() => evaluate({ key: words([3], [1, 2, 3]) }, ({ key }) => random.bits(key as Key, [1]))).toThrow(
      /a key is u32\[2\], got u32\[3\]/,
    );
  });
});
