/**
 * The package's entry for TensorFlow.js, `fluxion/tfjs`: programs as kernels of its backends, in a page and in Node. TensorFlow.js
 * itself is not installed with Fluxion, and is loaded when the first device is opened.
 */
export { openTfjs } from "./runtime/tfjs/open.ts";
export type { PageBackendName as TfjsBackendName, TfjsOptions } from "./runtime/tfjs/engine.ts";
