/**
 * Consistency models of FLM's flow: jumps to the data alone, from a frozen FLM. The discrete one (Song et al. 2023) compares two times that
 * are 1/64 apart on the clock; the continuous one (Lu and Song 2024) is its limit.
 */
import { flowMap } from "../../flow/flow-map.ts";
import type { FlowMap } from "../../flow/flow-map.ts";
import { consistency, continuousConsistency } from "../../flow/objectives/consistency.ts";
import { flm } from "./flm.ts";

export const discreteTimeConsistency = (vocab: number): FlowMap =>
  flowMap({ name: "consistency, discrete", flow: flm(vocab), objective: consistency() });

export const continuousTimeConsistency = (vocab: number): FlowMap =>
  flowMap({ name: "consistency, continuous", flow: flm(vocab), objective: continuousConsistency() });
