/**
 * Reproducible inputs of benchmarks. Consumed by the cases.
 */
import { hostTensor } from "../src/compiler/host-tensor.ts";
import type { HostTensor } from "../src/compiler/host-tensor.ts";
import { key, normals } from "../src/models/flow/host-random.ts";

/** Standard normal numbers times `scale`, from a seed. */
export const normal = (seed: number, n: number, scale = 1): Float32Array =>
  Float32Array.from(normals(key(seed), n), (x) => scale * x);

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** A tensor on the host. */
export const f32Tensor = (shape: readonly number[], data: Float32Array): HostTensor =>
  hostTensor("f32", shape, data);
