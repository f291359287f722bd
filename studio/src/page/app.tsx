/**
 * The shell: bar, messages, and the view that the address names. A view that was opened stays, hidden, so that nothing typed is lost.
 * Consumed by main.tsx. To add a view: a name in route.ts, and a case here.
 */
import { useRef } from "preact/hooks";
import type { ComponentChildren, ComponentType } from "preact";
import type { Studio } from "../engine/client.ts";
import { useDrop } from "./drop.ts";
import { Lazy } from "./parts/lazy.tsx";
import { Problems } from "./parts/problems.tsx";
import { tab, type Tab } from "./route.ts";
import { TopBar } from "./top-bar.tsx";
import { TrainView } from "./train/train-view.tsx";

/** Written by others; a build without them says so. */
const parts = import.meta.glob<Record<string, ComponentType<{ readonly store: Studio }>>>([
  "../playground/playground.tsx",
  "../explain/explain-view.tsx",
]);
const part = async (path: string, name: string): Promise<ComponentType<{ readonly store: Studio }>> =>
  (await parts[path]?.())?.[name] ?? (() => <p>This build has no such view.</p>);

function View({ name, children }: { readonly name: Tab; readonly children: ComponentChildren }) {
  const opened = useRef(false);
  if (tab.value === name) opened.current = true;
  return (
    <div class="view" hidden={tab.value !== name} data-view={name}>
      {opened.current ? children : null}
    </div>
  );
}

export function App({ store }: { readonly store: Studio }) {
  useDrop(store);
  const onFailed = store.report;
  return (
    <div class="frame">
      <TopBar store={store} />
      <Problems store={store} />
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
          <Lazy
            load={() => part("../playground/playground.tsx", "Playground")}
            props={{ store }}
            onFailed={onFailed}
          />
        </View>
        <View name="explain">
          <Lazy
            load={() => part("../explain/explain-view.tsx", "ExplainView")}
            props={{ store }}
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
