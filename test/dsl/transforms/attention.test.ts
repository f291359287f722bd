// Attention against its plain decomposition written in the surface: values and every derivative, for the modifiers, different
// numbers of queries and keys, and leading axes of rank 0 to 3.
import { describe, expect, it, vi } from "vitest";
import {
  add,
  attention,
  einsum,
  exp,
  grad,
  iota,
  jvp,
  lessEqual,
  max,
  mul,
  softcap,
  softmax,
  stopGradient,
  sub,
  sum,
  tanh,
  transpose,
  where,
} from "../../../src/dsl/index.ts";
import type { AttentionOptions, Shape, Tensor } from "../../../src/dsl/index.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { OpKind, Program, TensorType } from "../../../src/dsl/program/program.ts";
import {
  cotangentsFor,
  differences,
  gap,
  inner,
  jvpOf,
  linearizedOf,
  randomLike,
  run,
  tangentsFor,
  traced,
  vjpOf,
  vmapOf,
} from "./harness.ts";

// Seconds by themselves; many times that on a busy machine or with FLUXION_RUNS.
vi.setConfig({ testTimeout: 600_000 });

type T = Tensor<Shape, "f32">;

/** Swaps the last two axes. */
function flip(x: T): T {
  const rank = x.shape.length;
  return transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);
}

/** q·kᵀ over any leading axes, as a sum of products. */
const product = (x: T, y: T): T => {
  const [a, b] = [x.shape, y.shape];
  const batch = "abcdef".slice(0, a.length - 2);
  expect(a.length).toBe(b.length);
  return einsum(`${batch}ij,${batch}jk->${batch}ik` as string, x, y) as T;
};

function plain(q: T, k: T, v: T, options: AttentionOptions): T {
  const [queries, keys] = [q.shape.at(-2) as number, k.shape.at(-2) as number];
  const scaled: T = mul(product(q, flip(k)), options.scale ?? 1 / Math.sqrt(q.shape.at(-1) as number));
  const capped: T =
    options.softcap === undefined || options.softcap === 0 ? scaled : softcap(scaled, options.softcap);
  const visible = lessEqual(iota([queries, keys]), add(iota([queries, keys], "i32", 0), keys - queries));
  const scores: T = options.causal === true ? where(visible, capped, -1e30) : capped;
  return product(softmax(scores), v);
}

const modifiers: readonly AttentionOptions[] = [
  {},
  { causal: true },
  { softcap: 1.5 },
  { causal: true, softcap: 2, scale: 0.9 },
];
const sizes = [
  { batch: [], queries: 3, keys: 3 },
  { batch: [2], queries: 1, keys: 4 },
  { batch: [2, 2], queries: 2, keys: 3 },
  { batch: [1, 2, 2], queries: 2, keys: 2 },
] as const;

const cases = modifiers.flatMap((options) => sizes.map((size) => ({ options, ...size })));

function typesOf({
  batch,
  queries,
  keys,
}: {
  readonly batch: readonly number[];
  readonly queries: number;
  readonly keys: number;
}): readonly TensorType[] {
  return [
    [queries, 2],
    [keys, 2],
    [keys, 3],
  ].map((tail) => ({ shape: [...batch, ...tail], dtype: "f32" as const }));
}

