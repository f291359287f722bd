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
  einsum,
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
import type { Shape, Tensor } from "../../../src/dsl/index.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { tensor, type } from "../../support/programs.ts";
import { cotangentsFor, differences, gap, inner, jvpOf, linearizedOf, randomLike, run, stacked, tangentsFor, traced, vjpOf, vmapOf } from "./harness.ts";
import type { Values } from "./harness.ts";

/** Most shapes here are left to run time; the types of exact shapes are tested in test/dsl/types. */
type Vec = Tensor<Shape, "f32">;
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
  const cell = (w: Vec) => (h: Vec, x: Vec): readonly [Vec, Vec] => {
    const next = tanh(add(sum(mul(w, h), 1), x));
    return [next, mul(next, next)];
  };

  it.each([false, true])("a recurrent network with a captured matrix, reverse %s", (reverse) => {
    differentiates(of(["f32[3,3]", "f32[3]", "f32[4,3]"], (w: Vec, h: Vec, xs: Vec) => {
      const [end, ys] = scan(cell(w), h, xs, { reverse });
      return [end, ys];
    }));
  });

  it("zero-length: the carry passes, everything else has derivative zero", () => {
    const p = of(["f32[3,3]", "f32[3]", "f32[0,3]"], (w: Vec, h: Vec, xs: Vec) => {
      const [end, ys] = scan(cell(w), h, xs);
      return [end, ys];
    });
    differentiates(p);
    const [inputs, ws] = [inputsOf(p), cotangentsFor(p, 3)];
    const [, , dw, dh] = run(vjpOf(p), [...inputs, ...ws]);
    expect(dw?.data.every((v) => v === 0)).toBe(true);
    expect(Array.from(dh?.data ?? [])).toEqual(Array.from(ws[0]?.data ?? []));
  });

  it("carries that get a tangent only after one, two and three iterations", () => {
    type Four = readonly [Vec, Vec, Vec, Vec];
    const p = of(["f32[2]", "f32[2]"], (x: Vec, outside: Vec) => {
      const start: Four = [zeros([2]), ones([2]), zeros([2]), outside];
      const step = ([a, b, c, d]: Four): readonly [Four, Vec] => [[add(b, 1), add(sin(c), b), mul(d, x), d], mul(a, a)];
      const [end, ys] = scan(step, start, null, { length: 6 });
      return [...end, ys];
    });
    differentiates(p);
    // Only the last carry's start is differentiated: the tangent needs three iterations to reach the first.
    const q = of(["f32[2]"], (outside: Vec) => {
      const start: Four = [zeros([2]), zeros([2]), zeros([2]), outside];
      const [end, ys] = scan(([, b, c, d]: Four): readonly [Four, null] => [[b, c, d, d], null], start, null, { length: 3 });
      expect(ys).toBeNull();
      return end;
    });
    differentiates(q);
  });

  it("integer carries and captures beside float ones", () => {
    type Count = Tensor<[], "i32">;
    const p = of(["f32[2]", "i32[]", "f32[3,2]"], (x: Vec, n: Count, xs: Vec) => {
      const [[k, h], ys] = scan(
        ([count, state]: readonly [Count, Vec], slice: Vec): readonly [readonly [Count, Vec], Vec] => {
          const next = add(mul(state, slice), mul(x, where(greater(count, n), ones([]), 0.5)));
          return [[add(count, 1), next], mul(next, slice)];
        },
        [zeros([], "i32"), x],
        xs,
      );
      return [k, h, ys];
    });
    differentiates(p, [tensor("f32[2]", [0.3, -0.6]), tensor("i32[]", [1]), tensor("f32[3,2]", [1, 0.5, -0.5, 0.7, 0.2, 0.9])]);
  });

  it("nested scans, the inner over the outer's slices, capturing from both levels", () => {
    differentiates(of(["f32[2]", "f32[]", "f32[3,2,2]"], (w: Vec, h: Scalar, xs: Vec) => {
      const [end, ys] = scan(
        (outer: Vec, rows: Vec): readonly [Vec, Vec] => {
          const scaled = mul(w, outer);
          const [inner_, zs] = scan(
            (c: Vec, r: Vec): readonly [Vec, Vec] => {
              const next = tanh(add(c, sum(mul(r, scaled))));
              return [next, mul(next, outer)];
            },
            outer,
            rows,
            { reverse: true },
          );
          return [sin(inner_), zs];
        },
        h,
        xs,
      );
      return [end, ys];
    }));
  });

  it("the derivative of a whole inner optimization: grad inside scan inside grad", () => {
    differentiates(of(["f32[2]", "f32[2]"], (start: Vec, target: Vec) => {
      const loss = (x: Vec): Scalar => sum(square(square(sub(x, target))));
      const [end] = scan((x: Vec, _: null): readonly [Vec, null] => [sub(x, mul(grad(loss)(x), 0.1)), null], start, null, { length: 3 });
      return [end];
    }));
  });

  it("remat inside scan inside remat", () => {
    const build = (wrap: <A extends readonly unknown[], R>(f: (...args: A) => R) => (...args: A) => R) =>
      of(["f32[2,2]", "f32[2]"], (w: Vec, h: Vec) => {
        const step = wrap((state: Vec, weights: Vec) => tanh(matmul(weights, state)));
        const loop = wrap((weights: Vec, state: Vec) => scan((c: Vec, _: null): readonly [Vec, null] => [step(c, weights), null], state, null, { length: 3 })[0]);
        return [loop(w, mul(h, ones([2, 2])))];
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
      const predicate = (which ? less(0, 1) : less(1, 0));
      return [cond(predicate, (y: Vec) => mul(sin(y), captured), (y: Vec) => mul(exp(y), s), x)];
    });

  it("captures in only one branch", () => {
    const build = (sign: number) =>
      of(["f32[2]", "f32[2]", "f32[]"], (x: Vec, captured: Vec, s: Scalar) => [
        cond(greater(s, 0), (y: Vec) => mul(sin(y), captured), (y: Vec) => exp(mul(y, sign)), x),
        cond(greater(s, 0), (y: Vec) => y, () => mul(captured, s), x),
      ]);
    for (const s of [0.7, -0.7]) {
      differentiates(build(1), [tensor("f32[2]", [0.2, -1]), tensor("f32[2]", [3, 4]), tensor("f32[]", [s])]);
    }
    expect(() => p(true)).toThrow(OpError); // two numbers are no tensors
  });

  it("a branch that gives no tangent, and one that gives constants", () => {
    for (const s of [0.7, -0.7]) {
      differentiates(of(["f32[2]", "f32[]"], (x: Vec, t: Scalar) => cond(greater(t, 0), (y: Vec) => [y, ones([2])], (y: Vec) => [ones([2]), sin(y)], x)), [
        tensor("f32[2]", [0.2, -1]),
        tensor("f32[]", [s]),
      ]);
    }
  });

  it("inside scan with a predicate that changes, and nested", () => {
    differentiates(of(["f32[2]", "f32[5,2]"], (h: Vec, xs: Vec) => {
      const [end, ys] = scan(
        (c: Vec, x: Vec): readonly [Vec, Vec] => {
          const next = cond(
            greater(sum(x), 0),
            (y: Vec) => cond(greater(sum(y), 0), (z: Vec) => mul(z, x), (z: Vec) => sin(z), y),
            (y: Vec) => tanh(add(y, x)),
            c,
          );
          return [next, add(next, c)];
        },
        h,
        xs,
      );
      return [end, ys];
    }), [tensor("f32[2]", [0.3, 0.8]), tensor("f32[5,2]", [1, 0.5, -0.5, -0.7, 0.2, 0.9, -1, -1, 0.3, 0.4])]);
  });

  it("a batched predicate picks by row, and a single one keeps the branch", () => {
    const single = of(["f32[]", "f32[2]"], (s: Scalar, x: Vec) => [cond(greater(s, 0), (y: Vec) => sin(y), (y: Vec) => mul(y, s), x)]);
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
  type Pair = readonly [Scalar, Scalar];
  const double = (limit: Scalar, x: Scalar): Pair =>
    whileLoop(
      ([v]: Pair) => less(v, limit),
      ([v, w]: Pair): Pair => [mul(v, 2), sin(add(w, mul(v, 0.1)))],
      [x, x],
    );

  it("has forward derivatives, of any order", () => {
    const p = of(["f32[]", "f32[]"], (limit: Scalar, x: Scalar) => [...double(limit, x)]);
    differentiates(p, [tensor("f32[]", [10]), tensor("f32[]", [0.9])], { reverse: false });
  });

  it("says in reverse mode that it has none, and names the line", () => {
    const attempt = () => of(["f32[]"], (x: Scalar) => [grad((y: Scalar) => whileLoop((v: Scalar) => less(v, 10), (v: Scalar) => mul(v, 2), y))(x)]);
    expect(attempt).toThrow(/whileLoop has no reverse-mode derivative, because its number of iterations is not known; use scan/);
    expect(attempt).toThrow(/control\.test\.ts:\d+:\d+/);
  });

  it("in reverse mode is fine where nothing differentiates it", () => {
    const p = of(["f32[2]"], (x: Vec) => [
      grad((y: Vec) => {
        const n = whileLoop((k: Scalar) => less(k, 100), (k: Scalar) => mul(k, 3), ones([]));
        return sum(mul(square(y), n));
      })(x),
    ]);
    expect(Array.from(run(p, [tensor("f32[2]", [1, 2])])[0]?.data ?? [])).toEqual([486, 972]);
  });

  it("a batched condition runs each row to its own end", () => {
    const single = of(["f32[]", "f32[]"], (limit: Scalar, x: Scalar) => [...double(limit, x)]);
    const rows = [[10, 0.9], [3, 1], [1, 5]] as const;
    const expected = stacked(rows.map(([limit, x]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [x])])));
    const batch = [tensor("f32[3]", rows.map(([limit]) => limit)), tensor("f32[3]", rows.map(([, x]) => x))] as const;
    expect(gap(run(vmapOf(single, 3), batch), expected)).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 3, [0]), [tensor("f32[]", [7]), batch[1]]), stacked(rows.map(([, x]) => run(single, [tensor("f32[]", [7]), tensor("f32[]", [x])]))))).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 3, [1]), [batch[0], tensor("f32[]", [0.3])]), stacked(rows.map(([limit]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [0.3])]))))).toBeLessThan(1e-12);
    expect(gap(run(vmapOf(single, 0), [tensor("f32[0]", []), tensor("f32[0]", [])]), [tensor("f32[0]", []), tensor("f32[0]", [])])).toBe(0);
    expect(gap(run(vmapOf(jvpOf(single), 3), [...batch, ...batch]), run(jvpOf(vmapOf(single, 3)), [...batch, ...batch]))).toBeLessThan(1e-12);
  });
});

