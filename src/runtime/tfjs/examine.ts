/**
 * The examination of a backend whose kernels run on a GPU: ops on numbers that are ordinary, very large, very small and not finite,
 * against the interpreter. GPUs and their drivers differ: some keep half of the bits, some have no NaN, some are coarse. A kernel that
 * is wrong is avoided from then on; if it is one that everything consists of, the backend cannot be used.
 *
 * Consumed by `open.ts`. To add an op: an entry in `CHECKS`.
 */
import { exactTensor, toExact, toStorage } from "../../compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../compiler/host-tensor.ts";
import { interpret } from "../../compiler/interpret/interpret.ts";
import { FUSED } from "../../compiler/tfjs/fuse.ts";
import type { Target } from "../../compiler/tfjs/plan.ts";
import { toTfjs } from "../../compiler/tfjs/to-tfjs.ts";
import { fn, f32, i32, trace } from "../../dsl/fn.ts";
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import {
  abs,
  add,
  div,
  equal,
  exp,
  floor,
  less,
  log,
  maximum,
  minimum,
  mul,
  relu,
  rsqrt,
  sigmoid,
  sqrt,
  sub,
  tanh,
  where,
} from "../../dsl/surface/elementwise.ts";
import { constant } from "../../dsl/surface/create.ts";
import { gather, scatterAdd } from "../../dsl/surface/indexing.ts";
import { matmul } from "../../dsl/surface/linear-algebra.ts";
import { argmax, cumsum, max, sum } from "../../dsl/surface/reduce.ts";
import { concat, pad, slice, transpose } from "../../dsl/surface/shape.ts";
import type { Tensor } from "../../dsl/types/tensor.ts";
import type { Device } from "../device.ts";
import { UserError } from "../files/errors.ts";

// More elements than those that TensorFlow.js computes on the CPU by itself.
const ROWS = 36;
const COLUMNS = 31;

type Matrix = Tensor<[36, 31], "f32">;

/** Elementwise ops meet special values. What sums meets ordinary numbers. */
type Check = { readonly tolerance: number } & (
  | { readonly special: (x: Matrix, y: Matrix) => Tensor }
  | {
      readonly ordinary: (x: Matrix, y: Matrix, rows: Tensor<[20], "i32">) => Tensor;
    }
);

/** One rounding of a float32, and what functions may add to it. */
const [ROUNDING, FUNCTION] = [2e-7, 1e-5];

const CHECKS: readonly Check[] = [
  { tolerance: ROUNDING, special: (x, y) => add(x, y) },
  { tolerance: ROUNDING, special: (x, y) => sub(x, y) },
  { tolerance: ROUNDING, special: (x, y) => mul(x, y) },
  { tolerance: FUNCTION, special: (x, y) => div(x, y) },
  { tolerance: 0, special: (x, y) => where(equal(x, y), x, y) },
  { tolerance: 0, special: (x, y) => where(less(x, y), x, y) },
  { tolerance: 0, special: (x, y) => maximum(x, y) },
  { tolerance: 0, special: (x, y) => minimum(x, y) },
  { tolerance: 0, special: (x) => max(x, [1]) },
  { tolerance: 0, special: (x) => argmax(x, 1) },
  { tolerance: 0, special: (x) => abs(x) },
  { tolerance: 0, special: (x) => floor(x) },
  { tolerance: FUNCTION, special: (x) => exp(x) },
  { tolerance: FUNCTION, special: (x) => log(x) },
  { tolerance: FUNCTION, special: (x) => tanh(x) },
  { tolerance: FUNCTION, special: (x) => sqrt(x) },
  { tolerance: FUNCTION, special: (x) => rsqrt(x) },
  { tolerance: FUNCTION, special: (x) => sigmoid(x) },
  { tolerance: FUNCTION, ordinary: (x, y) => matmul(x, transpose(y)) },
  // A product and its bias are one kernel, on WebGPU with the activation.
  { tolerance: FUNCTION, ordinary: (x, y) => relu(shifted(matmul(x, transpose(y)))) },
  { tolerance: FUNCTION, ordinary: (x) => sum(x, [1]) },
  { tolerance: FUNCTION, ordinary: (x) => cumsum(x, 1) },
  { tolerance: 0, ordinary: (x, y) => concat([transpose(x), transpose(y)], 1) },
  { tolerance: 0, ordinary: (x) => pad(slice(x, 1, 2, 30), [[2, 0], [0, 3]]) }, // prettier-ignore
  { tolerance: 0, ordinary: (x, _y, rows) => gather(x, rows) },
  { tolerance: FUNCTION, ordinary: (x, y, rows) => scatterAdd(x, rows, gather(y, rows)) },
];

