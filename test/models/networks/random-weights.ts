/** Random weights of a DiT of any size, none of them zero. Consumed by tests that need a network which does something. */
import { exactTensor } from "../../../src/compiler/host-tensor.ts";
import type { ExactTensor } from "../../../src/compiler/host-tensor.ts";
import { ditFromTensors } from "../../../src/models/networks/checkpoint.ts";
import type { DitTree } from "../../../src/models/networks/checkpoint.ts";
import type { DitConfig } from "../../../src/models/networks/dit.ts";
import { officialParameters } from "../../../src/models/networks/official-names.ts";

/** Standard normal numbers from a seed. */
export function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (((z ^ (z >>> 16)) >>> 0) + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Weights under the official names: 0.4·N(0, 1), around 1 for norms. */
export function randomWeights(config: DitConfig, draw: () => number): ReadonlyMap<string, ExactTensor> {
  return new Map(
    officialParameters(config).map(({ name, shape }) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const center = name.includes("norm") ? 1 : 0;
      return [
        name,
        exactTensor(
          "f32",
          shape,
          Array.from({ length: size }, () => center + 0.4 * draw()),
        ),
      ];
    }),
  );
}

/** The same as the network takes them. */
export const randomParams = (config: DitConfig, seed: number): DitTree<ExactTensor> =>
  ditFromTensors(config, randomWeights(config, normals(seed)));
