/**
 * The playground: declare a flow in TypeScript, verify it, train it on a toy, and see what changed since the last time.
 *
 * Mounted by the page as a tab, lazily: everything that it needs is in chunks of its own.
 */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ChangesView } from "./changes-view.tsx";
import { EditorView } from "./editor-view.tsx";
import type { Editor } from "./editor.ts";
import {
  curves,
  old,
  printed,
  problems,
  progress,
  running,
  said,
  sentenceOf,
  startAfresh,
  stop,
  train,
  trained,
  verified,
  verify,
} from "./session.ts";
import { STARTERS } from "./starters.ts";
import { ToyView } from "./toy-view.tsx";
import { LineButton, VerifyView } from "./verify-view.tsx";
import "../page/style/tables.css";
import "./playground.css";

export function Playground() {
  const editor = useRef<Editor>();
  const [cases, seed, steps] = [useSignal(16), useSignal(0), useSignal(300)];
  const chosen = useSignal("");
  const goTo = (line: number, column?: number): void => editor.current?.goTo(line, column);
  const busy = running.value !== undefined;
  const known = trained.value.now?.exports ?? [];
  const name = known.includes(chosen.value) ? chosen.value : "";
  return (
    <div class="playground">
      <div class="play-bar">
        <label>
          Begin with
          <select
            value=""
            onChange={({ currentTarget }) => {
              const starter = STARTERS.find((one) => one.name === currentTarget.value);
              if (starter !== undefined) {
                startAfresh(starter.name);
                editor.current?.replace(starter.source);
              }
              currentTarget.value = "";
            }}
          >
            <option value="">choose…</option>
            {STARTERS.map((starter) => (
              <option key={starter.name}>{starter.name}</option>
            ))}
          </select>
        </label>
        <div class="play-group">
          <NumberField label="Cases" value={cases} min={1} max={256} />
          <NumberField label="Seed" value={seed} min={0} max={1e9} />
          <button
            type="button"
            class="play-main"
            disabled={busy}
            onClick={() => void verify({ cases: cases.value, seed: seed.value })}
          >
            Verify
          </button>
        </div>
        <div class="play-group">
          <NumberField label="Steps" value={steps} min={1} max={5000} />
          {known.length > 1 && (
            <label>
              Train
              <select value={name} onChange={({ currentTarget }) => (chosen.value = currentTarget.value)}>
                <option value="">the flow map, if any</option>
                {known.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
          )}
          <button
            type="button"
            disabled={busy}
            onClick={() =>
              void train({
                steps: steps.value,
                seed: seed.value,
                device: "auto",
                ...(name === "" ? {} : { export: name }),
              })
            }
          >
            Train the toy
          </button>
        </div>
        <button type="button" class="play-stop" disabled={!busy} onClick={stop}>
          Stop
        </button>
      </div>
      <div class="play-columns">
        <div class="play-left">
          <EditorView
            onReady={(made) => {
              editor.current = made;
            }}
          />
          <Printed />
        </div>
        <div class="play-right">
          <Status onGoTo={goTo} />
          <Results onGoTo={goTo} steps={steps.value} />
        </div>
      </div>
    </div>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly value: Signal<number>;
  readonly min: number;
  readonly max: number;
}

/** A whole number; what is none stays as it was. */
function NumberField({ label, value, min, max }: NumberFieldProps) {
  return (
    <label>
      {label}
      <input
        type="number"
        value={value.value}
        min={min}
        max={max}
        step={1}
        onChange={({ currentTarget }) => {
          const given = currentTarget.valueAsNumber;
          if (Number.isSafeInteger(given)) value.value = Math.min(max, Math.max(min, given));
          currentTarget.value = String(value.value);
        }}
      />
    </label>
  );
}

interface GoTo {
  readonly onGoTo: (line: number, column?: number) => void;
}

/** What is going on, or how it ended. */
function Status({ onGoTo }: GoTo) {
  const now = progress.value;
  const [problem] = problems.value;
  const failed = running.value === undefined && problem !== undefined && said.value === sentenceOf(problem);
  return (
    <div class={failed ? "play-status play-problem" : "play-status"}>
      {running.value !== undefined && (
        <>
          <progress
            aria-label={running.value === "verify" ? "Verifying" : "Training"}
            max={now?.total ?? 1}
            value={now?.done}
          />
          <span>
            {now === undefined
              ? "Preparing…"
              : `${now.what}: ${now.done} of ${now.total}${now.part === undefined ? "" : `, ${now.part}`}`}
          </span>
        </>
      )}
      <p role="status" class="play-said">
        {running.value === undefined ? said.value : ""}
        {running.value === undefined && old.said.value && " The text was changed since then."}
      </p>
      {failed && problem?.line !== undefined && (
        <LineButton line={problem.line} column={problem.column} onGoTo={onGoTo} />
      )}
    </div>
  );
}

function Results({ onGoTo, steps }: GoTo & { readonly steps: number }) {
  const [check, toy] = [verified.value, trained.value];
  const training = running.value === "train";
  if (check.now === undefined && toy.now === undefined && !training)
    return (
      <p class="play-soft">
        <strong>Verify</strong> checks what the code exports against the exact flow of a small corpus.{" "}
        <strong>Train the toy</strong> trains it on two phrases. Both run in a worker that Stop ends.
      </p>
    );
  return (
    <>
      <ChangesView
        verified={check}
        trained={toy}
        mark={(old.verified.value || old.trained.value) && <Old />}
      />
      {(training || toy.now !== undefined) && (
        <>
          <h2>The toy {!training && old.trained.value && <Old />}</h2>
          <ToyView
            result={toy.now}
            before={toy.before}
            live={training ? curves.value : undefined}
            steps={steps}
          />
        </>
      )}
      {check.now !== undefined && (
        <>
          <h2>Identities {old.verified.value && <Old />}</h2>
          <VerifyView answer={check.now} onGoTo={onGoTo} />
        </>
      )}
    </>
  );
}

/** Marks what is not of the text as it stands. */
const Old = () => <span class="play-old">of an older text</span>;

function Printed() {
  const lines = printed.value;
  if (lines.length === 0) return null;
  return (
    <details class="play-printed" open>
      <summary>Printed by the code</summary>
      <pre tabIndex={0} role="region" aria-label="Printed by the code">
        {lines.join("\n")}
      </pre>
    </details>
  );
}
