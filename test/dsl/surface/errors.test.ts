// What users read when they err at run time: one sentence with the numbers, and their own file and line, also inside loop
// bodies and transforms. `at(offset)` is the line `offset` below the call, by a real Error's line number; every case also checks
// that the blamed line of this file is the one with the faulty call.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  add, argmax, attention, broadcastTo, clip, concat, cond, constant, cumsum, customJvp, customVjp, einsum, exp, expandDims, f32, fn, full, gather, grad, i32, iota, jvp, linearize, matmul, max, mean, mul,
  oneHot, OpError, outputSpec, rearrange, remat, reshape, scalar, scan, scatterAdd, slice, softmax, split, squeeze, stack, sub, sum, takeAlong, trace, transpose, vjp, vmap, where, whileLoop, zeros,
} from "../../../src/dsl/index.ts"; // prettier-ignore
import type { Shape, Tensor } from "../../../src/dsl/index.ts";

type T = Tensor<Shape, "f32">;
type I = Tensor<Shape, "i32">;

const FILE = fileURLToPath(import.meta.url);
const lines = readFileSync(FILE, "utf8").split("\n");

/** Traces a body with tensors a: f32[2,3], b: f32[4,5], n: i32[2]. The types say nothing, so that run time must. */
const attempt = (body: (a: T, b: T, n: I) => unknown): string => {
  const f = fn({ a: f32(2, 3), b: f32(4, 5), n: i32(2) }, ({ a, b, n }) => {
    body(a as T, b as T, n as I);
    return a;
  });
  return failing(() => trace(f as never));
};

/** The message of the OpError that a body throws. */
function failing(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof OpError) return error.message;
    throw error;
  }
  return "no error";
}

/** Number of the line of this file from which a blamed message's last line says it came. */
function blamedNumber(message: string): number {
  const match = /\n {4}at (.*):(\d+):(\d+)$/.exec(message);
  if (match === null) throw new Error(`the message names no line: ${message}`);
  expect(match[1]).toBe(FILE);
  return Number(match[2]);
}

const blamedLine = (message: string): string => lines[blamedNumber(message) - 1] as string;

/** The sentence of the case that a line of this file belongs to: the last one that begins at or above it. */
function caseAt(number: number): string | undefined {
  const above = lines.slice(0, number).reverse();
  const of = (line: string): string | undefined =>
    sentences
      .map(([sentence]) => sentence)
      .filter((sentence) => line.replaceAll("\\", "").includes(sentence))
      .toSorted((one, other) => other.length - one.length)[0];
  const first = above.find((line) => of(line) !== undefined);
  return first === undefined ? undefined : of(first);
}

/** The number of the line `offset` below the caller's. */
function at(offset: number): string {
  const frame = (new Error().stack ?? "").split("\n")[2] ?? "";
  const line = /:(\d+):\d+\)?$/.exec(frame)?.[1];
  return `\n    at ${FILE}:${Number(line) + offset}:`;
}

