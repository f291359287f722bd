/**
 * A tiny network, rows of both kinds, and losses of declared flow maps on them. Consumed by the tests of declared losses.
 */
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { onesLike, treeLeaves } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { semigroupWeight } from "../../../src/models/flow/algebra.ts";
import { decodingError } from "../../../src/models/flow/clock-decoding-error.ts";
import type { FlowMap } from "../../../src/models/flow/flow-map.ts";
import { flow } from "../../../src/models/flow/flow.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { declaredMapLoss } from "../../../src/models/language/declared-loss.ts";
import type { NetworkModel } from "../../../src/models/language/declared-network.ts";
import { dit } from "../../../src/models/networks/dit.ts";
import type { DitConfig, DitParams } from "../../../src/models/networks/dit.ts";
import { floats, ints, list } from "../../support/evaluate.ts";
import { normals, randomParams } from "../networks/random-weights.ts";

export const config: DitConfig = { vocab: 5, length: 2, width: 8, depth: 1, heads: 2, conditioning: 4 };
export const studentConfig: DitConfig = { ...config, targetTime: true };
export const [teacherNetwork, student] = [dit(config), dit(studentConfig)];
export const clock = decodingError({ vocab: 5 });
export const FLM = flow({ name: "FLM", clock });
export const ROWS = 6;
export const DIAGONAL = 2;

/** Rows whose times are given as s, u, t; the first two are diagonal. */
export const TIMES = [
  [0.3, 0.3, 0.3], [0.8, 0.8, 0.8], [0.1, 0.4, 0.7], [0, 0.2, 0.9], [0.5, 0.6, 0.65], [0.2, 0.5, 0.8],
] as const; // prettier-ignore

export function inputsOf(seed: number) {
  const draw = normals(seed);
  const column = (pick: (row: (typeof TIMES)[number]) => number): ExactTensor =>
    floats([ROWS], TIMES.map(pick));
  return {
    params: randomParams(studentConfig, seed),
    given: randomParams(studentConfig, seed + 2),
    teacher: randomParams(config, seed + 1),
    tokens: ints(
      [ROWS, 2],
      Array.from({ length: 2 * ROWS }, (_, i) => (i * 7 + seed) % 5),
    ),
    noise: floats([ROWS, 2, 5], Array.from({ length: 10 * ROWS }, draw)),
    s: column(([s]) => s),
    u: column(([, u]) => u),
    t: column(([, , t]) => t),
    tauS: column(([s]) => clock.tau(s)),
    tauU: column(([, u]) => clock.tau(u)),
    tauT: column(([, , t]) => clock.tau(t)),
    rateS: column(([s]) => clock.dTau(s)),
    rateT: column(([, , t]) => clock.dTau(t)),
    gamma: column(([s, u, t]) => semigroupWeight(s, u, t)),
  };
}
export type Inputs = { readonly [K in keyof ReturnType<typeof inputsOf>]: Tensor };

export const model = (
  network: typeof student,
  params: unknown,
  space = vocabularySpace,
): NetworkModel<DitParams> => ({
  network,
  params: params as DitParams, // the tree that the network takes
  space,
});

export const rowsOf = (i: Inputs) => ({
  tokens: i.tokens,
  noise: i.noise,
  s: { t: i.s, tau: i.tauS, rate: i.rateS },
  u: { t: i.u, tau: i.tauU, rate: onesLike(i.u) },
  t: { t: i.t, tau: i.tauT, rate: i.rateT },
});

export const lossOf =
  (map: FlowMap, i: Inputs) =>
  (params: unknown, teacher: unknown): Tensor<[]> =>
    declaredMapLoss(map, model(student, params), rowsOf(i), {
      diagonal: DIAGONAL,
      teacher: model(teacherNetwork, teacher),
      ...(typeof map.teacher === "object" ? { given: model(student, i.given) } : {}),
    });

export const sizes = (tree: unknown): readonly Tensor[] => treeLeaves(tree) as readonly Tensor[];
export const numbers = (leaves: readonly ExactTensor[]): number[] => leaves.flatMap((leaf) => list(leaf));
