/**
 * Two functions that must be one, whatever is done to them: values, derivatives of first and second order in every order of modes, and
 * batches. Consumed by the tests of functions that are computed in another way than they are defined.
 */
import { expect } from "vitest";
import { inlineCalls } from "../../../src/compiler/passes/inline.ts";
import { optimize } from "../../../src/compiler/passes/pipeline.ts";
import { schedule } from "../../../src/compiler/schedule/schedule.ts";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { largestBuffer, largestValue } from "../../support/largest.ts";
import { gap, jvpOf, linearizedOf, randomLike, run, vjpOf, vmapOf } from "../transforms/harness.ts";

/** What is done to a function, by name. */
const TRANSFORMS: Readonly<Record<string, (p: Program) => Program>> = {
  value: (p) => p,
  jvp: jvpOf,
  linearize: linearizedOf,
  vjp: vjpOf,
  "jvp of vjp": (p) => jvpOf(vjpOf(p)),
  "vjp of jvp": (p) => vjpOf(jvpOf(p)),
  "vjp of vjp": (p) => vjpOf(vjpOf(p)),
  vmap: (p) => vmapOf(p, 3),
  "vmap of vjp": (p) => vmapOf(vjpOf(p), 2),
};

/** Both agree to 1e-12 of their largest value, under every transform; inputs are random numbers in [−size, size]. */
export function sameUnderTransforms(actual: Program, expected: Program, seed: number, size = 1): void {
  for (const [name, transform] of Object.entries(TRANSFORMS)) {
    const [left, right] = [transform(actual), transform(expected)];
    const inputs = randomLike(inputTypes(left), seed, -size, size);
    expect(gap(run(left, inputs), run(right, inputs)), name).toBeLessThan(1e-12);
  }
}

/**
 * No value of the program and no buffer of its plan has `size` elements or more, under the given transforms, by default
 * all but batches; those of `plain` have.
 */
export function neverHolds(
  size: number,
  streamed: Program,
  plain: Program,
  transforms: readonly string[] = ["value", "jvp", "vjp", "jvp of vjp", "vjp of jvp", "vjp of vjp"],
): void {
  for (const name of transforms) {
    const transform = TRANSFORMS[name] as (p: Program) => Program; // named above
    const [ours, theirs] = [streamed, plain].map((p) => optimize(inlineCalls(transform(p)))) as [
      Program,
      Program,
    ];
    expect(largestValue(ours), name).toBeLessThan(size);
    expect(largestBuffer(schedule(ours)), name).toBeLessThan(size);
    expect(largestValue(theirs), name).toBeGreaterThanOrEqual(size);
    expect(largestBuffer(schedule(theirs)), name).toBeGreaterThanOrEqual(size);
  }
}
