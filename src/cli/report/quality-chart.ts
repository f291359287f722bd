/**
 * Quality against the number of sampling steps: generative perplexity with its bootstrap interval, and unigram entropy
 * beside it, with the reference texts as horizontal lines.
 *
 * Consumed by the page. To add a panel, describe its measure (`Measure`).
 */
import { cellsOf, labelIn, modelNames, stepCounts } from "./data.ts";
import type { ModelName, ReportData } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Content, Markup } from "../../runtime/explain/html.ts";
import { fixed, intervalText, significant, stepsText } from "./numbers.ts";
import { axes, coordinate, figure, linePath, marker, readingColumns, seriesClass } from "./plot.ts";
import type { Box, Reading } from "./plot.ts";
import { linearScale, logScale, spread, stepScale } from "./scale.ts";
import type { Scale } from "./scale.ts";

/** One number per cell and per reference, and how to draw it. */
interface Measure {
  readonly caption: Markup;
  readonly name: string;
  readonly logarithmic: boolean;
  readonly of: (row: { readonly perplexity: number; readonly entropy: number }) => number;
  readonly interval: boolean;
  readonly decimals: number;
}

const perplexity: Measure = {
  caption: html`<strong>Generative perplexity</strong> lower is better; log scale, bars are 95&nbsp;%
    intervals`,
  name: "Generative perplexity",
  logarithmic: true,
  of: (row) => row.perplexity,
  interval: true,
  decimals: 2,
};

const entropy: Measure = {
  caption: html`<strong>Unigram entropy</strong> nats per sample; near held-out text is right, far below is
    repetition`,
  name: "Unigram entropy",
  logarithmic: false,
  of: (row) => row.entropy,
  interval: false,
  decimals: 3,
};

const box: Box = { width: 440, height: 320, left: 44, right: 94, top: 12, bottom: 44 };
const lineHeight = 15;

/** Both panels, or a sentence where nothing has been sampled. */
export function qualityCharts(data: ReportData): Markup {
  if (data.quality.length === 0)
    return html`<p class="card empty">Nothing has been sampled yet, so there is no quality to show.</p>`;
  return html`<p class="legend" aria-hidden="true">
      ${modelNames.map((model) => legendItem(data, model))} <span><i class="dash"></i>reference texts</span>
    </p>
    <div class="pair">${[perplexity, entropy].map((measure) => panel(data, measure))}</div>`;
}

function legendItem(data: ReportData, model: ModelName): Content {
  if (cellsOf(data, model).length === 0) return null;
  return html`<span class="${seriesClass(model)}"
    ><svg viewBox="0 0 28 14" width="28" height="14">
      <path class="line" d="M1 7H27" />
      ${marker(model, [14, 7])}</svg
    >${labelIn(data, model)}</span
  >`;
}

function panel(data: ReportData, measure: Measure): Markup {
  const drawable = (value: number): boolean => Number.isFinite(value) && (!measure.logarithmic || value > 0);
  const series = modelNames.map((model) => ({
    model,
    cells: cellsOf(data, model).filter((cell) => drawable(measure.of(cell))),
  }));
  const references = data.references.filter((reference) => drawable(measure.of(reference)));
  const cells = series.flatMap((one) => one.cells);
  const values = [
    ...cells.map(measure.of),
    ...references.map(measure.of),
    ...(measure.interval ? cells.flatMap((cell) => [cell.low, cell.high]).filter(drawable) : []),
  ];
  const floor = box.height - box.bottom;
  const steps = stepCounts(data);
  // Inset, so that the markers of the first and last column do not sit on the frame.
  const x = stepScale(steps, [box.left + 14, box.width - box.right - 14]);
  const y = (measure.logarithmic ? logScale : linearScale)(values, [floor, box.top + 4]);

  const drawing = html`${axes(box, x, y, "sampling steps")}
  ${references.map((reference) => {
    const at = coordinate(y.at(measure.of(reference)));
    return html`<line
      class="reference"
      x1="${box.left}"
      x2="${box.width - box.right}"
      y1="${at}"
      y2="${at}"
    />`;
  })}
  ${series.map(
    ({ model, cells }) =>
      html`<g class="${seriesClass(model)}">
        <path class="line" d="${linePath(cells.map((cell) => [x.at(cell.steps), y.at(measure.of(cell))]))}" />
        ${cells.map((cell) => {
          const at = x.at(cell.steps);
          const whole = measure.interval && drawable(cell.low) && drawable(cell.high);
          return html`${whole && whisker(at, y.at(cell.low), y.at(cell.high))}${marker(model, [at, y.at(measure.of(cell))], 3.8)}`;
        })}</g
      >`,
  )}
  ${endLabels(data, measure, series, references, steps, x, y)}
  ${readingColumns(box, readings(data, measure, steps, x))}`;
  return figure(box, measure.caption, describe(data, measure, series, references), drawing);
}

