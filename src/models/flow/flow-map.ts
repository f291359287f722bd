/**
 * A flow map, declared: which flow it follows, what its network puts out, by which identity it is trained, by whom it is taught, and on
 * which times. However it is parameterized, the map is known by a two-time denoiser ψ_{s,t}: X_{s,t}(x) = Γ x + Ξ ψ_{s,t}(x), for the flow's
 * own interpolant.
 *
 * Consumed by training, samplers and verify. What cannot be is refused below, a line each.
 */
import { checkLoss, lossName, needsDistribution } from "./bregman.ts";
import type { Loss } from "./bregman.ts";
import { partsOf, requireName, requireWord } from "./declared-parts.ts";
import type { Flow } from "./flow.ts";
import { checkObjective } from "./objectives/objective.ts";
import type { Objective } from "./objectives/objective.ts";
import { PARAMETERIZATIONS } from "./parameterization.ts";
import type { Parameterization } from "./parameterization.ts";
import { JUMP_TIMES, MIDPOINTS } from "./times.ts";
import type { JumpTimes, Midpoint } from "./times.ts";
import { checkMapWeight } from "./weighting-checks.ts";
import { varianceOf } from "./weighting.ts";
import type { Weighting } from "./weighting.ts";

export interface FlowMapDeclaration {
  readonly name: string;
  readonly flow: Flow;
  readonly objective: Objective;
  /** What the network puts out; by default the two-time denoiser itself, and the mean velocity where the flow predicts velocities. */
  readonly parameterization?: Parameterization;
  /**
   * Whether a frozen network of the flow teaches the diagonal; without one it learns from clean tokens. Or a frozen flow map of the same flow
   * that teaches all of it. True by default.
   */
  readonly teacher?: boolean | FlowMap;
  /** How ψ is judged against its target; by default cross-entropy where both are distributions, else the squared error. */
  readonly loss?: Loss;
  /** Share of rows with s = t, which learn the denoiser itself. Half by default, and 0 for a corrected velocity, which has it already. */
  readonly diagonal?: number;
  /** Share of rows that jump from noise to data at once. 1/64 by default, and 0 for objectives that have nothing to say there. */
  readonly boundary?: number;
  /** How the times of the other rows are drawn: their length first by default, as FMLM does, and to the data where the objective asks. */
  readonly times?: JumpTimes;
  /** Where the middle time lies, for objectives that have one: half-way on the clock by default, and 1/64 after s where u must be near s. */
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

/** What a flow map of this flow is taken for where nothing is said. */
export const usualParameterization = ({ predicts }: Flow): Parameterization =>
  predicts === "velocity" ? "mean velocity" : "two-time denoiser";

/** Whether ψ is a distribution over tokens; else it is a point, or a value for every token that may be negative. */
export const overTokens = ({ flow, parameterization }: Pick<FlowMap, "flow" | "parameterization">): boolean =>
  flow.predicts === "clean token" && parameterization === "two-time denoiser";

/** What the errors of a map are errors of: those of a network that puts out how a state moves are judged as velocities. */
export function judgedAs(map: Pick<FlowMap, "flow" | "parameterization">): Flow["predicts"] {
  const { parameterization: by } = map;
  if (by === "mean velocity" || by === "direct map") return "velocity";
  return map.flow.predicts === "clean token" ? "clean token" : "clean point";
}

/** Whether a frozen network of the flow is needed: to teach, or because the frozen map that teaches corrects one. */
export const needsFlow = ({ teacher }: FlowMap): boolean =>
  typeof teacher === "boolean" ? teacher : teacher.parameterization === "corrected velocity";

/** @throws RangeError when it has no name, a part is none or misspelt, of its objective too, or parts do not fit together, in one sentence that says which */
export function flowMap(declared: FlowMapDeclaration): FlowMap {
  requireName("A flow map", declared.name);
  const {
    flow,
    objective,
    teacher = true,
  } = partsOf(
    `The flow map "${declared.name}"`,
    declared,
    [
      "name",
      "flow",
      "objective",
      "parameterization",
      "teacher",
      "loss",
      "diagonal",
      "boundary",
      "times",
      "midpoint",
      "weighting",
      "surgery",
    ],
    ["kind"], // of a map that another is made of
  );
  const { weighting = flow.weighting, surgery = false } = declared;
  // Types exclude it; a declaration in JavaScript may still say so.
  if ((flow.kind as string) !== "flow")
    throw new RangeError(
      `The flow map "${declared.name}" is a weighted sum of a state and an endpoint, which leaves the sphere that the states of "${flow.name}" are on, ` +
        `and tangents at different points of a sphere have no sum that would take its place: a flow map follows what flow() declares.`,
    );
  checkObjective(declared.name, objective);
  const parameterization = declared.parameterization ?? usualParameterization(flow);
  const distributions = overTokens({ flow, parameterization }) && objective.onSimplex;
  const map: FlowMap = {
    kind: "flow map",
    name: declared.name,
    flow,
    objective,
    parameterization,
    teacher,
    loss: declared.loss ?? (distributions ? "cross-entropy" : "squared error"),
    diagonal: declared.diagonal ?? (parameterization === "corrected velocity" ? 0 : 1 / 2),
    boundary: declared.boundary ?? (objective.atData === false ? 0 : 1 / 64),
    times: declared.times ?? (objective.atData === "only" ? "to the data" : "length first"),
    midpoint: declared.midpoint ?? (objective.limit === undefined ? "clock" : { after: 1 / 64 }),
    surgery,
    ...(weighting === undefined ? {} : { weighting }),
  };
  const of = `The flow map "${map.name}"`;
  checkLoss(of, map.loss);
  requireWord(of, "parameterization", map.parameterization, PARAMETERIZATIONS);
  requireWord(of, "times", map.times, JUMP_TIMES);
  if (typeof map.midpoint === "object") partsOf(`The midpoint of "${map.name}"`, map.midpoint, ["after"]);
  else requireWord(of, "midpoint", map.midpoint, MIDPOINTS);
  const refused = [
    ...refusedShares(map),
    ...refusedValues(map),
    ...refusedTeachers(map),
    ...refusedTimes(map),
  ];
  for (const [wrong, why] of refused) if (wrong) throw new RangeError(why);
  const { name, diagonal } = map;
  const { interpolant, source } = flow;
  checkMapWeight(weighting, {
    name,
    interpolant,
    predicts: judgedAs(map),
    variance: varianceOf(source),
    teacher: teacher !== false,
    diagonal,
  });
  return map;
}

/** Whether something is wrong, and the sentence that says so. */
type Refusal = readonly [boolean, string];

function refusedShares({ name, diagonal, boundary, parameterization, surgery }: FlowMap): readonly Refusal[] {
  const share = (what: string, value: number): Refusal => [
    !(value >= 0 && value <= 1),
    `The flow map "${name}" has a ${what} share of ${value}; a share of rows lies in [0, 1].`,
  ];
  return [
    share("diagonal", diagonal),
    share("boundary", boundary),
    [
      diagonal + boundary > 1,
      `The flow map "${name}" gives ${diagonal} of its rows to the diagonal and ${boundary} to the boundary, more than there are.`,
    ],
    [
      parameterization === "corrected velocity" && diagonal > 0,
      `The flow map "${name}" is a corrected velocity, which at s = t is its teacher and learns nothing there: leave diagonal out, or 0.`,
    ],
    [
      surgery && (diagonal === 0 || diagonal === 1),
      `The flow map "${name}" has gradient surgery and no two kinds of rows to compare: its diagonal share is ${diagonal}.`,
    ],
  ];
}

/** What kind of values the network, the objective and the loss are about. */
function refusedValues(map: FlowMap): readonly Refusal[] {
  const { name, flow, objective, parameterization, loss } = map;
  const points =
    flow.predicts === "clean token"
      ? `its network puts out a ${parameterization}`
      : `the flow "${flow.name}" predicts a ${flow.predicts}`;
  return [
    [
      flow.predicts === "noise" || flow.predicts === "score",
      `The flow map "${name}" needs a flow that predicts tokens, clean points or velocities: "${flow.name}" predicts a ${flow.predicts}, ` +
        `which says where a state is and not where it goes.`,
    ],
    [
      flow.source.support === "point",
      `The flow map "${name}" follows a flow that begins at a point mass, and from one state one path leads to one text: take a source ` +
        `with noise, or draw tokens from the flow itself.`,
    ],
    [
      flow.interpolant.length !== undefined && parameterization !== "two-time denoiser",
      `The flow map "${name}" is a ${parameterization}, from which nothing follows for a token that stands still, and the interpolant ` +
        `"${flow.interpolant.name}" gives tokens times of their own: take the two-time denoiser.`,
    ],
    [
      objective.needsLogits && !overTokens(map),
      `The ${objective.name} objective of "${name}" works on logits, and ${points}.`,
    ],
    [
      needsDistribution(loss) && !overTokens(map),
      `The flow map "${name}" is judged by ${lossName(loss)}, and ${points}, which is no distribution.`,
    ],
    [
      needsDistribution(loss) && !objective.onSimplex,
      `The target of the ${objective.name} objective of "${name}" may have negative entries, for which there is no ${lossName(loss)}: ` +
        `use loss: "squared error", or the objective in logits.`,
    ],
  ];
}

function refusedTeachers({ name, flow, objective, parameterization, teacher }: FlowMap): readonly Refusal[] {
  const map = typeof teacher === "object" ? teacher : undefined;
  return [
    [
      objective.needsTeacher !== false && teacher === false,
      `The ${objective.name} objective of "${name}" learns from a teacher, and the declaration has none: leave out teacher: false.`,
    ],
    [
      objective.needsTeacher === "flow map" && map === undefined,
      `The ${objective.name} objective of "${name}" learns from a flow map: declare it as teacher.`,
    ],
    [
      parameterization === "corrected velocity" && teacher !== true,
      `The flow map "${name}" is a corrected velocity, and its declaration has no frozen network of the flow to correct: leave out teacher.`,
    ],
    [
      map !== undefined && map.flow !== flow,
      `The flow map "${name}" is taught by "${map?.name}", which is a map of another flow: declare both with one flow.`,
    ],
  ];
}

function refusedTimes({ name, flow, objective, boundary, times, midpoint }: FlowMap): readonly Refusal[] {
  const { atData } = objective;
  const after = typeof midpoint === "object" ? midpoint.after : undefined;
  return [
    [
      boundary > 0 && atData === false,
      `The ${objective.name} objective of "${name}" says nothing of jumps that end at t = 1: leave boundary out, or 0.`,
    ],
    [
      times === "to the data" && atData === false,
      `The ${objective.name} objective of "${name}" says nothing of jumps that end at t = 1: leave times out.`,
    ],
    [
      atData === "only" && times !== "to the data",
      `The ${objective.name} objective of "${name}" says something of jumps to t = 1 alone: leave times out.`,
    ],
    [
      typeof midpoint === "object" && !(midpoint.after > 0 && midpoint.after <= 1),
      `The flow map "${name}" has its middle time ${after} after s on the clock; that lies in (0, 1].`,
    ],
    [
      objective.limit !== undefined && after === undefined,
      `The ${objective.name} objective of "${name}" holds where u is near s: declare midpoint: { after: 1/64 }, or less.`,
    ],
    [
      flow.interpolant.length !== undefined && atData === false,
      `The ${objective.name} objective of "${name}" says nothing of tokens that are finished, as the interpolant "${flow.interpolant.name}" ` +
        `has them before t = 1: take the semigroup or a Lagrangian one.`,
    ],
  ];
}
