/**
 * Loss against optimizer steps, one chart per model, since the losses of FLM and FMLM are different quantities.
 * The noisy training loss is drawn thin, its moving mean thick, the validation loss as squares.
 *
 * Consumed by the page.
 */
import { labelIn, modelNames } from "./data.ts";
import type { LossHistory, ReportData } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { significant, stepsText, tickText } from "./numbers.ts";
import { axes, coordinate, figure, linePath, readingColumns, seriesClass } from "./plot.ts";
import type { Box, Reading } from "./plot.ts";
import { linearScale, logScale, tightScale } from "./scale.ts";

type LossPoint = readonly [step: number, loss: number];

const box: Box = { width: 440, height: 280, left: 48, right: 18, top: 12, bottom: 44 };
// More points than this cannot be told apart on a screen.
const mostPoints = 400;
const mostReadings = 60;

/** A chart for each model that has a loss. */
export function lossCharts(data: ReportData): Markup {
  const histories = modelNames.flatMap((name) => data.losses.filter((history) => history.name === name));
  if (histories.length === 0) return html`<p class="card empty">No loss has been recorded yet.</p>`;
  return html`<p class="legend" aria-hidden="true">
      <span><i class="thin"></i>training loss</span><span><i class="thick"></i>moving mean</span
      ><span><i class="square"></i>validation loss</span>
    </p>
    <div class="pair">${histories.map((history) => lossChart(labelIn(data, history.name), history))}</div>`;
}

function lossChart(label: string, history: LossHistory): Markup {
  const { name } = history;
  const finite = ([, loss]: LossPoint): boolean => Number.isFinite(loss);
  const all = [...history.train, ...history.validation];
  const losses = all.filter(finite).map(([, loss]) => loss);
  if (losses.length === 0)
    return html`<figure class="card">
      <figcaption><strong>${label}</strong></figcaption>
      <p class="empty">${all.length === 0 ? "Not trained yet." : "No loss was a finite number."}</p>
    </figure>`;

  const smallest = losses.reduce((a, b) => Math.min(a, b));
  const logarithmic = smallest > 0 && losses.reduce((a, b) => Math.max(a, b)) > 20 * smallest;
  const mean = movingMean(history.train);
  const x = tightScale(
    all.map(([step]) => step),
    [box.left, box.width - box.right],
  );
  const y = (logarithmic ? logScale : linearScale)(losses, [box.height - box.bottom, box.top + 4]);
  const path = (points: readonly LossPoint[]): string =>
    linePath(points.map(([step, loss]) => [x.at(step), y.at(loss)]));
  const squares = history.validation.filter(finite).map(([step, loss]) => {
    const [left, top] = [coordinate(x.at(step) - 3.5), coordinate(y.at(loss) - 3.5)];
    return html`<rect class="mark" x="${left}" y="${top}" width="7" height="7" />`;
  });

  // A point between gaps has no line through it.
  const gap = (i: number): boolean => !Number.isFinite(mean[i]?.[1]);
  const alone = mean.filter((_, i) => !gap(i) && gap(i - 1) && gap(i + 1));

  const drawing = html`${axes(box, x, y, "training steps")}
    <g class="${seriesClass(name)}">
      <path class="raw" d="${path(thin(history.train))}" />
      <path class="line" d="${path(pick(mean, mostPoints))}" />
      ${alone.map(([step, loss]) => dot(x.at(step), y.at(loss)))}
      <path class="held" d="${path(history.validation)}" />${squares}
    </g>
    ${readingColumns(box, readings(label, history, mean, x.at))}`;
  const caption = html`<strong>${label}</strong>
    ${history.what ?? (name === "FLM" ? "cross-entropy, nats per token" : "distillation loss")}${logarithmic && ", log scale"}`;
  return figure(box, caption, describe(label, history, mean), drawing, missing(history));
}

function dot(x: number, y: number): Markup {
  return html`<circle class="mark" cx="${coordinate(x)}" cy="${coordinate(y)}" r="4" />`;
}

