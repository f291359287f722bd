/**
 * One loaded model in ONNX Runtime, run without copies of its outputs.
 *
 * The binding writes a run's results straight into the tensors that are passed as fetches, and then, up to
 * version 1.30, copies each into a new array anyway and returns those: 60 to 80 ms per 100 MB, more than many
 * a step itself. It does so in the outputs' order and stops with an error at the first that is not a tensor.
 * So our models have a sequence as first output: when the binding complains about it, the run is done and
 * everything is in its place. A binding that learns to return sequences, or stops copying, works just as
 * well.
 *
 * Consumed by `cpu-device.ts`.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { Engine } from "./engine.ts";

/** Name of the first output of every model, an empty sequence. */
export const SEQUENCE_OUTPUT = "fluxion.done";

/** How the binding refuses to return a sequence, after the run. */
const NOT_A_TENSOR = "Non tensor type is temporarily not supported.";

/**
 * Of the engine's rewrites only the merging of transposes and scales into products finds anything to do in our models, which were
 * simplified and folded before. Each of the others costs a walk over the graph: together half of the time that loading takes.
 */
const UNNEEDED_REWRITES = [
  "AttentionFusion", "BiasDropoutFusion", "BiasGeluFusion", "BiasSoftmaxFusion", "CommonSubexpressionElimination", "ConstantSharing",
  "ConvActivationFusion", "ConvAddActivationFusion", "DoubleQDQPairsRemover", "DynamicQuantizeMatMulFusion", "EmbedLayerNormFusion",
  "FastGeluFusion", "GatherSliceToSplitFusion", "GatherToSliceFusion", "GeluFusionL1", "GeluFusionL2", "GemmActivationFusion",
  "LabelEncoderFusion", "LayerNormFusionL1", "LayerNormFusionL2", "Level1_RuleBasedTransformer", "Level2_RuleBasedTransformer",
  "MatMulActivationFusion", "MatMulAddFusion", "MatMulNBitsFusion", "MatMul_BatchNormalization_Fusion", "NchwcTransformer",
  "NhwcTransformer", "NotWhereFusion", "PropagateCastOps", "QDQSelectorActionTransformer", "QuickGeluFusion", "ReshapeFusion",
  "SimplifiedLayerNormFusion", "SkipLayerNormFusion", "SliceConcatToSpaceToDepthFusion", "TransposeOptimizer",
] as const; // prettier-ignore

/**
 * Microseconds for which an idle thread of the engine spins before it sleeps. By default it is milliseconds, which on a machine
 * that does other things too takes processors away from the very thread that is waited for: steps took twice the time.
 */
const SPIN_MICROSECONDS = 20;

export class EngineSession {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /**
   * Loads a model whose first output is {@link SEQUENCE_OUTPUT}. @throws Error when the engine refuses it.
   */
  static async create(
    engine: Engine,
    model: Uint8Array,
    threads: number | undefined,
  ): Promise<EngineSession> {
    return new EngineSession(
      await engine.InferenceSession.create(model, {
        executionProviders: ["cpu"],
        graphOptimizationLevel: "all",
        logSeverityLevel: 4, // errors are thrown; printing them too would say everything twice
        extra: {
          optimization: { disable_specified_optimizers: UNNEEDED_REWRITES.join(";") },
          session: { "intra_op.spin_duration_us": String(SPIN_MICROSECONDS) },
        },
        ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      }),
    );
  }

  /**
   * Runs the model; the results are in `results` when the promise resolves. @throws Error when the engine
   * fails.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    results: Readonly<Record<string, Tensor>>,
  ): Promise<void> {
    try {
      await this.#session.run(feeds, { [SEQUENCE_OUTPUT]: null, ...results });
    } catch (error) {
      if (!(error instanceof Error && error.message === NOT_A_TENSOR)) throw error;
    }
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}
