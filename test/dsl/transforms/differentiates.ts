/**
 * The whole battery of checks that a function is differentiated rightly, for hand-written functions in the surface.
 * Consumed by the tests of this folder.
 */
import { expect } from "vitest";
import { inputTypes } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { type } from "../../support/programs.ts";
import {
  cotangentsFor,
  differences,
  gap,
  inner,
  jvpOf,
  linearizedOf,
  randomLike,
  run,
  tangentsFor,
  traced,
  vjpOf,
} from "./harness.ts";
import type { Values } from "./harness.ts";

/** Traces a function of tensors of the given types. The test says which types its tensors have. */
export const of = (types: readonly string[], f: (...xs: never[]) => readonly unknown[]): Program =>
  traced(types.map(type), f as never);
export const inputsOf = (p: Program, seed = 1): Values => randomLike(inputTypes(p), seed);

/** First derivatives against differences and each other; second ones too. */
export function differentiates(p: Program, inputs: Values = inputsOf(p), { reverse = true } = {}): void {
  const [us, ws] = [tangentsFor(p, 2), cotangentsFor(p, 3)];
  const values = run(p, inputs);
  const dual = run(jvpOf(p), [...inputs, ...us]);
  expect(gap(dual.slice(0, values.length), values)).toBe(0);
  const slopes = dual.slice(values.length);
  expect(gap(slopes, differences(p, inputs, us))).toBeLessThan(1e-7);
  // The derivative of the derivative, all inputs moving.
  const twice = jvpOf(p);
  const more = tangentsFor(twice, 4);
  const second = run(jvpOf(twice), [...inputs, ...us, ...more]);
  expect(gap(second.slice(dual.length), differences(twice, [...inputs, ...us], more))).toBeLessThan(1e-6);
  if (!reverse) return;
  expect(gap(run(linearizedOf(p), [...inputs, ...us]).slice(values.length), slopes)).toBeLessThan(1e-12);
  expect(inner(slopes, ws)).toBeCloseTo(inner(us, run(vjpOf(p), [...inputs, ...ws]).slice(values.length)), 9);
  const back = vjpOf(p);
  const backDots = tangentsFor(back, 5);
  expect(
    gap(
      run(jvpOf(back), [...inputs, ...ws, ...backDots]),
      run(linearizedOf(back), [...inputs, ...ws, ...backDots]),
    ),
  ).toBeLessThan(1e-11);
  expect(
    gap(
      run(jvpOf(back), [...inputs, ...ws, ...backDots]).slice(run(back, [...inputs, ...ws]).length),
      differences(back, [...inputs, ...ws], backDots),
    ),
  ).toBeLessThan(1e-6);
  const forwardBack = vjpOf(jvpOf(p));
  const cts = cotangentsFor(jvpOf(p), 6);
  const pulled = run(forwardBack, [...inputs, ...us, ...cts]).slice(dual.length);
  expect(inner(second.slice(dual.length), cts)).toBeCloseTo(inner(more, pulled), 8);
}
