/**
 * The parts that every chart of the page is drawn from: the frame with ticks, lines, markers, and the invisible columns
 * that carry the numbers (a `<title>`, which a browser shows by itself and the page's script turns into a tooltip).
 *
 * Consumed by the quality and the loss charts. Drawing units are those of the view box; sizes are chosen for a box that
 * is shown 340 (phone) to 500 (desktop) pixels wide.
 */
import type { ModelName } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { tickText } from "./numbers.ts";
import type { Scale } from "./scale.ts";

/** The drawing area inside the view box. */
export interface Box {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A point in drawing units. */
export type Point = readonly [x: number, y: number];

/** One readable position of a chart: where it is, its heading, and the values there. */
export interface Reading {
  readonly x: number;
  readonly heading: string;
  readonly values: readonly (readonly [name: string, text: string])[];
}

/** The style class that gives a series its colour. */
export function seriesClass(name: string): string {
  return name === "FLM" ? "flm" : name === "FMLM" ? "fmlm" : "ref";
}

/** A coordinate with one decimal: finer than any screen, and a third of the bytes. */
export function coordinate(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** An SVG path through the points; one that is not finite interrupts it. */
export function linePath(points: readonly Point[]): string {
  const drawable = (point: Point | undefined): boolean => point !== undefined && point.every(Number.isFinite);
  return points
    .map((point, i) => {
      if (!drawable(point)) return "";
      const pen = drawable(points[i - 1]) ? "L" : "M";
      return `${pen}${coordinate(point[0])} ${coordinate(point[1])}`;
    })
    .join("");
}

/** Grid lines and labels of both axes, and the name of the horizontal one. */
export function axes(box: Box, x: Scale, y: Scale, xName: string): Markup {
  const floor = box.height - box.bottom;
  const rows = y.ticks.map((tick) => {
    const at = coordinate(y.at(tick));
    return html`<line class="grid" x1="${box.left}" x2="${box.width - box.right}" y1="${at}" y2="${at}" />
      <text x="${box.left - 8}" y="${at}" dy=".35em" text-anchor="end">${tickText(tick)}</text>`;
  });
  const columns = x.ticks.map((tick) => {
    const at = coordinate(x.at(tick));
    return html`<line class="axis" x1="${at}" x2="${at}" y1="${floor}" y2="${floor + 5}" />
      <text x="${at}" y="${floor + 19}" text-anchor="middle">${tickText(tick)}</text>`;
  });
  const middle = coordinate((box.left + box.width - box.right) / 2);
  return html`<g class="axes"
    >${rows}<line
      class="axis"
      x1="${box.left}"
      x2="${box.width - box.right}"
      y1="${floor}"
      y2="${floor}"
    />${columns} <text x="${middle}" y="${box.height - 4}" text-anchor="middle">${xName}</text></g
  >`;
}

/** The mark of a model at a point: a disc for FLM, a diamond for FMLM, so that colour is not needed to tell them. */
export function marker(model: ModelName, [x, y]: Point, radius = 5): Markup {
  if (model === "FLM")
    return html`<circle class="mark" cx="${coordinate(x)}" cy="${coordinate(y)}" r="${radius}" />`;
  const r = radius * 1.25;
  const corners: readonly Point[] = [
    [x, y - r],
    [x + r, y],
    [x, y + r],
    [x - r, y],
  ];
  return html`<path class="mark" d="${linePath(corners)}Z" />`;
}

/** Invisible columns, one per reading, that reach half-way to their neighbours. */
export function readingColumns(box: Box, readings: readonly Reading[]): Markup {
  const edges = readings.map(({ x }, i) => {
    const before = readings[i - 1]?.x ?? 2 * box.left - x;
    return Math.max(box.left - 12, (before + x) / 2);
  });
  return html`<g class="readings"
    >${readings.map((reading, i) => {
      const from = edges[i] ?? box.left;
      const to = edges[i + 1] ?? box.width - box.right + 12;
      const text = [reading.heading, ...reading.values.map(([name, value]) => `${name}\t${value}`)].join(
        "\n",
      );
      return html`<rect
        class="hit"
        data-x="${coordinate(reading.x)}"
        x="${coordinate(from)}"
        y="${box.top}"
        width="${coordinate(Math.max(1, to - from))}"
        height="${box.height - box.top - box.bottom}"
        ><title>${text}</title></rect
      >`;
    })}</g
  >`;
}

/**
 * A chart as a figure: caption, drawing, and a note below it.
 *
 * @param summary what the drawing shows, in words, for who cannot see it
 */
export function figure(
  box: Box,
  caption: Markup,
  summary: string,
  drawing: Markup,
  note: Markup | null = null,
): Markup {
  return html`<figure class="card">
    <figcaption>${caption}</figcaption>
    <div class="plot">
      <svg viewBox="0 0 ${box.width} ${box.height}" role="img" aria-label="${summary}">
        ${drawing}
        <line class="cross" x1="0" x2="0" y1="${box.top}" y2="${box.height - box.bottom}" />
      </svg>
    </div>
    ${note}
  </figure>`;
}
