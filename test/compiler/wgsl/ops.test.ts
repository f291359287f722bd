/**
 * Every scalar op on a GPU against its entry in src/dsl/ops, for every type that it takes: the values at which hardware, drivers and
 * WGSL itself differ, all pairs of them, and many others. An op without a tolerance fails to compile.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { hostTensor, toNumbers } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import * as make from "../../../src/compiler/kernel/builder.ts";
import { KernelBuilder, LANE, WORKGROUP, index, literal } from "../../../src/compiler/kernel/builder.ts";
import type { Expr, Scalar } from "../../../src/compiler/kernel/ir.ts";
import { printWgsl } from "../../../src/compiler/wgsl/print.ts";
import { OPS, inferTypes } from "../../../src/dsl/ops/index.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../../../src/dsl/program/program.ts";
import type { ArithmeticOp, BinaryOp, UnaryOp } from "../../../src/dsl/program/program.ts";
import { threefry2x32 } from "../../../src/dsl/random/threefry.ts";
import type { Gpu } from "../../../src/runtime/webgpu/gpu.ts";
import { openTestGpu } from "../../support/webgpu.ts";
import { runOnGpu } from "./run.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const TYPES = ["f32", "i32", "u32", "bool"] as const satisfies readonly Scalar[];
const BINARY_OPS = [...ARITHMETIC_OPS, ...COMPARE_OPS];
const [inf, nan] = [Infinity, NaN];
const SMALLEST_NORMAL = 2 ** -126;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** Distance between the f32 numbers around x. */
const ulp = (x: number): number => 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -126) - 23);

/** How far a result may be from the exact value `want`, for floats. Integers and bools are exact. */
type Tolerance = (want: number, x: number, y: number) => number;
const ulps =
  (count: number): Tolerance =>
  (want) =>
    count * ulp(want);
const exact = ulps(0);
/** One result in f32, rounded as WGSL allows: up or down. */
const rounded = ulps(1);
const absolute =
  (error: number): Tolerance =>
  () =>
    error;

/** Where the function is made of f32 arithmetic, what adapters show plus a margin for WGSL's looser division and rounding. */
const TOLERANCE = {
  neg: exact,
  abs: exact,
  sign: exact,
  floor: exact,
  exp: ulps(3),
  log: ulps(3),
  sin: absolute(2e-7),
  cos: absolute(2e-7),
  tanh: ulps(4),
  sqrt: ulps(3),
  rsqrt: ulps(3),
  erf: ulps(3),
  logistic: ulps(5),
  not: exact,
  add: rounded,
  sub: rounded,
  mul: rounded,
  div: ulps(2.5),
  rem: exact,
  // The logarithm's rounding is multiplied by y.
  pow: (want, x, y) => (4 + 2 * Math.abs(y * Math.log(Math.abs(x)))) * ulp(want),
  max: exact,
  min: exact,
  and: exact,
  or: exact,
  xor: exact,
  shiftLeft: exact,
  shiftRight: exact,
} as const satisfies { [K in UnaryOp | ArithmeticOp]: Tolerance };

const random = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => threefry2x32(2, 3, i, seed)[0]);

const INTEGER_EDGES = [0, 1, -1, 2, -2, 3, 7, 31, 32, 33, 255, -(2 ** 31), 2 ** 31 - 1, 123456789];
const FLOAT_EDGES = [
  0, -0, 1, -1, 0.5, -0.5, 1.5, 2, -2, 3, 2.5, -3.5, 7.3, -7.3, inf, -inf, nan, 1e-40, -1e-40, SMALLEST_NORMAL, -SMALLEST_NORMAL, 1.5 * SMALLEST_NORMAL, 5e-38,
  1e-30, 1e10, -1e10, 1e30, -1e30, LARGEST, -LARGEST, 16777216, 16777217, 2147483520, 2147483648, -2147483648, 4294967040, 4294967296,
  Math.PI, 88.72, 88.73, -87.4, -104, 99999, 100001, 0.625, 4, 0.9999999, 1.0000001,
]; // prettier-ignore

/** Values that try a type. Floats are f32 numbers of either sign and all magnitudes, half of them of those that are common. */
const VALUES: Readonly<Record<Scalar, readonly number[]>> = {
  f32: [
    ...FLOAT_EDGES,
    ...random(3000, 0).map((bits, i) => {
      const sign = (bits & 1) === 0 ? 1 : -1;
      return sign * 10 ** ((bits / 2 ** 32 - 0.5) * (i % 2 === 0 ? 74 : 6));
    }),
  ].map(Math.fround),
  i32: [...INTEGER_EDGES, ...random(500, 1)].map((x) => x | 0),
  u32: [...INTEGER_EDGES, ...random(500, 2)].map((x) => x >>> 0),
  bool: [0, 1],
};

