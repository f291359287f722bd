/**
 * What the forming sentence is made of: from which noise, in how many steps, by which model, and which moment is looked at. A run's
 * networks make it once there are weights; before, the exact flow of a few sentences does. Consumed by sentence.tsx and its parts.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { Studio } from "../../engine/client.ts";
import type { Forming } from "../../engine/protocol.ts";
import { exactForming } from "./exact.ts";

export interface Pair {
  readonly flm: Forming;
  /** Absent while the run has no flow map. */
  readonly fmlm: Forming | undefined;
  /** The run they are of, or the exact flow. */
  readonly of: string;
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
  const pair = signal<Pair>({ ...exactForming(seed.value, steps.value), of: EXACT });
  let timer: ReturnType<typeof setInterval> | undefined;

  const stop = (): void => {
    clearInterval(timer);
    playing.value = false;
  };
  const play = (): void => {
    stop();
    if (at.value >= steps.value) at.value = 0;
    playing.value = true;
    // Where motion is to be reduced, the words change as slowly as one reads.
    const each = calm.matches ? 900 : Math.min(600, Math.max(70, WHOLE / steps.value));
    timer = setInterval(() => {
      at.value = Math.min(steps.value, at.value + 1);
      if (at.value >= steps.value) stop();
    }, each);
  };
  const put = (next: Pair): void =>
    batch(() => {
      pair.value = next;
      at.value = Math.min(at.value, next.flm.moments.length - 1);
      position.value = Math.min(position.value, Math.max(0, (next.flm.moments[0]?.top.length ?? 1) - 1));
    });

  /** Weights of the run that is looked at, as they are known to be; new texts tell that they changed. */
  const source = computed(() => {
    const run = store.run.value;
    if (run === undefined || !run.forms || !run.models.includes("flm")) return undefined;
    return {
      id: run.id,
      hasMap: run.models.includes("fmlm"),
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
      put({ ...exactForming(request.seed, request.steps), of: EXACT });
      return;
    }
    waiting.value = true;
    void (async () => {
      // While it trains, a refresh that fails is not worth a message: the next one comes.
      const quietly = from.state === "training";
      const flm = await store.form({ run: from.id, model: "flm", ...request }, quietly);
      const fmlm =
        flm !== undefined && from.hasMap
          ? await store.form({ run: from.id, model: "fmlm", steps: 1, seed: request.seed }, quietly)
          : undefined;
      if (mine !== asked) return;
      waiting.value = false;
      if (flm !== undefined) put({ flm, fmlm, of: from.id });
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

export const meanEntropy = (entropy: readonly number[]): number =>
  entropy.length === 0 ? 0 : entropy.reduce((a, b) => a + b, 0) / entropy.length;
