/** The training that goes on, in one line: phase, steps, loss, rate, time left, and the button that pauses it. Consumed by train-view.tsx. */
import type { Progress as Where, Studio } from "../../engine/client.ts";
import type { RunDetail, RunSummary } from "../../engine/protocol.ts";
import { count, duration, rate } from "../format.ts";

/** Steps of both trainings that are done. */
export const doneOf = (run: RunDetail, where: Where | undefined): number =>
  where === undefined || where.run !== run.id
    ? run.done
    : (where.phase === "fmlm" ? run.settings.flmSteps : 0) + where.done;

/** At the present rate. A step of FMLM takes longer than one of FLM, so this is a guess until FMLM runs. */
function secondsLeft(run: RunDetail, where: Where): number {
  const { batch, length } = run.settings;
  return ((run.steps - doneOf(run, where)) * batch * length) / where.tokensPerSecond;
}

const WHAT = {
  opening: "Opening the device",
  starting: "Reading the text",
  preparing: "Compiling the training step",
  pausing: "Saving",
} as const;

/** What a run is called beside others. */
const titleOf = ({ text, declared }: RunSummary): string =>
  declared === undefined ? text : `${text}, declared in ${declared.file}`;

function Pause({ store }: { readonly store: Studio }) {
  const activity = store.activity.value;
  return (
    <button
      type="button"
      class="main"
      disabled={activity !== "training" && activity !== "preparing"}
      onClick={() => void store.pause()}
    >
      Pause
    </button>
  );
}

export function Progress({ store }: { readonly store: Studio }) {
  const run = store.run.value;
  const where = store.progress.value;
  const activity = store.activity.value;
  // While the text is read, the run that is looked at is still the one before.
  if (run === undefined || activity === "starting")
    return <p class="soft">{activity === undefined ? "" : `${WHAT.starting}…`}</p>;
  const other = store.training.value;
  if (other !== undefined && other !== run.id) {
    const trained = store.runs.value.find(({ id }) => id === other);
    return (
      <div class="progress">
        <div class="line">
          <strong>Another run trains: {trained === undefined ? other : titleOf(trained)}</strong>
          {activity !== undefined && activity !== "training" && <span class="soft">{WHAT[activity]}…</span>}
          <Pause store={store} />
        </div>
      </div>
    );
  }
  const done = doneOf(run, where);
  const phase = where?.phase ?? (done >= run.settings.flmSteps ? "fmlm" : "flm");
  const total = Math.max(1, run.steps);
  return (
    <div class="progress">
      <div class="line">
        <strong class={phase}>
          {run.labels[phase]} {phase === "flm" ? "learns the flow" : "learns to jump"}
        </strong>
        {where !== undefined && (
          <dl>
            <div>
              <dt>Step</dt>
              <dd>
                {count(where.done)} of {count(where.steps)}
              </dd>
            </div>
            <div>
              <dt>Loss</dt>
              <dd>{where.loss.toFixed(3)}</dd>
            </div>
            <div>
              <dt>Tokens/s</dt>
              <dd>{rate(where.tokensPerSecond)}</dd>
            </div>
            {activity === "training" && (
              <div>
                <dt>Left</dt>
                <dd>about {duration(secondsLeft(run, where))}</dd>
              </div>
            )}
          </dl>
        )}
        {activity !== undefined && activity !== "training" && <span class="soft">{WHAT[activity]}…</span>}
        <Pause store={store} />
      </div>
      <div
        class="bar"
        role="progressbar"
        aria-label="Steps of both trainings"
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done}
        aria-valuetext={`${count(done)} of ${count(total)} steps`}
      >
        <span class="flm" style={{ width: `${(100 * Math.min(done, run.settings.flmSteps)) / total}%` }} />
        <span
          class="fmlm"
          style={{ width: `${(100 * Math.max(0, done - run.settings.flmSteps)) / total}%` }}
        />
      </div>
    </div>
  );
}