describe("custom rules", () => {
  const plain = (x: Vec): Vec => log(add(1, exp(x)));
  const viaJvp = customJvp(plain, ([x], [dx]) => [plain(x), div(dx, add(1, exp(mul(x, -1))))]);
  const viaVjp = customVjp(plain, (x) => [plain(x), x] as const, (x, ct) => [div(ct, add(1, exp(mul(x, -1))))]);

  it("a rule that is the true derivative changes nothing, to second order, alone and in loops and batches", () => {
    for (const f of [plain, viaJvp, viaVjp]) {
      const p = of(["f32[3]"], (x: Vec) => [f(x)]);
      const looped = of(["f32[3]"], (x: Vec) => [...scan((c: Vec, _: null): readonly [Vec, Vec] => [f(c), mul(c, c)], x, null, { length: 3 })]);
      differentiates(p);
      differentiates(looped);
      differentiates(vmapOf(p, 2));
      differentiates(vmapOf(looped, 2));
      differentiates(of(["f32[3]"], (x: Vec) => [remat(f)(x)]));
    }
  });

  it("rules are used where they should be", () => {
    const jvpRule = customJvp((x: Vec) => sin(x), ([x], [dx]) => [sin(x), mul(dx, 7)]);
    const vjpRule = customVjp((x: Vec) => sin(x), (x) => [sin(x), []] as const, (_, ct) => [mul(ct, 7)]);
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
    const f = customVjp((x: Vec) => sin(x), (x) => [sin(x), x] as const, (x, ct) => [mul(ct, mul(x, mul(x, x)))]);
    const p = of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(grad((z: Vec) => sum(f(z)))(y)))(x)]);
    expect(gap(run(p, [tensor("f32[2]", [2, 3])]), [tensor("f32[2]", [12, 27])])).toBeLessThan(1e-12);
  });

  it("a customJvp rule written with jvp of a scan can be reversed", () => {
    const f = (x: Vec): Vec => scan((c: Vec, _: null): readonly [Vec, null] => [sin(mul(c, c)), null], x, null, { length: 3 })[0];
    const custom = customJvp(f, (xs, dots) => {
      const { value, tangent } = jvp(f, xs, dots);
      return [value, tangent];
    });
    differentiates(of(["f32[3]"], (x: Vec) => [custom(x)]));
  });

  it("a customVjp makes a loop without reverse mode differentiable", () => {
    // Newton's iteration for √a, differentiated implicitly.
    const root = (a: Scalar): Scalar => whileLoop((v: Scalar) => greater(square(v), add(a, 1e-12)), (v: Scalar) => mul(0.5, add(v, div(a, v))), add(a, 1));
    const f = customVjp(root, (a) => { const y = root(a); return [y, y] as const; }, (y, ct) => [div(ct, mul(2, y))]);
    const one = () => ones([]);
    const p = of(["f32[]"], (a: Scalar) => {
      const { value, grad: slope } = valueAndGrad(f)(a);
      const looped = scan((c: Scalar, _: null): readonly [Scalar, null] => [f(c), null], a, null, { length: 2 });
      const nested = grad((b: Scalar) => scan((c: Scalar, _: null): readonly [Scalar, null] => [f(c), null], b, null, { length: 2 })[0])(a);
      return [value, slope, jvp((b: Scalar) => grad(f)(b), [a], [one()]).tangent, looped[0], nested];
    });
    const results = run(p, [tensor("f32[]", [4])]).map((t) => t.data[0] as number);
    // √4, 1/(2√4), −1/(4·4^(3/2)) by forward over reverse, ⁴√4 and its derivative 1/4·4^(−3/4).
    [2, 0.25, -1 / 32, Math.SQRT2, 0.25 * 4 ** -0.75].forEach((want, i) => expect(results[i]).toBeCloseTo(want, 9));
  });

  it("refuses to differentiate what a rule captured, in a sentence", () => {
    const attempt = () => of(["f32[2]", "f32[2]"], (x: Vec, w: Vec) => [grad((v: Vec) => sum(customJvp((y: Vec) => mul(y, v), ([y], [dy]) => [mul(y, v), mul(dy, v)])(x)))(w)]);
    expect(attempt).toThrow(/customJvp: the function uses a tensor from outside that is being differentiated; pass it as an argument/);
  });

  it("a rule that is not linear in the tangents is refused in reverse mode", () => {
    const reversed = (rule: (x: Vec, dx: Vec) => Vec) => () => {
      const f = customJvp((x: Vec) => x, ([x], [dx]) => [x, rule(x, dx)]);
      return of(["f32[2]"], (x: Vec) => [grad((y: Vec) => sum(f(y)))(x)]);
    };
    expect(reversed((_, dx) => mul(dx, dx))).toThrow(/mul is not linear here .* must be linear in the tangents\n {4}at .*control\.test\.ts:\d+:\d+/s);
    expect(reversed((_, dx) => sin(dx))).toThrow(/sin is not linear here/);
    expect(reversed((x, dx) => div(x, dx))).toThrow(/div is not linear here/);
    expect(reversed((_, dx) => einsum("i,i,->i", dx, dx, ones([])))).toThrow(/dot is not linear here/);
  });

  it("integer arguments of custom rules", () => {
    const pick = customVjp(
      (x: Vec, k: Tensor<[], "i32">) => mul(x, where(greater(k, 0), 2, 3)),
      (x, k) => [mul(x, where(greater(k, 0), 2, 3)), k] as const,
      (k, ct) => [mul(ct, where(greater(k, 0), 2, 3)), zeros([], "i32")],
    );
    expect(() => of(["f32[2]", "i32[]"], (x: Vec, k: Tensor<[], "i32">) => [pick(x, k)])).toThrow(OpError);
  });
});