/** The mean over a window of a twentieth of the points, centred; non-finite losses stay gaps. */
function movingMean(points: readonly LossPoint[]): readonly LossPoint[] {
  const reach = Math.floor(points.length / 40);
  return points.map(([step, loss], i) => {
    if (!Number.isFinite(loss)) return [step, NaN];
    const near = points
      .slice(Math.max(0, i - reach), i + reach + 1)
      .filter((point) => Number.isFinite(point[1]));
    return [step, near.reduce((sum, point) => sum + point[1], 0) / near.length];
  });
}

/** Evenly picked points, first and last among them. */
function pick<T>(points: readonly T[], most: number): readonly T[] {
  if (points.length <= most) return points;
  return Array.from({ length: most }, (_, i) => Math.round((i * (points.length - 1)) / (most - 1))).flatMap(
    (at) => points.slice(at, at + 1),
  );
}

/** At most `mostPoints` points that keep the lowest and highest loss of every stretch, so that no spike is hidden. */
function thin(points: readonly LossPoint[]): readonly LossPoint[] {
  if (points.length <= mostPoints) return points;
  const size = Math.ceil((2 * points.length) / mostPoints);
  const kept: LossPoint[] = [];
  for (let from = 0; from < points.length; from += size) {
    const stretch = points.slice(from, from + size);
    const finite = stretch.filter(([, loss]) => Number.isFinite(loss));
    const ends = [
      finite.reduce<LossPoint | undefined>(
        (best, point) => (best && best[1] <= point[1] ? best : point),
        undefined,
      ),
      finite.reduce<LossPoint | undefined>(
        (best, point) => (best && best[1] >= point[1] ? best : point),
        undefined,
      ),
    ];
    const gap = stretch.find(([, loss]) => !Number.isFinite(loss));
    kept.push(...[...ends, gap].filter((point) => point !== undefined).sort((a, b) => a[0] - b[0]));
  }
  return kept;
}

function readings(
  label: string,
  history: LossHistory,
  mean: readonly LossPoint[],
  x: (step: number) => number,
): readonly Reading[] {
  // Without a training loss the validation points are what can be read.
  const base = mean.length > 0 ? mean : history.validation;
  return pick(base, mostReadings).map(([step, loss]) => {
    const held = history.validation.reduce<LossPoint | undefined>(
      (best, point) => (best && Math.abs(best[0] - step) <= Math.abs(point[0] - step) ? best : point),
      undefined,
    );
    const values: (readonly [string, string])[] = [];
    if (mean.length > 0) values.push([label, significant(loss)]);
    if (held !== undefined)
      values.push([
        `validation${held[0] === step ? "" : ` (step ${tickText(held[0])})`}`,
        significant(held[1]),
      ]);
    return { x: x(step), heading: `step ${tickText(step)}`, values };
  });
}

function describe(label: string, history: LossHistory, mean: readonly LossPoint[]): string {
  const [first, last] = [mean[0], mean.at(-1)];
  const train =
    first && last
      ? ` Training loss from ${significant(first[1], 3)} at step ${tickText(first[0])} to ${significant(last[1], 3)} at step ${tickText(last[0])}.`
      : "";
  const held = history.validation.at(-1);
  return `Loss of ${label} against training steps.${train}${
    held ? ` Last validation loss ${significant(held[1], 3)} at step ${tickText(held[0])}.` : ""
  }`;
}

/** Says which points a chart cannot show. */
function missing(history: LossHistory): Markup | null {
  const gaps = [...history.train, ...history.validation].filter(([, loss]) => !Number.isFinite(loss));
  const first = gaps.reduce<number | undefined>((least, [step]) => Math.min(least ?? step, step), undefined);
  if (first === undefined) return null;
  const points = gaps.length === 1 ? "One loss was" : `${tickText(gaps.length)} losses were`;
  return html`<p class="warning">
    ${points} not a finite number, the first after ${stepsText(first)}; the curve has a gap there.
  </p>`;
}
