/** What scalars of the kernel IR are on the host: the ops, with values as their types hold them. Consumed by run-kernel.ts. */
import { OPS } from "../../src/dsl/ops/index.ts";
import { ARITHMETIC_OPS, COMPARE_OPS, UNARY_OPS } from "../../src/dsl/program/program.ts";
import { threefry2x32 } from "../../src/dsl/random/threefry.ts";
import type { Scalar } from "../../src/compiler/kernel/ir.ts";
import { WRAP } from "./run-subgroup.ts";

const scalarOps = Object.fromEntries([
  ...UNARY_OPS.map((op) => {
    const { value } = OPS[op];
    return [op, (x: number, type: Scalar) => WRAP[type](value(x, type))] as const;
  }),
  ...ARITHMETIC_OPS.map((op) => {
    const { value } = OPS[op];
    return [op, (x: number, y: number, type: Scalar) => WRAP[type](value(x, y, type))] as const;
  }),
  ...COMPARE_OPS.map((op) => {
    const { value } = OPS[op];
    return [op, (x: number, y: number) => Number(value(x, y))] as const;
  }),
]);

const [LOW, HIGH] = [
  { f32: 0, bool: 0, i32: -(2 ** 31), u32: 0 },
  { f32: 0, bool: 0, i32: 2 ** 31 - 1, u32: 2 ** 32 - 1 },
];

/** What the compiled code calls. */
export const SCALAR_HELPERS = {
  ops: scalarOps,
  threefry: threefry2x32,
  fround: Math.fround,
  imul: Math.imul,
  /** Evaluates both sides, as a GPU may: loads must be in bounds on both. */
  pick: (condition: number, x: number, y: number): number => (condition === 0 ? y : x),
  convert: (x: number, from: Scalar, to: Scalar): number => {
    if (to === "bool") return x === 0 ? 0 : 1;
    if (from !== "f32" || to === "f32") return WRAP[to](x);
    return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), LOW[to]), HIGH[to]);
  },
};
