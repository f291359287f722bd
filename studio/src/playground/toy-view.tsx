/** What training on the toy gave: the losses, and what the models write in how many steps. Consumed by playground.tsx. */
import { LossChart } from "./loss-chart.tsx";
import type { ToyCurve, ToyResult, ToySamples } from "./messages.ts";

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

interface ToyViewProps {
  readonly result: ToyResult | undefined;
  readonly before: ToyResult | undefined;
  /** Of the training that goes on; else the result's are shown. */
  readonly live: readonly ToyCurve[] | undefined;
  readonly steps: number;
}

export function ToyView({ result, before, live, steps }: ToyViewProps) {
  // While it trains, what was trained last is what there was before.
  const old = live === undefined ? before : result;
  return (
    <section class="play-report">
      <LossChart
        curves={live ?? result?.curves ?? []}
        before={old?.curves ?? []}
        steps={live === undefined ? (result?.steps ?? steps) : steps}
      />
      {live === undefined && result !== undefined && <Samples result={result} />}
    </section>
  );
}

function Samples({ result }: { readonly result: ToyResult }) {
  const { name, kind, device, steps, seed, milliseconds, samples } = result;
  return (
    <>
      <p>
        <strong>{name}</strong> ({kind}), {steps} steps with seed {seed} on the {device}, in{" "}
        {(milliseconds / 1000).toFixed(1)} s. The corpus is “New York” and “San Diego”; words drawn one by one
        would be a known phrase half of the time.
      </p>
      <div class="play-scroll" tabIndex={0} role="region" aria-label="Texts of the trained models">
        <table>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="play-number">
                Steps
              </th>
              <th scope="col" class="play-number">
                Known phrases
              </th>
              <th scope="col">Texts</th>
            </tr>
          </thead>
          <tbody>
            {samples.map((row) => (
              <SamplesRow key={`${row.kind} ${row.steps}`} row={row} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function SamplesRow({ row: { model, kind, steps, known, texts, reason } }: { readonly row: ToySamples }) {
  return (
    <tr>
      <th scope="row">
        {model} <span class="play-soft">({kind})</span>
      </th>
      <td class="play-number">{steps}</td>
      <td class="play-number">{known === undefined ? "none" : percent(known)}</td>
      <td class="play-texts">{reason ?? texts.map(([text, count]) => `${text} ${count}×`).join(", ")}</td>
    </tr>
  );
}