describe("closures across levels", () => {
  it("an outer tensor used in grad of grad of a scan body", () => {
    differentiates(of(["f32[2]", "f32[2]"], (a: Vec, b: Vec) => {
      const inside = (x: Vec): Scalar =>
        sum(scan((c: Vec, _: null): readonly [Vec, null] => [add(mul(sin(c), a), mul(b, x)), null], x, null, { length: 2 })[0]);
      const slope = (x: Vec): Scalar => sum(mul(grad(inside)(x), a));
      return [grad(slope)(b), grad((y: Vec) => sum(mul(grad(slope)(y), a)))(b)];
    }));
  });

  it("vmap inside grad inside vmap, with captures at every level", () => {
    differentiates(of(["f32[3,2]", "f32[2]", "f32[]"], (rows: Vec, w: Vec, s: Scalar) => {
      const outer = vmap((r: Vec) =>
        grad((v: Vec) => sum(vmap((e: Vec) => mul(sin(mul(e, s)), sum(mul(v, r))))(v)))(w),
      );
      return [outer(rows)];
    }));
  });

  it("nested jvps do not confuse their perturbations", () => {
    // d/dx [x · d/dy (x + y)] = 1: the classic test.
    const p = of(["f32[]"], (x: Scalar) => {
      const one = ones([]);
      const f = (a: Scalar): Scalar => mul(a, jvp((b: Scalar) => add(a, b), [one], [one]).tangent);
      return [jvp(f, [x], [one]).tangent, grad((a: Scalar) => mul(a, grad((b: Scalar) => add(a, b))(one)))(x)];
    });
    expect(run(p, [tensor("f32[]", [3])]).map((t) => t.data[0])).toEqual([1, 1]);
  });

  it("pullback and pushforward can be called several times, and inside other functions", () => {
    const p = of(["f32[2]", "f32[2]", "f32[3,2]"], (x: Vec, u: Vec, cts: Vec) => {
      const { pullback } = vjp((y: Vec) => sin(mul(y, y)), x);
      const { pushforward } = linearize((y: Vec) => sin(mul(y, y)), x);
      const rows = vmap((ct: Vec) => pullback(ct)[0])(cts);
      const loops = scan((c: Vec, ct: Vec): readonly [Vec, Vec] => [add(c, pullback(ct)[0]), pushforward(ct)], u, cts);
      return [pushforward(u), pullback(u)[0], rows, ...loops];
    });
    differentiates(p);
  });
});

