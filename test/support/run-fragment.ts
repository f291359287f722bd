/**
 * How fragments are run on the host: all lanes of a subgroup come to a statement with the same places, then it is done once for all of
 * them. Which lane touches which element of memory is not known, so none of the lanes does: to the checks, each statement is a lane of
 * its own. Consumed by run-kernel.ts.
 */
import { f16ToNumber, numberToF16 } from "../../src/dsl/numerics/float16.ts";
import { scalarOf } from "../../src/compiler/kernel/ir.ts";
import type {
  Expr,
  Fragment,
  FragmentElement,
  FragmentPlace,
  FragmentStatement,
  Kernel,
} from "../../src/compiler/kernel/ir.ts";

/** Row-major elements. Never changed: lanes share it. */
export type FragmentValue = Float64Array;

const ROUND: Readonly<Record<FragmentElement, (x: number) => number>> = {
  f32: Math.fround,
  f16: (x) => f16ToNumber(numberToF16(x)),
};

/** What the compiled code calls. */
export const FRAGMENT_HELPERS = {
  /** accumulator + left · right, every sum rounded. */
  multiplyAccumulate: (
    [columns, inner]: readonly [number, number],
    element: FragmentElement,
    accumulator: FragmentValue,
    left: FragmentValue,
    right: FragmentValue,
  ): FragmentValue =>
    accumulator.map((sum, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      for (let k = 0; k < inner; k++)
        sum = ROUND[element](
          sum + (left[row * inner + k] as number) * (right[k * columns + column] as number),
        );
      return sum;
    }),
  /** Where the elements of a fragment are, row by row. */
  eachPlace: (
    rows: number,
    columns: number,
    [at, stride]: readonly [number, number],
    order: FragmentPlace["order"],
  ): readonly number[] => {
    if (stride < (order === "row-major" ? columns : rows))
      throw new Error(`a stride of ${stride} is too short for a fragment of ${rows} x ${columns}`);
    return Array.from({ length: rows * columns }, (_, n) => {
      const [row, column] = [Math.floor(n / columns), n % columns];
      return order === "row-major" ? at + row * stride + column : at + row + column * stride;
    });
  },
};

/** What the writer of code provides. */
export interface FragmentContext {
  readonly kernel: Kernel;
  /** Text of an index. */
  index(x: Expr): string;
  require(condition: boolean, text: () => string): void;
  /** Text that waits for the subgroup to be at this place with the same values, and is what `work` gives then. */
  together(same: readonly string[], work: string): string;
}

/** JavaScript for a statement. Names are declared as its own are, so that one out of scope is an error. */
export function fragmentCode(s: FragmentStatement, context: FragmentContext): string {
  switch (s.kind) {
    case "zeroFragment":
      return `let $${s.fragment.name} = new Float64Array(${s.fragment.rows * s.fragment.columns});\n`;
    case "loadFragment": {
      const { method, at, places } = placeCode(s.fragment, s.from, "load", context);
      const work = `Float64Array.from(${places}, (at) => memory.${method}(${s.from.memory.position}, at))`;
      return `const $${s.fragment.name} = ${context.together(at, work)};\n`;
    }
    case "storeFragment": {
      const { method, at, places } = placeCode(s.fragment, s.to, "store", context);
      const work = `${places}.forEach((at, n) => memory.${method}(${s.to.memory.position}, at, $${s.fragment.name}[n]))`;
      return `${context.together(at, work)};\n`;
    }
    case "multiplyAccumulate": {
      const { accumulator, left, right } = s;
      const { rows, columns } = accumulator;
      const fits =
        left.rows === rows &&
        right.columns === columns &&
        left.columns === right.rows &&
        left.element === right.element &&
        [accumulator, left, right].map(({ role }) => role).join() === "accumulator,left,right";
      context.require(
        fits,
        () => `multiplies ${name(left)} by ${name(right)} for ${name(accumulator)}, which do not fit`,
      );
      const sizes = `[${columns}, ${left.columns}], "${accumulator.element}"`;
      const values = [accumulator, left, right].map((fragment) => `$${fragment.name}`).join(", ");
      return `$${accumulator.name} = ${context.together([], `multiplyAccumulate(${sizes}, ${values})`)};\n`;
    }
  }
}

const name = ({ role, rows, columns, element }: Fragment): string =>
  `${role} of ${rows} x ${columns} ${element}`;

function placeCode(
  fragment: Fragment,
  { memory: { kind, position }, at, stride, order }: FragmentPlace,
  way: "load" | "store",
  { kernel, index, require }: FragmentContext,
): { readonly method: string; readonly at: readonly string[]; readonly places: string } {
  const [buffer, array] = [kernel.buffers[position], kernel.shared[position]];
  const kept = kind === "shared" ? (array?.half === true ? "f16" : array?.type) : buffer?.dtype;
  const { rows, columns, element } = fragment;
  require(kept === element, () => `keeps ${name(fragment)} in ${kind} ${position} of ${kept}`);
  if (kind === "buffer") {
    const wrong = way === "load" ? "write" : "read";
    require(buffer?.access !== wrong, () =>
      `has a fragment in buffer ${position}, which is not one to ${way}`);
    require(scalarOf(buffer?.dtype ?? "bool") === "f32", () => `has a fragment in buffer ${position}`);
  }
  const values = [index(at), index(stride)];
  return {
    method: kind === "shared" ? `${way}Shared` : way,
    at: values,
    places: `eachPlace(${rows}, ${columns}, same, "${order}")`,
  };
}
