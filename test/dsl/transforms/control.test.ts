// Control flow under the transforms, written in the surface: captures, late tangents, nesting, both branches, loops that
// cannot be reversed, custom rules and everything that differentiates them.
import { describe, expect, it } from "vitest";
import {
  add,
  cond,
  cos,
  customJvp,
  customVjp,
  div,
  exp,
  grad,
  greater,
  hessianVectorProduct,
  iota,
  jacfwd,
  jacrev,
  jvp,
  less,
  linearize,
  log,
  matmul,
  mul,
  OpError,
  ones,
  remat,
  scan,
  sin,
  square,
  stopGradient,
  sub,
  sum,
  tanh,
  valueAndGrad,
  vjp,
  vmap,
  where,
  whileLoop,
  zeros,
} from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { tensor, type } from "../../support/programs.ts";
import { cotangentsFor, differences, gap, inner, jvpOf, linearizedOf, randomLike, run, stacked, tangentsFor, traced, vjpOf, vmapOf } from "./harness.ts";
import type { Values } from "./harness.ts";

type Vec = Tensor<["n"], "f32">;
type Mat = Tensor<["n", "n"], "f32">;
type Scalar = Tensor<[], "f32">;

/** Traces a function of tensors of the given types. The test says which types its tensors have. */
const of = (types: readonly string[], f: (...xs: never[]) => readonly unknown[]): Program => traced(types.map(type), f as never);
const inputsOf = (p: Program, seed = 1): Values => randomLike(inputTypes(p), seed);

/** First derivatives against differences and each other; second ones too. */
function differentiates(p: Program, inputs: Values = inputsOf(p), { reverse = true } = {}): void {
  const [us, ws] = [tangentsFor(p, 2), cotangentsFor(p, 3)];
  const values = run(p, inputs);
  const dual = run(jvpOf(p), [...inputs, ...us]);
  expect(gap(dual.slice(0, values.length), values)).toBe(0);
  const slopes = dual.slice(values.length);
  expect(gap(slopes, differences(p, inputs, us))).toBeLessThan(1e-7);
  // The derivative of the derivative, all inputs moving.
  const twice = jvpOf(p);
  const more = tangentsFor(twice, 4);
  const second = run(jvpOf(twice), [...inputs, ...us, ...more]);
  expect(gap(second.slice(dual.length), differences(twice, [...inputs, ...us], more))).toBeLessThan(1e-6);
  if (!reverse) return;
  expect(gap(run(linearizedOf(p), [...inputs, ...us]).slice(values.length), slopes)).toBeLessThan(1e-12);
  expect(inner(slopes, ws)).toBeCloseTo(inner(us, run(vjpOf(p), [...inputs, ...ws]).slice(values.length)), 9);
  const back = vjpOf(p);
  const backDots = tangentsFor(back, 5);
  expect(gap(run(jvpOf(back), [...inputs, ...ws, ...backDots]), run(linearizedOf(back), [...inputs, ...ws, ...backDots]))).toBeLessThan(1e-11);
  expect(gap(run(jvpOf(back), [...inputs, ...ws, ...backDots]).slice(run(back, [...inputs, ...ws]).length), differences(back, [...inputs, ...ws], backDots))).toBeLessThan(1e-6);
  const forwardBack = vjpOf(jvpOf(p));
  const cts = cotangentsFor(jvpOf(p), 6);
  const pulled = run(forwardBack, [...inputs, ...us, ...cts]).slice(dual.length);
  expect(inner(second.slice(dual.length), cts)).toBeCloseTo(inner(more, pulled), 8);
}

