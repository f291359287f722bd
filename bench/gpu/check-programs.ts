/**
 * Programs of every kind of kernel, to be compared with the interpreter. Sizes are on both sides of the edges of tiles and subgroups.
 *
 * Consumed by checks.ts. To add one: an entry in `PROGRAMS`. Sizes come from lists, so types know nothing of them; they are asserted
 * away, and tracing checks the shapes.
 */
import {
  add,
  argmax,
  attention,
  cast,
  cumsum,
  f16,
  f32,
  fn,
  gather,
  gelu,
  i32,
  jvp,
  logSoftmax,
  matmul,
  mean,
  mul,
  nn,
  outputSpec,
  random,
  relu,
  scan,
  scatterAdd,
  softmax,
  sort,
  square,
  sum,
  tanh,
  transpose,
  u32,
  valueAndGrad,
} from "../../src/dsl/index.ts";
import type { Fn, Tensor } from "../../src/dsl/index.ts";
import { flmStep, fmlmStep, initFlm, initFmlm } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import type { ModelOptions } from "../../src/models/training/programs.ts";

export interface CheckProgram {
  readonly name: string;
  readonly tolerance: number;
  readonly f: Fn<never, unknown>;
  /** Whole numbers are below this: what they index has as many entries. */
  readonly below?: number;
}

const F32 = 1e-4;
const F16 = 5e-3;

/** f is declared with its own types; here it is only traced. */
const check = (name: string, tolerance: number, f: unknown, below?: number): CheckProgram => ({
  name,
  tolerance,
  f: f as Fn<never, unknown>,
  ...(below === undefined ? {} : { below }),
});

/** m, k, n of products. */
const DOTS = [
  [1, 7, 1],
  [3, 33, 5],
  [1, 129, 257],
  [257, 129, 1],
  [8, 64, 8],
  [31, 32, 33],
  [64, 64, 64],
  [65, 127, 63],
  [128, 16, 192],
  [130, 260, 129],
  [16, 2048, 16],
] as const;

const dots = (name: string, type: typeof f32 | typeof f16, tolerance: number): readonly CheckProgram[] =>
  DOTS.flatMap(([m, k, n]) => [
    check(
      `${name} product ${m}×${k}×${n}`,
      tolerance,
      fn({ a: type(m, k), b: type(k, n) }, ({ a, b }) => matmul(a as Tensor, b as Tensor)),
    ),
    check(
      `${name} product ${m}×${k}×${n}, both transposed, with bias and gelu`,
      tolerance,
      fn({ a: type(k, m), b: type(n, k), bias: type(n) }, ({ a, b, bias }) =>
        gelu(add(matmul(transpose(a as Tensor), transpose(b as Tensor)), bias as Tensor)),
      ),
    ),
  ]);

function attentions(): readonly CheckProgram[] {
  return (
    [
      [1, 2, 5, 8],
      [2, 3, 33, 16],
      [1, 2, 130, 32],
      [1, 1, 70, 64],
    ] as const
  ).flatMap((shape) =>
    [{}, { causal: true }, { softcap: 5 }].flatMap((options) => {
      const spec = { q: f32(...shape), k: f32(...shape), v: f32(...shape) };
      const attend = ({ q, k, v }: Record<"q" | "k" | "v", Tensor>): Tensor => attention(q, k, v, options);
      const name = `attention [${shape.join(",")}] ${JSON.stringify(options)}`;
      return [
        check(name, F32, fn(spec, attend as never)),
        check(
          `${name}, its tangent`,
          F32,
          fn({ x: spec, dx: spec }, ({ x, dx }) => jvp(attend, [x] as never, [dx] as never)),
        ),
        check(
          `${name}, its gradient`,
          F32,
          fn({ x: spec, w: f32(...shape) }, ({ x, w }) =>
            valueAndGrad(
              (x: Record<"q" | "k" | "v", Tensor>): Tensor<[]> => sum(mul(attend(x), w)) as Tensor<[]>,
            )(x as never),
          ),
        ),
      ];
    }),
  );
}

