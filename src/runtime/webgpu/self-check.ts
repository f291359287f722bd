/**
 * A device's own examination: a few small programs, one for each kind of kernel, against the interpreter. Drivers have faults, and what
 * they compute wrongly looks like any other number; so nobody should train on an adapter that did not pass this.
 *
 * Consumed by `choose.ts`, before hardware is used for the first time, and by `fluxion devices --check`. To add a program: an entry in
 * `CHECKS`; small, since the interpreter computes it too. Safe in a browser.
 */
import { exactTensor, toExact, toStorage } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { interpret } from "../../compiler/interpret/interpret.ts";
import { fn, f16, f32, i32, trace, u32 } from "../../dsl/fn.ts";
import { sizeOf, typeOf } from "../../dsl/program/program.ts";
import type { Program, TensorType } from "../../dsl/program/program.ts";
import { bits } from "../../dsl/random/bits.ts";
import { key } from "../../dsl/random/key.ts";
import { scan } from "../../dsl/surface/control.ts";
import { add, exp, mul, sub, tanh } from "../../dsl/surface/elementwise.ts";
import { scatterAdd } from "../../dsl/surface/indexing.ts";
import { attention, matmul } from "../../dsl/surface/linear-algebra.ts";
import { cumsum, softmax, sort, sum } from "../../dsl/surface/reduce.ts";
import { valueAndGrad } from "../../dsl/transforms/functional.ts";
import type { Device } from "../device.ts";
import { messageOf } from "./gpu.ts";

interface Check {
  readonly name: string;
  /** Traced when it is needed. */
  readonly program: () => Program;
  /** What results may differ by, relative to their size. 0: not at all. */
  readonly tolerance: number;
  /** How many inputs are donated, from the first on. The second run continues from the outputs in their places, as a training does. */
  readonly donated?: number;
  /** Only where the device has f16. */
  readonly f16?: true;
  /** Only where the device has matrix units. */
  readonly matrices?: true;
}

/** The rounding of sums in f32, with room for each driver's exp and tanh. */
const OF_F32 = 1e-4;
/** One of two neighbours in f16. */
const OF_F16 = 1.1e-3;

const CHECKS: readonly Check[] = [
  {
    name: "matrix product",
    tolerance: OF_F32,
    program: () =>
      trace(
        fn(
          { a: f32(96, 130), b: f32(130, 72), row: f32(3, 500), column: f32(500, 40) },
          ({ a, b, row, column }) => [matmul(a, b), matmul(row, column)],
        ),
      ).program,
  },
  {
    name: "softmax of rows",
    tolerance: OF_F32,
    program: () => trace(fn({ x: f32(33, 1000) }, ({ x }) => softmax(mul(x, 8)))).program,
  },
  {
    name: "attention",
    tolerance: OF_F32,
    program: () =>
      trace(
        valueAndGrad(
          fn({ q: f32(2, 40, 16), k: f32(2, 40, 16), v: f32(2, 40, 24) }, ({ q, k, v }) =>
            sum(tanh(attention(q, k, v, { causal: true, softcap: 5 }))),
          ),
        ),
      ).program,
  },
  {
    name: "random bits",
    tolerance: 0,
    program: () =>
      trace(fn({ word: u32(1000) }, ({ word }) => [bits(key(7), [1001]), add(word, word)])).program,
  },
  {
    name: "scatter with repeated indices",
    tolerance: OF_F32,
    program: () =>
      trace(
        fn({ x: f32(50, 9), at: i32(400), more: f32(400, 9) }, ({ x, at, more }) => scatterAdd(x, at, more)),
      ).program,
  },
  {
    name: "sort",
    tolerance: 0,
    program: () => trace(fn({ x: f32(3, 1000) }, ({ x }) => sort(x))).program,
  },
  {
    name: "cumulative sum",
    tolerance: OF_F32,
    program: () => trace(fn({ x: f32(2, 3000) }, ({ x }) => cumsum(x))).program,
  },
  {
    name: "loop",
    tolerance: OF_F32,
    program: () =>
      trace(
        fn({ x: f32(40), rows: f32(25, 40) }, ({ x, rows }) => {
          const [last, all] = scan(
            (carry, row) => {
              const next = tanh(add(mul(carry, 0.5), row));
              return [next, exp(next)] as const;
            },
            x,
            rows,
          );
          return [last, all];
        }),
      ).program,
  },
  {
    name: "update in place",
    tolerance: OF_F32,
    donated: 2,
    program: () =>
      trace(
        fn(
          [f32(3001), f32(50, 9), f32(3001), i32(400), f32(400, 9)] as const,
          ([state, table, step, at, rows]) => [
            sub(mul(state, 0.9), mul(step, sum(mul(state, step)))),
            scatterAdd(table, at, rows),
            sum(state),
          ],
        ),
      ).program,
  },
  {
    name: "f16",
    tolerance: OF_F16,
    f16: true,
    program: () =>
      trace(fn({ x: f16(40, 60), w: f16(60, 33) }, ({ x, w }) => [matmul(x, w), exp(x), sum(x, [0])]))
        .program,
  },
  {
    // So many products that their heuristic gives them to matrix units, in tiles that are not full: by single elements, and in quads.
    name: "f16 product on matrix units",
    tolerance: OF_F16,
    f16: true,
    matrices: true,
    program: () =>
      trace(
        fn(
          { x: f16(128, 124, 40), w: f16(128, 40, 122), y: f16(128, 122, 12), v: f16(128, 12, 124) },
          ({ x, w, y, v }) => [matmul(x, w), matmul(y, v)],
        ),
      ).program,
  },
];