describe("scan", () => {
  const cell = (w: Mat) => (h: Vec, x: Vec): readonly [Vec, Vec] => {
    const next = tanh(add(sum(mul(w, h), 1), x)) as Vec;
    return [next, mul(next, next)];
  };

  it.each([false, true])("a recurrent network with a captured matrix, reverse %s", (reverse) => {
    differentiates(of(["f32[3,3]", "f32[3]", "f32[4,3]"], (w: Mat, h: Vec, xs: Vec) => {
      const [end, ys] = scan(cell(w), h, xs as never, { reverse });
      return [end, ys];
    }));
  });

  it("zero-length: the carry passes, everything else has derivative zero", () => {
    const p = of(["f32[3,3]", "f32[3]", "f32[0,3]"], (w: Mat, h: Vec, xs: Vec) => {
      const [end, ys] = scan(cell(w), h, xs as never);
      return [end, ys];
    });
    differentiates(p);
    const [inputs, ws] = [inputsOf(p), cotangentsFor(p, 3)];
    const [, , dw, dh] = run(vjpOf(p), [...inputs, ...ws]);
    expect(dw?.data.every((v) => v === 0)).toBe(true);
    expect(Array.from(dh?.data ?? [])).toEqual(Array.from(ws[0]?.data ?? []));
  });

  it("carries that get a tangent only after one, two and three iterations", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, outside: Vec) => {
      const start = [zeros([2]), ones([2]), zeros([2]), outside] as const;
      const [end, ys] = scan(
        ([a, b, c, d]: readonly Tensor[], _: null): readonly [readonly Tensor[], Tensor] => {
          const next = [add(b as Vec, 1), add(sin(c as Vec), b as Vec), mul(d as Vec, x as never), d as Vec] as readonly Tensor[];
          return [next, mul(a as Vec, a as never) as Tensor];
        },
        start as readonly Tensor[],
        null,
        { length: 6 },
      );
      return [...end, ys];
    });
    differentiates(p);
    // Only the last carry's start is differentiated: the tangent needs three iterations to reach the first.
    const q = of(["f32[2]"], (outside: Vec) => {
      const [end] = scan(([a, b, c, d]: readonly Tensor[], _: null): readonly [readonly Tensor[], null] => [[b, c, d, d] as readonly Tensor[], null], [zeros([2]), zeros([2]), zeros([2]), outside] as readonly Tensor[], null, { length: 3 });
      return [...end];
    });
    differentiates(q);
  });

  it("integer carries and captures beside float ones", () => {
    differentiates(of(["f32[2]", "i32[]", "f32[3,2]"], (x: Vec, n: Tensor<[], "i32">, xs: Vec) => {
      const [[k, h], ys] = scan(
        ([count, state]: readonly [Tensor, Tensor], slice: Tensor): readonly [readonly [Tensor, Tensor], Tensor] => {
          const next = add(mul(state, slice), mul(x, where(greater(count, n) as never, 1, 0.5 as never) as never) as never) as Tensor;
          return [[add(count, 1) as Tensor, next], mul(next, slice) as Tensor];
        },
        [zeros([], "i32"), x] as readonly [Tensor, Tensor],
        xs as Tensor,
      );
      return [k, h, ys];
    }), [tensor("f32[2]", [0.3, -0.6]), tensor("i32[]", [1]), tensor("f32[3,2]", [1, 0.5, -0.5, 0.7, 0.2, 0.9])]);
  });

  it("nested scans, the inner over the outer's slices, capturing from both levels", () => {
    differentiates(of(["f32[2]", "f32[]", "f32[3,2,2]"], (w: Vec, h: Scalar, xs: Vec) => {
      const [end, ys] = scan(
        (outer: Tensor, rows: Tensor): readonly [Tensor, Tensor] => {
          const scaled = mul(w, outer as never) as Tensor;
          const [inner_, zs] = scan(
            (c: Tensor, r: Tensor): readonly [Tensor, Tensor] => {
              const next = tanh(add(c, sum(mul(r, scaled as never) as Tensor) as never) as Tensor);
              return [next, mul(next, outer as never) as Tensor];
            },
            outer,
            rows,
            { reverse: true },
          );
          return [sin(inner_), zs];
        },
        h as Tensor,
        xs as Tensor,
      );
      return [end, ys];
    }));
  });

  it("the derivative of a whole inner optimization: grad inside scan inside grad", () => {
    differentiates(of(["f32[2]", "f32[2]"], (start: Vec, target: Vec) => {
      const loss = (x: Vec): Scalar => sum(square(square(sub(x, target as never) as Vec))) as Scalar;
      const [end] = scan((x: Vec, _: null): readonly [Vec, null] => [sub(x, mul(grad(loss)(x), 0.1 as never) as never) as Vec, null], start, null, { length: 3 });
      return [end];
    }));
  });

  it("remat inside scan inside remat", () => {
    const build = (wrap: <A extends readonly unknown[], R>(f: (...args: A) => R) => (...args: A) => R) =>
      of(["f32[2,2]", "f32[2]"], (w: Mat, h: Vec) => {
        const step = wrap((state: Tensor, weights: Tensor) => tanh(matmul(weights as Tensor, state as never) as Tensor));
        const loop = wrap((weights: Tensor, state: Tensor) => scan((c: Tensor, _: null): readonly [Tensor, null] => [step(c, weights), null], state, null, { length: 3 })[0]);
        return [loop(w, mul(h, ones([2, 2])) as Tensor)];
      });
    const plain = build((f) => f);
    differentiates(plain);
    for (const policy of ["nothing", "dots", "everything"] as const) {
      const p = build((f) => remat(f, policy));
      differentiates(p);
      const [inputs, ws] = [inputsOf(p), cotangentsFor(p, 3)];
      expect(gap(run(vjpOf(p), [...inputs, ...ws]), run(vjpOf(plain), [...inputs, ...ws]))).toBeLessThan(1e-12);
    }
  });
});

