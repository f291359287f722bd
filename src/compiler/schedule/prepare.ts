/**
 * Brings a program into the form that the scheduler takes apart: calls inlined, attention written out where it has no kernels of its
 * own, branches turned into selections where that is cheap, and every reduction over one run of neighbouring axes, none longer than a
 * kernel does well. Dots are written in the order in which their result is wanted.
 *
 * Consumed by `schedule.ts`. Each rule keeps the program's values (sums in another order, the same on every run).
 */
import { attentionDecomposition } from "../../dsl/transforms/attention-decomposition.ts";
import { nestedPrograms, sizeOf } from "../../dsl/program/program.ts";
import type { AnyEquation, Program, TensorType, VarId } from "../../dsl/program/program.ts";
import { costOf } from "../cost.ts";
import { MAX_CHOICES, isAssembly } from "./assembly.ts";
import { eliminateDead } from "../passes/dce.ts";
import { inlineCalls } from "../passes/inline.ts";
import { mapNested, rewrite } from "../passes/rewrite.ts";
import type { Rewriter } from "../passes/rewrite.ts";
import { simplify } from "../passes/simplify.ts";
import { exchangeDots } from "./transposed-dots.ts";

/** Both branches of a cond are computed, and one selected, up to this many operations: asking the device which to run takes longer. */
const MAX_SELECTED_FLOPS = 1e8;
/** Up to so many terms, causal attention that is written out leaves out what it does not see: they are not stored where they are fused. */
const MAX_TERMS = 2 ** 20;
/** A reduction of more elements into few results is done in two steps. */
const MAX_REDUCED = 4096;
const FEW_RESULTS = 4096;

export interface PrepareOptions {
  /** Whether attention, its tangent or its transpose on operands of these types stays as it is, or is written out. */
  readonly keepsAttention: (types: readonly TensorType[]) => boolean;
}

export function prepare(program: Program, options: PrepareOptions): Program {
  return prepareNested(eliminateDead(simplify(expand(inlineCalls(program, { remat: true }), options))));
}

/** What changes which equations there are; simplification follows. */
function expand(program: Program, options: PrepareOptions): Program {
  return rewrite(program, (equation, r) => {
    switch (equation.op) {
      case "attention":
      case "attentionTangent":
      case "attentionTranspose": {
        const types = equation.inputs.map((id) => r.typeOf(id));
        if (options.keepsAttention(types)) return undefined;
        const leavesOut = termsOf(types) <= MAX_TERMS ? "at once" : "never";
        const written = attentionDecomposition(equation.op, types, equation.params, { leavesOut });
        return r.inline(written, equation.inputs);
      }
      case "cond": {
        const { onTrue, onFalse } = equation.params;
        if (!selects(onTrue) || !selects(onFalse)) return keepNested(equation, r, options);
        const [predicate, ...operands] = equation.inputs as readonly [VarId, ...VarId[]];
        const [yes, no] = [onTrue, onFalse].map((branch) => r.inline(expand(branch, options), operands)) as [
          readonly VarId[],
          readonly VarId[],
        ];
        return yes.map((id, i) => {
          const { shape } = r.typeOf(id);
          const spread = r.one("broadcast", [predicate], { shape, dims: [] }, equation);
          return r.one("select", [spread, id, no[i] as VarId], {}, equation);
        });
      }
      default:
        return keepNested(equation, r, options);
    }
  });
}

function keepNested(
  equation: AnyEquation,
  r: Rewriter,
  options: PrepareOptions,
): readonly VarId[] | undefined {
  const inner = mapNested(equation, (nested) => expand(nested, options));
  return inner === equation ? undefined : r.keep(inner);
}

/** Terms of the longest of the sums that attention takes over keys or queries, for one problem. */
function termsOf([q, k, v]: readonly TensorType[]): number {
  const last = (type: TensorType | undefined, fromEnd: number): number => type?.shape.at(-fromEnd) ?? 0; // rank >= 2
  return last(q, 2) * last(k, 2) * Math.max(last(q, 1), last(v, 1));
}

