/**
 * The denoising of one sample: a row per sampler step with the likeliest token at each position, shaded by how sure the
 * model is, with the tokens that changed since the row before underlined.
 *
 * Consumed by the page. The table is complete without script; the script adds a player above it that shows one row at a
 * time, built from the cells of the table.
 */
import { labelIn } from "./data.ts";
import type { ReportData, Trajectory } from "./data.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { fixed, stepsText } from "./numbers.ts";
import { seriesClass } from "./plot.ts";

/** Shades of confidence: class `k0` (unsure) to `k9` (certain). */
export const shades = 10;

/** CSS for the shades, from clear to half the colour of the model. */
export const shadeRules = Array.from(
  { length: shades },
  (_, i) =>
    `.k${i}{background:color-mix(in srgb,var(--series) ${Math.round((i * 50) / (shades - 1))}%,transparent)}`,
).join("\n");

/** All recorded denoisings. */
export function denoisingSection(data: ReportData): Markup {
  const trajectories = data.trajectories.filter((trajectory) => trajectory.steps.length > 0);
  if (trajectories.length === 0) return html`<p class="card empty">No denoising was recorded.</p>`;
  const ramp = Array.from({ length: shades }, (_, i) => html`<i class="k${i}"></i>`);
  return html`<p class="legend">
      <span class="flm ramp">unsure ${ramp} certain</span
      ><span><span class="n">underlined</span>&nbsp;changed since the step before</span>
    </p>
    ${trajectories.map((trajectory, i) => trajectoryCard(data, trajectory, i))}`;
}

function trajectoryCard(data: ReportData, trajectory: Trajectory, index: number): Markup {
  const { model, steps } = trajectory;
  const width = steps.reduce((most, step) => Math.max(most, step.tokens.length), 0);
  const heading = `${labelIn(data, model)}, ${stepsText(steps.length)}`;
  return html`<section class="card denoising ${seriesClass(model)}" aria-labelledby="denoising-${index}">
    <h3 id="denoising-${index}">${heading}</h3>
    <div class="player" hidden>
      <p class="stage" dir="auto"></p>
      <div class="controls">
        <button type="button">Play</button
        ><input
          type="range"
          min="0"
          max="${steps.length - 1}"
          value="${steps.length - 1}"
          aria-label="Sampler step of ${heading}"
        /><output></output>
      </div>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Every step of ${heading}">
      <table class="tokens">
        <thead>
          <tr>
            <th scope="col">step</th>
            <th scope="col">time</th>
            <th scope="col" colspan="${Math.max(1, width)}">likeliest tokens</th>
          </tr>
        </thead>
        <tbody>
          ${steps.map((step, row) => {
            const before = steps[row - 1];
            const cells = step.tokens.map((token, i) => {
              const changed = before !== undefined && before.tokens[i] !== token;
              return html`<td class="k${shade(step.confidence[i])}${changed && " n"}">${visible(token)}</td>`;
            });
            return html`<tr>
              <th scope="row">${row + 1}</th>
              <td class="time">${fixed(step.time, 3)}</td>
              ${cells}
            </tr> `;
          })}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** The shade of a confidence; unknown ones are clear. */
function shade(confidence: number | undefined): number {
  if (confidence === undefined || Number.isNaN(confidence)) return 0;
  return Math.min(shades - 1, Math.max(0, Math.floor(confidence * shades)));
}

/** A token as something to see: blanks, line ends and empty tokens get a sign. */
function visible(token: string): string {
  if (token === "") return "∅";
  const signs: Readonly<Record<string, string>> = { " ": "␣", "\n": "↵", "\t": "⇥" };
  return /^\s+$/.test(token) ? [...token].map((character) => signs[character] ?? "␣").join("") : token;
}
