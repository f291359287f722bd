/**
 * Inputs for a run that only its time matters of: random, and such that every op makes sense of them. Floats are between 0.01 and 0.1,
 * which does for weights, variances, times and rates alike; whole numbers are in range for what they index.
 *
 * Consumed by `fluxion explain --time` and by the studio, which shows the same of the step that it runs.
 */
import { hostTensor } from "../../compiler/host-tensor.ts";
import type { HostTensor } from "../../compiler/host-tensor.ts";
import { sizeOf } from "../../dsl/program/program.ts";
import type { TensorType } from "../../dsl/program/program.ts";
import { fold, key, uniforms, words } from "../../models/flow/host-random.ts";

/**
 * One tensor for each type, always the same.
 * @param below for an input's position: its whole numbers are below this. Default 2, which is in range of nearly everything.
 */
export function randomInputs(
  types: readonly TensorType[],
  below: (position: number) => number | undefined,
): readonly HostTensor[] {
  return types.map(({ shape, dtype }, position) => {
    const [size, from] = [sizeOf(shape), fold(key(0), position)];
    if (dtype === "u32") return { shape, dtype, data: words(from, size) };
    const draws = uniforms(from, size);
    if (dtype === "f32" || dtype === "f16")
      return hostTensor(dtype, shape, draws.map((u) => 0.01 + 0.09 * u)); // prettier-ignore
    const count = dtype === "bool" ? 2 : (below(position) ?? 2);
    return hostTensor(dtype, shape, draws.map((u) => Math.floor(count * u))); // prettier-ignore
  });
}
