// Sums, differences, products and quotients of sizes in the type system, by arithmetic on decimal digits.
// Consumed by: concat (sum), slice (difference), rearrange (product, quotient), reshape (product).
// Cost grows with the number of digits, not with the size (counting in tuples would). Digits are held as a
// string with the least significant first ("462" is 264). Whatever is no literal non-negative integer gives
// `number`: unknown.

import type { Dim } from "./shape.ts";

interface Unary {
  "0": [];
  "1": [0];
  "2": [0, 0];
  "3": [0, 0, 0];
  "4": [0, 0, 0, 0];
  "5": [0, 0, 0, 0, 0];
  "6": [0, 0, 0, 0, 0, 0];
  "7": [0, 0, 0, 0, 0, 0, 0];
  "8": [0, 0, 0, 0, 0, 0, 0, 0];
  "9": [0, 0, 0, 0, 0, 0, 0, 0, 0];
}
type Digit = keyof Unary;
type Ten = [...Unary["9"], 0];

/**
 * The digits of a literal, least significant first; `never` for anything but a literal non-negative integer.
 */
type Digits<N extends Dim> = number extends N ? never : N extends number ? Reverse<`${N}`> : never;

type Reverse<Text extends string, Out extends string = ""> = Text extends `${infer Head}${infer Rest}`
  ? Head extends Digit
    ? Reverse<Rest, `${Head}${Out}`>
    : never
  : Out;

type StripZeros<Text extends string> = Text extends `0${infer Rest}`
  ? Rest extends ""
    ? "0"
    : StripZeros<Rest>
  : Text;

/** The number that ordinary decimal text stands for. */
type Parse<Text extends string> = StripZeros<Text> extends `${infer N extends number}` ? N : number;

type Ripple<Tuple extends 0[]> = `${Tuple["length"] & number}` extends `1${infer Low extends Digit}`
  ? [Low, [0]]
  : [`${Tuple["length"] & number}`, []];

type AddDigits<
  A extends string,
  B extends string,
  Carry extends 0[] = [],
  Out extends string = "",
> = A extends `${infer DA extends Digit}${infer RestA}`
  ? B extends `${infer DB extends Digit}${infer RestB}`
    ? Ripple<[...Unary[DA], ...Unary[DB], ...Carry]> extends [
        infer Low extends string,
        infer High extends 0[],
      ]
      ? AddDigits<RestA, RestB, High, `${Out}${Low}`>
      : never
    : Carry extends []
      ? `${Out}${A}`
      : AddDigits<A, "1", [], Out>
  : Carry extends []
    ? `${Out}${B}`
    : B extends ""
      ? `${Out}1`
      : AddDigits<B, "1", [], Out>;

/** `A - B`, zeros at the high end kept; `never` if that is negative. */
type SubtractDigits<
  A extends string,
  B extends string,
  Borrow extends 0[] = [],
  Out extends string = "",
> = A extends `${infer DA extends Digit}${infer RestA}`
  ? B extends `${infer DB extends Digit}${infer RestB}`
    ? Unary[DA] extends [...Unary[DB], ...Borrow, ...infer Left]
      ? SubtractDigits<RestA, RestB, [], `${Out}${Left["length"] & number}`>
      : [...Ten, ...Unary[DA]] extends [...Unary[DB], ...Borrow, ...infer Left]
        ? SubtractDigits<RestA, RestB, [0], `${Out}${Left["length"] & number}`>
        : never
    : Borrow extends []
      ? `${Out}${A}`
      : SubtractDigits<A, "1", [], Out>
  : B extends ""
    ? Borrow extends []
      ? Out
      : never
    : never;

type AddTimes<Sum extends string, A extends string, Times extends 0[]> = Times extends [
  0,
  ...infer Less extends 0[],
]
  ? AddTimes<AddDigits<Sum, A>, A, Less>
  : Sum;

/** Horner's rule over ordinary decimal text `B`: shift, then add A as many times as the digit says. */
type MultiplyDigits<
  A extends string,
  B extends string,
  Product extends string = "",
> = B extends `${infer D extends Digit}${infer Rest}`
  ? MultiplyDigits<A, Rest, AddTimes<`0${Product}`, A, Unary[D]>>
  : Product;

/** `[how often B fits in R, what is left of R]`. */
type Fit<R extends string, B extends string, Count extends 0[] = []> = [SubtractDigits<R, B>] extends [never]
  ? [Count["length"] & number, R]
  : Fit<SubtractDigits<R, B>, B, [...Count, 0]>;

/** Long division of ordinary decimal text `A`: the quotient's text, or `never` if something remains. */
type DivideDigits<
  A extends string,
  B extends string,
  R extends string = "",
  Quotient extends string = "",
> = A extends `${infer D extends Digit}${infer Rest}`
  ? Fit<`${D}${R}`, B> extends [infer Q extends number, infer Left extends string]
    ? DivideDigits<Rest, B, Left, `${Quotient}${Q}`>
    : never
  : StripZeros<R> extends "" | "0"
    ? Quotient
    : never;

/** `A + B`, or `number` if either is not a literal. */
export type Add<A extends Dim, B extends Dim> = [Digits<A>] extends [never]
  ? number
  : [Digits<B>] extends [never]
    ? number
    : Parse<Reverse<AddDigits<Digits<A>, Digits<B>>>>;

/** `A - B`, `never` if that is negative, or `number` if either is not a literal. */
export type Subtract<A extends Dim, B extends Dim> = [Digits<A>] extends [never]
  ? number
  : [Digits<B>] extends [never]
    ? number
    : [SubtractDigits<Digits<A>, Digits<B>>] extends [never]
      ? never
      : Parse<Reverse<SubtractDigits<Digits<A>, Digits<B>>>>;

/** `A * B`; 1 times a name is that name; `number` if it cannot be known. */
export type Multiply<A extends Dim, B extends Dim> = A extends 1
  ? B
  : B extends 1
    ? A
    : [Digits<A>] extends [never]
      ? number
      : [Digits<B>] extends [never]
        ? number
        : Parse<Reverse<MultiplyDigits<Digits<A>, `${B}`>>>;

/** `A / B`, `never` if something remains or B is 0; `A` by 1 is `A`; `number` if it cannot be known. */
export type Divide<A extends Dim, B extends Dim> = B extends 1
  ? A
  : [Digits<A>] extends [never]
    ? number
    : [Digits<B>] extends [never]
      ? number
      : B extends 0
        ? never
        : [DivideDigits<`${A}`, Digits<B>>] extends [never]
          ? never
          : Parse<DivideDigits<`${A}`, Digits<B>>>;
