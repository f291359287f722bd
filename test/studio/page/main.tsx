/** The playground alone, for its tests. */
import { render } from "preact";
import { lazy, Suspense } from "preact/compat";
import "./page.css";

const Playground = lazy(() => import("../../../studio/src/playground/playground.tsx").then((module) => module.Playground));

render(
  <Suspense fallback={<p>The playground is loading.</p>}>
    <h1>Playground</h1>
    <Playground />
  </Suspense>,
  document.getElementById("page") as HTMLElement, // index.html has it
);
