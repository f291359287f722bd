/** The parts of the playground and of the explain view that need no browser. */
import { transpileModule, ModuleKind, ScriptTarget } from "typescript-js";
import { describe, expect, it } from "vitest";
import { models, openInterpreter, outputSpec } from "fluxion";
import type { IdentityResult } from "../../src/runtime/verify/report.ts";
import { declaredIn, trainableIn, verifiableIn } from "../../src/runtime/user-exports.ts";
import { numberText } from "../../src/runtime/verify/report-text.ts";
import { explainStep } from "../../studio/src/explain/step.ts";
import { columnsOf, inOrder, usualOrder } from "../../studio/src/explain/table.ts";
import { identityChanges, shareChanges } from "../../studio/src/playground/changes.ts";
import type { ToyResult, Verified } from "../../studio/src/playground/messages.ts";
import { sourcePlace } from "../../studio/src/user-code/source-lines.ts";

const { clocks, flows, training } = models;

describe("lines of the source", () => {
  it("are found from those of the code that TypeScript makes", () => {
    const source = `import { a } from "x";\n\ninterface Gone {\n  b: string;\n}\n\nexport function f(): never {\n  throw new Error(\n    a,\n  );\n}\nconst last = 1 as number; export { last };\n`;
    const { outputText, sourceMapText = "" } = transpileModule(source, {
      compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022, sourceMap: true },
    });
    const { mappings } = JSON.parse(sourceMapText) as { readonly mappings: string }; // a source map
    /** Where in the source it is, for a text that occurs once in the code. */
    const placeOf = (text: string) => {
      const before = outputText.slice(0, outputText.indexOf(text)).split("\n");
      return sourcePlace(mappings, { line: before.length, column: (before.at(-1) ?? "").length + 1 });
    };
    expect(placeOf("throw new")).toEqual({ line: 8, column: 3 });
    expect(placeOf("last = 1;")).toEqual({ line: 12, column: 7 });
    expect(sourcePlace(mappings, { line: 1000, column: 1 })).toBeUndefined();
  });
});

const result = (name: string, worst: number | null, passed = true): IdentityResult => ({
  family: "interpolant",
  name,
  formula: name,
  cases: 4,
  worst,
  tolerance: 1e-3,
  passed,
});

const verified = (variant: string, ...results: readonly IdentityResult[]): Verified => ({
  passed: results.every(({ passed }) => passed),
  reports: [{ variant, kind: "flow", device: "interpreter", seed: 0, passed: true, results, leftOut: [] }],
});

describe("what changed", () => {
  it("is what turned, appeared, went, or moved tenfold, whatever the variant is called", () => {
    const before = verified(
      "old name",
      result("same", 1e-4),
      result("rounding", 1e-16),
      result("breaks", 1e-5),
      result("mends", 0.5, false),
      result("moves", 1e-5),
      result("goes", 0),
    );
    const after = verified(
      "new name",
      result("same", 3e-4),
      result("rounding", 1e-12),
      result("breaks", NaN, false),
      result("mends", 0),
      result("moves", 5e-4),
      result("comes", 0),
    );
    expect(identityChanges(before, after).map(({ identity, turn }) => [identity, turn])).toEqual([
      ["breaks", "fails now"],
      ["mends", "holds now"],
      ["moves", "moved"],
      ["comes", "new"],
      ["goes", "gone"],
    ]);
    expect(identityChanges(after, after)).toEqual([]);
  });

  it("is the share of known phrases, by kind and steps, where both have one", () => {
    const toy = (...samples: ToyResult["samples"]): ToyResult => ({
      export: "a",
      exports: ["a"],
      name: "a",
      kind: "flow",
      device: "interpreter",
      steps: 1,
      seed: 0,
      curves: [],
      milliseconds: 1,
      samples,
    });
    const before = toy(
      { model: "a", kind: "flow", steps: 1, known: 0.5, texts: [] },
      { model: "a", kind: "flow", steps: 4, texts: [], reason: "none" },
    );
    const after = toy(
      { model: "b", kind: "flow", steps: 1, known: 0.75, texts: [] },
      { model: "b", kind: "flow", steps: 4, known: 1, texts: [] },
      { model: "b", kind: "flow map", steps: 1, known: 1, texts: [] },
    );
    expect(shareChanges(before, after)).toEqual([{ kind: "flow", steps: 1, before: 0.5, after: 0.75 }]);
  });
});

