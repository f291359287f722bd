// Packed trees: where leaves lie, the way there and back, and updates that are those of the tree, bit for bit.

import { describe, expect, expectTypeOf, it } from "vitest";
import { f16, f32, fn, grad, i32, optim, scalar, square, sum, trace } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { compiled, evaluate, floats, list, scalarOf } from "../../support/evaluate.ts";

const spec = {
  norm: f32(3),
  blocks: [
    { bias: f32(2), weight: f32(2, 3) },
    { bias: f32(3), weight: f32(3, 2) },
  ],
  scale: f32(),
} as const;
const layout = optim.flatLayout(spec);
type Params = typeof layout extends optim.FlatLayout<infer P> ? P : never;

/** A tree of that structure, with numbers that are all different, and some that are not finite or zero. */
function tree(seed: number, strange = false) {
  let n = 0;
  const next = (...shape: readonly number[]): ExactTensor =>
    floats(
      shape,
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
        n++;
        if (strange && n % 5 === 0) return [-0, 0, Infinity, NaN, -Infinity][(n / 5) % 5] as number;
        return Math.sin(n * 1.7 + seed * 0.9);
      }),
    );
  return {
    norm: next(3),
    blocks: [
      { bias: next(2), weight: next(2, 3) },
      { bias: next(3), weight: next(3, 2) },
    ],
    scale: next(),
  };
}

describe("a flat layout", () => {
  it("puts leaves of one dtype one after another, those of the highest rank first", () => {
    expect(layout.vectors.map(({ dtype, size }) => [dtype, size])).toEqual([["f32", 21]]);
    expect(layout.vectors[0]?.leaves.map(({ path, offset }) => `${path} ${offset}`)).toEqual([
      "blocks.0.weight 0",
      "blocks.1.weight 6",
      "blocks.0.bias 12",
      "blocks.1.bias 14",
      "norm 17",
      "scale 20",
    ]);
    expect(layout.leaves.map(({ path }) => path)).toEqual([
      "blocks.0.bias",
      "blocks.0.weight",
      "blocks.1.bias",
      "blocks.1.weight",
      "norm",
      "scale",
    ]);
    expect(layout.spec.vectors.map(({ shape, dtype }) => [shape, dtype])).toEqual([[[21], "f32"]]);
  });

  it("has a vector for each dtype, and begins another one before it grows too long", () => {
    const mixed = {
      a: f32(4),
      b: f16(3),
      c: f32(3),
      d: f32(9),
      e: f32(2),
      f: f16(5),
      g: i32(1),
      none: f32(0, 2),
    };
    const { vectors, leaves } = optim.flatLayout(mixed, 8);
    expect(
      vectors.map(({ dtype, size, leaves: inside }) => [dtype, size, inside.map((l) => l.path).join()]),
    ).toEqual([
      ["f32", 7, "none,a,c"],
      ["f16", 8, "b,f"],
      ["f32", 9, "d"],
      ["f32", 2, "e"],
      ["i32", 1, "g"],
    ]);
    for (const { path, vector } of leaves)
      expect(vectors[vector]?.leaves.some((l) => l.path === path)).toBe(true);
    expect(optim.flatLayout({ a: f32(2 ** 25), b: f32(1) }).vectors.map(({ size }) => size)).toEqual([
      2 ** 25,
      1,
    ]);
  });

  it("unpacks what it packed, whatever the values, dtypes and cuts", () => {
    const { result, vectors } = evaluate({ params: tree(1, true) }, ({ params }) => {
      const packed = optim.flatLayout(params, 10);
      const flat = packed.pack(params as never);
      return { result: packed.unpack(flat), vectors: flat.vectors };
    });
    expect(vectors.map(({ shape }) => shape)).toEqual([[6], [8], [7]]);
    expect(result).toEqual(tree(1, true));
  });

  it("of a tree of tensors is that of its specification", () => {
    const { sizes } = evaluate({ params: tree(1) }, ({ params }) => {
      const own = optim.flatLayout(params);
      expect(own.leaves).toEqual(layout.leaves);
      expect(own.tree).toEqual(layout.tree);
      return { sizes: own.pack(params as never).vectors };
    });
    expect(sizes.map(({ shape }) => shape)).toEqual([[21]]);
  });

  it("keeps the types of the tree, and packed parameters of different models apart", () => {
    const check = (flat: optim.Flat<Params>, other: optim.Flat<{ readonly w: Tensor<[2], "f32"> }>) => {
      expectTypeOf(layout.unpack(flat).blocks[0].weight).toEqualTypeOf<Tensor<[2, 3], "f32">>();
      expectTypeOf(layout.unpack(flat).scale).toEqualTypeOf<Tensor<[], "f32">>();
      // @ts-expect-error packed by another layout
      layout.unpack(other);
    };
    expect(check).toBeTypeOf("function");
  });

  it("says what does not fit it", () => {
    expect(() => optim.flatLayout({ w: f32("n", 2) })).toThrow(
      /dimension 'n' of w has no size; a layout needs numbers/,
    );
    expect(() => optim.flatLayout({ w: 3 })).toThrow(
      /expected a tree of specifications or tensors, found a number at .w/,
    );
    const packing = (params: object) => () =>
      evaluate({ params }, (x) => layout.pack(x.params as never).vectors[0] as Tensor);
    expect(packing(tree(1))).not.toThrow();
    expect(packing({ ...tree(1), scale: floats([1], [1]) })).toThrow(
      /pack: scale is f32\[1\], and f32\[\] in the layout/,
    );
    expect(packing({ norm: floats([3], [1, 2, 3]) })).toThrow(
      /pack: the tree and the layout: the structures differ/,
    );
    const flat = {
      vectors: [
        floats(
          [20],
          Array.from({ length: 20 }, () => 0),
        ),
      ],
    };
    expect(() => evaluate({ flat }, (x) => layout.unpack(x.flat as never))).toThrow(
      /unpack: the vectors are f32\[20\], and f32\[21\] in the layout/,
    );
  });

  it("says it of the line that calls it", () => {
    const broken = fn({ w: f32(2) }, ({ w }) => layout.pack({ w } as never).vectors[0] as Tensor);
    expect(() => trace(broken)).toThrow(/flat\.test\.ts:\d+/);
  });
});

