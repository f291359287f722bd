/**
 * Linearization rules of the ops that hold programs. Where forward mode runs primal and tangent in one op, these make two: the
 * primal op, which also returns residuals, and a linear op of the same kind that takes them and can be transposed.
 */
import { OpError } from "../ops/definition.ts";
import { inputTypes, nestedPrograms, typeOf } from "../program/program.ts";
import type { OpParams, Program, TensorType, VarId } from "../program/program.ts";
import { emit, traceFlat } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import {
  controlRules,
  floatOnly,
  loopJvp,
  maskOf,
  permuted,
  present,
  refuseCaptured,
  scatterTangents,
} from "./jvp-control.ts";
import { instantiate, isDifferentiable, jvpProgram } from "./jvp.ts";
import type { JvpRule, RunDual } from "./jvp.ts";
import { linearizeInto, prune } from "./linearize-into.ts";
import type { Linearized } from "./linearize-into.ts";

type T = TracedTensor;

/** Whether the linear loop finds a residual of the body among its consts or among what it scans over, and the value there. */
interface Residual {
  readonly from: "consts" | "xs";
  readonly value: T;
}

/** The variables of a program that depend on nothing but these inputs. */
function dependingOn(program: Program, inputs: readonly VarId[]): ReadonlySet<VarId> {
  const found = new Set(inputs);
  for (const equation of program.equations)
    if (equation.inputs.every((id) => found.has(id))) for (const id of equation.outputs) found.add(id);
  return found;
}

interface ForwardLoop {
  readonly outputs: readonly T[];
  readonly residuals: readonly Residual[];
  /** The body of the linear loop: (residuals, tangents of the masked inputs) -> tangents of the masked outputs. */
  readonly linear: Program;
}

/**
 * Emits the loop with the residuals that change as further outputs. Those that are the same in every iteration are computed once, in
 * front of the loop, and those that are scanned over already stay where they are.
 */
function forwardLoop(
  run: RunDual,
  inputs: readonly T[],
  { body, length, consts, carry, reverse }: OpParams["scan"],
  inputMask: readonly boolean[],
  outputMask: readonly boolean[],
): ForwardLoop {
  let linear: Program | undefined;
  const { program } = traceFlat(inputTypes(body), (values) => {
    const parts = linearizeInto(run, body, values, inputMask, outputMask);
    linear = parts.linear;
    return [...parts.outputs, ...parts.residuals];
  });
  const own = program.outputs.slice(0, body.outputs.length);
  const residuals = program.outputs.slice(own.length);
  const split = consts + carry;
  // A carry that the body passes on as it is does not change either.
  const stays = program.inputs.map((id, i) => i < consts || (i < split && own[i - consts] === id));
  const constants = program.inputs.filter((_, i) => stays[i]);
  const invariant = dependingOn(program, constants);
  const once = residuals.filter((id) => invariant.has(id));
  const stacked = residuals.filter((id) => !invariant.has(id) && program.inputs.indexOf(id) < split);
  const part = (from: Partial<Program>): Program => prune({ ...program, ...from }, 0).program;
  const hoisted = prim.replay(
    part({ inputs: constants, outputs: once }),
    inputs.filter((_, i) => stays[i]),
  );
  const outputs = emit("scan", inputs, {
    body: part({ outputs: [...own, ...stacked] }),
    length,
    consts,
    carry,
    reverse,
  });
  const placed = residuals.map((id): Residual => {
    if (invariant.has(id)) return { from: "consts", value: hoisted[once.indexOf(id)] as T };
    const stack = stacked.indexOf(id);
    const value = stack < 0 ? inputs[program.inputs.indexOf(id)] : outputs[own.length + stack];
    return { from: "xs", value: value as T };
  });
  return { outputs: outputs.slice(0, own.length), residuals: placed, linear: linear as Program };
}

const scan: JvpRule<"scan"> = ({ inputs, tangents, params, run }) => {
  const { body, length, consts, carry, reverse } = params;
  const split = consts + carry;
  const dual = loopJvp(run, body, maskOf(tangents), consts, carry);
  const inputMask = [
    ...maskOf(tangents.slice(0, consts)),
    ...dual.carryMask,
    ...maskOf(tangents.slice(split)),
  ];
  const { outputs, residuals, linear } = forwardLoop(run, inputs, params, inputMask, dual.mask);

  // The linear body takes (residuals, tangents); the loop wants (consts, carry, xs).
  const residualAt = (from: Residual["from"]): readonly number[] =>
    prim.range(residuals.length).filter((i) => residuals[i]?.from === from);
  const dots = inputs.flatMap((input, i) =>
    inputMask[i] === true ? [instantiate(tangents[i] ?? null, input)] : [],
  );
  const dotCounts = [inputMask.slice(0, consts), inputMask.slice(consts, split), inputMask.slice(split)].map(
    (part) => part.filter(Boolean).length,
  ) as [number, number, number];
  const dotRange = (from: number, n: number): readonly number[] =>
    prim.range(n).map((i) => residuals.length + from + i);
  const order = [
    ...residualAt("consts"),
    ...dotRange(0, dotCounts[0]),
    ...dotRange(dotCounts[0], dotCounts[1]),
    ...residualAt("xs"),
    ...dotRange(dotCounts[0] + dotCounts[1], dotCounts[2]),
  ];
  const linearInputs = [...residuals.map(({ value }) => value), ...dots];
  const tangentOutputs = emit(
    "scan",
    order.map((i) => linearInputs[i] as T),
    {
      body: permuted(linear, order, prim.range(linear.outputs.length)),
      length,
      consts: residualAt("consts").length + dotCounts[0],
      carry: dotCounts[1],
      reverse,
    },
  );
  return { outputs, tangents: scatterTangents(dual.mask, tangentOutputs) };
};

