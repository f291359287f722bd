/** Writing with a run: from noise in 1 to 64 steps, or around words that the visitor gives. Consumed by app.tsx. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { Studio } from "../../engine/client.ts";
import type { ModelName, RunDetail, SampleRequest, SampleResult } from "../../engine/protocol.ts";
import { counted, milliseconds } from "../format.ts";
import { Choice } from "../parts/choice.tsx";
import { Blanks } from "./blanks.tsx";
import { areLetters, patternOf } from "./infill.ts";

interface Written {
  readonly id: number;
  /** What the model is called. */
  readonly label: string;
  readonly request: SampleRequest;
  readonly result: SampleResult;
}

/** Newest first; older ones are for comparing. */
const KEPT = 12;

function Result({ written, letters }: { readonly written: Written; readonly letters: boolean }) {
  const { request, result } = written;
  const given = request.infill === undefined ? [] : letters ? [...request.infill] : request.infill.split(" ");
  return (
    <li class={request.model}>
      <div>
        <p class="took numeric">{milliseconds(result.milliseconds)}</p>
        <p class="small soft numeric">
          {written.label}, {counted(request.steps, "step")}, seed {request.seed}
          {(request.temperature ?? 1) !== 1 && `, temperature ${request.temperature}`}
          {(request.topP ?? 1) !== 1 && `, top-p ${request.topP}`}
          {result.compiling > 0 && `; ${milliseconds(result.compiling)} to compile`}
        </p>
      </div>
      <div class="texts">
        {result.texts.map((text, i) => (
          <p key={i}>{given.length === 0 ? text : <Marked text={text} given={given} letters={letters} />}</p>
        ))}
      </div>
    </li>
  );
}

/** What the model wrote is marked; what was given is not. */
function Marked({
  text,
  given,
  letters,
}: {
  readonly text: string;
  readonly given: readonly string[];
  readonly letters: boolean;
}) {
  const parts = letters ? [...text] : text.split(" ");
  return (
    <>
      {parts.map((part, i) => {
        const isGiven = given[i] !== undefined && given[i] !== "_";
        return (
          <span key={i}>
            {i > 0 && !letters && " "}
            {isGiven ? part : <mark>{part}</mark>}
          </span>
        );
      })}
    </>
  );
}

interface NumberField {
  readonly name: "count" | "seed" | "temperature" | "topP";
  readonly label: string;
  readonly least: number;
  readonly most: number;
  readonly step: number;
}

const NUMBERS: readonly NumberField[] = [
  { name: "count", label: "Texts", least: 1, most: 64, step: 1 },
  { name: "seed", label: "Seed", least: 0, most: 2 ** 32 - 1, step: 1 },
  { name: "temperature", label: "Temperature", least: 0.05, most: 5, step: 0.05 },
  { name: "topP", label: "Top-p", least: 0.01, most: 1, step: 0.01 },
];

/** A number; what is none stays as it was. */
function NumberInput({ field, value }: { readonly field: NumberField; readonly value: Signal<number> }) {
  const { name, label, least, most, step } = field;
  const id = `write-${name}`;
  return (
    <div class="field number">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={least}
        max={most}
        step={step}
        value={value.value}
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          const whole = step === 1 ? Math.round(typed) : typed;
          if (Number.isFinite(typed)) value.value = Math.min(most, Math.max(least, whole));
          event.currentTarget.value = String(value.value);
        }}
      />
    </div>
  );
}

/** FLM and FMLM, of which one may be missing as yet; or what there is of what was declared. */
const modelsOf = ({ labels, models, published }: RunDetail) =>
  (["fmlm", "flm"] as const)
    .filter((name) => published || models.includes(name))
    .map((name) => [name, labels[name], !models.includes(name)] as const);

/** How its models want to be used. */
function advice({ labels, models, published }: RunDetail): string {
  if (published) return "FMLM needs one step. FLM's texts get better with more.";
  const jumps = models.includes("fmlm") ? `${labels.fmlm} jumps: it needs few steps.` : "";
  const flows = models.includes("flm") ? `The texts of ${labels.flm} get better with more steps.` : "";
  return `${jumps} ${flows}`.trim();
}

