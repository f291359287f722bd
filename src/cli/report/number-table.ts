/**
 * All numbers of the quality charts as a table that can be read aloud, selected and copied.
 *
 * Consumed by the page; the terminal table has the same rows.
 */
import { cellsOf, labelIn, modelNames, roleIn, stepCounts } from "./data.ts";
import type { ReportData } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { fixed, intervalText, significant, tickText } from "./numbers.ts";
import { seriesClass } from "./plot.ts";

/** The column heads. */
export const numberColumns = [
  "Steps",
  "Text",
  "Perplexity",
  "95 % interval",
  "Entropy",
  "ms per sample",
] as const;

/** One row per cell, by steps and then by model, and then one per reference; all values as text. */
export function numberRows(data: ReportData): readonly (readonly string[])[] {
  const cells = stepCounts(data).flatMap((steps) =>
    modelNames.flatMap((model) => cellsOf(data, model).filter((cell) => cell.steps === steps)),
  );
  return [
    ...cells.map((cell) => [
      tickText(cell.steps),
      labelIn(data, cell.model),
      fixed(cell.perplexity, 2),
      intervalText(cell.low, cell.high),
      fixed(cell.entropy, 3),
      significant(cell.secondsPerSample * 1000, 3),
    ]),
    ...data.references.map((reference) => [
      "–",
      reference.name,
      fixed(reference.perplexity, 2),
      "–",
      fixed(reference.entropy, 3),
      "–",
    ]),
  ];
}

/** The table, with a copy button that the script reveals. */
export function numberTable(data: ReportData): Markup {
  const rows = numberRows(data);
  if (rows.length === 0) return html`<p class="card empty">There are no numbers yet.</p>`;
  return html`<div class="card">
    <div class="scroll" tabindex="0" role="region" aria-label="Table of all numbers">
      <table class="numbers">
        <caption>
          Generative perplexity and unigram entropy (nats per sample) at every number of sampling steps.
        </caption>
        <thead>
          <tr>
            ${numberColumns.map((column) => html`<th scope="col">${column}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(([steps = "", name = "", ...values], i) => {
            const first = steps !== rows[i - 1]?.[0] ? " first" : "";
            return html`<tr class="${seriesClass(roleIn(data, name))}${first}">
              <td>${steps}</td>
              <th scope="row">${name}</th>
              ${values.map((value) => html`<td>${value}</td>`)}
            </tr> `;
          })}
        </tbody>
      </table>
    </div>
    <p class="actions"><button type="button" class="copy" hidden>Copy table</button></p>
  </div>`;
}