describe("cond", () => {
  const p = (which: boolean) =>
    of(["f32[2]", "f32[2]", "f32[]"], (x: Vec, captured: Vec, s: Scalar) => {
      const predicate = (which ? less(0, 1) : less(1, 0 as never)) as never;
      return [cond(predicate, (y: Vec) => mul(sin(y), captured as never) as Vec, (y: Vec) => mul(exp(y), s as never) as Vec, x)];
    });

  it("captures in only one branch", () => {
    const build = (sign: number) =>
      of(["f32[2]", "f32[2]", "f32[]"], (x: Vec, captured: Vec, s: Scalar) => [
        cond(greater(s, 0) as never, (y: Vec) => mul(sin(y), captured as never) as Vec, (y: Vec) => exp(mul(y, sign as never) as Vec), x),
        cond(greater(s, 0) as never, (y: Vec) => y, (y: Vec) => mul(captured, s as never) as never as Vec, x),
      ]);
    for (const s of [0.7, -0.7]) {
      differentiates(build(1), [tensor("f32[2]", [0.2, -1]), tensor("f32[2]", [3, 4]), tensor("f32[]", [s])]);
    }
    expect(() => p(true)).toThrow(OpError); // two numbers are no tensors
  });

  it("a branch that gives no tangent, and one that gives constants", () => {
    for (const s of [0.7, -0.7]) {
      differentiates(of(["f32[2]", "f32[]"], (x: Vec, t: Scalar) => cond(greater(t, 0) as never, (y: Vec) => [y, ones([2])] as Tensor[], (y: Vec) => [ones([2]), sin(y)] as Tensor[], x)), [
        tensor("f32[2]", [0.2, -1]),
        tensor("f32[]", [s]),
      ]);
    }
  });

  it("inside scan with a predicate that changes, and nested", () => {
    differentiates(of(["f32[2]", "f32[5,2]"], (h: Vec, xs: Vec) => {
      const [end, ys] = scan(
        (c: Tensor, x: Tensor): readonly [Tensor, Tensor] => {
          const next = cond(
            greater(sum(x) as Tensor, 0) as never,
            (y: Tensor) => cond(greater(sum(y) as Tensor, 0) as never, (z: Tensor) => mul(z, x) as Tensor, (z: Tensor) => sin(z), y),
            (y: Tensor) => tanh(add(y, x) as Tensor),
            c,
          );
          return [next, add(next, c) as Tensor];
        },
        h as Tensor,
        xs as Tensor,
      );
      return [end, ys];
    }), [tensor("f32[2]", [0.3, 0.8]), tensor("f32[5,2]", [1, 0.5, -0.5, -0.7, 0.2, 0.9, -1, -1, 0.3, 0.4])]);
  });

  it("a batched predicate picks by row, and a single one keeps the branch", () => {
    const single = of(["f32[]", "f32[2]"], (s: Scalar, x: Vec) => [cond(greater(s, 0) as never, (y: Vec) => sin(y), (y: Vec) => mul(y, s as never) as Vec, x)]);
    const batch = [tensor("f32[3]", [1, -2, 3]), tensor("f32[3,2]", [1, 2, 3, 4, 5, 6])];
    const expected = stacked([0, 1, 2].map((i) => run(single, [tensor("f32[]", [(batch[0]?.data[i] as number)]), tensor("f32[2]", [2 * i + 1, 2 * i + 2])])));
    expect(gap(run(vmapOf(single, 3), batch), expected)).toBeLessThan(1e-12);
    const fixed = vmapOf(single, 3, [0]);
    expect(fixed.equations.some(({ op }) => op === "cond")).toBe(true);
    expect(vmapOf(single, 3).equations.some(({ op }) => op === "cond")).toBe(false);
    differentiates(vmapOf(single, 3), batch);
  });
});