const rows = (): readonly CheckProgram[] =>
  [1, 31, 64, 257, 1025].flatMap((n) => [
    check(
      `softmax of rows of ${n}`,
      F32,
      fn({ x: f32(5, n) }, ({ x }) => softmax(x)),
    ),
    check(`log softmax and its gradient, rows of ${n}`, F32, fn({ x: f32(5, n), w: f32(5, n) }, ({ x, w }) =>
      valueAndGrad((x: Tensor): Tensor<[]> => sum(mul(logSoftmax(x), w)) as Tensor<[]>)(x as Tensor))), // prettier-ignore
    check(`norm and its gradient, rows of ${n}`, F32, fn({ x: f32(5, n), g: f32(n), w: f32(5, n) }, ({ x, g, w }) =>
      valueAndGrad((x: Tensor): Tensor<[]> => sum(mul(nn.layerNorm({ weight: g } as never, x), w)) as Tensor<[]>)(x as Tensor))), // prettier-ignore
    check(
      `sums of columns, ${n} by 130`,
      F32,
      fn({ x: f32(n, 130) }, ({ x }) => sum(x, 0)),
    ),
    check(
      `sort, rows of ${n}`,
      0,
      fn({ x: f32(3, n) }, ({ x }) => sort(x)),
    ),
    check(
      `prefix sums, rows of ${n}`,
      F32,
      fn({ x: f32(3, n) }, ({ x }) => cumsum(x)),
    ),
    check(
      `argmax, rows of ${n}`,
      0,
      fn({ x: f32(3, n) }, ({ x }) => argmax(x, 1)),
    ),
  ]);

export const PROGRAMS = (): readonly CheckProgram[] => [
  ...dots("f32", f32, F32),
  ...dots("f16", f16, F16),
  ...rows(),
  ...attentions(),
  check(
    "gather",
    0,
    fn({ table: f32(50, 7), at: i32(40) }, ({ table, at }) => gather(table, at)),
    50,
  ),
  check(
    "scatter",
    F32,
    fn({ table: f32(50, 7), at: i32(300), rows: f32(300, 7) }, ({ table, at, rows }) => scatterAdd(table, at, rows)),
    50,
  ), // prettier-ignore
  check(
    "random bits",
    0,
    fn({ key: u32(2) }, ({ key }) => random.bits(key, [1023])),
  ),
  check(
    "normal numbers",
    F32,
    fn({ key: u32(2) }, ({ key }) => random.normal(key, [1023])),
  ),
  check(
    "a loop",
    F32,
    fn({ x: f32(3, 17), w: f32(17, 17) }, ({ x, w }) =>
      scan((carry: Tensor) => [tanh(matmul(carry, w as Tensor)) as Tensor, sum(carry)], x as Tensor, null, { length: 9 }),
    ),
  ), // prettier-ignore
  check(
    "f16 to f32 and back",
    F16,
    fn({ x: f16(999) }, ({ x }) => cast(mul(cast(x, "f32"), 0.3), "f16")),
  ),
  check(
    "cross entropy streamed over a vocabulary, and its gradient",
    F32,
    fn(
      { params: { weight: f32(513, 32), bias: f32(513) }, x: f32(20, 32), tokens: i32(20) },
      ({ params, x, tokens }) =>
        valueAndGrad((p: typeof params): Tensor<[]> =>
          mean(nn.linearCrossEntropy(p as never, x as never, tokens as never, { chunk: 128 }) as Tensor) as Tensor<[]>,
        )(params),
    ),
    513,
  ), // prettier-ignore
  check(
    "a perceptron's gradient",
    F32,
    fn({ p: { a: f32(20, 130), b: f32(130, 20) }, x: f32(70, 20) }, ({ p, x }) =>
      valueAndGrad((p: Record<"a" | "b", Tensor>): Tensor<[]> =>
        mean(square(matmul(relu(matmul(x as Tensor, p.a) as Tensor), p.b) as Tensor)) as Tensor<[]>,
      )(p as never),
    ),
  ), // prettier-ignore
  ...models(),
];

/** The training steps of both models, small, each once. */
function models(): readonly CheckProgram[] {
  const options: ModelOptions = {
    network: { vocab: 23, length: 6, width: 16, depth: 2, heads: 2, conditioning: 8 },
    batch: 4,
    space: "projected",
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0.01,
    clip: 1,
    emaDecay: 0.99,
  };
  const flm = outputSpec(initFlm(options) as never);
  const fmlm = outputSpec(initFmlm(options) as never);
  return [
    check("an FLM step", F32, flmStep(options, flm as never), 23),
    check(
      "an FLM step on the vocabulary",
      F32,
      flmStep({ ...options, space: "vocabulary" }, flm as never),
      23,
    ),
    check(
      "an FMLM step",
      F32,
      fmlmStep({ ...options, diagonal: 2 }, fmlm as never, weightsSpec(options.network)),
      23,
    ),
  ];
}
