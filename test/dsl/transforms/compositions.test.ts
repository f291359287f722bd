// Random sequences of transforms, to depth three, of random programs. Every transform here has two forms that must agree: the
// one under test, and one composed of other transforms (a jvp as the transpose of a transpose, a gradient from forward-mode
// columns, a batch or a loop written out). FLUXION_RUNS multiplies the number of programs.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { jvp, linearize, remat, scan, vjp, vmap } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { inputTypes, outputTypes, sizeOf } from "../../../src/dsl/program/program.ts";
import type { Program, RematPolicy, TensorType } from "../../../src/dsl/program/program.ts";
import { emitOne } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import {
  asTensors,
  asTraced,
  differences,
  functionOf,
  gap,
  randomLike,
  run,
  runs,
  stacked,
  tangentsFor,
  traced,
} from "./harness.ts";
import type { Values } from "./harness.ts";

// Seconds by themselves; many times that on a busy machine or with FLUXION_RUNS.
vi.setConfig({ testTimeout: 600_000 });

interface Transform {
  readonly name: string;
  /** The transform under test. */
  readonly fast: (p: Program) => Program;
  /** An equal program, made in another way. */
  readonly slow: (p: Program) => Program;
}

type F = (...xs: Tensor[]) => Tensor[];

/** Fixed values as constants of the program being traced. */
const constants = (values: Values): Tensor[] =>
  asTensors(
    values.map(({ shape, dtype, data }) =>
      emitOne("constant", [], { shape, dtype, values: Array.from(data) }),
    ),
  );

const same = (p: Program, f: F): Program => traced(inputTypes(p), f);
const directions = (p: Program): Values => randomLike(inputTypes(p), 31);
const weights = (p: Program): Values => randomLike(outputTypes(p), 32);
const dotProduct = (xs: readonly Tensor[], ys: readonly Tensor[]): Tensor => {
  const terms = asTraced(xs).map((x, i) => {
    const product = prim.mul(x, asTraced(ys)[i] as typeof x);
    return prim.reduceSum(product, prim.range(product.shape.length));
  });
  return asTensors([terms.reduce(prim.add)])[0] as Tensor;
};
const one = (): Tensor => asTensors([prim.fill(1, { shape: [], dtype: "f32" })])[0] as Tensor;
const zerosOf = (types: readonly TensorType[]): Tensor[] => asTensors(types.map(prim.zeros));

const pushForward: Transform["fast"] = (p) =>
  same(p, (...xs) => {
    const { value, tangent } = jvp(functionOf(p), xs, constants(directions(p)));
    return [...value, ...tangent];
  });

/** Ju is the derivative of w ↦ ⟨Jᵀw, u⟩. */
const pushByTransposes: Transform["fast"] = (p) =>
  same(p, (...xs) => {
    const { value, pullback } = vjp(functionOf(p), ...xs);
    const along = (...ws: Tensor[]): Tensor => dotProduct(pullback(ws), constants(directions(p)));
    return [...value, ...vjp(along, ...zerosOf(outputTypes(p))).pullback(one())];
  });

const gradient: Transform["fast"] = (p) =>
  same(p, (...xs) =>
    vjp((...ys: Tensor[]) => dotProduct(functionOf(p)(...ys), constants(weights(p))), ...xs).pullback(one()),
  );

/** Entry by entry: the derivative along every basis vector, batched. */
const gradientByColumns: Transform["fast"] = (p) =>
  same(p, (...xs) =>
    xs.map((x, place) => {
      const n = sizeOf(x.shape);
      const [rows, columns] = [0, 1].map((axis) => prim.iota([n, n], "i32", axis)) as [
        ReturnType<typeof prim.iota>,
        ReturnType<typeof prim.iota>,
      ];
      const basis = asTensors([
        prim.reshape(prim.cast(prim.equal(rows, columns), "f32"), [n, ...x.shape]),
      ])[0] as Tensor;
      const along = (dot: Tensor): Tensor => {
        const only = (y: Tensor): Tensor =>
          dotProduct(
            functionOf(p)(...xs.map((other, i) => (i === place ? y : other))),
            constants(weights(p)),
          );
        return jvp(only, [x], [dot]).tangent;
      };
      const entries = vmap(along)(basis) as Tensor;
      return asTensors([
        prim.reshape(asTraced([entries])[0] as ReturnType<typeof prim.iota>, x.shape),
      ])[0] as Tensor;
    }),
  );

