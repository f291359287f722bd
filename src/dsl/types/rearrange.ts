// Splitting, merging and permuting axes by an einops pattern: "b n (h d) -> b h n d" with { h: 8 }.
// Consumed by: the rearrange op and attention's head splits.
// A bracket on the left splits an axis (at most one part may be without a given size), on the right it
// merges. "1" is an axis of size 1. Products and quotients of literals are computed; where a part is a name,
// they are `number`.

import type { Divide, Multiply } from "./arithmetic.ts";
import type { ShapeError } from "./error.ts";
import type { Dim, SameDim, Shape, ShowDim, ShowShape } from "./shape.ts";
import type { JoinWords, Words } from "./text.ts";

type Pad<
  Text extends string,
  Mark extends "(" | ")",
  Out extends string = "",
> = Text extends `${infer Head}${Mark}${infer Rest}`
  ? Pad<Rest, Mark, `${Out}${Head} ${Mark} `>
  : `${Out}${Text}`;

type Brackets<Side extends string> = `rearrange: brackets do not match in "${Side}"`;

// One list of names per axis; `Open` is the bracket being read.
type Group<
  Tokens extends string[],
  Side extends string,
  Out extends string[][] = [],
  Open = null,
> = Tokens extends [infer Token extends string, ...infer Rest extends string[]]
  ? Token extends "("
    ? Open extends null
      ? Group<Rest, Side, Out, []>
      : ShapeError<Brackets<Side>>
    : Token extends ")"
      ? Open extends string[]
        ? Group<Rest, Side, [...Out, Open]>
        : ShapeError<Brackets<Side>>
      : Token extends "1"
        ? Group<Rest, Side, Open extends null ? [...Out, []] : Out, Open>
        : Open extends string[]
          ? Group<Rest, Side, Out, [...Open, Token]>
          : Group<Rest, Side, [...Out, [Token]]>
  : Open extends null
    ? Out
    : ShapeError<Brackets<Side>>;

type Side<Text extends string> = Group<Words<Pad<Pad<Text, "(">, ")">>, Text>;

// A name that occurs twice on a side, or only on one side.
type Repeated<Groups extends string[][], Seen extends string = never> = Groups extends [
  infer Names extends string[],
  ...infer Rest extends string[][],
]
  ? Names extends [infer Name extends string, ...infer More extends string[]]
    ? Name extends Seen
      ? Name
      : Repeated<[More, ...Rest], Seen | Name>
    : Repeated<Rest, Seen>
  : never;

type NotInPattern<Name extends string> =
  `rearrange: a size is given for '${Name}', which is not in the pattern`;

type Unpaired<L extends string[][], R extends string[][], Given> = [Repeated<L> | Repeated<R>] extends [never]
  ? [Exclude<L[number][number], R[number][number]>] extends [never]
    ? [Exclude<R[number][number], L[number][number]>] extends [never]
      ? [string extends keyof Given ? never : Exclude<keyof Given, L[number][number]>] extends [never]
        ? never
        : ShapeError<NotInPattern<Exclude<keyof Given, L[number][number]> & string>>
      : ShapeError<`rearrange: axis '${Exclude<R[number][number], L[number][number]>}' is only on the right`>
    : ShapeError<`rearrange: axis '${Exclude<L[number][number], R[number][number]>}' is only on the left`>
  : ShapeError<`rearrange: axis '${Repeated<L> | Repeated<R>}' is twice on one side`>;

type SizeOf<Env, Name extends string> = Name extends keyof Env
  ? Env[Name] extends Dim
    ? Env[Name]
    : number
  : number;

// Product of the given sizes of the names, and the names without one.
type Known<
  Names extends string[],
  Given,
  Product extends Dim = 1,
  Free extends string[] = [],
> = Names extends [infer Name extends string, ...infer Rest extends string[]]
  ? Name extends keyof Given
    ? Known<Rest, Given, Multiply<Product, SizeOf<Given, Name>>, Free>
    : Known<Rest, Given, Product, [...Free, Name]>
  : [Product, Free];

type NotDivisible<
  D extends Dim,
  S extends Shape,
  By extends Dim,
  Name extends string,
