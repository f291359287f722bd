/** A sentence forming: the flow step by step and its map in one jump, from the same noise, side by side. Consumed by train-view.tsx. */
import { useEffect, useMemo } from "preact/hooks";
import type { Studio } from "../../engine/client.ts";
import type { ModelName, RunDetail } from "../../engine/protocol.ts";
import { count, counted, milliseconds } from "../format.ts";
import { Choice } from "../parts/choice.tsx";
import { EXACT_COUNT } from "./exact.ts";
import { TokenWay } from "./plane.tsx";
import { Positions } from "./positions.tsx";
import { Scrubber } from "./scrubber.tsx";
import { EXACT, momentAt, sentenceStore, type SentenceStore } from "./sentence-store.ts";

const STEPS = [4, 8, 16, 32].map((n) => [n, String(n)] as const);

function Column({ name, state }: { readonly name: ModelName; readonly state: SentenceStore }) {
  const at = state.at.value;
  const { labels, [name]: forming } = state.pair.value;
  const calls = (forming?.moments.length ?? 1) - 1;
  const moment = forming === undefined ? undefined : momentAt(forming, at);
  return (
    <div class={`forming ${name}`}>
      <header>
        <h3>{labels[name]}</h3>
        <span class="soft small numeric">
          {name === "flm" ? "step by step" : "in one jump"}
          {forming !== undefined &&
            `, ${Math.min(at, calls)} of ${counted(calls, "call")} of the network${forming.milliseconds > 0 ? `, ${milliseconds(forming.milliseconds)}` : ""}`}
        </span>
      </header>
      {forming === undefined || moment === undefined ? (
        <p class="soft missing">
          {name === "fmlm"
            ? `There is no flow map yet: ${labels.fmlm} learns once ${labels.flm} has learned.`
            : "There are no weights of it."}
        </p>
      ) : (
        <Positions
          forming={forming}
          moment={moment}
          selected={state.position.value}
          onSelect={(position) => (state.position.value = position)}
          label={`${labels[name]}: the text at this step`}
        />
      )}
    </div>
  );
}

/** Why no run's own sentence is shown. */
const why = (run: RunDetail | undefined): string =>
  run === undefined || run.models.length === 0
    ? "Nothing is trained yet."
    : (run.unwatched ?? "Its own is being made.");

export function SentenceForming({ store }: { readonly store: Studio }) {
  const state = useMemo(() => sentenceStore(store), []);
  useEffect(() => {
    // The first thing a visitor sees, unless nothing is to move.
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) state.at.value = state.steps.value;
    else state.play();
    return state.dispose;
  }, []);
  const pair = state.pair.value;
  const isExact = pair.of === EXACT;
  const about = new Set([...(pair.flm?.about ?? []), ...(pair.fmlm?.about ?? [])]);
  // Until the weights of a run that was just chosen have spoken, the text is still of the one before.
  const name = store.runs.value.find(({ id }) => id === pair.of)?.text ?? "a run that was deleted";
  const isOther = !isExact && state.waiting.value && pair.of !== store.run.value?.id;
  return (
    <section class="section sentence" aria-labelledby="sentence-title" aria-busy={state.waiting.value}>
      <header>
        <h2 id="sentence-title">A sentence forming</h2>
        <span class="soft small">
          {isExact
            ? `The exact flow of a language of ${count(EXACT_COUNT)} sentences. ${why(store.run.value)}`
            : pair.flm === undefined || pair.fmlm === undefined
              ? `From ${name}.`
              : `From ${name}, both from the same noise.`}
          {isOther && " The chosen run's own is being made."}
        </span>
      </header>
      <div class={pair.models.length === 1 ? "both alone" : "both"}>
        {pair.models.map((model) => (
          <Column key={model} name={model} state={state} />
        ))}
      </div>
      {[...about].map((sentence) => (
        <p key={sentence} class="soft small about">
          {sentence}
        </p>
      ))}
      <div class="steer">
        <Scrubber state={state} />
        {pair.flm !== undefined && (
          <Choice
            legend={`Steps of ${pair.labels.flm}`}
            name="forming-steps"
            small
            options={STEPS}
            value={state.steps.value}
            onChange={(value) => {
              state.stop();
              state.steps.value = value;
              state.at.value = value;
            }}
          />
        )}
        <button
          type="button"
          class="plain"
          onClick={() => {
            state.stop();
            state.seed.value += 1;
            state.at.value = 0;
            state.play();
          }}
        >
          New noise
        </button>
      </div>
      <TokenWay state={state} />
    </section>
  );
}
