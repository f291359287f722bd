/**
 * The head of the page: title, verdicts, what was trained, and what the words on the page mean.
 *
 * Consumed by the page.
 */
import { cellsOf, labelIn, modelNames } from "./data.ts";
import type { ModelName, ReportData } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { seriesClass } from "./plot.ts";

/** Title, verdicts and the summary of the configuration. */
export function headSection(data: ReportData): Markup {
  return html`<header>
    <p class="kicker">Fluxion run report</p>
    <h1 dir="auto">${data.title}</h1>
    ${
      data.verdicts.length > 0 &&
      html`<ul class="verdicts" aria-label="What came out">
        ${data.verdicts.map((line) => html`<li>${line}</li>`)}
      </ul>`
    }
    ${
      data.summary.length > 0 &&
      html`<dl class="summary" aria-label="What was trained">
        ${data.summary.map(
          ([label, value]) =>
            html`<div>
              <dt>${label}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
      </dl>`
    }
  </header>`;
}

const MEANINGS: Readonly<Record<ModelName, readonly [published: string, declared: string]>> = {
  FLM: [
    "A flow language model turns Gaussian noise into text by following a learned flow in many small steps, and all words become clear together. At few steps it is inaccurate.",
    "A flow turns noise into text by following what the network has learned in many small steps, and all words become clear together. At few steps it is inaccurate.",
  ],
  FMLM: [
    "A flow map language model is distilled from the FLM and learns where the flow leads over any stretch of time. So it can jump there in one or a few steps.",
    "A flow map learns where its flow leads over any stretch of time. So it can jump there in one or a few steps.",
  ],
};

/** What the models, the judge and the two measures are, in plain words. */
export function explanation(data: ReportData): Markup {
  const declared = data.labels !== undefined;
  const shown = modelNames.filter((model) => !declared || cellsOf(data, model).length > 0);
  return html`<dl class="words">
    ${shown.map(
      (model) =>
        html`<div class="${seriesClass(model)}">
          <dt>${labelIn(data, model)}</dt>
          <dd>${MEANINGS[model][declared ? 1 : 0]}</dd>
        </div>`,
    )}
    <div>
      <dt>Judge</dt>
      <dd>
        Perplexity is measured by an interpolated Kneser-Ney n-gram model, trained on a split of the text that
        the models never saw. It is not <span class="keep">GPT-2</span> Large, so these numbers cannot be
        compared with published ones.
      </dd>
    </div>
    <div>
      <dt>How to read</dt>
      <dd>
        Lower perplexity means that the judge finds the text more likely; repetition lowers it too. So compare
        two models only where their entropies are close to each other and to that of held-out text.
      </dd>
    </div>
  </dl>`;
}
