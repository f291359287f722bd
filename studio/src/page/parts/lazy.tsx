/** A view whose code is fetched when it is first looked at. Consumed by app.tsx and by views with heavy parts. */
import { useEffect, useState } from "preact/hooks";
import type { ComponentType } from "preact";

export function Lazy<P extends object>({
  load,
  props,
  onFailed,
}: {
  readonly load: () => Promise<ComponentType<P>>;
  readonly props: P;
  readonly onFailed: (message: string) => void;
}) {
  // In an object: a function as a state would be called.
  const [view, setView] = useState<{ readonly Component: ComponentType<P> } | undefined>(undefined);
  useEffect(() => {
    load().then(
      (Component) => setView({ Component }),
      (error: unknown) =>
        onFailed(
          `A part of the page could not be loaded (${error instanceof Error ? error.message : String(error)}). Check that its server still runs, and reload.`,
        ),
    );
  }, []);
  return view === undefined ? <p class="soft">…</p> : <view.Component {...props} />;
}
