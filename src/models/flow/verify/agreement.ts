/**
 * What devices are compared on: the exact map, its drift and the objective's target, in one row of numbers per case. Consumed by
 * src/runtime/verify.ts.
 */
import { concat, reshape } from "../../../dsl/index.ts";
import type { Tensor } from "../../../dsl/index.ts";
import type { FlowMap } from "../flow-map.ts";
import type { Flow } from "../flow.ts";
import { pointAt } from "../interpolant.ts";
import { diagonalOf, drift } from "../two-time.ts";
import type { Cases, World } from "./identity.ts";

/** [cases, numbers]. */
export function agreementValues(variant: Flow | FlowMap, cases: Cases, world: World): Tensor {
  const { x, s, u, t } = cases;
  const { map, oracle, interpolant } = world;
  const { alpha, beta } = pointAt(interpolant, s.t);
  const values = [
    map.denoiser(x, s, t),
    drift(interpolant, x, oracle.point(oracle.denoiserAt(x, alpha, beta)), s),
    ...(variant.kind === "flow"
      ? []
      : [variant.objective.target({ student: map, instant: diagonalOf(map), given: map }, { x, s, u, t })]),
  ];
  const rows = x.shape[0] ?? 0;
  return concat(
    values.map((value) => reshape(value, [rows, -1]) as Tensor),
    1,
  );
}