function whisker(x: number, low: number, high: number): Markup {
  const [left, right] = [coordinate(x - 4), coordinate(x + 4)];
  const [bottom, top] = [coordinate(low), coordinate(high)];
  return html`<path
    class="whisker"
    d="M${coordinate(x)} ${bottom}V${top}M${left} ${bottom}H${right}M${left} ${top}H${right}"
  />`;
}

type Series = readonly { readonly model: ModelName; readonly cells: ReportData["quality"] }[];

/** Names and values at the right edge, moved apart, each tied to its line where it had to move. */
function endLabels(
  data: ReportData,
  measure: Measure,
  series: Series,
  references: ReportData["references"],
  steps: readonly number[],
  x: Scale,
  y: Scale,
): Markup {
  const edge = box.width - box.right;
  const labels = [
    ...series.flatMap(({ model, cells }) => {
      const last = cells.at(-1);
      // A curve that ends before the right edge gets no label there: it would seem to go on.
      if (last === undefined || last.steps !== steps.at(-1)) return [];
      const value = measure.of(last);
      const from = x.at(last.steps) + 7;
      return [
        {
          name: seriesClass(model),
          from,
          wanted: y.at(value),
          lines: wrap(`${labelIn(data, model)} ${significant(value, 3)}`),
        },
      ];
    }),
    ...references.map((reference) => {
      const value = measure.of(reference);
      const lines = wrap(`${reference.name} ${significant(value, 3)}`);
      return { name: "ref", from: edge, wanted: y.at(value), lines };
    }),
  ];
  const places = spread(
    labels.map(({ wanted, lines }) => ({ wanted, height: lines.length * lineHeight + 3 })),
    box.top - 8,
    box.height - box.bottom + 14,
  );
  return html`<g class="ends"
    >${labels.map(({ name, from, wanted, lines }, i) => {
      const centre = places[i] ?? wanted;
      const tie = `M${coordinate(from)} ${coordinate(wanted)}L${edge + 2} ${coordinate(wanted)}L${edge + 9} ${coordinate(centre)}`;
      const first = centre - ((lines.length - 1) * lineHeight) / 2;
      return html`<g class="${name}"
        ><path class="tie" d="${tie}" /><text
          >${lines.map(
            (line, row) =>
              html`<tspan x="${edge + 13}" y="${coordinate(first + row * lineHeight)}" dy=".35em"
                >${line}</tspan
              >`,
          )}</text
        ></g
      >`;
    })}</g
  >`;
}

/** Lines that fit the margin: words are put together as long as they fit, and cut where one alone does not. */
function wrap(label: string): readonly string[] {
  const most = 13;
  const lines: string[] = [];
  for (const word of label.split(/\s+/)) {
    const joined = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && [...joined].length <= most) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  // A long name loses its middle, never the value, which is the last line.
  const kept = lines.length > 3 ? [`${lines[0]} …`, lines.at(-1) ?? ""] : lines;
  return kept.map((line) => {
    const characters = [...line];
    return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : line;
  });
}

function readings(
  data: ReportData,
  measure: Measure,
  steps: readonly number[],
  x: Scale,
): readonly Reading[] {
  const references = data.references.map((reference): readonly [string, string] => [
    reference.name,
    fixed(measure.of(reference), measure.decimals),
  ]);
  return steps.map((step) => {
    const models = modelNames.flatMap((model): (readonly [string, string])[] =>
      cellsOf(data, model)
        .filter((cell) => cell.steps === step)
        .map((cell) => {
          const interval = measure.interval ? ` (${intervalText(cell.low, cell.high)})` : "";
          return [labelIn(data, model), fixed(measure.of(cell), measure.decimals) + interval];
        }),
    );
    return { x: x.at(step), heading: stepsText(step), values: [...models, ...references] };
  });
}

function describe(
  data: ReportData,
  measure: Measure,
  series: Series,
  references: ReportData["references"],
): string {
  const curves = series
    .filter(({ cells }) => cells.length > 0)
    .map(({ model, cells }) => {
      const points = cells.map((cell) => `${significant(measure.of(cell), 3)} at ${stepsText(cell.steps)}`);
      return `${labelIn(data, model)}: ${points.join(", ")}.`;
    });
  const lines = references.map((reference) => `${reference.name}: ${significant(measure.of(reference), 3)}.`);
  return [`${measure.name} against sampling steps.`, ...curves, ...lines].join(" ");
}
