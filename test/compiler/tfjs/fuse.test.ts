/** Fused products on the backends of TensorFlow.js: as plans for every backend, and as kernels that run where Node has the backend. */
import * as tf from "@tensorflow/tfjs";
import { afterAll, describe, expect, it } from "vitest";
import { FUSED } from "../../../src/compiler/tfjs/fuse.ts";
import type { Block, CallStep, Step } from "../../../src/compiler/tfjs/plan.ts";
import { EVERYWHERE, TARGETS, withoutFusion } from "../../../src/compiler/tfjs/targets.ts";
import { toTfjs } from "../../../src/compiler/tfjs/to-tfjs.ts";
import { exportTfjs } from "../../../src/compiler/tfjs/export/export.ts";
import { f32, fn } from "../../../src/dsl/fn.ts";
import type { Program, VarId } from "../../../src/dsl/program/program.ts";
import { add } from "../../../src/dsl/surface/elementwise.ts";
import { matmul } from "../../../src/dsl/surface/linear-algebra.ts";
import { openTfjs } from "../../../src/runtime/tfjs/open.ts";
import { program } from "../../support/programs.ts";
import type { Writer } from "../../support/programs.ts";
import { tfjsDevices } from "../../support/tfjs-devices.ts";
import { FUSES, kernelsOf, product, rectified, shifted, testFusion } from "../../support/tfjs-fused.ts";

const none = {};

const stepsOf = (block: Block): readonly string[] =>
  block.steps.flatMap((step: Step) =>
    step.kind === "call" ? [step.kernel] : step.kind === "scan" ? stepsOf(step.body) : [step.kind],
  );

const fusedIn = (run: Program, target = {}): readonly CallStep[] =>
  toTfjs(run, target).main.steps.filter(
    (step): step is CallStep => step.kind === "call" && step.kernel === FUSED,
  );

const layer = (
  end: (w: Writer, ids: { x: VarId; weight: VarId; bias: VarId; raw: VarId; sum: VarId }) => readonly VarId[],
): Program =>
  program(["f32[3,4]", "f32[4,6]", "f32[6]"], (w, x, weight, bias) => {
    const raw = product(w, x, weight);
    return end(w, { x, weight, bias, raw, sum: shifted(w, raw, bias) });
  });

