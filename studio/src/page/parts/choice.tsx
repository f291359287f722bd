/** One of a few, side by side: radio buttons with a legend. Consumed by all views. */

export function Choice<T extends string | number>({
  legend,
  name,
  options,
  value,
  onChange,
  disabled = false,
  small = false,
  quiet = false,
}: {
  readonly legend: string;
  readonly name: string;
  readonly options: readonly (readonly [value: T, label: string, disabled?: boolean])[];
  readonly value: T;
  readonly onChange: (value: T) => void;
  readonly disabled?: boolean;
  readonly small?: boolean;
  /** The legend is for screen readers only. */
  readonly quiet?: boolean;
}) {
  return (
    <fieldset class={small ? "choice small" : "choice"} disabled={disabled}>
      <legend class={quiet ? "unseen" : ""}>{legend}</legend>
      <div class="options">
        {options.map(([option, label, off = false]) => (
          <label key={option}>
            <input
              type="radio"
              name={name}
              checked={option === value}
              disabled={off}
              onChange={() => onChange(option)}
            />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
