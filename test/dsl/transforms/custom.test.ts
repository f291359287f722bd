// Custom derivative rules and everything that differentiates them; closures across levels; the API of the transforms over
// pytrees, places and keys.
import { describe, expect, it } from "vitest";
import {
  add,
  cos,
  customJvp,
  customVjp,
  div,
  einsum,
  exp,
  grad,
  greater,
  hessianVectorProduct,
  iota,
  jacfwd,
  jacrev,
  jvp,
  linearize,
  log,
  mul,
  ones,
  remat,
  scan,
  sin,
  square,
  stopGradient,
  sum,
  valueAndGrad,
  vjp,
  vmap,
  where,
  whileLoop,
  zeros,
} from "../../../src/dsl/index.ts";
import type { Shape, Tensor } from "../../../src/dsl/index.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { tensor } from "../../support/programs.ts";
import { differentiates, inputsOf, of } from "./differentiates.ts";
import { gap, jvpOf, run, vjpOf, vmapOf } from "./harness.ts";

/** Most shapes here are left to run time; the types of exact shapes are tested in test/dsl/types. */
type Vec = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;

describe("custom rules", () => {
  const plain = (x: Vec): Vec => log(add(1, exp(x)));
  const viaJvp = customJvp(plain, ([x], [dx]) => [plain(x), div(dx, add(1, exp(mul(x, -1))))]);
  const viaVjp = customVjp(
    plain,
    (x) => [plain(x), x] as const,
    (x, ct) => [div(ct, add(1, exp(mul(x, -1))))],
  );

  it("a rule that is the true derivative changes nothing, to second order, alone and in loops and batches", () => {
    for (const f of [plain, viaJvp, viaVjp]) {
      const p = of(["f32[3]"], (x: Vec) => [f(x)]);
      const looped = of(["f32[3]"], (x: Vec) => [
        ...scan((c: Vec, _: null): readonly [Vec, Vec] => [f(c), mul(c, c)], x, null, { length: 3 }),
      ]);
      differentiates(p);
      differentiates(looped);
      differentiates(vmapOf(p, 2));
      differentiates(vmapOf(looped, 2));
      differentiates(of(["f32[3]"], (x: Vec) => [remat(f)(x)]));
    }
  });

  it("rules are used where they should be", () => {
    const jvpRule = customJvp(
      (x: Vec) => sin(x),
      ([x], [dx]) => [sin(x), mul(dx, 7)],
    );
    const vjpRule = customVjp(
      (x: Vec) => sin(x),
      (x) => [sin(x), []] as const,
      (_, ct) => [mul(ct, 7)],
    );
    const at = tensor("f32[2]", [0, 1]);
    const ones_ = tensor("f32[2]", 1);
    expect(
      Array.from(run(jvpOf(of(["f32[2]"], (x: Vec) => [jvpRule(x)])), [at, ones_])[1]?.data ?? []),
    ).toEqual([7, 7]);
    expect(
      Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [jvpRule(x)])), [at, ones_])[1]?.data ?? []),
    ).toEqual([7, 7]);
    expect(
      Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [vjpRule(x)])), [at, ones_])[1]?.data ?? []),
    ).toEqual([7, 7]);
    expect(
      Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [remat(vjpRule)(x)])), [at, ones_])[1]?.data ?? []),
    ).toEqual([7, 7]);
    // Forward mode uses the function's own derivative.
    expect(run(jvpOf(of(["f32[2]"], (x: Vec) => [vjpRule(x)])), [at, ones_])[1]?.data[1]).toBeCloseTo(
      Math.cos(1),
      12,
    );
  });

  it("reverse over reverse through customVjp differentiates the backward rule", () => {
    // The backward rule says x³, so the second derivative is 3x², whatever the function is.
    const f = customVjp(
      (x: Vec) => sin(x),
      (x) => [sin(x), x] as const,
      (x, ct) => [mul(ct, mul(x, mul(x, x)))],
    );
    const p = of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(grad((z: Vec) => sum(f(z)))(y)))(x)]);
    expect(gap(run(p, [tensor("f32[2]", [2, 3])]), [tensor("f32[2]", [12, 27])])).toBeLessThan(1e-12);
  });

  it("a customJvp rule written with jvp of a scan can be reversed", () => {
    const f = (x: Vec): Vec =>
      scan((c: Vec, _: null): readonly [Vec, null] => [sin(mul(c, c)), null], x, null, { length: 3 })[0];
    const custom = customJvp(f, (xs, dots) => {
      const { value, tangent } = jvp(f, xs, dots);
      return [value, tangent];
    });
    differentiates(of(["f32[3]"], (x: Vec) => [custom(x)]));
  });

  it("a customVjp makes a loop without reverse mode differentiable", () => {
    // Newton's iteration for √a, differentiated implicitly.
    const root = (a: Scalar): Scalar =>
      whileLoop(
        (v: Scalar) => greater(square(v), add(a, 1e-12)),
        (v: Scalar) => mul(0.5, add(v, div(a, v))),
        add(a, 1),
      );
    const f = customVjp(
      root,
      (a) => {
        const y = root(a);
        return [y, y] as const;
      },
      (y, ct) => [div(ct, mul(2, y))],
    );
    const one = () => ones([]);
    const p = of(["f32[]"], (a: Scalar) => {
      const { value, grad: slope } = valueAndGrad(f)(a);
      const looped = scan((c: Scalar, _: null): readonly [Scalar, null] => [f(c), null], a, null, {
        length: 2,
      });
      const nested = grad(
        (b: Scalar) =>
          scan((c: Scalar, _: null): readonly [Scalar, null] => [f(c), null], b, null, { length: 2 })[0],
      )(a);
      return [value, slope, jvp((b: Scalar) => grad(f)(b), [a], [one()]).tangent, looped[0], nested];
    });
    const results = run(p, [tensor("f32[]", [4])]).map((t) => t.data[0] as number);
    // √4, 1/(2√4), −1/(4·4^(3/2)) by forward over reverse, ⁴√4 and its derivative 1/4·4^(−3/4).
    [2, 0.25, -1 / 32, Math.SQRT2, 0.25 * 4 ** -0.75].forEach((want, i) =>
      expect(results[i]).toBeCloseTo(want, 9),
    );
  });

  it("refuses to differentiate what a rule captured, in a sentence", () => {
    const attempt = () =>
      of(["f32[2]", "f32[2]"], (x: Vec, w: Vec) => [
        grad((v: Vec) =>
          sum(
            customJvp(
              (y: Vec) => mul(y, v),
              ([y], [dy]) => [mul(y, v), mul(dy, v)],
            )(x),
          ),
        )(w),
      ]);
    expect(attempt).toThrow(
      /customJvp: the function uses a tensor from outside that is being differentiated; pass it as an argument/,
    );
  });

  it("a rule that is not linear in the tangents is refused in reverse mode", () => {
    const reversed = (rule: (x: Vec, dx: Vec) => Vec) => () => {
      const f = customJvp(
        (x: Vec) => x,
        ([x], [dx]) => [x, rule(x, dx)],
      );
      return of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(f(y)))(x)]);
    };
    expect(reversed((_, dx) => mul(dx, dx))).toThrow(
      /mul is not linear here .* must be linear in the tangents\n {4}at .*custom\.test\.ts:\d+:\d+/s,
    );
    expect(reversed((_, dx) => sin(dx))).toThrow(/sin is not linear here/);
    expect(reversed((x, dx) => div(x, dx))).toThrow(/div is not linear here/);
    expect(reversed((_, dx) => einsum("i,i,->i", dx, dx, ones([])))).toThrow(/dot is not linear here/);
  });

  it("integer arguments of custom rules", () => {
    type Int = Tensor<[], "i32">;
    const scaled = (x: Vec, k: Int): Vec => mul(x, where(greater(k, 0), ones([]), 3));
    const pick = customVjp(
      scaled,
      (x, k) => [scaled(x, k), k] as const,
      (k, ct) => [scaled(ct, k), zeros([], "i32")],
    );
    const rule = customJvp(scaled, ([x, k], [dx]) => [scaled(x, k), scaled(dx, k)]);
    for (const f of [pick, rule]) {
      for (const k of [0, 1])
        differentiates(
          of(["f32[2]", "i32[]"], (x: Vec, n: Int) => [f(x, n)]),
          [tensor("f32[2]", [1, 2]), tensor("i32[]", [k])],
        );
    }
  });
});