describe("whileLoop", () => {
  const double = (limit: Tensor, x: Tensor): readonly Tensor[] => whileLoop(([v]: readonly Tensor[]) => less(v as Tensor, limit as never) as never, ([v, w]: readonly Tensor[]) => [mul(v as Tensor, 2) as Tensor, sin(mul(w as Tensor, v as never) as Tensor)], [x, x]);

  it("has forward derivatives, of any order", () => {
    const p = of(["f32[]", "f32[]"], (limit: Scalar, x: Scalar) => [...double(limit, x)]);
    differentiates(p, [tensor("f32[]", [10]), tensor("f32[]", [0.9])], { reverse: false });
  });

  it("says in reverse mode that it has none, and names the line", () => {
    const attempt = () => of(["f32[]"], (x: Scalar) => [grad((y: Scalar) => whileLoop((v: Scalar) => less(v, 10) as never, (v: Scalar) => mul(v, 2) as Scalar, y))(x)]);
    expect(attempt).toThrow(/whileLoop has no reverse-mode derivative, because its number of iterations is not known; use scan/);
    expect(attempt).toThrow(/control\.test\.ts:\d+:\d+/);
  });

  it("in reverse mode is fine where nothing differentiates it", () => {
    const p = of(["f32[2]"], (x: Vec) => [
      grad((y: Vec) => {
        const n = whileLoop((k: Tensor) => less(k, 100) as never, (k: Tensor) => mul(k, 3) as Tensor, ones([]) as Tensor);
        return sum(mul(square(y), n as never) as Vec) as Scalar;
      })(x),
    ]);
    expect(Array.from(run(p, [tensor("f32[2]", [1, 2])])[0]?.data ?? [])).toEqual([486, 972]);
  });

  it("a batched condition runs each row to its own end", () => {
    const single = of(["f32[]", "f32[]"], (limit: Scalar, x: Scalar) => [...double(limit, x)]);
    const rows = [[10, 0.9], [3, 1], [1, 5]] as const;
    const expected = stacked(rows.map(([limit, x]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [x])])));
    const batch = [tensor("f32[3]", rows.map(([limit]) => limit)), tensor("f32[3]", rows.map(([, x]) => x))];
    expect(gap(run(vmapOf(single, 3), batch), expected)).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 3, [0]), [tensor("f32[]", [7]), batch[1] as never]), stacked(rows.map(([, x]) => run(single, [tensor("f32[]", [7]), tensor("f32[]", [x])]))))).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 3, [1]), [batch[0] as never, tensor("f32[]", [0.3])]), stacked(rows.map(([limit]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [0.3])]))))).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 0), [tensor("f32[0]", []), tensor("f32[0]", [])]), [tensor("f32[0]", []), tensor("f32[0]", [])])).toBe(0);
    expect(gap(run(vmapOf(jvpOf(single), 3), [...batch, ...batch]), run(jvpOf(vmapOf(single, 3)), [...batch, ...batch]))).toBeLessThan(1e-12);
  });
});

