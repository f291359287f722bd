// Control flow under the transforms, written in the surface: captures, late tangents, nesting, both branches, loops that cannot
// be reversed.
import { describe, expect, it } from "vitest";
import {
  add,
  cond,
  exp,
  grad,
  greater,
  less,
  matmul,
  mul,
  OpError,
  ones,
  remat,
  scan,
  sin,
  square,
  sub,
  sum,
  tanh,
  where,
  whileLoop,
  zeros,
} from "../../../src/dsl/index.ts";
import type { Shape, Tensor } from "../../../src/dsl/index.ts";
import { tensor } from "../../support/programs.ts";
import { differentiates, inputsOf, of } from "./differentiates.ts";
import { cotangentsFor, gap, jvpOf, run, stacked, vjpOf, vmapOf } from "./harness.ts";

/** Most shapes here are left to run time; the types of exact shapes are tested in test/dsl/types. */
type Vec = Tensor<Shape, "f32">;
type Scalar = Tensor<[], "f32">;

describe("scan", () => {
  const cell =
    (w: Vec) =>
    (h: Vec, x: Vec): readonly [Vec, Vec] => {
      const next = tanh(add(sum(mul(w, h), 1), x));
      return [next, mul(next, next)];
    };

  it.each([false, true])("a recurrent network with a captured matrix, reverse %s", (reverse) => {
    differentiates(
      of(["f32[3,3]", "f32[3]", "f32[4,3]"], (w: Vec, h: Vec, xs: Vec) => {
        const [end, ys] = scan(cell(w), h, xs, { reverse });
        return [end, ys];
      }),
    );
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
      const step = ([a, b, c, d]: Four): readonly [Four, Vec] => [
        [add(b, 1), add(sin(c), b), mul(d, x), d],
        mul(a, a),
      ];
      const [end, ys] = scan(step, start, null, { length: 6 });
      return [...end, ys];
    });
    differentiates(p);
    // Only the last carry's start is differentiated: the tangent needs three iterations to reach the first.
    const q = of(["f32[2]"], (outside: Vec) => {
      const start: Four = [zeros([2]), zeros([2]), zeros([2]), outside];
      const [end, ys] = scan(
        ([, b, c, d]: Four): readonly [Four, null] => [[b, c, d, d], null],
        start,
        null,
        { length: 3 },
      );
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
    differentiates(p, [
      tensor("f32[2]", [0.3, -0.6]),
      tensor("i32[]", [1]),
      tensor("f32[3,2]", [1, 0.5, -0.5, 0.7, 0.2, 0.9]),
    ]);
  });

  it("nested scans, the inner over the outer's slices, capturing from both levels", () => {
    differentiates(
      of(["f32[2]", "f32[]", "f32[3,2,2]"], (w: Vec, h: Scalar, xs: Vec) => {
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
      }),
    );
  });

  it("the derivative of a whole inner optimization: grad inside scan inside grad", () => {
    differentiates(
      of(["f32[2]", "f32[2]"], (start: Vec, target: Vec) => {
        const loss = (x: Vec): Scalar => sum(square(square(sub(x, target))));
        const [end] = scan(
          (x: Vec, _: null): readonly [Vec, null] => [sub(x, mul(grad(loss)(x), 0.1)), null],
          start,
          null,
          { length: 3 },
        );
        return [end];
      }),
    );
  });

  it("remat inside scan inside remat", () => {
    const build = (wrap: <A extends readonly unknown[], R>(f: (...args: A) => R) => (...args: A) => R) =>
      of(["f32[2,2]", "f32[2]"], (w: Vec, h: Vec) => {
        const step = wrap((state: Vec, weights: Vec) => tanh(matmul(weights, state)));
        const loop = wrap(
          (weights: Vec, state: Vec) =>
            scan((c: Vec, _: null): readonly [Vec, null] => [step(c, weights), null], state, null, {
              length: 3,
            })[0],
        );
        return [loop(w, mul(h, ones([2, 2])))];
      });
    const plain = build((f) => f);
    differentiates(plain);
    for (const policy of ["nothing", "dots", "everything"] as const) {
      const p = build((f) => remat(f, policy));
      differentiates(p);
      const [inputs, ws] = [inputsOf(p), cotangentsFor(p, 3)];
      expect(gap(run(vjpOf(p), [...inputs, ...ws]), run(vjpOf(plain), [...inputs, ...ws]))).toBeLessThan(
        1e-12,
      );
    }
  });
});