> = `rearrange: ${ShowDim<D>} of ${ShowShape<S>} does not divide by ${ShowDim<By>} to give '${Name}'`;

type BothOpen<
  A extends string,
  B extends string,
> = `rearrange: the sizes of '${A}' and '${B}' are both open; give one`;

type Split<Names extends string[], D extends Dim, Given, Env, Whole extends Shape> =
  Known<Names, Given> extends [infer Product extends Dim, infer Free extends string[]]
    ? Free extends []
      ? [SameDim<Product, D>] extends [never]
        ? D extends string // A name may be bound to just that product.
          ? Names extends [string]
            ? Unequal<Names, Product, D, Whole>
            : Env
          : Unequal<Names, Product, D, Whole>
        : Env
      : Free extends [infer Name extends string]
        ? [Divide<D, Product>] extends [never]
          ? ShapeError<NotDivisible<D, Whole, Product, Name>>
          : Env & { [K in Name]: Divide<D, Product> }
        : ShapeError<BothOpen<Free[0] & string, Free[1] & string>>
    : never;

type SizeDiffers<
  Names extends string,
  Product extends Dim,
  D extends Dim,
  S extends Shape,
> = `rearrange: '${Names}' is ${ShowDim<Product>}, but the axis of ${ShowShape<S>} has size ${ShowDim<D>}`;

type Unequal<
  Names extends string[],
  Product extends Dim,
  D extends Dim,
  Whole extends Shape,
> = Names extends []
  ? ShapeError<`rearrange: an axis of ${ShowShape<Whole>} is 1 in the pattern, but has size ${ShowDim<D>}`>
  : ShapeError<SizeDiffers<JoinWords<Names>, Product, D, Whole>>;

type SplitAll<Groups extends string[][], S extends Shape, Given, Env, Whole extends Shape> = Groups extends [
  infer Names extends string[],
  ...infer RestG extends string[][],
]
  ? S extends readonly [infer D extends Dim, ...infer RestS extends Shape]
    ? Split<Names, D, Given, Env, Whole> extends infer Next
      ? Next extends ShapeError
        ? Next
        : SplitAll<RestG, RestS, Given, Next, Whole>
      : never
    : Env
  : Env;

type Product<Names extends string[], Env, Out extends Dim = 1> = Names extends [
  infer Name extends string,
  ...infer Rest extends string[],
]
  ? Product<Rest, Env, Multiply<Out, SizeOf<Env, Name>>>
  : Out;

type Merge<Groups extends string[][], Env> = { [K in keyof Groups]: Product<Groups[K], Env> };

type RankDiffers<
  Axes extends number,
  S extends Shape,
> = `rearrange: axes on the left of the pattern: ${Axes}, but the tensor is ${ShowShape<S>}`;

type Bound<L extends string[][], S extends Shape, Given> = number extends S["length"]
  ? Given
  : L["length"] extends S["length"]
    ? SplitAll<L, S, Given, Given, S>
    : ShapeError<RankDiffers<L["length"], S>>;

type Apply<L extends string[][], R extends string[][], S extends Shape, Given> = [
  Unpaired<L, R, Given>,
] extends [never]
  ? Bound<L, S, Given> extends infer Env
    ? Env extends ShapeError
      ? Env
      : Merge<R, Env>
    : never
  : Unpaired<L, R, Given>;

/** The shape after `rearrange(x, spec, sizes)`; `Given` holds the sizes of parts, by name. */
export type Rearrange<
  Spec extends string,
  S extends Shape,
  Given extends Readonly<Record<string, Dim>> = Record<never, never>,
> = string extends Spec
  ? Shape
  : Spec extends `${string}...${string}`
    ? ShapeError<`rearrange: "..." is not supported in "${Spec}"; name every axis`>
    : Spec extends `${infer Left}->${infer Right}`
      ? [Side<Left>, Side<Right>] extends [infer L, infer R]
        ? L extends string[][]
          ? R extends string[][]
            ? Apply<L, R, S, Given>
            : R
          : L
        : never
      : ShapeError<`rearrange: the pattern "${Spec}" has no "->"`>;
