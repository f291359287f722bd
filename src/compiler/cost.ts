/**
 * What a program costs: equations by op, floating-point operations and bytes read and written if every equation ran alone.
 * Consumed by `fluxion inspect` and benchmarks. A multiply and an add count as two operations; loops count every iteration.
 */
import { nestedPrograms, sizeOf, typeOf } from "../dsl/program/program.ts";
import type { AnyEquation, OpKind, Program, TensorType } from "../dsl/program/program.ts";
import { byteSize } from "../dsl/types/dtype.ts";

export interface Cost {
  /** Equations by op, nested programs included once. */
  readonly equations: ReadonlyMap<OpKind, number>;
  /** Floating-point operations of one run; the body of `while` counts once. */
  readonly flops: number;
  /** Bytes read and written by all equations of one run. */
  readonly bytes: number;
}

const bytesOf = ({ shape, dtype }: TensorType): number => sizeOf(shape) * byteSize(dtype);

/** Ops that only move data or relabel it. */
const FREE: ReadonlySet<OpKind> = new Set<OpKind>([
  "constant",
  "iota",
  "broadcast",
  "reshape",
  "transpose",
  "slice",
  "pad",
  "concat",
  "gather",
  "cast",
  "stopGradient",
]);

function attentionFlops(equation: AnyEquation, program: Program): number {
  const [q, k, v] = equation.inputs.map((id) => typeOf(program, id).shape) as [
    readonly number[],
    readonly number[],
    readonly number[],
  ];
  const pairs = sizeOf(q.slice(0, -1)) * (k.at(-2) ?? 0);
  const products = 2 * pairs * ((q.at(-1) ?? 0) + (v.at(-1) ?? 0));
  // The tangent has twice the products of the forward pass, the transpose two and a half times.
  return products * (equation.op === "attention" ? 1 : equation.op === "attentionTangent" ? 3 : 2.5);
}

function flopsOf(equation: AnyEquation, program: Program): number {
  const outputs = equation.outputs.map((id) => typeOf(program, id));
  const size = Math.max(0, ...outputs.map(({ shape }) => sizeOf(shape)));
  if (FREE.has(equation.op)) return 0;
  switch (equation.op) {
    case "dot": {
      const { shape } = typeOf(program, equation.inputs[0] as number);
      return (
        2 * size * equation.params.lhsContract.reduce((product, axis) => product * (shape[axis] as number), 1)
      );
    }
    case "attention":
    case "attentionTangent":
    case "attentionTranspose":
      return attentionFlops(equation, program);
    case "threefry":
      return 0;
    default:
      return Math.max(size, ...equation.inputs.map((id) => sizeOf(typeOf(program, id).shape)), 0);
  }
}

/** Programs that an equation runs, and how often. */
function runsOf(equation: AnyEquation): readonly (readonly [program: Program, times: number])[] {
  if (equation.op === "scan") return [[equation.params.body, equation.params.length]];
  if (equation.op === "cond") return [[equation.params.onTrue, 1]];
  const called = nestedPrograms(equation)[0]?.[1];
  return called === undefined ? [] : [[called, 1]];
}

/** The cost of a program. */
export function costOf(program: Program): Cost {
  const equations = new Map<OpKind, number>();
  let [flops, bytes] = [0, 0];
  for (const equation of program.equations) {
    equations.set(equation.op, (equations.get(equation.op) ?? 0) + 1);
    const nested = runsOf(equation);
    for (const [inner, times] of nested) {
      const cost = costOf(inner);
      flops += times * cost.flops;
      bytes += times * cost.bytes;
      for (const [op, count] of cost.equations) equations.set(op, (equations.get(op) ?? 0) + count);
    }
    if (nested.length === 0) {
      flops += flopsOf(equation, program);
      bytes += [...equation.inputs, ...equation.outputs].reduce(
        (total, id) => total + bytesOf(typeOf(program, id)),
        0,
      );
    }
  }
  return { equations, flops, bytes };
}