/** Whether a branch may run although it is not asked for. */
const selects = (program: Program): boolean =>
  costOf(program).flops <= MAX_SELECTED_FLOPS && !hasWhile(program);

const hasWhile = (program: Program): boolean =>
  program.equations.some(
    (equation) => equation.op === "while" || nestedPrograms(equation).some(([, inner]) => hasWhile(inner)),
  );

/** The form of single equations. */
function prepareNested(program: Program): Program {
  return eliminateDead(
    rewrite(exchangeDots(program), (equation, r, types) => {
      switch (equation.op) {
        case "reduceSum":
        case "reduceMax":
          return [reduceRuns(r, equation, equation.op, equation.inputs[0] as VarId, equation.params.axes)];
        case "argmax": {
          const { shape } = r.typeOf(equation.inputs[0] as VarId);
          if (shape[equation.params.axis] === 1) return [r.fill(types[0] as TensorType, 0, equation)];
          return undefined;
        }
        case "concat":
          return [concatFew(r, equation, equation.inputs, equation.params.axis)];
        case "scatterAdd":
          return scatterOne(r, equation);
        case "dot": {
          const { shape } = r.typeOf(equation.inputs[0] as VarId);
          const inner = sizeOf(equation.params.lhsContract.map((axis) => shape[axis] as number));
          return inner === 0 ? [r.fill(types[0] as TensorType, 0, equation)] : undefined;
        }
        default: {
          const inner = mapNested(equation, prepareNested);
          return inner === equation ? undefined : r.keep(inner);
        }
      }
    }),
  );
}

type Reduce = "reduceSum" | "reduceMax";

/** Reduces over axes one run of neighbours at a time, the last run first. */
function reduceRuns(
  r: Rewriter,
  from: AnyEquation,
  op: Reduce,
  operand: VarId,
  axes: readonly number[],
): VarId {
  const { shape, dtype } = r.typeOf(operand);
  const kept = shape.filter((_, axis) => !axes.includes(axis));
  if (op === "reduceSum" && axes.some((axis) => shape[axis] === 0))
    return r.fill({ shape: kept, dtype }, 0, from);
  if (sizeOf(shape) === 0) return r.one(op, [operand], { axes }, from);
  // Runs among the axes that have an extent at all.
  const runs: { first: number; last: number }[] = [];
  let previous = -2;
  const wide = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1);
  wide.forEach((axis, place) => {
    if (!axes.includes(axis)) return;
    const run = runs.at(-1);
    if (run !== undefined && previous === place - 1) run.last = axis;
    else runs.push({ first: axis, last: axis });
    previous = place;
  });
  // Between the steps, sums of f16 are kept in f32, in which they are taken.
  const widens = op === "reduceSum" && dtype === "f16";
  let current = widens ? r.one("cast", [operand], { dtype: "f32" }, from) : operand;
  for (const { first, last } of runs.toReversed()) {
    const now = r.typeOf(current).shape;
    const [outer, reduced, inner] = [
      sizeOf(now.slice(0, first)),
      sizeOf(now.slice(first, last + 1)),
      sizeOf(now.slice(last + 1)),
    ];
    const flat = r.one("reshape", [current], { shape: [outer, reduced, inner] }, from);
    const result = reduceOne(r, from, op, flat);
    current = r.one("reshape", [result], { shape: [...now.slice(0, first), ...now.slice(last + 1)] }, from);
    // Axes before the run keep their places for the runs to come.
  }
  const result = r.one("reshape", [current], { shape: kept }, from);
  return widens ? r.one("cast", [result], { dtype }, from) : result;
}

