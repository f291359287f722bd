/**
 * The map of the memory: one band per slot, as high as the slot is large, with the temporaries in it over the steps in which they are
 * alive; above it the bytes that are alive at each step. Inline SVG. Pure. Consumed by the page of `fluxion explain --html`, and by the studio's explain view.
 */
import type {
  ExplainedCopy,
  ExplainedDispatch,
  ExplainedTemporary,
  Explanation,
} from "../../compiler/explain/explanation.ts";
import { html } from "./html.ts";
import type { Markup } from "./html.ts";
import { bytesText, plural } from "./units.ts";
import { typeText } from "./words.ts";

const WIDTH = 1060;
const LEFT = 128;
/** Of the curve above the slots, and of the slots together where none is too thin to see. */
const [CURVE, BANDS] = [72, 380];
const GAP = 14;
const THINNEST = 2;
/** Room that a label takes. */
const [LABEL_HEIGHT, CHARACTER] = [13, 6.6];

type Slot = Explanation["memory"]["slots"][number];

/** What of an explanation is drawn. */
export interface Mapped extends Pick<Explanation, "memory" | "temporaries" | "control"> {
  readonly dispatches: readonly Pick<ExplainedDispatch, "position" | "index" | "name">[];
  readonly copies: readonly Pick<ExplainedCopy, "position">[];
}

/** Where a slot is drawn. */
interface Band {
  readonly y: number;
  readonly height: number;
}

const round = (x: number): number => Math.round(x * 100) / 100;

/** The bytes alive at each step. */
function aliveAt(temporaries: readonly ExplainedTemporary[], steps: number): readonly number[] {
  const change = Array.from({ length: steps + 1 }, () => 0);
  for (const { first, last, bytes } of temporaries) {
    change[first] = (change[first] ?? 0) + bytes;
    change[last + 1] = (change[last + 1] ?? 0) - bytes;
  }
  let alive = 0;
  return change.slice(0, steps).map((more) => (alive += more));
}

/** The map, or a sentence where there is nothing to draw. */
export function slotMap({ memory, temporaries, control, dispatches, copies }: Mapped): Markup {
  const placed = temporaries.filter(({ slot }) => slot !== null);
  if (placed.length === 0) return html`<p class="note">This plan has no temporaries.</p>`;
  const steps =
    1 +
    Math.max(
      ...[...dispatches, ...copies].map(({ position }) => position),
      ...placed.map(({ last }) => last),
    );
  const x = (position: number): number => round(LEFT + ((WIDTH - LEFT) * position) / steps);

  const { peakBytes, slots, lowerBoundBytes } = memory;
  const curveHeight = (bytes: number): number => round((CURVE * bytes) / Math.max(1, peakBytes));
  const y = (bytes: number): number => round(GAP + CURVE - curveHeight(bytes));
  const curve = aliveAt(placed, steps)
    .map((bytes, position) => `${position === 0 ? "M" : "L"}${x(position)} ${y(bytes)}H${x(position + 1)}`)
    .join("");

  let top = GAP + CURVE + GAP;
  const bands = slots.map(({ bytes }): Band => {
    const height = round(Math.max(THINNEST, (BANDS * bytes) / Math.max(1, peakBytes)));
    const band = { y: round(top), height };
    top += height;
    return band;
  });
  const height = round(top + 24);
  const names = new Map(dispatches.map(({ position, index, name }) => [position, `${index} ${name}`]));
  const stepName = (position: number): string => names.get(position) ?? `step ${position}`;

  return html`<figure>
    <div class="scroll" tabindex="0" role="region" aria-label="Map of the memory">
      <svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Temporaries in their slots over the steps">
        ${control
          .filter(({ kind }) => kind === "loop")
          .map(
            ({ first, last, length }) =>
              html`<rect
                class="loop"
                x="${x(first)}"
                y="${GAP}"
                width="${round(x(last + 1) - x(first))}"
                height="${round(top - GAP)}"
              >
                <title>a loop of ${length ?? 0} iterations</title>
              </rect>`,
          )}
        <text x="${LEFT - 8}" y="${GAP + 10}" class="end">${bytesText(peakBytes)} in slots</text>
        <text x="${LEFT - 8}" y="${round(Math.max(y(lowerBoundBytes) + 4, GAP + 26))}" class="end">
          at most ${bytesText(lowerBoundBytes)}
        </text>
        <line class="peak" x1="${LEFT}" x2="${WIDTH}" y1="${GAP}" y2="${GAP}" />
        <path class="alive" d="${curve}V${GAP + CURVE}H${LEFT}Z" />
        ${bands.map(
          (band, slot) =>
            band.height >= LABEL_HEIGHT &&
            html`<text x="${LEFT - 8}" y="${round(band.y + band.height / 2 + 4)}" class="end"
              >slot ${slot}, ${bytesText(slots[slot]?.bytes ?? 0)}</text
            >`,
        )}
        ${bands.map(
          (band) =>
            band.height >= LABEL_HEIGHT &&
            html`<line class="slot" x1="${LEFT}" x2="${WIDTH}" y1="${band.y}" y2="${band.y}" />`,
        )}
        ${placed.map((temporary) => temporaryMark(temporary))}
        <line class="axis" x1="${LEFT}" x2="${WIDTH}" y1="${round(top + 2)}" y2="${round(top + 2)}" />
        <text x="${LEFT}" y="${round(top + 18)}">step 0</text>
        <text x="${WIDTH}" y="${round(top + 18)}" class="end">step ${steps - 1}</text>
      </svg>
    </div>
    <figcaption>
      ${plural(placed.length, "temporary", "temporaries")} in ${plural(slots.length, "slot")}. The curve is
      what is alive at each step; the line above it is what the slots take.
    </figcaption>
  </figure>`;

  function temporaryMark(temporary: ExplainedTemporary): Markup | null {
    const { slot, first, last, bytes } = temporary;
    if (slot === null) return null;
    const [band, of] = [bands[slot] as Band, slots[slot] as Slot]; // one for each slot
    const width = round(x(last + 1) - x(first));
    const order = of.temporaries.indexOf(temporary.buffer);
    const used = round(Math.max(THINNEST, (band.height * bytes) / Math.max(1, of.bytes)));
    const label = typeText(temporary);
    const tip = `${label}, ${bytesText(bytes)}, slot ${slot}\n${stepName(first)} to ${stepName(last)}`;
    const fits = used >= LABEL_HEIGHT && width >= CHARACTER * label.length + 8;
    return html`<g class="temporary shade${order % 3}">
      <rect x="${x(first)}" y="${round(band.y + band.height - used)}" width="${width}" height="${used}">
        <title>${tip}</title>
      </rect>
      ${fits && html`<text x="${round(x(first) + 4)}" y="${round(band.y + band.height - used / 2 + 4)}">${label}</text>`}
    </g>`;
  }
}