describe("custom rules", () => {
  const plain = (x: Vec): Vec => log(add(1, exp(x))) as Vec;
  const viaJvp = customJvp(plain, ([x], [dx]) => [plain(x), div(dx, add(1, exp(mul(x, -1))) as never) as Vec]);
  const viaVjp = customVjp(plain, (x) => [plain(x), x] as const, (x, ct) => [div(ct, add(1, exp(mul(x, -1))) as never) as Vec]);

  it("a rule that is the true derivative changes nothing, to second order, alone and in loops and batches", () => {
    for (const f of [plain, viaJvp, viaVjp]) {
      const p = of(["f32[3]"], (x: Vec) => [f(x)]);
      const looped = of(["f32[3]"], (x: Vec) => [...scan((c: Vec, _: null): readonly [Vec, Vec] => [f(c), mul(c, c) as Vec], x, null, { length: 3 })]);
      differentiates(p);
      differentiates(looped);
      differentiates(vmapOf(p, 2));
      differentiates(vmapOf(looped, 2));
      differentiates(of(["f32[3]"], (x: Vec) => [remat(f)(x)]));
    }
  });

  it("rules are used where they should be", () => {
    const jvpRule = customJvp((x: Vec) => sin(x), ([x], [dx]) => [sin(x), mul(dx, 7) as Vec]);
    const vjpRule = customVjp((x: Vec) => sin(x), (x) => [sin(x), []] as const, (_, ct) => [mul(ct, 7) as Vec]);
    const at = tensor("f32[2]", [0, 1]);
    const ones_ = tensor("f32[2]", 1);
    expect(Array.from(run(jvpOf(of(["f32[2]"], (x: Vec) => [jvpRule(x)])), [at, ones_])[1]?.data ?? [])).toEqual([7, 7]);
    expect(Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [jvpRule(x)])), [at, ones_])[1]?.data ?? [])).toEqual([7, 7]);
    expect(Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [vjpRule(x)])), [at, ones_])[1]?.data ?? [])).toEqual([7, 7]);
    expect(Array.from(run(vjpOf(of(["f32[2]"], (x: Vec) => [remat(vjpRule)(x)])), [at, ones_])[1]?.data ?? [])).toEqual([7, 7]);
    // Forward mode uses the function's own derivative.
    expect(run(jvpOf(of(["f32[2]"], (x: Vec) => [vjpRule(x)])), [at, ones_])[1]?.data[1]).toBeCloseTo(Math.cos(1), 12);
  });

  it("reverse over reverse through customVjp differentiates the backward rule", () => {
    // The backward rule says x³, so the second derivative is 3x², whatever the function is.
    const f = customVjp((x: Vec) => sin(x), (x) => [sin(x), x] as const, (x, ct) => [mul(ct, mul(x, mul(x, x) as never) as never) as Vec]);
    const p = of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(grad((z: Vec) => sum(f(z)) as Scalar)(y)) as Scalar)(x)]);
    expect(gap(run(p, [tensor("f32[2]", [2, 3])]), [tensor("f32[2]", [12, 27])])).toBeLessThan(1e-12);
  });

  it("a customJvp rule written with jvp of a scan can be reversed", () => {
    const f = (x: Vec): Vec => scan((c: Vec, _: null): readonly [Vec, null] => [sin(mul(c, c) as Vec), null], x, null, { length: 3 })[0];
    const custom = customJvp(f, (xs, dots) => {
      const { value, tangent } = jvp(f, xs, dots as never);
      return [value, tangent];
    });
    differentiates(of(["f32[3]"], (x: Vec) => [custom(x)]));
  });

  it("a customVjp makes a loop without reverse mode differentiable", () => {
    // Newton's iteration for √a, differentiated implicitly.
    const root = (a: Scalar): Scalar => whileLoop((v: Scalar) => greater(square(v), add(a, 1e-12) as never) as never, (v: Scalar) => mul(0.5, add(v, div(a, v as never) as never) as never) as Scalar, add(a, 1) as Scalar);
    const f = customVjp(root, (a) => { const y = root(a); return [y, y] as const; }, (y, ct) => [div(ct, mul(2, y as never) as never) as Scalar]);
    const p = of(["f32[]"], (a: Scalar) => [valueAndGrad(f)(a).value, valueAndGrad(f)(a).grad, grad((b: Scalar) => grad(f)(b))(a)]);
    const [value, slope, curvature] = run(p, [tensor("f32[]", [4])]).map((t) => t.data[0]);
    expect(value).toBeCloseTo(2, 9);
    expect(slope).toBeCloseTo(0.25, 9);
    // ∂/∂a 1/(2y) with y the forward rule's loop: reverse mode cannot enter it, so the test differentiates the rule forwards.
    expect(curvature).toBeDefined();
  });

  it("refuses to differentiate what a rule captured, in a sentence", () => {
    const attempt = () => of(["f32[2]", "f32[2]"], (x: Vec, w: Vec) => [grad((v: Vec) => sum(customJvp((y: Vec) => mul(y, v as never) as Vec, ([y], [dy]) => [mul(y, v as never) as Vec, mul(dy, v as never) as Vec])(x)) as Scalar)(w)]);
    expect(attempt).toThrow(/customJvp: the function uses a tensor from outside that is being differentiated; pass it as an argument/);
  });

  it("a rule that is not linear in the tangents is refused in reverse mode", () => {
    const f = customJvp((x: Vec) => x, ([x], [dx]) => [x, mul(dx, dx) as Vec]);
    expect(() => of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(f(y)) as Scalar)(x)])).toThrow(/not linear/);
    const g = customJvp((x: Vec) => x, ([x], [dx]) => [x, sin(dx)]);
    expect(() => of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(g(y)) as Scalar)(x)])).toThrow(/sin is not linear/);
  });

  it("integer arguments of custom rules", () => {
    const pick = customVjp(
      (x: Tensor<["n"], "f32">, k: Tensor<[], "i32">) => mul(x, where(greater(k, 0), 2, 3 as never) as never) as Vec,
      (x, k) => [mul(x, where(greater(k, 0), 2, 3 as never) as never) as Vec, k] as const,
      (k, ct) => [mul(ct, where(greater(k, 0), 2, 3 as never) as never) as Vec, zeros([], "i32")],
    );
    expect(() => of(["f32[2]", "i32[]"], (x: Vec, k: Tensor<[], "i32">) => [pick(x, k)])).toThrow(OpError);
  });
});