function Desk({ store, run }: { readonly store: Studio; readonly run: RunDetail }) {
  const letters = areLetters(run.tokens);
  const model = useSignal<ModelName>(run.models.includes("fmlm") ? "fmlm" : "flm");
  const chosen = useSignal<number | undefined>(undefined);
  const numbers = { count: useSignal(4), seed: useSignal(1), temperature: useSignal(1), topP: useSignal(1) };
  const { count, seed, temperature, topP } = numbers;
  const slots = useSignal<readonly string[]>(Array.from({ length: run.settings.length }, () => ""));
  const busy = useSignal(false);
  const written = useSignal<readonly Written[]>([]);
  const pattern = patternOf(slots.value, letters);
  // One step begins with noise alone, and does not see the given words.
  const least = pattern === undefined ? 1 : 2;
  const usual = !run.models.includes("fmlm") ? 16 : pattern === undefined ? 1 : 8;
  const steps = Math.max(least, chosen.value ?? usual);

  const write = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    const request: SampleRequest = {
      run: run.id,
      model: model.value,
      steps,
      count: count.value,
      seed: seed.value,
      ...(temperature.value === 1 ? {} : { temperature: temperature.value }),
      ...(topP.value === 1 ? {} : { topP: topP.value }),
      ...(pattern === undefined ? {} : { infill: pattern }),
    };
    const result = await store.sample(request);
    busy.value = false;
    if (result === undefined) return;
    const id = (written.value[0]?.id ?? 0) + 1;
    written.value = [{ id, label: run.labels[request.model], request, result }, ...written.value].slice(
      0,
      KEPT,
    );
    seed.value = (seed.value + 1) % 2 ** 32;
    store.say(
      `${counted(result.texts.length, "text")} in ${milliseconds(result.milliseconds)}. ${result.texts[0] ?? ""}`,
    );
  };

  return (
    <>
      <form class="request" onSubmit={(event) => void write(event)} aria-label="What to write">
        <div class="line">
          <Choice
            legend="Model"
            name="write-model"
            options={modelsOf(run)}
            value={model.value}
            onChange={(value) => (model.value = value)}
          />
          <div class="field steps">
            <label for="write-steps">Steps from noise to text</label>
            <div class="row">
              <input
                id="write-steps"
                type="range"
                min={least}
                max="64"
                step="1"
                value={steps}
                onInput={(event) => (chosen.value = Number(event.currentTarget.value))}
              />
              <output for="write-steps">{steps}</output>
            </div>
          </div>
          {NUMBERS.map((field) => (
            <NumberInput key={field.name} field={field} value={numbers[field.name]} />
          ))}
        </div>
        <Blanks
          slots={slots.value}
          letters={letters}
          known={new Set(run.tokens)}
          onChange={(next) => (slots.value = next)}
        />
        <div class="line">
          {pattern !== undefined && (
            <button type="button" class="plain" onClick={() => (slots.value = slots.value.map(() => ""))}>
              Empty the blanks
            </button>
          )}
          <button type="submit" class="main" disabled={busy.value}>
            {busy.value ? "Writing…" : pattern === undefined ? "Write" : "Fill the blanks"}
          </button>
        </div>
      </form>
      <section class="section" aria-label="Texts" aria-busy={busy.value}>
        {written.value.length === 0 ? (
          <p class="soft">Texts come here, with the time that they took from noise, the newest first.</p>
        ) : (
          <ol class="written" reversed>
            {written.value.map((one) => (
              <Result key={one.id} written={one} letters={letters} />
            ))}
          </ol>
        )}
      </section>
    </>
  );
}

export function WriteView({ store }: { readonly store: Studio }) {
  const run = store.run.value;
  const able = run !== undefined && run.models.length > 0;
  const phase = store.declaration.phase.value;
  if (able && phase !== undefined && phase !== "running")
    return (
      <>
        <h1>Write</h1>
        <p class="lead">The weights of {run.text} are here. They write once their declaration runs.</p>
      </>
    );
  return (
    <>
      <h1>Write</h1>
      {able ? (
        <>
          <p class="lead">
            With the weights of {run.text}. {advice(run)}
          </p>
          <Desk key={`${run.id} ${run.models.join()}`} store={store} run={run} />
        </>
      ) : (
        <p class="lead">
          There are no weights to write with yet. <a href="#train">Train a model</a>, which takes a minute or
          so, or drop a run of the command line anywhere on this page.
        </p>
      )}
    </>
  );
}
