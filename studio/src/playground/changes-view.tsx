/** What changed since the result before: identities that turned, residuals, shares. Consumed by playground.tsx. */
import type { ComponentChildren } from "preact";
import { numberText } from "../../../src/runtime/verify/report-text.ts";
import type { IdentityResult } from "../../../src/runtime/verify/report.ts";
import { identityChanges, shareChanges } from "./changes.ts";
import type { IdentityChange } from "./changes.ts";
import type { ToyResult, Verified } from "./messages.ts";
import type { Kept } from "./session.ts";
import { percent } from "./toy-view.tsx";

interface ChangesViewProps {
  readonly verified: Kept<Verified>;
  readonly trained: Kept<ToyResult>;
  /** Beside the heading. */
  readonly mark: ComponentChildren;
}

export function ChangesView({ verified, trained, mark }: ChangesViewProps) {
  const parts: ComponentChildren[] = [];
  if (verified.before !== undefined && verified.now !== undefined)
    parts.push(<Identities key="identities" before={verified.before} now={verified.now} />);
  if (trained.before !== undefined && trained.now !== undefined)
    parts.push(<Shares key="shares" before={trained.before} now={trained.now} />);
  if (parts.length === 0) return null;
  return (
    <section class="play-report" aria-labelledby="play-changes">
      <h2 id="play-changes">What changed {mark}</h2>
      {parts}
    </section>
  );
}

function Identities({ before, now }: { readonly before: Verified; readonly now: Verified }) {
  const changes = identityChanges(before, now);
  if (changes.length === 0)
    return <p>Since the verify before, no identity has turned, and no residual has moved tenfold.</p>;
  return (
    <div class="play-scroll" tabIndex={0} role="region" aria-label="Identities that changed">
      <table>
        <thead>
          <tr>
            <th scope="col">Change</th>
            <th scope="col">Identity</th>
            <th scope="col" class="play-number">
              Before
            </th>
            <th scope="col" class="play-number">
              Now
            </th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <ChangeRow key={`${change.variant} ${change.identity} ${change.turn}`} change={change} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MARKS: Readonly<Record<IdentityChange["turn"], readonly [className: string, text: string]>> = {
  "holds now": ["play-good", "✔ holds now"],
  "fails now": ["play-bad", "✘ fails now"],
  moved: ["", "residual moved"],
  new: ["", "new"],
  gone: ["play-soft", "no more asked"],
};

const residualText = (result: IdentityResult | undefined): string =>
  result === undefined ? "–" : result.error === undefined ? numberText(result.worst) : "error";

function ChangeRow({
  change: { variant, identity, turn, before, after },
}: {
  readonly change: IdentityChange;
}) {
  const [className, text] = MARKS[turn];
  return (
    <tr>
      <td class={className}>{text}</td>
      <th scope="row">
        {identity} <span class="play-soft">of {variant}</span>
      </th>
      <td class="play-number">{residualText(before)}</td>
      <td class="play-number">{residualText(after)}</td>
    </tr>
  );
}

function Shares({ before, now }: { readonly before: ToyResult; readonly now: ToyResult }) {
  const changes = shareChanges(before, now);
  if (changes.length === 0) return <p>The two trainings have no numbers of steps in common.</p>;
  return (
    <div class="play-scroll" tabIndex={0} role="region" aria-label="Known phrases before and now">
      <table>
        <caption>Known phrases, before and now</caption>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="play-number">
              Steps
            </th>
            <th scope="col" class="play-number">
              Before
            </th>
            <th scope="col" class="play-number">
              Now
            </th>
            <th scope="col" class="play-number">
              Difference
            </th>
          </tr>
        </thead>
        <tbody>
          {changes.map(({ kind, steps, before, after }) => (
            <tr key={`${kind} ${steps}`}>
              <th scope="row">{kind}</th>
              <td class="play-number">{steps}</td>
              <td class="play-number">{percent(before)}</td>
              <td class="play-number">{percent(after)}</td>
              <td class="play-number">{`${after < before ? "−" : "+"}${percent(Math.abs(after - before))}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