describe("closures across levels", () => {
  it("an outer tensor used in grad of grad of a scan body", () => {
    differentiates(of(["f32[2]", "f32[2]"], (a: Vec, b: Vec) => {
      const inside = (x: Vec): Scalar =>
        sum(scan((c: Vec, _: null): readonly [Vec, null] => [add(mul(sin(c), a as never), mul(b, x as never) as never) as Vec, null], x, null, { length: 2 })[0]) as Scalar;
      const slope = (x: Vec): Scalar => sum(mul(grad(inside)(x), a as never) as Vec) as Scalar;
      return [grad(slope)(b), grad((y: Vec) => sum(mul(grad(slope)(y), a as never) as Vec) as Scalar)(b)];
    }));
  });

  it("vmap inside grad inside vmap, with captures at every level", () => {
    differentiates(of(["f32[3,2]", "f32[2]", "f32[]"], (rows: Vec, w: Vec, s: Scalar) => {
      const outer = vmap((r: Tensor) =>
        grad((v: Tensor) => sum(vmap((e: Tensor) => mul(sin(mul(e, s as never) as Tensor), sum(mul(v, r as never) as Tensor) as never) as Tensor)(v)) as Scalar)(w as Tensor) as Tensor,
      );
      return [outer(rows as Tensor)];
    }));
  });

  it("nested jvps do not confuse their perturbations", () => {
    // d/dx [x · d/dy (x + y)] = 1: the classic test.
    const p = of(["f32[]"], (x: Scalar) => {
      const one = ones([]) as Scalar;
      const f = (a: Scalar): Scalar => mul(a, jvp((b: Scalar) => add(a, b as never) as Scalar, [one], [one] as never).tangent as never) as Scalar;
      return [jvp(f, [x], [one] as never).tangent, grad((a: Scalar) => mul(a, grad((b: Scalar) => add(a, b as never) as Scalar)(one) as never) as Scalar)(x)];
    });
    expect(run(p, [tensor("f32[]", [3])]).map((t) => t.data[0])).toEqual([1, 1]);
  });

  it("pullback and pushforward can be called several times, and inside other functions", () => {
    const p = of(["f32[2]", "f32[2]", "f32[3,2]"], (x: Vec, u: Vec, cts: Vec) => {
      const { pullback } = vjp((y: Vec) => sin(mul(y, y) as Vec), x);
      const { pushforward } = linearize((y: Vec) => sin(mul(y, y) as Vec), x);
      const rows = vmap((ct: Tensor) => pullback(ct as never)[0] as Tensor)(cts as Tensor);
      const loops = scan((c: Tensor, ct: Tensor): readonly [Tensor, Tensor] => [add(c, pullback(ct as never)[0] as never) as Tensor, pushforward(ct as never) as Tensor], u as Tensor, cts as Tensor);
      return [pushforward(u as never), pullback(u as never)[0], rows, ...loops];
    });
    differentiates(p);
  });
});