const shifted = (xs: readonly Tensor[], by: number): Tensor[] =>
  asTensors(asTraced(xs).map((x) => prim.add(x, prim.fill(by, x))));
const pile = (lists: readonly (readonly Tensor[])[]): Tensor[] =>
  (lists[0] as readonly Tensor[]).map((_, n) => {
    const parts = asTraced(lists.map((list) => list[n] as Tensor)).map((t) =>
      prim.reshape(t, [1, ...t.shape]),
    );
    return asTensors([prim.concat(parts, 0)])[0] as Tensor;
  });
const squashed = (xs: readonly Tensor[]): Tensor[] => asTensors(asTraced(xs).map(prim.tanh));

/** (x, tanh x) as a batch of two. */
const batch: Transform["fast"] = (p) =>
  same(p, (...xs) => vmap(functionOf(p))(...pile([xs, squashed(xs)])) as Tensor[]);
const batchWritten: Transform["fast"] = (p) =>
  same(p, (...xs) => pile([functionOf(p)(...xs), functionOf(p)(...squashed(xs))]));

/** Three steps of x ← tanh(x + mean of outputs), with the outputs and the first input's slices piled up. */
function step(p: Program, xs: readonly Tensor[]): readonly [Tensor[], Tensor[]] {
  const ys = functionOf(p)(...xs);
  const total = prim.scale(
    asTraced([dotProduct(ys, constants(weights(p)))])[0] as ReturnType<typeof prim.iota>,
    0.1,
  );
  return [squashed(asTensors(asTraced(xs).map((x) => prim.add(x, prim.broadcast(total, x.shape, []))))), ys];
}
const loop: Transform["fast"] = (p) =>
  same(p, (...xs) => {
    const [end, ys] = scan((c: Tensor[], _: null): readonly [Tensor[], Tensor[]] => step(p, c), xs, null, {
      length: 2,
    });
    return [...end, ...(ys as Tensor[])];
  });
const loopWritten: Transform["fast"] = (p) =>
  same(p, (...xs) => {
    const [middle, first] = step(p, xs);
    const [end, second] = step(p, middle);
    return [...end, ...pile([first, second])];
  });

const rematerialized = (policy: RematPolicy): Transform => ({
  name: `remat ${policy}`,
  fast: (p) => same(p, remat(functionOf(p), policy)),
  slow: (p) => p,
});

const TRANSFORMS: readonly Transform[] = [
  { name: "jvp", fast: pushForward, slow: pushByTransposes },
  {
    name: "linearize",
    fast: (p) =>
      same(p, (...xs) => {
        const { value, pushforward } = linearize(functionOf(p), ...xs);
        return [...value, ...pushforward(...constants(directions(p)))];
      }),
    slow: pushForward,
  },
  { name: "grad", fast: gradient, slow: gradientByColumns },
  { name: "vmap", fast: batch, slow: batchWritten },
  { name: "scan", fast: loop, slow: loopWritten },
  rematerialized("nothing"),
  rematerialized("dots"),
  {
    name: "shift",
    fast: (p) => same(p, (...xs) => functionOf(p)(...shifted(xs, 0.1))),
    slow: (p) => same(p, (...xs) => functionOf(p)(...shifted(shifted(xs, 0.3), -0.2))),
  },
];

