/**
 * The package's main entry, `fluxion`: the language, the compiler's public parts, the models, and running programs on a device.
 * Safe in a browser: nothing here pulls in a Node module. What needs Node (the ONNX Runtime device, files) is `fluxion/node`.
 */
export * from "./dsl/index.ts";

// Programs as data.
export { hashProgram } from "./dsl/program/hash.ts";
export { parse, ParseError } from "./dsl/program/parse.ts";
export { print } from "./dsl/program/print.ts";
export { verify, VerifyError } from "./dsl/program/verify.ts";
export type {
  AnyEquation,
  Equation,
  OpKind,
  OpParams,
  Program,
  TensorType,
  VarId,
} from "./dsl/program/program.ts";

// The compiler.
export { costOf } from "./compiler/cost.ts";
export type { Cost } from "./compiler/cost.ts";
export { exactTensor, hostTensor, toExact, toNumbers, toStorage } from "./compiler/host-tensor.ts";
export type { ExactTensor, HostData, HostTensor } from "./compiler/host-tensor.ts";
export { interpret } from "./compiler/interpret/interpret.ts";
export { exportOnnx } from "./compiler/onnx/export.ts";
export type { ExportOptions } from "./compiler/onnx/export.ts";
export { exportTfjs } from "./compiler/tfjs/export/export.ts";
export type { TfjsExportOptions, TfjsModule } from "./compiler/tfjs/export/export.ts";
export { toOnnx } from "./compiler/onnx/to-onnx.ts";
export type { OnnxModel, OnnxOptions } from "./compiler/onnx/to-onnx.ts";
export { inlineCalls } from "./compiler/passes/inline.ts";
export type { InlineOptions } from "./compiler/passes/inline.ts";
export { optimize, PASSES } from "./compiler/passes/pipeline.ts";
export type { OptimizeOptions, Pass, PassName } from "./compiler/passes/pipeline.ts";

// Running programs: on the interpreter anywhere, on a GPU in browsers, on other devices where their entry is imported.
export { compile, disposeTree, readTree, uploadTree } from "./runtime/compile.ts";
export type {
  Compiled,
  CompileFunctionOptions,
  Input,
  Inputs,
  OnDevice,
  OnDeviceTree,
} from "./runtime/compile.ts";
export type { CompileOptions, Device, DeviceValue, Executable } from "./runtime/device.ts";
export { UserError } from "./runtime/files/errors.ts";
export { openInterpreter } from "./runtime/interpreter-device.ts";
export { verifyFlow } from "./runtime/verify/verify.ts";
export type { VerifyOptions } from "./runtime/verify/verify.ts";
export type { Counterexample, IdentityResult, VerifyReport } from "./runtime/verify/report.ts";
export { verifyNetwork } from "./runtime/verify/network.ts";
export type { NetworkResult, VerifyNetworkOptions } from "./runtime/verify/network.ts";
export { verifyTrained } from "./runtime/verify/trained.ts";
export type { TrainedMap, VerifyTrainedOptions } from "./runtime/verify/trained.ts";
export type { TrainedReport, TrainedResult } from "./runtime/verify/trained-report.ts";
export { DeviceLostError, OutOfMemoryError } from "./runtime/webgpu/errors.ts";
export { openWebGpu } from "./runtime/webgpu/open.ts";
export type { WebGpu } from "./runtime/webgpu/open.ts";
export type { MemoryStats } from "./runtime/webgpu/stats.ts";

// The science.
export * as models from "./models/index.ts";
