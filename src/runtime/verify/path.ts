/**
 * The coefficients of an interpolant at plain times, in double precision. Consumed by verify.ts and cases.ts.
 */
import { interpret } from "../../compiler/interpret/interpret.ts";
import { exactTensor } from "../../compiler/host-tensor.ts";
import { f32, fn, scalarFunction, trace } from "../../dsl/index.ts";
import { pointAt } from "../../models/flow/interpolant.ts";
import type { Interpolant } from "../../models/flow/interpolant.ts";
import type { HostPath } from "../../models/flow/verify/view.ts";

/** @throws what the interpolant throws, for example where it has a shape of its own for every row */
export function hostPath(interpolant: Interpolant): HostPath {
  const { alpha, beta, length } = interpolant;
  if (length === undefined) {
    const [a, b] = [scalarFunction((t) => alpha(t)), scalarFunction((t) => beta(t))];
    return (t) => [{ alpha: a(t), beta: b(t), alphaRate: a.derivative(t), betaRate: b.derivative(t) }];
  }
  const { program } = trace(
    fn({ t: f32(1) }, ({ t }) => {
      const point = pointAt(interpolant, t);
      return [point.alpha, point.beta, point.alphaRate, point.betaRate];
    }),
  );
  return (t) => {
    const outputs = interpret(program, [exactTensor("f32", [1], [t])]);
    const [a = [], b = [], aRate = [], bRate = []] = outputs.map(({ data }) =>
      Array.from(data as Float64Array),
    ); // floats
    return a.map((value, i) => ({
      alpha: value,
      beta: b[i] ?? NaN,
      alphaRate: aRate[i] ?? NaN,
      betaRate: bRate[i] ?? NaN,
    }));
  };
}
