/**
 * What the studio calls of TensorFlow.js. The packages' own types bring an older copy of WebGPU's types along,
 * which contradicts the one that the sources are checked with.
 */
export function env(): { set(flag: string, value: boolean): void };
