/**
 * Products of tensors: matmul, einsum, attention. Floats only.
 */
import { emit } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import type {
  Attention,
  BinaryDType,
  CommonDType,
  DTypeOf,
  DTypesOf,
  Einsum,
  MatMul,
  Result,
  ShapeOf,
  ShapesOf,
  Tensor,
  Valid,
} from "../types/index.ts";
import { blaming, broadcastShape, fail, stretch, traced, typed } from "./operand.ts";
import { parseEinsum } from "./pattern.ts";

/**
 * Matrix product as in NumPy: [..., m, k] by [..., k, n] gives [..., m, n]; leading axes broadcast.
 * @throws OpError when the inner dimensions differ
 */
export function matmul<A extends Tensor, B extends Tensor>(
  a: A,
  b: Valid<B, MatMul<ShapeOf<A>, ShapeOf<B>> | BinaryDType<"matmul", DTypeOf<A>, DTypeOf<B>>>,
): Result<MatMul<ShapeOf<A>, ShapeOf<B>>, BinaryDType<"matmul", DTypeOf<A>, DTypeOf<B>>> {
  const [x, y] = [traced("matmul", a), traced("matmul", b)];
  if (x.shape.length < 2 || y.shape.length < 2)
    fail(`matmul: both operands need rank 2 or more; got [${x.shape.join(",")}] and [${y.shape.join(",")}]`);
  const [inner, rows] = [x.shape.at(-1), y.shape.at(-2)];
  if (inner !== rows)
    fail(
      `matmul: inner dimensions differ: ${inner} vs ${rows} ([${x.shape.join(",")}] by [${y.shape.join(",")}])`,
    );
  // A plain matrix on the right needs no batch axes: the left operand's leading axes are free.
  if (y.shape.length === 2)
    return typed(
      prim.dot(x, y, { lhsBatch: [], rhsBatch: [], lhsContract: [x.shape.length - 1], rhsContract: [0] }),
    );
  const batch = broadcastShape("matmul", x.shape.slice(0, -2), y.shape.slice(0, -2));
  const [left, right] = [
    stretch(x, [...batch, ...x.shape.slice(-2)]),
    stretch(y, [...batch, ...y.shape.slice(-2)]),
  ];
  const axes = prim.range(batch.length);
  return typed(
    prim.dot(left, right, {
      lhsBatch: axes,
      rhsBatch: axes,
      lhsContract: [batch.length + 1],
      rhsContract: [batch.length],
    }),
  );
}

/**
 * Einstein summation: `einsum("b i d, b j d -> b i j", q, k)`; also with single letters, "bid,bjd->bij". Labels that the
 * output lacks are summed. Operands are contracted from left to right.
 * @throws OpError when a label has two sizes
 */
export function einsum<const Spec extends string, const Ts extends readonly Tensor[]>(
  spec: Valid<Spec, Einsum<Spec, ShapesOf<Ts>> | CommonDType<"einsum", DTypesOf<Ts>>>,
  ...operands: Ts
): Result<Einsum<Spec, ShapesOf<Ts>>, CommonDType<"einsum", DTypesOf<Ts>>> {
  const { inputs, output } = blaming(() => parseEinsum(spec as string));
  if (inputs.length !== operands.length)
    fail(`einsum: "${spec as string}" has ${inputs.length} operands, got ${operands.length}`);
  const sizes = new Map<string, number>();
  let terms: readonly Labelled[] = operands.map((operand, i) => {
    const tensor = traced("einsum", operand);
    const labels = inputs[i] as readonly string[];
    if (labels.length !== tensor.shape.length)
      fail(
        `einsum: operand ${i} has rank ${tensor.shape.length}, "${labels.join(" ")}" has ${labels.length} axes`,
      );
    labels.forEach((label, axis) => {
      const size = tensor.shape[axis] as number;
      const known = sizes.get(label) ?? size;
      if (known !== size) fail(`einsum: axis '${label}' is both ${known} and ${size}`);
      sizes.set(label, size);
    });
    return { tensor, labels };
  });
  while (terms.length > 1) {
    const [first, second, ...rest] = terms as readonly [Labelled, Labelled, ...Labelled[]];
    const needed = new Set([...rest.flatMap(({ labels }) => labels), ...output]);
    terms = [contract(first, second, needed), ...rest];
  }
  const last = sumOut(terms[0] as Labelled, new Set(output));
  return typed(
    prim.transpose(
      last.tensor,
      output.map((label) => last.labels.indexOf(label)),
    ),
  );
}

interface Labelled {
  readonly tensor: TracedTensor;
  readonly labels: readonly string[];
}

/** Sums over the labels that are not needed any more. */
function sumOut({ tensor, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = prim.range(labels.length).filter((i) => !needed.has(labels[i] as string));
  return { tensor: prim.reduceSum(tensor, axes), labels: labels.filter((label) => needed.has(label)) };
}

function contract(left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  // Labels of one operand only, which nobody needs, are summed before the product.
  const x = sumOut(left, new Set([...needed, ...right.labels]));
  const y = sumOut(right, new Set([...needed, ...left.labels]));
  const shared = x.labels.filter((label) => y.labels.includes(label));
  const batch = shared.filter((label) => needed.has(label));
  const summed = shared.filter((label) => !needed.has(label));
  const at = (side: Labelled, labels: readonly string[]): readonly number[] =>
    labels.map((label) => side.labels.indexOf(label));
  const tensor = prim.dot(x.tensor, y.tensor, {
    lhsBatch: at(x, batch),
    rhsBatch: at(y, batch),
    lhsContract: at(x, summed),
    rhsContract: at(y, summed),
  });
  const free = (side: Labelled): readonly string[] => side.labels.filter((label) => !shared.includes(label));
  return { tensor, labels: [...batch, ...free(x), ...free(y)] };
}

export interface AttentionOptions {
  /** Factor of q·k; 1/√depth by default. */
  readonly scale?: number;
  /** Scores are mapped to c·tanh(s/c); none by default. */
  readonly softcap?: number;
  /** Each query sees the keys up to its own place, counted from the ends. */
  readonly causal?: boolean;
}

/**
 * Softmax attention: q [..., queries, depth], k [..., keys, depth], v [..., keys, width] -> [..., queries, width].
 * Differentiable in both modes to any order without storing the scores at first order.
 * @throws OpError when the shapes do not fit or `softcap` is negative
 */
export function attention<Q extends Tensor, K extends Tensor, V extends Tensor>(
  q: Q,
  k: Valid<
    K,
    | Attention<ShapeOf<Q>, ShapeOf<K>, ShapeOf<V>>
    | CommonDType<"attention", [DTypeOf<Q>, DTypeOf<K>, DTypeOf<V>]>
  >,
  v: V,
  options: AttentionOptions = {},
): Result<
  Attention<ShapeOf<Q>, ShapeOf<K>, ShapeOf<V>>,
  CommonDType<"attention", [DTypeOf<Q>, DTypeOf<K>, DTypeOf<V>]>
> {
  const inputs = [traced("attention", q), traced("attention", k), traced("attention", v)];
  const [depth, keyDepth] = inputs.map(({ shape }) => shape.at(-1));
  if (depth === 0 && keyDepth === 0 && options.scale === undefined)
    fail("attention: q and k have depth 0, for which there is no scale 1/√depth");
  const outputs = emit("attention", inputs, {
    scale: options.scale ?? 1 / Math.sqrt(depth ?? 1),
    softcap: options.softcap ?? 0,
    causal: options.causal ?? false,
  });
  return typed(outputs[0] as TracedTensor);
}
