/** The loss as it falls: curves, what they are smoothed by, and the same numbers as a table. Consumed by train-view.tsx. */
import { useComputed, useSignal } from "@preact/signals";
import type { Studio } from "../../engine/client.ts";
import type { ModelName } from "../../engine/protocol.ts";
import { count } from "../format.ts";
import { Choice } from "../parts/choice.tsx";
import { Lazy } from "../parts/lazy.tsx";
import { PUBLISHED } from "../sentence/sentence-store.ts";
import { isDark } from "../theme.ts";
import { curvesOf, someRows, type Curves } from "./series.ts";

/** uPlot formats numbers in the browser's language as it is loaded; some Linux browsers name one that does not exist, such as "en-US@posix". */
async function loadPlot() {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en", configurable: true });
  }
  return (await import("./loss-plot.tsx")).LossPlot;
}

const cell = (value: number | null | undefined): string =>
  value === null || value === undefined ? "" : value.toFixed(3);

/** What the run's models are called, those that it trains. */
type Labels = { readonly [K in ModelName]?: string };

function labelsOf(run: Studio["run"]["value"]): Labels {
  if (run === undefined) return PUBLISHED.labels;
  const { labels, settings } = run;
  return {
    ...(settings.flmSteps > 0 ? { flm: labels.flm } : {}),
    ...(settings.fmlmSteps > 0 ? { fmlm: labels.fmlm } : {}),
  };
}

function Numbers({ curves, labels }: { readonly curves: Curves; readonly labels: Labels }) {
  return (
    <details class="fold small">
      <summary>The curves as numbers</summary>
      <table class="numbers">
        <caption class="unseen">Loss at some steps</caption>
        <thead>
          <tr>
            <th scope="col">Step</th>
            {labels.flm !== undefined && <th scope="col">{labels.flm}</th>}
            {labels.fmlm !== undefined && <th scope="col">{labels.fmlm}</th>}
            <th scope="col">Held-out text</th>
          </tr>
        </thead>
        <tbody>
          {someRows(curves, 16).map((i) => (
            <tr key={i}>
              <th scope="row">{count(curves.step[i] ?? 0)}</th>
              {labels.flm !== undefined && <td>{cell(curves.flmSmooth[i])}</td>}
              {labels.fmlm !== undefined && <td>{cell(curves.fmlmSmooth[i])}</td>}
              <td>{cell(curves.validation[i])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

export function LossCurves({ store }: { readonly store: Studio }) {
  const scale = useSignal<"linear" | "logarithmic">("linear");
  const smoothing = useSignal(0.9);
  const curves = useComputed(() =>
    curvesOf(store.points.value, store.run.value?.settings.flmSteps ?? 0, smoothing.value),
  );
  const shown = curves.value;
  const labels = labelsOf(store.run.value);
  return (
    <section class="section" aria-labelledby="loss-title">
      <header>
        <h2 id="loss-title">Loss</h2>
        <span class="legend small soft">
          {(["flm", "fmlm"] as const).map(
            (name) =>
              labels[name] !== undefined && (
                <span key={name} class={name}>
                  <i /> {labels[name]}
                </span>
              ),
          )}
          <span>
            <i class="ring" /> held-out text
          </span>
        </span>
      </header>
      <Lazy
        load={loadPlot}
        props={{ curves: shown, labels, logarithmic: scale.value === "logarithmic", dark: isDark() }}
        onFailed={store.report}
      />
      <div class="under">
        <Choice
          legend="Scale of the loss"
          name="loss-scale"
          quiet
          small
          options={[
            ["linear", "Linear"],
            ["logarithmic", "Logarithmic"],
          ]}
          value={scale.value}
          onChange={(value) => (scale.value = value)}
        />
        <label class="smoothing small soft">
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing.value}
            onInput={(event) => (smoothing.value = Number(event.currentTarget.value))}
          />
        </label>
      </div>
      <Numbers curves={shown} labels={labels} />
    </section>
  );
}
