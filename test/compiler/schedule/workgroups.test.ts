/**
 * Kernels that have more workgroups than fit in one dimension: a device lays them out in two, so a few run that a kernel did not ask for,
 * and they must do nothing. On the host, where every access is checked, with a target that allows three.
 */
import { describe, expect, it } from "vitest";
import { exactTensor, toExact, toStorage } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { MINIMUM_LIMITS } from "../../../src/compiler/kernel/plan.ts";
import type { Step } from "../../../src/compiler/kernel/plan.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { sizeOf, typeOf } from "../../../src/dsl/program/program.ts";
import { trace } from "../../../src/dsl/fn.ts";
import {
  argmax,
  attention,
  cumsum,
  exp,
  f32,
  fn,
  gather,
  i32,
  matmul,
  mul,
  scatterAdd,
  softmax,
  sort,
  sum,
  valueAndGrad,
} from "../../../src/dsl/index.ts";
import { difference } from "../../support/programs.ts";
import { runPlan } from "../../support/run-plan.ts";

const MOST = 3;
const limits = { ...MINIMUM_LIMITS, workgroups: MOST };

const matrix = f32("rows", "columns");
/** Of a matrix x, one program for each kind of kernel. */
const PROGRAMS = {
  map: fn({ x: matrix }, ({ x }) => exp(x)),
  rows: fn({ x: matrix }, ({ x }) => softmax(x)),
  columns: fn({ x: matrix }, ({ x }) => sum(mul(x, x), [0])),
  argmax: fn({ x: matrix }, ({ x }) => argmax(x, 0)),
  dot: fn({ x: matrix, w: f32("columns", 150) }, ({ x, w }) => matmul(x, w)),
  gemv: fn({ x: matrix, w: f32("columns", 1) }, ({ x, w }) => matmul(x, w)),
  cumsum: fn({ x: matrix }, ({ x }) => cumsum(x, 1)),
  sort: fn({ x: matrix }, ({ x }) => sort(x, 1)),
  gather: fn({ x: matrix, at: i32(9) }, ({ x, at }) => gather(x, at)),
  scatterAdd: fn({ x: matrix, at: i32(9), more: f32(9, "columns") }, ({ x, at, more }) =>
    scatterAdd(x, at, more),
  ),
  attention: valueAndGrad(
    fn({ q: f32(5, "rows", 8), k: f32(5, "rows", 8), v: f32(5, "rows", 9) }, ({ q, k, v }) =>
      sum(attention(q, k, v, { causal: true })),
    ),
  ),
} as const;

/** The most workgroups of a dispatch. */
const widest = (steps: readonly Step[]): number =>
  Math.max(0, ...steps.map((step) => (step.kind === "dispatch" ? step.workgroups : 0)));

/** Multiples of the rows and columns of blocks, and others. */
const SIZES = [[40, 20], [41, 20], [64, 33], [7, 300], [320, 3]] as const; // prettier-ignore

describe.each(Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[])("%s", (name) => {
  it.each(SIZES)("of %i × %i", (rows, columns) => {
    const sizes = name === "attention" ? { rows } : { rows, columns };
    const { program } = trace(PROGRAMS[name], sizes);
    const inputs = program.inputs.map((id, n) => {
      const { shape, dtype } = typeOf(program, id);
      const at = (i: number): number => ((i * 7919 + n * 31) % 4099) / 2048 - 1;
      const values = Array.from({ length: sizeOf(shape) }, (_, i) => (dtype === "i32" ? (i * 5) % 7 : at(i)));
      return toStorage(exactTensor(dtype, shape, values));
    });
    const plan = schedule(program, { limits });
    const actual = runPlan(plan, inputs, MOST);
    const expected = interpret(program, inputs).map((tensor) => toExact(toStorage(tensor)));
    expect(difference(actual, expected, 1e-4)).toBeUndefined();
    if (rows * columns > 64 * MOST && (name === "map" || name === "rows"))
      expect(widest(plan.steps)).toBeGreaterThan(MOST);
  });
});
