// Einstein summation: parses the spec in the type system, binds each label to a dim, and reads the output.
// Consumed by: the einsum op and the layers built on it.
// Labels are words where any operand or the output has a space between two of them ("b i d, b j d -> b i j"),
// and single letters otherwise ("bid,bjd->bij", also "bid, bjd -> bij"). The run-time parser follows the same
// rule.
// Sizes of one label are equal: 1 does not stretch. A label occurs once per operand and once in the output.
// The parse depends on the spec alone, so the compiler does it once per distinct spec.

import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDim, ShowShape } from "./shape.ts";
import type { JoinWords, Letters, SplitCommas, Trim, Words } from "./text.ts";

type Labels<Term extends string, Spaced extends boolean> = Spaced extends true ? Words<Term> : Letters<Term>;

type LabelsEach<Terms extends string[], Spaced extends boolean> = {
  [K in keyof Terms]: Labels<Terms[K], Spaced>;
};

type IsSpaced<Terms extends string> = [Extract<Terms, `${string} ${string}`>] extends [never] ? false : true;

interface Parsed<Inputs extends string[][] = string[][], Output extends string[] = string[]> {
  inputs: Inputs;
  output: Output;
}

type ParseTerms<Inputs extends string[], Output extends string> = Parsed<
  LabelsEach<Inputs, IsSpaced<Inputs[number] | Output>>,
  Labels<Output, IsSpaced<Inputs[number] | Output>>
>;

type Parse<Spec extends string> = Spec extends `${string}...${string}`
  ? ShapeError<`einsum: "..." is not supported in "${Spec}"; name every axis`>
  : Spec extends `${infer Inputs}->${infer Output}`
    ? ParseTerms<SplitCommas<Inputs>, Trim<Output>>
    : ShapeError<`einsum: the spec "${Spec}" has no "->"`>;

// The sizes found so far, by label. Intersections are cheaper to grow than mapped types, and number & 64 is
// 64.
type Sizes = Record<never, never>;

type Bind<L extends string, D extends Dim, Env> = L extends keyof Env
  ? Env[L] extends infer Old extends Dim
    ? [D] extends [Old]
      ? [Old] extends [D]
        ? Env
        : Env & { [K in L]: D }
      : [SameDim<Old, D>] extends [never]
        ? ShapeError<`einsum: axis '${L}' is both ${ShowDim<Old>} and ${ShowDim<D>}`>
        : Env
    : never
  : Env & { [K in L]: D };

type BindOperand<Ls extends string[], S extends Shape, Env, Seen extends string = never> = Ls extends [
  infer L extends string,
  ...infer RestL extends string[],
]
  ? S extends readonly [infer D extends Dim, ...infer RestS extends Shape]
    ? L extends Seen
      ? ShapeError<`einsum: axis '${L}' is twice in one operand`>
      : Bind<L, D, Env> extends infer Next
        ? Next extends ShapeError
          ? Next
          : BindOperand<RestL, RestS, Next, Seen | L>
        : never
    : Env
  : Env;

type RankDiffers<
  N extends number,
  S extends Shape,
  Ls extends string[],
> = `einsum: operand ${N} is ${ShowShape<S>}, but has ${Ls["length"]} labels: ${JoinWords<Ls>}`;

type BindAll<
  Inputs extends string[][],
  Shapes extends readonly Shape[],
  Env = Sizes,
  Seen extends 0[] = [0],
> = Inputs extends [infer Ls extends string[], ...infer RestL extends string[][]]
  ? Shapes extends readonly [infer S extends Shape, ...infer RestS extends readonly Shape[]]
    ? number extends S["length"]
      ? BindAll<RestL, RestS, Env, [...Seen, 0]>
      : Ls["length"] extends S["length"]
        ? BindOperand<Ls, S, Env> extends infer Next
          ? Next extends ShapeError
            ? Next
            : BindAll<RestL, RestS, Next, [...Seen, 0]>
          : never
        : ShapeError<RankDiffers<Seen["length"], S, Ls>>
    : Env
  : Env;

type Read<
  Output extends string[],
  Known extends string,
  Env,
  Out extends Shape = [],
  Seen extends string = never,
> = Output extends [infer L extends string, ...infer Rest extends string[]]
  ? L extends Seen
    ? ShapeError<`einsum: axis '${L}' is twice in the output`>
    : L extends keyof Env
      ? Read<Rest, Known, Env, [...Out, Env[L] extends Dim ? Env[L] : number], Seen | L>
      : L extends Known
        ? Read<Rest, Known, Env, [...Out, number], Seen | L>
        : ShapeError<`einsum: output axis '${L}' is in no operand`>
  : Out;

type Apply<P extends Parsed, Shapes extends readonly Shape[]> = P["inputs"]["length"] extends Shapes["length"]
  ? BindAll<P["inputs"], Shapes> extends infer Env
    ? Env extends ShapeError
      ? Env
      : Read<P["output"], P["inputs"][number][number], Env>
    : never
  : ShapeError<`einsum: operands in the spec: ${P["inputs"]["length"]}, but given: ${Shapes["length"]}`>;

/** The output shape of `einsum(spec, ...operands)`. */
export type Einsum<Spec extends string, Shapes extends readonly Shape[]> = string extends Spec
  ? Shape
  : number extends Shapes["length"]
    ? Shape
    : Parse<Spec> extends infer P
      ? P extends Parsed
        ? Apply<P, Shapes>
        : P
      : never;
