/** What changed since the result before: identities that turned, residuals, shares. Consumed by playground.tsx. */
import type { ComponentChildren } from "preact";
import { numberText } from "../../../src/runtime/verify/report-text.ts";
import type { IdentityResult } from "../../../src/runtime/verify/report.ts";
import { identityChanges, shareChanges } from "./changes.ts";
import type { IdentityChange, ShareChange } from "./changes.ts";
import type { ToyResult, Verified } from "./messages.ts";
import { ResultTable } from "./result-table.tsx";
import type { ResultColumn } from "./result-table.tsx";
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
    <ResultTable
      label="Identities that changed"
      columns={CHANGES}
      rows={changes}
      keyOf={({ variant, identity, turn }) => `${variant} ${identity} ${turn}`}
    />
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

const CHANGES: readonly ResultColumn<IdentityChange>[] = [
  { head: "Change", of: ({ turn }) => MARKS[turn][1], class: ({ turn }) => MARKS[turn][0] },
  {
    head: "Identity",
    names: true,
    of: ({ identity, variant }) => (
      <>
        {identity} <span class="play-soft">of {variant}</span>
      </>
    ),
  },
  { head: "Before", number: true, of: ({ before }) => residualText(before) },
  { head: "Now", number: true, of: ({ after }) => residualText(after) },
];

const SHARES: readonly ResultColumn<ShareChange>[] = [
  { head: "Model", names: true, of: ({ kind }) => kind },
  { head: "Steps", number: true, of: ({ steps }) => steps },
  { head: "Before", number: true, of: ({ before }) => percent(before) },
  { head: "Now", number: true, of: ({ after }) => percent(after) },
  {
    head: "Difference",
    number: true,
    of: ({ before, after }) => `${after < before ? "−" : "+"}${percent(Math.abs(after - before))}`,
  },
];

function Shares({ before, now }: { readonly before: ToyResult; readonly now: ToyResult }) {
  const changes = shareChanges(before, now);
  if (changes.length === 0) return <p>The two trainings have no numbers of steps in common.</p>;
  return (
    <ResultTable
      label="Known phrases before and now"
      caption="Known phrases, before and now"
      columns={SHARES}
      rows={changes}
      keyOf={({ kind, steps }) => `${kind} ${steps}`}
    />
  );
}
