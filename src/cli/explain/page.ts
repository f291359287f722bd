/**
 * An explanation as one page that needs nothing else: the sums, the dispatches as a table that can be sorted, a map of the memory over
 * the steps, and the code of every kernel. Complete without its script, which only sorts.
 *
 * Consumed by `fluxion explain --html`. To add a section, write a function from the explanation to `Markup` and put it in `renderPage`.
 */
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import { pageOf } from "../page.ts";
import { bytesText, countText, flopsText, plural, timeText } from "../../runtime/explain/units.ts";
import { dispatchTable } from "./dispatch-table.ts";
import { pageScript } from "./script.ts";
import { slotMap } from "../../runtime/explain/slot-map.ts";
import { styleSheet } from "./style.ts";
import { typeText } from "../../runtime/explain/words.ts";
import type { Explained } from "../../runtime/explain/summary.ts";
import { summary } from "../../runtime/explain/summary.ts";

/**
 * The whole page. The same explanation gives the same page, byte for byte; every text in it is escaped.
 * @param folder sites in it are written without it
 */
export function renderPage(explained: Explained, folder: string): string {
  const { name, explanation } = explained;
  const [first = "", ...sentences] = summary(explained);
  const sections: readonly (readonly [id: string, name: string, intro: string, body: Markup])[] = [
    [
      "dispatches",
      "Dispatches",
      "In the order in which they run. Open one to see what it computes and what it binds; a click on a head sorts by it.",
      dispatchTable(explanation, folder),
    ],
    [
      "memory",
      "Memory",
      "Temporaries that are never alive at the same step share a slot. Slots are as high as they are large, and steps go from left to right.",
      html`${slotMap(explanation)} ${slotTable(explained)}`,
    ],
    [
      "code",
      "Code",
      "One text, and one pipeline, for all dispatches whose kernels differ in their names only.",
      codeList(explained),
    ],
  ];
  const body = html`<main>
    <header>
      <p class="kicker">Fluxion explain</p>
      <h1 dir="auto">${name}</h1>
      <p class="intro">${first}</p>
      ${tiles(explained)}
      <ul class="sentences">
        ${sentences.map((line) => html`<li>${line}</li>`)}
      </ul>
    </header>
    <nav aria-label="Sections">${sections.map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav>
    ${sections.map(
      ([id, title, intro, content]) =>
        html`<section id="${id}" aria-labelledby="${id}-name">
          <h2 id="${id}-name">${title}</h2>
          <p class="intro">${intro}</p>
          ${content}
        </section> `,
    )}
  </main>`;
  return pageOf({ title: `${name} explained`, style: styleSheet, script: pageScript, body });
}

function tiles({ explanation: { totals, memory, fusion } }: Explained): Markup {
  const rows: readonly (readonly [string, string])[] = [
    ["Dispatches", countText(totals.dispatches)],
    ...(fusion.on && fusion.unfusedDispatches !== null
      ? [["Without fusion", countText(fusion.unfusedDispatches)] as const]
      : []),
    ["Pipelines", countText(totals.pipelines)],
    ["Arithmetic", flopsText(totals.flops)],
    ["Read", bytesText(totals.bytesRead)],
    ["Written", bytesText(totals.bytesWritten)],
    ["Temporaries", bytesText(memory.peakBytes)],
    ...(totals.nanoseconds === null ? [] : [["GPU time", timeText(totals.nanoseconds)] as const]),
  ];
  return html`<dl class="tiles">
    ${rows.map(
      ([label, value]) =>
        html`<div>
          <dt>${label}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function slotTable({ explanation: { memory, temporaries, dispatches } }: Explained): Markup {
  const byBuffer = new Map(temporaries.map((temporary) => [temporary.buffer, temporary]));
  const byPosition = new Map(dispatches.map((dispatch) => [dispatch.position, dispatch]));
  return html`<p class="note">
      Inputs take ${bytesText(memory.inputBytes)}, outputs ${bytesText(memory.outputBytes)} and constants
      ${bytesText(memory.constantBytes)} besides. ${plural(temporaries.length, "temporary", "temporaries")}
      would take ${bytesText(memory.unsharedBytes)} without sharing; at one step
      ${bytesText(memory.lowerBoundBytes)} are alive, and no plan of this order needs less.
    </p>
    <details>
      <summary>All slots</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Table of slots">
        <table class="sortable">
          <thead>
            <tr>
              <th scope="col">Slot</th>
              <th scope="col">Size</th>
              <th scope="col" class="left">Temporary</th>
              <th scope="col" class="left">Written first by</th>
              <th scope="col">Steps</th>
            </tr>
          </thead>
          <tbody>
            ${memory.slots.flatMap(({ bytes, temporaries: ids }, slot) =>
              ids.map((id) => {
                const found = byBuffer.get(id);
                if (found === undefined) return null;
                const writer = byPosition.get(found.first);
                return html`<tr>
                  <td data-value="${slot}">${slot}</td>
                  <td data-value="${bytes}">${bytesText(bytes)}</td>
                  <td class="left">${typeText(found)}</td>
                  <td class="left">
                    ${writer === undefined ? "" : html`<a href="#d${writer.index}">${writer.name}</a>`}
                  </td>
                  <td data-value="${found.first}">${found.first} to ${found.last}</td>
                </tr> `;
              }),
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}

function codeList({ explanation: { pipelines, dispatches } }: Explained): Markup {
  return html`${pipelines.map(
    ({ name, code, dispatches: indices }, i) =>
      html`<details class="code">
        <summary>
          <b>${name}</b>
          <span
            >${plural(indices.length, "dispatch", "dispatches")},
            ${plural(code.split("\n").length - 1, "line")}</span
          >
        </summary>
        <p id="p${i}" class="note">
          Dispatched as
          ${indices.map((index, n) => html`${n > 0 && ", "}<a href="#d${index}">${index} ${dispatches[index]?.name ?? ""}</a>`)}.
        </p>
        <pre tabindex="0"><code>${code}</code></pre>
      </details> `,
  )}`;
}
