/**
 * The report of a run as one HTML page that needs nothing else: charts are inline SVG drawn here.
 *
 * Consumed by the demo command, which writes it into the run folder. To add a section, write a function from
 * `ReportData` to `Markup` in report/ and put it in `renderReport`.
 */
import { pageOf } from "./page.ts";
import type { ReportData } from "./report/data.ts";
import { denoisingSection } from "./report/denoising.ts";
import { explanation, headSection } from "./report/head.ts";
import { html } from "../runtime/explain/html.ts";
import type { Markup } from "../runtime/explain/html.ts";
import { lossCharts } from "./report/loss-chart.ts";
import { numberTable } from "./report/number-table.ts";
import { qualityCharts } from "./report/quality-chart.ts";
import { samplesSection, tabRules } from "./report/samples.ts";
import { pageScript } from "./report/script.ts";
import { styleSheet } from "./report/style.ts";

export type { ReportData } from "./report/data.ts";

/**
 * The whole page. The same data gives the same page, byte for byte. Every text in it is escaped; missing parts (no FMLM
 * yet, no samples, losses that are not finite) are said in a sentence where they would stand.
 */
export function renderReport(data: ReportData): string {
  const style = `${styleSheet}${tabRules(data)}\n`;
  const sections: readonly Section[] = [
    {
      id: "quality",
      name: "Quality against sampling steps",
      intro: "How good samples are, depending on how many steps the sampler may take.",
      body: qualityCharts(data),
    },
    { id: "numbers", name: "All numbers", intro: null, body: numberTable(data) },
    {
      id: "samples",
      name: "Samples",
      intro: "Not chosen: the first ones of each set.",
      body: samplesSection(data),
    },
    {
      id: "denoising",
      name: "One sample, from noise to text",
      intro: "What each model would answer at each step of the sampler, word by word.",
      body: denoisingSection(data),
    },
    {
      id: "training",
      name: "Training",
      intro: "The two losses are different quantities, so each has its own axis.",
      body: lossCharts(data),
    },
  ];
  const body = html`<main>
    ${headSection(data)} ${explanation(data)}
    <nav aria-label="Sections">${sections.map(({ id, name }) => html`<a href="#${id}">${name}</a>`)}</nav>
    ${sections.map(section)}
  </main>`;
  return pageOf({ title: data.title, style, script: pageScript, body });
}

interface Section {
  readonly id: string;
  readonly name: string;
  readonly intro: string | null;
  readonly body: Markup;
}

function section({ id, name, intro, body }: Section): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-name">
    <h2 id="${id}-name">${name}</h2>
    ${intro !== null && html`<p class="intro">${intro}</p>`} ${body}
  </section> `;
}
