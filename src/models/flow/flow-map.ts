/**
 * A flow map, declared: which flow it follows, by which identity it is trained, and on which times. The map is given by a two-time
 * denoiser ψ_{s,t}: X_{s,t}(x) = Γ x + Ξ ψ_{s,t}(x), for the flow's own interpolant.
 *
 * Consumed by training, samplers and verify.
 */
import { lossName, needsDistribution } from "./bregman.ts";
import type { Loss } from "./bregman.ts";
import type { Flow } from "./flow.ts";
import type { Objective } from "./objectives/objective.ts";
import type { Midpoint } from "./times.ts";
import { checkMapWeight } from "./weighting-checks.ts";
import { varianceOf } from "./weighting.ts";
import type { Weighting } from "./weighting.ts";

export interface FlowMapDeclaration {
  readonly name: string;
  readonly flow: Flow;
  readonly objective: Objective;
  /** Whether a frozen network of the flow teaches the diagonal; without one it learns from clean tokens. True by default. */
  readonly teacher?: boolean;
  /** How ψ is judged against its target; by default cross-entropy where the target is a distribution, else the squared error. */
  readonly loss?: Loss;
  /** Share of rows with s = t, which learn the denoiser itself. Half by default. */
  readonly diagonal?: number;
  /** Share of rows that jump from noise to data at once. 1/64 by default, and 0 for objectives that have nothing to say there. */
  readonly boundary?: number;
  /** Where the middle time lies, for objectives that have one: half-way on the clock by default. */
  readonly midpoint?: Midpoint;
  /** How much each row's loss counts; by default as in its flow. */
  readonly weighting?: Weighting;
  /**
   * Whether of the gradient of the objective's rows that part is left out which works against the gradient of the diagonal rows (gradient
   * surgery, arXiv:2604.09784). False by default.
   */
  readonly surgery?: boolean;
}

export interface FlowMap extends Required<Omit<FlowMapDeclaration, "weighting">> {
  readonly kind: "flow map";
  readonly weighting?: Weighting;
}

const share = (name: string, what: string, value: number): void => {
  if (!(value >= 0 && value <= 1))
    throw new RangeError(
      `The flow map "${name}" has a ${what} share of ${value}; a share of rows lies in [0, 1].`,
    );
};

/** @throws RangeError when parts do not fit together, in one sentence that says which */
export function flowMap(declared: FlowMapDeclaration): FlowMap {
  const { name, flow, objective, teacher = true, diagonal = 1 / 2, midpoint = "clock" } = declared;
  const { weighting = flow.weighting, surgery = false } = declared;
  // Types exclude it; a declaration in JavaScript may still say so.
  if ((flow.kind as string) !== "flow")
    throw new RangeError(
      `The flow map "${name}" is a weighted sum of a state and an endpoint, which leaves the sphere that the states of "${flow.name}" are on, ` +
        `and tangents at different points of a sphere have no sum that would take its place: a flow map follows what flow() declares.`,
    );
  const overTokens = flow.predicts === "clean token";
  const loss = declared.loss ?? (overTokens && objective.onSimplex ? "cross-entropy" : "squared error");
  const boundary = declared.boundary ?? (objective.atData ? 1 / 64 : 0);
  share(name, "diagonal", diagonal);
  share(name, "boundary", boundary);
  if (diagonal + boundary > 1)
    throw new RangeError(
      `The flow map "${name}" gives ${diagonal} of its rows to the diagonal and ${boundary} to the boundary, more than there are.`,
    );
  if (flow.predicts === "noise" || flow.predicts === "score")
    throw new RangeError(
      `The flow map "${name}" needs a flow that predicts tokens, clean points or velocities: "${flow.name}" predicts a ${flow.predicts}, ` +
        `which says where a state is and not where it goes.`,
    );
  if (flow.source.support === "point")
    throw new RangeError(
      `The flow map "${name}" follows a flow that begins at a point mass, and from one state one path leads to one text: take a source ` +
        `with noise, or draw tokens from the flow itself.`,
    );
  if (objective.needsTeacher && !teacher)
    throw new RangeError(
      `The ${objective.name} objective of "${name}" learns from a teacher, and the declaration has none: leave out teacher: false.`,
    );
  if (objective.needsLogits && !overTokens)
    throw new RangeError(
      `The ${objective.name} objective of "${name}" works on logits, and the flow "${flow.name}" predicts a ${flow.predicts}.`,
    );
  if (needsDistribution(loss) && !overTokens)
    throw new RangeError(
      `The flow map "${name}" is judged by ${lossName(loss)}, and the flow "${flow.name}" predicts a ${flow.predicts}, which is no distribution.`,
    );
  if (needsDistribution(loss) && !objective.onSimplex)
    throw new RangeError(
      `The target of the ${objective.name} objective of "${name}" may have negative entries, for which there is no ${lossName(loss)}: ` +
        `use loss: "squared error", or the objective in logits.`,
    );
  if (boundary > 0 && !objective.atData)
    throw new RangeError(
      `The ${objective.name} objective of "${name}" says nothing of jumps that end at t = 1: leave boundary out, or 0.`,
    );
  if (flow.interpolant.length !== undefined && !objective.atData)
    throw new RangeError(
      `The ${objective.name} objective of "${name}" says nothing of tokens that are finished, as the interpolant "${flow.interpolant.name}" ` +
        `has them before t = 1: take the semigroup or a Lagrangian one.`,
    );
  if (surgery && (diagonal === 0 || diagonal === 1))
    throw new RangeError(
      `The flow map "${name}" has gradient surgery and no two kinds of rows to compare: its diagonal share is ${diagonal}.`,
    );
  const { predicts, interpolant, source } = flow;
  checkMapWeight(weighting, { name, interpolant, predicts, variance: varianceOf(source), teacher, diagonal });
  return {
    kind: "flow map",
    name,
    flow,
    objective,
    teacher,
    loss,
    diagonal,
    boundary,
    midpoint,
    surgery,
    ...(weighting === undefined ? {} : { weighting }),
  };
}
