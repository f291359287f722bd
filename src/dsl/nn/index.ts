/**
 * Layers as pairs of pure functions, used as a namespace: `nn.initLinear(key, sizes)` makes parameters, a
 * plain tree of tensors, and `nn.linear(params, x)` applies them. Nothing is registered anywhere: a network
 * is a function of its parameters. To add a layer: a file with `init…` and the function, and a line here.
 */
export * as initializers from "./initializers.ts";
export type { Initializer } from "./initializers.ts";
export { initLinear, linear } from "./linear.ts";
export type { InitialLinear, Linear, LinearOptions, LinearParams } from "./linear.ts";
export { embed, embedPoints, initEmbedding } from "./embedding.ts";
export type { EmbeddingOptions, EmbeddingParams } from "./embedding.ts";
export { initNorm, layerNorm, rmsNorm } from "./norm.ts";
export type { NormOptions, NormParams } from "./norm.ts";
export { applyRotary, rotaryTables } from "./rotary.ts";
export type { RotaryOptions, RotaryTables } from "./rotary.ts";
export { initModulation, modulate, modulatedNorm, modulations } from "./modulation.ts";
export type { ModulationOptions } from "./modulation.ts";
export { dropout } from "./dropout.ts";
export { initMlp, mlp } from "./mlp.ts";
export type { MlpOptions, MlpParams } from "./mlp.ts";
export { initAttention, mergeHeads, selfAttention, splitHeads, splitQkv } from "./attention.ts";
export type { AttentionParams, SelfAttentionOptions } from "./attention.ts";
export { sinusoids } from "./sinusoids.ts";
export type { SinusoidOptions } from "./sinusoids.ts";
export { linearSoftmax, linearSoftmaxExpectation } from "./linear-softmax.ts";
export type { LinearSoftmax, LinearSoftmaxOptions } from "./linear-softmax.ts";
export { linearSoftmaxDraw } from "./linear-softmax-draw.ts";
export { linearCrossEntropy } from "./linear-cross-entropy.ts";
export type { SoftmaxTarget } from "./linear-cross-entropy.ts";
export { vocabularyChunk } from "./vocabulary-chunks.ts";
export type { LogitOptions } from "./vocabulary-chunks.ts";