/** All pairs of edge values, and pairs of others: first operands, second operands. */
function pairsOf(type: Scalar): readonly [readonly number[], readonly number[]] {
  const edges = VALUES[type].slice(0, type === "f32" ? FLOAT_EDGES.length : INTEGER_EDGES.length);
  const others = VALUES[type].slice(edges.length);
  const pairs = [
    ...edges.flatMap((x) => edges.map((y) => [x, y] as const)),
    ...others.map((x, i) => [x, others[(i * 7 + 3) % others.length] as number] as const), // within
  ];
  return [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
}
const PAIRS = { f32: pairsOf("f32"), i32: pairsOf("i32"), u32: pairsOf("u32"), bool: pairsOf("bool") };

const isLegal = (op: UnaryOp | BinaryOp, type: Scalar, operands: number): boolean => {
  try {
    inferTypes(op, Array.from({ length: operands }, () => ({ dtype: type, shape: [] })), {}); // prettier-ignore
    return true;
  } catch {
    return false;
  }
};

/** Values as an op returns them, in their type. */
const wrap: Readonly<Record<Scalar, (x: number) => number>> = {
  f32: (x) => x,
  i32: (x) => x | 0,
  u32: (x) => x >>> 0,
  bool: (x) => x & 1,
};

/** The operands as a device may see them: a subnormal one may be taken for 0, of either sign. */
const variants = (operands: readonly number[]): readonly number[][] =>
  operands.reduce<number[][]>(
    (made, x) => {
      const seen = x !== 0 && Math.abs(x) < SMALLEST_NORMAL ? [x, 0, -0] : [x];
      return made.flatMap((head) => seen.map((last) => [...head, last]));
    },
    [[]],
  );

function isClose(got: number, want: number, allowed: number): boolean {
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (got === want) return true;
  if (Math.abs(want) === inf) return false;
  if (Math.abs(want) > LARGEST - allowed && Math.abs(got) === inf) return Math.sign(got) === Math.sign(want);
  if (got === 0 && Math.abs(want) < SMALLEST_NORMAL) return true;
  // Near the smallest normal number a part of the sum that the result is may have been flushed.
  const slack = allowed > 0 && Math.abs(want) < 8 * SMALLEST_NORMAL ? SMALLEST_NORMAL : 0;
  return Math.abs(got - want) <= allowed + slack;
}

/** Describes the results that are wrong; empty when all is well. */
function wrong(
  type: Scalar,
  operands: readonly (readonly number[])[],
  results: readonly number[],
  value: (x: number, y: number) => number,
  tolerance: Tolerance = exact,
): readonly string[] {
  return results.flatMap((got, i) => {
    const given = operands.map((values) => values[i] as number);
    const tried = type === "f32" ? variants(given) : [given];
    const fits = tried.some((operands) => {
      const [x = 0, y = 0] = operands;
      const want = value(x, y);
      return isClose(got, want, tolerance(want, x, y));
    });
    return fits
      ? []
      : [`(${given.join(", ")}) gives ${got}, expected ${value(given[0] ?? 0, given[1] ?? 0)}`];
  });
}

interface Output {
  readonly name: string;
  /** From the operands of that element. */
  readonly value: (...operands: Expr[]) => Expr;
}

/** Runs many functions of the same operands in one kernel: element i + n·k of the result is the k-th function at i. */
async function evaluate(
  gpu: Gpu,
  type: Scalar,
  operands: readonly (readonly number[])[],
  result: Scalar,
  outputs: readonly Output[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const size = operands[0]?.length ?? 1;
  const k = new KernelBuilder();
  const inputs = operands.map(() => k.buffer({ dtype: type, access: "read" }));
  const output = k.buffer({ dtype: result, access: "write" });
  const at = k.let(make.plus(make.times(WORKGROUP, index(64)), LANE));
  k.if(make.below(at, index(size)), () => {
    const loaded = inputs.map((buffer) => k.let({ kind: "load", type, buffer, at }));
    outputs.forEach(({ value }, n) =>
      k.emit({ kind: "store", buffer: output, at: make.plus(at, index(n * size)), value: value(...loaded) }),
    );
  });
  const results = await runOnGpu(gpu, k.finish(`${outputs.map(({ name }) => name).join("_")}_${type}`, 64), {
    buffers: [
      ...operands.map((values) => hostTensor(type, [size], values)),
      hostTensor(result, [size * outputs.length], new Float64Array(size * outputs.length).fill(77)),
    ],
    workgroups: [Math.ceil(size / 64)],
  });
  const numbers = toNumbers(results.at(-1) as HostTensor);
  return new Map(outputs.map(({ name }, n) => [name, numbers.slice(n * size, (n + 1) * size)]));
}

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openTestGpu();
});

