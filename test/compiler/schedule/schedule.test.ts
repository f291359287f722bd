/** The scheduler: plans compute what the interpreter does, fused and not, within the limits of the least adapter. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { TargetLimits } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import type { OpKind, Program, TensorType } from "../../../src/dsl/program/program.ts";
import { emit } from "../../../src/dsl/trace/builder.ts";
import type { TracedTensor } from "../../../src/dsl/trace/builder.ts";
import * as prim from "../../../src/dsl/trace/prim.ts";
import { OPS as OP_TABLE } from "../../../src/dsl/ops/index.ts";
import type { RandomProgramOptions } from "../../support/random-program.ts";
import { anyDonation, arbitraryRun, positionsOf } from "../../support/random-program.ts";
import { HARDWARE, countingInputs, directed, problem, vectors } from "../../support/scheduled.ts";

const RUNS = Number(process.env["FLUXION_RUNS"] ?? 100);

const OPS: readonly OpKind[] = Object.keys(OP_TABLE) as OpKind[];
const EXACT: readonly OpKind[] = [
  "constant", "iota", "and", "or", "xor", "not", "shiftLeft", "shiftRight", "select", "threefry", "broadcast", "reshape",
  "transpose", "slice", "pad", "concat", "gather", "reduceMax", "argmax", "sort", "max", "min", "abs", "neg", "scan", "cond", "while", "remat",
]; // prettier-ignore

const FLOAT: RandomProgramOptions = { bounded: true, floatOnly: true, ops: OPS };
const CASES: readonly (readonly [name: string, options: RandomProgramOptions, tolerance: number])[] = [
  ["in f32", FLOAT, 1e-3],
  ["in f32, large", { ...FLOAT, minEquations: 12, maxEquations: 30, nesting: 0 }, 1e-3],
  ["with nested loops", { ...FLOAT, nesting: 2 }, 1e-3],
  ["with f16 among them", { bounded: true, ops: OPS }, 5e-2],
  ["on special values and whole words", { ops: EXACT.filter((op) => OPS.includes(op)), nesting: 1 }, 1e-3],
];

/** Lets bindings begin at any second element, so that small tensors lie in parts of buffers as large ones do. */
const CLOSE: TargetLimits = { ...MINIMUM_LIMITS, alignment: 2 };

describe.each([
  ["fused", true],
  ["unfused", false],
])("random programs, %s", (_name, fusion) => {
  it.each(CASES)("agree with the interpreter %s", (_name, options, tolerance) => {
    const anyLimits = fc.constantFrom(MINIMUM_LIMITS, CLOSE, HARDWARE);
    const property = fc.property(
      arbitraryRun(options),
      anyLimits,
      anyDonation,
      ({ program, inputs }, limits, donates) => {
        const donated = positionsOf(donates, inputs.length);
        const found = problem(program, inputs, { fusion, limits, donated }, tolerance);
        if (found !== undefined) throw new Error(found);
      },
    );
    fc.assert(property, { numRuns: RUNS });
  });
});

it("kernels have nothing to do in workgroups that two dimensions have too many of", () => {
  const limits = { ...MINIMUM_LIMITS, workgroups: 3 };
  const property = fc.property(
    arbitraryRun({ ...FLOAT, extents: [1, 3, 5, 12, 20] }),
    anyDonation,
    ({ program, inputs }, donation) => {
      const donated = positionsOf(donation, inputs.length);
      const found = problem(program, inputs, { limits, donated }, 1e-3);
      if (found !== undefined) throw new Error(found);
    },
  );
  fc.assert(property, { numRuns: RUNS });
});

type T = TracedTensor;

const sumOf = (terms: readonly TracedTensor[]): TracedTensor => terms.reduce((a, b) => prim.add(a, b));

