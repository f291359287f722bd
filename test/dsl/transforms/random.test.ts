// Properties of the transforms on random well-typed programs. fast-check prints seed and path of a failure; run again with
// `{ seed, path }`. FLUXION_RUNS multiplies the number of programs.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { remat, scan, vjp } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { inputTypes, outputTypes } from "../../../src/dsl/program/program.ts";
import type { Program, RematPolicy } from "../../../src/dsl/program/program.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { arbitraryRun } from "../../support/random-program.ts";
import {
  asTensors,
  asTraced,
  cotangentsFor,
  differences,
  floatsOnly,
  floatValues,
  functionOf,
  gap,
  inner,
  jvpOf,
  linearizedOf,
  randomLike,
  row,
  run,
  runs,
  stacked,
  tangentsFor,
  traced,
  vjpOf,
  vmapOf,
  weighted,
} from "./harness.ts";
import type { Values } from "./harness.ts";

// Seconds by themselves; many times that on a busy machine or with FLUXION_RUNS.
vi.setConfig({ testTimeout: 600_000 });

const smooth = arbitraryRun({ differentiable: true, maxEquations: 12, minEquations: 5 });
const any = arbitraryRun({ maxEquations: 14, minEquations: 6 });

function forAll(
  arbitrary: typeof smooth,
  count: number,
  property: (program: Program, inputs: Values) => void,
): void {
  fc.assert(
    fc.property(arbitrary, ({ program, inputs }) => property(program, inputs)),
    { numRuns: runs(count) },
  );
}

/** The gradient of the weighted sum of outputs: (inputs, weights) -> cotangents of the float inputs. */
function gradOf(p: Program): Program {
  const types = inputTypes(weighted(p));
  const count = inputTypes(p).length;
  return traced(types, (...all) => {
    const loss = functionOf(weighted(p));
    const { pullback } = vjp((...xs: Tensor[]) => loss(...xs, ...all.slice(count)), ...all.slice(0, count));
    return floatsOnly(pullback(asTensors([prim.fill(1, { shape: [], dtype: "f32" })])));
  });
}

