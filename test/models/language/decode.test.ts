// Drawing the tokens of a last step: the inverse of the distribution function at the given uniform numbers.
import { describe, expect, it } from "vitest";
import { fn, f32 } from "../../../src/dsl/index.ts";
import type { Tensor } from "../../../src/dsl/index.ts";
import { trace } from "../../../src/dsl/fn.ts";
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import { interpret } from "../../../src/compiler/interpret/interpret.ts";
import { vocabularySpace } from "../../../src/models/flow/state-space.ts";
import { decodeStep } from "../../../src/models/language/sampler.ts";
import type { Network } from "../../../src/models/networks/network.ts";

const VOCAB = 4;
const LENGTH = 5;

/** A network whose logits are its parameters. */
const fixed: Network<Tensor> = {
  vocab: VOCAB,
  length: LENGTH,
  init: () => {
    throw new Error("not used");
  },
  embedding: (logits) => logits,
  logits: (logits) => logits,
};

function decode(
  logits: readonly number[],
  temperature: number,
  uniforms: readonly number[],
): readonly number[] {
  const spec = {
    logits: f32(1, LENGTH, VOCAB),
    temperature: f32(),
    uniforms: f32(1, LENGTH),
    state: f32(1, LENGTH, VOCAB),
  };
  const space = { ...vocabularySpace, embed: (state: Tensor) => state };
  const { program, inputNames } = trace(
    fn(spec, (input) =>
      decodeStep(
        fixed,
        input.logits,
        {
          state: input.state,
          tau: input.temperature,
          temperature: input.temperature,
          uniforms: input.uniforms,
        },
        space,
      ),
    ) as never,
  );
  const values: Readonly<Record<string, readonly number[]>> = {
    logits,
    temperature: [temperature],
    uniforms,
    state: logits.map(() => 0),
  };
  const inputs = program.inputs.map((id, i) =>
    exactTensor("f32", program.types[id]?.shape ?? [], values[inputNames[i] ?? ""] ?? []),
  );
  return Array.from(interpret(program, inputs)[0]?.data as Int32Array);
}

describe("decodeStep", () => {
  // Far below the cap of 30, so that the softmax is (0.1, 0.2, 0.3, 0.4) to four digits.
  const row = [0.1, 0.2, 0.3, 0.4].map((p) => Math.log(p));
  const logits = Array.from({ length: LENGTH }, () => row).flat();

  it("picks the token in whose interval of the distribution function the number falls", () => {
    expect(decode(logits, 1, [0, 0.0999, 0.1005, 0.59, 0.61])).toEqual([0, 0, 1, 2, 3]);
  });

  it("tends to the argmax when cold, to uniform when hot", () => {
    expect(decode(logits, 0.01, [0.001, 0.2, 0.5, 0.9, 0.999])).toEqual([3, 3, 3, 3, 3]);
    expect(decode(logits, 1000, [0.1, 0.26, 0.49, 0.51, 0.76])).toEqual([0, 1, 1, 2, 3]);
  });

  it("stays within the vocabulary for the largest number", () => {
    expect(decode(logits, 1, [1 - 2 ** -24, 1, 0, 0, 0])).toEqual([3, 3, 0, 0, 0]);
  });
});