describe("kernels within eight buffers", () => {
  const check = (program: Program): void => {
    expect(problem(program, countingInputs(program), {}, 1e-4)).toBeUndefined();
  };
  it("with two results of one threefry", () => {
    check(
      directed(
        (a, b, c, d, e, f, g) => {
          const [x, y, z] = [prim.add(a as T, b as T), prim.add(c as T, d as T), prim.add(e as T, f as T)];
          return emit("threefry", [x, y, z, g as T], {});
        },
        vectors(7, [4], "u32"),
      ),
    );
  });
  it("with a value that turns out late to be computed on its own", () => {
    check(
      directed(
        (...inputs) => {
          const [a, b, c, d, e, f, g, h, i, j, k, l, m] = inputs as readonly T[] as never as T[];
          const t = prim.mul(a as T, b as T);
          const v = sumOf([t, prim.sub(a as T, b as T), c as T, d as T, e as T, f as T, g as T]);
          const more = [t, prim.mul(h as T, i as T), prim.mul(j as T, k as T), prim.mul(l as T, m as T)];
          return [v, prim.concat(more, 0)];
        },
        vectors(13, [4]),
      ),
    );
  });
  it("with a list among them that is returned", () => {
    check(
      directed(
        (...inputs) => {
          const list = emit("constant", [], { shape: [4], dtype: "f32", values: [1, 2, 3, 5] })[0] as T;
          return [list, sumOf([list, ...inputs])];
        },
        vectors(6, [4]),
      ),
    );
  });
  it("with a dot in slices", () => {
    const types = [...vectors(1, [16, 1024]), ...vectors(1, [1024, 16]), ...vectors(4, [16, 16])];
    check(
      directed((a, b, c, d, e, f) => {
        const y = prim.dot(a as T, b as T, {
          lhsBatch: [],
          rhsBatch: [],
          lhsContract: [1],
          rhsContract: [0],
        });
        const [left, right] = [corner(a as T), corner(b as T)];
        return [
          sumOf([y, left, c as T, d as T]),
          [y, right, e as T, f as T].reduce((p, q) => prim.mul(p, q)),
        ];
      }, types),
    );
  });
});

/** The first 16 × 16 elements. */
const corner = (x: TracedTensor): TracedTensor =>
  prim.slice(x, { start: [0, 0], stop: [16, 16], step: [1, 1] });

it("exchanges the operands of transposed dots, and of no others", () => {
  const params = { lhsBatch: [0], rhsBatch: [1], lhsContract: [3], rhsContract: [0] };
  const types: TensorType[] = [
    { shape: [2, 3, 2, 4], dtype: "f32" },
    { shape: [4, 2, 3, 2], dtype: "f32" },
  ];
  const perms = [[0, 3, 4, 1, 2], [0, 3, 1, 2, 4], [3, 4, 0, 1, 2], [0, 4, 3, 1, 2], [0, 1, 2, 3, 4], [0, 2, 1, 4, 3]]; // prettier-ignore
  for (const perm of perms) {
    const program = directed((x, y) => {
      const transposed = prim.transpose(prim.dot(x as T, y as T, params), perm);
      return [prim.reshape(transposed, [72])];
    }, types); // prettier-ignore
    expect(problem(program, countingInputs(program), {}, 1e-4)).toBeUndefined();
  }
});

describe("values that the steps between keep", () => {
  it("sums f16 beyond its range, in several steps", () => {
    const signs = Array.from({ length: 384 }, (_, i) => (i < 192 ? 2000 : -2000));
    const several = directed((x) => [prim.reduceSum(x as T, [0, 2])], vectors(1, [2, 3, 64], "f16"));
    expect(problem(several, [exactTensor("f16", [2, 3, 64], signs)], {}, 1e-3)).toBeUndefined();
    const halves = Array.from({ length: 5000 }, (_, i) => (i < 2500 ? 2000 : -2000));
    const long = directed((x) => [prim.reduceSum(x as T, [0])], vectors(1, [5000], "f16"));
    expect(problem(long, [exactTensor("f16", [5000], halves)], {}, 1e-3)).toBeUndefined();
  });
  it("scatters without touching the sign of other zeros", () => {
    const types: TensorType[] = [
      { shape: [4], dtype: "f32" },
      { shape: [1], dtype: "i32" },
      { shape: [1], dtype: "f32" },
    ];
    const program = directed((x, i, u) => [prim.scatterAdd(x as T, i as T, u as T, 0)], types);
    const inputs = [
      exactTensor("f32", [4], [-0, -0, -0, 1]),
      exactTensor("i32", [1], [1]),
      exactTensor("f32", [1], [2]),
    ];
    expect(problem(program, inputs, {}, 0)).toBeUndefined();
  });
});

it("schedules a chain of ten thousand kernels", () => {
  const types: TensorType[] = [
    { shape: [1, 2], dtype: "f32" },
    { shape: [2, 2], dtype: "f32" },
  ];
  const program = directed((x, m) => {
    let state = x as T;
    for (let i = 0; i < 10_000; i++) {
      const moved = prim.dot(state, m as T, {
        lhsBatch: [],
        rhsBatch: [],
        lhsContract: [1],
        rhsContract: [0],
      });
      state = prim.tanh(prim.add(state, moved));
    }
    return [state];
  }, types);
  expect(schedule(program).steps.length).toBeGreaterThan(9_000);
}, 120_000);