describe("random programs", () => {
  it("jvp equals central differences, and its value the function's", () => {
    forAll(smooth, 200, (p, xs) => {
      const us = tangentsFor(p, 1);
      const dual = run(jvpOf(p), [...xs, ...us]);
      const values = run(p, xs);
      expect(gap(dual.slice(0, values.length), values)).toBe(0);
      expect(gap(dual.slice(values.length), differences(p, xs, us))).toBeLessThan(1e-6);
    });
  });

  it("⟨Ju, w⟩ = ⟨u, Jᵀw⟩, and linearize equals jvp", () => {
    forAll(smooth, 250, (p, xs) => {
      const [us, ws] = [tangentsFor(p, 2), cotangentsFor(p, 3)];
      const values = run(p, xs);
      const tangents = run(jvpOf(p), [...xs, ...us]).slice(values.length);
      const backward = run(vjpOf(p), [...xs, ...ws]);
      expect(gap(backward.slice(0, values.length), values)).toBe(0);
      const [forwards, backwards] = [inner(tangents, ws), inner(us, backward.slice(values.length))];
      expect(Math.abs(forwards - backwards) / (1 + Math.abs(forwards))).toBeLessThan(1e-9);
      expect(gap(run(linearizedOf(p), [...xs, ...us]).slice(values.length), tangents)).toBeLessThan(1e-11);
    });
  });

  it("Hessians are symmetric, and forward over reverse, reverse over forward, reverse over reverse and differences agree", () => {
    forAll(arbitraryRun({ differentiable: true, maxEquations: 8, minEquations: 4 }), 130, (p, xs) => {
      const [us, vs, ws] = [tangentsFor(p, 4), tangentsFor(p, 5), cotangentsFor(p, 6)];
      const inputs = inputTypes(p);
      const floats = us.length;
      const g = gradOf(p);
      const zeroWeights = ws.map((w) => ({ ...w, data: w.data.map(() => 0) }));
      const forwardOverReverse = (dots: Values): Values =>
        run(jvpOf(g), [...xs, ...ws, ...dots, ...zeroWeights]).slice(floats);
      const hvp = forwardOverReverse(us);
      const [left, right] = [inner(forwardOverReverse(vs), us), inner(hvp, vs)];
      expect(Math.abs(left - right) / (1 + Math.abs(left))).toBeLessThan(1e-8);
      const reverseOverReverse = run(vjpOf(g), [...xs, ...ws, ...us]).slice(floats, 2 * floats);
      expect(gap(reverseOverReverse, hvp)).toBeLessThan(1e-9);
      // Reverse over forward: the gradient of ⟨Ju, w⟩ in x.
      const slope = traced([...inputTypes(weighted(p)), ...floatTypesOf(us)], (...all) => {
        const [x, w, u] = [
          all.slice(0, inputs.length),
          all.slice(inputs.length, all.length - floats),
          all.slice(all.length - floats),
        ];
        const pushed = (...at: Tensor[]): Tensor[] => {
          const dual = functionOf(jvpOf(weighted(p)))(...at, ...w, ...u, ...w.map((t) => zeroLike(t)));
          return [dual[1] as Tensor];
        };
        const { pullback } = vjp(pushed, ...x);
        return floatsOnly(pullback(asTensors([prim.fill(1, { shape: [], dtype: "f32" })])));
      });
      expect(gap(run(slope, [...xs, ...ws, ...us]), hvp)).toBeLessThan(1e-9);
      // The Hessian in finite differences needs the step to be larger than for first derivatives.
      const slow = differences(g, [...xs, ...ws], [...us, ...zeroWeights]);
      expect(gap(hvp, slow)).toBeLessThan(1e-5);
    });
  });

  it("remat changes no value and no derivative, under any policy", () => {
    const policies: readonly RematPolicy[] = ["nothing", "dots", "everything"];
    forAll(smooth, 70, (p, xs) => {
      const [us, ws] = [tangentsFor(p, 7), cotangentsFor(p, 8)];
      const forward = run(jvpOf(p), [...xs, ...us]);
      const backward = run(vjpOf(p), [...xs, ...ws]);
      const second = run(vjpOf(gradOf(p)), [...xs, ...ws, ...us]);
      for (const policy of policies) {
        const q = traced(inputTypes(p), (...ts) => remat(functionOf(p), policy)(...ts));
        expect(gap(run(jvpOf(q), [...xs, ...us]), forward)).toBeLessThan(1e-12);
        expect(gap(run(vjpOf(q), [...xs, ...ws]), backward)).toBeLessThan(1e-12);
        expect(gap(run(vjpOf(gradOf(q)), [...xs, ...ws, ...us]), second)).toBeLessThan(1e-9);
      }
    });
  });

  it("scan equals the unrolled loop: values, tangents, cotangents and second order", () => {
    fc.assert(
      fc.property(
        arbitraryRun({ differentiable: true, maxEquations: 8, minEquations: 4, nesting: 1 }),
        fc.boolean(),
        ({ program: p, inputs: xs }, reverse) => {
          // The program's first input is scanned over, the others are captured; what has the type of the last input is carried.
          const types = inputTypes(p);
          const [head, ...rest] = types as readonly [(typeof types)[number], ...typeof types];
          const carried =
            rest.length === 0 ? { shape: [], dtype: "f32" as const } : (rest.at(-1) as typeof head);
          const loopTypes = [{ shape: [3, ...head.shape], dtype: head.dtype }, ...rest, carried];
          const body = (c: Tensor, x: Tensor, captured: readonly Tensor[]): readonly [Tensor, Tensor[]] => {
            const inner_ = captured.length === 0 ? [] : [...captured.slice(0, -1), c];
            const ys = functionOf(p)(x, ...inner_);
            return [squashedMean(c, ys), ys];
          };
          const looped = traced(loopTypes, (...all) => {
            const [scanned, captured, start] = [all[0] as Tensor, all.slice(1, -1), all.at(-1) as Tensor];
            const [end, ys] = scan<Tensor, Tensor, Tensor[]>((c, x) => body(c, x, captured), start, scanned, {
              reverse,
            });
            return [end, ...ys];
          });
          const unrolled = traced(loopTypes, (...all) => {
            const [scanned, captured] = [
              asTraced([all[0] as Tensor])[0] as ReturnType<typeof asTraced>[number],
              all.slice(1, -1),
            ];
            let c = all.at(-1) as Tensor;
            const rows: Tensor[][] = [];
            for (const step of reverse ? [2, 1, 0] : [0, 1, 2]) {
              const x = asTensors([
                prim.reshape(prim.sliceAxis(scanned, 0, step, step + 1), head.shape),
              ])[0] as Tensor;
              const [next, ys] = body(c, x, captured);
              c = next;
              rows[step] = [...ys];
            }
            const columns = (rows[0] as Tensor[]).map((_, n) => {
              const parts = asTraced(rows.map((ys) => ys[n] as Tensor)).map((t) =>
                prim.reshape(t, [1, ...t.shape]),
              );
              return prim.concat(parts, 0);
            });
            return [c, ...asTensors(columns)];
          });
          const inputs = [
            ...stacked([xs, randomLike(types, 9), randomLike(types, 10)]).slice(0, 1),
            ...xs.slice(1),
            ...randomLike([carried], 11),
          ];
          const [us, ws] = [tangentsFor(looped, 12), cotangentsFor(looped, 13)];
          expect(gap(run(looped, inputs), run(unrolled, inputs))).toBeLessThan(1e-12);
          expect(
            gap(run(jvpOf(looped), [...inputs, ...us]), run(jvpOf(unrolled), [...inputs, ...us])),
          ).toBeLessThan(1e-10);
          expect(
            gap(run(vjpOf(looped), [...inputs, ...ws]), run(vjpOf(unrolled), [...inputs, ...ws])),
          ).toBeLessThan(1e-10);
          const [a, b] = [gradOf(looped), gradOf(unrolled)];
          expect(
            gap(run(vjpOf(a), [...inputs, ...ws, ...us]), run(vjpOf(b), [...inputs, ...ws, ...us])),
          ).toBeLessThan(1e-8);
        },
      ),
      { numRuns: runs(80) },
    );
  });

  it("vmap is a stack of single runs, for any op, dtype and value, with some inputs unbatched", () => {
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 7 }), ({ program: p, inputs }, mask) => {
        const unbatched =
          inputs.length === 1 ? [] : prim.range(inputs.length).filter((i) => i > 0 && (mask >> i) % 2 === 1);
        const others = [randomLike(inputTypes(p), 14, -2, 2), randomLike(inputTypes(p), 15, -2, 2)].map(
          (list) => list.map((x, i) => (unbatched.includes(i) ? (inputs[i] as typeof x) : x)),
        );
        const singles = [inputs, ...others];
        const batch = stacked(singles).map((x, i) => (unbatched.includes(i) ? (inputs[i] as typeof x) : x));
        const together = run(vmapOf(p, 3, unbatched), batch);
        singles.forEach((single, i) => expect(gap(row(together, i), run(p, single))).toBeLessThan(1e-9));
      }),
      { numRuns: runs(250) },
    );
  });

  it("vmap commutes with jvp and vjp, and nests", () => {
    forAll(arbitraryRun({ differentiable: true, maxEquations: 8, minEquations: 4 }), 100, (p, xs) => {
      const lists = [xs, randomLike(inputTypes(p), 16, -2, 2)];
      const [us, ws] = [
        lists.map((_, i) => tangentsFor(p, 17 + i)),
        lists.map((_, i) => cotangentsFor(p, 19 + i)),
      ];
      const batch = stacked(lists);
      const [u, w] = [us, ws].map((list) => stackedOrNothing(list)) as [Values, Values];
      const outer = run(vmapOf(jvpOf(p), 2), [...batch, ...u]);
      expect(gap(run(jvpOf(vmapOf(p, 2)), [...batch, ...u]), outer)).toBeLessThan(1e-11);
      lists.forEach((list, i) =>
        expect(gap(row(outer, i), run(jvpOf(p), [...list, ...(us[i] as Values)]))).toBeLessThan(1e-11),
      );
      const pulled = run(vmapOf(vjpOf(p), 2), [...batch, ...w]);
      expect(gap(run(vjpOf(vmapOf(p, 2)), [...batch, ...w]), pulled)).toBeLessThan(1e-11);
      const nested = run(vmapOf(vmapOf(p, 2), 2), stacked([batch, batch]));
      expect(gap(row(nested, 1), run(vmapOf(p, 2), batch))).toBeLessThan(1e-11);
    });
  });
});

