/** A text as a row of blanks to type words into; what stays empty is written by the model. Consumed by write-view.tsx. */
import { useRef } from "preact/hooks";
import { isToken, spread } from "./infill.ts";

export function Blanks({
  slots,
  letters,
  known,
  onChange,
}: {
  readonly slots: readonly string[];
  readonly letters: boolean;
  /** The vocabulary. */
  readonly known: ReadonlySet<string>;
  readonly onChange: (slots: readonly string[]) => void;
}) {
  const row = useRef<HTMLDivElement>(null);
  const focus = (at: number): void => {
    const inputs = row.current?.querySelectorAll("input");
    const input = inputs?.[Math.min(inputs.length - 1, Math.max(0, at))];
    input?.focus();
    input?.select();
  };
  const isKnown = (slot: string): boolean => isToken(slot, known);
  const strangers = slots.filter((slot) => !isKnown(slot));

  const press = (event: KeyboardEvent, at: number): void => {
    const input = event.currentTarget as HTMLInputElement; // the handler is on inputs
    const isEmpty = input.value === "";
    const atStart = input.selectionStart === 0 && input.selectionEnd === 0;
    const atEnd = input.selectionStart === input.value.length;
    if (event.key === " " && !letters) {
      event.preventDefault();
      focus(at + 1);
    } else if (event.key === "Backspace" && isEmpty && at > 0) {
      event.preventDefault();
      focus(at - 1);
    } else if (event.key === "ArrowLeft" && atStart && at > 0) {
      event.preventDefault();
      focus(at - 1);
    } else if (event.key === "ArrowRight" && atEnd && at < slots.length - 1) {
      event.preventDefault();
      focus(at + 1);
    }
  };

  return (
    <div class="field">
      <span class="label" id="blanks-label">
        {letters ? "Letters" : "Words"} to keep, around blanks that the model fills
      </span>
      <div
        class={letters ? "blanks letters" : "blanks"}
        role="group"
        aria-labelledby="blanks-label"
        ref={row}
      >
        {slots.map((slot, i) => (
          <input
            key={i}
            type="text"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={slot}
            placeholder="_"
            aria-label={`${letters ? "Letter" : "Word"} ${i + 1}`}
            aria-invalid={!isKnown(slot)}
            aria-describedby={strangers.length > 0 ? "blanks-wrong" : undefined}
            style={{ "--letters": Math.max(3, slot.length) }}
            onKeyDown={(event) => press(event, i)}
            onInput={(event) => {
              const { value } = event.currentTarget;
              const next = spread(slots, i, value, letters);
              onChange(next);
              const parts = letters ? [...value].length : value.trim().split(/\s+/).length;
              if (parts > 1) requestAnimationFrame(() => focus(i + parts - 1));
              else if (letters && value !== "") requestAnimationFrame(() => focus(i + 1));
            }}
          />
        ))}
      </div>
      {strangers.length > 0 && (
        <span class="wrong" id="blanks-wrong">
          Not in this run's vocabulary of {known.size}: {[...new Set(strangers)].join(", ")}.
        </span>
      )}
    </div>
  );
}