describe("fused products", () => {
  it("take the activations that the backend has as the language defines them", () => {
    const ending = (end: (w: Writer, sum: VarId) => VarId): Program => layer((w, { sum }) => [end(w, sum)]);
    const runs = [
      ending((_, sum) => sum),
      ending(rectified),
      ending((w, sum) => w.one("logistic", [sum], none)),
      ending((w, sum) => w.one("tanh", [sum], none)),
    ];
    const found = Object.entries({ ...TARGETS, everywhere: EVERYWHERE }).map(([name, target]) => [
      name,
      ...runs.map((run) => fusedIn(run, target).map(({ attributes }) => attributes["activation"])),
    ]);
    expect(found).toEqual([
      ["cpu", ["linear"], ["relu"], ["sigmoid"], ["linear"]],
      ["wasm", ["linear"], ["linear"], ["sigmoid"], ["linear"]],
      ["webgl", ["linear"], ["linear"], ["linear"], ["linear"]],
      ["webgpu", ["linear"], ["relu"], ["linear"], ["linear"]],
      ["everywhere", ["linear"], ["linear"], ["linear"], ["linear"]],
    ]);
  });

  it("are not made where a step in between is read elsewhere, or the other term is not a bias", () => {
    const apart = {
      "the product is an output": layer((_, { raw, sum }) => [raw, sum]),
      "the product is read twice": layer((w, { raw, sum }) => [sum, w.one("exp", [raw], none)]),
      "a product is added to itself": layer((w, { raw }) => [w.one("add", [raw, raw], none)]),
      "one for each row": program(["f32[3,4]", "f32[4,6]", "f32[3]"], (w, x, weight, bias) => {
        const rows = w.one("broadcast", [bias], { shape: [3, 6], dims: [0] });
        return [w.one("add", [product(w, x, weight), rows], none)];
      }),
      "one for all": layer((w, { raw }) => {
        const one = w.one("constant", [], { shape: [3, 6], dtype: "f32", values: 2 });
        return [w.one("add", [raw, one], none)];
      }),
      "the product is what repeats": program(["f32[3,4]", "f32[4,2]", "f32[2]"], (w, x, weight, y) => {
        const column = w.one("reshape", [product(w, x, weight)], { shape: [6, 1] });
        return [shifted(w, w.one("broadcast", [column], { shape: [6, 2], dims: [0, 1] }), y)];
      }),
    };
    for (const [name, run] of Object.entries(apart)) expect(fusedIn(run).length, name).toBe(0);
    // Before the activation there is still a product and a bias.
    const kept = fusedIn(layer((w, { sum }) => [sum, rectified(w, sum)]));
    expect(kept.map(({ attributes }) => attributes["activation"])).toEqual(["linear"]);
    // The maximum with another number is not the activation.
    const other = layer((w, { sum }) => [
      w.one("max", [sum, w.one("constant", [], { shape: [3, 6], dtype: "f32", values: 1 })], none),
    ]);
    expect(fusedIn(other).map(({ attributes }) => attributes["activation"])).toEqual(["linear"]);
  });

  it("see through reshapes, and do not cross the border of a loop", () => {
    const heads = program(["f32[2,3,4]", "f32[4,6]", "f32[2,3]"], (w, x, weight, bias) => {
      const split = w.one("reshape", [product(w, x, weight)], { shape: [2, 3, 2, 3] });
      return [shifted(w, split, bias)];
    });
    expect(fusedIn(heads).length).toBe(1);
    const body = program(["f32[4,6]", "f32[6]", "f32[3,6]", "f32[3,4]"], (w, weight, bias, carry, row) => [
      w.one("tanh", [shifted(w, product(w, row, weight), bias)], none),
      carry,
    ]);
    const within = program(
      ["f32[4,6]", "f32[6]", "f32[3,6]", "f32[5,3,4]"],
      (w, ...ids) => w.all("scan", ids, { body, length: 5, consts: 2, carry: 1, reverse: false }), // prettier-ignore
    );
    expect(stepsOf(toTfjs(within).main).filter((kernel) => kernel === FUSED).length).toBe(1);
    const sum = program(["f32[3,6]", "f32[6]"], (w, carry, row) => [shifted(w, carry, row)]);
    const across = program(
      ["f32[3,4]", "f32[4,6]", "f32[5,6]"],
      (w, x, weight, rows) =>
      w.all("scan", [product(w, x, weight), rows], { body: sum, length: 5, consts: 0, carry: 1, reverse: false }), // prettier-ignore
    );
    expect(stepsOf(toTfjs(across).main)).not.toContain(FUSED);
    // The product is made once, before the loop that reads it every time.
    const addToConstant = program(["f32[3,6]", "f32[6]", "f32[6]"], (w, raw, carry, row) => [
      w.one("tanh", [carry], none),
      shifted(w, raw, row),
    ]);
    const read = program(
      ["f32[3,4]", "f32[4,6]", "f32[6]", "f32[5,6]"],
      (w, x, weight, carry, rows) =>
      w.all("scan", [product(w, x, weight), carry, rows], { body: addToConstant, length: 5, consts: 1, carry: 1, reverse: false }), // prettier-ignore
    );
    expect(stepsOf(toTfjs(read).main)).not.toContain(FUSED);
  });

  it("are one of two where products are added, and none where fusion is off", () => {
    const two = program(["f32[1,4]", "f32[4,6]", "f32[4,6]"], (w, x, v, weight) => [
      w.one("add", [product(w, x, v), product(w, x, weight)], none),
    ]);
    const names = stepsOf(toTfjs(two).main).filter((name) => !["Reshape", "Identity"].includes(name));
    expect(names).toEqual(["BatchMatMul", FUSED]);
    expect(toTfjs(two).kernels).toEqual(expect.arrayContaining(["BatchMatMul", FUSED]));
    expect(toTfjs(two).kernels).not.toContain("Add");
    expect(toTfjs(two, withoutFusion({})).kernels).not.toContain(FUSED);
  });

  it("have the bias in data of its own, since WebAssembly keeps something for each call as long as a bias lives", () => {
    const run = layer((_, { sum }) => [sum]);
    const [call] = fusedIn(run) as [CallStep]; // as above
    const { bias } = call.inputs as { readonly bias: number };
    const made = toTfjs(run).main.steps.find((step) => step.kind === "call" && step.output === bias);
    expect(made).toMatchObject({ kind: "call", kernel: "Identity" });
  });

  it("are in exported modules, unless fusion is off", () => {
    const f = fn({ x: f32(3, 4), w: f32(4, 6), b: f32(6) }, ({ x, w, b }) => add(matmul(x, w), b));
    expect(exportTfjs(f).code).toContain(FUSED);
    expect(exportTfjs(f, { fusion: false }).code).not.toContain(FUSED);
  });
});

describe.each(tfjsDevices)("fusion on %s", async (_name, device, backend) => {
  if (backend === "node" || backend === "node-gpu") {
    it("is left out, since the kernel only calls those of its parts", async () => {
      expect(
        await kernelsOf(
          tf,
          device,
          layer((_, { sum }) => [sum]),
        ),
      ).toEqual(["BatchMatMul", "Add"]);
    });
    return;
  }
  const unfused = await openTfjs(backend, { fusion: false });
  afterAll(() => unfused.dispose());
  testFusion({ device, unfused }, tf, { fuses: FUSES[backend], runs: 150, factors: backend !== "webgpu" });
});
