/**
 * Random well-typed programs and inputs for property tests, with shrinking: a failing program loses equations, its shapes and
 * nested programs get smaller, and constants simpler.
 *
 *   fc.assert(fc.property(arbitraryRun({ maxEquations: 8 }), ({ program, inputs }) => { … }))
 *
 * A program is a deterministic function of a recipe (a list of steps, each an op and a few numbers); fast-check generates and
 * shrinks the recipe. Consumed by the tests of the IR, the passes, autodiff and the targets. Ops: random-ops.ts.
 */
import fc from "fast-check";
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../src/compiler/host-tensor.ts";
import { roundToF16 } from "../../src/dsl/numerics/float16.ts";
import { inputTypes, sizeOf } from "../../src/dsl/program/program.ts";
import type { OpKind, Program, TensorType } from "../../src/dsl/program/program.ts";
import { DTYPES, isFloat } from "../../src/dsl/types/dtype.ts";
import type { DType } from "../../src/dsl/types/dtype.ts";
import { Gen } from "./random-gen.ts";
import type { GenSettings, Step, Var } from "./random-gen.ts";
import { GROW, applyStep } from "./random-ops.ts";

export interface RandomProgramOptions {
  /**
   * Ops to draw steps from; default all (all but while and stopGradient when differentiable). Operands may be completed with
   * helper equations of the kinds constant, iota, broadcast, slice, reshape, less, add, mul, rem, tanh, attention.
   */
  readonly ops?: readonly OpKind[];
  /** Most steps at the top; each adds one op and its helpers. Default 10. */
  readonly maxEquations?: number;
  /**
   * Fewest steps at the top and in nested programs, before shrinking; default 0, which favours small programs. When given, outputs
   * are among the last results, so that most of the program matters.
   */
  readonly minEquations?: number;
  /** Most inputs, at least 1. Default 3. */
  readonly maxInputs?: number;
  /** Inputs and outputs are f32 only, and f16 does not occur. Integers and bools do, inside. Default false. */
  readonly floatOnly?: boolean;
  /**
   * Values stay finite, moderate, inside the ops' domains and away from their kinks and jumps, for inputs in [-2, 2]; so that
   * results in f32 are close to those in f64. Default false: then NaN, infinities and −0 occur.
   */
  readonly bounded?: boolean;
  /**
   * Helpers move floats and compute nothing with them, so that with `ops` that do the same, floats keep their bits on every target.
   * Unless bounded. Default false.
   */
  readonly movesFloats?: boolean;
  /**
   * Differentiable everywhere near inputs in [-2, 2], with derivatives that equal finite differences: implies `bounded` and
   * `floatOnly`, leaves out stopGradient (its derivative is zero by decree) and while (forward mode only).
   */
  readonly differentiable?: boolean;
  /** Depth of nested programs: 0 none, 1 (default) scan bodies without scans inside, … */
  readonly nesting?: number;
  /** Extents to draw from, simplest first. Default 1 to 5 and, unless bounded, 0. */
  readonly extents?: readonly number[];
}

const NESTING: readonly OpKind[] = ["scan", "cond", "while", "remat"];

