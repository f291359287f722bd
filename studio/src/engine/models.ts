/**
 * The models of runs on the device: weights that stay there, and what was compiled for them, so that a second request has nothing to wait
 * for. Consumed by engine.ts.
 */
import { decode } from "../../../src/models/data/index.ts";
import type { Vocabulary } from "../../../src/models/data/index.ts";
import { disposeTree } from "../../../src/runtime/compile.ts";
import type { Device } from "../../../src/runtime/device.ts";
import { UserError } from "../../../src/runtime/files/errors.ts";
import { loadModel, modelShape, withSavedAverages } from "../../../src/runtime/training/load-model.ts";
import type { Subject } from "../../../src/runtime/training/subject.ts";
import { plannedTexts, textsBatch, textsKey } from "../../../src/runtime/training/texts.ts";
import type { Lend } from "../../../src/runtime/training/trainer.ts";
import { openFormer } from "./forming.ts";
import type { Forming, FormingRequest, ModelName, SampleRequest, SampleResult } from "./protocol.ts";
import type { StoredRun } from "./storage/run.ts";

/** What a request is about. */
export interface Asked {
  readonly run: StoredRun;
  readonly subject: Subject;
  readonly vocabulary: Vocabulary;
  readonly model: ModelName;
}

interface Disposable {
  dispose(): Promise<void>;
}

/** As many compiled programs are kept. */
const KEPT = 6;

/** On one device. */
export class Models {
  readonly #device: Device;
  readonly #compiled = new Map<string, Disposable>();
  #weights: { readonly key: string; readonly params: unknown } | undefined;

  constructor(device: Device) {
    this.#device = device;
  }

  /** @param lend the weights of the model, where it is being trained */
  async sample(asked: Asked, request: SampleRequest, lend: Lend | undefined): Promise<SampleResult> {
    const { run, subject, vocabulary, model } = asked;
    const { steps, count, temperature, topP } = request;
    checkWhole("steps", steps, 64);
    checkWhole("count", count, 256);
    checkRange("temperature", temperature, 0.001, 100);
    checkRange("top-p", topP, 0.001, 1);
    const infill = request.infill?.trim() === "" ? undefined : request.infill;
    // A temperature or a share of 1 is none, as it is for the command line when it is left out.
    const wishes = {
      steps,
      temperature: temperature === 1 ? undefined : temperature,
      topP: topP === 1 ? undefined : topP,
      infill,
    };
    const batch = textsBatch(run.config, count);
    const plan = plannedTexts({ run, subject, name: model, vocabulary }, wishes, {
      infill: "The text with blanks",
      shaping: "Temperature and top-p",
    });
    const began = performance.now();
    let fresh = false;
    const drawer = await this.#keep(JSON.stringify(["texts", run.id, model, batch, wishes]), () => {
      fresh = true;
      return plan(this.#device, modelShape({ run, name: model, vocab: vocabulary.tokens.length }, batch));
    });
    return this.#withWeights(asked, lend, async (params) => {
      // What a driver compiles at the first run is not the time of a sample, so a fresh sampler runs once before.
      if (fresh) await drawer.draw(params, 1, textsKey(0));
      const ready = performance.now();
      const tokens = await drawer.draw(params, count, textsKey(request.seed ?? run.config.seed));
      const milliseconds = performance.now() - ready;
      const { length } = run.config.network;
      const texts = Array.from({ length: count }, (_, i) =>
        decode(vocabulary, tokens.subarray(i * length, (i + 1) * length)),
      );
      return { texts, milliseconds, compiling: fresh ? ready - began : 0 };
    });
  }

  async form(asked: Asked, { steps, seed }: FormingRequest, lend: Lend | undefined): Promise<Forming> {
    const { run, subject, vocabulary, model } = asked;
    checkWhole("steps", steps, 64);
    const { gamma } = run.config.sampling;
    const former = await this.#keep(JSON.stringify(["form", run.id, model, steps]), () => {
      const shape = modelShape({ run, name: model, vocab: vocabulary.tokens.length }, 1);
      return openFormer(this.#device, { subject, phase: model, gamma, ...shape }, vocabulary, steps);
    });
    return this.#withWeights(asked, lend, (params) => former.form(params, seed));
  }

  /** Forgets a run, whose weights may be others from now on. */
  forget(): void {
    if (this.#weights !== undefined) disposeTree(this.#weights.params);
    this.#weights = undefined;
  }

  /** Lends the weights: of the training that goes on, of the finished one, or of what was saved last. */
  async #withWeights<T>(
    { run, subject, vocabulary, model }: Asked,
    lend: Lend | undefined,
    work: (params: unknown) => Promise<T>,
  ): Promise<T> {
    if (lend !== undefined) return lend(work);
    const vocab = vocabulary.tokens.length;
    if (!(await run.hasCheckpoint(model))) {
      const saved = (await run.hasCheckpoint("state")) && (await run.checkpointMeta("state")).phase === model;
      if (!saved)
        throw new UserError(
          `There are no weights of ${model.toUpperCase()} in this run yet; train it first.`,
        );
      return withSavedAverages({ run, subject, name: model, vocab }, this.#device, work);
    }
    const key = `${run.id} ${model}`;
    if (this.#weights?.key !== key) {
      this.forget();
      const { params } = await loadModel(run, model, vocab, this.#device, 1);
      this.#weights = { key, params };
    }
    return work(this.#weights.params);
  }

  /** What was compiled under a key, or is now. The oldest make room. */
  async #keep<T extends Disposable>(key: string, make: () => Promise<T>): Promise<T> {
    const kept = this.#compiled.get(key);
    if (kept !== undefined) return kept as T; // keys say what they are of
    const made = await make();
    this.#compiled.set(key, made);
    for (const [old, disposable] of this.#compiled) {
      if (this.#compiled.size <= KEPT) break;
      this.#compiled.delete(old);
      await disposable.dispose();
    }
    return made;
  }
}

function checkWhole(what: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UserError(`The number of ${what} is ${value}; it must be a whole number from 1 to ${most}.`);
}

function checkRange(what: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && !(value >= least && value <= most))
    throw new UserError(`The ${what} is ${value}; it must be a number from ${least} to ${most}.`);
}