describe("cond", () => {
  const p = (which: boolean) =>
    of(["f32[2]", "f32[2]", "f32[]"], (x: Vec, captured: Vec, s: Scalar) => {
      const predicate = which ? less(0, 1) : less(1, 0);
      return [
        cond(
          predicate,
          (y: Vec) => mul(sin(y), captured),
          (y: Vec) => mul(exp(y), s),
          x,
        ),
      ];
    });

  it("captures in only one branch", () => {
    const build = (sign: number) =>
      of(["f32[2]", "f32[2]", "f32[]"], (x: Vec, captured: Vec, s: Scalar) => [
        cond(
          greater(s, 0),
          (y: Vec) => mul(sin(y), captured),
          (y: Vec) => exp(mul(y, sign)),
          x,
        ),
        cond(
          greater(s, 0),
          (y: Vec) => y,
          () => mul(captured, s),
          x,
        ),
      ]);
    for (const s of [0.7, -0.7]) {
      differentiates(build(1), [tensor("f32[2]", [0.2, -1]), tensor("f32[2]", [3, 4]), tensor("f32[]", [s])]);
    }
    expect(() => p(true)).toThrow(OpError); // two numbers are no tensors
  });

  it("a branch that gives no tangent, and one that gives constants", () => {
    for (const s of [0.7, -0.7]) {
      differentiates(
        of(["f32[2]", "f32[]"], (x: Vec, t: Scalar) =>
          cond(
            greater(t, 0),
            (y: Vec) => [y, ones([2])],
            (y: Vec) => [ones([2]), sin(y)],
            x,
          ),
        ),
        [tensor("f32[2]", [0.2, -1]), tensor("f32[]", [s])],
      );
    }
  });

  it("inside scan with a predicate that changes, and nested", () => {
    differentiates(
      of(["f32[2]", "f32[5,2]"], (h: Vec, xs: Vec) => {
        const [end, ys] = scan(
          (c: Vec, x: Vec): readonly [Vec, Vec] => {
            const next = cond(
              greater(sum(x), 0),
              (y: Vec) =>
                cond(
                  greater(sum(y), 0),
                  (z: Vec) => mul(z, x),
                  (z: Vec) => sin(z),
                  y,
                ),
              (y: Vec) => tanh(add(y, x)),
              c,
            );
            return [next, add(next, c)];
          },
          h,
          xs,
        );
        return [end, ys];
      }),
      [tensor("f32[2]", [0.3, 0.8]), tensor("f32[5,2]", [1, 0.5, -0.5, -0.7, 0.2, 0.9, -1, -1, 0.3, 0.4])],
    );
  });

  it("a batched predicate picks by row, and a single one keeps the branch", () => {
    const single = of(["f32[]", "f32[2]"], (s: Scalar, x: Vec) => [
      cond(
        greater(s, 0),
        (y: Vec) => sin(y),
        (y: Vec) => mul(y, s),
        x,
      ),
    ]);
    const batch = [tensor("f32[3]", [1, -2, 3]), tensor("f32[3,2]", [1, 2, 3, 4, 5, 6])];
    const expected = stacked(
      [0, 1, 2].map((i) =>
        run(single, [
          tensor("f32[]", [batch[0]?.data[i] as number]),
          tensor("f32[2]", [2 * i + 1, 2 * i + 2]),
        ]),
      ),
    );
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
    const attempt = () =>
      of(["f32[]"], (x: Scalar) => [
        grad((y: Scalar) =>
          whileLoop(
            (v: Scalar) => less(v, 10),
            (v: Scalar) => mul(v, 2),
            y,
          ),
        )(x),
      ]);
    expect(attempt).toThrow(
      /whileLoop has no reverse-mode derivative, because its number of iterations is not known; use scan/,
    );
    expect(attempt).toThrow(/control\.test\.ts:\d+:\d+/);
  });

  it("in reverse mode is fine where nothing differentiates it", () => {
    const p = of(["f32[2]"], (x: Vec) => [
      grad((y: Vec) => {
        const n = whileLoop(
          (k: Scalar) => less(k, 100),
          (k: Scalar) => mul(k, 3),
          ones([]),
        );
        return sum(mul(square(y), n));
      })(x),
    ]);
    expect(Array.from(run(p, [tensor("f32[2]", [1, 2])])[0]?.data ?? [])).toEqual([486, 972]);
  });

  it("a batched condition runs each row to its own end", () => {
    const single = of(["f32[]", "f32[]"], (limit: Scalar, x: Scalar) => [...double(limit, x)]);
    const rows = [
      [10, 0.9],
      [3, 1],
      [1, 5],
    ] as const;
    const expected = stacked(
      rows.map(([limit, x]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [x])])),
    );
    const batch = [
      tensor(
        "f32[3]",
        rows.map(([limit]) => limit),
      ),
      tensor(
        "f32[3]",
        rows.map(([, x]) => x),
      ),
    ] as const;
    expect(gap(run(vmapOf(single, 3), batch), expected)).toBeLessThan(1e-12);
    expect(
      gap(
        run(vmapOf(single, 3, [0]), [tensor("f32[]", [7]), batch[1]]),
        stacked(rows.map(([, x]) => run(single, [tensor("f32[]", [7]), tensor("f32[]", [x])]))),
      ),
    ).toBeLessThan(1e-12);
    expect(
      gap(
        run(vmapOf(single, 3, [1]), [batch[0], tensor("f32[]", [0.3])]),
        stacked(rows.map(([limit]) => run(single, [tensor("f32[]", [limit]), tensor("f32[]", [0.3])]))),
      ),
    ).toBeLessThan(1e-12);
    expect(
      gap(run(vmapOf(single, 0), [tensor("f32[0]", []), tensor("f32[0]", [])]), [
        tensor("f32[0]", []),
        tensor("f32[0]", []),
      ]),
    ).toBe(0);
    expect(
      gap(
        run(vmapOf(jvpOf(single), 3), [...batch, ...batch]),
        run(jvpOf(vmapOf(single, 3)), [...batch, ...batch]),
      ),
    ).toBeLessThan(1e-12);
  });
});
