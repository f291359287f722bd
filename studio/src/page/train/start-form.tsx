/** What a training begins with: text, preset, seed, sizes. Consumed by train-view.tsx. */
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Preset } from "../../../../src/runtime/training/config.ts";
import type { Studio } from "../../engine/client.ts";
import { legible } from "../../engine/legible.ts";
import { ownText, take } from "../drop.ts";
import { bytes } from "../format.ts";
import { Choice } from "../parts/choice.tsx";
import { EMPTY, mistakes, settingsOf, SIZES, type Typed } from "./settings.ts";

const PRESET_NAMES: readonly (readonly [Preset, string])[] = [
  ["quick", "Quick"],
  ["default", "Default"],
  ["full", "Full"],
];

function Field({
  name,
  label,
  value,
  placeholder = "",
  wrong,
  onInput,
}: {
  readonly name: string;
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly wrong: string | undefined;
  readonly onInput: (value: string) => void;
}) {
  const id = `new-${name}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        inputMode="numeric"
        autocomplete="off"
        value={value}
        placeholder={placeholder}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong === undefined ? undefined : `${id}-wrong`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {wrong !== undefined && (
        <span class="wrong" id={`${id}-wrong`}>
          {wrong}
        </span>
      )}
    </div>
  );
}

function TextSource({ store }: { readonly store: Studio }) {
  const file = ownText.value;
  return (
    <div class="field source">
      <span class="label">Text</span>
      <div class="row">
        <span class="name" title={file?.name}>
          {file === undefined ? "Definitions of WordNet" : `${legible(file.name)}, ${bytes(file.size)}`}
        </span>
        {file !== undefined && (
          <button type="button" class="plain" onClick={() => (ownText.value = undefined)}>
            Bundled
          </button>
        )}
        <label class="button file">
          Choose a file…
          <input
            type="file"
            aria-label="Choose a text file to learn from"
            onChange={(event) => {
              const chosen = [...(event.currentTarget.files ?? [])];
              event.currentTarget.value = "";
              void take(store, chosen);
            }}
          />
        </label>
      </div>
    </div>
  );
}

// The form is not there while something trains; what was typed is, when it comes back.
const preset = signal<Preset>("quick");
const tokens = signal<"words" | "chars">("words");
const typed = signal<Typed>(EMPTY);
const open = signal(false);

export function StartForm({ store }: { readonly store: Studio }) {
  const form = useRef<HTMLFormElement>(null);
  const wrong = mistakes(typed.value, preset.value);
  const busy = store.activity.value !== undefined;
  const type =
    (name: keyof Typed) =>
    (value: string): void => {
      typed.value = { ...typed.value, [name]: value };
    };

  const start = (event: Event): void => {
    event.preventDefault();
    if (Object.keys(wrong).length > 0) {
      // What is wrong must be seen to be mended.
      if (Object.keys(wrong).some((name) => name !== "seed")) open.value = true;
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    const file = ownText.value;
    void store.start(
      settingsOf(typed.value, preset.value, tokens.value),
      file === undefined ? { kind: "bundled" } : { kind: "file", file },
    );
  };

  return (
    <form class="start" ref={form} onSubmit={start} aria-label="New training" noValidate>
      <div class="line">
        <TextSource store={store} />
        <Choice
          legend="Preset"
          name="preset"
          options={PRESET_NAMES}
          value={preset.value}
          onChange={(value) => (preset.value = value)}
        />
        <div class="seed">
          <Field
            name="seed"
            label="Seed"
            value={typed.value.seed}
            wrong={wrong.seed}
            onInput={type("seed")}
          />
        </div>
        <button type="submit" class="main" disabled={busy || store.device.value === undefined}>
          Start training
        </button>
      </div>
      <details class="fold" open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>Sizes</summary>
        <div class="sizes">
          <Choice
            legend="Tokens"
            name="tokens"
            options={[
              ["words", "Words"],
              ["chars", "Letters"],
            ]}
            value={tokens.value}
            onChange={(value) => (tokens.value = value)}
          />
          {SIZES.map(({ name, label, preset: of }) => (
            <Field
              key={name}
              name={name}
              label={label}
              value={typed.value[name]}
              placeholder={String(of(preset.value))}
              wrong={wrong[name]}
              onInput={type(name)}
            />
          ))}
        </div>
      </details>
    </form>
  );
}