const floatTypesOf = (values: Values) => floatValues(values).map(({ shape, dtype }) => ({ shape, dtype }));
const zeroLike = (t: Tensor): Tensor =>
  asTensors([prim.zeros(asTraced([t])[0] as ReturnType<typeof asTraced>[number])])[0] as Tensor;
const stackedOrNothing = (lists: readonly Values[]): Values =>
  (lists[0] as Values).length === 0 ? [] : stacked(lists);

/** tanh of the carry plus the mean of everything: keeps a carry of any type within (−1, 1). */
function squashedMean(c: Tensor, ys: readonly Tensor[]): Tensor {
  const carry = asTraced([c])[0] as ReturnType<typeof asTraced>[number];
  const sums = asTraced(floatsOnly(ys)).map((y) =>
    prim.scale(prim.cast(prim.reduceSum(y, prim.range(y.shape.length)), carry.dtype), 0.01),
  );
  const total = sums.reduce(prim.add);
  return asTensors([prim.tanh(prim.add(carry, prim.broadcast(total, carry.shape, [])))])[0] as Tensor;
}

it("the random programs have float inputs and outputs where derivatives are taken", () => {
  forAll(smooth, 20, (p) => {
    expect(inputTypes(p).every(({ dtype }) => dtype === "f32")).toBe(true);
    expect(outputTypes(p).every(({ dtype }) => dtype === "f32")).toBe(true);
  });
});
