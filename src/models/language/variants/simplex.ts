/**
 * A flow on the simplex: noise is a random distribution over tokens (a Dirichlet law), and so is every state on the way to a one-hot row,
 * I_t = (1 − t) x₀ + t x₁. Of a vocabulary of V tokens the noise of a coordinate is about 1/V, so tokens can be read early: the state
 * says them for sure from t = 1/2 on, and from about ln V/V in most draws. The clock spends half of its time before.
 */
import { add, div, mul } from "../../../dsl/index.ts";
import { clock } from "../../flow/clock-declared.ts";
import { flow } from "../../flow/flow.ts";
import type { Flow } from "../../flow/flow.ts";
import { dirichlet } from "../../flow/source-dirichlet.ts";

/** With concentration 3, the smallest under which the exact flow has derivatives everywhere. */
export function simplexFlow(vocab: number): Flow {
  const early = (1 + Math.log(vocab)) / (2 * vocab);
  return flow({
    name: "simplex flow",
    source: dirichlet({ concentration: 3 }),
    // τ = (1 + c) t/(t + c), half-way at t = c/(1 + 2c).
    clock: clock({ name: "early", tau: (t) => div(mul(t, 1 + early), add(t, early)) }),
  });
}
