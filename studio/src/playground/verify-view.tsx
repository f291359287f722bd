/** The table of a verify: a row for each identity, and for what fails its counterexample and usual cause. Consumed by playground.tsx. */
import { counterexampleLines, numberText } from "../../../src/runtime/verify/report-text.ts";
import type { IdentityResult, VerifyReport } from "../../../src/runtime/verify/report.ts";
import type { VerifyAnswer } from "./messages.ts";
import { ResultTable } from "./result-table.tsx";
import type { ResultColumn } from "./result-table.tsx";

interface GoTo {
  readonly onGoTo: (line: number, column?: number) => void;
}

export function VerifyView({ answer, onGoTo }: { readonly answer: VerifyAnswer } & GoTo) {
  return (
    <>
      {answer.reports.map((report) => (
        <Report key={report.variant} report={report} places={answer.places} onGoTo={onGoTo} />
      ))}
    </>
  );
}

function Report({
  report,
  places,
  onGoTo,
}: { readonly report: VerifyReport; readonly places: VerifyAnswer["places"] } & GoTo) {
  const { variant, kind, device, results, leftOut } = report;
  const failed = results.filter(({ passed }) => !passed);
  return (
    <section class="play-report">
      <h3>
        {variant} <span class="play-soft">({kind})</span>
      </h3>
      <p class={failed.length === 0 ? "play-good" : "play-bad"}>
        {failed.length === 0
          ? `✔ All ${results.length} identities hold.`
          : `✘ ${failed.length} of ${results.length} identities ${failed.length === 1 ? "fails" : "fail"}.`}{" "}
        <span class="play-soft">On the {device}.</span>
      </p>
      {failed.map((result) => (
        <Failure
          key={result.name}
          result={result}
          place={places.find((one) => one.variant === variant && one.identity === result.name)}
          onGoTo={onGoTo}
        />
      ))}
      <ResultTable
        label={`Identities of ${variant}`}
        columns={IDENTITIES}
        rows={results}
        keyOf={({ name }) => name}
        rowClass={({ passed }) => (passed ? undefined : "play-failed")}
      />
      {leftOut.length > 0 && (
        <details>
          <summary>{leftOut.length} left out</summary>
          <ul>
            {leftOut.map(({ name, reason }) => (
              <li key={name}>
                <strong>{name}</strong>: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const IDENTITIES: readonly ResultColumn<IdentityResult>[] = [
  {
    head: "Result",
    of: ({ passed }) => (passed ? "✔ holds" : "✘ fails"),
    class: ({ passed }) => (passed ? "play-good" : "play-bad"),
  },
  { head: "Identity", names: true, of: ({ name }) => name },
  { head: "Cases", number: true, of: ({ cases }) => cases },
  {
    head: "Worst",
    number: true,
    of: ({ error, worst }) => (error === undefined ? numberText(worst) : "error"),
  },
  { head: "At most", number: true, of: ({ tolerance }) => numberText(tolerance) },
  { head: "Formula", of: ({ formula }) => formula, class: () => "play-formula" },
];

function Failure({
  result: { name, formula, counterexample, cause, error },
  place,
  onGoTo,
}: { readonly result: IdentityResult; readonly place: VerifyAnswer["places"][number] | undefined } & GoTo) {
  return (
    <div class="play-failure">
      <h4>✘ {name}</h4>
      <p class="play-formula">{formula}</p>
      {error !== undefined && <p>It could not be computed: {place?.message ?? error}</p>}
      {place?.line !== undefined && <LineButton line={place.line} column={place.column} onGoTo={onGoTo} />}
      {counterexample !== undefined && (
        <pre tabIndex={0} role="region" aria-label={`Counterexample of ${name}`}>
          {counterexampleLines(counterexample).join("\n")}
        </pre>
      )}
      {cause !== undefined && (
        <p>
          <strong>Usual cause:</strong> {cause}
        </p>
      )}
    </div>
  );
}

/** Leads to a line of the editor. */
export function LineButton({
  line,
  column,
  onGoTo,
}: { readonly line: number; readonly column: number | undefined } & GoTo) {
  return (
    <button type="button" class="play-link" onClick={() => onGoTo(line, column)}>
      Go to line {line}
    </button>
  );
}
