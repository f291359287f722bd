/** What training on the toy gave: the losses, and what the models write in how many steps. Consumed by playground.tsx. */
import { LossChart } from "./loss-chart.tsx";
import type { ToyCurve, ToyResult, ToySamples } from "./messages.ts";
import { ResultTable } from "./result-table.tsx";
import type { ResultColumn } from "./result-table.tsx";

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
      <ResultTable
        label="Texts of the trained models"
        columns={SAMPLES}
        rows={samples}
        keyOf={({ kind, steps }) => `${kind} ${steps}`}
      />
    </>
  );
}

const SAMPLES: readonly ResultColumn<ToySamples>[] = [
  {
    head: "Model",
    names: true,
    of: ({ model, kind }) => (
      <>
        {model} <span class="play-soft">({kind})</span>
      </>
    ),
  },
  { head: "Steps", number: true, of: ({ steps }) => steps },
  {
    head: "Known phrases",
    number: true,
    of: ({ known }) => (known === undefined ? "none" : percent(known)),
  },
  {
    head: "Texts",
    of: ({ texts, reason }) => reason ?? texts.map(([text, count]) => `${text} ${count}×`).join(", "),
    class: () => "play-texts",
  },
];
