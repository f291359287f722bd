/**
 * NaN where ONNX Runtime loses it. Its maxima see a NaN only in the first place that they look at, and its sort leaves a row with
 * a NaN in disorder. Sums do keep NaN and cost next to nothing: so a sum over the whole operand says whether there may be one,
 * and a branch does the careful thing then.
 *
 * Consumed by `reduction.ts`. Which maxima need none of this is `absorbed.ts`'s part.
 */
import { graph, int } from "../emitter.ts";
import type { Emitter } from "../emitter.ts";
import { ElementType } from "../proto.ts";
import type { GraphProto } from "../proto.ts";
import type { Value } from "../value.ts";
import { graphOf } from "./control.ts";

/** Where a float is NaN. */
export const isNaNOf = (emit: Emitter, x: Value): Value =>
  emit.elementwise("IsNaN", [x], { element: ElementType.bool });

/**
 * `usual`, unless the f32 operand `x` may hold a NaN: then what `careful` makes, with the same types. It must be right without NaN
 * too, since ∞ − ∞ and sums that overflow look like one.
 */
export function unlessNaN(
  emit: Emitter,
  x: Value,
  usual: readonly Value[],
  careful: (emit: Emitter) => readonly Value[],
): readonly Value[] {
  const axes = emit.indices(x.held.map((_, axis) => axis));
  // One output.
  const total = emit.node("ReduceSum", [x.name, axes], { keepdims: int(0) })[0] as string;
  const mayHave = isNaNOf(emit, { name: total, element: x.element, shape: [], held: [] });
  const branch = (name: string, values: (inner: Emitter) => readonly Value[]): GraphProto => {
    const inner = emit.child();
    inner.origin = emit.origin;
    // As they are stored: what is equal along an axis is not written out for the branch's sake.
    return graphOf(
      inner,
      name,
      [],
      values(inner).map((value) => ({ ...value, shape: value.held })),
    );
  };
  const attributes = {
    then_branch: graph(branch("with NaN", careful)),
    else_branch: graph(branch("without NaN", () => usual)),
  };
  const names = emit.node("If", [mayHave.name], attributes, usual.length);
  return usual.map((value, i) => ({ ...value, name: names[i] as string })); // as many names as values
}