/** How a device did on one of the programs. */
export interface CheckResult {
  readonly name: string;
  /** The largest error of a result, relative to its size and the mean size of all; Infinity where one is NaN or infinite. */
  readonly worst: number;
  readonly tolerance: number;
  /** Why there is no result. */
  readonly problem?: string;
}

/** Whether the results are what they must be. */
export const passed = ({ worst, tolerance, problem }: CheckResult): boolean =>
  problem === undefined && worst <= tolerance;

/** The first failure in a clause for a sentence: "its softmax of rows is off by 0.31"; undefined when all of them passed. */
export function failureOf(results: readonly CheckResult[]): string | undefined {
  const first = results.find((result) => !passed(result));
  if (first === undefined) return undefined;
  const { name, worst, problem } = first;
  return problem === undefined
    ? `its ${name} is off by ${errorText(worst)}`
    : `its ${name} failed: ${problem.replace(/\.$/, "")}`;
}

/** An error as text: "0.31", "2.1e-7", or in words. */
export const errorText = (worst: number): string =>
  worst === Infinity
    ? "infinity or NaN"
    : worst > 0 && worst < 1e-3
      ? worst.toExponential(1)
      : Number(worst.toPrecision(2)).toString();

export interface SelfCheckOptions {
  /** Whether the device has f16: only then it is checked. */
  readonly f16: boolean;
  /** Whether it has matrix units, in the same sense. Default false. */
  readonly matrices?: boolean;
  /** Nothing after the first failure: the answer is known. Default false. */
  readonly stopAtFailure?: boolean;
}

/** Runs the programs on a device, one after the other. Frees what it used. */
export async function selfCheck(
  device: Device,
  { f16, matrices = false, stopAtFailure = false }: SelfCheckOptions,
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of CHECKS) {
    if ((check.f16 === true && !f16) || (check.matrices === true && !matrices)) continue;
    const { name, tolerance } = check;
    try {
      results.push({ name, tolerance, worst: await worstOf(device, check) });
    } catch (error) {
      results.push({ name, tolerance, worst: Infinity, problem: messageOf(error) });
    }
    if (stopAtFailure && !passed(results.at(-1) as CheckResult)) break; // there is one now
  }
  return results;
}

async function worstOf(device: Device, check: Check): Promise<number> {
  const { name, donated = 0 } = check;
  const program = check.program();
  const donate = Array.from({ length: donated }, (_, i) => i);
  const executable = await device.compile(program, { name: `the check "${name}"`, donate });
  let inputs: readonly HostTensor[] = program.inputs.map((id, n) => toStorage(noise(typeOf(program, id), n)));
  let given = inputs.map((input) => device.upload(input));
  const interpreted = (): readonly HostTensor[] => interpret(program, inputs).map((x) => toStorage(x));
  let expected = interpreted();
  let worst = 0;
  try {
    // The second run goes another way: what is recorded is replayed.
    for (let run = 0; run < 2; run++) {
      const outputs = await executable.run(given);
      const actual = await Promise.all(outputs.map((output) => output.read()));
      actual.forEach((tensor, i) => {
        worst = Math.max(worst, errorOf(toExact(tensor), toExact(expected[i] as HostTensor))); // as many outputs
      });
      for (const output of outputs.slice(donated)) output.dispose();
      given = [...outputs.slice(0, donated), ...given.slice(donated)];
      if (donated === 0 || run > 0) continue;
      inputs = [...expected.slice(0, donated), ...inputs.slice(donated)];
      expected = interpreted();
    }
  } finally {
    for (const value of given) value.dispose();
    await executable.dispose();
  }
  return worst;
}

/** The largest error, relative to the size of the element and the mean size of all. */
function errorOf({ data: have }: HostTensor, { data: want }: HostTensor): number {
  if (have.length !== want.length) return Infinity;
  let [worst, total] = [0, 0];
  for (const y of want) total += Math.abs(y);
  for (let i = 0; i < want.length; i++) {
    const [x, y] = [have[i] as number, want[i] as number];
    if (x === y) continue;
    const error = Math.abs(x - y) / (Math.abs(y) + total / want.length);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
  }
  return worst;
}

/** Numbers in (-1, 1) that look random; words are all of them, and indices a few. */
function noise({ shape, dtype }: TensorType, seed: number): HostTensor {
  const words = Array.from({ length: sizeOf(shape) }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
    return (x ^ (x >>> 15)) >>> 0;
  });
  const value = (word: number): number =>
    dtype === "u32" ? word : dtype === "i32" ? word % 50 : word / 2 ** 31 - 1;
  return exactTensor(dtype, shape, words.map(value));
}
