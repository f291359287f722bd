/**
 * Samples to read: one tab per number of sampling steps with both models side by side, and the reference texts below.
 *
 * Consumed by the page. The tabs are radio buttons and CSS, so that they work without script, with the arrow keys, and
 * print as one list; `tabRules` is the CSS that belongs to them.
 */
import { labelIn, modelNames, stepCounts } from "./data.ts";
import type { ReportData } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { significant, stepsText, tickText } from "./numbers.ts";
import { seriesClass } from "./plot.ts";

/** The samples of every cell and of every reference. */
export function samplesSection(data: ReportData): Markup {
  const counts = stepCounts(data);
  const references = data.references.filter((reference) => reference.samples.length > 0);
  return html`${counts.length === 0 ? html`<p class="card empty">Nothing has been sampled yet.</p>` : tabs(data, counts)}
  ${
    references.length > 0 &&
    html`<h3>For comparison</h3>
      <div class="columns">
        ${references.map(
          (reference) =>
            html`<section class="card ref">
              <h4 class="name">${reference.name}</h4>
              <p class="score">
                perplexity ${significant(reference.perplexity, 3)}, entropy
                ${significant(reference.entropy, 3)}
              </p>
              ${texts(reference.samples)}
            </section>`,
        )}
      </div>`
  }`;
}

/** CSS that shows the panel of the chosen radio button; one rule per tab. */
export function tabRules(data: ReportData): string {
  return stepCounts(data)
    .map((_, i) => `#tab-${i}:checked~.panels>#panel-${i}{display:grid}`)
    .join("\n");
}

function tabs(data: ReportData, counts: readonly number[]): Markup {
  return html`<fieldset class="tabs">
    <legend>Sampling steps</legend>
    ${counts.map((steps, i) => {
      const checked = i === 0 ? html` checked` : null;
      return html`<input type="radio" name="samples" id="tab-${i}" ${checked} /><label
          for="tab-${i}"
          aria-label="${stepsText(steps)}"
          >${tickText(steps)}</label
        >`;
    })}
    <div class="panels">
      ${counts.map(
        (steps, i) =>
          html`<div class="panel columns" id="panel-${i}">
            ${modelNames.map((model) => {
              const cells = data.quality.filter((cell) => cell.model === model && cell.steps === steps);
              return cells.map(
                (cell) =>
                  html`<section class="card ${seriesClass(model)}">
                    <h3 class="name"><b>${labelIn(data, model)}</b>, ${stepsText(steps)}</h3>
                    <p class="score">
                      perplexity ${significant(cell.perplexity, 3)}, entropy ${significant(cell.entropy, 3)}
                    </p>
                    ${texts(cell.samples)}
                  </section>`,
              );
            })}
          </div>`,
      )}
    </div>
  </fieldset>`;
}

function texts(samples: readonly string[]): Markup {
  if (samples.length === 0) return html`<p class="empty">No samples were kept.</p>`;
  return html`<ol class="texts">
    ${samples.map((sample) => html`<li dir="auto">${sample}</li>`)}
  </ol>`;
}
