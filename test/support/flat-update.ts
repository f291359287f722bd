/**
 * A training step whose state is a few flat vectors: 20 layers of odd widths, their gradients brought together by one concat, and one
 * elementwise update of all parameters. Consumed by the tests of the scheduler and of the WebGPU runtime.
 */
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import type { HostTensor } from "../../src/compiler/host-tensor.ts";
import {
  add,
  concat,
  f32,
  fn,
  i32,
  matmul,
  mean,
  optim,
  reshape,
  slice,
  square,
  sub,
  tanh,
  trace,
  valueAndGrad,
} from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import { sizeOf, typeOf } from "../../src/dsl/program/program.ts";
import type { Program } from "../../src/dsl/program/program.ts";

const LAYERS = 20;
const WIDTHS = Array.from({ length: LAYERS + 1 }, (_, i) => 13 + ((i * 7) % 23));
const SHAPES = Array.from({ length: LAYERS }, (_, i) => {
  const [from, to] = [WIDTHS[i] as number, WIDTHS[i + 1] as number];
  return [[from, to], [to]] as const;
}).flat();

/** Entries of each parameter. */
export const SIZES: readonly number[] = SHAPES.map(sizeOf);
const TOTAL = SIZES.reduce((sum, size) => sum + size, 0);
const BATCH = 6;

export interface FlatUpdate {
  readonly program: Program;
  readonly inputNames: readonly string[];
  /** Positions of the state among the inputs. */
  readonly donated: readonly number[];
  readonly inputs: readonly HostTensor[];
}

/** (state, x, y, learningRate) -> (state, loss, norm). */
export function flatUpdate(): FlatUpdate {
  const vector = f32(TOTAL);
  const state = { params: vector, ema: vector, mean: vector, variance: vector, step: i32() };
  const spec = {
    state,
    x: f32(BATCH, WIDTHS[0] as number),
    y: f32(BATCH, WIDTHS[LAYERS] as number),
    learningRate: f32(),
  };
  const program = fn(spec, ({ state, x, y, learningRate }) => {
    let start = 0;
    const weights = SHAPES.map((shape): Tensor => {
      const from = start;
      start += sizeOf(shape);
      return reshape(slice(state.params, 0, from, start), [...shape]);
    });
    const { value, grad } = valueAndGrad((weights: readonly Tensor[]) => {
      let h: Tensor = x;
      for (let i = 0; i < LAYERS; i++)
        h = tanh(add(matmul(h, weights[2 * i] as Tensor), weights[2 * i + 1] as Tensor));
      return mean(square(sub(h, y)));
    })(weights);
    const gradient = concat(
      grad.map((leaf, i) => reshape(leaf, [SIZES[i] as number])),
      0,
    );
    const { tree: clipped, norm } = optim.clipByGlobalNorm(gradient, 0.01);
    const optimizer = optim.adamW({ weightDecay: 0.01 });
    const { params, state: next } = optimizer.update(
      clipped,
      { step: state.step, slots: { mean: state.mean, variance: state.variance } } as never,
      state.params as Tensor,
      { learningRate },
    );
    const ema = optim.ema(state.ema as Tensor, params, next.step, { decay: 0.99 });
    return {
      params,
      ema,
      mean: next.slots["mean"],
      variance: next.slots["variance"],
      step: next.step,
      loss: value,
      norm,
    };
  });
  const traced = trace(program, {});
  const donated = traced.inputNames.flatMap((name, i) => (name.startsWith("state.") ? [i] : []));
  const inputs = traced.program.inputs.map((id, n) => {
    const { shape, dtype } = typeOf(traced.program, id);
    const values = Array.from({ length: sizeOf(shape) }, (_, i) => {
      const noise = (((i * 37 + n * 11) % 101) - 50) / 100;
      return dtype === "i32" ? 3 : traced.inputNames[n] === "state.variance" ? noise * noise : noise;
    });
    return exactTensor(dtype, shape, shape.length === 0 && dtype === "f32" ? [0.01] : values);
  });
  return { program: traced.program, inputNames: traced.inputNames, donated, inputs };
}
