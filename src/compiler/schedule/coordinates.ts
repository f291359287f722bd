/**
 * Which element of a tensor a kernel is at: an index is a list of digits in a mixed radix, most significant first, so that views
 * of a tensor (reshape, transpose, slice, …) only rearrange digits and cost no memory. Digits of size 1 are left out.
 *
 * Consumed by the pointwise rules and by the kernels. All values are u32 expressions as short as a name (`digit` binds longer ones).
 */
import { sizeOf } from "../../dsl/program/program.ts";
import { extent, index as literalIndex, modulo, over, plus, times } from "../kernel/builder.ts";
import type { KernelBuilder } from "../kernel/builder.ts";
import type { Expr } from "../kernel/ir.ts";

export interface Digit {
  readonly value: Expr;
  /** The value is below it. */
  readonly size: number;
  /** The size as one expression wherever it is used: then it is one parameter. Default: each place has its own. */
  readonly extent?: Expr | undefined;
}

export type Index = readonly Digit[];

/** The index that consists of one value below `size`. */
export const digit = (builder: KernelBuilder, value: Expr, size: number, extent?: Expr): Index =>
  size === 1 ? [] : [{ value: builder.let(value, "i"), size, extent }];

function spell(value: Expr): string {
  switch (value.kind) {
    case "literal":
      return `${value.value}`;
    case "name":
      return value.name;
    case "param":
      return `p${value.index}`;
    case "lane":
    case "workgroup":
      return value.kind;
    default:
      throw new Error(`a digit is a ${value.kind}; bind it to a name`);
  }
}

/** Equal for equal indices. */
export const keyOf = (index: Index): string =>
  index.map(({ value, size }) => `${spell(value)}:${size}`).join(",");

/** Position in row-major order. */
export function flat(builder: KernelBuilder, index: Index): Expr {
  const [first, ...rest] = rejoined(builder, index);
  if (first === undefined) return literalIndex(0);
  if (rest.length === 0) return first.value;
  return builder.once(`flat ${keyOf(index)}`, () =>
    builder.let(
      rest.reduce(
        (sum, digit) => plus(times(sum, digit.extent ?? extent(digit.size)), digit.value),
        first.value,
      ),
      "i",
    ),
  );
}

/** Digits that one value was split into, and that come together again, as that value: dividing and multiplying costs time. */
function rejoined(builder: KernelBuilder, index: Index): Index {
  for (let start = 0; start < index.length - 1; start++)
    for (let end = index.length; end > start + 1; end--) {
      const digits = index.slice(start, end);
      const value = builder.made(`whole ${keyOf(digits)}`) as Expr | undefined; // `split` puts one there
      if (value === undefined) continue;
      const size = digits.reduce((product, digit) => product * digit.size, 1);
      return rejoined(builder, [...index.slice(0, start), { value, size }, ...index.slice(end)]);
    }
  return index;
}

/**
 * The parts of an index of a tensor of `sizes` (of axes, or of runs of axes): for each, the index within it. Digits stay as they are
 * where they end at the same places.
 */
export function split(builder: KernelBuilder, index: Index, sizes: readonly number[]): readonly Index[] {
  const parts: Index[] = sizes.map(() => []);
  let next = index.length - 1;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const axes = [axis];
    const digits: Digit[] = [];
    let [wanted, found] = [sizes[axis] as number, 1];
    while (wanted !== found) {
      if (found < wanted) {
        const taken = index[next--];
        if (taken === undefined) throw new Error(`an index of [${sizes.join(",")}] has too few digits`);
        digits.unshift(taken);
        found *= taken.size;
      } else {
        axes.unshift(--axis);
        wanted *= sizes[axis] as number; // the products are equal, so there is one more
      }
    }
    if (axes.length === 1) {
      parts[axis] = digits;
      continue;
    }
    const key = `split ${keyOf(digits)} ${axes.map((i) => sizes[i]).join(",")}`;
    const values = builder.once(key, () => {
      let rest = flat(builder, digits);
      const found: Expr[] = [];
      for (const i of axes.toReversed()) {
        const size = literalIndex(sizes[i] as number);
        found.unshift(builder.let(i === axes[0] ? rest : modulo(rest, size), "i"));
        if (i !== axes[0]) rest = builder.let(over(rest, size), "i");
      }
      return found;
    });
    axes.forEach((i, n) => (parts[i] = digit(builder, values[n] as Expr, sizes[i] as number)));
    const split = axes.flatMap((i) => parts[i] as Index);
    builder.once(`whole ${keyOf(split)}`, () => flat(builder, digits));
  }
  return parts;
}

/** The coordinate along each axis of a tensor of `shape`. */
export const coordinates = (
  builder: KernelBuilder,
  index: Index,
  shape: readonly number[],
): readonly Expr[] => split(builder, index, shape).map((part) => flat(builder, part));

/** Neighbouring axes for which `kind` is the same, as runs, in order. Axes of extent 1 join any run. */
export function runsOf<T>(
  shape: readonly number[],
  kind: (axis: number) => T,
): readonly { readonly kind: T; readonly axes: readonly number[]; readonly size: number }[] {
  const runs: { kind: T; axes: number[] }[] = [];
  shape.forEach((extent, axis) => {
    const last = runs.at(-1);
    if (extent === 1 && last !== undefined) last.axes.push(axis);
    else if (last !== undefined && last.kind === kind(axis)) last.axes.push(axis);
    else runs.push({ kind: kind(axis), axes: [axis] });
  });
  return runs.map((run) => ({ ...run, size: sizeOf(run.axes.map((axis) => shape[axis] as number)) }));
}

/** Whether a transposition leaves the elements in the order in which they lie: it moves axes of extent 1 only. */
export function keepsOrder(shape: readonly number[], perm: readonly number[]): boolean {
  const wide = perm.filter((axis) => shape[axis] !== 1);
  return wide.every((axis, i) => i === 0 || axis > (wide[i - 1] as number));
}
