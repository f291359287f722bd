/** The table of dispatches of the page, with what each computes and binds folded into its row. Consumed by the page. */
import type { BoundBuffer, ExplainedDispatch, Explanation } from "../../compiler/explain/explanation.ts";
import { html } from "../../runtime/explain/html.ts";
import type { Markup } from "../../runtime/explain/html.ts";
import {
  bytesText,
  countText,
  engineering,
  percentText,
  plural,
  timeText,
} from "../../runtime/explain/units.ts";
import { opsText, typeText } from "../../runtime/explain/words.ts";
import { siteText } from "./subject.ts";

/** A column of numbers: its head, what it sorts by, and how that reads. */
interface Column {
  readonly head: string;
  readonly of: (dispatch: ExplainedDispatch) => number;
  readonly text: (value: number, dispatch: ExplainedDispatch) => string;
  /** What stands in the last row: the sum of those above it, or nothing. */
  readonly total: number | null;
}

function columnsOf({ totals, dispatches, pipelines, copies }: Explanation): readonly Column[] {
  const timed = totals.nanoseconds;
  const looped = dispatches.some(({ runs }) => runs !== 1) || copies.some(({ runs }) => runs !== 1);
  return [
    {
      head: "Workgroups × lanes",
      of: ({ workgroups, lanes }) => workgroups * lanes,
      text: (_, { workgroups, lanes }) => `${countText(workgroups)} × ${lanes}`,
      total: null,
    },
    ...(looped
      ? [{ head: "Runs", of: ({ runs }: ExplainedDispatch) => runs, text: countText, total: null }]
      : []),
    {
      head: "Ops",
      of: ({ ops }) => ops.length,
      text: countText,
      total: null,
    },
    {
      head: "FLOP",
      of: ({ flops }) => flops,
      text: (value) => engineering(value).trimEnd(),
      total: totals.flops,
    },
    { head: "Read", of: ({ bytesRead }) => bytesRead, text: bytesText, total: totals.bytesRead },
    { head: "Written", of: ({ bytesWritten }) => bytesWritten, text: bytesText, total: totals.bytesWritten },
    {
      head: "Same code",
      of: ({ pipeline }) => pipelines[pipeline]?.dispatches.length ?? 0,
      text: countText,
      total: null,
    },
    ...(timed === null
      ? []
      : [
          { head: "GPU time", of: timeOf, text: timeText, total: timed },
          { head: "Share", of: timeOf, text: (value: number) => percentText(value / timed), total: timed },
        ]),
  ];
}

const timeOf = ({ nanoseconds }: ExplainedDispatch): number => nanoseconds ?? 0;

/** The table; its last row is the sum of the others. */
export function dispatchTable(explanation: Explanation, folder: string): Markup {
  const { dispatches, copies } = explanation;
  if (dispatches.length === 0) return html`<p class="note">There is nothing to dispatch.</p>`;
  const columns = columnsOf(explanation);
  const copied = {
    flops: 0,
    bytesRead: copies.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    bytesWritten: copies.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
  };
  const copyText = (head: string): string =>
    head === "Read" ? bytesText(copied.bytesRead) : head === "Written" ? bytesText(copied.bytesWritten) : "";
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of dispatches">
    <table class="sortable">
      <thead>
        <tr>
          <th scope="col">#</th>
          <th scope="col" class="left">Kernel</th>
          ${columns.map(({ head }) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${dispatches.map(
          (dispatch) =>
            html`<tr id="d${dispatch.index}">
              <td data-value="${dispatch.index}">${dispatch.index}</td>
              <th scope="row" class="left">${dispatchDetails(dispatch, folder)}</th>
              ${columns.map(({ of, text }) => {
                const value = of(dispatch);
                return html`<td data-value="${value}">${text(value, dispatch)}</td>`;
              })}
            </tr> `,
        )}
      </tbody>
      <tfoot>
        ${
          copies.length > 0 &&
          html`<tr>
            <td></td>
            <th scope="row" class="left">${plural(copies.length, "copy", "copies")}</th>
            ${columns.map(({ head }) => html`<td>${copyText(head)}</td>`)}
          </tr> `
        }
        <tr>
          <td></td>
          <th scope="row" class="left">all</th>
          ${columns.map(({ total, text }) => html`<td>${total !== null && text(total, dispatches[0] as ExplainedDispatch)}</td>`)}
        </tr>
      </tfoot>
    </table>
  </div>`;
}

function dispatchDetails(dispatch: ExplainedDispatch, folder: string): Markup {
  const { name, site, buffers, pipeline, sharedBytes } = dispatch;
  return html`<details>
    <summary>${name}</summary>
    <dl>
      <dt>Ops</dt>
      <dd>${opsText(dispatch)}</dd>
      ${
        site !== null &&
        html`<dt>Line</dt>
          <dd title="${site}">${siteText(site, folder)}</dd>`
      }
      <dt>Buffers</dt>
      <dd>
        <ol start="0">
          ${buffers.map((buffer) => html`<li>${bufferText(buffer)}</li>`)}
        </ol>
      </dd>
      ${
        sharedBytes > 0 &&
        html`<dt>Shared</dt>
          <dd>${bytesText(sharedBytes)} by the lanes of a workgroup</dd>`
      }
      <dt>Code</dt>
      <dd><a href="#p${pipeline}">of this kernel</a></dd>
    </dl>
  </details>`;
}

const ACCESS = { read: "reads", write: "writes", readWrite: "reads and writes" } as const;

const bufferText = (bound: BoundBuffer): string =>
  `${ACCESS[bound.access]} ${typeText(bound)}, ${bytesText(bound.bytes)}, ${bound.role} ` +
  (bound.name ?? String(bound.buffer));
