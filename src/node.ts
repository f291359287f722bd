/**
 * The package's Node entry, `fluxion/node`: the devices that Node has, checkpoint files, text files, run folders and the
 * training loop. The language is in the main entry, `fluxion`; `compile` and its companions are in both.
 */
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
export { listDevices, openDevice } from "./runtime/devices.ts";
export type { DeviceListing } from "./runtime/devices.ts";
export { openInterpreter } from "./runtime/interpreter-device.ts";
export { ReopenableDevice } from "./runtime/reopenable.ts";
export { DeviceLostError, OutOfMemoryError } from "./runtime/webgpu/errors.ts";

// Checkpoint files.
export { checkTensors, FormatError, toFloat32 } from "./runtime/safetensors/tensor.ts";
export { hostTensors } from "./runtime/safetensors/host-tensors.ts";
export type { DataOf, ExpectedTensor, FileDType, StoredTensor } from "./runtime/safetensors/tensor.ts";
export { parseSafetensors, serializeSafetensors } from "./runtime/safetensors/format.ts";
export type { SafetensorsContent } from "./runtime/safetensors/format.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "./runtime/files/safetensors.ts";
export type { SafetensorsFile } from "./runtime/files/safetensors.ts";
export type { TensorToWrite } from "./runtime/run/store.ts";

// Text and run folders.
export { loadCorpus, loadTextFile, loadWordNet } from "./runtime/files/corpus.ts";
export type { LoadCorpusOptions } from "./runtime/files/corpus.ts";
export { prepareCorpus, textDocuments } from "./runtime/text/documents.ts";
export type { Corpus, Layout } from "./runtime/text/documents.ts";
export { UserError } from "./runtime/files/errors.ts";
export {
  appendMetrics,
  createRun,
  hasCheckpoint,
  loadCheckpoint,
  openRun,
  readMetrics,
  saveCheckpoint,
} from "./runtime/files/run-folder.ts";
export type { RunFolder } from "./runtime/files/run-folder.ts";
export type {
  Advice,
  Checkpoint,
  CheckpointMeta,
  CheckpointName,
  JsonValue,
  Lock,
  MetricsLine,
  RunConfig,
  RunStore,
  RunText,
} from "./runtime/run/store.ts";

// Training and sampling.
export { checkConfig, PRESETS } from "./runtime/training/config.ts";
export type {
  DataConfig,
  DistillConfig,
  PhaseConfig,
  Preset,
  SamplingConfig,
  TrainingConfig,
  VariantConfig,
} from "./runtime/training/config.ts";
export { openSampler } from "./runtime/training/sampler.ts";
export type { Sampler, Samples, TrajectoryStep } from "./runtime/training/sampler.ts";
export { publishedSubject, stockVariant, subjectOf } from "./runtime/training/subject.ts";
export type { PhaseName, Subject } from "./runtime/training/subject.ts";
export { DEFAULT_INTERVALS, train } from "./runtime/training/trainer.ts";
export type { TrainingHooks, TrainingIntervals } from "./runtime/training/trainer.ts";