describe.each(TYPES)("%s", (type) => {
  const unaryOps = UNARY_OPS.filter((op) => isLegal(op, type, 1));
  const arithmeticOps = ARITHMETIC_OPS.filter((op) => isLegal(op, type, 2));
  const compareOps = COMPARE_OPS.filter((op) => isLegal(op, type, 2));
  const apply1 = (op: UnaryOp) => (x: number) => wrap[type](OPS[op].value(x, type));
  const apply2 = (op: BinaryOp) => (x: number, y: number) =>
    op === "equal" || op === "less" || op === "lessEqual"
      ? Number(OPS[op].value(x, y))
      : wrap[type](OPS[op].value(x, y, type));
  const unaryOutput = (op: UnaryOp): Output => ({ name: op, value: (x) => make.unary(op, x as Expr) });
  const binaryOutput = (op: BinaryOp): Output => ({
    name: op,
    value: (x, y) => make.binary(op, x as Expr, y as Expr),
  });

  describe("one operand", () => {
    let results: ReadonlyMap<string, readonly number[]>;
    beforeAll(async () => {
      results = await evaluate(gpu, type, [VALUES[type]], type, unaryOps.map(unaryOutput));
    });
    it.each(unaryOps)("%s", (op) => {
      expect(wrong(type, [VALUES[type]], results.get(op) ?? [nan], apply1(op), TOLERANCE[op])).toEqual([]);
    });
  });

  describe("two operands", () => {
    let results: ReadonlyMap<string, readonly number[]>;
    let comparisons: ReadonlyMap<string, readonly number[]>;
    beforeAll(async () => {
      results = await evaluate(gpu, type, PAIRS[type], type, arithmeticOps.map(binaryOutput));
      comparisons = await evaluate(gpu, type, PAIRS[type], "bool", compareOps.map(binaryOutput));
    });
    it.each(arithmeticOps)("%s", (op) => {
      expect(wrong(type, PAIRS[type], results.get(op) ?? [nan], apply2(op), TOLERANCE[op])).toEqual([]);
    });
    it.each(compareOps)("%s", (op) => {
      expect(wrong(type, PAIRS[type], comparisons.get(op) ?? [nan], apply2(op))).toEqual([]);
    });
  });
});

describe("conversions", () => {
  /** As the interpreter converts. */
  const convert = (x: number, from: Scalar, to: Scalar): number => {
    if (to === "bool") return x === 0 ? 0 : 1;
    if (from !== "f32" || to === "f32") return wrap[to](x);
    const [least, most] = to === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), least), most);
  };
  it.each(TYPES.flatMap((from) => TYPES.map((to) => [from, to] as const)))("%s to %s", async (from, to) => {
    const output: Output = { name: "cast", value: (x) => make.cast(to, x as Expr) };
    const results = await evaluate(gpu, from, [VALUES[from]], to, [output]);
    const tolerance = to === "f32" ? rounded : exact;
    expect(wrong(from, [VALUES[from]], results.get("cast") ?? [nan], (x) => convert(x, from, to), tolerance)).toEqual([]); // prettier-ignore
  });
});

describe("NaN", () => {
  it.each(TYPES)("is found by its bits in %s", async (type) => {
    const output: Output = { name: "isNan", value: (x) => ({ kind: "isNan", type: "bool", x: x as Expr }) };
    const results = await evaluate(gpu, type, [VALUES[type]], "bool", [output]);
    expect(results.get("isNan")).toEqual(VALUES[type].map((x) => Number(Number.isNaN(x))));
  });

  it("makes the negation of a comparison true, and goes through a select", async () => {
    const outputs: Output[] = [
      {
        name: "not below",
        value: (x, y) =>
          make.select(make.unary("not", make.below(x as Expr, y as Expr)), x as Expr, y as Expr),
      },
      {
        name: "equal",
        value: (x, y) =>
          make.select(make.binary("equal", x as Expr, y as Expr), x as Expr, literal("f32", nan)),
      },
    ];
    // A subnormal number may be compared as 0 and selected as itself.
    const isPlain = (x: number): boolean => x === 0 || !(Math.abs(x) < SMALLEST_NORMAL);
    const plain = PAIRS.f32[0].map((x, i) => isPlain(x) && isPlain(PAIRS.f32[1][i] ?? 0));
    const pairs = PAIRS.f32.map((values) => values.filter((_, i) => plain[i]));
    const results = await evaluate(gpu, "f32", pairs, "f32", outputs);
    const check = (name: string, value: (x: number, y: number) => number): void =>
      expect(wrong("f32", pairs, results.get(name) ?? [0], value)).toEqual([]);
    check("not below", (x, y) => (x < y ? y : x));
    check("equal", (x, y) => (x === y ? x : nan));
  });
});

