/**
 * How far the targets of an objective are from what a denoiser can be: a distribution over words. An identity of flow maps holds for the
 * exact map; what its derivatives make of a network may be anything.
 *
 * Consumed by compete.ts.
 */
import { abs, fn, f32, i32, max, maximum, mean, mul, oneHot, random, sum, u32 } from "../../src/dsl/index.ts";
import type { Tensor } from "../../src/dsl/index.ts";
import { flowMap } from "../../src/models/flow/flow-map.ts";
import type { FlowMap } from "../../src/models/flow/flow-map.ts";
import { vocabularySpace } from "../../src/models/flow/state-space.ts";
import { diagonalOf } from "../../src/models/flow/two-time.ts";
import type { Time } from "../../src/models/flow/two-time.ts";
import { flowDenoiser, mapDenoiser } from "../../src/models/language/declared-network.ts";
import { dit } from "../../src/models/networks/dit.ts";
import type { DitParams } from "../../src/models/networks/dit.ts";
import { stepKey } from "../../src/models/training/batches.ts";
import { flowMapDraw } from "../../src/models/training/declared.ts";
import { student } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import { compile, disposeTree } from "../../src/runtime/compile.ts";
import { networkOf } from "./settings.ts";
import { sentencesOf } from "./train.ts";
import type { TrainingContext, Weights } from "./train.ts";

/** Of the targets of some hundred random jumps. */
export interface TargetReport {
  /** The sum of a word's negative entries, on average and at most over jumps; 0 for a distribution. */
  readonly negative: number;
  readonly mostNegative: number;
  /** The largest absolute entry of any; at most 1 for a distribution. */
  readonly largest: number;
}

const ROWS = 256;
/** A step that no training reaches. */
const UNSEEN = 2 ** 24;

/** @returns undefined for a map whose denoisers are points and no distributions */
export async function targetsOf(
  map: FlowMap,
  { device, corpus, settings, seed }: TrainingContext,
  weights: Weights,
  teacher: Weights | undefined,
): Promise<TargetReport | undefined> {
  const { flow, objective } = map;
  if (flow.predicts !== "clean token") return undefined;
  const config = networkOf(corpus, settings);
  const { vocab, length } = config;
  const jumps = flowMap({ ...map, diagonal: 0, boundary: 0 });
  const time = { t: f32(ROWS), tau: f32(ROWS), rate: f32(ROWS) };
  const spec = {
    params: weightsSpec(student(config)),
    teacher: weightsSpec(config),
    tokens: i32(ROWS, length),
    s: time,
    u: time,
    t: time,
    key: u32(2),
  };
  const program = fn(spec, (input) => {
    const [s, u, t] = [input.s, input.u, input.t] as unknown as readonly [Time, Time, Time];
    // The trees that the specifications are of.
    const own = {
      network: dit(student(config)),
      params: input.params as unknown as DitParams,
      space: vocabularySpace,
    };
    const other = {
      network: dit(config),
      params: input.teacher as unknown as DitParams,
      space: vocabularySpace,
    };
    const still = mapDenoiser(flow, own);
    const instant = teacher === undefined ? diagonalOf(still) : flowDenoiser(flow, other);
    const x = flow.state(random.normal(input.key, [ROWS, length, vocab]), oneHot(input.tokens, vocab), s.t);
    const target = objective.target({ student: still, instant }, { x, s, u, t });
    const negative: Tensor = mean(sum(maximum(mul(target, -1), 0) as Tensor, 2) as Tensor, 1);
    return { negative: mean(negative), mostNegative: max(negative), largest: max(abs(target)) };
  });
  const compiled = await compile(program, { device });
  const tokens = sentencesOf(corpus, ROWS, seed, UNSEEN);
  const draw = flowMapDraw(jumps, tokens, length, ROWS, 0, stepKey(seed, "validation", 0));
  const found = await compiled.run({
    ...draw,
    params: weights,
    teacher: teacher ?? weightsOfFlow(weights),
    tokens,
  });
  const [negative, mostNegative, largest] = await Promise.all(
    [found.negative, found.mostNegative, found.largest].map(
      async (value) => (await value.read()).data[0] ?? Number.NaN,
    ),
  );
  disposeTree(found);
  await compiled.dispose();
  return { negative: negative ?? NaN, mostNegative: mostNegative ?? NaN, largest: largest ?? NaN };
}

/** Weights of a flow in the place of a teacher that is not asked. */
function weightsOfFlow(weights: Weights): Weights {
  const { targetTime: _unused, ...rest } = weights as Weights & { readonly targetTime?: unknown };
  return rest as Weights;
}
