/**
 * Numbers as a reader wants them: a fixed number of significant digits, never an exponent in the usual range, and a
 * word for what is not a number.
 *
 * Consumed by the page and the terminal table.
 */

/**
 * A number with at least `digits` significant digits, without trailing exponent between 1e-6 and 1e15: 3.512, 11.93,
 * 1234. NaN reads "n/a", the infinities "∞" and "−∞".
 */
export function significant(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "n/a";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-6 || size >= 1e15) return value.toExponential(digits - 1).replace("-", "−");
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(decimals).replace("-", "−");
}

/** A number with a fixed number of decimals, so that columns align; not-a-number and infinities as in `significant`. */
export function fixed(value: number, decimals: number): string {
  return Number.isFinite(value) && Math.abs(value) < 1e15
    ? value.toFixed(decimals).replace("-", "−")
    : significant(value);
}

/** A tick label: no more digits than needed, thousands grouped. */
export function tickText(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7)) return value.toExponential(0);
  return value.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}

/** "1 step", "8 steps", "1,200 steps". */
export function stepsText(steps: number): string {
  return `${tickText(steps)} ${steps === 1 ? "step" : "steps"}`;
}

/** Two ends of an interval of perplexities: "3.49–3.55", or "n/a" if an end is not a finite number. */
export function intervalText(low: number, high: number): string {
  return Number.isFinite(low) && Number.isFinite(high) ? `${fixed(low, 2)}–${fixed(high, 2)}` : "n/a";
}
