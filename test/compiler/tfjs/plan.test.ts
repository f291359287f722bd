/** Plans as data: what is called, what is written out, and that every slot is disposed of once. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Block, Plan, Slot, Step } from "../../../src/compiler/tfjs/plan.ts";
import { outputsOf } from "../../../src/compiler/tfjs/releases.ts";
import { TARGETS } from "../../../src/compiler/tfjs/targets.ts";
import { toTfjs } from "../../../src/compiler/tfjs/to-tfjs.ts";
import { program } from "../../support/programs.ts";
import { arbitraryProgram } from "../../support/random-program.ts";

const none = {};
const kernels = ({ main }: Plan): readonly string[] =>
  main.steps.map((step) => (step.kind === "call" ? step.kernel : step.kind));

const nestedIn = (step: Step): readonly (readonly [block: Block, owned: boolean])[] => {
  switch (step.kind) {
    case "scan":
      return [[step.body, true]];
    case "cond":
      return [[step.onTrue, true], [step.onFalse, true]]; // prettier-ignore
    case "while":
      return [
        [step.condition, false],
        [step.body, true],
      ];
    default:
      return [];
  }
};

/** Fails unless every slot of the block ends once: disposed of after its last use, or returned. */
function checkEnds({ inputs, steps, outputs, releases }: Block, owned: boolean): void {
  const alive = new Set<Slot>(owned ? inputs : []);
  const release = (at: number): void => {
    for (const slot of releases[at] ?? []) expect(alive.delete(slot), `slot ${slot} is there`).toBe(true);
  };
  expect(releases.length).toBe(steps.length + 1);
  release(0);
  steps.forEach((step, i) => {
    for (const [block, owns] of nestedIn(step)) checkEnds(block, owns);
    for (const slot of outputsOf(step)) alive.add(slot);
    release(i + 1);
  });
  expect(alive).toEqual(new Set(outputs));
  expect(alive.size).toBe(outputs.length);
}

describe("plans of TensorFlow.js", () => {
  it("leave broadcasts to the kernels", () => {
    const layer = program(["f32[8,4]", "f32[4]"], (w, x, bias) => {
      const rows = w.one("broadcast", [bias], { shape: [8, 4], dims: [1] });
      const half = w.one("constant", [], { shape: [8, 4], dtype: "f32", values: 0.5 });
      return [w.one("mul", [w.one("add", [x, rows], none), half], none)];
    });
    const plan = toTfjs(layer);
    expect(kernels(plan)).toEqual(["Add", "Multiply"]);
    expect(plan.constants.map(({ shape, values }) => [shape, values])).toEqual([[[], 0.5]]);
    expect(plan.kernels).toEqual(["Add", "Multiply"]);
  });

  it("leave out what no output needs", () => {
    const idle = program(["f32[3]"], (w, x) => {
      w.one("sort", [w.one("exp", [x], none)], { axis: 0 } as never);
      return [w.one("neg", [x], none)];
    });
    expect(kernels(toTfjs(idle))).toEqual(["Neg"]);
  });

  it("are JSON, constants but for NaN and infinities included", () => {
    const plan = toTfjs(program(["f32[3]"], (w, x) => [w.one("neg", [x], none), x]));
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  // The indices of a GPU's kernels go through float32.
  it.each([
    [2 ** 24, false],
    [2 ** 24 + 1, true],
  ])("move single numbers among %d on the CPU beside a GPU: %s", (count, onCpu) => {
    const moves = program([`f32[${count}]`, "i32[2]", "f32[2]"], (w, table, at, rows) => {
      const where = { axis: 0, batchDims: 0 };
      return [w.one("gather", [table, at], where), w.one("scatterAdd", [table, at, rows], where)];
    });
    const { steps } = toTfjs(moves, TARGETS.webgl).main;
    const moving = steps.filter(
      (step) => step.kind === "call" && ["GatherV2", "ScatterNd"].includes(step.kernel),
    );
    expect(moving.map((step) => "cpu" in step)).toEqual([onCpu, onCpu]);
  });

  it("dispose of every slot once", () => {
    const property = fc.property(arbitraryProgram({ nesting: 2, minEquations: 2 }), (run) =>
      checkEnds(toTfjs(run).main, false),
    );
    fc.assert(property, { numRuns: 200 });
  });
});