describe.each(cases)(
  "attention $options, batch $batch, $queries queries, $keys keys",
  ({ options, ...size }) => {
    const types = typesOf(size);
    const build = (f: (q: T, k: T, v: T) => readonly Tensor[]): Program =>
      traced(types, (q, k, v) => f(q as T, k as T, v as T));
    const fused = build((q, k, v) => [attention(q, k, v, options)]);
    const reference = build((q, k, v) => [plain(q, k, v, options)]);
    const xs = randomLike(types, 1, -2, 2);
    const [us, ws] = [tangentsFor(fused, 2), cotangentsFor(fused, 3)];

    /** Both programs, transformed alike, agree; the inputs are random but for the first ones. */
    function same(transform: (p: Program) => Program, tolerance = 1e-10): void {
      const [a, b] = [transform(fused), transform(reference)];
      const more = randomLike(inputTypes(a).slice(xs.length), 4);
      expect(gap(run(a, [...xs, ...more]), run(b, [...xs, ...more]))).toBeLessThan(tolerance);
    }

    it("value, jvp, vjp and linearize", () => {
      same((p) => p, 1e-13);
      same(jvpOf);
      same(vjpOf);
      same(linearizedOf);
      expect(gap(run(jvpOf(fused), [...xs, ...us]).slice(1), differences(fused, xs, us))).toBeLessThan(1e-8);
      expect(inner(run(jvpOf(fused), [...xs, ...us]).slice(1), ws)).toBeCloseTo(
        inner(us, run(vjpOf(fused), [...xs, ...ws]).slice(1)),
        10,
      );
    });

    it("second order: every pair of modes, and third", () => {
      for (const first of [jvpOf, vjpOf]) for (const second of [jvpOf, vjpOf]) same((p) => second(first(p)));
      same((p) => vjpOf(jvpOf(jvpOf(p))), 1e-9);
      same((p) => jvpOf(vjpOf(vjpOf(p))), 1e-9);
    });

    it("the flow-map loss: the gradient of a function of value and jvp, with and without a stopped target", () => {
      const loss = (f: (q: T, k: T, v: T) => T, target: (x: T) => T): Program =>
        build((q, k, v) => {
          const objective = (a: T): Tensor<[], "f32"> => {
            const { value, tangent } = jvp((x: T) => f(tanh(x), k, mul(v, sum(x))), [a], [mul(tanh(a), 0.3)]);
            return sum(mul(sub(value, target(tangent)), value));
          };
          return [grad(objective)(q)];
        });
      const fast = (q: T, k: T, v: T): T => attention(q, k, v, options);
      const slow = (q: T, k: T, v: T): T => plain(q, k, v, options);
      for (const target of [stopGradient, (x: T) => x]) {
        expect(gap(run(loss(fast, target), xs), run(loss(slow, target), xs))).toBeLessThan(1e-10);
      }
      const whole = loss(fast, (x) => x);
      expect(gap(run(jvpOf(whole), [...xs, ...us]).slice(1), differences(whole, xs, us))).toBeLessThan(1e-6);
    });

    it("vmap, alone and with derivatives, with any operand unbatched", () => {
      for (const unbatched of [[], [0], [1, 2], [0, 1]]) {
        const [a, b] = [vmapOf(fused, 2, unbatched), vmapOf(reference, 2, unbatched)];
        const inputs = randomLike(inputTypes(a), 5);
        for (const transform of [(p: Program) => p, jvpOf, vjpOf]) {
          const more = randomLike(inputTypes(transform(a)).slice(inputs.length), 6);
          expect(
            gap(run(transform(a), [...inputs, ...more]), run(transform(b), [...inputs, ...more])),
          ).toBeLessThan(1e-10);
        }
      }
    });
  },
);

const ops = (p: Program): readonly OpKind[] => p.equations.map(({ op }) => op);

describe("attention stays fused", () => {
  const types = typesOf({ batch: [2], queries: 3, keys: 3 });
  const fused = traced(types, (q, k, v) => [attention(q as T, k as T, v as T)]);

  it("at first order in both modes, and in the tangent of the tangent's own directions", () => {
    expect(ops(jvpOf(fused)).filter((op) => op.startsWith("attention"))).toEqual([
      "attention",
      "attentionTangent",
    ]);
    expect(ops(vjpOf(fused)).filter((op) => op.startsWith("attention"))).toEqual([
      "attention",
      "attentionTranspose",
    ]);
    for (const p of [jvpOf(fused), vjpOf(fused)]) expect(ops(p)).not.toContain("dot");
    const inDirections = traced([...types, ...types, ...types], (q, k, v, dq, dk, dv, eq, ek, ev) => [
      jvp(
        (...dots: Tensor[]) =>
          jvp(
            (a: Tensor, b: Tensor, c: Tensor) => attention(a, b, c),
            [q, k, v] as [Tensor, Tensor, Tensor],
            dots as never,
          ).tangent,
        [dq, dk, dv] as Tensor[],
        [eq, ek, ev] as never,
      ).tangent,
    ]);
    expect(ops(inDirections)).not.toContain("dot");
  });
});

it("rows that see one key only copy its value, at any magnitude", () => {
  const p = traced(
    [
      { shape: [2, 1], dtype: "f32" },
      { shape: [2, 1], dtype: "f32" },
      { shape: [2, 1], dtype: "f32" },
    ],
    (q, k, v) => [
      attention(mul(q, 1e6) as T, k as T, v as T, { causal: true }),
      max(exp(mul(q, 0) as T)) as T,
    ],
  );
  const xs = randomLike(inputTypes(p), 7);
  expect(run(p, xs)[0]?.data[0]).toBeCloseTo(xs[2]?.data[0] as number, 12);
  expect(run(jvpOf(p), [...xs, ...tangentsFor(p, 8)]).every((t) => t.data.every(Number.isFinite))).toBe(true);
});
