/**
 * FMLM (arXiv:2602.16813): FLM's flow map, by each of the three identities of a flow map. The semigroup form (PSD) is what the
 * published models are trained by, with half of the rows on the diagonal and 1/64 from noise to data; the Lagrangian (LSD) and the
 * Eulerian form (ESD, "highly unstable") are judged by their squared error, since their targets may leave the simplex.
 */
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { eulerian } from "../../flow/objectives/eulerian.ts";
import { lagrangian } from "../../flow/objectives/lagrangian.ts";
import { semigroup } from "../../flow/objectives/semigroup.ts";
import { flm } from "./flm.ts";

export const fmlm = (vocab: number): FlowMap =>
  flowMap({ name: "FMLM", flow: flm(vocab), objective: semigroup() });

export const fmlmLagrangian = (vocab: number): FlowMap =>
  flowMap({ name: "FMLM, Lagrangian", flow: flm(vocab), objective: lagrangian() });

export const fmlmEulerian = (vocab: number): FlowMap =>
  flowMap({ name: "FMLM, Eulerian", flow: flm(vocab), objective: eulerian() });
