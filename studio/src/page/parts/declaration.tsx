/**
 * What a run was trained from, where that is in a user's file: which file is needed, that it will be run here, and the buttons that choose,
 * run and stop it. Consumed by app.tsx.
 */
import { useEffect, useRef } from "preact/hooks";
import type { Studio } from "../../engine/client.ts";
import type { Declared } from "../../engine/protocol.ts";
import { MODULE_EXTENSIONS } from "../../../../src/runtime/user-exports.ts";

const WORKER = "in a worker that reaches nothing but this page and its runs";

/** What is known of the file that was given. */
function told({ given }: Declared): string {
  if (given === undefined) return "";
  if (given.same === true)
    return `${given.name} is at hand, as it was then. It runs when you say so, ${WORKER}.`;
  const otherwise = `It runs if you say so, ${WORKER}.`;
  return given.same === false
    ? `${given.name} is not the text that it was trained with, and may differ in a comment alone. ${otherwise}`
    : `Whether ${given.name} is the file of then cannot be told: the run keeps a hash of bundled code, and none of the text. ${otherwise}`;
}

function ChooseFile({
  store,
  label,
  plain,
}: {
  readonly store: Studio;
  readonly label: string;
  readonly plain: boolean;
}) {
  return (
    <label class={plain ? "button file plain" : "button file"}>
      {label}
      <input
        type="file"
        accept={MODULE_EXTENSIONS.join(",")}
        aria-label={label}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          event.currentTarget.value = "";
          if (file !== undefined) void store.declaration.give(file);
        }}
      />
    </label>
  );
}

export function Declaration({ store }: { readonly store: Studio }) {
  const phase = store.declaration.phase.value;
  const declared = store.run.value?.declared;
  const section = useRef<HTMLElement>(null);
  const before = useRef(phase);
  useEffect(() => {
    // The button that was pressed is gone: keys go on where it was.
    if (before.current !== undefined && before.current !== phase && document.activeElement === document.body)
      section.current?.focus({ preventScroll: true });
    before.current = phase;
  }, [phase]);
  if (phase === undefined || declared === undefined) return null;
  const { given } = declared;
  const name = given?.name ?? declared.file;
  return (
    <section class="declaration" aria-label="The run's declaration" ref={section} tabIndex={-1}>
      {phase === "running" || phase === "starting" ? (
        <p>
          {phase === "running" ? (
            <>
              <strong>{name}</strong> runs for this run, {WORKER}.
            </>
          ) : (
            <>
              <strong>{name}</strong> is being run…
            </>
          )}
        </p>
      ) : (
        <p>
          This run was trained from the declaration <strong>{declared.export}</strong> in{" "}
          <strong>{declared.file}</strong>.{" "}
          {given === undefined
            ? `Code is never taken out of a run: to write with it, choose that file or drop it here. It is then run, ${WORKER}.`
            : told(declared)}
        </p>
      )}
      <div class="acts">
        {phase === "missing" && <ChooseFile store={store} label={`Choose ${declared.file}…`} plain={false} />}
        {phase === "kept" && (
          <>
            <button type="button" class="main" onClick={() => void store.declaration.start()}>
              {given?.same === true ? `Run ${name}` : "Run it all the same"}
            </button>
            <ChooseFile store={store} label="Choose another file…" plain={true} />
          </>
        )}
        {(phase === "starting" || phase === "running") && (
          <button type="button" onClick={() => void store.declaration.stop()}>
            Stop<span class="unseen"> {name}</span>
          </button>
        )}
      </div>
    </section>
  );
}