/** Reduces the middle axis of three, in two steps when it is long and the results are few. */
function reduceOne(r: Rewriter, from: AnyEquation, op: Reduce, operand: VarId): VarId {
  const [outer, reduced, inner] = r.typeOf(operand).shape as readonly [number, number, number];
  if (reduced <= MAX_REDUCED || outer * inner > FEW_RESULTS) return r.one(op, [operand], { axes: [1] }, from);
  const chunk = chunkOf(reduced);
  const chunks = Math.ceil(reduced / chunk);
  const missing = chunks * chunk - reduced;
  let padded = operand;
  if (missing > 0) {
    const { dtype } = r.typeOf(operand);
    // A maximum is padded with elements that occur anyway, a sum with zeros.
    const more =
      op === "reduceSum"
        ? r.fill({ shape: [outer, missing, inner], dtype }, 0, from)
        : r.one(
            "slice",
            [operand],
            { start: [0, 0, 0], stop: [outer, missing, inner], step: [1, 1, 1] },
            from,
          );
    padded = r.one("concat", [operand, more], { axis: 1 }, from);
  }
  const split = r.one("reshape", [padded], { shape: [outer, chunks, chunk, inner] }, from);
  return r.one(op, [r.one(op, [split], { axes: [2] }, from)], { axes: [1] }, from);
}

/**
 * A scatter of one update per row, which is what the gradient of picking one element is, as a comparison: pointwise, so it fuses.
 */
function scatterOne(
  r: Rewriter,
  equation: AnyEquation & { readonly op: "scatterAdd" },
): readonly VarId[] | undefined {
  const [operand, indices, updates] = equation.inputs as readonly [VarId, VarId, VarId];
  const { axis, batchDims } = equation.params;
  const { shape } = r.typeOf(operand);
  const picks = r.typeOf(indices).shape;
  if (sizeOf(picks.slice(batchDims)) !== 1 || sizeOf(shape) === 0) return undefined;
  const batch = shape.slice(0, batchDims).map((_, i) => i);
  const one = r.one("reshape", [indices], { shape: picks.slice(0, batchDims) }, equation);
  const picked = { shape: picks.slice(0, batchDims), dtype: "i32" } as const;
  const last = r.fill(picked, (shape[axis] as number) - 1, equation);
  const clamped = r.one(
    "min",
    [r.one("max", [one, r.fill(picked, 0, equation)], {}, equation), last],
    {},
    equation,
  );
  const row = r.one("broadcast", [clamped], { shape, dims: batch }, equation);
  const here = r.one(
    "equal",
    [r.one("iota", [], { shape, dtype: "i32", axis }, equation), row],
    {},
    equation,
  );
  const single = r.one(
    "reshape",
    [updates],
    { shape: shape.map((extent, i) => (i === axis ? 1 : extent)) },
    equation,
  );
  const spread = r.one("broadcast", [single], { shape, dims: shape.map((_, i) => i) }, equation);
  const added = r.one("add", [operand, spread], {}, equation);
  return [r.one("select", [here, added, operand], {}, equation)];
}

/** A length near the square root that divides the extent, if there is one nearby; else the root itself. */
function chunkOf(extent: number): number {
  const root = Math.ceil(Math.sqrt(extent));
  for (let chunk = root; chunk <= 4 * root; chunk++) if (extent % chunk === 0) return chunk;
  return root;
}

/** A concat without the empty operands, as a tree of concats of few operands if it is not assembled in place. */
function concatFew(r: Rewriter, from: AnyEquation, operands: readonly VarId[], axis: number): VarId {
  const filled = operands.filter((id) => sizeOf(r.typeOf(id).shape) > 0);
  const [only] = filled;
  if (only === undefined) return r.one("concat", operands, { axis }, from);
  if (filled.length === 1) return only;
  const assembled = isAssembly(
    filled.map((id) => r.typeOf(id)),
    axis,
  );
  if (filled.length <= MAX_CHOICES || assembled) return r.one("concat", filled, { axis }, from);
  const size = Math.ceil(filled.length / MAX_CHOICES);
  const parts: VarId[] = [];
  for (let i = 0; i < filled.length; i += size)
    parts.push(concatFew(r, from, filled.slice(i, i + size), axis));
  return r.one("concat", parts, { axis }, from);
}