describe("closures across levels", () => {
  it("an outer tensor used in grad of grad of a scan body", () => {
    differentiates(
      of(["f32[2]", "f32[2]"], (a: Vec, b: Vec) => {
        const inside = (x: Vec): Scalar =>
          sum(
            scan((c: Vec, _: null): readonly [Vec, null] => [add(mul(sin(c), a), mul(b, x)), null], x, null, {
              length: 2,
            })[0],
          );
        const slope = (x: Vec): Scalar => sum(mul(grad(inside)(x), a));
        return [grad(slope)(b), grad((y: Vec) => sum(mul(grad(slope)(y), a)))(b)];
      }),
    );
  });

  it("vmap inside grad inside vmap, with captures at every level", () => {
    differentiates(
      of(["f32[3,2]", "f32[2]", "f32[]"], (rows: Vec, w: Vec, s: Scalar) => {
        const outer = vmap((r: Vec) =>
          grad((v: Vec) => sum(vmap((e: Vec) => mul(sin(mul(e, s)), sum(mul(v, r))))(v)))(w),
        );
        return [outer(rows)];
      }),
    );
  });

  it("nested jvps do not confuse their perturbations", () => {
    // d/dx [x · d/dy (x + y)] = 1: the classic test.
    const p = of(["f32[]"], (x: Scalar) => {
      const one = ones([]);
      const f = (a: Scalar): Scalar => mul(a, jvp((b: Scalar) => add(a, b), [one], [one]).tangent);
      return [
        jvp(f, [x], [one]).tangent,
        grad((a: Scalar) => mul(a, grad((b: Scalar) => add(a, b))(one)))(x),
      ];
    });
    expect(run(p, [tensor("f32[]", [3])]).map((t) => t.data[0])).toEqual([1, 1]);
  });

  it("pullback and pushforward can be called several times, and inside other functions", () => {
    const p = of(["f32[2]", "f32[2]", "f32[3,2]"], (x: Vec, u: Vec, cts: Vec) => {
      const { pullback } = vjp((y: Vec) => sin(mul(y, y)), x);
      const { pushforward } = linearize((y: Vec) => sin(mul(y, y)), x);
      const rows = vmap((ct: Vec) => pullback(ct)[0])(cts);
      const loops = scan(
        (c: Vec, ct: Vec): readonly [Vec, Vec] => [add(c, pullback(ct)[0]), pushforward(ct)],
        u,
        cts,
      );
      return [pushforward(u), pullback(u)[0], rows, ...loops];
    });
    differentiates(p);
  });
});

