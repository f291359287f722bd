/** The playground alone for its tests, or what explains a step: of the device after #explain=. */
import { render } from "preact";
import { lazy, Suspense } from "preact/compat";
import { explained } from "./explained.ts";
import "./page.css";

const Playground = lazy(async () => {
  const { Playground } = await import("../../../studio/src/playground/playground.tsx");
  const { verified } = await import("../../../studio/src/playground/session.ts");
  // For the test that compares it with the command line's.
  const report = (): unknown => {
    const { passed, reports } = verified.value.now ?? {};
    return JSON.parse(JSON.stringify({ passed, reports }));
  };
  Object.assign(globalThis, { playground: { verified: report } });
  return Playground;
});
const ExplainView = lazy(async () => {
  const { ExplainView } = await import("../../../studio/src/explain/explain-view.tsx");
  return ExplainView;
});

const run = /^#explain=(.*)$/.exec(location.hash)?.[1];

render(
  <Suspense fallback={<p>Loading.</p>}>
    <h1>{run === undefined ? "Playground" : "Explain"}</h1>
    {run === undefined ? (
      <Playground />
    ) : (
      <ExplainView
        run={run}
        runs={true}
        explain={explained}
        stop={async () => undefined}
        progress={undefined}
      />
    )}
  </Suspense>,
  document.getElementById("page") as HTMLElement, // index.html has it
);