const some: optim.Selects = (path, shape) => shape.length > 1 || path === "norm";
const OPTIMIZERS: readonly (readonly [name: string, optimizer: optim.Optimizer])[] = [
  ["SGD", optim.sgd()],
  ["SGD with momentum and weight decay", optim.sgd({ momentum: 0.9, weightDecay: 0.1 })],
  [
    "SGD with weight decay of some",
    optim.sgd({ momentum: 0.9, nesterov: true, weightDecay: 0.1, decays: some }),
  ],
  ["Adam with weight decay of some", optim.adam({ weightDecay: 0.1, decays: some })],
  ["AdamW", optim.adamW()],
  ["AdamW with weight decay", optim.adamW({ weightDecay: 0.1 })],
  ["AdamW with weight decay of some", optim.adamW({ weightDecay: 0.1, decays: some })],
  ["AdamW with weight decay of none", optim.adamW({ weightDecay: 0.1, decays: () => false })],
  ["Lion with weight decay of some", optim.lion({ weightDecay: 0.1, decays: some })],
  ["Muon", optim.muon({ weightDecay: 0.1 })],
  [
    "Muon for some, with weight decay of some",
    optim.muon({ weightDecay: 0.1, decays: some, matrices: (path) => path.includes("0") }),
  ],
  [
    "a rule that says nothing about elements",
    optim.fromRule({
      slots: ["largest"],
      slotShapes: () => [[]],
      update:
        ({ learningRate }) =>
        ({ param, grad: gradient, slots: [largest] }) => ({
          param: optim.selectTree(scalar(1, "bool"), param, gradient),
          slots: [sum(square(gradient)) as Tensor, largest as Tensor, learningRate].slice(0, 1),
        }),
    }),
  ],
];

