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

export type Engine = typeof import("onnxruntime-node");

/** Name of the first output of every model, an empty sequence. */
export const SEQUENCE_OUTPUT = "fluxion.done";

/** How the binding refuses to return a sequence, after the run. */
const NOT_A_TENSOR = "Non tensor type is temporarily not supported.";

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