/** A random verified program. */
export function arbitraryProgram(options: RandomProgramOptions = {}): fc.Arbitrary<Program> {
  const differentiable = options.differentiable ?? false;
  const bounded = options.bounded ?? differentiable;
  const floatOnly = options.floatOnly ?? differentiable;
  const all = Object.keys(GROW) as OpKind[]; // GROW has exactly these keys
  const ops = options.ops ?? all.filter((op) => !differentiable || (op !== "while" && op !== "stopGradient"));
  const settings: GenSettings = {
    bounded,
    movesFloats: options.movesFloats ?? false,
    extents: options.extents ?? (bounded ? [1, 2, 3, 4, 2, 5] : [1, 2, 3, 4, 2, 5, 1, 0]),
    dtypes: floatOnly ? DTYPES.filter((dtype) => dtype !== "f16") : DTYPES,
  };
  const inputDTypes: readonly DType[] = floatOnly ? ["f32"] : ["f32", "f32", "i32", "u32", "bool", "f16"];
  const nesting = options.nesting ?? 1;
  const natural = fc.nat({ max: 59 });

  const steps = (depth: number, maxLength: number): fc.Arbitrary<Step[]> => {
    const usable = depth > 0 ? ops : ops.filter((op) => !NESTING.includes(op));
    if (usable.length === 0) return fc.constant([]);
    const inner = depth > 0 ? steps(depth - 1, 5) : fc.constant([]);
    const picks = fc.array(natural, { minLength: 8, maxLength: 8 });
    const minLength = Math.min(options.minEquations ?? 0, maxLength);
    return fc.array(fc.record({ op: fc.constantFrom(...usable), picks, inner }), { minLength, maxLength });
  };
  const recipe = fc.record({
    inputs: fc.array(
      fc.record({
        dtype: fc.constantFrom(...inputDTypes),
        shape: fc.array(fc.constantFrom(...settings.extents), { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: options.maxInputs ?? 3 },
    ),
    steps: steps(nesting, options.maxEquations ?? 10),
    outputs: fc.array(natural, { minLength: 1, maxLength: 3 }),
  });
  return recipe.map(({ inputs, steps: todo, outputs }) => {
    const gen = new Gen(settings, applyStep);
    for (const type of inputs) gen.input(type);
    gen.steps(todo);
    const eligible = gen.vars.filter(({ type }) => !floatOnly || type.dtype === "f32").reverse(); // the latest first
    const choice = options.minEquations === undefined ? eligible.length : Math.min(3, eligible.length);
    return gen.finish(outputs.map((n) => eligible[n % choice] as Var)); // an input is eligible
  });
}

/**
 * Random inputs for a program. `bounded`: floats in [-2, 2]. Otherwise floats include NaN, infinities and −0. Floats are
 * values of their own dtype, so that storing them does not round. Integers are small ones, or any.
 */
export function arbitraryInputs(
  program: Program,
  { bounded = false }: { readonly bounded?: boolean } = {},
): fc.Arbitrary<ExactTensor[]> {
  return fc.tuple(...inputTypes(program).map((type) => arbitraryTensor(type, bounded)));
}

function arbitraryTensor(type: TensorType, bounded: boolean): fc.Arbitrary<ExactTensor> {
  const size = sizeOf(type.shape);
  return fc
    .array(arbitraryNumber(type.dtype, bounded), { minLength: size, maxLength: size })
    .map((values) => exactTensor(type.dtype, type.shape, values));
}

function arbitraryNumber(dtype: DType, bounded: boolean): fc.Arbitrary<number> {
  if (isFloat(dtype)) {
    const moderate = fc.float({ min: -2, max: 2, noNaN: true });
    const float = bounded
      ? moderate
      : fc.oneof({ weight: 4, arbitrary: moderate }, { weight: 1, arbitrary: fc.float() });
    return dtype === "f16" ? float.map(roundToF16) : float;
  }
  if (dtype === "bool") return fc.constantFrom(0, 1);
  const any =
    dtype === "i32" ? fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) : fc.nat({ max: 2 ** 32 - 1 });
  return fc.oneof(fc.nat({ max: 4 }), any);
}

/** A program together with inputs for it, bounded if the program is. */
export function arbitraryRun(
  options: RandomProgramOptions = {},
): fc.Arbitrary<{ readonly program: Program; readonly inputs: ExactTensor[] }> {
  const bounded = options.bounded ?? options.differentiable ?? false;
  return arbitraryProgram(options).chain((program) =>
    arbitraryInputs(program, { bounded }).map((inputs) => ({ program, inputs })),
  );
}

/** Which inputs of a program are donated, a bit for each: none, in most cases some. */
export const anyDonation: fc.Arbitrary<number> = fc.nat({ max: 255 });

/** The positions of those of `count` inputs that are donated. */
export const positionsOf = (donation: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => i).filter((i) => ((donation >> i) & 1) === 1);