/** Few, because software adapters take seconds to compile all functions many times: numbers, and pairs of them. */
const ALL_LITERAL = {
  f32: [[0, -1, LARGEST], [[LARGEST, LARGEST], [1, 0], [0, 0], [-1, 0.5]]],
  integer: [[0, -1, -(2 ** 31)], [[2 ** 31 - 1, 2 ** 31 - 1], [-(2 ** 31), -1], [0, 1], [1, 0], [-1, 32], [1, 31]]],
} as const; // prettier-ignore

describe("literals", () => {
  it.each(TYPES)("of %s are the numbers that they stand for", async (type) => {
    const values = VALUES[type].slice(0, 60);
    const outputs = values.map((value, i): Output => ({ name: `${i}`, value: () => literal(type, value) }));
    const results = await evaluate(gpu, type, [[0]], type, outputs);
    const got = values.map((_, i) => results.get(`${i}`)?.[0]);
    for (const [i, value] of values.entries())
      expect(value !== 0 && Math.abs(value) < SMALLEST_NORMAL && got[i] === 0 ? value : got[i]).toBe(value);
  });

  // Where WGSL computes while it compiles, it rejects overflow, division by zero and more.
  it.each(TYPES)("as all operands of an op of %s mean the same", async (type) => {
    const [xs, pairs] = ALL_LITERAL[type === "f32" ? "f32" : "integer"];
    const cases = [
      ...UNARY_OPS.filter((op) => isLegal(op, type, 1)).flatMap((op) =>
        xs.map(wrap[type]).map((x) => ({ op, given: [x], expr: make.unary(op, literal(type, x)) })),
      ),
      ...ARITHMETIC_OPS.filter((op) => isLegal(op, type, 2)).flatMap((op) =>
        pairs.map((pair) => {
          const [x, y] = pair.map(wrap[type]) as [number, number];
          return { op, given: [x, y], expr: make.binary(op, literal(type, x), literal(type, y)) };
        }),
      ),
    ];
    const outputs = cases.map(({ expr }, i): Output => ({ name: `${i}`, value: () => expr }));
    const results = await evaluate(gpu, type, [[0]], type, outputs);
    const failures = cases.flatMap(({ op, given }, i) => {
      // The entries of both arities, of which it is one, are called alike.
      const entry = OPS[op].value as (...operands: readonly (number | Scalar)[]) => number;
      const value = (): number => wrap[type](entry(...given, type));
      const operands = given.map((x) => [x]);
      return wrong(type, operands, results.get(`${i}`) ?? [nan], value, TOLERANCE[op]).map(
        (text) => `${op}${text}`,
      );
    });
    expect(failures).toEqual([]);
  });

  it.each(["i32", "u32", "f32"] as const)("as one operand of an op of %s mean the same", async (type) => {
    const ops = ["div", "rem", "shiftLeft", "shiftRight", "pow", "add", "sub", "mul", "max"] as const;
    const literals = (
      type === "f32" ? [0, -0, -1, 2, 0.5, inf, -inf, nan] : [0, 1, -1, 2, 31, 32, -(2 ** 31)]
    ).map(wrap[type]);
    const cases = ops
      .filter((op) => isLegal(op, type, 2))
      .flatMap((op) => literals.flatMap((value) => [0, 1].map((place) => ({ op, value, place }))));
    const at = <T>(place: number, it: T, other: T): [T, T] => (place === 0 ? [it, other] : [other, it]);
    const outputs = cases.map(({ op, value, place }, i): Output => ({
      name: `${i}`,
      value: (x) => make.binary(op, ...at(place, literal(type, value), x as Expr)),
    }));
    const others = VALUES[type].slice(0, 100);
    const results = await evaluate(gpu, type, [others], type, outputs);
    const failures = cases.flatMap(({ op, value, place }, i) => {
      const operands = at(place, others.map(() => value), others); // prettier-ignore
      const of = (x: number, y: number): number => wrap[type](OPS[op].value(x, y, type));
      const found = wrong(type, operands, results.get(`${i}`) ?? [nan], of, TOLERANCE[op]);
      return found.map((text) => `${op}${text}`);
    });
    expect(failures).toEqual([]);
  });
});

describe("the tables", () => {
  it("have the ops for the types for which they are defined, and no others", () => {
    const prints = (value: Expr): boolean => {
      const k = new KernelBuilder();
      k.emit({ kind: "let", name: "x0", value });
      try {
        printWgsl(k.finish("one", 1), { f16: true });
        return true;
      } catch {
        return false;
      }
    };
    for (const type of TYPES) {
      const x: Expr = { kind: "name", type, name: "y0" };
      for (const op of UNARY_OPS)
        expect([op, type, prints(make.unary(op, x))]).toEqual([op, type, isLegal(op, type, 1)]);
      for (const op of BINARY_OPS)
        expect([op, type, prints(make.binary(op, x, x))]).toEqual([op, type, isLegal(op, type, 2)]);
    }
  });
});
