/**
 * The seed of property tests: the same in every run, so that a change is judged by what it changes. `FLUXION_SEED=random` tries
 * other values, and `FLUXION_SEED=N` those of a seed that a failure has printed. Consumed by vitest, before each file of tests.
 */
import fc from "fast-check";
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly seed: number;
  }
}

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: inject("seed") });
