/**
 * Who takes part in the comparison of objectives. To add one: a line here.
 *
 * Consumed by run.ts and by tests.
 */
import { flowMap } from "../../src/models/flow/flow-map.ts";
import type { FlowMap, FlowMapDeclaration } from "../../src/models/flow/flow-map.ts";
import type { Flow } from "../../src/models/flow/flow.ts";
import {
  consistency,
  continuousConsistency,
  eulerian,
  eulerianLogits,
  lagrangian,
  lagrangianLogits,
  meanFlow,
  semigroup,
} from "../../src/models/flow/objectives/index.ts";
import type { Objective } from "../../src/models/flow/objectives/index.ts";
import {
  cfm,
  meanFlow as meanFlowOfVelocities,
  shortcut as shortcutOfVelocities,
} from "../../src/models/language/variants/index.ts";
import type { Settings } from "./settings.ts";

export interface Contestant {
  readonly name: string;
  /** Where it begins: the weights of the flow, or fresh ones. */
  readonly start: "flow" | "fresh";
  readonly map: (flow: Flow, settings: Settings) => FlowMap;
}

type Changes = Partial<Omit<FlowMapDeclaration, "name" | "flow" | "objective">>;

/** A map of FLM's flow, taught by it unless `changes` say otherwise, with as many rows of each kind as the settings say. */
const ofFlow = (name: string, objective: Objective, changes: Changes = {}): Contestant => ({
  name,
  start: "flow",
  map: (flow, { diagonal, boundary }) =>
    flowMap({ name, flow, objective, diagonal, ...(objective.atData ? { boundary } : {}), ...changes }),
});

/** A variant with a flow of its own and without a teacher. */
const ofItself = (name: string, variant: FlowMap): Contestant => ({
  name,
  start: "fresh",
  map: (_flow, { diagonal, boundary }) => flowMap({ ...variant, name, diagonal, boundary }),
});

export const CONTESTANTS: readonly Contestant[] = [
  ofFlow("Lagrangian in logits", lagrangianLogits()),
  ofFlow("semigroup", semigroup()),
  ofFlow("Eulerian in logits", eulerianLogits()),
  ofFlow("Eulerian", eulerian()),
  ofFlow("mean flow", meanFlow()),
  ofFlow("Lagrangian", lagrangian()),
  ofFlow("consistency", consistency()),
  ofFlow("continuous consistency", continuousConsistency()),
  ofFlow("shortcut", semigroup(), { midpoint: "time" }),
  ofItself("CFM", cfm),
  ofFlow("semigroup, no teacher", semigroup(), { teacher: false }),
  ofItself("shortcut of velocities", shortcutOfVelocities),
  ofItself("mean flow of velocities", meanFlowOfVelocities),
];