describe("other", () => {
  it("stopGradient stops in every mode", () => {
    const f = (x: Vec): Scalar => sum(mul(x, stopGradient(sin(x))));
    const p = of(["f32[2]"], (x: Vec) => [grad(f)(x), jvp(f, [x], [ones([2])]).tangent, hessianVectorProduct(f, x, ones([2])), vmap((y: Vec) => grad(f)(y))(mul(x, ones([2, 2])))]);
    const s = [0.3, 2].map(Math.sin) as [number, number];
    expect(gap(run(p, [tensor("f32[2]", [0.3, 2])]), [tensor("f32[2]", s), tensor("f32[]", [s[0] + s[1]]), tensor("f32[2]", 0), tensor("f32[2,2]", [...s, ...s])])).toBeLessThan(1e-12);
  });

  it("jacfwd = jacrev, for outputs and inputs of any rank", () => {
    const functions: readonly (readonly [string, (x: Vec) => Vec])[] = [
      ["f32[3]", (x) => sin(mul(x, sum(x)))],
      ["f32[2,3]", (x) => einsum("i j, k j -> i k", x, exp(mul(x, 0.1)))],
      ["f32[]", (x) => mul(sin(x), ones([2, 2]))],
      ["f32[2,2]", (x) => sum(mul(x, cos(x)))],
    ];
    for (const [shape, f] of functions) {
      const [forwards, backwards] = [jacfwd, jacrev].map((jacobian) => of([shape], (x: Vec) => [jacobian(f)(x)])) as [Program, Program];
      expect(gap(run(forwards, inputsOf(forwards)), run(backwards, inputsOf(backwards)))).toBeLessThan(1e-12);
      differentiates(forwards);
      differentiates(backwards);
    }
  });

  it("integers in pytrees: no tangent in, zeros out", () => {
    const p = of(["f32[2]", "i32[2]"], (x: Vec, k: Tensor<Shape, "i32">) => {
      const f = (tree: { x: Vec; at: readonly [Tensor<Shape, "i32">] }) => ({ y: sin(tree.x), k: add(tree.at[0], 1) });
      const tree = { x: x, at: [k] as const };
      const forward = jvp(f, [tree], [{ x: ones([2]), at: [null] }]);
      const { value, pullback } = vjp(f, tree);
      const [back] = pullback({ y: ones([2]), k: null });
      return [forward.value.k, forward.tangent.y, forward.tangent.k, value.y, back.x, back.at[0]];
    });
    expect(gap(run(p, [tensor("f32[2]", [0, 0]), tensor("i32[2]", [4, 5])]), [
      tensor("i32[2]", [5, 6]), tensor("f32[2]", 1), tensor("i32[2]", 0), tensor("f32[2]", 0), tensor("f32[2]", 1), tensor("i32[2]", 0),
    ])).toBe(0);
  });

  it("grad with respect to places and keys, with values carried along", () => {
    const p = of(["f32[2]", "f32[2]"], (x: Vec, y: Vec) => {
      const f = (a: Vec, b: Vec) => [sum(mul(a, square(b))), { aux: b, n: iota([2]) }] as const;
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
