/**
 * Which maxima need not be NaN where an entry is. A softmax takes the maximum of a row only to shift it: the entry that is NaN
 * makes the sum of the exponentials NaN, and with it all that depends on the maximum. Such a maximum may ignore NaN, which is cheaper.
 *
 * The proof compares a run in which the maximum of a row with a NaN is NaN with one in which it is any number, and follows what
 * differs. It must end in values that are NaN throughout the row in both runs, which differ no more, and reach no output before.
 * Consumed by `index.ts`. To see more programs through: an op in a list below, or a case in `followed`.
 */
import type { AnyEquation, OpKind, Program, VarId } from "../../../dsl/program/program.ts";
import { sameShape, typeOf } from "../../../dsl/program/program.ts";

/** What is known of a variable in a row with a NaN: it differs, it differs but for NaN wherever x has it, or it is NaN throughout. */
type State = "differs" | "seeded" | "nan";
/**
 * How it lies: as the maximum does, the same with axes of extent 1 in place of the reduced ones, as the operand x does, or as a product
 * that sums over the reduced axes, of which each row makes some entries.
 */
type Layout = "rows" | "kept" | "full" | "product";
interface Mark {
  readonly state: State;
  readonly layout: Layout;
}

/** NaN for NaN, element by element. */
const UNARY: readonly OpKind[] = [
  "neg", "abs", "sign", "floor", "exp", "log", "sin", "cos", "tanh", "sqrt", "rsqrt", "erf", "logistic", "stopGradient",
]; // prettier-ignore
/** NaN wherever an operand is. */
const BINARY: readonly OpKind[] = ["add", "sub", "mul", "div"];

/** The outputs of reduceMax whose NaN no output of the program depends on. */
export function absorbedMaxima(program: Program): ReadonlySet<VarId> {
  const absorbed = program.equations.flatMap((equation, i) =>
    equation.op === "reduceMax" && isAbsorbed(program, i, equation) ? equation.outputs : [],
  );
  return new Set(absorbed);
}

function isAbsorbed(program: Program, position: number, maximum: AnyEquation & { op: "reduceMax" }): boolean {
  const marks = new Map<VarId, Mark>();
  marks.set(maximum.outputs[0] as VarId, { state: "differs", layout: "rows" }); // it has one output
  for (const equation of program.equations.slice(position + 1)) {
    if (!equation.inputs.some((id) => marks.has(id))) continue;
    const mark = followed(program, maximum, marks, equation);
    if (mark !== undefined) marks.set(equation.outputs[0] as VarId, mark); // all that are followed have one
    else if (equation.inputs.some((id) => isOpen(marks.get(id)))) return false;
  }
  return !program.outputs.some((id) => isOpen(marks.get(id)));
}

const sameAxes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((axis) => b.includes(axis));

const isOpen = (mark: Mark | undefined): boolean => mark !== undefined && mark.state !== "nan";

/** The mark of an equation's output, one of whose inputs has one; undefined where nothing can be said. */
function followed(
  program: Program,
  maximum: AnyEquation & { op: "reduceMax" },
  marks: ReadonlyMap<VarId, Mark>,
  equation: AnyEquation,
): Mark | undefined {
  const x = maximum.inputs[0] as VarId; // it has one input
  const { axes } = maximum.params;
  const { shape } = typeOf(program, x);
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const free = shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const given = marks.get(equation.inputs[0] as VarId);
  const becomes = (to: readonly number[]): boolean =>
    sameShape(typeOf(program, equation.outputs[0] as VarId).shape, to); // asked of ops with one output

  if (UNARY.includes(equation.op)) return given;
  if (BINARY.includes(equation.op)) {
    const found = equation.inputs.flatMap((id) => marks.get(id) ?? []);
    const { layout } = found[0] as Mark; // one input has a mark
    if (found.some((mark) => mark.layout !== layout)) return undefined;
    const states = found.map(({ state }) => state);
    if (states.includes("nan")) return { state: "nan", layout };
    const seeded = states.includes("seeded") || (layout === "full" && equation.inputs.includes(x));
    return { state: seeded ? "seeded" : "differs", layout };
  }
  if (equation.op === "dot") {
    const [lhs, rhs] = equation.inputs.map((id) => marks.get(id));
    const mark = lhs ?? rhs;
    const summed = lhs === undefined ? equation.params.rhsContract : equation.params.lhsContract;
    const alone = lhs === undefined || rhs === undefined;
    // An entry of the product is a sum over the whole row, and one of its terms is NaN.
    return alone && mark?.layout === "full" && mark.state !== "differs" && sameAxes(summed, axes)
      ? { state: "nan", layout: "product" }
      : undefined;
  }
  if (given === undefined) return undefined;
  switch (equation.op) {
    case "reshape":
      if (given.layout === "rows" && becomes(kept)) return { ...given, layout: "kept" };
      return undefined;
    case "broadcast": {
      const inPlace = given.layout === "rows" ? free : shape.map((_, axis) => axis);
      const spread = becomes(shape) && sameShape(equation.params.dims, inPlace);
      return spread ? { ...given, layout: "full" } : undefined;
    }
    case "reduceSum":
      return given.layout === "full" && given.state !== "differs" && sameShape(equation.params.axes, axes)
        ? { state: "nan", layout: "rows" }
        : undefined;
    default:
      return undefined;
  }
}
