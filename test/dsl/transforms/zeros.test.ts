// Symbolic zeros and residuals: what transforms must not write down. The programs are shown as they print, uncleaned.
import { describe, expect, it } from "vitest";
import {
  add,
  argmax,
  attention,
  cast,
  exp,
  floor,
  grad,
  jvp,
  matmul,
  mul,
  remat,
  scan,
  sign,
  sin,
  stopGradient,
  sum,
  tanh,
  vjp,
} from "../../../src/dsl/index.ts";
import type { Shape, Tensor } from "../../../src/dsl/index.ts";
import { print } from "../../../src/dsl/program/print.ts";
import type { OpKind, Program, RematPolicy } from "../../../src/dsl/program/program.ts";
import { type } from "../../support/programs.ts";
import { traced } from "./harness.ts";

type Vec = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;
const of = (types: readonly string[], f: (...xs: never[]) => readonly Tensor[]): Program =>
  traced(types.map(type), f as never);
const count = (p: Program, op: OpKind): number => p.equations.filter((equation) => equation.op === op).length;

describe("symbolic zeros", () => {
  it("null tangents emit nothing", () => {
    const p = of(["f32[2]", "f32[2]", "f32[2]"], (x: Vec, y: Vec, dx: Vec) => [
      jvp((a: Vec, b: Vec) => mul(sin(a), exp(mul(b, tanh(b)))), [x, y], [dx, null]).tangent,
    ]);
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2], %1: f32[2], %2: f32[2]) {
        %3: f32[2] = sin %0
        %4: f32[2] = cos %0
        %5: f32[2] = mul %2 %4
        %6: f32[2] = tanh %1
        %7: f32[2] = mul %1 %6
        %8: f32[2] = exp %7
        %9: f32[2] = mul %3 %8
        %10: f32[2] = mul %5 %8
        return %10
      }
      "
    `);
  });

  it("all tangents null: the function and a zero", () => {
    const p = of(["f32[2]"], (x: Vec) => [jvp((a: Vec) => tanh(sin(a)), [x], [null]).tangent]);
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2]) {
        %1: f32[2] = sin %0
        %2: f32[2] = tanh %1
        %3: f32[2] = constant shape=[2] dtype=f32 values=0
        return %3
      }
      "
    `);
  });

  it("a stopped value has no tangent equations", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, dx: Vec) => [
      jvp((a: Vec) => mul(a, exp(stopGradient(sin(a)))), [x], [dx]).tangent,
    ]);
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2], %1: f32[2]) {
        %2: f32[2] = sin %0
        %3: f32[2] = cos %0
        %4: f32[2] = mul %1 %3
        %5: f32[2] = stopGradient %2
        %6: f32[2] = exp %5
        %7: f32[2] = mul %0 %6
        %8: f32[2] = mul %1 %6
        return %8
      }
      "
    `);
  });

  it("flat functions, comparisons and integers have none either", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, dx: Vec) => {
      const f = (a: Vec): Vec => mul(a, add(floor(a), add(sign(a), cast(argmax(a, 0), "f32"))));
      return [jvp(f, [x], [dx]).tangent];
    });
    // One product with the direction; nothing is added to it.
    expect(p.equations.map(({ op }) => op)).toEqual([
      "floor",
      "sign",
      "argmax",
      "cast",
      "broadcast",
      "add",
      "add",
      "mul",
      "mul",
    ]);
  });

  it("a gradient needs nothing of what does not depend on its argument", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, y: Vec) => [grad((a: Vec) => sum(mul(a, exp(sin(y)))))(x)]);
    expect(count(p, "cos")).toBe(0);
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2], %1: f32[2]) {
        %2: f32[2] = sin %1
        %3: f32[2] = exp %2
        %4: f32[2] = mul %0 %3
        %5: f32[] = reduceSum axes=[0] %4
        %6: f32[] = constant shape=[] dtype=f32 values=1
        %7: f32[2] = broadcast shape=[2] dims=[] %6
        %8: f32[2] = mul %7 %3
        return %8
      }
      "
    `);
  });

  it("a scan carries tangents only for what has some", () => {
    const p = of(["f32[2]", "f32[2]", "f32[2]"], (x: Vec, y: Vec, dx: Vec) => {
      const f = (a: Vec): readonly Vec[] => {
        const [[end, other]] = scan(
          ([c, d]: readonly [Vec, Vec]): readonly [readonly [Vec, Vec], null] => [[mul(c, d), sin(d)], null],
          [a, y],
          null,
          { length: 3 },
        );
        return [end, other];
      };
      return jvp(f, [x], [dx]).tangent;
    });
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2], %1: f32[2], %2: f32[2]) {
        %3: f32[2], %4: f32[2], %5: f32[2] = scan length=3 consts=0 carry=3 reverse=false body=(%0: f32[2], %1: f32[2], %2: f32[2]) {
          %3: f32[2] = mul %0 %1
          %4: f32[2] = mul %2 %1
          %5: f32[2] = sin %1
          return %3 %5 %4
        } %0 %1 %2
        %6: f32[2] = constant shape=[2] dtype=f32 values=0
        return %5 %6
      }
      "
    `);
  });
});

describe("residuals", () => {
  it("of a scan in reverse mode: only what the derivative needs, constants and loop inputs not among them", () => {
    const p = of(["f32[2,2]", "f32[2,2]", "f32[3,2,2]"], (w: Vec, h: Vec, xs: Vec) => {
      const loss = (weights: Vec): Scalar =>
        sum(
          scan(
            (c: Vec, x: Vec): readonly [Vec, null] => [tanh(mul(matmul(weights, mul(c, 2)), x)), null],
            h,
            xs,
          )[0],
        );
      return [grad(loss)(w)];
    });
    expect(print(p)).toMatchInlineSnapshot(`
      "program (%0: f32[2,2], %1: f32[2,2], %2: f32[3,2,2]) {
        %3: f32[2,2], %4: f32[3,2,2], %5: f32[3,2,2] = scan length=3 consts=1 carry=1 reverse=false body=(%0: f32[2,2], %1: f32[2,2], %2: f32[2,2]) {
          %3: f32[2,2] = constant shape=[2,2] dtype=f32 values=2
          %4: f32[2,2] = mul %1 %3
          %5: f32[2,2] = dot lhsBatch=[] rhsBatch=[] lhsContract=[1] rhsContract=[0] %0 %4
          %6: f32[2,2] = mul %5 %2
          %7: f32[2,2] = tanh %6
          %8: f32[2,2] = mul %7 %7
          %9: f32[2,2] = constant shape=[2,2] dtype=f32 values=1
          %10: f32[2,2] = sub %9 %8
          return %7 %4 %10
        } %0 %1 %2
        %6: f32[2,2] = constant shape=[2,2] dtype=f32 values=0
        %7: f32[] = reduceSum axes=[0,1] %3
        %8: f32[] = constant shape=[] dtype=f32 values=1
        %9: f32[2,2] = constant shape=[2,2] dtype=f32 values=0
        %10: f32[2,2] = broadcast shape=[2,2] dims=[] %8
        %11: f32[2,2] = constant shape=[2,2] dtype=f32 values=0
        %12: f32[2,2], %13: f32[2,2] = scan length=3 consts=1 carry=2 reverse=true body=(%0: f32[2,2], %1: f32[2,2], %2: f32[2,2], %3: f32[2,2], %4: f32[2,2], %5: f32[2,2]) {
          %6: f32[2,2] = constant shape=[2,2] dtype=f32 values=2
          %7: f32[2,2] = mul %2 %5
          %8: f32[2,2] = mul %7 %4
          %9: f32[2,2] = dot lhsBatch=[] rhsBatch=[] lhsContract=[0] rhsContract=[0] %8 %0
          %10: f32[2,2] = transpose perm=[1,0] %9
          %11: f32[2,2] = dot lhsBatch=[] rhsBatch=[] lhsContract=[1] rhsContract=[1] %8 %3
          %12: f32[2,2] = mul %10 %6
          %13: f32[2,2] = add %1 %11
          return %13 %12
        } %0 %11 %10 %4 %2 %5
        return %12
      }
      "
    `);
  });

  it("of remat: the policy dots recomputes neither products nor attention, the policy nothing both", () => {
    const ops = (policy: RematPolicy): readonly OpKind[] => {
      const p = of(["f32[3,2]", "f32[2,2]"], (x: Vec, w: Vec) => {
        const layer = remat((a: Vec, b: Vec): Vec => {
          const h = matmul(tanh(a), b);
          return tanh(attention(h, h, h));
        }, policy);
        return [grad((b: Vec) => sum(layer(x, b)))(w)];
      });
      const recomputing = p.equations.filter(({ op }) => op === "remat").at(-1);
      if (recomputing?.op !== "remat") throw new Error("a remat was expected");
      return recomputing.params.body.equations
        .map(({ op }) => op)
        .filter((op) => op === "dot" || op === "attention");
    };
    // The dot that stays is the cotangent's.
    expect(ops("dots")).toEqual(["dot"]);
    expect(ops("nothing").toSorted()).toEqual(["attention", "dot", "dot"]);
  });

  it("of a pullback: shared by all its calls", () => {
    const p = of(["f32[2]", "f32[2]", "f32[2]"], (x: Vec, a: Vec, b: Vec) => {
      const { pullback } = vjp((y: Vec) => sin(exp(y)), x);
      return [pullback(a)[0], pullback(b)[0]];
    });
    expect([count(p, "exp"), count(p, "cos"), count(p, "sin")]).toEqual([1, 1, 1]);
  });
});