const whileLoop: JvpRule<"while"> = () => {
  throw new OpError(
    "whileLoop has no reverse-mode derivative, because its number of iterations is not known; use scan",
  );
};

const cond: JvpRule<"cond"> = ({ inputs, tangents, params, run }) => {
  const predicate = inputs[0] as T;
  const mask = maskOf(tangents.slice(1));
  const branches = [params.onTrue, params.onFalse];
  const found = branches.map((branch) => jvpProgram(run, branch, mask).mask);
  const want = (found[0] as readonly boolean[]).map((has, i) => has || found[1]?.[i] === true);
  const residualTypes: (readonly TensorType[])[] = branches.map((branch) => residualsOf(branch));

  function residualsOf(branch: Program): readonly TensorType[] {
    let types: readonly TensorType[] = [];
    traceFlat(inputTypes(branch), (values) => {
      types = linearizeInto(run, branch, values, mask, want).residuals.map(({ shape, dtype }) => ({
        shape,
        dtype,
      }));
      return [];
    });
    return types;
  }

  // Each branch returns its own residuals and zeros in place of the other's.
  const linear: Program[] = [];
  const [onTrue, onFalse] = branches.map((branch, side) => {
    return traceFlat(inputTypes(branch), (values) => {
      const parts: Linearized = linearizeInto(run, branch, values, mask, want);
      const placeholders = (residualTypes[1 - side] as readonly TensorType[]).map(prim.zeros);
      linear[side] = parts.linear;
      return [
        ...parts.outputs,
        ...(side === 0 ? [...parts.residuals, ...placeholders] : [...placeholders, ...parts.residuals]),
      ];
    }).program;
  }) as [Program, Program];
  const outputs = emit("cond", inputs, { onTrue, onFalse });
  const count = params.onTrue.outputs.length;
  const residuals = outputs.slice(count);
  const dots = present(tangents.slice(1));
  const counts = residualTypes.map((types) => types.length) as [number, number];
  const [linearTrue, linearFalse] = linear.map((program, side) => {
    return traceFlat([...residuals, ...dots], (values) => {
      const own = side === 0 ? values.slice(0, counts[0]) : values.slice(counts[0], counts[0] + counts[1]);
      return prim.replay(program, [...own, ...values.slice(residuals.length)]);
    }).program;
  }) as [Program, Program];
  const tangentOutputs = emit("cond", [predicate, ...residuals, ...dots], {
    onTrue: linearTrue,
    onFalse: linearFalse,
  });
  return { outputs: outputs.slice(0, count), tangents: scatterTangents(want, tangentOutputs) };
};

/** Outputs that the policy keeps: those of the body's dots. */
const savedVariables = (body: Program): readonly VarId[] =>
  body.equations
    .filter((equation) => equation.op === "dot" || equation.op === "attention")
    .flatMap((equation) => equation.outputs);

const remat: JvpRule<"remat"> = ({ inputs, tangents, params, run }) => {
  const { body, policy } = params;
  if (policy === "everything") return run(body, inputs, tangents);
  const mask = maskOf(tangents);
  const outputMask = jvpProgram(run, body, mask).mask;
  const saved = policy === "dots" ? savedVariables(body) : [];
  const outputs = emit("remat", inputs, { body: { ...body, outputs: [...body.outputs, ...saved] }, policy });
  const count = body.outputs.length;
  const savedValues = outputs.slice(count);
  const savedTypes = saved.map((id) => typeOf(body, id));
  const dots = present(tangents);
  const { program: recompute } = traceFlat([...savedTypes, ...inputs, ...dots], (values) => {
    const primals = values.slice(saved.length, saved.length + inputs.length);
    const known = new Map(saved.map((id, i) => [id, values[i] as T]));
    const parts = linearizeInto(run, body, primals, mask, outputMask, known);
    return prim.replay(parts.linear, [...parts.residuals, ...values.slice(saved.length + inputs.length)]);
  });
  const tangentOutputs = emit("remat", [...savedValues, ...inputs, ...dots], { body: recompute, policy });
  return { outputs: outputs.slice(0, count), tangents: scatterTangents(outputMask, tangentOutputs) };
};

/**
 * A rule that holds loops or branches may compute values and tangents in one of them. It is linear in the tangents, hence
 * its own linearization (at zero), by which the two come apart.
 */
const customJvp: JvpRule<"customJvp"> = (equation) => {
  const { inputs, tangents, params, run } = equation;
  const { body, rule, consts } = params;
  if (rule.equations.every((inner) => nestedPrograms(inner).length === 0))
    return controlRules.customJvp(equation);
  refuseCaptured("customJvp", tangents, consts);
  const differentiated = inputs.slice(consts);
  const dense = differentiated.map((input, i) =>
    isDifferentiable(input) ? instantiate(tangents[consts + i] ?? null, input) : null,
  );
  const dual = run(
    rule,
    [...inputs, ...differentiated.map(prim.zeros)],
    [...inputs.map(() => null), ...dense],
  );
  const count = body.outputs.length;
  return { outputs: dual.outputs.slice(0, count), tangents: floatOnly(body, dual.tangents.slice(count)) };
};

/** The backward rule serves reverse mode, so the function itself is differentiated forwards: it may hold a whileLoop. */
const customVjp =
  (forward: RunDual): JvpRule<"customVjp"> =>
  (equation) =>
    controlRules.customVjp({ ...equation, run: forward });

/** `forward`: the evaluator of forward mode. */
export const linearControlRules = (forward: RunDual) =>
  ({ scan, while: whileLoop, cond, remat, customJvp, customVjp: customVjp(forward) }) as const;
