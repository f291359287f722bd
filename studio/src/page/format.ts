/** Numbers and times as the page writes them. Consumed by all views. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12345 is "12,345". */
export const count = (n: number): string => whole.format(n);

/** "1 step", "3 steps". */
export const counted = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;

/** Three significant digits at most. */
export const rate = (n: number): string => whole.format(n < 1000 ? n : Number(n.toPrecision(3)));

export function milliseconds(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toPrecision(2)} ms`;
}

/** "40 s", "3 min", "2 h 5 min": as exact as a guess deserves. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(n: number): string {
  if (n < 1000) return counted(n, "byte");
  const [value, unit] = n < 1e6 ? [n / 1e3, "kB"] : n < 1e9 ? [n / 1e6, "MB"] : [n / 1e9, "GB"];
  return `${value < 10 && unit !== "kB" ? value.toFixed(1) : whole.format(value)} ${unit}`;
}

const dates = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
export function date(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? "" : dates.format(time);
}

/** As the command line prints them, where a token is not a word. */
const VISIBLE: Readonly<Record<string, string>> = { " ": "␣", "<sep>": "|", "<unk>": "?", "": "∅" };
/** A token so that it can be seen. */
export const visible = (token: string): string => VISIBLE[token] ?? token;

export const percent = (p: number): string => `${p > 0 && p < 0.01 ? "<1" : (100 * p).toFixed(0)}%`;
