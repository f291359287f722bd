import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import type { AttentionParams } from "../../../src/dsl/program/program.ts";
import { program } from "../../support/programs.ts";

/** Shapes with batch and heads, fewer queries than keys, and a width of its own. */
const SHAPES = [
  [2, 2, 3, 2],
  [2, 2, 4, 2],
  [2, 2, 4, 3],
] as const;
const O = [2, 2, 3, 3] as const;
const LSE = [2, 2, 3] as const;
const text = (shape: readonly number[]): string => `f32[${shape.join(",")}]`;

const params = fc.record({
  scale: fc.constantFrom(1, 0.5, -0.7),
  softcap: fc.constantFrom(0, 1.5),
  causal: fc.boolean(),
});

/** Tensors of the given shapes, with values in [-2, 2]. */
const tensors = (shapes: readonly (readonly number[])[]): fc.Arbitrary<ExactTensor[]> =>
  fc.tuple(
    ...shapes.map((shape) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const value = fc.float({ min: -2, max: 2, noNaN: true });
      return fc
        .array(value, { minLength: size, maxLength: size })
        .map((values) => exactTensor("f32", shape, values));
    }),
  );

const forward = (p: AttentionParams, qkv: readonly ExactTensor[]): readonly ExactTensor[] =>
  interpret(
    program(SHAPES.map(text), (w, ...ids) => w.all("attention", ids, p)),
    qkv,
  );

function tangent(
  p: AttentionParams,
  qkv: readonly ExactTensor[],
  tangents: readonly ExactTensor[],
): readonly ExactTensor[] {
  const types = [...SHAPES, O, LSE, ...SHAPES].map(text);
  const run = program(types, (w, ...ids) => w.all("attentionTangent", ids, p));
  return interpret(run, [...qkv, ...forward(p, qkv), ...tangents]);
}

function transpose(
  p: AttentionParams,
  qkv: readonly ExactTensor[],
  cotangents: readonly ExactTensor[],
): readonly ExactTensor[] {
  const types = [...SHAPES, O, LSE, O, LSE].map(text);
  const run = program(types, (w, ...ids) => w.all("attentionTranspose", ids, p));
  return interpret(run, [...qkv, ...forward(p, qkv), ...cotangents]);
}

const flat = (list: readonly ExactTensor[]): number[] => list.flatMap(({ data }) => Array.from(data));
const inner = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

describe("attention and its companions", () => {
  it("the tangent is the derivative of attention", () => {
    fc.assert(
      fc.property(params, tensors(SHAPES), tensors(SHAPES), (p, qkv, direction) => {
        const h = 1e-5;
        const moved = (t: number): number[] =>
          flat(
            forward(
              p,
              qkv.map((x, n) =>
                exactTensor(
                  "f32",
                  x.shape,
                  Array.from(x.data, (v, i) => v + t * (direction[n]?.data[i] as number)),
                ),
              ),
            ),
          );
        const [above, below] = [moved(h), moved(-h)];
        flat(tangent(p, qkv, direction)).forEach((d, i) => {
          expect(Math.abs(d - ((above[i] as number) - (below[i] as number)) / (2 * h))).toBeLessThan(
            1e-6 * (1 + Math.abs(d)),
          );
        });
      }),
      { numRuns: 60 },
    );
  });

  it("the transpose is the adjoint of the tangent", () => {
    fc.assert(
      fc.property(
        params,
        tensors(SHAPES),
        tensors(SHAPES),
        tensors([O, LSE]),
        (p, qkv, direction, cotangents) => {
          const left = inner(flat(tangent(p, qkv, direction)), flat(cotangents));
          const right = inner(flat(direction), flat(transpose(p, qkv, cotangents)));
          expect(Math.abs(left - right)).toBeLessThan(1e-10 * (1 + Math.abs(left)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("a causal query does not see the keys behind it", () => {
    fc.assert(
      fc.property(tensors(SHAPES), (qkv) => {
        const p = { scale: 1, softcap: 0, causal: true };
        const [q, k, v] = qkv as [ExactTensor, ExactTensor, ExactTensor];
        // Of 4 keys and 3 queries, only the last query sees the last key of each slab.
        const hidden = (x: ExactTensor, width: number): ExactTensor =>
          exactTensor(
            "f32",
            x.shape,
            Array.from(x.data, (value, i) => (Math.floor(i / width) % 4 === 3 ? 1e3 : value)),
          );
        const [before, after] = [forward(p, [q, k, v])[0], forward(p, [q, hidden(k, 2), hidden(v, 3)])[0]];
        const seen = (o: ExactTensor | undefined): number[] =>
          Array.from(o?.data ?? []).filter((_, i) => Math.floor(i / 3) % 3 < 2);
        expect(seen(after)).toEqual(seen(before));
      }),
      { numRuns: 20 },
    );
  });
});
