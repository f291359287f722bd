/**
 * What each backend of TensorFlow.js is not asked for. Consumed by the devices and by the export. To add a backend: an entry in
 * `TARGETS`, and `EVERYWHERE` if a page may select it.
 */
import { FUSED } from "./fuse.ts";
import type { Target } from "./plan.ts";

/** The backends in Node compute every kernel as the language defines it, or it is not used at all. */
export const TARGETS = {
  cpu: {},
  // Batches after the first row get the last number of the bias; with relu, NaN becomes 0.
  wasm: { unfused: ["batches", "relu"] },
  // Sine and cosine are as coarse as the GPU has them.
  webgl: {
    integers: "cpu",
    avoided: ["Sin", "Cos"],
    // With relu, minus infinity becomes NaN; with the sigmoid, NaN becomes a number.
    unfused: ["relu", "sigmoid"],
    mostAxes: 6,
    equalsDivideToOne: true,
    zeroHasLogarithm: true,
  },
  // Of equals, the largest need not be the first; sums of a row stop early; the sigmoid of NaN is a number. The WGSL that transposes
  // bools is refused, and the result is zeros.
  webgpu: {
    integers: "cpu",
    avoided: ["Sin", "Cos", "Cumsum", "ArgMax", "Sigmoid"],
    boolless: ["Transpose", "Max"],
    castsByName: true,
    mostAxes: 6,
  },
} as const satisfies Readonly<Record<string, Target>>;

/** For code that does not know where it will run. */
export const EVERYWHERE: Target = {
  ...TARGETS.webgl,
  avoided: TARGETS.webgpu.avoided,
  boolless: TARGETS.webgpu.boolless,
  castsByName: TARGETS.webgpu.castsByName,
  unfused: [...TARGETS.wasm.unfused, ...TARGETS.webgl.unfused],
};

/** The same backend with every step by itself: what fusion is compared with. */
export const withoutFusion = (target: Target): Target => ({
  ...target,
  avoided: [...(target.avoided ?? []), FUSED],
});
