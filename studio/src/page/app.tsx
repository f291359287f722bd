/**
 * The shell: bar, messages, and the view that the address names. A view that was opened stays, hidden, so that nothing typed is lost.
 * Consumed by main.tsx. To add a view: a name in route.ts, and a case here.
 */
import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Studio } from "../engine/client.ts";
import { useDrop } from "./drop.ts";
import { Declaration } from "./parts/declaration.tsx";
import { Lazy } from "./parts/lazy.tsx";
import { Problems } from "./parts/problems.tsx";
import { tab, type Tab } from "./route.ts";
import { TopBar } from "./top-bar.tsx";
import { doneOf } from "./train/progress.tsx";
import { TrainView } from "./train/train-view.tsx";

function View({ name, children }: { readonly name: Tab; readonly children: ComponentChildren }) {
  const opened = useRef(false);
  if (tab.value === name) opened.current = true;
  return (
    <div class="view" hidden={tab.value !== name} data-view={name}>
      {opened.current ? children : null}
    </div>
  );
}

/** How far a training is, where it can be seen while another tab is looked at. */
function useTitle(store: Studio): void {
  const run = store.run.value;
  const isTraining = run !== undefined && store.training.value === run.id;
  const share = isTraining
    ? Math.floor((100 * doneOf(run, store.progress.value)) / Math.max(1, run.steps))
    : 0;
  useEffect(() => {
    document.title = isTraining ? `${share}% · Fluxion studio` : "Fluxion studio";
  }, [isTraining, share]);
}

export function App({ store }: { readonly store: Studio }) {
  useDrop(store);
  useTitle(store);
  const onFailed = store.report;
  return (
    <div class="frame">
      <TopBar store={store} />
      <Problems store={store} />
      {tab.value !== "playground" && <Declaration store={store} />}
      <main>
        <View name="train">
          <TrainView store={store} />
        </View>
        <View name="write">
          <Lazy
            load={async () => (await import("./write/write-view.tsx")).WriteView}
            props={{ store }}
            onFailed={onFailed}
          />
        </View>
        <View name="playground">
          <h1>Playground</h1>
          <p class="lead">
            Declare a flow: an interpolant, a clock, an objective. Check it against the exact flow of a small
            corpus, train it on a toy, and see what changed.
          </p>
          <Lazy
            load={async () => (await import("../playground/playground.tsx")).Playground}
            props={{}}
            onFailed={onFailed}
          />
        </View>
        <View name="explain">
          <h1>Explain</h1>
          <p class="lead">
            What one step of the training runs: its kernels, the bytes that they move, their times.
          </p>
          <Lazy
            load={async () => (await import("../explain/explain-view.tsx")).ExplainView}
            props={{
              run: store.run.value?.id,
              runs: [undefined, "running"].includes(store.declaration.phase.value),
              explain: store.explain,
              stop: store.stopExplaining,
              progress: store.explaining.value,
            }}
            onFailed={onFailed}
          />
        </View>
      </main>
      <p class="unseen" aria-live="polite">
        {store.note.value}
      </p>
    </div>
  );
}
