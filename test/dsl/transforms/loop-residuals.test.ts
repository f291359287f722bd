/**
 * Reverse mode through a scan keeps what changes from one iteration to the next, and of everything else one copy.
 */
import { expect, it } from "vitest";
import { exp, grad, mul, scan, sin, square, sum } from "../../../src/dsl/index.ts";
import type { Shape, Tensor } from "../../../src/dsl/index.ts";
import { sizeOf } from "../../../src/dsl/program/program.ts";
import type { Program } from "../../../src/dsl/program/program.ts";
import { differentiates, inputsOf, of } from "./differentiates.ts";
import { gap, run } from "./harness.ts";

type Vec = Tensor<Shape, "f32">;

/**
 * Differentiates by h what depends on w: as a constant of the loop, as a carry that it passes on, or as one that seems to change.
 * The residual is neither of them, but the sine of e^w.
 */
const fromConstant = (how: "constant" | "passed on" | "changing", length: number, alsoW: boolean): Program =>
  of(["f32[3,3]", "f32[3]"], (w: Vec, h: Vec) => {
    const end = (weights: Vec, start: Vec): Tensor<[]> => {
      const step = ([other, c]: readonly [Vec, Vec]): readonly [readonly [Vec, Vec], null] => {
        const from = how === "constant" ? weights : other;
        const next = sum(mul(sin(exp(from)), c), 1);
        return [[how === "changing" ? mul(other, 1) : other, next], null];
      };
      const [[, last]] = scan(step, [weights, start], null, { length });
      return sum(square(last));
    };
    return alsoW
      ? grad(([weights, start]: readonly [Vec, Vec]) => end(weights, start))([w, h])
      : [grad((start: Vec) => end(w, start))(h)];
  });
/** Elements of all values outside of loops. */
const elements = ({ equations, types }: Program): number =>
  equations
    .flatMap(({ outputs }) => outputs)
    .reduce((total, id) => total + sizeOf(types[id]?.shape ?? []), 0);

it.each(["constant", "passed on"] as const)("keeps one copy of what no iteration changes: %s", (how) => {
  expect(elements(fromConstant(how, 1000, false))).toBe(elements(fromConstant(how, 10, false)));
  // Only what comes from the weights: the states by which their derivative is multiplied do change, spread to 3 × 3.
  const [long, short] = [elements(fromConstant(how, 1000, true)), elements(fromConstant(how, 10, true))];
  expect(long - short).toBe(990 * 9);
  expect(elements(fromConstant("changing", 1000, false))).toBeGreaterThan(1000 * 9);
  for (const length of [0, 1, 4]) {
    const p = fromConstant(how, length, true);
    differentiates(p);
    // A loop that stacks a copy for each iteration gives the same bits.
    expect(gap(run(p, inputsOf(p)), run(fromConstant("changing", length, true), inputsOf(p)))).toBe(0);
  }
});