/** Three updates, one program each way; averages as trees. */
function both(optimizer: optim.Optimizer, most: number, strange: boolean) {
  const where = optim.flatLayout(spec, most);
  const start = tree(0, strange);
  const first = evaluate({ params: start }, ({ params }) => {
    const packed = where.pack(params as never);
    return { own: optimizer.init(params), packed, flat: optimizer.flat(where).init(packed) };
  });
  const like = { ...first, params: start, grads: start, rate: scalarOf(0) };
  const step = compiled(like, (x) => {
    const learningRate = x.rate as Tensor<[], "f32">;
    const own = optimizer.update(x.grads, x.own as never, x.params, { learningRate });
    const flat = optimizer
      .flat(where)
      .update(where.pack(x.grads as never), x.flat as never, x.packed as never, { learningRate });
    const shadow = optim.ema(x.params, own.params, own.state.step);
    const flatShadow = optim.ema(x.packed as never, flat.params, flat.state.step);
    return { own, flat, unpacked: where.unpack(flat.params), shadow, flatShadow: where.unpack(flatShadow) };
  });
  let [params, own, packed, flat] = [
    start as never,
    first.own as never,
    first.packed as never,
    first.flat as never,
  ];
  let result = step(like);
  for (let i = 0; i < 3; i++) {
    result = step({
      params,
      own,
      packed,
      flat,
      grads: tree(i + 1, strange && i === 1),
      rate: scalarOf(0.01 * (i + 1)),
    } as never);
    [params, own] = [result.own.params as never, result.own.state as never];
    [packed, flat] = [result.flat.params as never, result.flat.state as never];
  }
  return { result, where };
}

/** The numbers of a tree's leaves in the order of a layout's vectors. */
const numbers = (
  layoutOf: optim.FlatLayout<unknown>,
  leaves: readonly ExactTensor[],
): readonly (readonly number[])[] =>
  layoutOf.vectors.map(
    (_, n) =>
      layoutOf.vectors[n]?.leaves.flatMap((leaf) =>
        list(leaves[layoutOf.leaves.indexOf(leaf)] as ExactTensor),
      ) ?? [],
  );
const leavesOf = (value: unknown): readonly ExactTensor[] => {
  const { norm, blocks, scale } = value as ReturnType<typeof tree>;
  return [...blocks.flatMap(({ bias, weight }) => [bias, weight]), norm, scale];
};

describe.each(OPTIMIZERS)("%s on flat vectors", (_name, optimizer) => {
  it.each([
    ["one vector", 100, false],
    ["several vectors", 7, false],
    ["numbers that are not finite", 100, true],
  ])("equals it on the tree bit for bit: %s", (_case, most, strange) => {
    const { result, where } = both(optimizer, most, strange);
    expect(result.unpacked).toEqual(result.own.params);
    expect(result.flatShadow).toEqual(result.shadow);
    expect(result.flat.state.step).toEqual(result.own.state.step);
    expect(Object.keys(result.flat.state.slots)).toEqual(Object.keys(result.own.state.slots));
    for (const [name, slot] of Object.entries(result.own.state.slots)) {
      const flat = result.flat.state.slots[name] as unknown as { readonly vectors: readonly ExactTensor[] };
      expect(flat.vectors.map(list), name).toEqual(numbers(where, leavesOf(slot)));
    }
  });
});

