/**
 * Control flow and derivative rules as functions over pytrees. Tensors from outside a body may be used inside it.
 * @throws OpError (all functions) when a body does not return what it must.
 */
import type { Program, RematPolicy, TensorType } from "../program/program.ts";
import { emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import type { Flat } from "../trace/pytree.ts";
import {
  describeTree,
  describeValue,
  flattenTensors,
  rebuild,
  sameStructure,
  traceTree,
} from "../trace/tree-trace.ts";
import type { TracedTree } from "../trace/tree-trace.ts";
import type { Leading, Slices, Stacked, Tensor } from "../types/index.ts";
import { blaming, fail, traced } from "./operand.ts";

const typesOf = (leaves: readonly TracedTensor[]): readonly TensorType[] =>
  leaves.map(({ shape, dtype }) => ({ shape, dtype }));

export interface ScanOptions {
  /** Number of iterations; needed only when there is nothing to scan over. */
  readonly length?: number;
  /** From the last slice to the first. */
  readonly reverse?: boolean;
}

/**
 * A loop with a carry: `body(carry, x) -> [carry, y]` for every slice x along the leading axis of `xs`; the ys are stacked.
 * @param xs a pytree of tensors with one leading size, or null to loop `length` times (then x is null)
 * @returns the final carry and the stacked ys (null if the body returns null)
 */
export function scan<Carry, Xs, Ys>(
  body: (carry: Carry, x: Slices<Xs>) => readonly [Carry, Ys],
  carry: Carry,
  xs: Xs,
  options: ScanOptions = {},
): readonly [Carry, Stacked<Ys, Leading<Xs>>] {
  return blaming(() => {
    const flatXs = xs === null ? null : flattenTensors(xs);
    const flatCarry = flattenTensors(carry);
    const scanned = flatXs?.leaves ?? [];
    const length =
      options.length ?? scanned[0]?.shape[0] ?? fail("scan: give a length or something to scan over");
    for (const x of scanned)
      if (x.shape[0] !== length)
        fail(`scan: a tensor of shape [${x.shape.join(",")}] has no leading axis of ${length}`);
    const slices = scanned.map(({ shape, dtype }): TensorType => ({ shape: shape.slice(1), dtype }));
    const split = flatCarry.leaves.length;
    const nothing = { kind: "array", items: [] } as const;
    const input = { kind: "array", items: [flatCarry.tree, flatXs?.tree ?? nothing] } as const;
    let silent = false;
    const traced_ = traceTree(
      input,
      [...typesOf(flatCarry.leaves), ...slices],
      ([c, x]: [Carry, Slices<Xs>]) => {
        const returned = body(c, flatXs === null ? (null as unknown as Slices<Xs>) : x); // Xs is null
        const [next, y] = pairOf("scan: the body must return a pair [carry, y]", returned);
        silent = y === null;
        sameStructure(
          "scan: the body returns another carry than it takes",
          flattenTensors(next, "scan: the body must return a carry of tensors").tree,
          flatCarry.tree,
        );
        return [next, silent ? [] : y];
      },
      "scan: the body must return tensors",
    );
    const outputs = emit("scan", [...traced_.captures, ...flatCarry.leaves, ...scanned], {
      body: traced_.program,
      length,
      consts: traced_.captures.length,
      carry: split,
      reverse: options.reverse ?? false,
    });
    const [end, ys] = rebuild<readonly [Carry, Stacked<Ys, Leading<Xs>>]>(traced_.outputTree, outputs);
    return [end, silent ? (null as unknown as typeof ys) : ys]; // Ys is null
  });
}

/** The list of two that a body returned. */
function pairOf<A, B>(must: string, returned: readonly [A, B]): readonly [A, B] {
  const value: unknown = returned; // what the types promise is for this function to check
  return Array.isArray(value) && value.length === 2 ? returned : fail(`${must}, got ${describeValue(value)}`);
}

/** `onTrue(operands)` where the scalar bool holds, else `onFalse(operands)`. Both return the same structure and types. */
export function cond<In, Out>(
  predicate: Tensor<[], "bool">,
  onTrue: (operands: In) => Out,
  onFalse: (operands: In) => Out,
  operands: In,
): Out {
  return blaming(() => {
    const flat = flattenTensors(operands);
    const types = typesOf(flat.leaves);
    const yes = traceTree(flat.tree, types, onTrue, "cond: the true branch must return tensors");
    const no = traceTree(flat.tree, types, onFalse, "cond: the false branch must return tensors");
    sameStructure("cond: the branches return different things", yes.outputTree, no.outputTree);
    const { captures, programs } = shareCaptures([yes, no]);
    const outputs = emit("cond", [traced("cond", predicate), ...captures, ...flat.leaves], {
      onTrue: programs[0] as Program,
      onFalse: programs[1] as Program,
    });
    return rebuild<Out>(yes.outputTree, outputs);
  });
}

/** Repeats `body` while `condition` holds. Differentiable in forward mode only; for reverse mode use `scan`. */
export function whileLoop<Carry>(
  condition: (carry: Carry) => Tensor<[], "bool">,
  body: (carry: Carry) => Carry,
  carry: Carry,
): Carry {
  return blaming(() => {
    const flat = flattenTensors(carry);
    const types = typesOf(flat.leaves);
    const test = traceTree(flat.tree, types, condition, "whileLoop: the condition must return a bool tensor");
    if (test.outputTree.kind !== "leaf")
      fail(`whileLoop: the condition must return one tensor, got ${describeTree(test.outputTree)}`);
    const step = traceTree(flat.tree, types, body, "whileLoop: the body must return tensors");
    sameStructure("whileLoop: the body returns another carry than it takes", step.outputTree, flat.tree);
    const outputs = emit("while", [...test.captures, ...step.captures, ...flat.leaves], {
      condition: test.program,
      body: step.program,
      conditionConsts: test.captures.length,
      bodyConsts: step.captures.length,
    });
    return rebuild<Carry>(flat.tree, outputs);
  });
}

/** Traces a function of a list of trees on inputs like the given ones. */
const traceCall = <A extends readonly unknown[]>(
  flat: Flat<TracedTensor>,
  f: (...args: A) => unknown,
  expected: string,
): TracedTree => traceTree(flat.tree, typesOf(flat.leaves), (inputs: A) => f(...inputs), expected);

/** The function, whose derivative recomputes intermediate values instead of keeping them; "dots" keeps the results of products. */
export function remat<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  policy: RematPolicy = "nothing",
): (...args: A) => R {
  return (...args) =>
    blaming(() => {
      const flat = flattenTensors(args);
      const body = traceCall(flat, f, "remat: the function must return tensors");
      const outputs = emit("remat", [...body.captures, ...flat.leaves], { body: body.program, policy });
      return rebuild<R>(body.outputTree, outputs);
    });
}

