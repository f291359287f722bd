/** The runs that this browser keeps: open, go on, save as files, delete. Consumed by train-view.tsx. */
import { useSignal } from "@preact/signals";
import { MODULE_EXTENSIONS } from "../../../../src/runtime/user-exports.ts";
import type { Studio } from "../../engine/client.ts";
import type { RunSummary } from "../../engine/protocol.ts";
import { take } from "../drop.ts";
import { bytes, count, date } from "../format.ts";

const stateOf = ({ state, done, steps }: RunSummary): string => {
  switch (state) {
    case "training":
      return "training";
    case "finished":
      return "finished";
    case "imported":
      return "from files";
    case "idle":
      return done === 0 ? "not begun" : `paused at ${count(done)} of ${count(steps)}`;
  }
};

/** One after the other: browsers ask once whether a page may save several files. */
async function save(store: Studio, id: string): Promise<void> {
  const files = await store.exportRun(id);
  if (files === undefined) return;
  for (const { name, blob } of files) {
    const url = URL.createObjectURL(blob);
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    // Revoked at once, the URL may be gone before the browser has begun to save.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  store.say("The run's files are saved.");
}

function Run({ run, store }: { readonly run: RunSummary; readonly store: Studio }) {
  const asking = useSignal(false);
  const saving = useSignal(false);
  const isOpen = store.run.value?.id === run.id;
  const { vocabulary, length, width, depth, seed } = run.settings;
  const busy = store.activity.value !== undefined;
  const name = `${run.text}, ${date(run.created)}`;
  return (
    <li class={isOpen ? "open" : ""}>
      <div class="what">
        <button
          type="button"
          class="link"
          aria-pressed={isOpen}
          onClick={() => void store.choose(run.id)}
          title="Look at this run"
        >
          {run.text}
        </button>
        <span class="soft small numeric">
          {[
            date(run.created),
            stateOf(run),
            `${count(vocabulary)} × ${length} tokens`,
            `width ${width}, ${depth} deep`,
            `seed ${seed}`,
            run.declared === undefined ? "" : `declared in ${run.declared.file}`,
            bytes(run.bytes),
          ]
            .filter((part) => part !== "")
            .join(" · ")}
        </span>
        {run.stuck !== undefined && <span class="soft small">{run.stuck}</span>}
      </div>
      <div class="acts">
        {asking.value ? (
          <>
            <span class="small">Delete for good?</span>
            <button
              type="button"
              class="plain bad"
              onClick={() => void store.remove(run.id).then(() => (asking.value = false))} // also where it was refused
            >
              Delete<span class="unseen"> {name} for good</span>
            </button>
            <button
              type="button"
              class="plain"
              ref={(button) => button?.focus()}
              onClick={() => (asking.value = false)}
            >
              Keep
            </button>
          </>
        ) : (
          <>
            {run.lacksText !== undefined && !busy && (
              <label class="button file">
                Resume with {run.lacksText}…
                <input
                  type="file"
                  aria-label={`Resume ${name} with its text, ${run.lacksText}`}
                  onChange={(event) => {
                    const [text] = event.currentTarget.files ?? [];
                    event.currentTarget.value = "";
                    if (text !== undefined) void store.resumeWith(run.id, text);
                  }}
                />
              </label>
            )}
            {run.state === "idle" && run.lacksText === undefined && (
              <button type="button" disabled={busy} onClick={() => void store.resume(run.id)}>
                Resume<span class="unseen"> {name}</span>
              </button>
            )}
            <button
              type="button"
              class="plain"
              disabled={saving.value}
              onClick={() => {
                saving.value = true;
                void save(store, run.id).finally(() => (saving.value = false));
              }}
            >
              Save files<span class="unseen"> of {name}</span>
            </button>
            <button
              type="button"
              class="plain"
              disabled={run.state === "training"}
              onClick={() => (asking.value = true)}
            >
              Delete…<span class="unseen"> {name}</span>
            </button>
          </>
        )}
      </div>
    </li>
  );
}

export function Runs({ store }: { readonly store: Studio }) {
  const runs = store.runs.value;
  return (
    <section class="section" aria-labelledby="runs-title">
      <header>
        <h2 id="runs-title">Runs in this browser</h2>
        <label class="button file end">
          Open a run of the command line…
          <input
            type="file"
            multiple
            accept={[".json", ".jsonl", ".safetensors", ".txt", ...MODULE_EXTENSIONS].join(",")}
            aria-label="Open a run of the command line: config.json, vocabulary.json, and weights or a state"
            onChange={(event) => {
              const chosen = [...(event.currentTarget.files ?? [])];
              event.currentTarget.value = "";
              void take(store, chosen);
            }}
          />
        </label>
      </header>
      {runs.length === 0 ? (
        <p class="soft">
          None yet. A training is saved here as it goes, and is here again when the page is reopened. Runs of
          the command line can be dropped anywhere on the page.
        </p>
      ) : (
        <ul class="runs">
          {runs.map((run) => (
            <Run key={run.id} run={run} store={store} />
          ))}
        </ul>
      )}
    </section>
  );
}
