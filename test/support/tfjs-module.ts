/**
 * Modules that `exportTfjs` wrote, imported as a page imports them and run against the interpreter.
 *
 * Consumed by tests in Node and in a browser, so nothing of Node is imported here.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { toExact, toStorage } from "../../src/compiler/host-tensor.ts";
import type { ExactTensor, HostTensor } from "../../src/compiler/host-tensor.ts";
import { interpret } from "../../src/compiler/interpret/interpret.ts";
import { moduleOf } from "../../src/compiler/tfjs/export/export.ts";
import type { TfjsModule } from "../../src/compiler/tfjs/export/export.ts";
import { outputTypes } from "../../src/dsl/program/program.ts";
import type { Program } from "../../src/dsl/program/program.ts";
import { fromBackend } from "../../src/runtime/tfjs/tensors.ts";
import type { TfTensor } from "../../src/runtime/tfjs/engine.ts";
import { EXACT_OPS } from "./op-cases.ts";
import { difference } from "./programs.ts";
import { arbitraryRun } from "./random-program.ts";
import type { RandomProgramOptions } from "./random-program.ts";
import { memoryOf } from "./tfjs-memory.ts";
import type { Memory } from "./tfjs-memory.ts";

/** What a module exports. */
export interface Exported {
  readonly inputs: readonly { readonly name: string }[];
  load(
    tf: unknown,
    weights?: Uint8Array,
  ): Promise<{
    run(given: Record<string, unknown>): Promise<Record<string, TfTensor>>;
    dispose(): void;
  }>;
}

/** Imports the text of a module, from an address that holds all of it. */
export const imported = ({ code }: TfjsModule): Promise<Exported> =>
  import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`) as Promise<Exported>; // as written

const unsigned = (tensor: ExactTensor): ExactTensor =>
  tensor.data instanceof Float64Array
    ? { ...tensor, data: tensor.data.map((x) => (x === 0 ? 0 : x)) }
    : tensor;

/** What differs between a module's outputs and the interpreter's. */
async function deviation(
  tf: unknown,
  program: Program,
  inputs: readonly HostTensor[],
  tolerance: number,
): Promise<string | undefined> {
  const names = (prefix: string, ids: readonly unknown[]): string[] => ids.map((_, i) => `${prefix}${i}`);
  const inputNames = names("x", inputs);
  const written = moduleOf({ program, inputNames, outputNames: names("y", program.outputs) });
  const module = await imported(written);
  const model = await module.load(tf, written.weights);
  const given = inputs.map((input) => toExact(toStorage(input)).data);
  const outputs = await model.run(Object.fromEntries(given.map((data, i) => [inputNames[i], data])));
  const actual = await Promise.all(
    outputTypes(program).map(async (type, i) => {
      const tensor = outputs[`y${i}`] as TfTensor; // a name for each output
      const read = fromBackend(type, (await tensor.data()).slice());
      tensor.dispose();
      return toExact(
        toStorage(type.dtype === "f16" ? { ...read, data: Float64Array.from(read.data) } : read),
      );
    }),
  );
  model.dispose();
  const expected = interpret(program, inputs.map(toStorage)).map((tensor) => toExact(toStorage(tensor)));
  return difference(actual.map(unsigned), expected.map(unsigned), tolerance);
}

/** Declares the tests. @param count programs of each kind */
export function testModules(tf: Memory, count: number): void {
  const agree = async (options: RandomProgramOptions, tolerance: number): Promise<void> => {
    const property = fc.asyncProperty(arbitraryRun(options), async ({ program, inputs }) => {
      const before = memoryOf(tf);
      const found = await deviation(tf, program, inputs, tolerance);
      if (found !== undefined) throw new Error(found);
      expect(memoryOf(tf)).toEqual(before);
    });
    await fc.assert(property, { numRuns: count });
  };
  it("agree with the interpreter", () => agree({ bounded: true, floatOnly: true, nesting: 2 }, 1e-3));
  it("agree with f16 and integers among them", () => agree({ bounded: true }, 5e-2));
  it("agree on special values and whole words", () => agree({ ops: EXACT_OPS, nesting: 1 }, 1e-3));
}