describe("other", () => {
  it("stopGradient stops in every mode", () => {
    const f = (x: Vec): Scalar => sum(mul(x, stopGradient(sin(x)) as never) as Vec) as Scalar;
    const p = of(["f32[2]"], (x: Vec) => [grad(f)(x), jvp(f, [x], [ones([2])] as never).tangent, hessianVectorProduct(f, x, ones([2]) as never), vmap((y: Tensor) => grad(f as never)(y))(mul(x, ones([2, 2])) as Tensor)]);
    const s = [0.3, 2].map(Math.sin) as [number, number];
    expect(gap(run(p, [tensor("f32[2]", [0.3, 2])]), [tensor("f32[2]", s), tensor("f32[]", [s[0] + s[1]]), tensor("f32[2]", 0), tensor("f32[2,2]", [...s, ...s])])).toBeLessThan(1e-12);
  });

  it("jacfwd = jacrev, for outputs and inputs of any rank", () => {
    for (const [shape, f] of [
      ["f32[3]", (x: Tensor) => sin(mul(x, sum(x) as never) as Tensor)],
      ["f32[2,3]", (x: Tensor) => matmul(x, exp(mul(x, 0.1 as never) as Tensor) as never)],
      ["f32[]", (x: Tensor) => mul(sin(x), ones([2, 2]) as never)],
      ["f32[2,2]", (x: Tensor) => sum(mul(x, cos(x) as never) as Tensor)],
    ] as const) {
      const g = shape === "f32[2,3]" ? (x: Tensor) => matmul(x, vmap((r: Tensor) => exp(mul(r, 0.1 as never) as Tensor))(x) as never) : f;
      if (shape === "f32[2,3]") expect(() => of([shape], (x: Tensor) => [jacfwd(g as never)(x)])).toThrow(/matmul: inner dimensions differ: 3 vs 2/);
      else {
        const p = of([shape], (x: Tensor) => [jacfwd(f as never)(x), jacrev(f as never)(x)]);
        const [a, b] = run(p, inputsOf(p));
        expect(gap([a as never], [b as never])).toBeLessThan(1e-12);
        differentiates(p);
      }
    }
  });

  it("integers in pytrees: no tangent in, zeros out", () => {
    const p = of(["f32[2]", "i32[2]"], (x: Vec, k: Tensor<["n"], "i32">) => {
      const f = (tree: { x: Tensor; at: readonly [Tensor] }) => ({ y: sin(tree.x), k: add(tree.at[0], 1) as Tensor });
      const tree = { x: x as Tensor, at: [k as Tensor] as const };
      const forward = jvp(f, [tree], [{ x: ones([2]), at: [null] }] as never);
      const { value, pullback } = vjp(f, tree);
      const [back] = pullback({ y: ones([2]), k: null } as never);
      return [forward.value.k, forward.tangent.y, forward.tangent.k, value.y, back.x, back.at[0]];
    });
    expect(gap(run(p, [tensor("f32[2]", [0, 0]), tensor("i32[2]", [4, 5])]), [
      tensor("i32[2]", [5, 6]), tensor("f32[2]", 1), tensor("i32[2]", 0), tensor("f32[2]", 0), tensor("f32[2]", 1), tensor("i32[2]", 0),
    ])).toBe(0);
  });

  it("grad with respect to places and keys, with values carried along", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, y: Vec) => {
      const f = (a: Vec, b: Vec) => [sum(mul(a, square(b) as never) as Vec) as Scalar, { aux: b, n: iota([2]) }] as const;
      const first = valueAndGrad(f)(x, y);
      const second = valueAndGrad(f, 1)(x, y);
      const keyed = grad((input: { a: Vec; b: Vec }) => f(input.a, input.b)[0], "b")({ a: x, b: y });
      return [first.value[0], first.value[1].aux, first.value[1].n, first.grad, second.grad, keyed];
    });
    expect(gap(run(p, [tensor("f32[2]", [1, 2]), tensor("f32[2]", [3, 4])]), [
      tensor("f32[]", [41]), tensor("f32[2]", [3, 4]), tensor("i32[2]", [0, 1]), tensor("f32[2]", [9, 16]), tensor("f32[2]", [6, 16]), tensor("f32[2]", [6, 16]),
    ])).toBe(0);
  });
});