describe("updates of flat vectors", () => {
  const many = optim.flatLayout(Array.from({ length: 40 }, (_, i) => ({ w: f32(4, i + 1), b: f32(i + 1) })));
  /** Equations of an update and a norm, of parameters of the given specification. */
  const equations = (spec_: unknown, optimizer: Pick<optim.Optimizer, "update">): number => {
    const slots = { mean: spec_, variance: spec_ };
    const given = { grads: spec_, params: spec_, state: { step: i32(), slots }, learningRate: f32() };
    const f = fn(given, ({ learningRate, ...x }) => ({
      next: optimizer.update(x.grads as never, x.state as never, x.params as never, { learningRate }),
      norm: optim.globalNorm(x.grads),
    }));
    return trace(f as never).program.equations.length;
  };

  it("are as many equations as that of one parameter", () => {
    const flat = (optimizer: optim.Optimizer): number =>
      equations(many.spec, optimizer.flat(many) as unknown as optim.Optimizer);
    const optimizer = optim.adamW({ weightDecay: 0.1 });
    const one = equations({ w: f32(4100) }, optimizer);
    expect(flat(optimizer)).toBe(one);
    expect(
      equations(
        Array.from({ length: 80 }, () => f32(2)),
        optimizer,
      ),
    ).toBeGreaterThan(80 * 12);
    // What is selected by rank is one piece: a mask of two parts, and a choice.
    expect(flat(optim.adamW({ weightDecay: 0.1, decays: (_path, shape) => shape.length > 1 }))).toBe(one + 4);
  });

  it("refuse packed gradients, parameters and averages that are not the layout's", () => {
    const update =
      (parts: { readonly grads?: number; readonly params?: number; readonly mean?: number }) => () => {
        const flat = (size = 21) => ({
          vectors: [
            floats(
              [size],
              Array.from({ length: size }, () => 1),
            ),
          ],
        });
        const slots = { mean: flat(parts.mean), variance: flat() };
        const input = { grads: flat(parts.grads), params: flat(parts.params), slots, rate: scalarOf(0) };
        return evaluate(input, (x) =>
          optim
            .adamW()
            .flat(layout)
            .update(
              x.grads as never,
              { step: scalar(0, "i32"), slots: x.slots as never },
              x.params as never,
              {
                learningRate: x.rate as Tensor<[], "f32">,
              },
            ),
        );
      };
    expect(update({})).not.toThrow();
    expect(update({ grads: 20 })).toThrow(
      /optimizer: the gradients: the vectors are f32\[20\], and f32\[21\] in the layout/,
    );
    expect(update({ params: 20 })).toThrow(/optimizer: the parameters: the vectors are/);
    expect(update({ mean: 20 })).toThrow(/optimizer: the mean: the vectors are/);
    expect(() =>
      evaluate({ params: tree(1) }, ({ params }) => {
        const packed = layout.pack(params as never);
        const state = optim.lion().flat(layout).init(packed);
        return optim
          .adamW()
          .flat(layout)
          .update(packed, state, packed, { learningRate: scalar(0) });
      }),
    ).toThrow(/no variance; it belongs to another optimizer/);
  });
});

describe("sums over long vectors", () => {
  it("are those of their numbers, in rows or not", () => {
    for (const length of [2 ** 14, 2 ** 14 + 1, 2 ** 14 + 2, 3 * 2 ** 13, 2 ** 16, 5 * 2 ** 12 + 64]) {
      const x = floats(
        [length],
        Array.from({ length }, (_, i) => Math.sin(i)),
      );
      const { norm, finite } = evaluate({ x, y: floats([length], list(x).with(length - 1, NaN)) }, (t) => ({
        norm: optim.globalNorm([t.x]),
        finite: [optim.allFinite([t.x]), optim.allFinite([t.x, t.y])],
      }));
      const expected = Math.sqrt(list(x).reduce((total, value) => total + value * value, 0));
      expect(Math.abs((norm.data[0] as number) / expected - 1)).toBeLessThan(1e-12);
      expect(finite.map((one) => list(one)[0])).toEqual([1, 0]);
    }
  });
});

describe("a step in flat form", () => {
  it("differentiates with respect to the tree and packs the gradients", () => {
    const loss = (p: Params): Tensor<[], "f32"> => sum(square(p.blocks[0].weight)) as Tensor<[], "f32">;
    const { gradient } = evaluate(
      {
        flat: {
          vectors: [
            floats(
              [21],
              Array.from({ length: 21 }, (_, i) => i),
            ),
          ],
        },
      },
      (x) => ({
        gradient: layout.pack(grad(loss)(layout.unpack(x.flat as never))).vectors,
      }),
    );
    expect(list(gradient[0] as ExactTensor)).toEqual(
      Array.from({ length: 21 }, (_, i) => (i < 6 ? 2 * i : 0)),
    );
  });
});