/** Without these there is nothing to gain from a backend. */
const ESSENTIAL: ReadonlySet<string> = new Set(["Add", "Multiply", "BatchMatMul"]);
/** Names for data that are there. */
const VIEWS: ReadonlySet<string> = new Set(["Reshape", "Identity"]);

const SPECIAL = [0, 1, -1, 0.5, NaN, Infinity, -Infinity, 1e30, -1e30, 1e-30, 3, 3.0000002, 1 + 2 ** -20];

/** Plus a bias, some of it special. */
const shifted = (x: Tensor<[36, 36], "f32">): Tensor<[36, 36], "f32"> =>
  add(
    x,
    constant(
      Array.from({ length: ROWS }, (_, i) => SPECIAL[i % SPECIAL.length] as number),
      [ROWS],
    ),
  ); // within

/** Numbers for a type. Special ones meet each other in other pairs where seeds differ. */
function numbers({ shape, dtype }: TensorType, seed: number, special: boolean): HostTensor {
  const value = (i: number): number => {
    if (dtype === "i32") return (i * 7 + seed) % ROWS;
    if (special && i % 2 === 0) return SPECIAL[(i / 2 + seed * (i >> 4)) % SPECIAL.length] as number; // within
    return ((i * 37 + seed * 11) % 101) / 16 - 3;
  };
  return toStorage(
    exactTensor(
      dtype,
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
    ),
  );
}

function programOf(check: Check): Program {
  const inputs = { x: f32(ROWS, COLUMNS), y: f32(ROWS, COLUMNS), rows: i32(20) };
  return trace(
    fn(inputs, ({ x, y, rows }) =>
      "special" in check
        ? check.special(x as Matrix, y as Matrix)
        : check.ordinary(x as Matrix, y as Matrix, rows),
    ),
  ).program;
}

/** Whether a number is what it must be; zeros have no sign. */
const fits = (x: number, y: number, tolerance: number): boolean =>
  x === y ||
  (Number.isNaN(x) && Number.isNaN(y)) ||
  (Number.isFinite(y) && Math.abs(x - y) <= tolerance * (1 + Math.abs(y)));

async function isRight(device: Device, program: Program, { tolerance, ...check }: Check): Promise<boolean> {
  const inputs = program.inputs.map((id, i) => numbers(typeOf(program, id), i + 1, "special" in check));
  const executable = await device.compile(program, { name: "a check of the backend" });
  const given = inputs.map((input) => device.upload(input));
  try {
    const [output] = await executable.run(given);
    const actual = toExact((await output?.read()) as HostTensor); // one output
    output?.dispose();
    const [expected] = interpret(program, inputs).map((tensor) => toExact(toStorage(tensor))) as [
      ExactTensor,
    ];
    return actual.data.every((x, i) => fits(x, expected.data[i] as number, tolerance));
  } finally {
    for (const value of given) value.dispose();
    await executable.dispose();
  }
}

/**
 * What the backend is not to be asked for: what is known, and what turned out.
 * @param device on the backend, of the known target; it is closed
 * @throws UserError when the backend is wrong in what everything consists of
 */
export async function examine(device: Device, known: Target): Promise<Target> {
  const avoided = new Set(known.avoided);
  try {
    for (const check of CHECKS) {
      const program = programOf(check);
      const kernels = toTfjs(program, known).kernels.filter((kernel) => !VIEWS.has(kernel));
      if (kernels.length === 0 || (await isRight(device, program, check))) continue;
      // What is fused is not blamed on its parts, which have checks of their own.
      for (const kernel of kernels.includes(FUSED) ? [FUSED] : kernels) {
        if (!ESSENTIAL.has(kernel)) avoided.add(kernel);
        else if (kernels.length === 1)
          throw new UserError(
            `The ${device.name} device is of no use here: its kernel ${kernel} is not exact to a float32; use the device "tfjs:wasm".`,
          );
      }
    }
  } finally {
    await device.dispose();
  }
  return { ...known, avoided: [...avoided] };
}
