/**
 * A model as a run makes it of what was declared, with random weights and of the smallest sizes, one text at a time. Consumed by tests of what
 * works for every declaration.
 */
import type { ModelOptions } from "../../src/models/training/programs.ts";
import { weightsSpec } from "../../src/models/training/state.ts";
import type { SampledModel } from "../../src/runtime/training/model-sampler.ts";
import { outputsOf, stockVariant, subjectOf, usualSpace } from "../../src/runtime/training/subject.ts";
import type { PhaseName, Subject } from "../../src/runtime/training/subject.ts";
import { exactTensor } from "../../src/compiler/host-tensor.ts";
import { ditFromTensors } from "../../src/models/networks/checkpoint.ts";
import type { DitConfig } from "../../src/models/networks/dit.ts";
import { normals, randomWeights } from "../models/networks/random-weights.ts";

export const [VOCAB, LENGTH, WIDTH] = [9, 3, 8];

/** A declaration that comes with the package, by its name. */
export const declared = (name: string): Subject => subjectOf(stockVariant(name, VOCAB, LENGTH));

/** What does not depend on the state is made small, or every noise would become the same text. */
function params(network: DitConfig): unknown {
  const weights = [...randomWeights(network, normals(5))].map(([name, { dtype, shape, data }]) => {
    const scale = /adaLN_modulation|output_layer.*bias/.test(name) ? 0.1 : 1;
    return [
      name,
      exactTensor(
        dtype,
        shape,
        Array.from(data, (x) => scale * x),
      ),
    ] as const;
  });
  return ditFromTensors(network, new Map(weights));
}

export function modelOf(
  subject: Subject,
  phase: PhaseName,
): { readonly model: SampledModel; readonly params: unknown } {
  const { flow } = subject;
  const network = {
    vocab: VOCAB,
    length: LENGTH,
    width: WIDTH,
    depth: 1,
    heads: 2,
    conditioning: 8,
    ...outputsOf(flow, WIDTH),
    ...(phase === "fmlm" ? { targetTime: true } : {}),
  };
  const options: ModelOptions = {
    network,
    batch: 1,
    beta1: 0.9,
    beta2: 0.99,
    weightDecay: 0,
    clip: 1,
    emaDecay: 0.99,
    space: usualSpace(flow, "projected"),
  };
  const model = { subject, phase, options, spec: weightsSpec(network), gamma: 0.8 };
  return { model, params: params(network) };
}
