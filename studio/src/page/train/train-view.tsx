/** The first view: what this is, a sentence forming, and the training that makes it. Consumed by app.tsx. */
import { useEffect, useRef } from "preact/hooks";
import type { Studio } from "../../engine/client.ts";
import { SentenceForming } from "../sentence/sentence.tsx";
import { ClockCurve } from "./clock-curve.tsx";
import { LossCurves } from "./curves.tsx";
import { Progress } from "./progress.tsx";
import { Runs } from "./runs.tsx";
import { StartForm } from "./start-form.tsx";
import { Texts } from "./texts.tsx";

export function TrainView({ store }: { readonly store: Studio }) {
  const activity = store.activity.value;
  const isBusy = activity !== undefined && activity !== "opening";
  const control = useRef<HTMLDivElement>(null);
  const wasBusy = useRef(isBusy);
  useEffect(() => {
    // The button that was pressed is gone with its form: keys go on where it was.
    if (isBusy !== wasBusy.current && document.activeElement === document.body)
      control.current?.focus({ preventScroll: true });
    wasBusy.current = isBusy;
  }, [isBusy]);
  const hasLog = store.run.value !== undefined && store.points.value.length > 0;
  return (
    <>
      <h1>A flow language model trains in this tab and writes text in one step.</h1>
      <p class="lead">
        FLM learns to carry noise to text in small steps, all words at once. FMLM learns from it to make the
        whole way in one jump. Nothing leaves this browser.
      </p>
      <div class="control" ref={control} tabIndex={-1} role="group" aria-label="Training">
        {isBusy ? <Progress store={store} /> : <StartForm store={store} />}
      </div>
      <SentenceForming store={store} />
      {store.run.value !== undefined && (hasLog || isBusy) && (
        <div class="measures">
          <LossCurves store={store} />
          <ClockCurve store={store} />
        </div>
      )}
      <Texts store={store} />
      <Runs store={store} />
    </>
  );
}