describe("other", () => {
  it("stopGradient stops in every mode", () => {
    const f = (x: Vec): Scalar => sum(mul(x, stopGradient(sin(x))));
    const p = of(["f32[2]"], (x: Vec) => [
      grad(f)(x),
      jvp(f, [x], [ones([2])]).tangent,
      hessianVectorProduct(f, x, ones([2])),
      vmap((y: Vec) => grad(f)(y))(mul(x, ones([2, 2]))),
    ]);
    const s = [0.3, 2].map(Math.sin) as [number, number];
    expect(
      gap(run(p, [tensor("f32[2]", [0.3, 2])]), [
        tensor("f32[2]", s),
        tensor("f32[]", [s[0] + s[1]]),
        tensor("f32[2]", 0),
        tensor("f32[2,2]", [...s, ...s]),
      ]),
    ).toBeLessThan(1e-12);
  });

  it("jacfwd = jacrev, for outputs and inputs of any rank", () => {
    const functions: readonly (readonly [string, (x: Vec) => Vec])[] = [
      ["f32[3]", (x) => sin(mul(x, sum(x)))],
      ["f32[2,3]", (x) => einsum("i j, k j -> i k", x, exp(mul(x, 0.1)))],
      ["f32[]", (x) => mul(sin(x), ones([2, 2]))],
      ["f32[2,2]", (x) => sum(mul(x, cos(x)))],
    ];
    for (const [shape, f] of functions) {
      const [forwards, backwards] = [jacfwd, jacrev].map((jacobian) =>
        of([shape], (x: Vec) => [jacobian(f)(x)]),
      ) as [Program, Program];
      expect(gap(run(forwards, inputsOf(forwards)), run(backwards, inputsOf(backwards)))).toBeLessThan(1e-12);
      differentiates(forwards);
      differentiates(backwards);
    }
  });

  it("integers in pytrees: no tangent in, zeros out", () => {
    const p = of(["f32[2]", "i32[2]"], (x: Vec, k: Tensor<Shape, "i32">) => {
      const f = (tree: { x: Vec; at: readonly [Tensor<Shape, "i32">] }) => ({
        y: sin(tree.x),
        k: add(tree.at[0], 1),
      });
      const tree = { x: x, at: [k] as const };
      const forward = jvp(f, [tree], [{ x: ones([2]), at: [null] }]);
      const { value, pullback } = vjp(f, tree);
      const [back] = pullback({ y: ones([2]), k: null });
      return [forward.value.k, forward.tangent.y, forward.tangent.k, value.y, back.x, back.at[0]];
    });
    expect(
      gap(run(p, [tensor("f32[2]", [0, 0]), tensor("i32[2]", [4, 5])]), [
        tensor("i32[2]", [5, 6]),
        tensor("f32[2]", 1),
        tensor("i32[2]", 0),
        tensor("f32[2]", 0),
        tensor("f32[2]", 1),
        tensor("i32[2]", 0),
      ]),
    ).toBe(0);
  });

  it("grad with respect to places and keys, with values carried along", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, y: Vec) => {
      const f = (a: Vec, b: Vec) => [sum(mul(a, square(b))), { aux: b, n: iota([2]) }] as const;
      const first = valueAndGrad(f)(x, y);
      const second = valueAndGrad(f, 1)(x, y);
      const keyed = grad((input: { a: Vec; b: Vec }) => f(input.a, input.b)[0], "b")({ a: x, b: y });
      return [first.value[0], first.value[1].aux, first.value[1].n, first.grad, second.grad, keyed];
    });
    expect(
      gap(run(p, [tensor("f32[2]", [1, 2]), tensor("f32[2]", [3, 4])]), [
        tensor("f32[]", [41]),
        tensor("f32[2]", [3, 4]),
        tensor("i32[2]", [0, 1]),
        tensor("f32[2]", [9, 16]),
        tensor("f32[2]", [6, 16]),
        tensor("f32[2]", [6, 16]),
      ]),
    ).toBe(0);
  });
});
