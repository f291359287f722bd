// Splitting literal strings, for the ops that take a pattern.
// Consumed by: einsum and rearrange.

/** `Text` without spaces at either end. */
export type Trim<Text extends string> = Text extends ` ${infer Rest}`
  ? Trim<Rest>
  : Text extends `${infer Rest} `
    ? Trim<Rest>
    : Text;

/** The parts between commas, trimmed. */
export type SplitCommas<
  Text extends string,
  Out extends string[] = [],
> = Text extends `${infer Head},${infer Rest}`
  ? SplitCommas<Rest, [...Out, Trim<Head>]>
  : [...Out, Trim<Text>];

/** The parts between spaces. */
export type Words<Text extends string, Out extends string[] = []> = Text extends `${infer Head} ${infer Rest}`
  ? Words<Rest, Head extends "" ? Out : [...Out, Head]>
  : Text extends ""
    ? Out
    : [...Out, Text];

/** The characters. */
export type Letters<
  Text extends string,
  Out extends string[] = [],
> = Text extends `${infer Head}${infer Rest}` ? Letters<Rest, [...Out, Head]> : Out;

/** The words with one space between. */
export type JoinWords<Parts extends readonly string[], Text extends string = ""> = Parts extends readonly [
  infer Head extends string,
  ...infer Rest extends readonly string[],
]
  ? JoinWords<Rest, Text extends "" ? Head : `${Text} ${Head}`>
  : Text;