describe("exports", () => {
  const flow = flows.flow({ name: "one", clock: clocks.uniformClock() });
  const other = flows.flow({ name: "other", clock: clocks.uniformClock() });

  it("are verified once each, and said to be missing", () => {
    expect(verifiableIn({ a: flow, b: flow, c: 3, d: other }, "file.ts")).toEqual([flow, other]);
    expect(() => verifiableIn({ a: 3 }, "file.ts")).toThrow(
      "file.ts exports no flow, flow map or spherical flow; export what",
    );
    expect(() => verifiableIn({ a: () => flow }, "file.ts")).toThrow(
      "functions that declare one are not called",
    );
  });

  it("are trained by the name that is asked for, the default one, or the only one", () => {
    expect(trainableIn({ a: flow, default: other }, "file.ts").name).toBe("default");
    expect(trainableIn({ a: flow, f: () => other }, "file.ts").name).toBe("a");
    expect(() => trainableIn({ a: flow, b: other }, "file.ts", undefined, "a list")).toThrow(
      "file.ts exports a, b; choose one with a list.",
    );
    expect(() => trainableIn({ a: flow }, "file.ts", "toString")).toThrow(
      `no export "toString"; it exports a.`,
    );
    const declared = (value: unknown) => declaredIn({ name: "a", value }, "file.ts", 4, 2);
    expect(
      declared((vocab: number, length: number) =>
        flows.flow({ name: `${vocab} ${length}`, clock: clocks.uniformClock() }),
      ).name,
    ).toBe("4 2");
    expect(() => declared(() => 3)).toThrow("is a function that returns no flow and no flow map");
    expect(() =>
      declared(() => {
        throw new Error("why");
      }),
    ).toThrow(`The export "a" of file.ts, called with a vocabulary of 4 and a length of 2: why`);
  });
});

it("writes residuals as people read them", () => {
  const numbers = [null, 0, 2.2, 2.24e-1, 12.3, 1e-3, 9.99e-4, 1.3e-7, 1234, 1e4, -2.5, Infinity, NaN];
  const texts = "none 0 2.2 0.22 12 0.001 1.0e-3 1.3e-7 1200 1.0e+4 -2.5 Infinity NaN";
  expect(numbers.map(numberText)).toEqual(texts.split(" "));
});

describe("the explanation of a step", () => {
  const options = {
    network: { vocab: 12, length: 4, width: 8, depth: 1, heads: 2, conditioning: 8 },
    batch: 2,
    space: "vocabulary",
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip: 1,
    emaDecay: 0.99,
  } as const;
  const program = training.flmStep(options, outputSpec(training.initFlm(options)));

  it("is of what WebGPU would run where another device runs, and adds up", async () => {
    const device = openInterpreter();
    const step = await explainStep({ phase: "flm", program: program as never, vocabulary: 12, device });
    await device.dispose();
    expect(step.about).toContain("interpreter");
    expect(step.about).toContain("what WebGPU would run");
    expect(step.kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(step.dispatches);
    expect(new Set(step.kernels.map(({ wgsl }) => wgsl)).size).toBe(step.kernels.length);
    expect(step.kernels.every(({ milliseconds }) => milliseconds === undefined)).toBe(true);
    // The state is donated, as where it is trained: its outputs take no room of their own.
    expect(step.memory?.memory.inPlace.length).toBeGreaterThan(0);
    expect(structuredClone(step)).toEqual(step);

    expect(usualOrder(step)).toEqual({ column: "Read", descending: true });
    expect(columnsOf(step).map(({ head }) => head)).toEqual(["Dispatches", "FLOP", "Read", "Written"]);
    const flops = inOrder(step, { column: "FLOP", descending: true }).map((kernel) => kernel.flops);
    expect(flops).toEqual(flops.toSorted((a, b) => b - a));
    expect(inOrder(step, { column: "no such", descending: true })).toEqual(step.kernels);
    const timed = { ...step, kernels: step.kernels.map((kernel, i) => ({ ...kernel, milliseconds: i })) };
    expect(usualOrder(timed).column).toBe("GPU time");
    expect(inOrder(timed, usualOrder(timed))).toEqual(timed.kernels.toReversed());
  });
});
