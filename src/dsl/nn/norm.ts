/**
 * Normalization over the last axis, with a learned scale and, where its key is present, a learned shift.
 */
import { customVjp } from "../surface/control.ts";
import { emitOne } from "../trace/builder.ts";
import type { TracedTensor } from "../trace/builder.ts";
import * as prim from "../trace/prim.ts";
import { broadcastShape, fail, stretch, traced, typed } from "../surface/operand.ts";
import { full } from "../surface/create.ts";
import type { Dim, DTypeOf, ShapeOf, Tensor } from "../types/index.ts";

/** Parameters of a norm; without a bias the key is absent. */
export interface NormParams<W extends Tensor = Tensor> {
  /** [width], or rows of that width that stretch to the input. */
  readonly weight: W;
  /** Likewise. */
  readonly bias?: Tensor;
}

export interface NormOptions {
  /** Added to the mean square; 1e-5 by default. */
  readonly eps?: number;
}

/** Mean over the last axis, stretched back over it. */
function meanOverLast(x: TracedTensor): TracedTensor {
  const last = x.shape.length - 1;
  const mean = prim.scale(prim.reduceSum(x, [last]), 1 / (x.shape[last] as number));
  return prim.unreduce(mean, x.shape, [last]);
}

/** 1/√(mean x² + eps) over the last axis, one per row. */
function inverseRoot(x: TracedTensor, eps: number): TracedTensor {
  const last = x.shape.length - 1;
  const meanSquare = prim.scale(prim.reduceSum(prim.mul(x, x), [last]), 1 / (x.shape[last] as number));
  return emitOne("rsqrt", [prim.add(meanSquare, prim.fill(eps, meanSquare))], {});
}

const spreadRows = (row: TracedTensor, x: TracedTensor): TracedTensor =>
  prim.unreduce(row, x.shape, [x.shape.length - 1]);

/**
 * u = x·r with r = 1/√(mean x² + eps). Its transpose is written out, r·(ū − u·mean(u·ū)): fewer passes than derived.
 */
const unitRows = (eps: number): ((x: Tensor) => Tensor) =>
  customVjp(
    (x: Tensor): Tensor => {
      const t = traced("norm", x);
      return typed(prim.mul(t, spreadRows(inverseRoot(t, eps), t)));
    },
    (x: Tensor) => {
      const t = traced("norm", x);
      const r = inverseRoot(t, eps);
      const u: Tensor = typed(prim.mul(t, spreadRows(r, t)));
      const residuals: { readonly u: Tensor; readonly r: Tensor } = { u, r: typed(r) };
      return [u, residuals] as const;
    },
    (residuals, cotangent) => {
      const [u, r, ct] = [
        traced("norm", residuals.u),
        traced("norm", residuals.r),
        traced("norm", cotangent),
      ];
      const along = meanOverLast(prim.mul(u, ct));
      return [typed(prim.mul(prim.sub(ct, prim.mul(u, along)), spreadRows(r, u)))] as const;
    },
  );

/** x / √(mean x² + eps), scaled and shifted by the parameters. */
function normalize(op: string, x: TracedTensor, params: NormParams, eps: number): TracedTensor {
  const width = x.shape.at(-1) as number; // rank checked by the callers
  const unit = traced(op, unitRows(eps)(typed(x)));
  const spread = (parameter: Tensor): TracedTensor => {
    const t = traced(op, parameter);
    if (t.shape.at(-1) !== width) fail(`${op}: parameters must be [${width}], got [${t.shape.join(",")}]`);
    broadcastShape(op, t.shape, x.shape);
    return stretch(t, x.shape);
  };
  const scaled = prim.mul(unit, spread(params.weight));
  return params.bias === undefined ? scaled : prim.add(scaled, spread(params.bias));
}

function input(op: string, x: Tensor): TracedTensor {
  const t = traced(op, x);
  return t.shape.length === 0 ? fail(`${op}: a scalar has no axis to normalize over`) : t;
}

/**
 * (x − mean) / √(variance + eps) · weight + bias over the last axis; the variance is the biased one (Ba et
 * al. 2016).
 * @throws OpError when the parameters are not [width]
 */
export function layerNorm<X extends Tensor>(
  params: NormParams,
  x: X,
  { eps = 1e-5 }: NormOptions = {},
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  const t = input("layerNorm", x);
  return typed(normalize("layerNorm", prim.sub(t, meanOverLast(t)), params, eps));
}

/**
 * x / √(mean x² + eps) · weight over the last axis (Zhang and Sennrich 2019).
 * @throws OpError when the parameters are not [width]
 */
export function rmsNorm<X extends Tensor>(
  params: NormParams,
  x: X,
  { eps = 1e-5 }: NormOptions = {},
): Tensor<ShapeOf<X>, DTypeOf<X>> {
  return typed(normalize("rmsNorm", input("rmsNorm", x), params, eps));
}

/** Ones for the weight and, if asked for, zeros for the bias. */
export function initNorm<const Width extends Dim>(
  width: Width,
  options: { readonly bias: true },
): { readonly weight: Tensor<[Width], "f32">; readonly bias: Tensor<[Width], "f32"> };
export function initNorm<const Width extends Dim>(
  width: Width,
  options?: { readonly bias?: false },
): { readonly weight: Tensor<[Width], "f32"> };
export function initNorm(width: Dim, options: { readonly bias?: boolean } = {}): NormParams {
  const weight = full([width], 1);
  return options.bias === true ? { weight, bias: full([width], 0) } : { weight };
}
