/**
 * What the forming sentence is made of: from which noise, in how many steps, by which model, and which moment is looked at. A run's
 * networks make it once there are weights; before, the exact flow of a few sentences does. Consumed by sentence.tsx and its parts.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { Studio } from "../../engine/client.ts";
import type { Forming, ModelName } from "../../engine/protocol.ts";
import { exactForming } from "./exact.ts";

/** A flow and its map, of which one may be missing. */
export interface Pair {
  /** Absent of a map that learned without one. */
  readonly flm: Forming | undefined;
  /** Absent while the run has no flow map, or where it gets none. */
  readonly fmlm: Forming | undefined;
  /** The run they are of, or the exact flow. */
  readonly of: string;
  readonly labels: Readonly<Record<ModelName, string>>;
  /** What is there, or is to come. */
  readonly models: readonly ModelName[];
}

export const EXACT = "exact";

export interface SentenceStore {
  readonly pair: ReadonlySignal<Pair>;
  readonly waiting: ReadonlySignal<boolean>;
  readonly seed: Signal<number>;
  readonly steps: Signal<number>;
  /** The moment looked at, from 0 to the steps. */
  readonly at: Signal<number>;
  /** The position looked at. */
  readonly position: Signal<number>;
  readonly playing: ReadonlySignal<boolean>;
  play(): void;
  stop(): void;
  dispose(): void;
}

/** What there is of a run where none is looked at. */
export const PUBLISHED = { labels: { flm: "FLM", fmlm: "FMLM" }, models: ["flm", "fmlm"] } as const;

const exactPair = (seed: number, steps: number): Pair => ({
  ...exactForming(seed, steps),
  ...PUBLISHED,
  of: EXACT,
});

/** The one that is looked at step by step: the flow, or a map that has none. */
export const steppedOf = ({ flm, fmlm }: Pair): Forming | undefined => flm ?? fmlm;

/** Moments after the first one. */
export const stepsOf = (pair: Pair): number => Math.max(1, (steppedOf(pair)?.moments.length ?? 0) - 1);

/** All steps together take about this long, in milliseconds. */
const WHOLE = 4200;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function sentenceStore(store: Studio): SentenceStore {
  const seed = signal(7);
  const steps = signal(16);
  const at = signal(0);
  const position = signal(0);
  const playing = signal(false);
  const waiting = signal(false);
  const pair = signal<Pair>(exactPair(seed.value, steps.value));
  let timer: ReturnType<typeof setInterval> | undefined;

  const stop = (): void => {
    clearInterval(timer);
    playing.value = false;
  };
  const play = (): void => {
    stop();
    const last = (): number => (waiting.value ? steps.value : stepsOf(pair.value));
    if (at.value >= last()) at.value = 0;
    playing.value = true;
    // Where motion is to be reduced, the words change as slowly as one reads.
    const each = calm.matches ? 900 : Math.min(600, Math.max(70, WHOLE / last()));
    timer = setInterval(() => {
      at.value = Math.min(last(), at.value + 1);
      if (at.value >= last()) stop();
    }, each);
  };
  const put = (next: Pair): void =>
    batch(() => {
      pair.value = next;
      at.value = Math.min(at.value, stepsOf(next));
      const length = steppedOf(next)?.moments[0]?.top.length ?? 1;
      position.value = Math.min(position.value, Math.max(0, length - 1));
    });

  /** Weights of the run that is looked at, as they are known to be; new texts tell that they changed. */
  const source = computed(() => {
    const run = store.run.value;
    if (run === undefined || run.unwatched !== undefined || run.models.length === 0) return undefined;
    const { flmSteps, fmlmSteps } = run.settings;
    return {
      id: run.id,
      labels: run.labels,
      trained: run.models,
      models: (["flm", "fmlm"] as const).filter(
        (name) => run.models.includes(name) || (name === "flm" ? flmSteps : fmlmSteps) > 0,
      ),
      texts: store.texts.value.length,
      state: run.state,
    };
  });
  let asked = 0;
  const dispose = effect(() => {
    const from = source.value;
    const request = { seed: seed.value, steps: steps.value };
    const mine = ++asked;
    if (from === undefined) {
      waiting.value = false;
      put(exactPair(request.seed, request.steps));
      return;
    }
    waiting.value = true;
    void (async () => {
      // While it trains, a refresh that fails is not worth a message: the next one comes.
      const quietly = from.state === "training";
      const { id, labels, trained, models } = from;
      const formed: { [K in ModelName]?: Forming } = {};
      for (const model of trained) {
        const steps = model === "flm" ? request.steps : 1;
        const one = await store.form({ run: id, model, steps, seed: request.seed }, quietly);
        if (one === undefined) break;
        formed[model] = one;
      }
      if (mine !== asked) return;
      waiting.value = false;
      const { flm, fmlm } = formed;
      if (flm !== undefined || fmlm !== undefined) put({ flm, fmlm, of: id, labels, models });
    })();
  });

  return {
    pair,
    waiting,
    seed,
    steps,
    at,
    position,
    playing,
    play,
    stop,
    dispose: () => {
      stop();
      dispose();
    },
  };
}

/** The moment of a forming at a step of the other: a jump has two, before and after. */
export const momentAt = (forming: Forming, at: number) =>
  forming.moments[Math.min(at, forming.moments.length - 1)];

/** 0 where nothing is said of it. */
export const meanEntropy = (entropy: readonly number[] = []): number =>
  entropy.length === 0 ? 0 : entropy.reduce((a, b) => a + b, 0) / entropy.length;
