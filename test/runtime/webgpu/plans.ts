/**
 * Small plans written by hand, for tests of the WebGPU runtime. Few kernels, with sizes as parameters: a software adapter takes long to
 * compile one.
 */
import {
  below,
  binary,
  index,
  KernelBuilder,
  LANE,
  literal,
  plus,
  times,
  WORKGROUP,
} from "../../../src/compiler/kernel/builder.ts";
import { hostTensor } from "../../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../../src/compiler/host-tensor.ts";
import { scalarOf } from "../../../src/compiler/kernel/ir.ts";
import type { Expr, Kernel } from "../../../src/compiler/kernel/ir.ts";
import type {
  BufferId,
  Dispatch,
  Param,
  Plan,
  PlanBuffer,
  Role,
  Step,
} from "../../../src/compiler/kernel/plan.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import type { TensorType } from "../../../src/dsl/program/program.ts";
import type { DType } from "../../../src/dsl/types/dtype.ts";

const LANES = 64;

/** result[i] = f(inputs[..][i], params…) for i below the first parameter. */
export function mapKernel(
  name: string,
  inputs: readonly DType[],
  result: DType,
  f: (inputs: readonly Expr[], params: readonly Expr[], i: Expr) => Expr,
  params = 0,
): Kernel {
  const builder = new KernelBuilder();
  const from = inputs.map((dtype) => builder.buffer({ dtype, access: "read" }));
  const to = builder.buffer({ dtype: result, access: "write" });
  const size = builder.param();
  const extra = Array.from({ length: params }, () => builder.param());
  const i = builder.let(plus(times(WORKGROUP, index(LANES)), LANE), "i");
  builder.if(below(i, size), () => {
    const operands = inputs.map((dtype, n): Expr => ({
      kind: "load",
      type: scalarOf(dtype),
      buffer: from[n] as number,
      at: i,
    }));
    builder.emit({ kind: "store", buffer: to, at: i, value: f(operands, extra, i) });
  });
  return builder.finish(name, LANES);
}

const f32 = (value: number): Expr => literal("f32", value);
const [first, second] = [0, 1].map(
  (n) =>
    (operands: readonly Expr[]): Expr =>
      operands[n] as Expr,
) as [(operands: readonly Expr[]) => Expr, (operands: readonly Expr[]) => Expr];

/** x + 1 */
export const INCREMENT = mapKernel("increment", ["f32"], "f32", (x) => binary("add", first(x), f32(1)));
/** x + y */
export const ADD = mapKernel("add", ["f32", "f32"], "f32", (x) => binary("add", first(x), second(x)));
/** 31 x + 7 p + q in u32: tells in which order it was applied with what. */
export const HASH = mapKernel(
  "hash",
  ["u32"],
  "u32",
  (x, p) => plus(times(first(x), index(31)), plus(times(first(p), index(7)), second(p))),
  2,
);
/** x < 20 */
export const SMALL = mapKernel("small", ["f32"], "bool", (x) => binary("less", first(x), f32(20)));
/** i */
export const IOTA = mapKernel("iota", [], "u32", (_x, _p, i) => i);

/** Builds a plan: buffers are numbered as they are declared. */
export class PlanBuilder {
  readonly #buffers: PlanBuffer[] = [];
  readonly #inputs: BufferId[] = [];

  #buffer(type: TensorType, role: Role): BufferId {
    return this.#buffers.push({ type, role }) - 1;
  }

  input(shape: readonly number[], dtype: DType = "f32"): BufferId {
    const id = this.#buffer({ shape, dtype }, { kind: "input", position: this.#inputs.length });
    this.#inputs.push(id);
    return id;
  }

  output(shape: readonly number[], dtype: DType = "f32"): BufferId {
    return this.#buffer({ shape, dtype }, { kind: "output" });
  }

  temporary(shape: readonly number[], dtype: DType = "f32"): BufferId {
    return this.#buffer({ shape, dtype }, { kind: "temporary" });
  }

  constant(value: HostTensor): BufferId {
    return this.#buffer({ shape: value.shape, dtype: value.dtype }, { kind: "constant", value });
  }

  /** A dispatch of a map kernel on as many elements as its last buffer has. */
  map(kernel: Kernel, buffers: readonly BufferId[], params: readonly Param[] = []): Dispatch {
    const size = sizeOf((this.#buffers[buffers.at(-1) as number] as PlanBuffer).type.shape);
    return {
      kind: "dispatch",
      kernel,
      buffers,
      params: [size, ...params],
      workgroups: Math.ceil(size / LANES),
      flops: size,
      bytes: 8 * size,
      ops: [kernel.name],
      site: "model.ts:12",
    };
  }

  plan(outputs: readonly BufferId[], ...steps: readonly Step[]): Plan {
    return { buffers: this.#buffers, steps, inputs: this.#inputs, outputs };
  }
}

export const f32s = (...numbers: readonly number[]): HostTensor =>
  hostTensor("f32", [numbers.length], numbers);