const sentences: readonly (readonly [sentence: string, body: (a: T, b: T, n: I) => unknown])[] = [
  ["add: [2,3] and [4,5] do not line up: 3 vs 5", (a, b) => add(a, b)],
  ["add: dtypes differ: f32 vs i32; use cast", (a, _, n) => add(a as Tensor, reshape(n, [2, 1]) as Tensor)],
  ["add: 0.5 is not a value of dtype i32; use cast", (_a, _b, n) => add(n, 0.5)],
  ["clip: 0.5 is not a value of dtype i32; use cast", (_a, _b, n) => clip(n, 0.5, 3)],
  ["full: -1 is not a value of dtype u32; use cast", () => full([2], -1, "u32")],
  ["constant: 1.5 is not a value of dtype i32; use cast", () => constant([1, 1.5], [2], "i32")],
  ["constant: 3 values for shape [2]", () => constant([1, 2, 3], [2])],
  ["exp is not defined for i32", (_a, _b, n) => exp(n)],
  ["mean is not defined for i32; use cast", (_a, _b, n) => mean(n)],
  ["where: the condition must be bool, got f32", (a) => where(a as never, a, 0)],
  ["add: expected a tensor, got string", (a) => add(a, "1" as never)],
  ["add: expected at least one tensor among the operands", () => add(1, 2 as never)],
  ["sum: expected a tensor, got null", () => sum(null as never)],
  ["exp: expected a tensor, got object", () => exp([1, 2] as never)],
  ["matmul: expected a tensor, got undefined", (a) => matmul(a, undefined as never)],
  ["matmul: inner dimensions differ: 3 vs 4 ([2,3] by [4,5])", (a, b) => matmul(a, b)],
  ["matmul: both operands need rank 2 or more; got [2,3] and [2]", (a) => matmul(a, sum(a, 1) as T)],
  ["einsum: axis 'j' is both 3 and 4", (a, b) => einsum("ij,jk->ik", a, b)],
  ['einsum: "ij,jk->ik" has 2 operands, got 1', (a) => einsum("ij,jk->ik" as string, a)],
  ['einsum: operand 0 has rank 2, "i" has 1 axes', (a) => einsum("i->i" as string, a)],
  ["einsum: output axis 'z' is in no operand of \"ij->iz\"", (a) => einsum("ij->iz" as string, a)],
  [
    "einsum: axis 'i' occurs twice in one operand of \"ii->i\"",
    (a) => einsum("ii->i" as string, matmul(a, transpose(a) as T) as T),
  ],
  ['einsum: "ij" needs one "->"', (a) => einsum("ij" as string, a)],
  ["attention: q and k have depths 3 vs 5", (a, b) => attention(a, b, b)],
  [
    "attention: causal needs queries <= keys, got 2 and 1",
    (a) => attention(a, slice(a, 0, 0, 1), slice(a, 0, 0, 1), { causal: true }),
  ],
  [
    "attention: q and k have depth 0, for which there is no scale 1/√depth",
    (a) => attention(slice(a, 1, 0, 0), slice(a, 1, 0, 0), a),
  ],
  ["attention: q and k have depths 0 vs 3", (a) => attention(slice(a, 1, 0, 0), a, a)],
  ["sum: axis 2 is out of range for rank 2", (a) => sum(a, 2)],
  ["sum: axis 0.5 is out of range for rank 2", (a) => sum(a, 0.5)],
  ["sum: axes [1,1] repeat an axis", (a) => sum(a, [1, -1])],
  ["max: axis -3 is out of range for rank 2", (a) => max(a, -3)],
  ["reduceMax: the maximum over an axis of extent 0 does not exist", () => max(zeros([0]))],
  ["argmax: axis 5 is out of range for rank 2", (a) => argmax(a, 5)],
  ["softmax: axis 2 is out of range for rank 2", (a) => softmax(a, 2)],
  ["cumsum: axis 2 is out of range for rank 2", (a) => cumsum(a, 2)],
  ["concat: shapes differ away from axis 0: [2,3] vs [4,5]", (a, b) => concat([a, b])],
  ["concat: needs at least one tensor", () => concat([] as never)],
  ["concat: shapes differ away from axis 0: [1,2,3] vs [1,4,5]", (a, b) => stack([a, b])],
  ["reshape: [2,3] has 6 elements, [4,2] has 8", (a) => reshape(a, [4, 2])],
  ["reshape: [2,3] has 6 elements, for which no -1 fits in [4,-1]", (a) => reshape(a, [4, -1])],
  ["reshape: only one size may be -1, got [-1,-1]", (a) => reshape(a, [-1, -1])],
  ['dimension "heads" has no size', (a) => reshape(a, ["heads", 2])],
  ["transpose: permutation [0] does not fit rank 2", (a) => transpose(a, [0])],
  ["transpose: permutation [0,0] does not fit rank 2", (a) => transpose(a, [0, 0])],
  ["expandDims: axis 4 is out of range for rank 3", (a) => expandDims(a, 4)],
  ["squeeze: axis 0 has size 2, not 1", (a) => squeeze(a, 0)],
  ["broadcastTo: [2,3] does not stretch to [3]", (a) => broadcastTo(a, [3])],
  ["broadcastTo: [2,3] and [2,4] do not line up: 3 vs 4", (a) => broadcastTo(a, [2, 4])],
  ["slice: 2:9 is out of range for axis 1 of extent 3", (a) => slice(a, 1, 2, 9)],
  ["split: axis 1 of size 3 does not divide into 2 parts", (a) => split(a, 2)],
  ["split: the number of parts must be a whole number >= 1, got 0", (a) => split(a, 0)],
  ["rearrange: give the sizes of all but one of b, c", (a) => rearrange(a, "a (b c) -> a b c" as string)],
  [
    "rearrange: axis 1 of size 3 does not split as (b c)",
    (a) => rearrange(a, "a (b c) -> a b c" as string, { b: 2 }),
  ],
  [
    'rearrange: "a -> a" has 1 axes on the left, the tensor has rank 2',
    (a) => rearrange(a, "a -> a" as string),
  ],
  ["rearrange: axis 'b' is on one side only of \"a b -> a\"", (a) => rearrange(a, "a b -> a" as string)],
  [
    "rearrange: a size is given for 'z', which is not in \"a b -> b a\"",
    (a) => rearrange(a, "a b -> b a" as string, { z: 2 }),
  ],
  ["gather: indices must be i32, got f32", (a) => gather(a, a as never)],
  ["gather: axis 2 is out of range for rank 2", (a, _, n) => gather(a, n, 2)],
  ["takeAlong: indices of shape [2] do not fit [2,3] along axis 1", (a, _, n) => takeAlong(a, n)],
  ["takeAlong: indices must be i32, got f32", (a) => takeAlong(a, a as never)],
  ["scatterAdd: indices must be i32, got f32", (a) => scatterAdd(a, a as never, a)],
  ["scatterAdd: updates are f32[4,5], expected f32[2,3]", (a, b, n) => scatterAdd(a, n, b)],
  ["oneHot: indices must be integers, got f32", (a) => oneHot(a as never, 4)],
  [
    "scan: a tensor of shape [4,5] has no leading axis of 2",
    (a, b) => scan((c: T, _: unknown) => [c, c] as const, a, { a, b }),
  ],
  ["scan: give a length or something to scan over", (a) => scan((c: T, _: null) => [c, c] as const, a, null)],
  [
    "scan: the body returns another carry than it takes: the structures differ: [*, *] vs *",
    (a) => scan((c: T, _: null) => [[c, c] as never, null] as const, a, null, { length: 2 }),
  ],
  [
    "scan: the body returns a carry (f32[3]), expected (f32[2,3])",
    (a) => scan((c: T, _: null) => [sum(c, 0) as T, null] as const, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a pair [carry, y], got undefined",
    (a) => scan((() => undefined) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a pair [carry, y], got a tensor f32[2,3]",
    (a) => scan(((c: T) => c) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a pair [carry, y], got a list of 1",
    (a) => scan(((c: T) => [c]) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a pair [carry, y], got an object",
    (a) => scan(((c: T) => ({ carry: c, y: c })) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a pair [carry, y], got a Promise",
    (a) => scan((async (c: T) => [c, null]) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return a carry of tensors, found a number",
    (a) => scan(((_c: T) => [1, null]) as never, a, null, { length: 2 }),
  ],
  [
    "scan: the body must return tensors, found undefined at [1]",
    (a) => scan((c: T, _: null) => [c, undefined] as const, a, null, { length: 2 }),
  ],
  [
    "cond: the true branch must return tensors, found undefined",
    (a) => cond(full([], 1, "bool"), (() => undefined) as never, (x: T) => x, a),
  ],
  [
    "cond: the false branch must return tensors, found a number at .y",
    (a) => cond(full([], 1, "bool"), (x: T) => ({ x, y: x }), ((x: T) => ({ x, y: 0 })) as never, a),
  ],
  [
    "cond: expected a tensor, got boolean",
    (a) =>
      cond(
        true as never,
        (x: T) => x,
        (x: T) => x,
        a,
      ),
  ],
  [
    "whileLoop: the condition must return a bool tensor, found a boolean",
    (a) => whileLoop((() => false) as never, (x: T) => x, a),
  ],
  [
    "whileLoop: the condition must return one tensor, got [*]",
    (a) => whileLoop((() => [full([], 1, "bool")]) as never, (x: T) => x, a),
  ],
  [
    "whileLoop: the body must return tensors, found undefined",
    (a) => whileLoop(() => full([], 1, "bool"), (() => undefined) as never, a),
  ],
  ["remat: the function must return tensors, found undefined", (a) => remat((_: T) => undefined)(a)],
  [
    "customJvp: the rule must return tensors, [outputs, tangents], found undefined",
    (a) => customJvp((x: T) => exp(x), (() => undefined) as never)(a),
  ],
  [
    "customVjp: forward must return tensors, [outputs, residuals], found undefined",
    (a) =>
      customVjp(
        (x: T) => exp(x),
        (() => undefined) as never,
        (_r: T, ct) => [ct],
      )(a),
  ],
  [
    "customVjp: forward must return [outputs, residuals]",
    (a) =>
      customVjp(
        (x: T) => exp(x),
        exp as never,
        (_r: T, ct) => [ct],
      )(a),
  ],
  [
    "customVjp: backward must return tensors, a list of cotangents, found undefined",
    (a) =>
      customVjp(
        (x: T) => exp(x),
        (x) => [exp(x), x] as const,
        (() => undefined) as never,
      )(a),
  ],
  [
    "expected a tree of declared inputs such as f32(2), found a number at .x",
    () => fn({ x: 3 }, () => scalar(1)),
  ],
  ["expected a tree of declared inputs such as f32(2), found undefined", () => trace(((x: T) => x) as never)],
  ["the function must return tensors, found a number at .loss", () => trace(fn([], () => ({ loss: 1 })))],
  [
    "cond: the condition must be bool[], got f32[2,3]",
    (a) =>
      cond(
        a as never,
        (x: T) => x,
        (x: T) => x,
        a,
      ),
  ],
  [
    "cond: the branches return different things: the structures differ: * vs [*]",
    (a) =>
      cond(
        full([], 1, "bool"),
        (x: T) => x as unknown,
        (x: T) => [x] as unknown,
        a,
      ),
  ],
  [
    "cond: the false branch returns (f32[3]), expected (f32[2,3])",
    (a) =>
      cond(
        full([], 1, "bool"),
        (x: T) => x,
        (x: T) => sum(x, 0) as T,
        a,
      ),
  ],
  [
    "while: the condition must be bool[], got f32[]",
    (a) =>
      whileLoop(
        (x: T) => sum(x) as never,
        (x: T) => x,
        a,
      ),
  ],
  [
    "while: the body returns (f32[]), expected (f32[2,3])",
    (a) =>
      whileLoop(
        () => full([], 1, "bool"),
        (x: T) => sum(x) as T,
        a,
      ),
  ],
  ["grad: the function must return a float scalar, got f32[2,3]", (a) => grad((x: T) => x)(a)],
  [
    "grad: the function must return a float scalar, got i32[]",
    (a, _, n) => grad((_x: T) => sum(n) as never)(a),
  ],
  ['grad: there is no argument "w"', (a) => grad((p: { x: T }) => sum(p.x), "w" as "x")({ x: a })],
  [
    "jvp: tangents: the structures differ: [*] vs [*, *]",
    (a) => jvp((x: T, y: T) => add(x, y) as T, [a, a], [a] as never),
  ],
  ["jvp: tangents: f32[3] for a value of f32[2,3]", (a) => jvp((x: T) => x, [a], [sum(a, 0) as T])],
  ["pullback: cotangents: f32[] for a value of f32[2,3]", (a) => vjp((x: T) => x, a).pullback(sum(a) as T)],
  [
    "pushforward: tangents: the structures differ",
    (a) => linearize((x: T) => x, a).pushforward(...([] as never)),
  ],
  ["vmap: batch sizes differ: 2 vs 4", (a, b) => vmap((x: Tensor, y: Tensor) => [x, y])(a, b)],
  ["vmap: no argument is batched", (a) => vmap((x: Tensor) => x, { inAxes: [null] })(a)],
  ["vmap: f32[2,3] has no axis 2", (a) => vmap((x: Tensor) => x, { inAxes: [2] })(a)],
  ["vmap: 1 batch axes for 2 arguments", (a) => vmap((x: Tensor, _y: Tensor) => x, { inAxes: [0] })(a, a)],
  [
    "expected a tree of tensors, found a number at [1].lr",
    (a) => remat((x: T, _o: unknown) => x)(a, { lr: 0.1 }),
  ],
  ["expected a tree of tensors, found undefined at .y", (a) => vjp((x: T) => ({ x, y: undefined }), a)],
  [
    "scan: the body must return tensors, found a Map at [1].m",
    (a) => scan((c: T, _: null) => [c, { m: new Map() }] as const, a, null, { length: 1 }),
  ],
];

describe("sentences", () => {
  it.each(sentences)("%s", (sentence, body) => {
    const message = attempt(body);
    expect(message).toContain(sentence);
    expect(caseAt(blamedNumber(message))).toBe(sentence);
    expect(message.split("\n")).toHaveLength(2);
  });
});

describe("lines", () => {
  it("of an op called directly", () => {
    const message = attempt((a, b) => {
      const c = mul(a, 2);
      return matmul(c, b);
    });
    expect(message).toContain(at(-2));
  });

  it("of an op in a scan body, in a nested one, and in a scan body inside grad inside vmap", () => {
    const single = attempt((a, b) =>
      scan(
        (c: T, _: null) => {
          const doubled = mul(c, 2);
          return [add(doubled, b) as T, null] as const;
        },
        a,
        null,
        { length: 2 },
      ),
    );
    expect(blamedLine(single)).toContain("add(doubled, b)");
    const deep = attempt((a, b) =>
      vmap((x: Tensor) =>
        grad((y: T) => {
          const [end] = scan(
            (c: T, _: null) => {
              return [
                scan(
                  (d: T, _n: null) => {
                    return [matmul(d, b) as T, null] as const;
                  },
                  c,
                  null,
                  { length: 2 },
                )[0],
                null,
              ] as const;
            },
            y,
            null,
            { length: 2 },
          );
          return sum(end);
        })(x as T),
      )(stack([a, a])),
    );
    expect(blamedLine(deep)).toContain("matmul(d, b)");
  });

  it("of an op that only a transform breaks: the primal's line", () => {
    const message = attempt((a) =>
      grad((x: T) => {
        const y = exp(x);
        return sum(
          whileLoop(
            (z: T) => (full([], 0, "bool") as never) ?? z,
            (z: T) => exp(z),
            y,
          ),
        );
      })(a),
    );
    expect(blamedLine(message)).toContain("whileLoop(");
    expect(message).toContain("whileLoop has no reverse-mode derivative");
  });

  it("of a helper in the user's own code: the line inside the helper", () => {
    const message = attempt((a, b) => helper(a, b));
    expect(message).toContain(
      `${FILE}:${lines.findIndex((line) => line.startsWith("  return concat([x, y], 1)")) + 1}:`,
    );
  });

  it("of a call of a declared function with other sizes", () => {
    const g = fn({ x: f32("n", "n") }, ({ x }) => x);
    const message = attempt((a) => {
      return g({ x: a as never });
    });
    expect(message).toContain("x is f32[2,3], declared as f32[n,n]");
    expect(message).toContain(at(-3));
    expect(attempt((a) => g({ y: a } as never))).toContain(
      "the argument is not what the function declares: the structures differ: {y: *} vs {x: *}",
    );
    expect(attempt((_a, _b, n) => g({ x: n as never }))).toContain("x is i32[2], declared as f32[n,n]");
  });
});

const helper = (x: T, y: T): T => {
  return concat([x, y], 1) as T;
};

describe("tensors out of place", () => {
  it("used after their trace has ended, in another trace", () => {
    let kept: T | undefined;
    attempt((a) => (kept = a));
    const message = attempt((a) => add(a, kept as T));
    expect(message).toContain("a tensor f32[2,3] is used after the function that made it has returned");
    expect(message).toContain(at(-2));
  });

  it("of a loop body, used outside of it", () => {
    let kept: T | undefined;
    const message = attempt((a) => {
      scan((c: T, _: null) => [(kept = c), null] as const, a, null, { length: 2 });
      return exp(kept as T);
    });
    expect(message).toContain("is used after the function that made it has returned");
    expect(message).toContain(at(-3));
  });

  it("of a loop body, used in the next loop's body, and in a pullback made inside a scan", () => {
    let kept: T | undefined;
    const message = attempt((a) => {
      scan((c: T, _: null) => [(kept = c), null] as const, a, null, { length: 2 });
      scan((c: T, _: null) => [add(c, kept as T) as T, null] as const, a, null, { length: 2 });
    });
    expect(message).toContain("is used after the function that made it has returned");
    let pull: ((ct: T) => readonly unknown[]) | undefined;
    const later = attempt((a) => {
      scan(
        (c: T, _: null) => {
          pull = vjp((x: T) => mul(x, x) as T, c).pullback as never;
          return [c, null] as const;
        },
        a,
        null,
        { length: 2 },
      );
      return pull?.(a);
    });
    expect(later).toContain("is used after the function that made it has returned");
  });

  it("outside of any trace", () => {
    expect(() => zeros([2])).toThrow(
      "ops can only be used inside a function that is being traced or compiled; wrap the code in fn(...)",
    );
    let kept: T | undefined;
    attempt((a) => (kept = a));
    expect(() => exp(kept as T)).toThrow(OpError);
  });

  it("returned from a trace they do not belong to", () => {
    let kept: T | undefined;
    attempt((a) => (kept = a));
    expect(() => trace(fn({ a: f32(2) }, () => kept as T) as never)).toThrow(
      "is used after the function that made it has returned",
    );
  });

  it("an error leaves no trace behind: the next function traces well", () => {
    attempt((a, b) => scan((c: T, _: null) => [add(c, b) as T, null] as const, a, null, { length: 2 }));
    expect(() => zeros([2])).toThrow("ops can only be used inside");
    expect(trace(fn({ a: f32(2) }, ({ a }) => exp(a)) as never).program.equations).toHaveLength(1);
  });
});

describe("named dimensions", () => {
  const f = fn({ x: f32("batch", "in") }, ({ x }) => exp(x));

  it.each<readonly [sentence: string, sizes: Record<string, number>]>([
    ['dimension "batch" has no size; no names are bound', {}],
    ['dimension "in" has no size; bound are "batch"', { batch: 2 }],
    ['dimension "batch" has no size; bound are "bacth", "in"', { bacth: 2, in: 3 }],
    ['dimension "in" is bound to 1.5; it must be a whole number >= 0', { batch: 2, in: 1.5 }],
    ['dimension "batch" is bound to -1; it must be a whole number >= 0', { batch: -1, in: 2 }],
    [
      'sizes: the function has no dimension "out", "width"; it has "batch", "in"',
      { batch: 2, in: 3, out: 4, width: 5 },
    ],
  ])("are what the sizes name, or the caller's line is blamed: %s", (sentence, sizes) => {
    const [traced, specified] = [failing(() => trace(f, sizes)), failing(() => outputSpec(f, sizes))];
    for (const message of [traced, specified]) {
      expect(message.split("\n")[0]).toBe(sentence);
      expect(blamedLine(message)).toContain(
        "failing(() => trace(f, sizes)), failing(() => outputSpec(f, sizes))",
      );
    }
  });

  it("are also those that only the body asks for, directly or in a function that it calls", () => {
    const noise = fn({ key: i32() }, () => zeros(["samples", 3]));
    expect(outputSpec(noise, { samples: 2 }).shape).toEqual([2, 3]);
    const outer = fn({ key: i32() }, (input) => noise(input));
    expect(outputSpec(outer, { samples: 2 }).shape).toEqual([2, 3]);
    expect(failing(() => trace(noise, { samples: 2, sample: 3 }))).toContain(
      'sizes: the function has no dimension "sample"; it has "samples"\n',
    );
    expect(
      failing(() =>
        trace(
          fn({ x: f32(2) }, ({ x }) => x),
          { n: 3 },
        ),
      ),
    ).toContain('sizes: the function has no dimension "n"; it has none\n');
    // The callee's "n" is the size of what it is called with.
    const callee = fn({ x: f32("n") }, ({ x }) => reshape(x, ["n", 1]));
    expect(
      failing(() =>
        trace(
          fn({ x: f32(2) }, (input) => callee(input as never)),
          { n: 2 },
        ),
      ),
    ).toContain('sizes: the function has no dimension "n"');
  });

  it("may be called what objects have by nature", () => {
    expect(failing(() => trace(fn({ x: f32("constructor") }, ({ x }) => x)))).toContain(
      'dimension "constructor" has no size; no names are bound\n',
    );
    expect(
      outputSpec(
        fn({ x: f32("constructor") }, ({ x }) => x),
        { constructor: 2 },
      ).shape,
    ).toEqual([2]);
  });

  it("stand for the callee's sizes inside a declared function that another one calls", () => {
    const inner = fn({ x: f32("batch", 3) }, ({ x }) => reshape(x, [3, "batch"]));
    const outer = fn({ x: f32("batch", 4, 3) }, ({ x }) => [
      inner({ x: reshape(x as T, [8, 3]) as never }),
      zeros(["batch"]),
    ]);
    const { program } = trace(outer as never, { batch: 2 });
    expect(program.outputs.map((id) => program.types[id]?.shape)).toEqual([[3, 8], [2]]);
  });

  it("are forgotten when the trace ends, also after an error", () => {
    const f = fn({ x: f32("batch") }, () => reshape(scalar(1), ["batch", 7]));
    expect(() => trace(f as never, { batch: 2 })).toThrow("reshape");
    expect(() => trace(fn({ x: f32("batch") }, ({ x }) => x) as never)).toThrow(
      'dimension "batch" has no size; no names are bound',
    );
  });

  it("a capture of another function's tensor is refused in a sentence", () => {
    const message = attempt((a) => {
      trace(fn({ x: f32(2, 3) }, ({ x }) => sub(x as T, a)) as never);
    });
    expect(message).toContain("the function uses a tensor of another function; pass it as an input");
    expect(iota).toBeTypeOf("function");
  });
});