/**
 * The function with a forward-mode rule of your own: `rule(args, tangents) -> [outputs, output tangents]`, linear in the
 * tangents; reverse mode transposes it. `args` and `tangents` are the list of arguments.
 */
export function customJvp<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  rule: (args: A, tangents: A) => readonly [R, R],
): (...args: A) => R {
  return (...args) =>
    blaming(() => {
      const flat = flattenTensors(args);
      const types = typesOf(flat.leaves);
      const body = traceCall(flat, f, "customJvp: the function must return tensors");
      const pair = traceTree(
        { kind: "array", items: [flat.tree, flat.tree] },
        [...types, ...types],
        ([primals, tangents]: [A, A]) => rule(primals, tangents),
        "customJvp: the rule must return tensors, [outputs, tangents]",
      );
      sameStructure("customJvp: the rule returns something else than [outputs, tangents]", pair.outputTree, {
        kind: "array",
        items: [body.outputTree, body.outputTree],
      });
      const { captures, programs } = shareCaptures([body, pair]);
      const outputs = emit("customJvp", [...captures, ...flat.leaves], {
        body: programs[0] as Program,
        rule: programs[1] as Program,
        consts: captures.length,
      });
      return rebuild<R>(body.outputTree, outputs);
    });
}

/**
 * The function with a reverse-mode rule of your own: `forward(...args) -> [outputs, residuals]` and
 * `backward(residuals, cotangents) -> list of argument cotangents`. Forward mode uses the function's own derivative.
 */
export function customVjp<A extends readonly unknown[], R, Residuals>(
  f: (...args: A) => R,
  forward: (...args: A) => readonly [R, Residuals],
  backward: (residuals: Residuals, cotangents: R) => Readonly<A>,
): (...args: A) => R {
  return (...args) =>
    blaming(() => {
      const flat = flattenTensors(args);
      const body = traceCall(flat, f, "customVjp: the function must return tensors");
      const ahead = traceCall(flat, forward, "customVjp: forward must return tensors, [outputs, residuals]");
      const count = body.program.outputs.length;
      if (ahead.outputTree.kind !== "array" || ahead.outputTree.items.length !== 2)
        fail("customVjp: forward must return [outputs, residuals]");
      const [outputTree, residualTree] = ahead.outputTree.items as [
        typeof body.outputTree,
        typeof body.outputTree,
      ];
      sameStructure(
        "customVjp: forward returns other outputs than the function",
        outputTree,
        body.outputTree,
      );
      const aheadTypes = ahead.program.outputs.map((id) => ahead.program.types[id] as TensorType);
      const back = traceTree(
        { kind: "array", items: [residualTree, outputTree] },
        [...aheadTypes.slice(count), ...aheadTypes.slice(0, count)],
        ([residuals, cotangents]: [Residuals, R]) => backward(residuals, cotangents),
        "customVjp: backward must return tensors, a list of cotangents",
      );
      if (back.captures.length > 0)
        fail("customVjp: backward uses a tensor from outside; return it from forward among the residuals");
      sameStructure(
        "customVjp: backward returns another structure than the arguments",
        back.outputTree,
        flat.tree,
      );
      const { captures, programs } = shareCaptures([body, ahead]);
      const outputs = emit("customVjp", [...captures, ...flat.leaves], {
        body: programs[0] as Program,
        forward: programs[1] as Program,
        backward: back.program,
        consts: captures.length,
      });
      return rebuild<R>(body.outputTree, outputs);
    });
}

/** Programs traced on equal arguments, made to take the captures of all of them first. */
function shareCaptures(parts: readonly TracedTree[]): {
  readonly captures: readonly TracedTensor[];
  readonly programs: readonly Program[];
} {
  const captures = [...new Set(parts.flatMap((part) => part.captures))];
  const programs = parts.map(({ program, captures: own }) => {
    const types = [...program.types];
    const shared = captures.map((capture) => {
      const known = program.inputs[own.indexOf(capture)];
      // A variable that nothing uses stands for a capture of another part.
      return known ?? types.push(typesOf([capture])[0] as TensorType) - 1;
    });
    return { ...program, types, inputs: [...shared, ...program.inputs.slice(own.length)] };
  });
  return { captures, programs };
}