const sequence = fc.array(fc.constantFrom(...TRANSFORMS), { minLength: 2, maxLength: 3 });
const smooth = arbitraryRun({
  differentiable: true,
  maxEquations: 7,
  minEquations: 3,
  maxInputs: 2,
  extents: [1, 2, 3],
});
const size = (p: Program): number =>
  [...inputTypes(p), ...outputTypes(p)].reduce((sum, { shape }) => sum + sizeOf(shape), 0);

/** The first float derivative of the composition along a direction, by differences: a check that knows no transform. */
function agreesWithDifferences(p: Program, xs: Values): void {
  const us = tangentsFor(p, 33);
  const pushed = traced(
    [...inputTypes(p), ...inputTypes(p)],
    (...all) => jvp(functionOf(p), all.slice(0, xs.length), all.slice(xs.length)).tangent,
  );
  expect(gap(run(pushed, [...xs, ...us]), differences(p, xs, us, 1e-3))).toBeLessThan(1e-5);
}

describe("compositions", () => {
  it("agree with the same sequence of other constructions, and with differences", () => {
    let count = 0;
    const property = fc.property(smooth, sequence, ({ program, inputs }, transforms) => {
      fc.pre(size(program) <= 60);
      const fast = transforms.reduce((p, { fast: apply }) => apply(p), program);
      const slow = transforms.reduce((p, { slow: apply }) => apply(p), program);
      expect(
        gap(run(fast, inputs), run(slow, inputs)),
        transforms.map(({ name }) => name).join(", "),
      ).toBeLessThan(1e-8);
      if (count++ % 3 === 0) agreesWithDifferences(fast, inputs);
    });
    fc.assert(property, { numRuns: runs(120) });
  });

  const fixed = traced(
    [
      { shape: [2], dtype: "f32" },
      { shape: [2], dtype: "f32" },
    ],
    (...xs) => {
      const [x, y] = asTraced(xs) as [ReturnType<typeof prim.iota>, ReturnType<typeof prim.iota>];
      return asTensors([prim.mul(prim.sin(prim.mul(x, y)), prim.exp(prim.scale(y, 0.3)))]);
    },
  );
  const at = randomLike(inputTypes(fixed), 34);

  it.each(TRANSFORMS.flatMap((a) => TRANSFORMS.map((b) => [`${a.name} of ${b.name}`, a, b] as const)))(
    "%s",
    (_, outer, inner) => {
      const [fast, slow] = [outer.fast(inner.fast(fixed)), outer.slow(inner.slow(fixed))];
      expect(gap(run(fast, at), run(slow, at))).toBeLessThan(1e-11);
      agreesWithDifferences(fast, at);
    },
  );

  it("four derivatives deep: the fourth directional derivative by jvps, by gradients and by differences", () => {
    const fourth = (kinds: readonly Transform["fast"][]): Values =>
      run(
        kinds.reduce((p, apply) => apply(p), fixed),
        at,
      ).slice(-1);
    const derivative: Transform["fast"] = (p) =>
      same(p, (...xs) => jvp(functionOf(p), xs, constants(directions(fixed))).tangent);
    const byTransposes: Transform["fast"] = (p) =>
      same(p, (...xs) => {
        const { pullback } = vjp(functionOf(p), ...xs);
        return vjp(
          (...ws: Tensor[]) => dotProduct(pullback(ws), constants(directions(fixed))),
          ...zerosOf(outputTypes(p)),
        ).pullback(one());
      });
    const expected = fourth([derivative, derivative, derivative, derivative]);
    expect(gap(fourth([derivative, byTransposes, derivative, byTransposes]), expected)).toBeLessThan(1e-11);
    expect(gap(fourth([byTransposes, byTransposes, derivative, derivative]), expected)).toBeLessThan(1e-11);
    const third = [derivative, derivative, derivative].reduce((p, apply) => apply(p), fixed);
    expect(gap(differences(third, at, directions(fixed)), expected)).toBeLessThan(1e-8);
    expect(stacked([expected])[0]?.shape).toEqual([1, 2]);
  });
});
